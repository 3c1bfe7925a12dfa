/** What has happened to a job before a story begins, in short: what is left out is filled in from what was before. */
import type { Draft } from '../../domain/event.js'
import type {
  Cancelled,
  Failed,
  Heartbeat,
  JobEventMap,
  JobEventType,
  Leased,
  Released,
} from '../../domain/job/events.js'
import type { JobState, Lease } from '../../domain/job/evolve.js'
import { toFailure } from '../../runtime/work/run/failure.js'
import { DEFAULT_MAX_BODY, encode } from '../../runtime/write/codec.js'
import type { EnqueueOptions, JobType } from '../../runtime/write/contract.js'

/** Begins a job, as `enqueue` would. */
export interface Beginning {
  readonly kind: 'enqueue'
  readonly job: JobType
  readonly payload: unknown
  readonly options: EnqueueOptions | undefined
}

type PastFact = Omit<Draft<JobEventType>, 'stream'>

/** Goes on with the job that was begun last. */
export interface Continuation {
  readonly kind: 'record'
  /** The facts of one decision, as they follow from the job's state at `now`. */
  readonly facts: (job: JobState, now: number) => readonly PastFact[]
}

export type PastEvent = Beginning | Continuation

/** The job of this history; with several, the others follow with their own events. */
export function queued<Payload>(job: JobType<Payload, unknown>, payload: Payload, options?: EnqueueOptions): PastEvent {
  return { kind: 'enqueue', job: job as JobType, payload, options }
}

/** A worker somewhere has it; its lease runs out after 30 s, its token is `token-<run>`. */
export function leased(facts: Partial<Leased> = {}): PastEvent {
  return record('Leased', ({ run, attempt }, now) => ({
    ...{ token: `token-${run + 1}`, workerId: 'somewhere', run: run + 1, attempt: attempt + 1 },
    expiresAt: now + LEASE_MS,
    ...facts,
  }))
}

/** The lease is extended by 30 s. `partial`: what is done so far. */
export function heartbeat(facts: Partial<Heartbeat> = {}, partial?: unknown): PastEvent {
  return record(
    'Heartbeat',
    ({ lease }, now) => ({ token: tokenOf(lease), expiresAt: now + LEASE_MS, ...facts }),
    partial,
  )
}

/** The run has failed, and the job is tried again: at once, or at `runAt` (ms). */
export function failed(error: Error = new Error('failed'), { runAt }: { readonly runAt?: number } = {}): PastEvent {
  return {
    kind: 'record',
    facts: (job, now) => [
      failure(job, error, true),
      { type: 'Retried', data: { runAt: runAt ?? now, by: 'policy' } satisfies JobEventMap['Retried'] },
    ],
  }
}

/** The run has failed and was the last: the job is a dead letter. */
export function failedForGood(error: Error = new Error('failed')): PastEvent {
  return {
    kind: 'record',
    facts: (job) => [
      failure(job, error, false),
      { type: 'Finished', data: { outcome: 'failed', error: error.name } satisfies JobEventMap['Finished'] },
    ],
  }
}

/** It has succeeded, with this result. */
export function finished(result?: unknown): PastEvent {
  return record('Finished', () => ({ outcome: 'succeeded' }), result)
}

/** The lease was given back, the attempt is not spent. */
export function released(facts: Partial<Released> = {}): PastEvent {
  return record('Released', ({ lease }) => ({ token: tokenOf(lease), ...facts }))
}

export function cancelled(facts: Partial<Cancelled> = {}): PastEvent {
  return record('Cancelled', () => ({ by: 'operator', ...facts }))
}

const LEASE_MS = 30_000

function record<Type extends JobEventType>(
  type: Type,
  facts: (job: JobState, now: number) => JobEventMap[Type],
  body?: unknown,
): PastEvent {
  return { kind: 'record', facts: (job, now) => [{ type, data: facts(job, now), ...bodyOf(body, type) }] }
}

function failure({ run, attempt, lease }: JobState, thrown: Error, retryable: boolean): PastFact {
  const { cause, error, details } = toFailure(thrown, 'error')
  const data: Failed = {
    ...(lease !== undefined && { token: lease.token }),
    ...{ run, attempt: lease?.attempt ?? attempt, cause, error, retryable },
  }
  return { type: 'Failed', data, body: details }
}

function bodyOf(value: unknown, path: string): { body?: string | Uint8Array } {
  const body = encode(value, path, DEFAULT_MAX_BODY, true)
  return body === undefined ? {} : { body }
}

/** Without a lease the event cannot follow, and is refused for that. */
const tokenOf = (lease: Lease | undefined): string => lease?.token ?? ''
