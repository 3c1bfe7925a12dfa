import type { Backoff } from '../backoff.js'
import { DEFAULT_BACKOFF } from '../backoff.js'
import { IllegalEvent } from '../errors.js'
import type { Position } from '../event.js'
import { judgeEdge } from './edges.js'
import type { DependencyEdge, Failed, JobEvent, JobFacts, JobOutcome, Leased, Rescheduled, Retried } from './events.js'
import { jobIdOf } from './events.js'
import type { Phase } from './lifecycle.js'
import { nextPhase } from './lifecycle.js'
import type { RareFacts } from './rare.js'
import { rareFacts, rareOf } from './rare.js'

export interface Lease {
  readonly token: string
  readonly workerId: string
  /** When it was taken (ms). */
  readonly at: number
  readonly expiresAt: number
  readonly attempt: number
  /** Last sign of life: taking it was the first. */
  readonly seenAt: number
}

export type Outcome = JobOutcome

/** All that deciders and the pending index need of a job. Small: a runtime holds one for every job that has not ended. */
export interface JobState {
  readonly id: string
  /** Of the last event folded. */
  readonly revision: number
  /** Of the first event; '' while it is only decided. */
  readonly position: Position
  readonly phase: Phase
  readonly type: string
  readonly queue: string
  readonly channel: string
  readonly name: string | undefined
  readonly priority: number
  /** 0: at once. */
  readonly runAt: number
  readonly held: boolean
  readonly dependsOn: readonly DependencyEdge[]
  readonly maxAttempts: number | null
  readonly backoff: Backoff
  readonly timeoutMs: number | null
  readonly queuedAt: number
  /** Age within a priority: when it was queued, or the instant it was last told to run at. */
  readonly since: number
  /** Runs so far, over its whole life. */
  readonly run: number
  /** Attempts that ended by themselves, in this round. */
  readonly attempt: number
  /** Leases lost in this round. */
  readonly lost: number
  /** Runs before this round, and when its first run began; 0 until then. */
  readonly runsBefore: number
  readonly roundAt: number
  readonly lease: Lease | undefined
  readonly outcome: Outcome | undefined
  /** Name of the last error. */
  readonly error: string | undefined
  /** When it was last leased, 0 if never, and when it ended, 0 if it has not. */
  readonly startedAt: number
  readonly endedAt: number
  readonly progress: number | undefined
  readonly rare: RareFacts | undefined
}

/** Shared by all jobs without dependencies. */
export const NO_EDGES: readonly DependencyEdge[] = Object.freeze([])

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** State after one more event; the one before is left as it is. Throws IllegalEvent where the machine refuses it. */
export function evolve(state: JobState | undefined, event: JobEvent): JobState {
  const before = state ?? revive(event)
  const from = before?.phase ?? 'absent'
  const phase = nextPhase(from, event.type)
  if (phase === undefined) throw new IllegalEvent(event.stream, event.type, from)
  if (before === undefined) return queued(event as JobEvent & { type: 'Queued' })
  // A copy that is then written to: merging two objects costs ten times as much, and this runs once per event.
  const after: Mutable<JobState> = { ...before }
  after.phase = phase
  after.revision = event.revision ?? before.revision + 1
  change(after, event, from)
  return after
}

function change(job: Mutable<JobState>, event: JobEvent, from: Phase): void {
  switch (event.type) {
    case 'Leased':
      return leased(job, event.data, event.at)
    case 'Heartbeat':
      job.lease = job.lease && { ...job.lease, expiresAt: event.data.expiresAt, seenAt: event.at }
      job.progress = event.data.progress ?? job.progress
      return
    case 'Failed':
      return failed(job, event.data)
    case 'Retried':
      return retried(job, event.data, from)
    case 'Finished':
      job.error = event.data.error ?? job.error
      job.attempt = job.lease?.attempt ?? job.attempt
      // It never ran, and is over all the same.
      if (job.startedAt === 0) job.startedAt = event.at
      return ended(job, event.data.outcome, event.at)
    case 'Cancelled':
      return ended(job, 'cancelled', event.at)
    case 'Released':
      job.lease = undefined
      return setRunTime(job, event.data.runAt)
    case 'Rescheduled':
      job.priority = event.data.priority ?? job.priority
      job.held = event.data.held ?? job.held
      if (event.data.ended) job.dependsOn = judged(job.dependsOn, event.data.ended)
      if (event.data.payload) job.rare = { ...job.rare, payloadAt: job.revision }
      return setRunTime(job, event.data.runAt)
    case 'Expunged':
      job.rare = { ...job.rare, expunged: true }
      return
    case 'Condemned':
      job.rare = { ...job.rare, condemned: event.data.leaves ? 'leaving' : (job.rare?.condemned ?? true) }
      return
  }
}

const judged = (
  edges: readonly DependencyEdge[],
  { id, outcome }: NonNullable<Rescheduled['ended']>,
): DependencyEdge[] =>
  edges.map((edge) => (edge.id === id && edge.now === undefined ? { ...edge, now: judgeEdge(edge, outcome) } : edge))

function leased(job: Mutable<JobState>, facts: Leased, at: number): void {
  const { token, workerId, expiresAt, attempt, run } = facts
  job.run = run
  job.startedAt = at
  job.progress = undefined
  if (job.roundAt === 0) job.roundAt = at
  job.lease = { token, workerId, at, expiresAt, attempt, seenAt: at }
}

function failed(job: Mutable<JobState>, facts: Failed): void {
  job.lease = undefined
  job.error = facts.error ?? job.error
  if (facts.cause === 'lease-lost') job.lost += 1
  else job.attempt = facts.attempt
}

function retried(job: Mutable<JobState>, facts: Retried, from: Phase): void {
  // A lost lease keeps the job's place; a failed attempt comes in again by its new run time (C8).
  if (facts.by === 'lease-lost') return
  if (from === 'ended') {
    job.attempt = 0
    job.lost = 0
    job.runsBefore = job.run
    job.roundAt = 0
    job.outcome = undefined
    job.endedAt = 0
    job.held = false
    job.progress = undefined
    if (job.rare?.condemned) job.rare = rareFacts({ ...job.rare, condemned: undefined })
  }
  job.dependsOn = facts.job?.dependsOn ?? job.dependsOn
  setRunTime(job, facts.runAt)
}

function ended(job: Mutable<JobState>, outcome: Outcome, at: number): void {
  job.lease = undefined
  job.outcome = outcome
  job.endedAt = at
}

function setRunTime(job: Mutable<JobState>, runAt: number | undefined): void {
  if (runAt === undefined) return
  job.runAt = runAt
  job.since = Math.max(runAt, job.queuedAt)
}

function queued(event: JobEvent & { type: 'Queued' }): JobState {
  return fresh(event, event.data, event.at)
}

/** A projection keeps no ended jobs: the `Retried` that opens a new round brings all that is needed to go on. */
export function revive(event: JobEvent): JobState | undefined {
  if (event.type !== 'Retried' || event.data.job === undefined) return undefined
  const { run, queuedAt, outcome, payloadAt, error, startedAt = 0 } = event.data.job
  const job = fresh(event, event.data.job, queuedAt)
  const rare = payloadAt === undefined ? job.rare : { ...job.rare, payloadAt }
  return { ...job, run, outcome, error, startedAt, rare, phase: 'ended' }
}

function fresh(event: JobEvent, facts: JobFacts, queuedAt: number): JobState {
  return {
    id: jobIdOf(event.stream),
    revision: event.revision ?? 0,
    position: event.position ?? '',
    phase: 'waiting',
    type: facts.type,
    queue: facts.queue,
    channel: facts.channel ?? '',
    name: facts.name,
    priority: facts.priority ?? 0,
    runAt: facts.runAt ?? 0,
    held: facts.held ?? false,
    dependsOn: facts.dependsOn ?? NO_EDGES,
    maxAttempts: facts.maxAttempts,
    backoff: sharedBackoff(facts.backoff),
    timeoutMs: facts.timeoutMs,
    queuedAt,
    since: Math.max(queuedAt, facts.runAt ?? 0),
    run: 0,
    attempt: 0,
    lost: 0,
    runsBefore: 0,
    roundAt: 0,
    lease: undefined,
    outcome: undefined,
    error: undefined,
    startedAt: 0,
    endedAt: 0,
    progress: undefined,
    rare: rareOf(facts),
  }
}

/** One object for the policy that nearly every job has: 500,000 waiting jobs need not hold 500,000 copies. */
function sharedBackoff(given: Backoff): Backoff {
  const same =
    given.min === DEFAULT_BACKOFF.min &&
    given.max === DEFAULT_BACKOFF.max &&
    given.factor === DEFAULT_BACKOFF.factor &&
    given.jitter === DEFAULT_BACKOFF.jitter &&
    given.limit === undefined &&
    given.expiration === undefined
  return same ? DEFAULT_BACKOFF : given
}
