/** The tables that are offered for SQL. They are an interface: see docs/read-models.md. All times are ms since the epoch. */

export type Cell = string | number | null
/** Cells in the order of the table's columns. */
export type Row = readonly Cell[]

export type ColumnType = 'text' | 'integer' | 'real'

export interface Table {
  readonly name: string
  readonly columns: readonly (readonly [name: string, type: ColumnType, absent?: 'null'])[]
  readonly key: readonly string[]
  /** Columns that no event changes once the row is there: they, and the indexes that have nothing else, are left alone. */
  readonly fixed?: readonly string[]
}

/** Raise it when a table changes, or the meaning of what is in one: what is kept is then built again from the log. */
export const READ_MODELS_VERSION = 4

/** Beside these an adapter keeps `seq` (the order in which jobs were queued in the log) and `archived`. */
export const JOBS: Table = {
  name: 'jobs',
  columns: [
    ['id', 'text'],
    ['place', 'text'],
    ['type', 'text'],
    ['queue', 'text'],
    ['channel', 'text'],
    ['name', 'text', 'null'],
    ['priority', 'integer'],
    ['state', 'text'],
    ['error', 'text', 'null'],
    ['error_message', 'text', 'null'],
    ['reason', 'text', 'null'],
    ['user_id', 'text', 'null'],
    ['trigger', 'text', 'null'],
    ['manual', 'integer'],
    ['queued_at', 'integer'],
    ['run_at', 'integer', 'null'],
    ['started_at', 'integer', 'null'],
    ['ended_at', 'integer', 'null'],
    ['wait_ms', 'integer', 'null'],
    ['run_ms', 'integer', 'null'],
    ['run', 'integer'],
    ['attempt', 'integer'],
    ['max_attempts', 'integer', 'null'],
    ['worker_id', 'text', 'null'],
    ['progress', 'real', 'null'],
    ['correlation_id', 'text', 'null'],
    ['code_version', 'text', 'null'],
  ],
  key: ['id'],
  fixed: ['place', 'type', 'queue', 'channel', 'name', 'trigger', 'manual', 'queued_at'],
}

export const ATTEMPTS: Table = {
  name: 'attempts',
  columns: [
    ['job_id', 'text'],
    ['run', 'integer'],
    ['attempt', 'integer'],
    ['round', 'integer'],
    ['type', 'text'],
    ['queue', 'text'],
    ['channel', 'text'],
    ['worker_id', 'text', 'null'],
    ['started_at', 'integer'],
    ['ended_at', 'integer', 'null'],
    ['wait_ms', 'integer', 'null'],
    ['run_ms', 'integer', 'null'],
    ['outcome', 'text', 'null'],
    ['cause', 'text', 'null'],
    ['error', 'text', 'null'],
    ['error_message', 'text', 'null'],
    ['retry_at', 'integer', 'null'],
    ['code_version', 'text', 'null'],
  ],
  key: ['job_id', 'run', 'round'],
  fixed: ['type', 'queue', 'channel'],
}

export const TRIGGERS: Table = {
  name: 'triggers',
  columns: [
    ['id', 'text'],
    ['kind', 'text'],
    ['type', 'text'],
    ['queue', 'text'],
    ['channel', 'text'],
    ['state', 'text'],
    ['next_at', 'integer', 'null'],
    ['fired', 'integer'],
    ['timed', 'integer'],
    ['missed', 'integer'],
    ['last_fired_at', 'integer', 'null'],
    ['last_late_ms', 'integer', 'null'],
    ['late_ms_sum', 'integer'],
    ['late_ms_max', 'integer'],
  ],
  key: ['id'],
}

export const WORKERS: Table = {
  name: 'workers',
  columns: [
    ['id', 'text'],
    ['host', 'text', 'null'],
    ['pid', 'integer', 'null'],
    ['state', 'text'],
    ['registered_at', 'integer'],
    ['last_seen_at', 'integer'],
    ['stopped_at', 'integer', 'null'],
    ['slots', 'integer'],
    ['runs', 'integer'],
    ['busy_ms', 'integer'],
  ],
  key: ['id'],
}

/** What is given of it is added to what is kept. */
export const QUEUE_MINUTES: Table = {
  name: 'queue_minutes',
  columns: [
    ['minute', 'integer'],
    ['queue', 'text'],
    ['type', 'text'],
    ['channel', 'text'],
    ['queued', 'integer'],
    ['started', 'integer'],
    ['succeeded', 'integer'],
    ['failed', 'integer'],
    ['cancelled', 'integer'],
    ['retried', 'integer'],
    ['lost', 'integer'],
    ['ended', 'integer'],
    ['wait_ms_sum', 'integer'],
    ['run_ms_sum', 'integer'],
  ],
  key: ['minute', 'queue', 'type', 'channel'],
}

/** A value at a declared path of a job's payload, as text. */
export interface PathValue {
  readonly path: string
  readonly value: string
}

/** What a slice of the log changes, brought together: one row for a job, however much has happened to it. */
export interface RowChanges {
  /** By job id; new ones in the order in which they were queued. */
  readonly jobs: ReadonlyMap<string, Row>
  readonly attempts: Iterable<Row>
  readonly triggers: Iterable<Row>
  readonly workers: Iterable<Row>
  readonly minutes: Iterable<Row>
  /** By job id: in place of those that are kept of the job. */
  readonly paths: ReadonlyMap<string, readonly PathValue[]>
  /** After all that: texts of errors and values of payloads of these jobs are erased. */
  readonly expunged: readonly string[]
  /** Their streams lie in a segment now: job id -> its name. */
  readonly archived: ReadonlyMap<string, string>
  /** Their rows go. */
  readonly removed: readonly string[]
  /** Kept for the projection itself: states that it needs to go on, by stream. */
  readonly folds: ReadonlyMap<string, string>
}

export const NO_CHANGES: RowChanges = {
  ...{ jobs: new Map(), attempts: [], triggers: [], workers: [], minutes: [], paths: new Map() },
  ...{ expunged: [], archived: new Map(), removed: [], folds: new Map() },
}
