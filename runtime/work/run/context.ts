import type { Duration } from '../../../domain/duration.js'
import type { Logger } from '../../ports/logger.js'
import type { DependencyError, DependencyResult } from '../../read/dependencies.js'
import type { Enqueueing, TraceCarrier } from '../../write/contract.js'

/** The trigger that made a job. */
export interface JobTrigger {
  readonly id: string
  /** When it was to fire (ms since the epoch). */
  readonly occurrence: number
  /** The document that was published, apart from the payload; absent where no single event made the job. */
  readonly event?: unknown
}

/** What a handler is told about its run. `Value`: what the type's `start` returns. */
export interface JobContext<Value = unknown> {
  readonly id: string
  readonly type: string
  readonly name: string | undefined
  readonly queue: string
  /** Where tenants are told apart. */
  readonly channel: string
  /** 1, 2, 3 ... over the job's whole life. */
  readonly run: number
  /** Counts against `maxAttempts`. */
  readonly attempt: number
  readonly workerId: string
  /** On whose behalf, if anybody's. */
  readonly user: string | undefined
  readonly trace: TraceCarrier | undefined
  /** Started by a person. */
  readonly manual: boolean
  /** The trigger that made it, if one did. */
  readonly trigger: JobTrigger | undefined
  /** Ids of the triggers in whose course it came to be, its own last. None of them fires for what this run does. */
  readonly triggers: readonly string[]
  /** The same for all jobs that come from one: its id. */
  readonly correlationId: string
  /** The job that enqueued this one. */
  readonly causationId: string | undefined
  /** Aborts when the result will not be wanted; `reason` says why: JobCancelled, LeaseLost, Timeout, ShuttingDown. */
  readonly signal: AbortSignal
  /** The ledger's logger, bound to this run; its lines also go to whoever watches `ledger.logs(id)`. */
  readonly log: Logger
  /** The ledger that runs it. What a handler enqueues, here or there, inherits user, trace and correlation. */
  readonly ledger: Enqueueing
  /** What the type's `start` has returned for this run; undefined before that, and without one. */
  readonly value: Value
  /** When this run has taken too long, and `signal` aborts; undefined without a timeout. */
  readonly deadline: Date | undefined
  /** Whether a failure of this run may be followed by another attempt, as far as the handler has said. */
  readonly retries: boolean
  /**
   * A step of the run, with a time limit of its own: what `step` comes to, or rejects with Timeout after that long, or with
   * the reason of `ctx.signal` when that aborts first. The signal given to `step` aborts then; what the step does later is
   * not heard. Rejects with InvalidOption.
   */
  withTimeout<Result>(limit: Duration, step: (signal: AbortSignal) => Result | Promise<Result>): Promise<Result>
  /**
   * Records progress (any number you count in) and, if given, a partial result, and extends the lease. The engine extends
   * it anyway; call this to be seen. Rejects with LeaseLost once the run is not ours any more.
   */
  heartbeat(progress?: number, partial?: unknown): Promise<void>
  /** Outcomes and results of the jobs this one depends on, in the order they were named. */
  dependencies(): Promise<DependencyResult[]>
  /** Those of them that failed or were cancelled, each with what failed before it. */
  dependencyErrors(): Promise<DependencyError[]>
  /** If this run fails, it was the last: the job ends as failed. */
  noRetry(): void
  /**
   * Once the handler returns, the job is given back and runs again at that time; no attempt is spent and nothing has ended.
   * Throws InvalidOption.
   */
  snooze(until: Date | Duration): void
  /**
   * Runs `effects` in the very transaction that records the success of this run, with the store's own handle (SQLite:
   * better-sqlite3's Database, and `effects` is synchronous). If it throws, the attempt has failed and none of its writes
   * remain; if the run is not ours any more, it is never called. Throws StoreRefused on a store without transactions.
   */
  finishWith<Transaction>(effects: (transaction: Transaction) => unknown): void
}

/** What a handler in a child process is told: the same, without what only the ledger's own process can give. */
export type IsolatedContext = Omit<JobContext, 'value' | 'finishWith'>
