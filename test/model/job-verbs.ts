/** Everything that can be asked of a job: what the reference expects of it, and the decider. */
import fc from 'fast-check'
import type { Backoff } from '../../domain/backoff.js'
import type { Decision } from '../../domain/job/decide.js'
import * as decide from '../../domain/job/decide.js'
import { facts, JOB } from '../domain/support/jobs.js'
import type { Expected, Model, Real } from './job-model.js'
import { Verb } from './job-model.js'

const POLICY: Backoff = { min: 1_000, max: 3_600_000, factor: 2, jitter: 'full' }

interface Given {
  readonly max: number | null
  readonly limit: number | undefined
  readonly expiration: number | undefined
  readonly delay: number
  readonly held: boolean
}

const enqueue = ({ max, limit, expiration, delay, held }: Given): Verb =>
  new Verb(
    `enqueue(maxAttempts ${max}, limit ${limit}, expiration ${expiration}, in ${delay}${held ? ', held' : ''})`,
    (model, { now }) => {
      if (model.phase !== 'absent') return 'JOB_EXISTS'
      const all = Number.POSITIVE_INFINITY
      Object.assign(model, { phase: 'waiting', held, due: now + delay, expiration: expiration ?? all })
      model.max = Math.min(max ?? all, limit ?? all)
      return ['Queued']
    },
    ({ state, now }) => {
      const given = facts({
        maxAttempts: max,
        backoff: { ...POLICY, ...(limit !== undefined && { limit }), ...(expiration !== undefined && { expiration }) },
        runAt: now + delay,
        priority: 3,
        name: 'n',
        retainMs: 5,
        dependsOn: [{ id: 'd', on: 'finished', otherwise: 'run' }],
        ...(held && { held }),
      })
      return decide.enqueue(
        { id: JOB, facts: given, payload: '1' },
        (id) => (id === JOB ? state : undefined),
        new Set(['d']),
      )
    },
  )

/** The refusal of what is only for a job that waits. */
const unlessWaiting = ({ phase }: Model): Expected | undefined => {
  if (phase === 'absent') return 'JOB_UNKNOWN'
  if (phase === 'leased') return 'JOB_RUNNING'
  return phase === 'ended' ? 'JOB_ENDED' : undefined
}

/** The refusal of what is only for a job that has ended. */
const unlessEnded = ({ phase }: Model): Expected | undefined => {
  if (phase === 'absent') return 'JOB_UNKNOWN'
  return phase === 'ended' ? undefined : 'JOB_NOT_ENDED'
}

function letGo(model: Model, now: number): Expected {
  if (!model.held && model.due <= now) return []
  Object.assign(model, { held: false, due: now })
  return ['Rescheduled']
}

const promote = (): Verb =>
  new Verb(
    'promote',
    (model, { now }) => unlessWaiting(model) ?? letGo(model, now),
    ({ state, now }) => decide.promote(JOB, state, now),
  )

const reschedule = (change: { in?: number; held?: boolean; priority?: number }, payload: string | undefined): Verb =>
  new Verb(
    `reschedule(${JSON.stringify(change)}${payload === undefined ? '' : ', another payload'})`,
    (model, { now }) => {
      const refusal = unlessWaiting(model)
      if (refusal !== undefined) return refusal
      if (change.in !== undefined) model.due = now + change.in
      model.held = change.held ?? model.held
      return ['Rescheduled']
    },
    ({ state, now }) => {
      const { in: ms, ...rest } = change
      return decide.reschedule(JOB, state, { ...rest, ...(ms !== undefined && { runAt: now + ms }) }, payload)
    },
  )

const lease = (): Verb =>
  new Verb(
    'lease',
    (model, { now }) => {
      if (model.phase === 'absent') return 'JOB_UNKNOWN'
      if (model.phase !== 'waiting' || model.held || model.due > now) return 'JOB_NOT_PENDING'
      Object.assign(model, { phase: 'leased', runs: model.runs + 1, roundAt: model.roundAt || now })
      return ['Leased']
    },
    ({ state, now }) =>
      decide.lease(JOB, state, { token: `t${(state?.run ?? 0) + 1}`, workerId: 'w', now, leaseMs: 30_000 }),
  )

/** `back` 0 is the token of the last lease, 1 the one before it. */
function onLease(
  name: string,
  back: number,
  expected: Verb['expects'],
  decider: (real: Real, token: string) => Decision,
): Verb {
  return new Verb(
    `${name}(${back})`,
    (model, real) => unlessHeld(model, back) ?? expected(model, real),
    (real) => decider(real, `t${(real.state?.run ?? 0) - back}`),
  )
}

const unlessHeld = ({ phase }: Model, back: number): Expected | undefined => {
  if (phase === 'absent') return 'JOB_UNKNOWN'
  return phase === 'leased' && back === 0 ? undefined : 'LEASE_LOST'
}

const heartbeat = (back: number): Verb =>
  onLease(
    'heartbeat',
    back,
    () => ['Heartbeat'],
    (real, token) => decide.heartbeat(JOB, real.state, { token, expiresAt: real.now + 30_000, progress: real.now }),
  )

/** The attempt that succeeds is one, too. */
function succeed(model: Model): Expected {
  Object.assign(model, { phase: 'ended', attempts: model.attempts + 1 })
  return ['Finished']
}

const finish = (back: number, aborted: boolean): Verb =>
  onLease(aborted ? 'abort' : 'finish', back, succeed, (real, token) =>
    decide.finish(JOB, real.state, token, '1', aborted),
  )

const release = (back: number): Verb =>
  onLease(
    'release',
    back,
    (model) => {
      model.phase = 'waiting'
      return ['Released']
    },
    (real, token) => decide.release(JOB, real.state, token),
  )

const snooze = (back: number, ms: number): Verb =>
  onLease(
    `snooze for ${ms}`,
    back,
    (model, { now }) => {
      Object.assign(model, { phase: 'waiting', due: now + ms })
      return ['Released']
    },
    (real, token) => decide.release(JOB, real.state, token, { by: 'snooze', runAt: real.now + ms }),
  )

const requeueOrFinish = (back: number, maxRetries: number): Verb =>
  onLease(
    `requeue up to ${maxRetries} times`,
    back,
    (model) => {
      if (model.runs - model.runsBefore > maxRetries) return succeed(model)
      model.phase = 'waiting'
      return ['Released']
    },
    (real, token) => decide.requeueOrFinish(JOB, real.state, token, maxRetries, '1'),
  )

const fail = (back: number, retryable: boolean, draw: number, wish: number | undefined): Verb =>
  onLease(
    `${retryable ? 'fail' : 'fail for good'}${wish === undefined ? '' : `, again in ${wish}`}`,
    back,
    (model, { now }) => {
      model.attempts += 1
      const due = now + (wish ?? Math.round(Math.min(POLICY.max, POLICY.min * 2 ** (model.attempts - 1)) * draw))
      const again = retryable && model.attempts < model.max && due <= model.roundAt + model.expiration
      model.phase = again ? 'waiting' : 'ended'
      if (again) model.due = due
      return ['Failed', again ? 'Retried' : 'Finished']
    },
    ({ state, now }, token) => {
      const nextRunAt = wish === undefined ? undefined : now + wish
      const failure = { cause: 'error', error: 'E', details: '{}', retryable, nextRunAt } as const
      return decide.fail(JOB, state, token, failure, { now, draw })
    },
  )

const failUnstarted = (): Verb =>
  new Verb(
    'fail unstarted',
    (model) => {
      const refusal = unlessWaiting(model)
      if (refusal !== undefined) return refusal
      if (model.runs > 0) return 'JOB_NOT_PENDING'
      model.phase = 'ended'
      return ['Failed', 'Finished']
    },
    ({ state }) => decide.failUnstarted(JOB, state, '1'),
  )

const loseLease = (back: number): Verb =>
  onLease(
    'lose lease',
    back,
    (model) => {
      model.lost += 1
      model.phase = model.lost <= 2 ? 'waiting' : 'ended'
      return ['Failed', model.phase === 'waiting' ? 'Retried' : 'Finished']
    },
    ({ state, now }, token) => decide.loseLease(JOB, state, token, 'gone', now),
  )

const cancel = (ifIdle: boolean): Verb =>
  new Verb(
    ifIdle ? 'cancel if idle' : 'cancel',
    (model) => {
      if (model.phase === 'absent') return 'JOB_UNKNOWN'
      if (model.phase === 'ended') return 'JOB_ENDED'
      if (ifIdle && model.phase === 'leased') return 'JOB_RUNNING'
      model.phase = 'ended'
      return ['Cancelled']
    },
    ({ state }) => decide.cancel(JOB, state, { by: 'operator', ifIdle }),
  )

const retry = (): Verb =>
  new Verb(
    'retry',
    (model, { now }) => {
      if (model.phase === 'waiting' && model.held) return letGo(model, now)
      const refusal = unlessEnded(model)
      if (refusal !== undefined) return refusal
      if (model.expunged) return 'JOB_EXPUNGED'
      Object.assign(model, { phase: 'waiting', attempts: 0, lost: 0, due: now, held: false })
      Object.assign(model, { runsBefore: model.runs, roundAt: 0, condemned: false })
      return ['Retried']
    },
    ({ state, now }) => decide.retry(JOB, state, now, () => undefined),
  )

/** What is said of an ended job: an erasure once, a condemnation by each who is about to remove it. */
const afterwards = (flag: 'condemned' | 'expunged', type: string, decider: (real: Real) => Decision): Verb =>
  new Verb(
    type,
    (model) => {
      const refusal = unlessEnded(model)
      if (refusal !== undefined || (flag === 'expunged' && model[flag])) return refusal ?? []
      model[flag] = true
      return [type]
    },
    decider,
  )

const condemn = (): Verb => afterwards('condemned', 'Condemned', ({ state }) => decide.condemn(JOB, state, 'r'))
const expunge = (): Verb =>
  afterwards('expunged', 'Expunged', ({ state }) => decide.expunge(JOB, state, 'r', { 0: 'a' }))

const wait = (ms: number): Verb =>
  new Verb(
    `wait ${ms}`,
    () => [],
    (real) => {
      real.now += ms
      return []
    },
  )

const back = fc.constantFrom(0, 0, 0, 1)
const draw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const wish = fc.constantFrom(undefined, undefined, 0, 90_000)
const given: fc.Arbitrary<Given> = fc.record({
  max: fc.constantFrom(1, 2, 3, null),
  limit: fc.constantFrom(undefined, undefined, 2),
  expiration: fc.constantFrom(undefined, undefined, 60_000),
  delay: fc.constantFrom(0, 0, 500),
  held: fc.constantFrom(false, false, true),
})
const change = fc.record(
  { in: fc.constantFrom(0, 700), held: fc.boolean(), priority: fc.constant(1) },
  { requiredKeys: [] },
)

/** Sequences of them; what is seldom possible comes seldom. */
export const verbs: fc.Arbitrary<Iterable<fc.Command<Model, Real>>> = fc.commands(
  [
    given.map(enqueue),
    fc.constant(promote()),
    fc.tuple(change, fc.constantFrom(undefined, '2')).map((drawn) => reschedule(...drawn)),
    ...[1, 2, 3].map(() => fc.constant(lease())),
    back.map(heartbeat),
    fc.tuple(back, fc.boolean()).map((drawn) => finish(...drawn)),
    back.map(release),
    fc.tuple(back, fc.constantFrom(0, 5_000)).map((drawn) => snooze(...drawn)),
    fc.tuple(back, fc.nat(3)).map((drawn) => requeueOrFinish(...drawn)),
    fc.tuple(back, fc.constantFrom(true, true, false), draw, wish).map((drawn) => fail(...drawn)),
    back.map(loseLease),
    fc.constant(failUnstarted()),
    fc.boolean().map(cancel),
    ...[1, 2].map(() => fc.constant(retry())),
    fc.constant(condemn()),
    fc.constant(expunge()),
    fc.constantFrom(0, 1_000, 40_000, 2_000_000).map(wait),
  ],
  { maxCommands: 60, size: 'max' },
)
