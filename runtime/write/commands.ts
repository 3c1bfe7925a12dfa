/** Every verb of a job: the streams it looks at, and the decider that answers for them. */

import type { Cause, RemovedJob, SegmentBegun, StreamsRemoved } from '../../domain/audit/events.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import type { ClaimState } from '../../domain/claim/claim.js'
import { claim } from '../../domain/claim/claim.js'
import type { Taken } from '../../domain/claim/events.js'
import { limitStream } from '../../domain/claim/events.js'
import type { KeyClaim } from '../../domain/claim/key-limit.js'
import { take } from '../../domain/claim/key-limit.js'
import type { JobledgerError } from '../../domain/errors.js'
import type { Body, Draft } from '../../domain/event.js'
import type {
  CancelCommand,
  Decision,
  Failure,
  HeartbeatCommand,
  LeaseCommand,
  RescheduleCommand,
} from '../../domain/job/decide.js'
import * as decide from '../../domain/job/decide.js'
import type { Released, Rescheduled, Retried } from '../../domain/job/events.js'
import { jobIdOf, jobStream } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import {
  DependencyUnknown,
  JobEnded,
  JobNotEnded,
  JobNotPending,
  JobNotUnique,
  JobUnknown,
  KeyAtLimit,
} from '../../domain/rejection.js'
import { haveGrown, jobsRemoved, type Remnants } from '../audit/remains.js'
import type { AppendGroup } from '../ports/event-store.js'
import type { Command, Seen, Verdict } from './command.js'
import type { Findings } from './enqueue-command.js'
import { holderOf, streamsOf } from './unique.js'

type See = (stream: string) => Seen

const jobIn = (seen: See, id: string): JobState | undefined => seen(jobStream(id)).state as JobState | undefined

function verdict<A>(decision: Decision, answer: A): Verdict<A> {
  return decision instanceof Error ? decision : { drafts: decision as readonly Draft[], answer }
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

/** `claim`: for a job whose runs are limited by a key; without it such a job is refused. */
export function lease(id: string, command: Omit<LeaseCommand, 'now'>, claim?: KeyClaim): Command<void> {
  if (claim !== undefined) return leaseOfKey(id, command, claim)
  // Spelt out: a spread would cost as much as the decision.
  const { token, workerId, leaseMs, codeVersion } = command
  return onJob(
    id,
    (state, now) => unlimited(id, state) ?? decide.lease(id, state, { token, workerId, leaseMs, codeVersion, now }),
  )
}

const unlimited = (id: string, state: JobState | undefined): JobNotPending | undefined =>
  state?.rare?.concurrency === undefined ? undefined : new JobNotPending(id, 'limited by its key')

/** The run and its place among those of the key, in one commit: the key's stream decides who comes first. */
function leaseOfKey(id: string, command: Omit<LeaseCommand, 'now'>, claim: KeyClaim): Command<void> {
  const { key, limit } = claim
  const stream = limitStream(key)
  return {
    streams: [jobStream(id), stream],
    decide(seen, now) {
      const decided = verdict(decide.lease(id, jobIn(seen, id), { ...command, now }), undefined)
      if (decided instanceof Error) return decided
      const before = seen(stream).state as ClaimState<Taken> | undefined
      const taken = take(stream, before, command.token, claim)
      // Last: whoever has read it has read the lease of everyone that it names.
      return taken === undefined ? new KeyAtLimit(id, key, limit) : { ...decided, drafts: [...decided.drafts, taken] }
    },
  }
}

/**
 * Together with the `enqueue` that precedes it in the same tick. A job that was there before is left alone: it may be
 * blocked, or of a kind that this worker does not run.
 */
export const leaseNew = (id: string, command: Omit<LeaseCommand, 'now'>): Command<void> =>
  onJob(id, (state, now) =>
    state !== undefined && state.position !== ''
      ? new JobNotPending(id, 'not new')
      : (unlimited(id, state) ?? decide.lease(id, state, { ...command, now })),
  )

export const heartbeat = (id: string, beat: Omit<HeartbeatCommand, 'expiresAt'>, leaseMs: number): Command<void> =>
  onJob(id, (state, now) => decide.heartbeat(id, state, { ...beat, expiresAt: now + leaseMs }))

/** What a run leaves behind when it ends well. */
export interface Ending {
  readonly result: string | Uint8Array | undefined
  /** The handler gave up without an error. */
  readonly aborted?: boolean
  /** The handler's own writes, in the transaction that records the end. */
  readonly effects?: AppendGroup['effects'] | undefined
}

export function finish(id: string, token: string, { result, aborted, effects }: Ending): Command<void> {
  const stream = jobStream(id)
  return {
    streams: [stream],
    ...(effects !== undefined && { alone: true }),
    decide(seen) {
      const decided = verdict(decide.finish(id, jobIn(seen, id), token, result, aborted), undefined)
      return decided instanceof Error || effects === undefined ? decided : { ...decided, effects }
    },
  }
}

/** When it runs again (ms); undefined: it has ended. `ceiling`: attempts at most where it ran. */
export function fail(id: string, token: string, failure: Failure, ceiling?: number): Command<number | undefined> {
  return {
    streams: [jobStream(id)],
    decide(seen, now, draw) {
      const decision = decide.fail(id, jobIn(seen, id), token, failure, { now, draw: draw(), ceiling })
      return verdict(decision, decision instanceof Error ? undefined : againAt(decision))
    },
  }
}

const againAt = (drafts: Exclude<Decision, Error>): number | undefined =>
  (drafts.find(({ type }) => type === 'Retried')?.data as Retried | undefined)?.runAt

/** `until`: when it ended, as far as was seen; it is left alone (false) if it was extended meanwhile. Absent: whatever it says. */
export function loseLease(id: string, token: string, why: string, until?: number): Command<boolean> {
  const stream = jobStream(id)
  return {
    streams: [stream],
    decide(seen, now) {
      const state = jobIn(seen, id)
      const isExtended = until !== undefined && state?.lease?.token === token && state.lease.expiresAt > until
      if (isExtended) return { drafts: [], answer: false }
      return verdict(decide.loseLease(id, state, token, why, now), true)
    },
  }
}

export const release = (id: string, token: string, why?: Pick<Released, 'by' | 'runAt'>): Command<void> =>
  onJob(id, (state) => decide.release(id, state, token, why))

/** True: it runs again. */
export function requeueOrFinish(
  id: string,
  token: string,
  maxRetries: number,
  result: Ending['result'],
): Command<boolean> {
  const stream = jobStream(id)
  return {
    streams: [stream],
    decide(seen) {
      const decision = decide.requeueOrFinish(id, jobIn(seen, id), token, maxRetries, result)
      return verdict(decision, !(decision instanceof Error) && decision[0]?.type === 'Released')
    },
  }
}

export const failUnstarted = (id: string, result: Ending['result']): Command<void> =>
  onJob(id, (state) => decide.failUnstarted(id, state, result))

export const reschedule = (id: string, change: RescheduleCommand): Command<void> =>
  onJob(id, (state) => decide.reschedule(id, state, change))

export const noteEnded = (id: string, ended: NonNullable<Rescheduled['ended']>): Command<void> =>
  onJob(id, (state) => decide.noteEnded(id, state, ended))

export const promote = (id: string): Command<void> => onJob(id, (state, now) => decide.promote(id, state, now))

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

/** What a retry must look at beside the job itself. */
export interface RetryContext extends Findings {
  /** The job's dependencies, as its first event names them. */
  readonly dependencies: readonly string[]
  /** The claim stream that kept it the only one of its key until it ended. */
  readonly unique: string | undefined
}

/** A new round, which claims its unique key again. */
export function retry(id: string, { dependencies, unique, removed, holders }: RetryContext): Command<void> {
  const others = dependencies.filter((dependency) => !removed.has(dependency)).map(jobStream)
  const claims = unique === undefined ? [] : streamsOf(unique, holders)
  return {
    streams: [...new Set([jobStream(id), ...others, ...claims])],
    decide(seen, now) {
      const dependency = (other: string): Pick<JobState, 'outcome'> | undefined => {
        const outcome = removed.get(other)
        return outcome === undefined ? jobIn(seen, other) : { outcome }
      }
      const lost = others.find((stream) => seen(stream).state === undefined)
      // Removed since the caller looked: how it ended has to be found out.
      if (lost !== undefined) return new DependencyUnknown(id, jobIdOf(lost))
      const decided = verdict(decide.retry(id, jobIn(seen, id), now, dependency), undefined)
      const isNewRound = !(decided instanceof Error) && decided.drafts[0]?.type === 'Retried'
      if (unique === undefined || !isNewRound) return decided
      const holder = holderOf(unique, seen, holders, now, false)
      if (holder instanceof Error) return holder
      if (holder !== undefined && holder !== id) return new JobNotUnique(id, holder)
      return { ...decided, drafts: [...decided.drafts, claim(unique, { jobId: id })] }
    },
  }
}

/** `known`: as the caller knows it. One that has ended anew since is another matter. */
export const condemn = (id: string, rule: string | undefined, known?: KnownEnd): Command<void> =>
  onJob(id, (state) => hasEndedAnew(id, state, known) ?? decide.condemn(id, state, rule))

type KnownEnd = Pick<JobState, 'endedAt'>

function hasEndedAnew(id: string, state: JobState | undefined, known: KnownEnd | undefined): JobNotEnded | undefined {
  if (known === undefined || state === undefined || state.endedAt === known.endedAt) return undefined
  return new JobNotEnded(id, 'sent round again')
}

/**
 * Erases the bodies of an ended job in the commit that says so. `hash`: sha256 in hex of salt and content; `known` as for
 * `condemn`.
 */
export function expunge(id: string, rule: string, hash: (body: Body) => string, known?: KnownEnd): Command<boolean> {
  const stream = jobStream(id)
  return {
    streams: [stream],
    bodies: true,
    decide(seen) {
      const { state, events = [] } = seen(stream)
      const hashes: Record<string, string> = {}
      // Those of the same flush have no revision yet.
      const first = (state?.revision ?? 0) - events.length + 1
      for (const [index, { body }] of events.entries()) {
        if (body !== undefined && 'content' in body) hashes[first + index] = hash(body)
      }
      const job = state as JobState | undefined
      const decision = hasEndedAnew(id, job, known) ?? decide.expunge(id, job, rule, hashes)
      const decided = verdict(decision, !(decision instanceof Error) && decision.length > 0)
      if (decided instanceof Error) return decided
      return { ...decided, erase: Object.keys(hashes).map((revision) => ({ stream, revision: Number(revision) })) }
    },
  }
}

/** Of jobs whose events have been put elsewhere, up to these: one that has got more since is refused. By id. */
export type Revisions = ReadonlyMap<string, number>

function hasMore({ id, revision }: JobState, at: Revisions | undefined): JobNotEnded | undefined {
  if (at === undefined || at.get(id) === revision) return undefined
  return new JobNotEnded(id, 'changed since it was archived')
}

/** See `decide.leave`. Answers with what there is to record of the job. */
export function leave(job: RemovedJob, cause: Cause, at?: Revisions): Command<RemovedJob> {
  const { id } = job
  const stream = jobStream(id)
  return {
    streams: [stream],
    decide(seen) {
      const state = jobIn(seen, id)
      const more = state && hasMore(state, at)
      const decision = more ?? decide.leave(id, state, cause)
      return decision instanceof Error || state === undefined
        ? (decision as JobledgerError)
        : verdict(decision, asRemoved(job, state))
    },
  }
}

/** The caller's view of it may be of a round before, and knows only where the last round began. */
const asRemoved = (job: RemovedJob, { outcome, position }: JobState): RemovedJob => ({
  ...job,
  outcome: outcome as RemovedJob['outcome'],
  position: position || job.position,
})

/** What has become of jobs that leave the log. */
export const recordRemoved = (
  jobs: readonly RemovedJob[],
  cause: Cause,
  remnants?: Remnants | undefined,
): Command<void> => ({
  streams: [AUDIT_STREAM],
  decide: () => ({ drafts: [jobsRemoved(jobs, cause, remnants)], answer: undefined }),
})

/** Nothing is left to do about them. */
export const recordGone = (ids: readonly string[]): Command<void> => audit('StreamsRemoved', { ids })

export const recordBegun = (name: string): Command<void> => audit('SegmentBegun', { name })

/** Only as long as the audit stream ends with this revision; false: somebody has recorded something since. */
export const recordAt = (revision: number, drafts: readonly Draft[]): Command<boolean> => ({
  streams: [AUDIT_STREAM],
  decide: (seen) =>
    seen(AUDIT_STREAM).state?.revision === revision ? { drafts, answer: true } : { drafts: [], answer: false },
})

const audit = (type: string, data: StreamsRemoved | SegmentBegun): Command<void> => ({
  streams: [AUDIT_STREAM],
  decide: () => ({ drafts: [{ stream: AUDIT_STREAM, type, data }], answer: undefined }),
})

/**
 * Takes condemned jobs out of the log. Those that others have come to need, or that run again, are refused. False: something was
 * recorded of one since its remnants were taken.
 */
export function remove(
  jobs: readonly RemovedJob[],
  cause: Cause,
  at?: Revisions,
  remnants?: Remnants,
): Command<boolean> {
  const streams = jobs.map((job) => jobStream(job.id))
  return {
    streams: [AUDIT_STREAM, ...streams],
    // A stream that leaves the log takes no other event in the same commit.
    alone: true,
    decide(seen) {
      const gone: RemovedJob[] = []
      for (const job of jobs) {
        const state = jobIn(seen, job.id)
        if (state === undefined) return new JobUnknown(job.id)
        if (!state.rare?.condemned) return new JobNotEnded(job.id, 'not condemned')
        const more = hasMore(state, at)
        if (more !== undefined) return more
        gone.push(asRemoved(job, state))
      }
      if (haveGrown(remnants, (stream) => seen(stream).state?.revision)) return { drafts: [], answer: false }
      return { drafts: [jobsRemoved(gone, cause, remnants)], answer: true, remove: streams }
    },
  }
}
