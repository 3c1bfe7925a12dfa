import { describe, expect, test } from 'vitest'
import type { Draft } from '../../domain/event.js'
import type { Decision, Failure } from '../../domain/job/decide.js'
import * as decide from '../../domain/job/decide.js'
import type { DependencyEdge } from '../../domain/job/events.js'
import type { State } from './support/decisions.js'
import { body, cancelled, check, failed, finished, leased, queued, retried, run } from './support/decisions.js'
import { fact, facts, JOB, NOW, stateAfter, TOKEN } from './support/jobs.js'

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
    requeueOrFinish: (state, token) => decide.requeueOrFinish(JOB, state, token, 3, undefined),
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

describe('heartbeat, finish and release', () => {
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
    {
      so: 'a release may say why, and when the job is to run again: a snooze',
      given: [queued, leased],
      when: (state) => decide.release(JOB, state, TOKEN, { by: 'snooze', runAt: NOW + 60_000 }),
      answer: [fact('Released', { token: TOKEN, by: 'snooze', runAt: NOW + 60_000 })],
    },
    {
      so: 'a finish may say that the handler gave up without an error',
      given: [queued, leased],
      when: (state) => decide.finish(JOB, state, TOKEN, undefined, true),
      answer: [fact('Finished', { outcome: 'succeeded', aborted: true })],
    },
  ])

  test('a snooze spends no attempt, however often', () => {
    const snoozed = fact('Released', { token: TOKEN, by: 'snooze', runAt: NOW + 9 })
    expect(stateAfter(queued, leased, snoozed, run(2), snoozed, run(3))).toMatchObject({
      run: 3,
      attempt: 0,
      lease: { attempt: 1 },
    })
  })
})
