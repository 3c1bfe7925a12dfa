/** Opens or creates a log file, and refuses whatever is not one. */
import { randomUUID } from 'node:crypto'
import { closeSync, existsSync, openSync, realpathSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { StoreUnavailable, StoreUnusable } from '../../runtime/ports/event-store.js'
import { type Database, type DatabaseConstructor, type DatabaseOptions, loadDriver } from './driver.js'
import { isBusy, isDamage, toStoreError } from './errors.js'
import { APPLICATION_ID, SCHEMA_VERSION, TABLES } from './schema.js'

export interface SqliteOptions {
  /**
   * `'full'`: what was answered `ok` survives a power cut. `'normal'`: it survives the process, but the last commits before
   * a power cut may be lost (the file stays whole). Default `'full'`.
   */
  readonly durability?: 'full' | 'normal'
  /** Open for reading only; the file must exist. Default `false`. */
  readonly readonly?: boolean
  /** How long to wait for another process's write lock, in ms; the process stands still meanwhile. Default 5,000. */
  readonly busyTimeout?: number
  /** Called for each record whose text is not JSON; readers skip it. Default: nothing. */
  readonly onUnreadable?: (position: string, error: Error) => void
}

/** An open log file. */
export interface LogFile {
  readonly db: Database
  /** Its real path, through links. */
  readonly path: string
  readonly logId: string
}

const RETRY_MS = 20

/**
 * Throws StoreUnusable for a file that is no log of ours or of a newer version, StoreUnavailable where it cannot be opened.
 */
export function openLog(path: string, options: SqliteOptions = {}): LogFile {
  const { readonly = false, busyTimeout = 5000, durability = 'full' } = options
  const full = locate(path, readonly)
  const db = connect(loadDriver(), full, { readonly, timeout: busyTimeout, fileMustExist: true })
  try {
    if (!identify(db, full)) create(db, full, readonly)
    if (!readonly) useWal(db)
    if (!readonly) db.pragma(`synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`)
    // Only macOS heeds it: there a plain fsync does not reach the disk.
    if (durability === 'full') db.pragma('fullfsync = ON')
    // New pages begin empty: without this they may carry what a page of the cache held before, bodies erased later included.
    db.pragma('secure_delete = FAST')
    db.pragma('journal_size_limit = 67108864')
    db.pragma('cache_size = -16384')
    // 32 MiB of pages between two checkpoints instead of 8: index pages that change all the time are copied back less often.
    db.pragma('wal_autocheckpoint = 4000')
    const logId = db.prepare("SELECT value FROM jobledger_meta WHERE key = 'logId'").pluck(true).get()
    return { db, path: realpathSync(full), logId: String(logId) }
  } catch (error) {
    db.close()
    throw explain(error, full)
  }
}

function locate(path: string, readonly: boolean): string {
  if (path === '' || path === ':memory:' || path.startsWith('file:')) {
    throw new StoreUnusable(
      `Expected the path of a file, got '${path}'. For a log without a file use the memory store.`,
    )
  }
  const full = resolve(path)
  if (!existsSync(dirname(full))) throw new StoreUnavailable(`${full}: there is no directory ${dirname(full)}.`)
  if (!readonly) createPrivate(full)
  if (!existsSync(full)) throw new StoreUnavailable(`${full}: there is no such file.`)
  return full
}

/** Payloads are nobody else's business: a new file, and the two that SQLite lays beside it, are the owner's alone. */
function createPrivate(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (cause) {
    if (existsSync(path)) return
    throw new StoreUnavailable(
      `${path}: the file cannot be created (${cause instanceof Error ? cause.message : cause}).`,
      { cause },
    )
  }
}

function connect(Driver: DatabaseConstructor, path: string, options: DatabaseOptions): Database {
  try {
    return new Driver(path, options)
  } catch (error) {
    throw explain(error, path)
  }
}

function explain(error: unknown, path: string): Error {
  if (!isDamage(error)) return toStoreError(error, path)
  const reason = error instanceof Error ? error.message : ''
  return new StoreUnusable(
    `${path}: expected a jobledger log, found a file that is not a sound SQLite database (${reason}).`,
    { cause: error },
  )
}

/** Whether this is a log already; `false` for an empty file. Throws StoreUnusable for anything else. */
function identify(db: Database, path: string): boolean {
  // In this order: another process may be creating the log meanwhile, and then only what is read last is sure to be there.
  const tables = db
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name LIMIT 4")
    .pluck(true)
    .all()
  const id = db.pragma('application_id', { simple: true })
  const version = Number(db.pragma('user_version', { simple: true }))
  if (id === APPLICATION_ID && version === SCHEMA_VERSION) return true
  if (id === APPLICATION_ID && version > SCHEMA_VERSION) {
    throw new StoreUnusable(
      `${path}: this log has schema version ${version}, this jobledger knows up to ${SCHEMA_VERSION}. Use a newer jobledger.`,
    )
  }
  if (id === 0 && tables.length === 0) return false
  const found = `application id ${id}, schema version ${version}, tables: ${tables.join(', ') || 'none'}`
  throw new StoreUnusable(
    `${path}: expected a jobledger log or an empty file, found another program's database (${found}).`,
  )
}

function create(db: Database, path: string, readonly: boolean): void {
  if (readonly) throw new StoreUnusable(`${path}: expected a jobledger log, found an empty file.`)
  db.pragma('page_size = 8192')
  db.exec('BEGIN EXCLUSIVE')
  // Somebody else may have been faster.
  if (!identify(db, path)) {
    db.exec(TABLES)
    db.prepare("INSERT INTO jobledger_meta (key, value) VALUES ('logId', ?)").run(randomUUID())
    db.pragma(`application_id = ${APPLICATION_ID}`)
    db.pragma(`user_version = ${SCHEMA_VERSION}`)
  }
  db.exec('COMMIT')
}

/** A restored copy may have another journal. Changing it does not always wait for the lock by itself. */
export function useWal(db: Database): void {
  if (db.pragma('journal_mode', { simple: true }) === 'wal') return
  const pause = new Int32Array(new SharedArrayBuffer(4))
  for (let attempt = 0; ; attempt += 1) {
    try {
      db.pragma('journal_mode = WAL')
      return
    } catch (error) {
      if (!isBusy(error) || attempt > 100) throw error
      Atomics.wait(pause, 0, 0, RETRY_MS)
    }
  }
}
