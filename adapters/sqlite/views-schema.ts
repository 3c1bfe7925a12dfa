/** The second, disposable file. Whatever is wrong with it, it is made anew. */
import { closeSync, existsSync, openSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { StoreUnavailable, StoreUnusable } from '../../runtime/ports/event-store.js'
import { type Database, loadDriver } from './driver.js'
import { isDamage, toStoreError } from './errors.js'
import { useWal } from './open.js'

/** 'Jlvw'. */
const APPLICATION_ID = 0x4a6c7677
export const VIEWS_VERSION = 5

/** How long a read waits for the file, in ms. Saves wait in their own way, without standing still. */
const BUSY_MS = 100
/** How long opening waits, in ms: others may be making the file, or the log of a process that died may be being replayed. */
const OPENING_BUSY_MS = 5000

/**
 * `depends_on` is '' or the ids as JSON text, and only rows that have some have `edges`: most jobs depend on nothing and pay
 * for one empty column. A tombstone outlives the row; the edges that point at the removed job belong to its dependents.
 * An ended job stands in one of two indexes: the few with a say of their own are found without walking the others. A job that no
 * trigger made pays for one empty column.
 */
const TABLES = `
  CREATE TABLE checkpoint (
    one INTEGER PRIMARY KEY CHECK (one = 1), log_id TEXT NOT NULL, position TEXT NOT NULL, stream TEXT NOT NULL,
    revision INTEGER NOT NULL, event_id TEXT NOT NULL, version INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE jobs (
    place TEXT PRIMARY KEY, id TEXT NOT NULL, type TEXT NOT NULL, queue TEXT NOT NULL, channel TEXT NOT NULL,
    trigger TEXT NOT NULL, phase TEXT NOT NULL, end_place TEXT NOT NULL, keep_until INTEGER, depends_on TEXT NOT NULL, state TEXT NOT NULL,
    expunged INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX jobs_live ON jobs (place) WHERE phase IN ('waiting', 'leased');
  CREATE INDEX jobs_bad ON jobs (place) WHERE phase IN ('failed', 'cancelled');
  CREATE INDEX jobs_of_trigger ON jobs (trigger, place) WHERE trigger <> '';
  CREATE INDEX jobs_ended ON jobs (end_place) WHERE end_place <> '' AND keep_until IS NULL;
  CREATE INDEX jobs_own_say ON jobs (end_place) WHERE end_place <> '' AND keep_until IS NOT NULL;
  CREATE TABLE edges (
    dependency TEXT NOT NULL, dependent TEXT NOT NULL, PRIMARY KEY (dependency, dependent)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE tombstones (
    id TEXT PRIMARY KEY, outcome TEXT NOT NULL, place TEXT NOT NULL, segment TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE texts (name TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE kept (position TEXT PRIMARY KEY, about TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE kept_parts (
    position TEXT NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, UNIQUE (position, part)
  ) STRICT;
`

const TABLE_NAMES = ['checkpoint', 'jobs', 'edges', 'tombstones', 'texts', 'kept', 'kept_parts']

/** Opens the file; one that is damaged, of another version or no database at all is deleted and made anew. */
export function openViewsFile(path: string): Database {
  if (!existsSync(dirname(path))) throw new StoreUnavailable(`${path}: there is no directory ${dirname(path)}.`)
  try {
    return tryOpen(path) ?? recreate(path)
  } catch (error) {
    if (isDamage(error)) return recreate(path)
    throw toStoreError(error, path)
  }
}

export function deleteViewsFile(path: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
}

function recreate(path: string): Database {
  deleteViewsFile(path)
  const db = tryOpen(path)
  if (db === undefined) throw new StoreUnusable(`${path}: the file for views was replaced while it was made.`)
  return db
}

/** Another handle on a file that is known to be sound. */
export function connectViews(path: string, timeout: number = BUSY_MS): Database {
  const Driver = loadDriver()
  const db = new Driver(path, { timeout, readonly: false, fileMustExist: true })
  db.pragma('synchronous = NORMAL')
  return db
}

/** Undefined: a views file of another version. */
function tryOpen(path: string): Database | undefined {
  if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600))
  const db = connectViews(path, OPENING_BUSY_MS)
  try {
    const fits = prepareFile(db, path)
    db.pragma(`busy_timeout = ${BUSY_MS}`)
    if (fits) return db
    db.close()
    return undefined
  } catch (error) {
    db.close()
    throw error
  }
}

/** Takes the write lock only for a new file: another process may be in the middle of a long save. */
function prepareFile(db: Database, path: string): boolean {
  // Rows are wide, and inner pages hold whole ones: twice the default saves a tenth. Takes effect on a new file only.
  db.pragma('page_size = 8192')
  useWal(db)
  if (isEmpty(db)) create(db)
  const id = db.pragma('application_id', { simple: true })
  if (id !== APPLICATION_ID) {
    throw new StoreUnusable(
      `${path}: expected a file for views, found another program's database (application id ${id}).`,
    )
  }
  if (db.pragma('user_version', { simple: true }) !== VIEWS_VERSION) return false
  // Reads a page of each table: gross damage shows here, not in the middle of a query.
  for (const table of TABLE_NAMES) db.prepare(`SELECT * FROM ${table} LIMIT 1`).get()
  return true
}

function isEmpty(db: Database): boolean {
  const tables = db.prepare('SELECT count(*) FROM sqlite_schema').pluck(true).get()
  return tables === 0 && db.pragma('application_id', { simple: true }) === 0
}

function create(db: Database): void {
  db.exec('BEGIN IMMEDIATE')
  // Somebody else may have been faster.
  if (isEmpty(db)) {
    db.exec(`${TABLES}; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${VIEWS_VERSION}`)
  }
  db.exec('COMMIT')
}
