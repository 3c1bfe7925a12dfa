/** The facts of a job's events. Storage format: see `../event.ts` for the rules under which it may grow. */
import type { Backoff } from '../backoff.js'
import type { NewEvent, RecordedEvent } from '../event.js'

/** `finished`: any end but a cancel meets the edge. `succeeded`: only success does. */
export type EdgeCondition = 'finished' | 'succeeded'
/** What a job does when an edge can no longer be met: stay blocked, be cancelled, or run all the same. */
export type EdgeFallback = 'block' | 'cancel' | 'run'

export interface DependencyEdge {
  readonly id: string
  readonly on: EdgeCondition
  readonly otherwise: EdgeFallback
  /** What was already true of the dependency when this was recorded; absent while it was still open. */
  readonly now?: 'met' | 'failed'
}

/** What a job is, as its worker and the pending index need it. Absent: name none, channel '', priority 0, runAt at once. */
export interface JobFacts {
  readonly type: string
  readonly queue: string
  readonly channel?: string
  readonly name?: string
  /** Lower first. */
  readonly priority?: number
  /** Not before this instant (ms). */
  readonly runAt?: number
  /** Waits until somebody promotes it. */
  readonly held?: true
  readonly dependsOn?: readonly DependencyEdge[]
  /** All attempts, the first included; null is unlimited. */
  readonly maxAttempts: number | null
  readonly backoff: Backoff
  /** Of one run; null is none. */
  readonly timeoutMs: number | null
}

export interface Queued extends JobFacts {
  /** Version of the program that enqueued it. */
  readonly codeVersion?: string
}

export interface Leased {
  readonly token: string
  readonly workerId: string
  /** 1, 2, 3 ... over the job's whole life. */
  readonly run: number
  /** Counts against maxAttempts; starts again with each round. */
  readonly attempt: number
  readonly expiresAt: number
  readonly codeVersion?: string
}

export interface Heartbeat {
  readonly token: string
  readonly expiresAt: number
  /** 0..1, or whatever number the handler counts in. */
  readonly progress?: number
}

export type FailureCause = 'error' | 'timeout' | 'lease-lost' | 'not-started' | 'invalid-payload'

export interface Failed {
  readonly token?: string
  readonly run: number
  readonly attempt: number
  readonly cause: FailureCause
  /** Name of the error; its message and stack are the body. */
  readonly error?: string
  readonly retryable: boolean
}

export interface Retried {
  readonly runAt: number
  readonly by: 'policy' | 'operator' | 'lease-lost'
  /** A new round, from an ended job: what the job is, so that a projection that has let go of it can take it up again. */
  readonly job?: JobFacts & {
    readonly run: number
    readonly queuedAt: number
    readonly outcome: 'succeeded' | 'failed' | 'cancelled'
  }
}

export interface Finished {
  readonly outcome: 'succeeded' | 'failed'
  /** Name of the error that ended it. */
  readonly error?: string
}

export interface Cancelled {
  readonly by: 'operator' | 'dependency'
  readonly reason?: string
}

export interface Released {
  readonly token: string
  readonly runAt?: number
}

export interface Rescheduled {
  readonly runAt?: number
  readonly priority?: number
  readonly held?: boolean
}

/** The rule that erased the bodies of this stream and, by revision, the hex sha256(salt || content) of each. */
export interface Expunged {
  readonly rule: string
  readonly hashes: Readonly<Record<string, string>>
}

export interface JobEventMap {
  Queued: Queued
  Leased: Leased
  Heartbeat: Heartbeat
  Failed: Failed
  Retried: Retried
  Finished: Finished
  Cancelled: Cancelled
  Released: Released
  Rescheduled: Rescheduled
  Expunged: Expunged
}

export type JobEventType = keyof JobEventMap
/** Any event of a job as `evolve` needs it: one that is only decided yet has neither revision nor position. */
export type JobEvent = {
  [T in JobEventType]: Pick<NewEvent<T, JobEventMap[T]>, 'stream' | 'type' | 'at' | 'data'> &
    Partial<Pick<RecordedEvent, 'revision' | 'position'>>
}[JobEventType]

/** Every type there is, in the order of a life. */
export const JOB_EVENT_TYPES: readonly JobEventType[] = [
  'Queued',
  'Leased',
  'Heartbeat',
  'Released',
  'Failed',
  'Retried',
  'Finished',
  'Cancelled',
  'Rescheduled',
  'Expunged',
]

const PREFIX = 'job-'
export const jobStream = (id: string): string => PREFIX + id
export const isJobStream = (stream: string): boolean => stream.startsWith(PREFIX)
export const jobIdOf = (stream: string): string => stream.slice(PREFIX.length)
