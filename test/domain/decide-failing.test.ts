import { describe, expect, test } from 'vitest'
import type { Backoff } from '../../domain/backoff.js'
import type { Draft } from '../../domain/event.js'
import type { Decision, Failure } from '../../domain/job/decide.js'
import * as decide from '../../domain/job/decide.js'
import type { State } from './support/decisions.js'
import { again, body, cancelled, check, failed, finished, leased, queued, retried, run } from './support/decisions.js'
import { fact, facts, JOB, NOW, stateAfter, TOKEN } from './support/jobs.js'

const withBackoff = (given: Partial<Backoff>, maxAttempts: number | null = 3): Draft =>
  fact('Queued', facts({ maxAttempts, backoff: { min: 1_000, max: 3_600_000, factor: 2, jitter: 'full', ...given } }))
const newRound: Draft = fact('Retried', { runAt: NOW, by: 'operator' })

describe('fail', () => {
  const fail =
    (change: Partial<Failure> = {}, draw = 0.5, now = NOW) =>
    (state: State): Decision =>
      decide.fail(
        JOB,
        state,
        TOKEN,
        { cause: 'error', error: 'Error', details: '{}', retryable: true, ...change },
        { now, draw },
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
    {
      so: 'is followed by a retry when its handler says, whatever the backoff says',
      given: [queued, leased],
      when: fail({ nextRunAt: NOW + 77 }),
      answer: [body(failed, '{}'), fact('Retried', { runAt: NOW + 77, by: 'policy' })],
    },
    {
      so: 'ends the job with its last attempt, whenever the handler wants the next',
      given: [limited(1), leased],
      when: fail({ nextRunAt: NOW + 77 }),
      answer: [body(failed, '{}'), end],
    },
    {
      so: 'ends the job at the limit of its backoff, before its own attempts are used up',
      given: [withBackoff({ limit: 1 }), leased],
      when: fail(),
      answer: [body(failed, '{}'), end],
    },
    {
      so: 'ends the job with its own last attempt, where the limit of its backoff allows more',
      given: [withBackoff({ limit: 5 }, 1), leased],
      when: fail(),
      answer: [body(failed, '{}'), end],
    },
    {
      so: 'ends a job without an attempt limit at the limit of its backoff',
      given: [withBackoff({ limit: 2 }, null), leased, failed, retried, run(2, 2)],
      when: fail(),
      answer: [body({ ...failed, data: { ...failed.data, run: 2, attempt: 2 } }, '{}'), end],
    },
    {
      so: 'is followed by a retry that begins at the very end of its time',
      given: [withBackoff({ expiration: 60_500 }), leased],
      when: fail({}, 0.5, NOW + 60_000),
      answer: [body(failed, '{}'), fact('Retried', { runAt: NOW + 60_500, by: 'policy' })],
    },
    {
      so: 'ends the job when the next attempt would begin after its time',
      given: [withBackoff({ expiration: 60_499 }), leased],
      when: fail({}, 0.5, NOW + 60_000),
      answer: [body(failed, '{}'), end],
    },
    {
      so: 'ends the job when its handler wants the next attempt after its time',
      given: [withBackoff({ expiration: 60_000 }), leased],
      when: fail({ nextRunAt: NOW + 60_001 }),
      answer: [body(failed, '{}'), end],
    },
  ])

  test('counts the time of a round from its first run, and anew in the next round', () => {
    const first = stateAfter(withBackoff({ expiration: 1 }), leased)
    expect(first?.roundAt).toBe(NOW)
    const next = stateAfter(withBackoff({ expiration: 1 }), leased, failed, end, newRound)
    expect(next?.roundAt).toBe(0)
    expect(stateAfter(withBackoff({ expiration: 1 }), leased, failed, retried, run(2, 2))?.roundAt).toBe(NOW)
  })
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
  const lose = (state: State): Decision => decide.loseLease(JOB, state, TOKEN, 'the process is gone', NOW)
  const details = '{"message":"the process is gone"}'
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

describe('requeue or finish', () => {
  const requeue =
    (maxRetries: number) =>
    (state: State): Decision =>
      decide.requeueOrFinish(JOB, state, TOKEN, maxRetries, '"end"')
  const back = fact('Released', { token: TOKEN, by: 'requeue' })
  const ended = body(finished, '"end"')
  const lost = fact('Failed', { token: TOKEN, run: 1, attempt: 1, cause: 'lease-lost', retryable: true })
  check([
    { so: 'sends the job back to its place', given: [queued, leased], when: requeue(1), answer: [back] },
    { so: 'ends it where no re-run is allowed', given: [queued, leased], when: requeue(0), answer: [ended] },
    {
      so: 'ends it, as succeeded and with the result, when it was re-run that often',
      given: [queued, leased, back, run(2), back, run(3)],
      when: requeue(2),
      answer: [ended],
    },
    {
      so: 'sends it back once more before that',
      given: [queued, leased, back, run(2), back, run(3)],
      when: requeue(3),
      answer: [back],
    },
    {
      so: 'counts every earlier re-run, whatever it was for: a failure, a lost lease, a snooze',
      given: [
        ...[queued, leased, failed, retried, run(2, 2), lost, again, run(3, 2)],
        ...[fact('Released', { token: TOKEN, by: 'snooze', runAt: NOW }), run(4, 2)],
      ],
      when: requeue(3),
      answer: [ended],
    },
    {
      so: 'counts from nothing in a new round',
      given: [queued, leased, back, run(2), finished, newRound, run(3)],
      when: requeue(1),
      answer: [back],
    },
  ])

  test('keeps the place in line, and spends no attempt', () => {
    const before = stateAfter(queued)
    expect(stateAfter(queued, leased, back)).toMatchObject({ runAt: 0, since: before?.since, attempt: 0 })
  })
})

describe('fail a job that was never started', () => {
  const refuse = (state: State): Decision => decide.failUnstarted(JOB, state, '{"why":"no"}')
  const error = 'NotStarted'
  const answer = [
    fact('Failed', { run: 0, attempt: 0, cause: 'not-started', error, retryable: false }),
    body(fact('Finished', { outcome: 'failed', error }), '{"why":"no"}'),
  ]
  check([
    { so: 'ends it as failed, and keeps what is given as its result', given: [queued], when: refuse, answer },
    {
      so: 'ends one that is held, scheduled or blocked',
      given: [
        fact(
          'Queued',
          facts({ held: true, runAt: NOW + 1, dependsOn: [{ id: 'd', on: 'succeeded', otherwise: 'block' }] }),
        ),
      ],
      when: refuse,
      answer,
    },
    {
      so: 'ends one that was sent round again before it ever ran',
      given: [queued, cancelled, newRound],
      when: refuse,
      answer,
    },
    { so: 'is refused for an unknown job', given: [], when: refuse, answer: 'JOB_UNKNOWN' },
    { so: 'is refused while it runs', given: [queued, leased], when: refuse, answer: 'JOB_RUNNING' },
    { so: 'is refused once it has ended', given: [queued, cancelled], when: refuse, answer: 'JOB_ENDED' },
    {
      so: 'is refused when it has run before, whatever became of that run',
      given: [queued, leased, fact('Released', { token: TOKEN })],
      when: refuse,
      answer: 'JOB_NOT_PENDING',
    },
  ])

  test('says why not', () => {
    const refusal = refuse(stateAfter(queued, leased, fact('Released', { token: TOKEN }))) as Error
    expect(refusal.message).toBe('Job j1 cannot be failed unstarted: it is one that has run before.')
  })
})
