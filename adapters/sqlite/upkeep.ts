/** Taking things out of the log for good, each call in one transaction. */
import { createHash } from 'node:crypto'
import type { Database, Statement } from './driver.js'
import { HEAD_REMOVED } from './heads.js'
import { REMOVED } from './schema.js'
import { WriterStatements } from './writer-statements.js'

const BODY = 'SELECT seal, body FROM jobledger_events WHERE position = ? AND body IS NOT NULL'
const SEAL = 'UPDATE jobledger_events SET seal = ?, body = NULL WHERE position = ?'
// The row itself stays: its name is burnt, and its position is the stream's number.
const STRIP = `
  UPDATE jobledger_events SET type = '${REMOVED}', at = 0, id = '', data = '{}', metadata = NULL, seal = NULL, body = NULL WHERE position = ?`
const CUT = 'DELETE FROM jobledger_events WHERE stream = ? AND revision > 0 AND revision < ?'
// The greatest position ever used, for the day when its event is gone.
const FLOOR = `
  INSERT INTO jobledger_meta (key, value) VALUES ('floor', ?) ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)`

const CHECKPOINT_PATIENCE_MS = 100

export class Upkeep {
  readonly #db: Database
  readonly #lookup: WriterStatements
  readonly #statements = new Map<string, Statement>()

  constructor(db: Database) {
    this.#db = db
    this.#lookup = new WriterStatements(db, 1)
  }

  erase(events: readonly { readonly stream: string; readonly revision: number }[]): void {
    this.#transaction(() => {
      for (const { stream, revision } of events) this.#eraseOne(stream, revision)
    })
  }

  remove(streams: readonly string[]): void {
    this.#transaction(() => {
      for (const stream of streams) {
        const head = this.#lookup.head(stream)
        if (head !== undefined) this.#cut(head.number, Number.MAX_SAFE_INTEGER)
      }
    })
  }

  truncate(stream: string, before: number): void {
    this.#transaction(() => {
      const head = this.#lookup.head(stream)
      if (head === undefined || head.revision === HEAD_REMOVED) return
      const first = Math.min(before, head.revision)
      if (first > 0) this.#cut(head.number, first)
    })
  }

  #eraseOne(stream: string, revision: number): void {
    const head = this.#lookup.head(stream)
    const place = head && this.#lookup.eventAt(head.number, revision)
    const row = place && (this.#statement(BODY).get(place.position) as [Uint8Array, string | Uint8Array] | undefined)
    if (place === undefined || row === undefined) return
    const [salt, content] = row
    this.#statement(SEAL).run(createHash('sha256').update(salt).update(content).digest(), place.position)
  }

  #cut(number: number, before: number): void {
    this.#statement(CUT).run(number, before)
    this.#statement(STRIP).run(number)
  }

  #transaction(work: () => void): void {
    // What is erased or removed leaves no bytes behind in the file, not in pages that become free either.
    this.#db.pragma('secure_delete = ON')
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      this.#statement(FLOOR).run(this.#lookup.lastPosition())
      work()
      this.#db.exec('COMMIT')
    } catch (error) {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
      throw error
    } finally {
      this.#db.pragma('secure_delete = FAST')
    }
    this.#emptyWal()
  }

  /**
   * The pages as they were are still in the WAL file until it is emptied. A long read of another process may hold that back;
   * standing still for it would stop this process, so it then waits for the next call, or for the last handle to close.
   */
  #emptyWal(): void {
    const patience = this.#db.pragma('busy_timeout', { simple: true })
    this.#db.pragma(`busy_timeout = ${CHECKPOINT_PATIENCE_MS}`)
    try {
      this.#db.pragma('wal_checkpoint(TRUNCATE)')
    } finally {
      this.#db.pragma(`busy_timeout = ${patience}`)
    }
  }

  #statement(sql: string): Statement {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#db.prepare(sql)
      if (sql === BODY) statement.raw(true)
      this.#statements.set(sql, statement)
    }
    return statement
  }
}
