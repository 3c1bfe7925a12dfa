import type { Outcome } from '../../domain/job/evolve.js'
import type { Logger } from '../ports/logger.js'

/** How one dependency of a job ended. */
export interface DependencyResult {
  readonly id: string
  /** Absent while it has not ended (an edge that lets the job run all the same). */
  readonly outcome?: Outcome
  /** What its handler returned. */
  readonly result?: unknown
}

/** What a handler is told about its run. */
export interface JobContext {
  readonly id: string
  readonly type: string
  readonly name: string | undefined
  readonly queue: string
  readonly channel: string
  /** 1, 2, 3 ... over the job's whole life. */
  readonly run: number
  /** Counts against `maxAttempts`. */
  readonly attempt: number
  readonly workerId: string
  /** Aborts when the result will not be wanted; `reason` says why: JobCancelled, LeaseLost, Timeout, ShuttingDown. */
  readonly signal: AbortSignal
  /** The ledger's logger, bound to this run. */
  readonly log: Logger
  /**
   * Records progress (any number you count in) and, if given, a partial result, and extends the lease. The engine extends
   * it anyway; call this to be seen. Rejects with LeaseLost once the run is not ours any more.
   */
  heartbeat(progress?: number, partial?: unknown): Promise<void>
  /** Outcomes and results of the jobs this one depends on, in the order they were named. */
  dependencies(): Promise<DependencyResult[]>
}
