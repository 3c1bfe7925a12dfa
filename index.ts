export { currentJob } from './adapters/node/current-job.js'
export type { OpenLedgerOptions } from './adapters/open-ledger.js'
export { openLedger } from './adapters/open-ledger.js'
export { NoteUnreadable } from './domain/audit/errors.js'
export type { BackoffOptions } from './domain/backoff.js'
export { backoffPresets } from './domain/backoff.js'
export type { Duration } from './domain/duration.js'
export { IllegalEvent, InvalidOption, InvalidPayload, JobledgerError } from './domain/errors.js'
export type { Body, ErasedBody, Metadata, NewEvent, Position, RecordedEvent } from './domain/event.js'
export type { Instant } from './domain/instant.js'
export type { RemovalFacts } from './domain/rejection.js'
export {
  DebounceFull,
  DependencyCycle,
  DependencyUnknown,
  FiringMissed,
  JobArchived,
  JobEnded,
  JobExists,
  JobExpunged,
  JobNeeded,
  JobNotEnded,
  JobNotFailed,
  JobNotPending,
  JobNotUnique,
  JobRemoved,
  JobRunning,
  JobUnknown,
  KeyAtLimit,
  LeaseLost,
  RateLimited,
  TriggerKindMismatch,
  TriggerNotActive,
  TriggerUnknown,
  WorkerBusy,
  WorkerNotActive,
  WorkerUnknown,
} from './domain/rejection.js'
export type { Combine, Misfire } from './domain/trigger/events.js'
export type { EventRule } from './domain/trigger/match.js'
export type { TriggerKind } from './domain/trigger/schedule.js'
export { UnknownVersion } from './domain/upcast.js'
export { WorkerGone } from './domain/worker/decide.js'
export type { AttemptRecord } from './projections/attempts.js'
export type { Step } from './projections/course-of-runs.js'
export type { Deed, DeedEntry, DeedName } from './projections/deeds.js'
export type { Difference, Next } from './projections/diff/difference.js'
export type { Explanation, Reason } from './projections/explanation.js'
export type { Projection } from './projections/fold.js'
export type { JobStatusName } from './projections/job-status.js'
export type { KeyExplanation, Skipped, TriggerExplanation } from './projections/why-refused.js'
export type { WaitReason } from './projections/why-waiting.js'
export type { ArchiveReport, ArchiveRun } from './runtime/archive/archiver.js'
export { ArchiveMissing, SegmentDamaged, SegmentMissing } from './runtime/archive/errors.js'
export type { Archives } from './runtime/archives.js'
export { AuditKeyMissing, LogDiffers, ProofUnavailable } from './runtime/audit/errors.js'
export type { AuditFinding } from './runtime/audit/findings.js'
export type { AuditOptions } from './runtime/audit/options.js'
export type { Signer } from './runtime/audit/signer.js'
export type { AuditReport, VerifyProgress } from './runtime/audit/verifier.js'
export type {
  Audit,
  AuditKey,
  CheckpointInfo,
  ProveOptions,
  ProveTarget,
  VerifyOptions,
} from './runtime/audit.js'
export type { Priority } from './runtime/checks.js'
export type { DeadLetterChoice, DeadLetterFilter, DeadLetters, Retried } from './runtime/dead-letters.js'
export {
  ChildDied,
  DuplicatePool,
  DuplicateType,
  EnqueueRefused,
  InitFailed,
  JobCancelled,
  JobFailed,
  JobSkipped,
  LeaseTimeout,
  LedgerClosed,
  ModuleUnusable,
  NoHandlers,
  NotInChild,
  PauseUnsettled,
  RoleRequired,
  ShuttingDown,
  StreamRemoved,
  StreamUnreadable,
  Timeout,
  TransactionConflict,
  UnknownType,
} from './runtime/errors.js'
export { ExportExists, ImportDamaged, ImportPartial } from './runtime/export/errors.js'
export type { Exported, ExportOptions } from './runtime/export/export.js'
export type { AsOf, PendingFilter } from './runtime/history/as-of.js'
export type { EventFilter, RangeOptions, ReplayOptions } from './runtime/history/checks.js'
export type { CandidatePolicy, Candidates, DiffOptions } from './runtime/history/diff.js'
export type { Moment, Place } from './runtime/history/moment.js'
export type { RebuildOptions, RebuildProgress, RebuiltProjection } from './runtime/history/rebuild.js'
export type { ReplayStep } from './runtime/history/replay.js'
export type { Ledger } from './runtime/ledger.js'
export type { CancelOptions, CloseOptions, LedgerOptions, RescheduleOptions } from './runtime/options.js'
export type { Clock } from './runtime/ports/clock.js'
export type {
  AppendGroup,
  AppendOutcome,
  Batch,
  EventRef,
  EventStore,
  ExpectedRevision,
  ReadAllOptions,
  ReadStreamOptions,
  StoreCapabilities,
  TransactionalAppend,
} from './runtime/ports/event-store.js'
export { StoreClosed, StoreRefused, StoreUnavailable, StoreUnusable } from './runtime/ports/event-store.js'
export type { Ids } from './runtime/ports/ids.js'
export type { Logger } from './runtime/ports/logger.js'
export type { QueryRow } from './runtime/ports/read-models.js'
export { QueryInvalid, QueryWrites } from './runtime/ports/read-models.js'
export type {
  ArchivedFilter,
  ArchivedRow,
  Checkpoint,
  EndedFilter,
  JobRow,
  JobRowFilter,
  Kept,
  Tombstone,
  Views,
} from './runtime/ports/views.js'
export type { QueueLimitOptions, QueuePauseOptions, QueueStatsOptions, Queues } from './runtime/queues.js'
export type { DeedFilter, DeedPage } from './runtime/read/deeds.js'
export type { DependencyError, DependencyResult } from './runtime/read/dependencies.js'
export type { Explain, TriggerQuestion, UniqueQuestion } from './runtime/read/explainer.js'
export type { ListFilter } from './runtime/read/listing.js'
export type { HistoryEntry, JobPage, JobStatus, JobSummary, QueueCounts } from './runtime/read/queries.js'
export type {
  CauseRetries,
  Flow,
  Kpis,
  PendingJob,
  Punctuality,
  Throughput,
  Times,
  TypeFailures,
  WorkerUse,
} from './runtime/report/answers.js'
export type { AnyProjection, ProjectionOptions } from './runtime/report/definition.js'
export { defineProjection } from './runtime/report/definition.js'
export type { QueryCall, QueryParameter } from './runtime/report/models.js'
export type { ProjectionFailure } from './runtime/report/projection-runner.js'
export type { ProjectionStatus, ProjectionView } from './runtime/report/projections.js'
export type {
  LaneFilter,
  OldestOptions,
  ReportOptions,
  ThroughputOptions,
  TimesOptions,
} from './runtime/report/report-options.js'
export type { Reports } from './runtime/report/reports.js'
export type { FoundJob, Newest, SearchPage } from './runtime/report/search.js'
export type { FoundState, SearchFilter, Span } from './runtime/report/search-options.js'
export type { Spread } from './runtime/report/spread.js'
export type {
  PoolCeilings,
  PoolOptions,
  PoolSettings,
  StartOptions,
  TypeOverrideOptions,
} from './runtime/start-options.js'
export type { TransactionalLedger } from './runtime/transactional.js'
export type { TriggerChanges } from './runtime/trigger/changes.js'
export type { TriggerInfo, TriggerMark, TriggerReport } from './runtime/trigger/info.js'
export type { TriggerFilter } from './runtime/trigger/listing.js'
export type {
  DebounceOptions,
  TriggerJobOptions,
  TriggerOptions,
  TriggerTimes,
} from './runtime/trigger/options.js'
export type { PublishedEvent, PublishOutcome } from './runtime/trigger/published.js'
export type { FireOptions, Firing, LaunchOptions } from './runtime/trigger/requests.js'
export type { AddedTrigger, NewTrigger, Triggers } from './runtime/triggers.js'
export type { Removed, RemoveOptions } from './runtime/upkeep/removal.js'
export type {
  RetentionCounts,
  RetentionOptions,
  RetentionReport,
  RetentionRule,
  RetentionRun,
} from './runtime/upkeep/retention.js'
export type { JobLease, LeaseOptions } from './runtime/work/desk/lease-desk.js'
export type { FailOptions, HeartbeatOptions, LeasedJob, StaleLease } from './runtime/work/desk/lease-protocol.js'
export type { PauseOptions, RegisterOptions, WorkerInfo, WorkerRemoveOptions } from './runtime/work/desk/worker-desk.js'
export type { IsolatedContext, JobContext, JobTrigger } from './runtime/work/run/context.js'
export type { JobDefaults, JobDefinition, RunFacts } from './runtime/work/run/definition.js'
export { defineJob } from './runtime/work/run/definition.js'
export { Abort, BadTrigger, Fatal, Recoverable, RetryAt } from './runtime/work/run/handler-errors.js'
export type { EnqueueFacts, InitTools, JobHooks, RunEnd } from './runtime/work/run/hooks.js'
export type { IsolateOptions } from './runtime/work/run/isolated.js'
export type { TypeInfo } from './runtime/work/run/job-types.js'
export type { LogLine } from './runtime/work/run/log-relay.js'
export type {
  BatchElement,
  DependencyOption,
  Enqueueing,
  EnqueueOptions,
  JobHandle,
  JobType,
  QueueDefaults,
  TraceCarrier,
  UniqueOptions,
} from './runtime/write/contract.js'
export type { ConcurrencyOptions, RateLimitOptions } from './runtime/write/limits.js'
export type { Actor } from './runtime/write/speaker.js'
