/** What becomes of the board when jobs leave the log, and what it knows of those that others need. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JobsRemoved, RemovedJob } from '../../domain/audit/events.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { DependencyEdge } from '../../domain/job/events.js'
import { jobIdOf } from '../../domain/job/events.js'
import type { Outcome } from '../../domain/job/evolve.js'
import { JobBoard } from '../../projections/job-board.js'
import { FOR_EVER, fromRow, toRow } from '../../projections/job-row.js'
import { fact, facts, NOW, stamped } from '../domain/support/jobs.js'
import { boardOf, endOf, readingOf, restored, steps } from './support/boards.js'
import { historyOf, PlainBoard } from './support/history.js'

const RUNS = { numRuns: 300 }
const histories = steps.map(historyOf)
const edgeTo = (id: string): DependencyEdge => ({ id, on: 'succeeded', otherwise: 'block' })

/** Events of a few jobs, each in its own stream, a position and a ms after the other. */
function recorded(...given: readonly (readonly [id: string, ...Parameters<typeof fact>])[]): RecordedEvent[] {
  const revisions = new Map<string, number>()
  return given.map(([id, type, data], index) => {
    const revision = (revisions.get(id) ?? -1) + 1
    revisions.set(id, revision)
    const event = { ...stamped(fact(type, data, id), NOW + index), revision, position: positionOf(index) }
    return { ...event, id: `event-${index}` } as RecordedEvent
  })
}

const positionOf = (index: number): string => String(index + 1).padStart(8, '0')
const lease = (token: string, expiresAt = NOW + 1_000): ReturnType<typeof leaseFacts> => leaseFacts(token, expiresAt)
const leaseFacts = (token: string, expiresAt: number) => ({ token, workerId: 'w', run: 1, attempt: 1, expiresAt })

const gone = (id: string, outcome: Outcome, position = positionOf(0)): RemovedJob => ({
  ...{ id, outcome, position },
  queue: 'default',
  queuedAt: NOW,
})
const removal = (...jobs: readonly RemovedJob[]): { data: JobsRemoved; at: number } => ({
  data: { jobs },
  at: NOW + 99,
})

describe('jobs that are removed', () => {
  test('leave the totals as they are, where their end was seen', () => {
    const board = boardOf(recorded(['a', 'Queued', facts()], ['a', 'Cancelled', { by: 'operator' }]))
    board.applyRemoved(removal(gone('a', 'cancelled')))
    expect(board.stats.toJSON().default).toMatchObject({ waiting: 0, cancelled: 1 })
  })

  test('are counted now, where they came after the end of the log was last reached and were never seen', () => {
    const board = new JobBoard()
    const since = positionOf(5)
    board.caughtUp(since)
    for (const event of recorded(['seen', 'Queued', facts()], ['seen', 'Cancelled', { by: 'operator' }])) {
      board.apply(event, NOW)
    }
    const jobs = [gone('later', 'failed', positionOf(7)), gone('before', 'failed', since)]
    expect(board.applyRemoved(removal(...jobs, gone('seen', 'cancelled', positionOf(6))))).toEqual([])
    expect(board.stats.toJSON().default).toMatchObject({ failed: 1, cancelled: 1, waiting: 0 })
  })

  test('end now, where their end was not seen: lease, edges and totals follow', () => {
    const board = boardOf(
      recorded(
        ['a', 'Queued', facts()],
        ['b', 'Queued', facts({ dependsOn: [edgeTo('a')] })],
        ['c', 'Queued', facts({ dependsOn: [{ ...edgeTo('a'), otherwise: 'cancel' }] })],
        ['a', 'Leased', lease('t')],
      ),
    )
    expect(board.graph.isBlocked('b')).toBe(true)
    const [change, ...more] = board.applyRemoved(removal(gone('a', 'succeeded')))
    expect(more).toEqual([])
    expect(change).toMatchObject({
      before: { id: 'a', phase: 'leased' },
      after: { phase: 'ended', outcome: 'succeeded' },
    })
    expect(board.get('a')).toBeUndefined()
    expect(board.leased.size).toBe(0)
    expect(board.stats.toJSON().default).toMatchObject({ waiting: 2, leased: 0, succeeded: 1 })
    expect(['b', 'c'].map((id) => board.graph.isBlocked(id))).toEqual([false, false])
    expect(board.pending.take(board.pending.lanes)?.id).toBe('b')
    expect(board.doomed.size).toBe(0)
  })

  test('that were cancelled under their worker are told to it by the token', () => {
    const board = boardOf(recorded(['a', 'Queued', facts()], ['a', 'Leased', lease('t')]))
    board.applyRemoved(removal(gone('a', 'cancelled')))
    expect(board.cancelledLeases.get('t')).toEqual({ id: 'a', until: NOW + 1_000 })
  })

  test('have no row to be written any more; what became of them is told once, unless it could not be kept', () => {
    const board = boardOf(recorded(['a', 'Queued', facts()], ['b', 'Queued', facts({ dependsOn: [edgeTo('a')] })]))
    board.applyRemoved(removal(gone('a', 'succeeded'), gone('x', 'failed')))
    expect([...board.dirty.keys()]).toEqual(['b'])
    expect(board.removed('a')?.outcome).toBe('succeeded')
    expect(board.dirtyCount).toBe(3)
    const taken = board.takeRemoved()
    expect([...taken.keys()]).toEqual(['a', 'x'])
    expect(board.removed('a')).toBeUndefined()
    expect(board.takeRemoved().size).toBe(0)
    board.markRemoved(taken)
    expect([...board.takeRemoved()]).toEqual([...taken])
  })

  test('are as good as never seen: who reads the log without them knows the same, from wherever it began', () => {
    let removals = 0
    fc.assert(
      fc.property(histories, fc.nat(), fc.array(fc.nat()), (events, cut, picks) => {
        const now = endOf(events)
        const jobs = removable(events).filter((_, index) => (picks[index] ?? 1) % 3 > 0)
        removals += jobs.length
        const event = { data: { jobs }, at: now }
        const ids = new Set(jobs.map(({ id }) => id))
        const whole = boardOf(events)
        whole.applyRemoved(event)
        const place = cut % (events.length + 1)
        const saved = boardOf(events.slice(0, place))
        const left = events.slice(place).filter(({ stream }) => !ids.has(jobIdOf(stream)))
        const begun = restored(saved, events[place - 1]?.at ?? NOW)
        begun.caughtUp(events[place - 1]?.position ?? '')
        const late = boardOf(left, begun)
        late.applyRemoved(event)
        expect(readingOf(late, now)).toEqual(readingOf(whole, now))
      }),
      RUNS,
    )
    expect(removals).toBeGreaterThan(100)
  })
})

/** Ended jobs that were never sent round again: of the others the last outcome does not say all. */
function removable(events: readonly RecordedEvent[]): RemovedJob[] {
  const board = new PlainBoard()
  for (const event of events) board.apply(event)
  const again = new Set(
    events.filter(({ type, data }) => type === 'Retried' && 'job' in data).map(({ stream }) => jobIdOf(stream)),
  )
  const ended = [...board.jobs.values()].filter(({ state }) => state.phase === 'ended' && !again.has(state.id))
  return ended.map(({ state: { id, outcome, queue, queuedAt, position } }) => ({
    ...{ id, queue, queuedAt, position },
    outcome: outcome as Outcome,
  }))
}

describe('what is erased of an ended job', () => {
  const [queued, cancelled, expunged] = recorded(
    ['a', 'Queued', facts()],
    ['a', 'Cancelled', { by: 'operator' }],
    ['a', 'Expunged', { rule: 'r', queuedAt: NOW, hashes: {} }],
  ) as [RecordedEvent, RecordedEvent, RecordedEvent]

  test('is told once with the place of its row, unless it could not be kept', () => {
    const board = boardOf([queued, cancelled])
    board.takeDirty()
    expect(board.apply(expunged, NOW)).toBeUndefined()
    expect(board.dirtyCount).toBe(1)
    const taken = board.takeExpunged()
    expect([...taken]).toEqual([['a', NOW]])
    expect(board.takeExpunged().size).toBe(0)
    board.markExpunged(taken)
    expect([...board.takeExpunged()]).toEqual([['a', NOW]])
  })

  test('leaves its row alone where an older program has not said where that is', () => {
    const board = boardOf([queued, cancelled])
    board.apply({ ...expunged, data: { rule: 'r', hashes: {} } }, NOW)
    expect(board.takeExpunged().size).toBe(0)
  })

  test('is no news of its end, and neither is that it is condemned', () => {
    const board = boardOf([queued, cancelled])
    board.takeDirty()
    const condemned = { ...expunged, type: 'Condemned', data: {}, revision: 3 }
    for (const event of [expunged, condemned]) expect(board.apply(event, NOW)).toBeUndefined()
    expect(board.dirty.size).toBe(0)
    expect(board.stats.toJSON().default).toMatchObject({ cancelled: 1 })
  })
})

describe('a lease that was cancelled', () => {
  const cancel = (id: string): [string, 'Cancelled', { by: 'operator' }] => [id, 'Cancelled', { by: 'operator' }]

  test('is known by its token for as long as it would have lasted, and longer until another comes', () => {
    const board = boardOf(
      recorded(
        ['a', 'Queued', facts()],
        ['b', 'Queued', facts()],
        ['a', 'Leased', lease('ta', NOW + 50)],
        ['b', 'Leased', lease('tb', NOW + 90)],
        cancel('a'),
      ),
    )
    expect(board.cancelledLeases.get('ta')).toEqual({ id: 'a', until: NOW + 50 })
    expect(board.cancelledLeases.get('tb')).toBeUndefined()
    const [end] = recorded(cancel('b')) as [RecordedEvent]
    board.apply({ ...end, revision: 2 }, NOW + 51)
    expect(board.cancelledLeases.get('ta')).toBeUndefined()
    expect(board.cancelledLeases.get('tb')).toEqual({ id: 'b', until: NOW + 90 })
  })

  test('is one that was under way: not of a job that waited, ended or gave it back', () => {
    const board = boardOf(
      recorded(
        ...(['a', 'b', 'c'] as const).flatMap((id) => [
          [id, 'Queued', facts()] as const,
          [id, 'Leased', lease(`t${id}`)] as const,
        ]),
        ['a', 'Finished', { outcome: 'succeeded' }],
        ['b', 'Released', { token: 'tb' }],
        cancel('b'),
        ['c', 'Failed', { token: 'tc', run: 1, attempt: 1, cause: 'error', retryable: true }],
        ['c', 'Retried', { runAt: NOW, by: 'policy' }],
        cancel('c'),
      ),
    )
    for (const token of ['ta', 'tb', 'tc', '']) expect(board.cancelledLeases.get(token)).toBeUndefined()
  })
})

test('leases that were cancelled are restored as they were', () => {
  const board = boardOf(
    recorded(['a', 'Queued', facts()], ['a', 'Leased', lease('ta')], ['a', 'Cancelled', { by: 'operator' }]),
  )
  const after = new JobBoard()
  after.restoreCancelledLeases([...board.cancelledLeases])
  expect([...after.cancelledLeases]).toEqual([...board.cancelledLeases])
  expect(after.cancelledLeases.get('ta')).toEqual({ id: 'a', until: NOW + 1_000 })
})

describe('what is needed', () => {
  test('is known: every job that has not ended counts, whether its edge is met, open or failed', () => {
    let needed = 0
    fc.assert(
      fc.property(histories, fc.nat(), (events, cut) => {
        const place = cut % (events.length + 1)
        const board = boardOf(
          events.slice(place),
          restored(boardOf(events.slice(0, place)), events[place - 1]?.at ?? NOW),
        )
        const plain = new PlainBoard()
        for (const event of events) plain.apply(event)
        for (const id of [...plain.jobs.keys(), 'nobody']) {
          const expected = plain.live().filter(({ edges }) => edges.some((edge) => edge.id === id))
          needed += expected.length
          expect([...board.graph.neededBy(id)].sort()).toEqual(expected.map(({ state }) => state.id).sort())
        }
      }),
      RUNS,
    )
    expect(needed).toBeGreaterThan(100)
  })
})

describe('how long a row is kept', () => {
  const rowAfter = (retainMs: number | null | undefined, ended: boolean) => {
    const given = facts(retainMs === undefined ? {} : { retainMs })
    const events = recorded(['a', 'Queued', given], ['a', 'Cancelled', { by: 'operator' }])
    const board = boardOf(ended ? events : events.slice(0, 1))
    return [...board.takeDirty().values()].map((job) => toRow(job, board.graph))[0]
  }

  test.each([
    ['nothing where the job has no say in it', undefined, true, null],
    ['nothing until it has ended', 500, false, null],
    ['so long after its end', 500, true, NOW + 501],
    ['not at all', 0, true, NOW + 1],
    ['for ever', null, true, FOR_EVER],
  ] as const)('says %s', (_, retainMs, ended, keepUntil) => {
    expect(rowAfter(retainMs, ended)?.keepUntil).toBe(keepUntil)
  })

  test('goes into the state and comes back', () => {
    expect(fromRow(rowAfter(500, true)?.state ?? '').rare).toEqual({ retainMs: 500 })
  })
})
