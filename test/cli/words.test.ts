/** What `history` says of each event. */
import { describe, expect, test } from 'vitest'
import { bodyPreview, inWords } from '../../adapters/cli/words.js'
import { DEFAULT_BACKOFF } from '../../domain/backoff.js'
import { JOB_EVENT_TYPES } from '../../domain/job/events.js'

const AT = Date.UTC(2030, 0, 1)
const queued = { type: 'note', queue: 'mail', maxAttempts: 20, backoff: DEFAULT_BACKOFF, timeoutMs: null }
const run = { token: 't', run: 2, attempt: 1 }
const failed = { ...run, retryable: true }

type Case = readonly [type: string, data: object, words: string, metadata?: Readonly<Record<string, string>>]

const CASES: readonly Case[] = [
  ['Queued', queued, 'accepted as note in queue mail, at most 20 attempts'],
  [
    'Queued',
    {
      ...{
        ...queued,
        channel: 'eu',
        name: 'Ada',
        priority: -1,
        runAt: AT,
        held: true,
        manual: true,
        unique: 'unique-x',
      },
      dependsOn: [{ id: 'a', on: 'finished', otherwise: 'run' }],
      backoff: { ...DEFAULT_BACKOFF, limit: 3, expiration: 3_600_000 },
      retainMs: 60_000,
      context: { user: 'grace' },
    },
    'accepted as note in queue mail, channel eu, named Ada, priority -1, not before 2030-01-01T00:00:00.000Z, held until it is promoted, after a (finished, else run), the only one of its key, started by a person, for grace, at most 3 attempts within 1h, kept for 1m after its end, by ada, because: it rains',
    { actor: 'ada', reason: 'it rains' },
  ],
  [
    'Queued',
    { ...queued, maxAttempts: null, retainMs: null, context: { user: 'ada' } },
    'accepted as note in queue mail, any number of attempts, kept for ever, by ada',
    { actor: 'ada' },
  ],
  ['Leased', { ...run, workerId: 'w', expiresAt: AT + 30_000 }, 'run 2 (attempt 1) given to worker w for 30s'],
  ['Heartbeat', { token: 't', expiresAt: AT + 30_000 }, 'still running, lease good for another 30s'],
  [
    'Heartbeat',
    { token: 't', expiresAt: AT + 30_000, progress: 0 },
    'still running, progress 0, lease good for another 30s',
  ],
  ['Released', { token: 't' }, 'given back by its worker, which shut down, no attempt spent'],
  [
    'Released',
    { token: 't', by: 'snooze', runAt: AT },
    'put off by its handler, no attempt spent, not before 2030-01-01T00:00:00.000Z',
  ],
  ['Released', { token: 't', by: 'requeue' }, 'sent back to its place by its worker, no attempt spent'],
  ['Failed', { ...failed, cause: 'error', error: 'RangeError' }, 'run 2 (attempt 1) failed: RangeError'],
  ['Failed', { ...failed, cause: 'timeout', error: 'Timeout' }, 'run 2 (attempt 1) timed out'],
  ['Failed', { ...failed, cause: 'lease-lost', error: 'LeaseLost' }, 'run 2 (attempt 1) lost its worker'],
  [
    'Failed',
    { ...failed, cause: 'invalid-payload', retryable: false },
    'run 2 (attempt 1) refused its payload, not to be tried again',
  ],
  [
    'Failed',
    { run: 0, attempt: 0, cause: 'not-started', retryable: false },
    'could not be started, not to be tried again',
  ],
  ['Retried', { by: 'policy', runAt: AT + 5_000 }, 'to run again in 5s'],
  ['Retried', { by: 'lease-lost', runAt: AT }, 'to run again at once, no attempt spent'],
  ['Retried', { by: 'operator', runAt: AT }, 'sent round again by an operator, attempts start afresh'],
  [
    'Retried',
    { by: 'operator', runAt: AT },
    'sent round again by ada, attempts start afresh, because: mail is back',
    { actor: 'ada', reason: 'mail is back' },
  ],
  ['Finished', { outcome: 'succeeded' }, 'succeeded'],
  ['Finished', { outcome: 'succeeded', aborted: true }, 'succeeded: there was nothing left to do'],
  ['Finished', { outcome: 'failed', error: 'RangeError' }, 'failed for good: RangeError'],
  ['Finished', { outcome: 'failed' }, 'failed for good'],
  ['Cancelled', { by: 'dependency', reason: 'dependency a failed' }, 'cancelled by a dependency: dependency a failed'],
  ['Cancelled', { by: 'operator', reason: 'enough' }, 'cancelled by an operator: enough'],
  ['Cancelled', { by: 'operator', reason: 'enough' }, 'cancelled by ada: enough', { actor: 'ada', reason: 'enough' }],
  [
    'Cancelled',
    { by: 'operator', reason: 'removed' },
    'cancelled by ada: removed, because: a mistake',
    { actor: 'ada', reason: 'a mistake' },
  ],
  ['Rescheduled', { priority: 0, held: true }, 'changed: priority 0, held until it is promoted'],
  ['Rescheduled', { runAt: AT, held: false }, 'changed: to run at once, not held any more, by ada', { actor: 'ada' }],
  ['Rescheduled', { runAt: AT + 1, payload: true }, 'changed: not before 2030-01-01T00:00:00.001Z, a new payload'],
  ['Condemned', {}, 'about to be removed by an operator'],
  ['Condemned', {}, 'about to be removed by ada', { actor: 'ada' }],
  ['Condemned', { rule: 'old' }, 'about to be removed by the rule old'],
  ['Condemned', { rule: 'archive' }, 'to go into the archive'],
  ['Condemned', { rule: 'archive' }, 'to go into the archive, sent by ada', { actor: 'ada' }],
  ['Expunged', { rule: 'old', hashes: { 0: 'x', 2: 'y' } }, '2 bodies erased by the rule old'],
  ['Expunged', { rule: 'operator', hashes: { 0: 'x' } }, '1 body erased by an operator'],
  ['Expunged', { rule: 'old', hashes: {} }, '0 bodies erased by the rule old, run by ada', { actor: 'ada' }],
  ['Teleported', { to: '\u0007' }, '{"to":"\\u0007"}'],
]

describe('words for', () => {
  const cases = CASES.map(([type, data, words, metadata]) => ({ type, data, words, metadata }))
  test.each(cases)('$type: $words', ({ type, data, words, metadata }) => {
    expect(inWords({ revision: 0, type, at: AT, data, ...(metadata && { metadata }) })).toBe(words)
  })

  test('every event there is', () => {
    const told = new Set(CASES.map(([type]) => type))
    expect(JOB_EVENT_TYPES.filter((type) => !told.has(type))).toEqual([])
  })
})

test('a body is its beginning, an error its message', () => {
  const entry = { revision: 0, type: 'Failed', at: AT, data: {} }
  expect(bodyPreview({ ...entry, body: { message: 'no\u0007 luck', stack: 'long' } })).toBe('no\\u0007 luck')
  expect(bodyPreview({ ...entry, type: 'Finished', body: ['x'] })).toBe('["x"]')
  expect(bodyPreview({ ...entry, erased: true })).toBe('(erased)')
  expect(bodyPreview(entry)).toBe('')
})
