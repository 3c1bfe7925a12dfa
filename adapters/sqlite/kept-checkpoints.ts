import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Position } from '../../domain/event.js'
import type { KeptCheckpoint, KeptCheckpoints, KeptContent } from '../../runtime/ports/views.js'
import { pack, unpack } from '../shared/packing.js'
import type { Database } from './driver.js'

const LIST = 'SELECT about FROM kept ORDER BY position'
const SET = 'INSERT OR REPLACE INTO kept (position, about) VALUES (?, ?)'
const SET_PART = 'INSERT INTO kept_parts (position, part, bytes) VALUES (?, ?, ?)'
const DROP = 'DELETE FROM kept WHERE position IN (SELECT value FROM json_each(?))'
const DROP_PARTS = 'DELETE FROM kept_parts WHERE position IN (SELECT value FROM json_each(?))'
const PARTS = 'SELECT bytes FROM kept_parts WHERE position = ? ORDER BY part'

/** How the views lend their file. */
interface Access {
  read<Result>(of: (db: Database) => Result): Result
  /** In a transaction of its own. */
  write(work: (db: Database) => Promise<void>): Promise<void>
}

export class SqliteKeptCheckpoints implements KeptCheckpoints {
  readonly #access: Access

  constructor(access: Access) {
    this.#access = access
  }

  async list(): Promise<KeptCheckpoint[]> {
    const texts = this.#access.read((db) => db.prepare(LIST).pluck(true).all() as string[])
    return texts.map((about) => JSON.parse(about) as KeptCheckpoint)
  }

  async keep(kept: Omit<KeptCheckpoint, 'bytes'>, content: KeptContent<Iterable<string>>): Promise<void> {
    const { position } = kept.checkpoint
    // Packed before the file is locked.
    const parts: Uint8Array[] = []
    for await (const part of pack(content)) parts.push(part)
    await this.#access.write(async (db) => {
      db.prepare(DROP_PARTS).run(JSON.stringify([position]))
      const set = db.prepare(SET_PART)
      for (const [index, part] of parts.entries()) {
        set.run(position, index, part)
        await nextTurn()
      }
      const bytes = parts.reduce((sum, { length }) => sum + length, 0)
      db.prepare(SET).run(position, JSON.stringify({ ...kept, bytes }))
    })
  }

  async content(position: Position): Promise<KeptContent<AsyncIterable<string[]>> | undefined> {
    const parts = this.#access.read((db) => db.prepare(PARTS).pluck(true).all(position) as Uint8Array[])
    return parts.length === 0 ? undefined : unpack(parts)
  }

  drop(positions: readonly Position[]): Promise<void> {
    const all = JSON.stringify(positions)
    return this.#access.write(async (db) => {
      for (const sql of [DROP, DROP_PARTS]) db.prepare(sql).run(all)
    })
  }
}
