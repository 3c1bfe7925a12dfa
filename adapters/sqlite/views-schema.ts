/** The second, disposable file. Whatever is wrong with it, it is made anew. */
import { BUSY_MS, type DisposableFile, openDisposable } from './disposable-file.js'
import { type Database, loadDriver } from './driver.js'

/** 'Jlvw'. */
const APPLICATION_ID = 0x4a6c7677
export const VIEWS_VERSION = 6

/**
 * `depends_on` is '' or the ids as JSON text, and only rows that have some have `edges`: most jobs depend on nothing and pay
 * for one empty column. A tombstone outlives the row; the edges that point at the removed job belong to its dependents.
 * An ended job stands in one of two indexes: the few with a say of their own are found without walking the others. A job that no
 * trigger made pays for one empty column. Of one that is archived `archived` has what rules go by, and it has its edges still.
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
  CREATE TABLE archived (
    place TEXT PRIMARY KEY, id TEXT NOT NULL, type TEXT NOT NULL, queue TEXT NOT NULL, channel TEXT NOT NULL,
    phase TEXT NOT NULL, end_place TEXT NOT NULL, segment TEXT NOT NULL, depends_on TEXT NOT NULL,
    expunged INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX archived_ended ON archived (end_place);
  CREATE INDEX archived_in ON archived (segment, end_place);
  CREATE TABLE texts (name TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE kept (position TEXT PRIMARY KEY, about TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE kept_parts (
    position TEXT NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, UNIQUE (position, part)
  ) STRICT;
`

const TABLE_NAMES = ['checkpoint', 'jobs', 'edges', 'tombstones', 'archived', 'texts', 'kept', 'kept_parts']

/** Another handle on a file that is known to be sound. */
export function connectViews(path: string, timeout: number = BUSY_MS): Database {
  const Driver = loadDriver()
  const db = new Driver(path, { timeout, readonly: false, fileMustExist: true })
  db.pragma('synchronous = NORMAL')
  return db
}

const VIEWS: DisposableFile = {
  ...{ what: 'views', applicationId: APPLICATION_ID, version: VIEWS_VERSION, tables: TABLES, tableNames: TABLE_NAMES },
  connect: connectViews,
}

export const openViewsFile = (path: string): Database => openDisposable(path, VIEWS)
