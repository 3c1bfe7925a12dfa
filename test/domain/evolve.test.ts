import { describe, expect, test } from 'vitest'
import { DEFAULT_BACKOFF } from '../../domain/backoff.js'
import { IllegalEvent } from '../../domain/errors.js'
import type { Draft } from '../../domain/event.js'
import type { JobEvent } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import { fact, facts, NOW, stamped, stateAfter, TOKEN } from './support/jobs.js'

const queued = fact('Queued', facts())
const leased = fact('Leased', { token: TOKEN, workerId: 'w1', run: 1, attempt: 1, expiresAt: NOW + 30_000 })
const run = (number: number, attempt = 1): Draft => ({ ...leased, data: { ...leased.data, run: number, attempt } })
const released = fact('Released', { token: TOKEN })
const finished = fact('Finished', { outcome: 'succeeded' })
const cancelled = fact('Cancelled', { by: 'operator' })
const newRound = fact('Retried', { runAt: NOW, by: 'operator' })
const expunged = fact('Expunged', { rule: 'r', hashes: {} })
const condemned = fact('Condemned', {})
const failed = fact('Failed', { token: TOKEN, run: 1, attempt: 1, cause: 'error', error: 'Oops', retryable: true })

describe('the state of a job', () => {
  test.each<[string, readonly Draft[], Partial<JobState>]>([
    [
      'has the defaults that a fact leaves out',
      [queued],
      { channel: '', priority: 0, runAt: 0, held: false, dependsOn: [] },
    ],
    ['is as old as its queueing', [queued], { queuedAt: NOW, since: NOW }],
    ['is as old as its run time, if that is later', [fact('Queued', facts({ runAt: NOW + 5 }))], { since: NOW + 5 }],
    ['is not older for a run time that has passed', [fact('Queued', facts({ runAt: 5 }))], { runAt: 5, since: NOW }],
    ['holds the lease of its run', [queued, leased], { run: 1, attempt: 0, startedAt: NOW, phase: 'leased' }],
    [
      'has its lease extended, and keeps the last progress',
      [
        queued,
        leased,
        fact('Heartbeat', { token: TOKEN, expiresAt: NOW + 60_000, progress: 0.5 }),
        fact('Heartbeat', { token: TOKEN, expiresAt: NOW + 90_000 }),
      ],
      {
        progress: 0.5,
        lease: { token: TOKEN, workerId: 'w1', at: NOW, expiresAt: NOW + 90_000, attempt: 1, seenAt: NOW },
      },
    ],
    [
      'forgets the progress of the run before',
      [
        queued,
        leased,
        fact('Heartbeat', { token: TOKEN, expiresAt: NOW, progress: 1 }),
        fact('Released', { token: TOKEN }),
        leased,
      ],
      { progress: undefined },
    ],
    [
      'forgets it in a new round, before that has run',
      [queued, leased, fact('Heartbeat', { token: TOKEN, expiresAt: NOW, progress: 1 }), finished, newRound],
      { progress: undefined, phase: 'waiting' },
    ],
    [
      'comes in again by its new run time',
      [queued, leased, failed, fact('Retried', { runAt: NOW + 9, by: 'policy' })],
      { runAt: NOW + 9, since: NOW + 9, attempt: 1, error: 'Oops' },
    ],
    [
      'keeps its place when a lease is given back',
      [queued, leased, fact('Released', { token: TOKEN })],
      { since: NOW, attempt: 0, lease: undefined },
    ],
    [
      'waits where the release says so',
      [queued, leased, fact('Released', { token: TOKEN, runAt: NOW + 9 })],
      { runAt: NOW + 9, since: NOW + 9 },
    ],
    [
      'changes only in what a rescheduling names',
      [fact('Queued', facts({ priority: 2, held: true })), fact('Rescheduled', { held: false })],
      { priority: 2, held: false, runAt: 0 },
    ],
    [
      'may be rescheduled to nothing',
      [fact('Queued', facts({ priority: 2 })), fact('Rescheduled', { priority: 0, runAt: 0 })],
      { priority: 0, runAt: 0, since: NOW },
    ],
    [
      'ends',
      [queued, leased, fact('Finished', { outcome: 'succeeded' })],
      { phase: 'ended', outcome: 'succeeded', endedAt: NOW, lease: undefined },
    ],
    [
      'ends with an error',
      [queued, leased, failed, fact('Finished', { outcome: 'failed', error: 'Last' })],
      { outcome: 'failed', error: 'Last' },
    ],
    [
      'ends by a cancel, also while it runs',
      [queued, leased, fact('Cancelled', { by: 'operator' })],
      { outcome: 'cancelled', lease: undefined },
    ],
    [
      'counts the attempt that succeeded, too',
      [queued, leased, failed, fact('Retried', { runAt: NOW, by: 'policy' }), run(2, 2), finished],
      { attempt: 2, run: 2, outcome: 'succeeded', error: 'Oops' },
    ],
    [
      'that ends without a run has begun when it ended, and has spent no attempt',
      [
        queued,
        fact('Failed', { run: 0, attempt: 0, cause: 'not-started', error: 'NotStarted', retryable: false }),
        fact('Finished', { outcome: 'failed', error: 'NotStarted' }),
      ],
      { startedAt: NOW, endedAt: NOW, run: 0, attempt: 0, outcome: 'failed', error: 'NotStarted' },
    ],
    [
      'keeps when its round began, through failures and releases',
      [queued, leased, failed, fact('Retried', { runAt: NOW, by: 'policy' }), run(2, 2), released, run(3, 2)],
      { roundAt: NOW, runsBefore: 0, run: 3 },
    ],
    [
      'counts a new round from nothing, but knows how many runs were before it',
      [queued, leased, released, run(2), failed, finished, newRound],
      { roundAt: 0, runsBefore: 2, run: 2, attempt: 0, lost: 0, error: 'Oops', startedAt: NOW, endedAt: 0 },
    ],
    ['is held no more in a new round', [fact('Queued', facts({ held: true })), cancelled, newRound], { held: false }],
    ['carries nothing rare as a rule', [queued], { rare: undefined }],
    [
      'carries what only few jobs have',
      [fact('Queued', facts({ timeoutBy: 'type', retryOn: 'recoverable-only', retainMs: 5 }))],
      { rare: { timeoutBy: 'type', retryOn: 'recoverable-only', retainMs: 5 } },
    ],
    [
      'knows the trigger that made it, and those in whose course that fired',
      [fact('Queued', facts({ trigger: { id: 'nightly', occurrence: 7 }, debounced: true, chain: ['first'] }))],
      { rare: { trigger: { id: 'nightly', occurrence: 7 }, debounced: true, chain: ['first'] } },
    ],
    [
      'knows in whose course it came to be, though no trigger made it',
      [fact('Queued', facts({ chain: ['first'] }))],
      { rare: { chain: ['first'] } },
    ],
    [
      'knows where its payload is, once it was given another',
      [queued, fact('Rescheduled', { priority: 1 }), fact('Rescheduled', { payload: true }), leased],
      { rare: { payloadAt: 2 }, priority: 1 },
    ],
    ['knows that its bodies were erased', [queued, cancelled, expunged], { phase: 'ended', rare: { expunged: true } }],
    [
      'knows that it is about to be removed, beside all else that is rare',
      [fact('Queued', facts({ retainMs: null })), cancelled, expunged, condemned],
      { phase: 'ended', rare: { retainMs: null, expunged: true, condemned: true } },
    ],
    [
      'is spared by a new round',
      [fact('Queued', facts({ retainMs: 5 })), cancelled, condemned, newRound],
      { phase: 'waiting', rare: { retainMs: 5 } },
    ],
    ['has nothing rare left when it is spared', [queued, cancelled, condemned, newRound], { rare: undefined }],
    [
      'counts its events',
      [queued, leased, fact('Expunged', { rule: 'r', hashes: {} })],
      { revision: 2, phase: 'leased' },
    ],
  ])('%s', (_, given, expected) => {
    expect(stateAfter(...given)).toMatchObject(expected)
  })

  test('takes revision and place from events that were recorded', () => {
    const first = evolve(undefined, { ...stamped(queued), revision: 0, position: '7' })
    const second = evolve(first, { ...stamped(leased), revision: 1, position: '9' })
    expect(second).toMatchObject({ revision: 1, position: '7' })
  })

  test('is seen with the lease and with each heartbeat', () => {
    const later = (draft: Draft, at: number): JobEvent => stamped(draft, at)
    const taken = evolve(stateAfter(queued), later(leased, NOW + 1))
    expect(taken.lease?.seenAt).toBe(NOW + 1)
    const beat = fact('Heartbeat', { token: TOKEN, expiresAt: NOW + 60_000 })
    expect(evolve(taken, later(beat, NOW + 7)).lease).toMatchObject({ at: NOW + 1, seenAt: NOW + 7 })
  })

  test('is taken up by a new round with all that it was, for those who have let go of it', () => {
    const job = {
      ...facts({ retryOn: 'recoverable-only' }),
      run: 3,
      queuedAt: NOW - 9,
      outcome: 'failed',
      error: 'Oops',
      startedAt: NOW - 5,
      payloadAt: 4,
    } as const
    const event = stamped(fact('Retried', { runAt: NOW, by: 'operator', job }), NOW, 12)
    expect(evolve(undefined, { ...event, position: '7' })).toMatchObject({
      ...{ phase: 'waiting', run: 3, runsBefore: 3, attempt: 0, lost: 0, queuedAt: NOW - 9, since: NOW, runAt: NOW },
      ...{ error: 'Oops', startedAt: NOW - 5, endedAt: 0, outcome: undefined, revision: 12, position: '7' },
      rare: { retryOn: 'recoverable-only', payloadAt: 4 },
    })
  })

  test('is not taken up by any other event', () => {
    for (const draft of [leased, cancelled, condemned, expunged, newRound])
      expect(() => evolve(undefined, stamped(draft)), draft.type).toThrow(IllegalEvent)
  })

  test('is a new object each time, and the one before is left as it was', () => {
    const before = Object.freeze(stateAfter(queued) as JobState)
    expect(evolve(before, stamped(leased))).not.toBe(before)
    expect(before).toMatchObject({ phase: 'waiting', run: 0 })
  })

  test('shares the usual backoff policy: it is one object for half a million jobs', () => {
    const copy = { ...DEFAULT_BACKOFF }
    expect(stateAfter(fact('Queued', facts({ backoff: copy })))?.backoff).toBe(DEFAULT_BACKOFF)
    expect(stateAfter(fact('Queued', facts({ backoff: { ...copy, min: 1 } })))?.backoff.min).toBe(1)
    for (const more of [{ limit: 2 }, { expiration: 5 }]) {
      expect(stateAfter(fact('Queued', facts({ backoff: { ...copy, ...more } })))?.backoff).toEqual({
        ...copy,
        ...more,
      })
    }
  })
})
