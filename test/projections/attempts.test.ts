import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RecordedEvent } from '../../domain/event.js'
import type { JobEventMap, JobEventType } from '../../domain/job/events.js'
import { jobStream } from '../../domain/job/events.js'
import type { AttemptRecord } from '../../projections/attempts.js'
import { attemptsOf } from '../../projections/attempts.js'
import { facts, JOB, NOW } from '../domain/support/jobs.js'
import type { Step } from './support/history.js'
import { DEEDS, historyOf } from './support/history.js'

type Fact = { [T in JobEventType]: readonly [type: T, data: JobEventMap[T], body?: string] }[JobEventType]

/** Facts as a stream of the job, one a second. */
function recorded(...given: readonly Fact[]): RecordedEvent[] {
  return given.map(([type, data, content], revision) => ({
    stream: jobStream(JOB),
    type,
    data,
    id: `event-${revision}`,
    at: at(revision),
    revision,
    position: String(revision + 1).padStart(8, '0'),
    ...(content !== undefined && { body: { salt: new Uint8Array(16), content } }),
  }))
}
const at = (revision: number): number => NOW + revision * 1_000

const queued: Fact = ['Queued', facts()]
const leased = (run: number, attempt = run): Fact => {
  return ['Leased', { token: `t${run}`, workerId: `w${run}`, run, attempt, expiresAt: NOW + 90_000 }]
}
const failed = (run: number, body?: string): Fact => {
  const data = { token: `t${run}`, run, attempt: run, cause: 'error', error: 'Oops', retryable: true } as const
  return body === undefined ? ['Failed', data] : ['Failed', data, body]
}
const unstarted: Fact = ['Failed', { run: 0, attempt: 0, cause: 'not-started', error: 'NotStarted', retryable: false }]
const lost: Fact = [
  'Failed',
  { token: 't1', run: 1, attempt: 1, cause: 'lease-lost', error: 'LeaseLost', retryable: true },
  '{"message":"gone"}',
]
const beat = (progress?: number): Fact => {
  return ['Heartbeat', { token: 't', expiresAt: NOW + 99_000, ...(progress !== undefined && { progress }) }]
}
const succeeded: Fact = ['Finished', { outcome: 'succeeded' }]
const failedForGood: Fact = ['Finished', { outcome: 'failed', error: 'Oops' }]
const byPolicy: Fact = ['Retried', { runAt: NOW + 50_000, by: 'policy' }]
const byOperator: Fact = [
  'Retried',
  { runAt: NOW + 60_000, by: 'operator', job: { ...facts(), run: 1, queuedAt: NOW, outcome: 'failed' } },
]
const first = { run: 1, attempt: 1, round: 1, workerId: 'w1', startedAt: at(1) }
const oops = { name: 'Oops', message: '' }

describe('the attempts of a job', () => {
  test.each<[string, readonly Fact[], readonly AttemptRecord[]]>([
    ['are none before it was leased', [queued], []],
    ['are none of one that was cancelled while it waited', [queued, ['Cancelled', { by: 'operator' }]], []],
    ['have no end while it runs', [queued, leased(1)], [first]],
    ['end well', [queued, leased(1), succeeded], [{ ...first, endedAt: at(2), outcome: 'succeeded' }]],
    [
      'end with the error, and tell when they were to be repeated',
      [queued, leased(1), failed(1, '{"message":"no","stack":"Oops: no\\n at x"}'), byPolicy, leased(2), succeeded],
      [
        {
          ...first,
          endedAt: at(2),
          outcome: 'failed',
          cause: 'error',
          error: { name: 'Oops', message: 'no', stack: 'Oops: no\n at x' },
          retryAt: NOW + 50_000,
        },
        { run: 2, attempt: 2, round: 1, workerId: 'w2', startedAt: at(4), endedAt: at(5), outcome: 'succeeded' },
      ],
    ],
    [
      'end for good without being repeated, and a round later begin anew',
      [queued, leased(1), failed(1), failedForGood, byOperator, leased(2, 1)],
      [
        { ...first, endedAt: at(2), outcome: 'failed', cause: 'error', error: oops },
        { run: 2, attempt: 1, round: 2, workerId: 'w2', startedAt: at(5) },
      ],
    ],
    [
      'are lost with the lease',
      [queued, leased(1), lost, ['Retried', { runAt: at(2), by: 'lease-lost' }]],
      [
        {
          ...first,
          endedAt: at(2),
          outcome: 'lost',
          cause: 'lease-lost',
          error: { name: 'LeaseLost', message: 'gone' },
          retryAt: at(2),
        },
      ],
    ],
    [
      'are given back, at once or until later',
      [
        queued,
        leased(1),
        ['Released', { token: 't1' }],
        leased(2, 1),
        ['Released', { token: 't2', runAt: NOW + 70_000 }],
      ],
      [
        { ...first, endedAt: at(2), outcome: 'released' },
        {
          run: 2,
          attempt: 1,
          round: 1,
          workerId: 'w2',
          startedAt: at(3),
          endedAt: at(4),
          outcome: 'released',
          retryAt: NOW + 70_000,
        },
      ],
    ],
    [
      'are cancelled while they run',
      [queued, leased(1), ['Cancelled', { by: 'operator', reason: 'x' }]],
      [{ ...first, endedAt: at(2), outcome: 'cancelled' }],
    ],
    [
      'keep the last progress that was reported, each its own',
      [queued, leased(1), beat(0.2), beat(0.7), beat(), ['Released', { token: 't1' }], leased(2, 1), beat()],
      [
        { ...first, endedAt: at(5), outcome: 'released', progress: 0.7 },
        { run: 2, attempt: 1, round: 1, workerId: 'w2', startedAt: at(6) },
      ],
    ],
    [
      'know who enqueued and who ran',
      [
        ['Queued', facts({ codeVersion: 'v1' })],
        ['Leased', { token: 't', workerId: 'w1', run: 1, attempt: 1, expiresAt: NOW, codeVersion: 'v2' }],
      ],
      [{ ...first, codeVersion: 'v2', enqueuedVersion: 'v1' }],
    ],
    [
      'that ended as failed without a failure have the name of the error',
      [queued, leased(1), failedForGood],
      [{ ...first, endedAt: at(2), outcome: 'failed', error: oops }],
    ],
    [
      'of a job that was failed before any start are told apart from runs',
      [queued, unstarted, failedForGood, byOperator, leased(1)],
      [
        {
          run: 0,
          attempt: 0,
          round: 1,
          workerId: undefined,
          startedAt: at(1),
          endedAt: at(1),
          outcome: 'failed',
          cause: 'not-started',
          error: { name: 'NotStarted', message: '' },
        },
        { ...first, round: 2, startedAt: at(4) },
      ],
    ],
    [
      'stay as they are when bodies are expunged or the job is rescheduled',
      [queued, ['Rescheduled', { priority: 1 }], leased(1), succeeded, ['Expunged', { rule: 'r', hashes: {} }]],
      [{ ...first, startedAt: at(2), endedAt: at(3), outcome: 'succeeded' }],
    ],
  ])('%s', (_, given, expected) => {
    expect(attemptsOf(recorded(...given))).toStrictEqual(expected)
  })

  test.each<[string, RecordedEvent['body'], object]>([
    ['erased', { hash: new Uint8Array(32) }, oops],
    ['not asked for', undefined, oops],
    ['of bytes', body(new Uint8Array([123, 125])), oops],
    ['not JSON', body('{"message"'), oops],
    ['JSON null', body('null'), oops],
    ['JSON text', body('"no"'), oops],
    ['of other kinds of values', body('{"message":5,"stack":null}'), oops],
    ['without a message', body('{"stack":"s"}'), { ...oops, stack: 's' }],
    ['with more in it', body('{"message":"no","more":1}'), { ...oops, message: 'no' }],
  ])('a failure whose body is %s keeps its name', (_, kept, error) => {
    const events = recorded(queued, leased(1), failed(1)).map((event) => ({ ...event, body: kept }))
    expect(attemptsOf(events)[0]?.error).toStrictEqual(error)
  })

  test('are told as far as can be where the beginning of the stream is gone, or a type is from the future', () => {
    const [, , end] = recorded(queued, leased(1), succeeded)
    expect(attemptsOf([end as RecordedEvent])).toEqual([])
    expect(attemptsOf(recorded(beat(1), byPolicy, ['Released', { token: 't', runAt: NOW }]))).toEqual([])
    const odd = recorded(queued, leased(1), succeeded).map((event, index) =>
      index === 0 ? { ...event, type: 'Dreamt' } : event,
    )
    expect(attemptsOf(odd)).toHaveLength(1)
    expect(attemptsOf([])).toEqual([])
  })
})

function body(content: string | Uint8Array): RecordedEvent['body'] {
  return { salt: new Uint8Array(16), content }
}

const step: fc.Arbitrary<Step> = fc.record({
  deed: fc.constantFrom(
    ...DEEDS,
    'lease',
    'lease',
    'finish',
    'fail',
    'fail',
    'lose lease',
    'release',
    'retry',
    'retry',
  ),
  job: fc.nat(3),
  dice: fc.nat(11),
  wait: fc.constantFrom(1, 15, 40),
})

/** The stream of one job, as deciders write it; before its first run it may have been failed and retried a few times. */
const streams = fc
  .tuple(fc.array(step, { minLength: 5, maxLength: 120, size: 'max' }).map(historyOf), fc.nat(3), fc.nat(5))
  .map(([log, refusals, job]) => {
    const names = [...new Set(log.map(({ stream }) => stream))]
    const [head, ...rest] = log.filter(({ stream }) => stream === names[job % names.length])
    const refused = recorded(...Array.from({ length: refusals }, () => [unstarted, failedForGood, byOperator]).flat())
    return head === undefined ? [] : [head, ...refused.map((event) => ({ ...event, at: head.at })), ...rest]
  })

describe('whatever a job has lived through', () => {
  const isStart = ({ type }: RecordedEvent): boolean => type === 'Leased'
  const isRefusal = ({ type, data }: RecordedEvent): boolean =>
    type === 'Failed' && (data as { cause: string }).cause === 'not-started'

  test('there is one attempt for each lease and each refusal, in order, and run numbers only rise', () => {
    fc.assert(
      fc.property(streams, (events) => {
        const attempts = attemptsOf(events)
        const begun = events.filter((event) => isStart(event) || isRefusal(event))
        expect(attempts.map(({ run, startedAt, workerId }) => ({ run, startedAt, workerId }))).toEqual(
          begun.map(({ at: startedAt, data }) => {
            const { run, workerId } = data as { run: number; workerId?: string }
            return { run, startedAt, workerId }
          }),
        )
        const runs = attempts.map(({ run }) => run).filter((run) => run > 0)
        expect(runs).toEqual(runs.map((_, index) => index + 1))
        expect(attempts.findLastIndex(({ run }) => run === 0)).toBe(attempts.length - runs.length - 1)
      }),
      { numRuns: 300 },
    )
  })

  test('each ends before the next begins, and has an outcome once it has ended', () => {
    fc.assert(
      fc.property(streams, (events) => {
        const attempts = attemptsOf(events)
        for (const { startedAt, endedAt, outcome } of attempts) {
          expect(endedAt === undefined).toBe(outcome === undefined)
          expect(endedAt ?? startedAt).toBeGreaterThanOrEqual(startedAt)
        }
        for (const [one, next] of pairs(attempts)) expect(next.startedAt).toBeGreaterThanOrEqual(one.endedAt as number)
      }),
      { numRuns: 300 },
    )
  })

  test('within a round only a failure moves the attempt on, and a round begins with the first', () => {
    fc.assert(
      fc.property(streams, (events) => {
        for (const [one, next] of pairs(attemptsOf(events))) {
          const spent = one.outcome === 'failed' ? 1 : 0
          const first = next.run === 0 ? 0 : 1
          expect(next.attempt).toBe(next.round === one.round ? one.attempt + spent : first)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('rounds are counted by the retries of operators', () => {
    fc.assert(
      fc.property(streams, (events) => {
        const attempts = attemptsOf(events)
        let round = 1
        const rounds: number[] = []
        for (const event of events) {
          if (event.type === 'Retried' && (event.data as { by: string }).by === 'operator') round += 1
          if (isStart(event) || isRefusal(event)) rounds.push(round)
        }
        expect(attempts.map((one) => one.round)).toEqual(rounds)
      }),
    )
  })

  test('what was told of an attempt before stays so: later events add to the last one only', () => {
    fc.assert(
      fc.property(streams, fc.nat(60), (events, cut) => {
        const before = attemptsOf(events.slice(0, cut))
        const after = attemptsOf(events)
        expect(after.slice(0, Math.max(0, before.length - 1))).toStrictEqual(before.slice(0, -1))
        if (before.length > 0) expect(after[before.length - 1]).toMatchObject(before.at(-1) as AttemptRecord)
      }),
    )
  })
})

/** Each with the one after it. */
const pairs = (attempts: readonly AttemptRecord[]): (readonly [AttemptRecord, AttemptRecord])[] =>
  attempts.slice(1).map((next, index) => [attempts[index] as AttemptRecord, next] as const)
