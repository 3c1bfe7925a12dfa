/** Files that hold only what can be made again from the log: views, and tables for SQL. Whatever is wrong with one, it is made anew. */
import { closeSync, existsSync, openSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { StoreUnavailable, StoreUnusable } from '../../runtime/ports/event-store.js'
import type { Database } from './driver.js'
import { isDamage, toStoreError } from './errors.js'
import { useWal } from './open.js'

/** How long a read waits for the file, in ms. Saves wait in their own way, without standing still. */
export const BUSY_MS = 100
/** How long opening waits, in ms: others may be making the file, or the log of a process that died may be being replayed. */
const OPENING_BUSY_MS = 5000

const BESIDE = ['-wal', '-shm']

export interface DisposableFile {
  /** What it is for, in messages. */
  readonly what: string
  /** In the file's header. */
  readonly applicationId: number
  readonly version: number
  /** SQL that makes its tables. */
  readonly tables: string
  readonly tableNames: readonly string[]
  /** A handle that writes, on a file that is there. `timeout`: ms. */
  connect(path: string, timeout: number): Database
}

/** Opens the file; one that is damaged, of another version or no database at all is deleted and made anew. */
export function openDisposable(path: string, file: DisposableFile): Database {
  if (!existsSync(dirname(path))) throw new StoreUnavailable(`${path}: there is no directory ${dirname(path)}.`)
  try {
    return tryOpen(path, file) ?? recreate(path, file)
  } catch (error) {
    if (isDamage(error)) return recreate(path, file)
    throw toStoreError(error, path)
  }
}

export function deleteDisposable(path: string): void {
  for (const suffix of ['', ...BESIDE]) rmSync(path + suffix, { force: true })
}

function recreate(path: string, file: DisposableFile): Database {
  deleteDisposable(path)
  const db = tryOpen(path, file)
  if (db === undefined) throw new StoreUnusable(`${path}: the file for ${file.what} was replaced while it was made.`)
  return db
}

/** Undefined: a file of another version. */
function tryOpen(path: string, file: DisposableFile): Database | undefined {
  if (!existsSync(path)) makeFile(path)
  const db = file.connect(path, OPENING_BUSY_MS)
  try {
    const fits = prepare(db, path, file)
    db.pragma(`busy_timeout = ${BUSY_MS}`)
    if (fits) return db
    db.close()
    return undefined
  } catch (error) {
    db.close()
    throw error
  }
}

/**
 * What lies beside a file that is not there belongs to one that was deleted, which others may still have open. Only who makes
 * the file takes that away: whoever finds it made may have a WAL there already. Who has one in the microseconds in between loses
 * it, and finds a file that is made anew.
 */
function makeFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return
    throw error
  }
  for (const suffix of BESIDE) rmSync(path + suffix, { force: true })
}

/** Takes the write lock only for a new file: another process may be in the middle of a long save. */
function prepare(db: Database, path: string, file: DisposableFile): boolean {
  // Rows are wide, and inner pages hold whole ones: twice the default saves a tenth. Takes effect on a new file only.
  db.pragma('page_size = 8192')
  useWal(db)
  if (isEmpty(db)) createTables(db, file)
  const id = db.pragma('application_id', { simple: true })
  if (id !== file.applicationId) {
    throw new StoreUnusable(
      `${path}: expected a file for ${file.what}, found another program's database (application id ${id}).`,
    )
  }
  if (db.pragma('user_version', { simple: true }) !== file.version) return false
  // Reads a page of each table: gross damage shows here, not in the middle of a query.
  for (const table of file.tableNames) db.prepare(`SELECT * FROM ${table} LIMIT 1`).get()
  return true
}

function isEmpty(db: Database): boolean {
  const tables = db.prepare('SELECT count(*) FROM sqlite_schema').pluck(true).get()
  return tables === 0 && db.pragma('application_id', { simple: true }) === 0
}

export function createTables(db: Database, { tables, applicationId, version }: DisposableFile): Database {
  db.exec('BEGIN IMMEDIATE')
  // Somebody else may have been faster.
  if (isEmpty(db)) {
    db.exec(`${tables}; PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${version}`)
  }
  db.exec('COMMIT')
  return db
}
