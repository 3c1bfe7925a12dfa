/** What callers say and are told when they enqueue. Types only; `enqueue-options.ts` checks. */
import type { BackoffOptions } from '../../domain/backoff.js'
import type { Duration } from '../../domain/duration.js'
import type { Instant } from '../../domain/instant.js'
import type { EdgeCondition, EdgeFallback } from '../../domain/job/events.js'
import type { Priority } from '../checks.js'
import type { Enqueued } from './enqueue-command.js'

/** A job type as far as an enqueue needs it; `defineJob` makes them. */
export interface JobType<Payload = unknown, Result = unknown> {
  readonly type: string
  /** Never there: carries the types for `enqueue` and `result`. */
  readonly '~types'?: { readonly payload: Payload; readonly result: Result }
}

/** Settings of a job that an enqueue, its type and its queue may give, in this order of precedence. */
export interface JobSettings {
  /** All attempts, the first included; null is unlimited. Default 20. */
  readonly maxAttempts?: number | null
  /** Wait between attempts. Default 1 s x 2^n, at most 1 h, full jitter. */
  readonly backoff?: BackoffOptions
}

/** An edge of the dependency graph. A job's id alone means `{ on: 'succeeded', otherwise: 'block' }`. */
export interface DependencyOption {
  readonly id: string
  /** `succeeded` (default): only success meets it. `finished`: failure does too, a cancel never. */
  readonly on?: EdgeCondition
  /** When it can no longer be met: `block` (default, shown by status), `cancel` this job, or `run` it all the same. */
  readonly otherwise?: EdgeFallback
}

/** At most one job of a kind at a time. */
export interface UniqueOptions {
  /** What makes two jobs the same; default: their payload, byte for byte. */
  readonly key?: string
  /** Within what: jobs of this type (default), of this queue, of this channel, or all of the ledger. */
  readonly scope?: 'type' | 'queue' | 'channel' | 'ledger'
  /** For how long from now, whatever becomes of the job. Default: until it ends. */
  readonly window?: Duration
  /**
   * What a second enqueue does: `keep` (default) leaves the first job as it is; `replace` gives it the new payload (and the
   * new run time and priority, if given) while it still waits.
   */
  readonly onDuplicate?: 'keep' | 'replace'
}

/** W3C trace context, handed on to the handler as `ctx.trace`. */
export interface TraceCarrier {
  readonly traceparent: string
  readonly tracestate?: string
  readonly baggage?: string
}

/** What an enqueue may say of one job; what is left out comes from its type, then from its queue. */
export interface EnqueueOptions extends JobSettings {
  /** The caller's own id (1 to 200 characters). The same id with the same content again answers `duplicate`. */
  readonly id?: string
  readonly queue?: string
  readonly channel?: string
  /** Shown to people; 1 to 200 characters. */
  readonly name?: string
  /** Lower first; or critical (-2), high (-1), medium (0), low (1). */
  readonly priority?: Priority
  /** Not before this instant (Date, ms since the epoch, or ISO 8601 text). */
  readonly runAt?: Instant
  /** Not before this long from now. */
  readonly delay?: Duration
  /** Waits until somebody promotes it. */
  readonly held?: boolean
  readonly dependsOn?: readonly (string | DependencyOption)[]
  readonly unique?: UniqueOptions
  /** Jobs with the same key run only so many at once. Default: the key of its type, if that has one. */
  readonly concurrencyKey?: string
  /** Runs at once of all jobs with its key, in all processes, 1 to 1,000. Default: of its type, else 1. */
  readonly concurrencyLimit?: number
  /** Of one run; null is none. */
  readonly timeout?: Duration | null
  /** How long after its end it is kept, whatever the retention rules say; null: for ever. */
  readonly retain?: Duration | null
  /** On whose behalf. Default: the user of `ledger.as`, or of the job that enqueues this one. */
  readonly user?: string
  /** Default: that of the job that enqueues this one. */
  readonly trace?: TraceCarrier
  /** Started by a person, not by the course of things. */
  readonly manual?: boolean
}

/** What a queue says of its jobs, where neither they nor their type do. */
export interface QueueDefaults extends JobSettings {
  /** Runs of this queue at once, in each process; default: as many as it has slots. */
  readonly concurrency?: number
  /** Of one run; null is none. */
  readonly timeout?: Duration | null
}

/** A job that was just enqueued. */
export interface JobHandle<Result = unknown> {
  /** Of a `duplicate` or a `replaced` one: the id of the job that was there before. */
  readonly id: string
  /**
   * `duplicate`: a job with this id and this content, or with this unique key, was there already. `replaced`: one with this
   * unique key was, and has taken over what this enqueue brought. `skipped`: the type's `before` wanted no job, and there is
   * none.
   */
  readonly outcome: Enqueued['outcome']
  /** What the handler returns. Rejects with JobFailed, JobCancelled, JobSkipped, or the signal's reason. */
  result(options?: { readonly signal?: AbortSignal }): Promise<Result>
}

/** One element of `enqueueMany`. */
export interface BatchElement<Payload = unknown> {
  readonly job: JobType<Payload, unknown>
  readonly payload: Payload
  readonly options?: EnqueueOptions
}

/** Who can be asked to enqueue. */
export interface Enqueueing {
  enqueue<Payload, Result>(
    job: JobType<Payload, Result>,
    payload: Payload,
    options?: EnqueueOptions,
  ): Promise<JobHandle<Result>>
  enqueueMany(batch: readonly BatchElement[]): Promise<JobHandle[]>
}
