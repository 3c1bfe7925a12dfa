/** The file of the tables for SQL. It is disposable: whatever is wrong with it, it is made anew. */
import {
  ATTEMPTS,
  JOBS,
  QUEUE_MINUTES,
  READ_MODELS_VERSION,
  type Table,
  TRIGGERS,
  WORKERS,
} from '../../projections/read-models/tables.js'
import { BUSY_MS, createTables, type DisposableFile, openDisposable } from './disposable-file.js'
import { type Database, loadDriver } from './driver.js'

/** 'Jlrp'. */
const APPLICATION_ID = 0x4a6c7270

/** A file that nobody else sees, and that goes with its handle. */
export const IN_MEMORY = ':memory:'

export const quotedName = (name: string): string => `"${name}"`

function columnsOf({ columns }: Table): string {
  return columns
    .map(([name, type, absent]) => `${quotedName(name)} ${type.toUpperCase()}${absent ? '' : ' NOT NULL'}`)
    .join(', ')
}

function tableSql(table: Table): string {
  return `CREATE TABLE ${table.name} (${columnsOf(table)}, PRIMARY KEY (${table.key.join(', ')})) STRICT, WITHOUT ROWID`
}

/**
 * `seq` is the rowid, so each index has it already, in 8 bytes, and is in the order of `seq` for equal values: a page of what
 * is looked for is a piece of one index. Most jobs have no channel, and pay nothing for its indexes. The instants of a run carry
 * along what else may be asked for: whoever walks them need not look at each job. Among the many that have begun those few are
 * found by an index of their own that wait again, or were cancelled: most of those had never begun.
 * The full-text index holds no text of its own; `secure-delete` makes it forget what is taken out.
 */
const TABLES = `
  CREATE TABLE checkpoint (
    one INTEGER PRIMARY KEY CHECK (one = 1), log_id TEXT NOT NULL, position TEXT NOT NULL, stream TEXT NOT NULL,
    revision INTEGER NOT NULL, event_id TEXT NOT NULL, version INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE jobs (seq INTEGER PRIMARY KEY, ${columnsOf(JOBS)}, archived TEXT, UNIQUE (id)) STRICT;
  CREATE INDEX jobs_type ON jobs (type);
  CREATE INDEX jobs_queue ON jobs (queue);
  CREATE INDEX jobs_state ON jobs (state);
  CREATE INDEX jobs_type_queue ON jobs (type, queue);
  CREATE INDEX jobs_type_state ON jobs (type, state);
  CREATE INDEX jobs_queue_state ON jobs (queue, state);
  CREATE INDEX jobs_channel ON jobs (channel) WHERE channel <> '';
  CREATE INDEX jobs_type_channel ON jobs (type, channel) WHERE channel <> '';
  CREATE INDEX jobs_queue_channel ON jobs (queue, channel) WHERE channel <> '';
  CREATE INDEX jobs_channel_state ON jobs (channel, state) WHERE channel <> '';
  CREATE INDEX jobs_queued ON jobs (queued_at);
  CREATE INDEX jobs_started ON jobs (started_at, type, queue, channel, state) WHERE started_at IS NOT NULL;
  CREATE INDEX jobs_tried ON jobs (started_at, type, queue, channel, state)
    WHERE started_at IS NOT NULL AND state IN ('waiting', 'held', 'cancelled');
  CREATE INDEX jobs_ended ON jobs (ended_at, type, queue, channel, state, started_at) WHERE ended_at IS NOT NULL;
  ${tableSql(ATTEMPTS)};
  CREATE INDEX attempts_started ON attempts (started_at);
  CREATE INDEX attempts_ended ON attempts (ended_at) WHERE ended_at IS NOT NULL;
  ${tableSql(TRIGGERS)};
  ${tableSql(WORKERS)};
  ${tableSql(QUEUE_MINUTES)};
  CREATE TABLE payload_paths (
    path TEXT NOT NULL, value TEXT NOT NULL, seq INTEGER NOT NULL, place TEXT NOT NULL, job_id TEXT NOT NULL,
    PRIMARY KEY (path, value, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX payload_paths_job ON payload_paths (seq);
  CREATE TABLE projections (
    name TEXT PRIMARY KEY, version INTEGER NOT NULL, log_id TEXT NOT NULL, position TEXT NOT NULL, stream TEXT NOT NULL,
    revision INTEGER NOT NULL, event_id TEXT NOT NULL, failure TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE projection_rows (
    projection TEXT NOT NULL, key TEXT NOT NULL, row TEXT NOT NULL, PRIMARY KEY (projection, key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE folds (stream TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE VIRTUAL TABLE error_texts USING fts5(error, error_message, content='jobs', content_rowid='seq');
  INSERT INTO error_texts (error_texts, rank) VALUES ('secure-delete', 1);
  CREATE TRIGGER jobs_error_new AFTER INSERT ON jobs WHEN new.error IS NOT NULL BEGIN
    INSERT INTO error_texts (rowid, error, error_message) VALUES (new.seq, new.error, new.error_message);
  END;
  CREATE TRIGGER jobs_error_changed AFTER UPDATE OF error, error_message ON jobs
  WHEN old.error IS NOT new.error OR old.error_message IS NOT new.error_message BEGIN
    INSERT INTO error_texts (error_texts, rowid, error, error_message)
      SELECT 'delete', old.seq, old.error, old.error_message WHERE old.error IS NOT NULL;
    INSERT INTO error_texts (rowid, error, error_message)
      SELECT new.seq, new.error, new.error_message WHERE new.error IS NOT NULL;
  END;
  CREATE TRIGGER jobs_error_gone AFTER DELETE ON jobs WHEN old.error IS NOT NULL BEGIN
    INSERT INTO error_texts (error_texts, rowid, error, error_message)
      VALUES ('delete', old.seq, old.error, old.error_message);
  END;
`

/** All that `startOver` empties, but for the minutes. */
export const DROP_ALL = `
  DELETE FROM jobs; DELETE FROM attempts; DELETE FROM triggers; DELETE FROM workers;
  DELETE FROM payload_paths; DELETE FROM folds; DELETE FROM checkpoint`

/** A handle that writes, on a file that is known to be sound. What it takes out leaves no bytes behind. */
function connectReports(path: string, timeout: number = BUSY_MS): Database {
  const db = connect(path, { timeout, readonly: false })
  db.pragma('synchronous = NORMAL')
  db.pragma('secure_delete = ON')
  db.pragma('cache_size = -32768')
  return db
}

/** A handle that only reads. */
export function connectReader(path: string): Database {
  return connect(path, { timeout: BUSY_MS, readonly: true })
}

function connect(path: string, options: { readonly timeout: number; readonly readonly: boolean }): Database {
  const Driver = loadDriver('Read models, and so queries and reports, need')
  return new Driver(path, { ...options, fileMustExist: path !== IN_MEMORY })
}

const REPORTS: DisposableFile = {
  ...{ what: 'read models', applicationId: APPLICATION_ID, version: READ_MODELS_VERSION, tables: TABLES },
  tableNames: [JOBS, ATTEMPTS, TRIGGERS, WORKERS, QUEUE_MINUTES].map(({ name }) => name),
  connect: connectReports,
}

export const openReportsFile = (path: string): Database =>
  path === IN_MEMORY ? createTables(connectReports(path), REPORTS) : openDisposable(path, REPORTS)
