/** Appending inside a transaction of the caller's own, on the caller's own handle of the same file. */
import { realpathSync } from 'node:fs'
import type { RecordedEvent } from '../../domain/event.js'
import type {
  AppendGroup,
  AppendOutcome,
  ReadStreamOptions,
  TransactionalAppend,
} from '../../runtime/ports/event-store.js'
import { StoreRefused } from '../../runtime/ports/event-store.js'
import { checkGroups } from '../shared/groups.js'
import type { Database } from './driver.js'
import { sqliteCode, toStoreError } from './errors.js'
import { Heads } from './heads.js'
import type { LogFile } from './open.js'
import { Reader } from './reader.js'
import type { OnUnreadable } from './rows.js'
import { Writer } from './writer.js'

/** Synchronous, as better-sqlite3's transactions are. */
export interface SqliteTransaction extends TransactionalAppend {
  append(groups: readonly AppendGroup[]): AppendOutcome[]
  readStream(stream: string, options?: ReadStreamOptions): RecordedEvent[]
}

/** Throws StoreRefused for a handle that is no better-sqlite3 Database, or is open on another file. */
export function joinTransaction(handle: unknown, file: LogFile, onUnreadable: OnUnreadable): SqliteTransaction {
  if (!isDatabase(handle)) throw new StoreRefused('Expected an open Database of better-sqlite3 on the log file.')
  checkFile(handle, file)
  return new HandleTransaction(handle, file, onUnreadable)
}

function isDatabase(handle: unknown): handle is Database {
  if (typeof handle !== 'object' || handle === null) return false
  const { prepare, exec, open } = handle as Partial<Database>
  return typeof prepare === 'function' && typeof exec === 'function' && open === true
}

function checkFile(handle: Database, file: LogFile): void {
  const sql = "SELECT file FROM pragma_database_list WHERE name = 'main'"
  const path = String(handle.prepare(sql).pluck(true).get() ?? '')
  if (path === '' || realpathSync(path) !== file.path) {
    throw new StoreRefused(`Expected a handle open on ${file.path}, got one on ${path || 'a database in memory'}.`)
  }
  // A file of the same name may have been put in its place.
  const logId = handle.prepare("SELECT value FROM main.jobledger_meta WHERE key = 'logId'").pluck(true).get()
  if (logId !== file.logId) throw new StoreRefused(`Expected a handle on log ${file.logId}, got one on ${logId}.`)
}

class HandleTransaction implements SqliteTransaction {
  readonly #handle: Database
  readonly #file: LogFile
  readonly #heads = new Heads()
  readonly #writer: Writer
  readonly #reader: Reader

  constructor(handle: Database, file: LogFile, onUnreadable: OnUnreadable) {
    this.#handle = handle
    this.#file = file
    this.#writer = new Writer(handle, this.#heads)
    this.#reader = new Reader(handle, onUnreadable)
  }

  append(groups: readonly AppendGroup[]): AppendOutcome[] {
    this.#begin()
    checkGroups(groups)
    try {
      this.#handle.exec('SAVEPOINT jobledger')
      const { outcomes } = this.#writer.write(groups, { careful: true, record: false })
      this.#handle.exec('RELEASE jobledger')
      return outcomes
    } catch (cause) {
      this.#takeBack()
      const error = toStoreError(cause, this.#file.path)
      if (sqliteCode(cause) === '' || error instanceof TypeError) throw error
      return groups.map(() => ({ kind: 'rejected', error }))
    }
  }

  readStream(stream: string, options: ReadStreamOptions = {}): RecordedEvent[] {
    this.#begin()
    const source = this.#reader.stream(stream, options, this.#heads)
    const events: RecordedEvent[] = []
    while (source.more()) for (const event of source.read()) events.push(event)
    return events
  }

  /** The caller may have rolled back since the last call: nothing is remembered from call to call. */
  #begin(): void {
    if (!this.#handle.inTransaction)
      throw new StoreRefused('Expected the handle to be in a transaction of its own, it is in none.')
    this.#writer.undo()
    this.#heads.clear()
  }

  /** After some errors (a full disk) SQLite has rolled back the whole transaction by itself. */
  #takeBack(): void {
    if (this.#handle.inTransaction) this.#handle.exec('ROLLBACK TO jobledger; RELEASE jobledger')
  }
}
