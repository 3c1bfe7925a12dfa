/** Rows of users' projections, in the file of the read models. */
import type { KeptProjection, ProjectionRows } from '../../runtime/ports/read-models.js'
import type { Checkpoint } from '../../runtime/ports/views.js'
import type { Database } from './driver.js'

const OF = `
  SELECT log_id AS logId, position, stream, revision, event_id AS eventId, version, failure FROM projections WHERE name = ?`
const SET = `
  INSERT OR REPLACE INTO projections (name, version, log_id, position, stream, revision, event_id, failure)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
const BY_KEYS = `
  SELECT key, row FROM projection_rows WHERE projection = ? AND key IN (SELECT value FROM json_each(?))`
const PAGE = 'SELECT key, row FROM projection_rows WHERE projection = ? AND key > ? ORDER BY key LIMIT ?'
const FIRST_PAGE = 'SELECT key, row FROM projection_rows WHERE projection = ? AND key >= ? ORDER BY key LIMIT ?'
const SET_ROW = 'INSERT OR REPLACE INTO projection_rows (projection, key, row) VALUES (?, ?, ?)'
const DROP_ROW = 'DELETE FROM projection_rows WHERE projection = ? AND key = ?'
const DROP_ROWS = 'DELETE FROM projection_rows WHERE projection = ?'
const DROP = 'DELETE FROM projections WHERE name = ?'

export interface Access {
  read<Result>(work: (db: Database) => Result): Result
  /** In a transaction. */
  write(work: (db: Database) => boolean): Promise<boolean>
}

export class SqliteProjectionRows implements ProjectionRows {
  readonly #access: Access

  constructor(access: Access) {
    this.#access = access
  }

  async of(name: string): Promise<KeptProjection | undefined> {
    return this.#access.read((db) => keptIn(db, name))
  }

  async rows(name: string, which: Parameters<ProjectionRows['rows']>[1]): Promise<ReadonlyMap<string, string>> {
    return this.#access.read((db) => {
      const pairs =
        'keys' in which
          ? db.prepare(BY_KEYS).raw(true).all(name, JSON.stringify(which.keys))
          : db
              .prepare(which.after === '' ? FIRST_PAGE : PAGE)
              .raw(true)
              .all(name, which.after, which.limit)
      return new Map(pairs as [string, string][])
    })
  }

  async save(name: string, slice: Parameters<ProjectionRows['save']>[1]): Promise<boolean> {
    const { since, checkpoint, failure, rows } = slice
    return this.#access.write((db) => {
      if ((keptIn(db, name)?.checkpoint.position ?? '') !== since) return false
      const [set, drop] = [db.prepare(SET_ROW), db.prepare(DROP_ROW)]
      for (const [key, row] of rows) {
        if (row === null) drop.run(name, key)
        else set.run(name, key, row)
      }
      const { logId, position, stream, revision, eventId, version } = checkpoint
      db.prepare(SET).run(name, version, logId, position, stream, revision, eventId, failure ?? null)
      return true
    })
  }

  async drop(name: string): Promise<void> {
    await this.#access.write((db) => {
      db.prepare(DROP_ROWS).run(name)
      db.prepare(DROP).run(name)
      return true
    })
  }

  async replace(name: string, by: string): Promise<void> {
    await this.#access.write((db) => {
      db.prepare(DROP_ROWS).run(name)
      db.prepare(DROP).run(name)
      db.prepare('UPDATE projection_rows SET projection = ? WHERE projection = ?').run(name, by)
      db.prepare('UPDATE projections SET name = ? WHERE name = ?').run(name, by)
      return true
    })
  }
}

function keptIn(db: Database, name: string): KeptProjection | undefined {
  const row = db.prepare(OF).get(name) as (Checkpoint & { readonly failure: string | null }) | undefined
  if (row === undefined) return undefined
  const { failure, ...checkpoint } = row
  return { checkpoint, failure: failure ?? undefined }
}
