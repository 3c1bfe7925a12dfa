/** What a job type may have done beside its handler: when its process starts, before an enqueue, before and after a run. */
import type { Logger } from '../../ports/logger.js'
import type { Enqueueing } from '../../write/contract.js'
import type { JobContext } from './context.js'

/** What `init` is given. */
export interface InitTools {
  readonly type: string
  /** The ledger's logger, with the type bound to it. */
  readonly log: Logger
  /** The ledger that will run the jobs; it can be asked to enqueue already. */
  readonly ledger: Enqueueing
  readonly codeVersion: string | undefined
  /** Aborts when nobody waits for the start any more: the ledger is stopped, or closes. */
  readonly signal: AbortSignal
}

/** A job that is about to be enqueued. */
export interface EnqueueFacts {
  /** What it is going to have, unless it turns out to be a duplicate. */
  readonly id: string
  readonly type: string
  readonly queue: string
  readonly channel: string
  readonly name: string | undefined
  readonly priority: number
  /** Not before this instant (ms since the epoch), if that is not now. */
  readonly runAt: number | undefined
  /** On whose behalf, if anybody's. */
  readonly user: string | undefined
  readonly manual: boolean
}

/** How a run has ended, as the log has it. */
export interface RunEnd {
  /**
   * `succeeded` and `failed` (an attempt) speak for themselves. `snoozed`: given back by its handler; `released`: given back
   * because the process shuts down; `cancelled`: the job was; `lost`: the lease was taken back, and somebody else may run the
   * job by now.
   */
  readonly outcome: 'succeeded' | 'failed' | 'snoozed' | 'released' | 'cancelled' | 'lost'
  /** The job has ended with this run. */
  readonly final: boolean
  /** What the handler returned, if it succeeded. */
  readonly result?: unknown
  /** What was thrown, by whomever; of a timeout, a cancel or a lost lease: Timeout, JobCancelled, LeaseLost. */
  readonly error?: unknown
  /** When it runs again (ms since the epoch): after a failed attempt that is not the last, or a snooze. */
  readonly runAt?: number
}

/** In the order in which they are called. All may be asynchronous. */
export interface JobHooks<Payload, Value> {
  /**
   * Once for each open ledger that runs this type, before its first lease of any job. Throws: `start()` rejects with
   * InitFailed, nothing is leased, and the next `start()` asks again.
   */
  readonly init?: (tools: InitTools) => unknown
  /**
   * Before each enqueue of a job of this type, in the process that enqueues it; false: nothing is stored, and the outcome is
   * `skipped`. Throws: the enqueue is refused with EnqueueRefused. Inside `ledger.tx` it must be synchronous.
   */
  readonly before?: (payload: Payload, job: EnqueueFacts) => boolean | undefined | Promise<boolean | undefined>
  /**
   * Before the handler, in each run; what it returns is `ctx.value`. Throws: as if the handler had, but neither the handler
   * nor `commit` is called.
   */
  readonly start?: (payload: Payload, ctx: JobContext) => Value | Promise<Value>
  /**
   * Once for each run whose `start`, if there is one, has come through: when the log says how the run has ended. Throws: that
   * is logged. The run keeps its slot until then, for as long again as it might have taken.
   */
  readonly commit?: (end: RunEnd, ctx: JobContext<Value>) => unknown
}
