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
  /** The type computes the timeout of each run; `timeoutMs` is for runtimes that do not know the type's function. */
  readonly timeoutBy?: 'type'
  /** Which errors are tried again; absent: every one that does not say otherwise. */
  readonly retryOn?: 'recoverable-only'
  /** How long after its end retention leaves it alone, whatever its rules say, and then removes it (ms); null: for ever. */
  readonly retainMs?: number | null
  /** Started by a person, not by the course of things. */
  readonly manual?: true
  /** At most `limit` runs at once of all jobs with this key. */
  readonly concurrency?: KeyLimit
  readonly trigger?: TriggerOrigin
  /** Stands for several firings that came close together. */
  readonly debounced?: true
  /** Triggers in whose course it came to be, before its own. One that is among them does not fire for what this job does. */
  readonly chain?: readonly string[]
}

/** The trigger that made a job, and for which occurrence (ms). */
export interface TriggerOrigin {
  readonly id: string
  readonly occurrence: number
  /** The body of `Queued` is `{ payload, event }`: `event` is the document that was published. */
  readonly event?: true
  /** It was under way from the start, at a client that lives elsewhere: a lost lease is its end. */
  readonly client?: true
}

/** Jobs that share a key, and how many of them may run at once. */
export interface KeyLimit {
  readonly key: string
  readonly limit: number
}

/** For whom and within what a job was enqueued. */
export interface JobOrigin {
  readonly user?: string
  /** W3C trace context of the enqueuer. */
  readonly traceparent?: string
  readonly tracestate?: string
  readonly baggage?: string
}

export interface Queued extends JobFacts {
  /** Version of the program that enqueued it. */
  readonly codeVersion?: string
  /** Version of the payload's shape, as its type counts them; absent: 1. */
  readonly payloadVersion?: number
  /** The claim stream that keeps it the only one of its key. */
  readonly unique?: string
  readonly context?: JobOrigin
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
  /** There was no further attempt because where it ran there are at most so many. */
  readonly ceiling?: number
}

export type JobOutcome = 'succeeded' | 'failed' | 'cancelled'

export interface Retried {
  readonly runAt: number
  readonly by: 'policy' | 'operator' | 'lease-lost'
  /** A new round, from an ended job: what the job is, so that a projection that has let go of it can take it up again. */
  readonly job?: JobFacts & {
    readonly run: number
    readonly queuedAt: number
    readonly outcome: JobOutcome
    /** Revision of the event whose body is the payload; absent: 0. */
    readonly payloadAt?: number
    /** Of the rounds before. */
    readonly error?: string
    readonly startedAt?: number
  }
}

export interface Finished {
  readonly outcome: 'succeeded' | 'failed'
  /** Name of the error that ended it. */
  readonly error?: string
  /** The handler gave up without an error: nothing is wrong, and there is no result. */
  readonly aborted?: true
}

export interface Cancelled {
  readonly by: 'operator' | 'dependency'
  readonly reason?: string
}

export interface Released {
  readonly token: string
  readonly runAt?: number
  /** Absent: its worker shut down. */
  readonly by?: 'snooze' | 'requeue'
}

export interface Rescheduled {
  readonly runAt?: number
  readonly priority?: number
  readonly held?: boolean
  /** The body is its new payload. */
  readonly payload?: true
  /** On a store that appends to one stream at a time: a dependency had ended before the job was there, and nobody had seen it. */
  readonly ended?: { readonly id: string; readonly outcome: JobOutcome }
  readonly payloadVersion?: number
}

/** The rule that erased the bodies of this stream and, by revision, the hex sha256(salt || content) of each. */
export interface Expunged {
  readonly rule: string
  /** When the job was first queued: with its id the place of its row. */
  readonly queuedAt?: number
  readonly hashes: Readonly<Record<string, string>>
}

/**
 * It is about to be removed: whoever comes to depend on it from now on goes by its outcome, and removal then knows of all
 * who came before. A retry calls it off.
 */
export interface Condemned {
  /** Name of the retention rule; absent: an operator. */
  readonly rule?: string
  /** The archived segment that has all of its events but this one. */
  readonly segment?: string
  /** On a store that appends to one stream at a time: its stream leaves the log, and nothing calls that off any more. */
  readonly leaves?: true
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
  Condemned: Condemned
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
  'Condemned',
]

/**
 * Made by `jobledger copy`, and taken out at once, to burn the name of a job that was removed. A store that shows what was taken
 * out until it tidies up shows this; no job begins with it.
 */
export const NAME_TAKEN = 'NameTaken'

const PREFIX = 'job-'
export const jobStream = (id: string): string => PREFIX + id
export const isJobStream = (stream: string): boolean => stream.startsWith(PREFIX)
export const jobIdOf = (stream: string): string => stream.slice(PREFIX.length)
