/** What the scenarios do not come to: ends by policy, ceilings, clients. */
import { expect, test } from 'vitest'
import { DEFAULT_BACKOFF } from '../../domain/backoff.js'
import type { Draft, RecordedEvent } from '../../domain/event.js'
import type { Failed, Queued } from '../../domain/job/events.js'
import type { Step } from '../../projections/course-of-runs.js'
import { courseOfRuns } from '../../projections/course-of-runs.js'
import { fact, facts, NOW, stamped } from '../domain/support/jobs.js'

const recorded = (drafts: readonly Draft[]): RecordedEvent[] =>
  drafts.map((draft, revision) => stamped(draft, NOW + revision, revision) as RecordedEvent)

const course = (given: Partial<Queued>, ...drafts: readonly Draft[]): readonly Step[] =>
  courseOfRuns(recorded([fact('Queued', facts(given)), ...drafts]))

const lease = fact('Leased', { token: 't', workerId: 'w', run: 1, attempt: 1, expiresAt: NOW })
const failed = (more: Partial<Failed> = {}): Draft =>
  fact('Failed', { token: 't', run: 1, attempt: 1, cause: 'error', error: 'E', retryable: true, ...more })
const over = fact('Finished', { outcome: 'failed', error: 'E' })

test.each<[string, Partial<Queued>, Draft, object]>([
  ['a ceiling where it ran', {}, failed({ ceiling: 1 }), { code: 'ceiling', ceiling: 1 }],
  ['an error that is final', {}, failed({ retryable: false }), { code: 'not-retryable', error: 'E' }],
  [
    'a payload that does not fit',
    {},
    failed({ retryable: false, cause: 'invalid-payload' }),
    { cause: 'invalid-payload' },
  ],
  ['the last attempt', { maxAttempts: 1 }, failed(), { code: 'attempts-spent', attempt: 1, of: 1 }],
  [
    'the limit of the backoff',
    { backoff: { ...DEFAULT_BACKOFF, limit: 1 } },
    failed(),
    { code: 'attempts-spent', of: 1 },
  ],
  ['time', { backoff: { ...DEFAULT_BACKOFF, expiration: 60_000 } }, failed(), { code: 'expired', expiration: 60_000 }],
  [
    'a client',
    { trigger: { id: 't', occurrence: 1, client: true } },
    failed({ cause: 'lease-lost' }),
    { code: 'client-gone' },
  ],
])('%s ends a job, and is told as that', (_, given, failure, step) => {
  const [last, ...more] = course(given, lease, failure, over)
  expect(more).toEqual([])
  expect(last).toMatchObject({ at: NOW + 2, run: 1, round: 1, ...step, says: expect.stringMatching(/^Run 1 .*\.$/) })
})

test('what a handler put off and a worker gave back is told as that', () => {
  const steps = course(
    {},
    ...[lease, fact('Released', { token: 't', by: 'snooze', runAt: NOW + 5 })],
    ...[lease, fact('Released', { token: 't' }), lease, fact('Finished', { outcome: 'succeeded' })],
  )
  expect(steps.map(({ code }) => code)).toEqual(['put-off', 'given-back', 'succeeded'])
  expect(steps[0]).toMatchObject({ runAt: NOW + 5 })
})

test('a job that waits and one that runs have come to nothing yet', () => {
  expect(course({})).toEqual([])
  expect(course({}, lease)).toEqual([])
})
