/** The judge of chaos runs is tried on logs that are made up: each law must find its fault, and nothing else. */
import { describe, expect, it } from 'vitest'
import type { RecordedEvent } from '../../domain/event.js'
import { faultsIn } from './fleet/laws.js'
import { orderFaults } from './fleet/order.js'

type Facts = Record<string, unknown>
type Line = readonly [job: string, type: string, data?: Facts, body?: unknown, at?: number]

const QUEUED = {
  ...{ type: 'brief', queue: 'default', maxAttempts: 3, timeoutMs: null },
  backoff: { min: 10, max: 10, factor: 2, jitter: 'full' },
}
const queued = (job: string, data: Facts = {}): Line => [job, 'Queued', { ...QUEUED, ...data }]
const leased = (job: string, run: number, data: Facts = {}): Line => [
  job,
  'Leased',
  { token: `${job}-${run}`, workerId: 'w', run, attempt: 1, expiresAt: 10_000, ...data },
]
const lost = (job: string, run: number, message = 'the worker process is gone'): Line => [
  job,
  'Failed',
  { token: `${job}-${run}`, run, attempt: 1, cause: 'lease-lost', error: 'LeaseLost', retryable: true },
  { message },
]
const failed = (job: string, run: number, attempt: number): Line => [
  job,
  'Failed',
  { token: `${job}-${run}`, run, attempt, cause: 'error', error: 'Error', retryable: true },
]
const again = (job: string, by: string, runAt = 0, data: Facts = {}): Line => [job, 'Retried', { runAt, by, ...data }]
const done = (job: string, run: number, workerId = 'w'): Line => [
  job,
  'Finished',
  { outcome: 'succeeded' },
  { run, workerId },
]
const ended = (job: string, error: string): Line => [job, 'Finished', { outcome: 'failed', error }]
const cancelled = (job: string, by: string): Line => [job, 'Cancelled', { by }]

/** Lines as a store would have recorded them, one millisecond after the other. */
function logOf(lines: readonly Line[]): RecordedEvent[] {
  const revisions = new Map<string, number>()
  return lines.map(([job, type, data = {}, body, at], index) => {
    const stream = `job-${job}`
    const revision = (revisions.get(stream) ?? -1) + 1
    revisions.set(stream, revision)
    const position = String(index + 1).padStart(6, '0')
    const event = { stream, type, data, revision, position, id: `event ${index}`, at: at ?? 1_000 + index }
    return body === undefined ? event : { ...event, body: { salt: new Uint8Array(16), content: JSON.stringify(body) } }
  })
}

const faultsOf = (...lines: Line[]): string[] => faultsIn(logOf(lines))

const SOUND: readonly Line[] = [
  queued('a', { unique: 'unique-k' }),
  queued('b', { dependsOn: [{ id: 'a', on: 'succeeded', otherwise: 'cancel' }] }),
  leased('a', 1),
  ['a', 'Heartbeat', { token: 'a-1', expiresAt: 20_000 }],
  lost('a', 1),
  again('a', 'lease-lost'),
  leased('a', 2),
  failed('a', 2, 1),
  again('a', 'policy', 1_005),
  leased('a', 3, { attempt: 2 }),
  ['a', 'Released', { token: 'a-3' }],
  leased('a', 4, { attempt: 2 }),
  done('a', 4),
  leased('b', 1),
  done('b', 1),
  queued('c', { unique: 'unique-k' }),
  cancelled('c', 'operator'),
]

describe('a sound log', () => {
  it('has no faults', () => {
    expect(faultsOf(...SOUND)).toEqual([])
  })

  it('may send a job round again', () => {
    const job = { ...QUEUED, run: 1, queuedAt: 1_000, outcome: 'failed' }
    expect(
      faultsOf(
        queued('a', { maxAttempts: 1 }),
        leased('a', 1),
        failed('a', 1, 1),
        ended('a', 'Error'),
        again('a', 'operator', 0, { job }),
        leased('a', 2),
        done('a', 2),
      ),
    ).toEqual([])
  })

  it('may cancel a job of a batch before the dependency that was cancelled as it was made', () => {
    const failed = (id: string): Facts => ({
      dependsOn: [{ id, on: 'succeeded', otherwise: 'cancel', now: 'failed' }],
    })
    expect(
      faultsOf(
        queued('a'),
        cancelled('a', 'operator'),
        queued('c', failed('b')),
        cancelled('c', 'dependency'),
        queued('b', failed('a')),
        cancelled('b', 'dependency'),
      ),
    ).toEqual([])
  })

  it('may end a job that has lost three leases', () => {
    const twice = [1, 2].flatMap((run) => [leased('a', run), lost('a', run), again('a', 'lease-lost')])
    expect(faultsOf(queued('a'), ...twice, leased('a', 3), lost('a', 3), ended('a', 'LeaseLost'))).toEqual([])
  })
})

/** Logs, and what must be found wrong with each. */
const BROKEN: readonly [what: string, fault: string | RegExp, ...lines: Line[]][] = [
  ['a job without an end', 'job a: has no end', queued('a')],
  ['a job that still runs', 'job a: run 1 is still leased', queued('a'), leased('a', 1)],
  [
    'two ends',
    'job a: Finished is the end number 2 of its round',
    queued('a'),
    leased('a', 1),
    done('a', 1),
    done('a', 1),
  ],
  [
    'a lease within a lease',
    'job a: run 2 is leased while run 1 still is',
    queued('a'),
    leased('a', 1),
    leased('a', 2),
    done('a', 2),
  ],
  [
    'a success of a run whose lease is another one',
    'job a: the success of run 1 is recorded under the lease of run 2',
    queued('a'),
    leased('a', 1),
    lost('a', 1),
    again('a', 'lease-lost'),
    leased('a', 2),
    done('a', 1),
  ],
  [
    'a success of a worker that does not hold the lease',
    'job a: the success of run 1 is recorded under the lease of run 1',
    queued('a'),
    leased('a', 1),
    done('a', 1, 'another'),
  ],
  [
    'a heartbeat under an old token',
    'job a: a heartbeat under another token',
    queued('a'),
    leased('a', 1),
    ['a', 'Heartbeat', { token: 'old', expiresAt: 20_000 }],
    done('a', 1),
  ],
  [
    'a failure under an old token',
    'job a: an outcome under another token than that of run 1',
    queued('a'),
    leased('a', 1),
    ['a', 'Failed', { token: 'old', run: 1, attempt: 1, cause: 'error', error: 'Error', retryable: true }],
    again('a', 'policy'),
    leased('a', 2, { attempt: 2 }),
    done('a', 2),
  ],
  [
    'a token used twice',
    'job a: run 2 has a token that was used before',
    queued('a'),
    leased('a', 1),
    ['a', 'Released', { token: 'a-1' }],
    leased('a', 2, { token: 'a-1' }),
    done('a', 2),
  ],
  [
    'a run that is not counted',
    'job a: run 3 comes after run 1',
    queued('a'),
    leased('a', 1),
    ['a', 'Released', { token: 'a-1' }],
    leased('a', 3),
    done('a', 3),
  ],
  [
    'a lease that was taken back too early',
    /^job a: run 1 loses its lease \d+ ms before that is over$/,
    queued('a'),
    leased('a', 1),
    lost('a', 1, 'no sign of life since 1970'),
    again('a', 'lease-lost'),
    leased('a', 2),
    done('a', 2),
  ],
  [
    'a job that goes on after three lost leases',
    'job a: goes on after 3 lost leases',
    queued('a'),
    ...[1, 2, 3].flatMap((run) => [leased('a', run), lost('a', run), again('a', 'lease-lost')]),
    leased('a', 4),
    done('a', 4),
  ],
  [
    'a job that ends after one lost lease',
    'job a: ends as LeaseLost after 1 lost leases',
    queued('a'),
    leased('a', 1),
    lost('a', 1),
    ended('a', 'LeaseLost'),
  ],
  [
    'a lost lease that spends an attempt',
    'job a: attempt 2 comes after 0 that ended by themselves',
    queued('a'),
    leased('a', 1),
    lost('a', 1),
    again('a', 'lease-lost'),
    leased('a', 2, { attempt: 2 }),
    done('a', 2),
  ],
  [
    'an attempt too many',
    'job a: attempt 2 of 1',
    queued('a', { maxAttempts: 1 }),
    leased('a', 1),
    failed('a', 1, 1),
    again('a', 'policy'),
    leased('a', 2, { attempt: 2 }),
    done('a', 2),
  ],
  [
    'a run before its time',
    'job a: is leased 500 ms before its time',
    queued('a', { runAt: 1_501 }),
    leased('a', 1),
    done('a', 1),
  ],
  [
    'a held job that runs',
    'job a: is leased while it is held',
    queued('a', { held: true }),
    leased('a', 1),
    done('a', 1),
  ],
  [
    'a run before its dependency has ended',
    'job b: runs before its dependency a has succeeded',
    queued('a'),
    queued('b', { dependsOn: [{ id: 'a', on: 'succeeded', otherwise: 'run' }] }),
    leased('b', 1),
    done('b', 1),
    leased('a', 1),
    done('a', 1),
  ],
  [
    'an edge that is recorded as met and is not',
    'job b: takes its dependency a for met',
    queued('a'),
    queued('b', { dependsOn: [{ id: 'a', on: 'succeeded', otherwise: 'run', now: 'met' }] }),
    leased('a', 1),
    done('a', 1),
    leased('b', 1),
    done('b', 1),
  ],
  [
    'a job cancelled for a dependency that succeeded',
    'job b: is cancelled, but no dependency of it has failed',
    queued('a'),
    queued('b', { dependsOn: [{ id: 'a', on: 'succeeded', otherwise: 'cancel' }] }),
    leased('a', 1),
    done('a', 1),
    cancelled('b', 'dependency'),
  ],
  [
    'two jobs with one unique key',
    'job b: has the unique key of a, which has not ended',
    queued('a', { unique: 'unique-k' }),
    queued('b', { unique: 'unique-k' }),
    cancelled('a', 'operator'),
    cancelled('b', 'operator'),
  ],
  [
    'more runs at once than a concurrency key allows',
    'job b: is run number 2 at once under the key k',
    queued('a', { concurrency: { key: 'k', limit: 1 } }),
    queued('b', { concurrency: { key: 'k', limit: 1 } }),
    leased('a', 1),
    leased('b', 1),
    done('a', 1),
    done('b', 1),
  ],
  [
    'an event that was decided before what it follows',
    'job-a: Leased was decided before what it follows',
    queued('a'),
    ['a', 'Leased', leased('a', 1)[2] ?? {}, undefined, 10],
    done('a', 1),
  ],
]

describe('a log with a fault', () => {
  it.each(BROKEN)('%s', (_what, fault, ...lines) => {
    // One wrong event may break more than one law.
    expect(faultsOf(...lines)).toContainEqual(typeof fault === 'string' ? fault : expect.stringMatching(fault))
  })

  it('an event that the machine refuses', () => {
    expect(faultsOf(queued('a'), cancelled('a', 'operator'), leased('a', 1), done('a', 1))).toContainEqual(
      expect.stringMatching(/^job-a: .*Leased/),
    )
  })

  it('revisions with a gap, positions that go back, and one event that is there twice', () => {
    const [first, second, third] = logOf([queued('a'), leased('a', 1), done('a', 1)]) as [
      RecordedEvent,
      RecordedEvent,
      RecordedEvent,
    ]
    expect(faultsIn([first, second, { ...third, revision: 3 }])).toEqual(['job-a: revision 3 comes after 1'])
    expect(faultsIn([first, second, { ...third, position: '000001' }])).toEqual(['position 000001 comes after 000002'])
    expect(faultsIn([first, second, { ...third, id: first.id }])).toEqual(['job-a: event event 0 is there twice'])
  })
})

describe('the order of leases', () => {
  const log = (...lines: Line[]): string[] => orderFaults(logOf(lines))
  const at = (line: Line, ms: number): Line => [line[0], line[1], line[2] ?? {}, undefined, ms]

  it('is by priority, then age', () => {
    const jobs = [queued('a'), queued('b', { priority: -1 }), queued('c')]
    const [a, b, c] = ['a', 'b', 'c'].map((job) => leased(job, 1)) as [Line, Line, Line]
    expect(log(...jobs, at(b, 3_000), at(a, 3_000), at(c, 3_000))).toEqual([])
    expect(log(...jobs, at(a, 3_000), at(b, 3_000), at(c, 3_000))).toEqual([
      'job a: is leased before b, which is more urgent',
    ])
    expect(log(...jobs, at(b, 3_000), at(c, 3_000), at(a, 3_000))).toEqual([
      'job c: is leased before a, which is more urgent',
    ])
  })

  it('asks nothing of a job that is not ready, or has been for a moment only', () => {
    const first = { priority: -1 }
    const later = at(leased('a', 1), 3_000)
    expect(log(queued('a'), queued('b', { ...first, runAt: 2_500 }), later)).toEqual([])
    expect(log(queued('a'), queued('b', { ...first, runAt: 1_500 }), later)).toHaveLength(1)
    expect(log(queued('a'), queued('b', { ...first, held: true }), later)).toEqual([])
    expect(log(queued('a'), at(queued('b', first), 2_500), later)).toEqual([])
    const keyed = { ...first, concurrency: { key: 'k', limit: 1 } }
    expect(log(queued('a'), queued('b', keyed), later)).toEqual([])
  })
})
