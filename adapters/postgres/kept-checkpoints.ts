import type { Position } from '../../domain/event.js'
import type { KeptCheckpoint, KeptCheckpoints, KeptContent } from '../../runtime/ports/views.js'
import { pack, unpack } from '../shared/packing.js'
import { run } from './connections.js'
import type { Client } from './driver.js'
import type { RunQuery } from './reader.js'
import { fromText, toBytes, toText } from './rows.js'

/** How the views lend their connections. */
interface Access {
  readonly read: RunQuery
  /** In a transaction of its own. */
  write(work: (client: Client) => Promise<void>): Promise<void>
}

export class PostgresKeptCheckpoints implements KeptCheckpoints {
  readonly #s: string
  readonly #access: Access

  constructor(schema: string, access: Access) {
    this.#s = schema
    this.#access = access
  }

  async list(): Promise<KeptCheckpoint[]> {
    const rows = await this.#access.read(`SELECT about FROM ${this.#s}.view_kept ORDER BY position`)
    return rows.map(([about]) => JSON.parse(fromText(about ?? '')) as KeptCheckpoint)
  }

  async keep(kept: Omit<KeptCheckpoint, 'bytes'>, content: KeptContent<Iterable<string>>): Promise<void> {
    const { position } = kept.checkpoint
    // Packed before a transaction is begun.
    const parts: Uint8Array[] = []
    for await (const part of pack(content)) parts.push(part)
    const bytes = parts.reduce((sum, { length }) => sum + length, 0)
    await this.#access.write(async (client) => {
      // Whoever comes second replaces what the first has written.
      await run(
        client,
        `INSERT INTO ${this.#s}.view_kept (position, about) VALUES ($1, $2)
         ON CONFLICT (position) DO UPDATE SET about = excluded.about`,
        [position, toText(JSON.stringify({ ...kept, bytes }))],
      )
      await run(client, `DELETE FROM ${this.#s}.view_kept_parts WHERE position = $1`, [position])
      const set = `INSERT INTO ${this.#s}.view_kept_parts (position, part, bytes) VALUES ($1, $2, $3)`
      for (const [index, part] of parts.entries()) await run(client, set, [position, index, part])
    })
  }

  async content(position: Position): Promise<KeptContent<AsyncIterable<string[]>> | undefined> {
    const sql = `SELECT bytes FROM ${this.#s}.view_kept_parts WHERE position = $1 ORDER BY part`
    const rows = await this.#access.read(sql, [position])
    return rows.length === 0 ? undefined : unpack(rows.map(([bytes]) => toBytes(bytes ?? '')))
  }

  async drop(positions: readonly Position[]): Promise<void> {
    await this.#access.write(async (client) => {
      for (const table of ['view_kept', 'view_kept_parts'])
        await run(client, `DELETE FROM ${this.#s}.${table} WHERE position = ANY ($1::text[])`, [positions])
    })
  }
}
