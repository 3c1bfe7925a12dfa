export type { OpenLedgerOptions } from './adapters/open-ledger.js'
export { openLedger } from './adapters/open-ledger.js'
export type { BackoffOptions } from './domain/backoff.js'
export type { Duration } from './domain/duration.js'
export { IllegalEvent, InvalidOption, InvalidPayload, JobledgerError } from './domain/errors.js'
export type { RecordedEvent } from './domain/event.js'
export {
  DependencyCycle,
  DependencyUnknown,
  JobEnded,
  JobExists,
  JobNotEnded,
  JobNotPending,
  JobRunning,
  JobUnknown,
  LeaseLost,
} from './domain/rejection.js'
export type { JobStatusName } from './projections/job-status.js'
export {
  DuplicateType,
  JobCancelled,
  JobFailed,
  LedgerClosed,
  NoHandlers,
  ShuttingDown,
  Timeout,
} from './runtime/errors.js'
export type { BatchElement, CancelOptions, JobHandle, Ledger } from './runtime/ledger.js'
export type { CloseOptions, LedgerOptions, StartOptions } from './runtime/options.js'
export type { Clock } from './runtime/ports/clock.js'
export { StoreClosed, StoreRefused, StoreUnavailable, StoreUnusable } from './runtime/ports/event-store.js'
export type { Ids } from './runtime/ports/ids.js'
export type { Logger } from './runtime/ports/logger.js'
export type { HistoryEntry, JobPage, JobStatus, JobSummary, ListFilter, QueueCounts } from './runtime/read/queries.js'
export type { DependencyResult, JobContext } from './runtime/work/context.js'
export type { JobDefaults, JobDefinition } from './runtime/work/definition.js'
export { defineJob } from './runtime/work/definition.js'
export type { DependencyOption, EnqueueOptions } from './runtime/write/enqueue-options.js'
export { StreamRemoved } from './runtime/write/journal.js'
