/** A firing, decided together with its job: what comes of it, and what is recorded when nothing does. */
import type { JobledgerError } from '../../domain/errors.js'
import type { Draft } from '../../domain/event.js'
import type { LeaseCommand } from '../../domain/job/decide.js'
import { lease as leaseJob } from '../../domain/job/decide.js'
import type { JobEvent } from '../../domain/job/events.js'
import { jobStream } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import { JobExists, RateLimited } from '../../domain/rejection.js'
import * as decide from '../../domain/trigger/decide.js'
import type { FiredBy, MissedReason, TriggerFired, TriggerMissed } from '../../domain/trigger/events.js'
import { triggerStream } from '../../domain/trigger/events.js'
import type { TriggerState } from '../../domain/trigger/evolve.js'
import { whyNoLease } from '../../domain/worker/decide.js'
import { workerStream } from '../../domain/worker/events.js'
import type { WorkerState } from '../../domain/worker/evolve.js'
import type { TriggerRegistry } from '../../projections/trigger-registry.js'
import type { Command, Facts, Seen, Verdict } from '../write/command.js'
import type { EnqueueAnswer, NewJob } from '../write/enqueue-command.js'
import { HolderUnseen } from '../write/unique.js'
import { onPresent, stateIn } from './commands.js'

/** What is to happen, as the state in which it is decided allows. */
export interface Plan {
  readonly occurrence: number
  readonly by: FiredBy
  readonly nextAt?: number | undefined
  /** Occurrences that come to nothing. */
  readonly missed?: decide.Due['missed']
  /** Nothing fires but what was missed. */
  readonly isMissed?: true
  readonly source?: string | undefined
  readonly collected?: number
}

/** undefined: what was to happen is not to happen any more, or not as it was thought. */
export type Planner = (state: TriggerState, now: number, since: Seen['events']) => Plan | undefined | JobledgerError

export type Fired =
  | { readonly kind: 'fired'; readonly jobId: string }
  /** `jobId`: there was one already. */
  | { readonly kind: 'missed'; readonly reason: MissedReason; readonly jobId?: string }
  /** It is not as it was thought to be. */
  | { readonly kind: 'stale' }

/** `debounced`: its job comes at the end of the window. */
export type Outcome = Fired | { readonly kind: 'debounced' }

/** By a limit that has recorded it: whoever asks is to be told. */
export interface Refused {
  readonly kind: 'refused'
  readonly error: JobledgerError
}

const STALE: Facts<Fired> = { drafts: [], answer: { kind: 'stale' } }

/** What is known of the job that a firing is to make. */
export interface Making {
  readonly job: NewJob
  /** It is under way from the start, in the name of this worker. */
  readonly lease?: Omit<LeaseCommand, 'now'> | undefined
  /** Decides on the job. */
  readonly enqueue: Command<EnqueueAnswer>
}

const NOTHING_MADE: Partial<Making> = {}

/** There will be none. */
export interface NoJob {
  readonly reason: 'skipped' | 'refused' | 'duplicate'
  readonly error?: string
}

/** `tells`: a refusal of the job goes to whoever asks, and is no fact. */
export function fire(id: string, plan: Planner, making: Making | NoJob, tells: boolean): Command<Fired | Refused> {
  const { enqueue, lease } = 'job' in making ? making : NOTHING_MADE
  const stream = triggerStream(id)
  return {
    streams: [stream, ...(enqueue?.streams ?? []), ...(lease === undefined ? [] : [workerStream(lease.workerId)])],
    ...(enqueue?.fresh && { fresh: enqueue.fresh }),
    ...(enqueue?.bodies && { bodies: enqueue.bodies }),
    decide(seen, now, draw) {
      const state = decide.present(id, stateIn(seen, id))
      if (state instanceof Error) return state
      const planned = plan(state, now, seen(stream).events)
      if (planned === undefined) return STALE
      if (planned instanceof Error) return planned
      if (planned.isMissed) return miss(state, planned, 'late')
      if (!('job' in making)) return miss(state, planned, making.reason, errorOf(making))
      const verdict = making.enqueue.decide(seen, now, draw)
      // Out of memory, not read: the journal looks before it tells, and decides again.
      if (verdict instanceof JobExists && seen(jobStream(making.job.id)).events === undefined) return verdict
      const together = withJob(state, planned, making.job, verdict, tells)
      return lease === undefined ? together : withLease(together, making.job, lease, seen, now)
    },
  }
}

const errorOf = ({ error }: NoJob): Pick<TriggerMissed, 'error'> => (error === undefined ? {} : { error })

/** Both in one append. */
function withJob(
  state: TriggerState,
  plan: Plan,
  job: NewJob,
  verdict: Verdict<EnqueueAnswer>,
  tells: boolean,
): Verdict<Fired | Refused> {
  if (verdict instanceof HolderUnseen) return verdict
  if (verdict instanceof JobExists) return miss(state, plan, 'duplicate', { jobId: job.id })
  if (verdict instanceof Error) return tells ? verdict : miss(state, plan, reasonOf(verdict), { error: verdict.name })
  const { answer } = verdict
  if (answer instanceof RateLimited) {
    if (tells) return { drafts: verdict.drafts, answer: { kind: 'refused', error: answer } }
    const missed = miss(state, plan, 'rate-limited')
    return { ...missed, drafts: [...verdict.drafts, ...missed.drafts] }
  }
  const [made] = answer
  // The same event was published before.
  if (made?.outcome === 'duplicate' && made.id === job.id && plan.by === 'event')
    return { drafts: [], answer: { kind: 'fired', jobId: job.id } }
  // One that is replaced has taken the payload over: that is what was asked for.
  if (made?.outcome === 'duplicate') return miss(state, plan, 'duplicate', { jobId: made.id })
  const jobId = made?.id ?? job.id
  const drafts = [...othersMissed(state, plan), ...decide.fire(state, firedBy(plan, jobId)), ...verdict.drafts]
  return { drafts, answer: { kind: 'fired', jobId } }
}

/** All of it or nothing: a client that is refused leaves no job behind. */
function withLease(
  together: Verdict<Fired | Refused>,
  { id }: NewJob,
  { workerId, ...lease }: Omit<LeaseCommand, 'now'>,
  seen: (stream: string) => Seen,
  now: number,
): Verdict<Fired | Refused> {
  if (together instanceof Error || together.answer.kind !== 'fired') return together
  const refusal = whyNoLease(workerId, seen(workerStream(workerId)).state as WorkerState | undefined)
  if (refusal !== undefined) return refusal
  const events = together.drafts.filter(({ stream }) => stream === jobStream(id))
  const state = events.reduce<JobState | undefined>(
    (job, draft) => evolve(job, { ...draft, at: now } as JobEvent),
    undefined,
  )
  const leased = leaseJob(id, state, { ...lease, workerId, now })
  return leased instanceof Error ? leased : { ...together, drafts: [...together.drafts, ...leased] }
}

const reasonOf = (error: JobledgerError): MissedReason => (error instanceof RateLimited ? 'rate-limited' : 'refused')

function firedBy({ occurrence, by, nextAt, source, collected }: Plan, jobId: string): TriggerFired {
  return {
    ...{ occurrence, jobId, by },
    ...(nextAt !== undefined && { nextAt }),
    ...(source !== undefined && { source }),
    ...(collected !== undefined && { collected }),
  }
}

function othersMissed(state: TriggerState, { missed }: Plan): Draft[] {
  return missed === undefined ? [] : decide.miss(state, { reason: 'late', ...missed })
}

function miss(
  state: TriggerState,
  { occurrence, by, nextAt, source, collected, missed }: Plan,
  reason: MissedReason,
  more: Pick<TriggerMissed, 'jobId' | 'error' | 'chain'> = {},
): Facts<Fired> {
  const facts = {
    ...{ reason, occurrence, ...more },
    // What comes of a window says nothing about time.
    ...(collected === undefined && { by }),
    ...(reason === 'late' && missed),
    ...(nextAt !== undefined && { nextAt }),
    ...(source !== undefined && { source }),
    ...(collected !== undefined && { closes: true as const }),
  }
  const { jobId } = more
  const answer = { kind: 'missed', reason, ...(jobId !== undefined && { jobId }) } as const
  return { drafts: decide.miss(state, facts), answer }
}

/** `stale`: the trigger is not as it was thought to be. `over`: the window that is open has to be closed first. */
export type Collected = 'collected' | 'stale' | 'over'

/** A request that waits for more to come. */
export function collect(
  id: string,
  plan: Planner,
  request: { readonly content: string | Uint8Array | undefined; readonly bytes: number; readonly manual?: true },
  chain: readonly string[],
  isTooMuch: (state: TriggerState) => JobledgerError | undefined,
): Command<Collected> {
  const { content, bytes, manual } = request
  return onPresent(id, (state, now, since) => {
    const planned = plan(state, now, since)
    if (planned === undefined || state.debounce === undefined) return { drafts: [], answer: 'stale' }
    if (planned instanceof Error) return planned
    if (decide.isOver(state, now)) return { drafts: [], answer: 'over' }
    const refusal = isTooMuch(state)
    if (refusal !== undefined) return refusal
    if (planned.isMissed) return { drafts: miss(state, planned, 'late').drafts, answer: 'collected' }
    const { by, nextAt, source } = planned
    const facts = {
      ...{ by, bytes },
      ...(nextAt !== undefined && { nextAt }),
      ...(source !== undefined && { source }),
      ...(manual && { manual }),
      ...(chain.length > 0 && { chain }),
    }
    const { debounce } = state
    const collected = decide.collect({ ...state, debounce }, facts, content, now)
    return { drafts: [...othersMissed(state, planned), ...collected], answer: 'collected' }
  })
}

/** What memory knows of what is still to be done. */
export type ToDo = Pick<TriggerRegistry, 'owes'>
type Since = Seen['events']

/** Whether a trigger has answered to this event of the log, also where memory has not heard of it yet. */
export const isAnswered = (toDo: ToDo, id: string, source: string, since: Since): boolean =>
  !toDo.owes(id, source) || (since ?? []).some(({ data }) => (data as TriggerFired).source === source)

/** What is asked for comes about by the trigger itself. */
export function breakLoop(
  id: string,
  asked: { readonly occurrence: number; readonly chain: readonly string[]; readonly source?: string | undefined },
  toDo: ToDo,
): Command<void> {
  const { occurrence, chain, source } = asked
  const facts = { reason: 'loop', occurrence, chain, ...(source !== undefined && { source }) } as const
  return onPresent(id, (state, _now, since) => {
    const isSaid = source !== undefined && isAnswered(toDo, id, source, since)
    return { drafts: isSaid ? [] : decide.miss(state, facts), answer: undefined }
  })
}
