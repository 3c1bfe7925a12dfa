/** Any sequence of commands on one job: what the deciders answer is what a small reference model expects, and always legal. */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Decision } from '../../domain/job/decide.js'
import * as decide from '../../domain/job/decide.js'
import type { Failed, JobEvent, JobFacts, Leased } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import { facts, JOB, NOW, stamped } from '../domain/support/jobs.js'

/** What the reference knows: counters and flags, no events. */
interface Model {
  phase: 'absent' | 'waiting' | 'leased' | 'ended'
  runs: number
  attempts: number
  lost: number
  tokens: number
  due: number
  held: boolean
  max: number | null
}

/** What the deciders and folds under test have made of it. */
interface Real {
  now: number
  readonly log: JobEvent[]
  state: JobState | undefined
  /** The same job as one sees it who took it up with its last `Retried`, and knows nothing of before. */
  revived: JobState | undefined
}

type Expected = readonly string[] | string

/** One command: how the model sees it, and the decider it stands for. */
class Verb implements fc.Command<Model, Real> {
  readonly #name: string
  readonly #expect: (model: Model, real: Readonly<Real>) => Expected
  readonly #decide: (real: Real) => Decision

  constructor(name: string, expected: Verb['expects'], decider: (real: Real) => Decision) {
    this.#name = name
    this.#expect = expected
    this.#decide = decider
  }

  get expects(): (model: Model, real: Readonly<Real>) => Expected {
    return this.#expect
  }

  check(): boolean {
    return true
  }

  run(model: Model, real: Real): void {
    const decision = this.#decide(real)
    const told = decision instanceof Error ? decision.code : decision.map(({ type }) => type)
    expectSame(told, this.#expect(model, real))
    if (!(decision instanceof Error)) record(real, decision)
    expectSameCounters(model, real)
    expectRevivedAlike(real)
  }

  toString(): string {
    return this.#name
  }
}

function record(real: Real, decision: Exclude<Decision, Error>): void {
  for (const [index, draft] of decision.entries()) {
    const event = stamped(draft, real.now, real.log.length)
    real.log.push(event)
    real.state = evolve(real.state, event)
    real.revived =
      event.type === 'Retried' && event.data.by === 'operator'
        ? evolve(undefined, event)
        : real.revived && evolve(real.revived, event)
    if (draft.type === 'Failed') expect(decision[index + 1]?.type).toMatch(/^(Retried|Finished)$/)
  }
}

function expectSameCounters(model: Model, { state }: Real): void {
  const { phase = 'absent', run = 0, attempt = 0, lost = 0, held = false } = state ?? {}
  const seen = {
    phase,
    run,
    attempt,
    lost,
    held,
    leased: state?.lease !== undefined,
    ended: state?.outcome !== undefined,
  }
  const { runs, attempts } = model
  const expected = { phase: model.phase, run: runs, attempt: attempts, lost: model.lost, held: model.held }
  expectSame(seen, { ...expected, leased: model.phase === 'leased', ended: model.phase === 'ended' })
}

/** Vitest's own comparison costs more than all that is compared here. */
function expectSame(seen: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(seen, expected)) expect(seen).toEqual(expected)
}

/** What must hold of any stream of a job, whatever was asked of it. */
function expectLawful(log: readonly JobEvent[]): void {
  const max = (log[0]?.data as JobFacts | undefined)?.maxAttempts ?? Number.POSITIVE_INFINITY
  let open: string | undefined
  let runs = 0
  let ended = false
  let lost = 0
  let attempts = 0
  for (const { type, data } of log) {
    if (ended) expect(type === 'Retried' ? (data as { by: string }).by : type).toMatch(/^(operator|Expunged)$/)
    switch (type) {
      case 'Leased': {
        const { run, attempt, token } = data as Leased
        expect(open).toBeUndefined()
        expect(run).toBe(++runs)
        expect(attempt).toBe(attempts + 1)
        expect(attempt).toBeLessThanOrEqual(max)
        open = token
        break
      }
      case 'Failed': {
        const { cause, attempt, run } = data as Failed
        expect(open).toBeDefined()
        expect(run).toBe(runs)
        if (cause === 'lease-lost') lost += 1
        else attempts = attempt
        expect(attempts).toBeLessThanOrEqual(max)
        expect(lost).toBeLessThanOrEqual(decide.LOST_LEASE_CAP + 1)
        open = undefined
        break
      }
      case 'Heartbeat':
        expect((data as { token: string }).token).toBe(open)
        break
      case 'Released':
        expect((data as { token: string }).token).toBe(open)
        open = undefined
        break
      case 'Finished':
      case 'Cancelled':
        open = undefined
        ended = true
        break
      case 'Retried':
        if (ended) [lost, attempts] = [0, 0]
        ended = false
        break
    }
  }
}

/** All that a scheduler asks a job. Not: place of the first event, and what is only shown of former rounds. */
const scheduling = ({ position: _, error: __, startedAt: ___, progress: ____, ...rest }: JobState): object => rest

function expectRevivedAlike({ state, revived }: Real): void {
  if (revived !== undefined) expectSame(scheduling(revived), scheduling(state as JobState))
}

const holds = (token: number, model: Model): Expected | undefined => {
  if (model.phase === 'absent') return 'JOB_UNKNOWN'
  return model.phase === 'leased' && token === model.tokens ? undefined : 'LEASE_LOST'
}

const enqueue = (max: number | null, delay: number, held: boolean): Verb =>
  new Verb(
    `enqueue(maxAttempts ${max}, in ${delay}${held ? ', held' : ''})`,
    (model, { now }) => {
      if (model.phase !== 'absent') return 'JOB_EXISTS'
      Object.assign(model, { phase: 'waiting', max, held, due: now + delay })
      return ['Queued']
    },
    ({ state, now }) => {
      const given = facts({
        maxAttempts: max,
        runAt: now + delay,
        priority: 3,
        name: 'n',
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

const promote = (): Verb =>
  new Verb(
    'promote',
    (model) => {
      if (model.phase !== 'waiting') return []
      model.held = false
      return ['Rescheduled']
    },
    ({ state }) =>
      state?.phase === 'waiting' ? [{ stream: `job-${JOB}`, type: 'Rescheduled', data: { held: false } }] : [],
  )

const lease = (): Verb =>
  new Verb(
    'lease',
    (model, { now }) => {
      if (model.phase === 'absent') return 'JOB_UNKNOWN'
      if (model.phase !== 'waiting' || model.held || model.due > now) return 'JOB_NOT_PENDING'
      Object.assign(model, { phase: 'leased', runs: model.runs + 1, tokens: model.runs + 1 })
      return ['Leased']
    },
    ({ state, now }) =>
      decide.lease(JOB, state, { token: `t${(state?.run ?? 0) + 1}`, workerId: 'w', now, leaseMs: 30_000 }),
  )

const heartbeat = (back: number): Verb =>
  onLease(
    'heartbeat',
    back,
    () => ['Heartbeat'],
    (real, token) => decide.heartbeat(JOB, real.state, { token, expiresAt: real.now + 30_000, progress: real.now }),
  )

const finish = (back: number): Verb =>
  onLease(
    'finish',
    back,
    (model) => {
      model.phase = 'ended'
      return ['Finished']
    },
    (real, token) => decide.finish(JOB, real.state, token, '1'),
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

const fail = (back: number, retryable: boolean, draw: number): Verb =>
  onLease(
    retryable ? 'fail' : 'fail for good',
    back,
    (model, { now }) => {
      model.attempts += 1
      const again = retryable && (model.max === null || model.attempts < model.max)
      model.phase = again ? 'waiting' : 'ended'
      if (again) model.due = now + Math.round(Math.min(3_600_000, 1_000 * 2 ** (model.attempts - 1)) * draw)
      return ['Failed', again ? 'Retried' : 'Finished']
    },
    ({ state, now }, token) =>
      decide.fail(JOB, state, token, { cause: 'error', error: 'E', details: '{}', retryable }, { now, draw }),
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

/** `back` 0 is the token of the last lease, 1 the one before it. */
function onLease(
  name: string,
  back: number,
  expected: Verb['expects'],
  decider: (real: Real, token: string) => Decision,
): Verb {
  return new Verb(
    `${name}(${back})`,
    (model, real) => holds(model.runs - back, model) ?? expected(model, real),
    (real) => decider(real, `t${(real.state?.run ?? 0) - back}`),
  )
}

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
      if (model.phase === 'absent') return 'JOB_UNKNOWN'
      if (model.phase !== 'ended') return 'JOB_NOT_ENDED'
      Object.assign(model, { phase: 'waiting', attempts: 0, lost: 0, due: now, held: false })
      return ['Retried']
    },
    ({ state, now }) => decide.retry(JOB, state, now, () => undefined),
  )

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
const verbs = fc.commands(
  [
    fc
      .tuple(fc.constantFrom(1, 2, 3, null), fc.constantFrom(0, 0, 500), fc.boolean())
      .map((given) => enqueue(...given)),
    fc.constant(promote()),
    fc.constant(lease()),
    fc.constant(lease()),
    back.map(heartbeat),
    back.map(finish),
    back.map(release),
    fc.tuple(back, fc.constantFrom(true, true, false), draw).map((given) => fail(...given)),
    back.map(loseLease),
    fc.boolean().map(cancel),
    fc.constant(retry()),
    fc.nat(2_000_000).map(wait),
  ],
  { maxCommands: 60, size: 'max' },
)

describe('a job under any commands', { timeout: 0 }, () => {
  test('does what the reference expects, never breaks its laws, and reads alike from its whole history or its last round', () => {
    const reached = new Set<string>()
    fc.assert(
      fc.property(verbs, (commands) => {
        const model: Model = {
          phase: 'absent',
          runs: 0,
          attempts: 0,
          lost: 0,
          tokens: 0,
          due: 0,
          held: false,
          max: null,
        }
        const real: Real = { now: NOW, log: [], state: undefined, revived: undefined }
        fc.modelRun(() => ({ model, real }), commands)
        expectLawful(real.log)
        for (const { type, data } of real.log)
          reached.add(type === 'Retried' ? `Retried by ${(data as { by: string }).by}` : type)
      }),
      { numRuns: 300 },
    )
    // The property is worth what it reaches.
    expect([...reached].sort()).toEqual([
      'Cancelled',
      'Failed',
      'Finished',
      'Heartbeat',
      'Leased',
      'Queued',
      'Released',
      'Rescheduled',
      'Retried by lease-lost',
      'Retried by operator',
      'Retried by policy',
    ])
  })
})
