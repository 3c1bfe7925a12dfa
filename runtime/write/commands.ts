/** Every verb of a job: the streams it looks at, and the decider that answers for them. */

import type { JobledgerError } from '../../domain/errors.js'
import type { Draft } from '../../domain/event.js'
import type {
  CancelCommand,
  Decision,
  EnqueueCommand,
  Failure,
  HeartbeatCommand,
  LeaseCommand,
} from '../../domain/job/decide.js'
import * as decide from '../../domain/job/decide.js'
import { findCycle } from '../../domain/job/edges.js'
import type { DependencyEdge, Queued } from '../../domain/job/events.js'
import { jobStream } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { JobEnded, JobExists, JobNotPending } from '../../domain/rejection.js'
import type { Command, Seen, Verdict } from './command.js'

/** What became of one job of an enqueue. */
export type EnqueueOutcome = 'created' | 'duplicate'
type See = (stream: string) => Seen

const jobIn = (seen: See, id: string): JobState | undefined => seen(jobStream(id)).state as JobState | undefined

function verdict<A>(decision: Decision, answer: A): Verdict<A> {
  return decision instanceof Error ? decision : { drafts: decision as readonly Draft[], answer }
}

/** All or none. Ids that the caller made up itself in this moment cannot be taken: `fresh` saves looking. */
export function enqueue(jobs: readonly EnqueueCommand[]): Command<EnqueueOutcome[]> {
  const ids = new Set(jobs.map((job) => job.id))
  const streams = new Set(jobs.map((job) => jobStream(job.id)))
  const fresh = new Set(streams)
  for (const job of jobs) for (const edge of job.facts.dependsOn ?? []) streams.add(jobStream(edge.id))
  return { streams: [...streams], fresh, decide: (seen) => decideAll(jobs, ids, seen) }
}

const CANCELLED: Pick<JobState, 'outcome'> = { outcome: 'cancelled' }

function decideAll(jobs: readonly EnqueueCommand[], ids: ReadonlySet<string>, seen: See): Verdict<EnqueueOutcome[]> {
  const cycle = findCycle(edgesOf(jobs))
  if (cycle !== undefined) return cycle
  const drafts: Draft[] = []
  const answer: EnqueueOutcome[] = []
  const cancelled = new Set<string>()
  for (const job of jobs) {
    const decision = decide.enqueue(job, (id) => (cancelled.has(id) ? CANCELLED : jobIn(seen, id)), ids)
    if (decision instanceof JobExists) {
      const difference = differs(job, seen(jobStream(job.id)))
      if (difference !== undefined) return new JobExists(job.id, difference)
      answer.push('duplicate')
    } else if (decision instanceof Error) return decision
    else {
      for (const draft of decision) drafts.push(draft)
      // The projections meet its end before those that come after it: these must know of it from the start.
      if (decision.at(-1)?.type === 'Cancelled') cancelled.add(job.id)
      answer.push('created')
    }
  }
  return { drafts, answer }
}

function edgesOf(jobs: readonly EnqueueCommand[]): Map<string, string[]> {
  const edges = new Map<string, string[]>()
  for (const { id, facts } of jobs)
    if (facts.dependsOn)
      edges.set(
        id,
        facts.dependsOn.map((edge) => edge.id),
      )
  return edges
}

/** The first part of a job's content that is not what the stored job of that id has; undefined if it is the same job. */
function differs(job: EnqueueCommand, stored: Seen): string | undefined {
  const first = stored.events?.[0]
  // Out of memory, not read: the journal looks before it tells, and decides again.
  if (first === undefined) return 'content'
  const facts = first.data as Queued
  for (const field of ['type', 'queue', 'channel', 'name', 'priority'] as const) {
    if ((facts[field] || undefined) !== (job.facts[field] || undefined)) return field
  }
  if (edgeKey(facts.dependsOn) !== edgeKey(job.facts.dependsOn)) return 'dependsOn'
  const content = first.body !== undefined && 'content' in first.body ? first.body.content : undefined
  return sameContent(content, job.payload) ? undefined : 'payload'
}

const edgeKey = (edges: readonly DependencyEdge[] = []): string =>
  JSON.stringify(edges.map(({ id, on, otherwise }) => [id, on, otherwise]))

function sameContent(a: string | Uint8Array | undefined, b: string | Uint8Array | undefined): boolean {
  if (typeof a !== 'object' || typeof b !== 'object') return a === b
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}

function onJob(
  id: string,
  decider: (state: JobState | undefined, now: number, draw: () => number) => Decision,
): Command<void> {
  const stream = jobStream(id)
  return {
    streams: [stream],
    decide: (seen, now, draw) => verdict(decider(seen(stream).state as JobState | undefined, now, draw), undefined),
  }
}

export function lease(id: string, command: Omit<LeaseCommand, 'now'>): Command<void> {
  // Spelt out: a spread would cost as much as the decision.
  const { token, workerId, leaseMs, codeVersion } = command
  return onJob(id, (state, now) => decide.lease(id, state, { token, workerId, leaseMs, codeVersion, now }))
}

/**
 * Together with the `enqueue` that precedes it in the same tick. A job that was there before is left alone: it may be
 * blocked, or of a kind that this worker does not run.
 */
export const leaseNew = (id: string, command: Omit<LeaseCommand, 'now'>): Command<void> =>
  onJob(id, (state, now) =>
    state !== undefined && state.position !== ''
      ? new JobNotPending(id, 'not new')
      : decide.lease(id, state, { ...command, now }),
  )

export const heartbeat = (id: string, beat: Omit<HeartbeatCommand, 'expiresAt'>, leaseMs: number): Command<void> =>
  onJob(id, (state, now) => decide.heartbeat(id, state, { ...beat, expiresAt: now + leaseMs }))

export const finish = (id: string, token: string, result: string | Uint8Array | undefined): Command<void> =>
  onJob(id, (state) => decide.finish(id, state, token, result))

export const fail = (id: string, token: string, failure: Failure): Command<void> =>
  onJob(id, (state, now, draw) => decide.fail(id, state, token, failure, { now, draw: draw() }))

export const loseLease = (id: string, token: string, why: string): Command<void> =>
  onJob(id, (state, now) => decide.loseLease(id, state, token, why, now))

export const release = (id: string, token: string): Command<void> =>
  onJob(id, (state) => decide.release(id, state, token))

/** True: cancelled now. False: it had ended, and `tolerateEnded` says that this is fine. */
export function cancel(id: string, command: CancelCommand, tolerateEnded: boolean): Command<boolean> {
  const stream = jobStream(id)
  return {
    streams: [stream],
    decide(seen) {
      const decision: Decision | JobledgerError = decide.cancel(id, seen(stream).state as JobState | undefined, command)
      if (decision instanceof JobEnded && tolerateEnded) return { drafts: [], answer: false }
      return verdict(decision, true)
    },
  }
}

/** `dependencies` are the job's own, as its first event names them: they are looked at together with it. */
export function retry(id: string, dependencies: readonly string[]): Command<void> {
  const stream = jobStream(id)
  return {
    streams: [stream, ...dependencies.map(jobStream)],
    decide: (seen, now) =>
      verdict(
        decide.retry(id, seen(stream).state as JobState | undefined, now, (other) => jobIn(seen, other)),
        undefined,
      ),
  }
}
