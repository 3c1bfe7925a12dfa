/** The tables of a log file. Their meaning is part of the storage format: see the version. */

/** 'Jldg', in the file's header: says whose database this is, also to the `file` command. */
export const APPLICATION_ID = 0x4a6c6467

/** Raise it with a migration when a table changes. */
export const SCHEMA_VERSION = 1

/** Type of what is left of a stream's first event once it was taken out of the log. */
export const REMOVED = '$removed'

/** At most about one row of `instants` for so many ms. */
export const INSTANT_STEP = 1000

/**
 * `stream` is the position of the stream's first event; its name is stored once, with that event, which stays for ever
 * (stripped, when the stream is removed or truncated), so that neither name nor number is ever used again.
 * `seal` is the salt of the body beside it, or, without a body, the hash of the body that was erased.
 * `body` is text for JSON, a blob for bytes; it comes last, so that folds do not read over it.
 * A row (at, position) of `instants` says: the greatest `at` of all events up to that position is this one.
 */
export const TABLES: string = `
  CREATE TABLE jobledger_meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE jobledger_events (
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    name TEXT,
    type TEXT NOT NULL,
    at INTEGER NOT NULL,
    id TEXT NOT NULL,
    data TEXT NOT NULL,
    metadata TEXT,
    seal BLOB,
    body ANY
  ) STRICT;
  CREATE UNIQUE INDEX jobledger_events_by_revision ON jobledger_events (stream, revision) WHERE revision > 0;
  CREATE UNIQUE INDEX jobledger_events_by_name ON jobledger_events (name) WHERE name IS NOT NULL;
  CREATE TABLE jobledger_instants (at INTEGER PRIMARY KEY, position INTEGER NOT NULL) STRICT;
`
