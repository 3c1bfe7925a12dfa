import { describe, expect, test } from 'vitest'
import type { Draft } from '../../domain/event.js'
import type { Decision, Failure } from '../../domain/job/decide.js'
import * as decide from '../../domain/job/decide.js'
import type { DependencyEdge } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { fact, facts, JOB, NOW, stateAfter, TOKEN } from './support/jobs.js'

type State = JobState | undefined

/** given (facts so far) / when (the decider) / answer (facts, or the code of the refusal). */
interface Case {
  readonly so: string
  readonly given: readonly Draft[]
  readonly when: (state: State) => Decision
  readonly answer: readonly Draft[] | string
}

function check(cases: readonly Case[]): void {
  test.each(cases)('$so', ({ given, when, answer }) => {
    const decision = when(stateAfter(...given))
    expect(decision instanceof Error ? decision.code : decision).toEqual(answer)
  })
}

const queued = fact('Queued', facts())
const leased = fact('Leased', { token: TOKEN, workerId: 'w1', run: 1, attempt: 1, expiresAt: NOW + 30_000 })
const finished = fact('Finished', { outcome: 'succeeded' })
const cancelled = fact('Cancelled', { by: 'operator' })
const failed = fact('Failed', { token: TOKEN, run: 1, attempt: 1, cause: 'error', error: 'Error', retryable: true })
const retried = fact('Retried', { runAt: NOW, by: 'policy' })
const body = (draft: Draft, content: string | Uint8Array): Draft => ({ ...draft, body: content })

describe('enqueue', () => {
  const edge = (given: Partial<DependencyEdge> = {}): DependencyEdge => ({
    id: 'd',
    on: 'succeeded',
    otherwise: 'block',
    ...given,
  })
  const dependency = (...ending: readonly Draft[]): State =>
    stateAfter({ ...queued, stream: 'job-d' }, ...ending.map((draft) => ({ ...draft, stream: 'job-d' })))
  const run = (edges: readonly DependencyEdge[], found: State, batch: readonly string[] = []): Decision =>
    decide.enqueue(
      { id: JOB, facts: facts({ dependsOn: edges }), payload: '1' },
      (id) => (id === 'd' ? found : undefined),
      new Set(batch),
    )
  const withEdge = (...edges: readonly DependencyEdge[]): Draft =>
    body(fact('Queued', facts({ dependsOn: edges })), '1')

  check([
    {
      so: 'records the facts as they are, and the payload beside them',
      given: [],
      when: (state) =>
        decide.enqueue({ id: JOB, facts: facts({ priority: 3 }), payload: '{"a":1}' }, () => state, new Set()),
      answer: [body(fact('Queued', facts({ priority: 3 })), '{"a":1}')],
    },
    {
      so: 'is refused for an id that is taken',
      given: [queued],
      when: (state) => decide.enqueue({ id: JOB, facts: facts(), payload: '1' }, () => state, new Set()),
      answer: 'JOB_EXISTS',
    },
    {
      so: 'is refused for an unknown dependency',
      given: [],
      when: () => run([edge()], undefined),
      answer: 'DEPENDENCY_UNKNOWN',
    },
    {
      so: 'knows the jobs of its own batch',
      given: [],
      when: () => run([edge()], undefined, ['d']),
      answer: [withEdge(edge())],
    },
    {
      so: 'leaves an edge to an open job open',
      given: [],
      when: () => run([edge()], dependency()),
      answer: [withEdge(edge())],
    },
    {
      so: 'records an edge that is met already',
      given: [],
      when: () => run([edge()], dependency(leased, finished)),
      answer: [withEdge(edge({ now: 'met' }))],
    },
    {
      so: 'records an edge that has failed already; under block it stays blocked',
      given: [],
      when: () => run([edge()], dependency(cancelled)),
      answer: [withEdge(edge({ now: 'failed' }))],
    },
    {
      so: 'is cancelled in the same breath by a failed edge under cancel',
      given: [],
      when: () => run([edge({ otherwise: 'cancel' })], dependency(cancelled)),
      answer: [
        withEdge(edge({ otherwise: 'cancel', now: 'failed' })),
        fact('Cancelled', { by: 'dependency', reason: 'dependency d failed' }),
      ],
    },
    {
      so: 'does not believe what the caller says of an edge',
      given: [],
      when: () => run([edge({ now: 'met' })], dependency()),
      answer: [withEdge(edge())],
    },
  ])
})

describe('lease', () => {
  const command = { token: TOKEN, workerId: 'w1', now: NOW, leaseMs: 30_000 }
  const run = (state: State): Decision => decide.lease(JOB, state, command)
  check([
    { so: 'opens the first run', given: [queued], when: run, answer: [leased] },
    {
      so: 'names the version of the program',
      given: [queued],
      when: (state) => decide.lease(JOB, state, { ...command, codeVersion: 'v1' }),
      answer: [{ ...leased, data: { ...leased.data, codeVersion: 'v1' } }],
    },
    {
      so: 'counts runs on after a failure, and attempts too',
      given: [queued, leased, failed, retried],
      when: run,
      answer: [{ ...leased, data: { ...leased.data, run: 2, attempt: 2 } }],
    },
    {
      so: 'does not count an attempt that was given back',
      given: [queued, leased, fact('Released', { token: TOKEN })],
      when: run,
      answer: [{ ...leased, data: { ...leased.data, run: 2, attempt: 1 } }],
    },
    { so: 'is refused for an unknown job', given: [], when: run, answer: 'JOB_UNKNOWN' },
    { so: 'is refused while the job runs', given: [queued, leased], when: run, answer: 'JOB_NOT_PENDING' },
    { so: 'is refused once it has ended', given: [queued, leased, finished], when: run, answer: 'JOB_NOT_PENDING' },
    {
      so: 'is refused while it is held',
      given: [fact('Queued', facts({ held: true }))],
      when: run,
      answer: 'JOB_NOT_PENDING',
    },
    {
      so: 'is refused before its time',
      given: [fact('Queued', facts({ runAt: NOW + 1 }))],
      when: run,
      answer: 'JOB_NOT_PENDING',
    },
    { so: 'is granted at its very time', given: [fact('Queued', facts({ runAt: NOW }))], when: run, answer: [leased] },
  ])

  test('says why not', () => {
    const why = (...given: readonly Draft[]): string => (run(stateAfter(...given)) as Error).message
    expect(why(queued, leased)).toBe('Job j1 cannot be leased: it is running.')
    expect(why(queued, cancelled)).toBe('Job j1 cannot be leased: it is cancelled.')
    expect(why(fact('Queued', facts({ runAt: NOW + 1 })))).toBe(
      'Job j1 cannot be leased: it is scheduled for 2026-01-01T00:00:00.001Z.',
    )
  })
})

describe('what only the holder of the lease may say', () => {
  const failure: Failure = { cause: 'error', error: 'Error', details: '{"message":"no"}', retryable: true }
  const verbs: Record<string, (state: State, token: string) => Decision> = {
    heartbeat: (state, token) => decide.heartbeat(JOB, state, { token, expiresAt: NOW }),
    finish: (state, token) => decide.finish(JOB, state, token, undefined),
    fail: (state, token) => decide.fail(JOB, state, token, failure, { now: NOW, draw: 0 }),
    loseLease: (state, token) => decide.loseLease(JOB, state, token, 'silent', NOW),
    release: (state, token) => decide.release(JOB, state, token),
  }
  for (const [verb, run] of Object.entries(verbs)) {
    const when = (state: State): Decision => run(state, TOKEN)
    check([
      { so: `${verb}: refused for an unknown job`, given: [], when, answer: 'JOB_UNKNOWN' },
      { so: `${verb}: refused without a lease`, given: [queued], when, answer: 'LEASE_LOST' },
      {
        so: `${verb}: refused with an old token`,
        given: [queued, leased],
        when: (state) => run(state, 'token-0'),
        answer: 'LEASE_LOST',
      },
      { so: `${verb}: refused after the end`, given: [queued, leased, finished], when, answer: 'LEASE_LOST' },
      { so: `${verb}: refused after a cancel`, given: [queued, leased, cancelled], when, answer: 'LEASE_LOST' },
      { so: `${verb}: refused after a failure`, given: [queued, leased, failed, retried], when, answer: 'LEASE_LOST' },
    ])
  }
})

describe('heartbeat and finish', () => {
  check([
    {
      so: 'a heartbeat extends the lease',
      given: [queued, leased],
      when: (state) => decide.heartbeat(JOB, state, { token: TOKEN, expiresAt: NOW + 60_000 }),
      answer: [fact('Heartbeat', { token: TOKEN, expiresAt: NOW + 60_000 })],
    },
    {
      so: 'a heartbeat may bring progress and a partial result',
      given: [queued, leased],
      when: (state) => decide.heartbeat(JOB, state, { token: TOKEN, expiresAt: NOW, progress: 0, partial: '[1]' }),
      answer: [body(fact('Heartbeat', { token: TOKEN, expiresAt: NOW, progress: 0 }), '[1]')],
    },
    {
      so: 'a finish keeps the result beside the facts',
      given: [queued, leased],
      when: (state) => decide.finish(JOB, state, TOKEN, 'null'),
      answer: [body(finished, 'null')],
    },
    {
      so: 'a finish may have no result',
      given: [queued, leased],
      when: (state) => decide.finish(JOB, state, TOKEN, undefined),
      answer: [finished],
    },
    {
      so: 'a release gives the lease back',
      given: [queued, leased],
      when: (state) => decide.release(JOB, state, TOKEN),
      answer: [fact('Released', { token: TOKEN })],
    },
  ])
})

describe('fail', () => {
  const fail =
    (change: Partial<Failure> = {}, draw = 0.5) =>
    (state: State): Decision =>
      decide.fail(
        JOB,
        state,
        TOKEN,
        { cause: 'error', error: 'Error', details: '{}', retryable: true, ...change },
        { now: NOW, draw },
      )
  const end = fact('Finished', { outcome: 'failed', error: 'Error' })
  const limited = (maxAttempts: number | null): Draft => fact('Queued', facts({ maxAttempts }))
  check([
    {
      so: 'is followed by a retry, whose delay is recorded',
      given: [queued, leased],
      when: fail(),
      answer: [body(failed, '{}'), fact('Retried', { runAt: NOW + 500, by: 'policy' })],
    },
    {
      so: 'ends the job with its last attempt',
      given: [limited(1), leased],
      when: fail(),
      answer: [body(failed, '{}'), end],
    },
    {
      so: 'ends the job when it is not retryable',
      given: [queued, leased],
      when: fail({ retryable: false }),
      answer: [body({ ...failed, data: { ...failed.data, retryable: false } }, '{}'), end],
    },
    {
      so: 'never ends a job without a limit',
      given: [limited(null), leased],
      when: fail({ cause: 'timeout' }, 0),
      answer: [
        body({ ...failed, data: { ...failed.data, cause: 'timeout' } }, '{}'),
        fact('Retried', { runAt: NOW, by: 'policy' }),
      ],
    },
  ])
})

describe('lose a lease', () => {
  const lost = fact('Failed', {
    token: TOKEN,
    run: 1,
    attempt: 1,
    cause: 'lease-lost',
    error: 'LeaseLost',
    retryable: true,
  })
  const again = fact('Retried', { runAt: NOW, by: 'lease-lost' })
  const lose = (state: State): Decision => decide.loseLease(JOB, state, TOKEN, 'the process is gone', NOW)
  const details = '{"message":"the process is gone"}'
  const run = (number: number): Draft => ({ ...leased, data: { ...leased.data, run: number } })
  const loss = (number: number, retryable = true): Draft => ({
    ...lost,
    data: { ...lost.data, run: number, retryable },
  })
  check([
    { so: 'costs no attempt', given: [queued, leased], when: lose, answer: [body(lost, details), again] },
    {
      so: 'is survived twice',
      given: [queued, leased, lost, again, run(2)],
      when: lose,
      answer: [body(loss(2), details), again],
    },
    {
      so: 'ends the job the third time, also one without an attempt limit',
      given: [fact('Queued', facts({ maxAttempts: null })), leased, lost, again, run(2), loss(2), again, run(3)],
      when: lose,
      answer: [body(loss(3, false), details), fact('Finished', { outcome: 'failed', error: 'LeaseLost' })],
    },
    {
      so: 'counts from nothing in a new round',
      given: [
        ...[queued, leased, lost, again, run(2), loss(2), again, run(3), loss(3, false)],
        fact('Finished', { outcome: 'failed', error: 'LeaseLost' }),
        fact('Retried', { runAt: NOW, by: 'operator' }),
        run(4),
      ],
      when: lose,
      answer: [body(loss(4), details), again],
    },
  ])

  test('keeps the place in line', () => {
    const before = stateAfter(queued, leased)
    const later = stateAfter(queued, leased, lost, fact('Retried', { runAt: NOW + 60_000, by: 'lease-lost' }))
    expect(later).toMatchObject({ runAt: before?.runAt, since: before?.since, lost: 1, attempt: 0 })
  })
})

describe('cancel', () => {
  const run =
    (command: decide.CancelCommand) =>
    (state: State): Decision =>
      decide.cancel(JOB, state, command)
  check([
    { so: 'ends a waiting job', given: [queued], when: run({ by: 'operator' }), answer: [cancelled] },
    {
      so: 'ends a running job, and says why',
      given: [queued, leased],
      when: run({ by: 'operator', reason: 'wrong mail' }),
      answer: [fact('Cancelled', { by: 'operator', reason: 'wrong mail' })],
    },
    {
      so: 'spares a running job when told to',
      given: [queued, leased],
      when: run({ by: 'operator', ifIdle: true }),
      answer: 'JOB_RUNNING',
    },
    {
      so: 'ends an idle job all the same',
      given: [queued],
      when: run({ by: 'operator', ifIdle: true }),
      answer: [cancelled],
    },
    {
      so: 'is refused after the end',
      given: [queued, leased, finished],
      when: run({ by: 'operator' }),
      answer: 'JOB_ENDED',
    },
    {
      so: 'is refused the second time',
      given: [queued, cancelled],
      when: run({ by: 'operator' }),
      answer: 'JOB_ENDED',
    },
    { so: 'is refused for an unknown job', given: [], when: run({ by: 'operator' }), answer: 'JOB_UNKNOWN' },
  ])
})

describe('retry by an operator', () => {
  const edges: readonly DependencyEdge[] = [
    { id: 'good', on: 'succeeded', otherwise: 'block' },
    { id: 'bad', on: 'succeeded', otherwise: 'cancel' },
    { id: 'open', on: 'succeeded', otherwise: 'block' },
    { id: 'met', on: 'succeeded', otherwise: 'block', now: 'met' },
  ]
  const others: Record<string, State> = {
    good: stateAfter(queued, leased, finished),
    bad: stateAfter(queued, cancelled),
    open: stateAfter(queued),
  }
  const run = (state: State): Decision => decide.retry(JOB, state, NOW + 5, (id) => others[id])
  const round = (job: object): Draft[] => [
    { ...fact('Retried', { runAt: NOW + 5, by: 'operator' }), data: { runAt: NOW + 5, by: 'operator', job } },
  ]
  check([
    {
      so: 'brings what the job is, so that a projection can take it up again',
      given: [
        fact('Queued', facts({ priority: 4, channel: 'c', name: 'n', held: true })),
        fact('Rescheduled', { held: false }),
        leased,
        finished,
      ],
      when: run,
      answer: round({
        ...facts({ priority: 4, channel: 'c', name: 'n' }),
        run: 1,
        queuedAt: NOW,
        outcome: 'succeeded',
      }),
    },
    {
      so: 'leaves out what is default',
      given: [queued, cancelled],
      when: run,
      answer: round({ ...facts(), run: 0, queuedAt: NOW, outcome: 'cancelled' }),
    },
    {
      so: 'judges the edges anew: met ones stay met, failed ones are open again',
      given: [fact('Queued', facts({ dependsOn: edges })), cancelled],
      when: run,
      answer: round({
        ...facts({
          dependsOn: [
            { id: 'good', on: 'succeeded', otherwise: 'block', now: 'met' },
            { id: 'bad', on: 'succeeded', otherwise: 'cancel' },
            { id: 'open', on: 'succeeded', otherwise: 'block' },
            { id: 'met', on: 'succeeded', otherwise: 'block', now: 'met' },
          ],
        }),
        run: 0,
        queuedAt: NOW,
        outcome: 'cancelled',
      }),
    },
    {
      so: 'knows that all edges of a job that has run are met',
      given: [fact('Queued', facts({ dependsOn: edges.slice(0, 2) })), leased, cancelled],
      when: run,
      answer: round({
        ...facts({ dependsOn: edges.slice(0, 2).map((edge) => ({ ...edge, now: 'met' as const })) }),
        run: 1,
        queuedAt: NOW,
        outcome: 'cancelled',
      }),
    },
    { so: 'is refused while it waits', given: [queued], when: run, answer: 'JOB_NOT_ENDED' },
    { so: 'is refused while it runs', given: [queued, leased], when: run, answer: 'JOB_NOT_ENDED' },
    { so: 'is refused for an unknown job', given: [], when: run, answer: 'JOB_UNKNOWN' },
  ])

  test('opens a new round: attempts and lost leases start again, the history of runs goes on', () => {
    const ended = stateAfter(queued, leased, failed, fact('Finished', { outcome: 'failed', error: 'Error' }))
    const state = stateAfter(
      queued,
      leased,
      failed,
      fact('Finished', { outcome: 'failed', error: 'Error' }),
      fact('Retried', { runAt: NOW + 5, by: 'operator' }),
    )
    expect(ended).toMatchObject({ attempt: 1, run: 1, outcome: 'failed' })
    expect(state).toMatchObject({
      phase: 'waiting',
      attempt: 0,
      lost: 0,
      run: 1,
      outcome: undefined,
      endedAt: 0,
      since: NOW + 5,
    })
  })
})
