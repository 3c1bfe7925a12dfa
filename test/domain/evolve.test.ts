import { describe, expect, test } from 'vitest'
import { DEFAULT_BACKOFF } from '../../domain/backoff.js'
import type { Draft } from '../../domain/event.js'
import type { JobState } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import { fact, facts, NOW, stamped, stateAfter, TOKEN } from './support/jobs.js'

const queued = fact('Queued', facts())
const leased = fact('Leased', { token: TOKEN, workerId: 'w1', run: 1, attempt: 1, expiresAt: NOW + 30_000 })
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
      { progress: 0.5, lease: { token: TOKEN, workerId: 'w1', at: NOW, expiresAt: NOW + 90_000, attempt: 1 } },
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

  test('is a new object each time, and the one before is left as it was', () => {
    const before = Object.freeze(stateAfter(queued) as JobState)
    expect(evolve(before, stamped(leased))).not.toBe(before)
    expect(before).toMatchObject({ phase: 'waiting', run: 0 })
  })

  test('shares the usual backoff policy: it is one object for half a million jobs', () => {
    const copy = { ...DEFAULT_BACKOFF }
    expect(stateAfter(fact('Queued', facts({ backoff: copy })))?.backoff).toBe(DEFAULT_BACKOFF)
    expect(stateAfter(fact('Queued', facts({ backoff: { ...copy, min: 1 } })))?.backoff.min).toBe(1)
  })
})
