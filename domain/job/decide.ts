/**
 * Deciders: state and command in, facts or a refusal out. They may be run again on a newer state. Instants, tokens and
 * random draws come in with the command.
 */
import type { Cause } from '../audit/events.js'
import { backoffDelay, expiresAt, tries } from '../backoff.js'
import type { JobledgerError } from '../errors.js'
import type { Draft } from '../event.js'
import {
  DependencyUnknown,
  JobEnded,
  JobExists,
  JobExpunged,
  JobNotEnded,
  JobNotPending,
  JobRemoved,
  JobRunning,
  JobUnknown,
  LeaseLost,
} from '../rejection.js'
import { isOpen, judgeEdge } from './edges.js'
import type {
  Cancelled,
  DependencyEdge,
  Failed,
  JobEventMap,
  JobEventType,
  JobFacts,
  Queued,
  Released,
  Rescheduled,
} from './events.js'
import { jobStream } from './events.js'
import type { JobState, Outcome } from './evolve.js'
import { lastingFacts } from './rare.js'

/** Facts to append, or why not. */
export type Decision = readonly Draft[] | JobledgerError

/** Lost leases of one round that a job survives. */
export const LOST_LEASE_CAP = 2

type Content = string | Uint8Array | undefined

function draft<T extends JobEventType>(
  id: string,
  type: T,
  data: JobEventMap[T],
  body?: Content,
): Draft<T, JobEventMap[T]> {
  return body === undefined ? { stream: jobStream(id), type, data } : { stream: jobStream(id), type, data, body }
}

export interface EnqueueCommand {
  readonly id: string
  readonly facts: Queued
  readonly payload: string | Uint8Array | undefined
}

/**
 * `states` answers for the job's own id and for each of its dependencies; `batch` are the ids that the same decision
 * enqueues before or after this one.
 */
export function enqueue(
  command: EnqueueCommand,
  states: (id: string) => Pick<JobState, 'outcome'> | undefined,
  batch: ReadonlySet<string>,
): Decision {
  const { id, facts, payload } = command
  if (states(id) !== undefined) return new JobExists(id, 'content')
  const edges: DependencyEdge[] = []
  for (const edge of facts.dependsOn ?? []) {
    const state = states(edge.id)
    if (state === undefined && !batch.has(edge.id)) return new DependencyUnknown(id, edge.id)
    edges.push(asOfNow(edge, state))
  }
  const data = edges.length === 0 ? facts : { ...facts, dependsOn: edges }
  const queued = draft(id, 'Queued', data, payload)
  const doomed = edges.find((edge) => edge.now === 'failed' && edge.otherwise === 'cancel')
  return doomed === undefined ? [queued] : [queued, draft(id, 'Cancelled', dependencyFailed(doomed.id))]
}

function asOfNow(edge: DependencyEdge, dependency: Pick<JobState, 'outcome'> | undefined): DependencyEdge {
  const { id, on, otherwise } = edge
  if (dependency?.outcome === undefined) return { id, on, otherwise }
  return { id, on, otherwise, now: judgeEdge(edge, dependency.outcome) }
}

const dependencyFailed = (id: string): Cancelled => ({ by: 'dependency', reason: `dependency ${id} failed` })

export interface LeaseCommand {
  readonly token: string
  readonly workerId: string
  readonly now: number
  readonly leaseMs: number
  readonly codeVersion?: string | undefined
}

/** Edges are not looked at here: once met they stay met, and the pending index offers a job only then. */
export function lease(id: string, state: JobState | undefined, command: LeaseCommand): Decision {
  if (state === undefined) return new JobUnknown(id)
  const why = whyNotPending(state, command.now)
  if (why !== undefined) return new JobNotPending(id, why)
  const { token, workerId, now, leaseMs, codeVersion } = command
  const facts = { token, workerId, run: state.run + 1, attempt: state.attempt + 1, expiresAt: now + leaseMs }
  return [draft(id, 'Leased', codeVersion === undefined ? facts : { ...facts, codeVersion })]
}

function whyNotPending(state: JobState, now: number): string | undefined {
  if (state.phase === 'leased') return 'running'
  if (state.phase !== 'waiting') return state.outcome ?? state.phase
  if (state.held) return 'held'
  return state.runAt > now ? `scheduled for ${new Date(state.runAt).toISOString()}` : undefined
}

/** The lease that `token` still holds, or the refusal. */
function holding(id: string, state: JobState | undefined, token: string): JobState | JobledgerError {
  if (state === undefined) return new JobUnknown(id)
  return state.lease?.token === token ? state : new LeaseLost(id, token)
}

export interface HeartbeatCommand {
  readonly token: string
  readonly expiresAt: number
  readonly progress?: number | undefined
  readonly partial?: Content
}

export function heartbeat(id: string, state: JobState | undefined, command: HeartbeatCommand): Decision {
  const held = holding(id, state, command.token)
  if (held instanceof Error) return held
  const { token, expiresAt, progress, partial } = command
  return [
    draft(id, 'Heartbeat', progress === undefined ? { token, expiresAt } : { token, expiresAt, progress }, partial),
  ]
}

/** `aborted`: the handler gave up without an error. */
export function finish(
  id: string,
  state: JobState | undefined,
  token: string,
  result: Content,
  aborted = false,
): Decision {
  const held = holding(id, state, token)
  if (held instanceof Error) return held
  return [draft(id, 'Finished', aborted ? { outcome: 'succeeded', aborted } : { outcome: 'succeeded' }, result)]
}

export interface Failure {
  readonly cause: Exclude<Failed['cause'], 'lease-lost' | 'not-started'>
  /** Name of the error. */
  readonly error: string
  /** JSON text { message, stack? }. */
  readonly details: string
  readonly retryable: boolean
  /** When to try again (ms), chosen by the handler: instead of the backoff's own time. */
  readonly nextRunAt?: number | undefined
}

/**
 * `draw` in [0, 1) decides the jitter; the delay it gives is recorded, so that a replay needs no randomness. `ceiling`: attempts
 * at most where the job ran, recorded where it made an end of the job.
 */
export function fail(
  id: string,
  state: JobState | undefined,
  token: string,
  failure: Failure,
  at: { readonly now: number; readonly draw: number; readonly ceiling?: number | undefined },
): Decision {
  const held = holding(id, state, token)
  if (held instanceof Error) return held
  const attempt = held.attempt + 1
  const { cause, error, retryable, details, nextRunAt } = failure
  const runAt = nextRunAt ?? at.now + backoffDelay(held.backoff, attempt, at.draw)
  const limit = tries(held.backoff, held.maxAttempts)
  const might = retryable && (limit === null || attempt < limit) && runAt <= expiresAt(held.backoff, held.roundAt)
  const { ceiling } = at
  const again = might && (ceiling === undefined || attempt < ceiling)
  const facts = { token, run: held.run, attempt, cause, error, retryable, ...(might && !again && { ceiling }) }
  return [
    draft(id, 'Failed', facts as Failed, details),
    again ? draft(id, 'Retried', { runAt, by: 'policy' }) : draft(id, 'Finished', { outcome: 'failed', error }),
  ]
}

/** The worker is gone or silent: no attempt is spent, but a job loses its leases only so often. */
export function loseLease(id: string, state: JobState | undefined, token: string, why: string, now: number): Decision {
  const held = holding(id, state, token)
  if (held instanceof Error) return held
  const error = 'LeaseLost'
  const facts = { token, run: held.run, attempt: held.attempt + 1, cause: 'lease-lost', error } as const
  const details = JSON.stringify({ message: why })
  // Nobody else can go on with what a client has begun.
  const again = held.lost < LOST_LEASE_CAP && !held.rare?.trigger?.client
  const failed = draft(id, 'Failed', { ...facts, retryable: again }, details)
  if (again) return [failed, draft(id, 'Retried', { runAt: now, by: 'lease-lost' })]
  return [failed, draft(id, 'Finished', { outcome: 'failed', error })]
}

/** Given back unspent: at shutdown, by a snooze (then with a time to run at), by a requeue. */
export function release(
  id: string,
  state: JobState | undefined,
  token: string,
  why: Pick<Released, 'by' | 'runAt'> = {},
): Decision {
  const held = holding(id, state, token)
  return held instanceof Error ? held : [draft(id, 'Released', { token, ...why })]
}

/** Counts every earlier re-run of the round, whatever it was for (C8); the job keeps its place. */
export function requeueOrFinish(
  id: string,
  state: JobState | undefined,
  token: string,
  maxRetries: number,
  result: Content,
): Decision {
  const held = holding(id, state, token)
  if (held instanceof Error) return held
  const retries = held.run - held.runsBefore - 1
  return retries < maxRetries
    ? release(id, held, token, { by: 'requeue' })
    : [draft(id, 'Finished', { outcome: 'succeeded' }, result)]
}

/** Only for a job that was never leased: it ends as failed, and what is given is kept as its result. */
export function failUnstarted(id: string, state: JobState | undefined, result: Content): Decision {
  if (state === undefined) return new JobUnknown(id)
  if (state.phase === 'leased') return new JobRunning(id)
  if (state.phase === 'ended') return new JobEnded(id, state.outcome as string)
  if (state.run > 0) return new JobNotPending(id, 'one that has run before', 'failed unstarted')
  const error = 'NotStarted'
  const facts = { run: 0, attempt: 0, cause: 'not-started', error, retryable: false } as const
  return [draft(id, 'Failed', facts), draft(id, 'Finished', { outcome: 'failed', error }, result)]
}

/** What is to change while the job waits. */
export type RescheduleCommand = Omit<Rescheduled, 'payload' | 'ended'>

export function reschedule(
  id: string,
  state: JobState | undefined,
  change: RescheduleCommand,
  payload?: Content,
): Decision {
  const waiting = whileWaiting(id, state)
  if (waiting instanceof Error) return waiting
  return [draft(id, 'Rescheduled', payload === undefined ? change : { ...change, payload: true }, payload)]
}

/** A dependency had ended by the time the job was there, as nobody could know then. */
export function noteEnded(id: string, state: JobState | undefined, ended: NonNullable<Rescheduled['ended']>): Decision {
  const isOpenYet = state?.dependsOn.some((edge) => edge.id === ended.id && edge.now === undefined)
  return isOpenYet && state?.phase === 'waiting' ? [draft(id, 'Rescheduled', { ended })] : []
}

/** Lets a held or scheduled job run as soon as its dependencies allow. */
export function promote(id: string, state: JobState | undefined, now: number): Decision {
  const waiting = whileWaiting(id, state)
  if (waiting instanceof Error) return waiting
  if (!waiting.held && waiting.runAt <= now) return []
  return [draft(id, 'Rescheduled', { runAt: now, ...(waiting.held && { held: false }) })]
}

function whileWaiting(id: string, state: JobState | undefined): JobState | JobledgerError {
  if (state === undefined) return new JobUnknown(id)
  if (state.phase === 'leased') return new JobRunning(id)
  return state.phase === 'ended' ? new JobEnded(id, state.outcome as string) : state
}

/**
 * See `Condemned`. Recorded each time, also for a job that is condemned already: only an event of one's own says that all
 * earlier dependents are known once it is folded.
 */
export function condemn(id: string, state: JobState | undefined, rule: string | undefined): Decision {
  if (state === undefined) return new JobUnknown(id)
  if (state.phase !== 'ended') return notEnded(id, state)
  return [draft(id, 'Condemned', rule === undefined ? {} : { rule })]
}

/** A condemned job is not kept after all by anything that comes now. Once: who comes second finds it gone. */
export function leave(id: string, state: JobState | undefined, cause: Cause): Decision {
  if (state === undefined) return new JobUnknown(id)
  const { condemned } = state.rare ?? {}
  if (condemned === undefined || state.phase !== 'ended') return new JobNotEnded(id, 'not condemned')
  if (condemned === 'leaving') return new JobRemoved(id, state.outcome as string)
  return [draft(id, 'Condemned', { ...cause, leaves: true })]
}

/** `hashes`: of the bodies it has, by revision. A job without any, or expunged already, is left as it is. */
export function expunge(
  id: string,
  state: JobState | undefined,
  rule: string,
  hashes: Readonly<Record<string, string>>,
): Decision {
  if (state === undefined) return new JobUnknown(id)
  if (state.phase !== 'ended') return notEnded(id, state)
  if (state.rare?.expunged || Object.keys(hashes).length === 0) return []
  return [draft(id, 'Expunged', { rule, queuedAt: state.queuedAt, hashes })]
}

const notEnded = (id: string, state: JobState): JobNotEnded =>
  new JobNotEnded(id, state.phase === 'leased' ? 'running' : 'waiting')

export interface CancelCommand extends Cancelled {
  /** Refuse when the job runs. */
  readonly ifIdle?: boolean
}

export function cancel(id: string, state: JobState | undefined, command: CancelCommand): Decision {
  if (state === undefined) return new JobUnknown(id)
  if (state.phase === 'ended') return new JobEnded(id, state.outcome as string)
  if (command.ifIdle === true && state.phase === 'leased') return new JobRunning(id)
  const { by, reason } = command
  return [draft(id, 'Cancelled', reason === undefined ? { by } : { by, reason })]
}

/**
 * A new round of an ended job, by an operator: attempts restart, history stays. Edges that failed before it are open again.
 * A held job is let go.
 */
export function retry(
  id: string,
  state: JobState | undefined,
  now: number,
  dependency: (id: string) => Pick<JobState, 'outcome'> | undefined,
): Decision {
  if (state === undefined) return new JobUnknown(id)
  if (state.phase === 'waiting' && state.held) return promote(id, state, now)
  if (state.phase !== 'ended') return notEnded(id, state)
  if (state.rare?.condemned === 'leaving') return new JobRemoved(id, state.outcome as string)
  if (state.rare?.expunged) return new JobExpunged(id)
  const dependsOn = state.dependsOn.map((edge) => edgeOfNewRound(state, edge, dependency(edge.id)))
  const { run, queuedAt, outcome, error, startedAt, rare } = state
  const job = {
    ...factsOf(state, dependsOn),
    run,
    queuedAt,
    outcome: outcome as Outcome,
    ...(error !== undefined && { error }),
    ...(startedAt > 0 && { startedAt }),
    ...(rare?.payloadAt !== undefined && { payloadAt: rare.payloadAt }),
  }
  return [draft(id, 'Retried', { runAt: now, by: 'operator', job })]
}

function edgeOfNewRound(
  state: JobState,
  edge: DependencyEdge,
  dependency: Pick<JobState, 'outcome'> | undefined,
): DependencyEdge {
  if (!isOpen(edge)) return edge
  const { id, on, otherwise } = edge
  // A met edge stays met, and a job that has run had all of its edges met.
  if (state.run > 0) return { id, on, otherwise, now: 'met' }
  const judged = asOfNow(edge, dependency)
  // It may be met yet, by a retry of the dependency; one that is to run all the same does not wait for that.
  return judged.now === 'failed' && otherwise !== 'run' ? { id, on, otherwise } : judged
}

/** The facts that a new round carries along. */
function factsOf(state: JobState, dependsOn: readonly DependencyEdge[]): JobFacts {
  const { type, queue, channel, name, priority, maxAttempts, backoff, timeoutMs, rare } = state
  return {
    type,
    queue,
    maxAttempts,
    backoff,
    timeoutMs,
    ...(channel !== '' && { channel }),
    ...(priority !== 0 && { priority }),
    ...(name !== undefined && { name }),
    ...(dependsOn.length > 0 && { dependsOn }),
    ...lastingFacts(rare),
  }
}
