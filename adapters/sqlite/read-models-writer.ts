/** What one slice writes, in the transaction of the save. */
import {
  ATTEMPTS,
  type Cell,
  JOBS,
  QUEUE_MINUTES,
  type Row,
  type RowChanges,
  type Table,
  TRIGGERS,
  WORKERS,
} from '../../projections/read-models/tables.js'
import type { Checkpoint } from '../../runtime/ports/views.js'
import type { Database, Statement } from './driver.js'
import { quotedName } from './read-models-schema.js'

const SET_CHECKPOINT = `
  INSERT OR REPLACE INTO checkpoint (one, log_id, position, stream, revision, event_id, version) VALUES (1, ?, ?, ?, ?, ?, ?)`
const DROP_PATHS = 'DELETE FROM payload_paths WHERE seq = (SELECT seq FROM jobs WHERE id = ?)'
const ADD_PATH = `
  INSERT OR IGNORE INTO payload_paths (path, value, seq, place, job_id) SELECT ?, ?, seq, place, id FROM jobs WHERE id = ?`

/**
 * A kept row of the same key is written over, or, of minutes, added to. An index is written anew for each column of its own that is
 * named here, changed or not: of a job that has run, half of them.
 */
function upsert(table: Table, adds = false): string {
  const names = table.columns.map(([name]) => quotedName(name))
  const kept = [...table.key, ...(table.fixed ?? [])].map(quotedName)
  const others = names.filter((name) => !kept.includes(name))
  const sets = others.map((name) => `${name} = ${adds ? `${name} + ` : ''}excluded.${name}`)
  const key = table.key.map(quotedName).join(', ')
  return `
    INSERT INTO ${table.name} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})
    ON CONFLICT (${key}) DO UPDATE SET ${sets.join(', ')}`
}

export class ReadModelsWriter {
  readonly #db: Database
  readonly #prepared = new Map<string, Statement>()

  constructor(db: Database) {
    this.#db = db
  }

  /** Yields now and then: whoever drives it may let the event loop go there. */
  *write(changes: RowChanges, { logId, position, stream, revision, eventId, version }: Checkpoint): Iterable<void> {
    const { jobs, attempts, triggers, workers, minutes, paths, folds } = changes
    yield* this.#put(upsert(JOBS), jobs.values())
    yield* this.#put(upsert(ATTEMPTS), attempts)
    yield* this.#put(upsert(TRIGGERS), triggers)
    yield* this.#put(upsert(WORKERS), workers)
    yield* this.#put(upsert(QUEUE_MINUTES, true), minutes)
    for (const [id, values] of paths) {
      this.#run(DROP_PATHS, id)
      for (const { path, value } of values) this.#run(ADD_PATH, path, value, id)
      yield
    }
    yield* this.#put('INSERT OR REPLACE INTO folds (stream, text) VALUES (?, ?)', folds)
    yield* this.#drop(changes)
    this.#run(SET_CHECKPOINT, logId, position, stream, revision, eventId, version)
  }

  *#put(sql: string, rows: Iterable<Row>): Iterable<void> {
    const statement = this.#statement(sql)
    for (const row of rows) {
      statement.run(row)
      yield
    }
  }

  *#drop({ expunged, archived, removed }: RowChanges): Iterable<void> {
    for (const id of expunged) {
      this.#run("UPDATE jobs SET error_message = '' WHERE id = ? AND error_message <> ''", id)
      this.#run("UPDATE attempts SET error_message = '' WHERE job_id = ? AND error_message <> ''", id)
      this.#run(DROP_PATHS, id)
      yield
    }
    for (const [id, segment] of archived) {
      this.#run('UPDATE jobs SET archived = ? WHERE id = ?', segment, id)
      yield
    }
    for (const id of removed) {
      this.#run(DROP_PATHS, id)
      this.#run('DELETE FROM attempts WHERE job_id = ?', id)
      this.#run('DELETE FROM jobs WHERE id = ?', id)
      yield
    }
  }

  #run(sql: string, ...values: readonly Cell[]): void {
    this.#statement(sql).run(...values)
  }

  #statement(sql: string): Statement {
    const known = this.#prepared.get(sql)
    if (known !== undefined) return known
    const made = this.#db.prepare(sql)
    this.#prepared.set(sql, made)
    return made
  }
}
