/** Ranks, manual jobs, keys and orders: what the pending index does beside keeping jobs in line. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JobState } from '../../domain/job/evolve.js'
import type { Rank, Taking } from '../../projections/pending-index.js'
import { PendingIndex } from '../../projections/pending-index.js'
import { fact, facts, stateAfter } from '../domain/support/jobs.js'

const BASE = stateAfter(fact('Queued', facts())) as JobState
const STEP = 50

class Line {
  readonly jobs: Map<string, JobState> = new Map()
  readonly index: PendingIndex = new PendingIndex((id) => this.jobs.get(id))
  now = 1_000
  #place = 0

  push(id: string, job: Partial<JobState> = {}): void {
    this.#place += 1
    const next: JobState = { ...BASE, since: this.now, position: String(this.#place).padStart(9, '0'), ...job, id }
    this.jobs.set(id, next)
    this.index.push(next, this.now)
  }

  take(taking: Taking = {}): string | undefined {
    return this.index.take(this.index.lanes, taking)?.id
  }

  all(taking: Taking = {}): string[] {
    const ids: string[] = []
    for (let id = this.take(taking); id !== undefined; id = this.take(taking)) ids.push(id)
    return ids
  }

  pass(ms: number): void {
    this.now += ms
    this.index.promoteDue(this.now)
  }
}

/** `a2`: a job called a, of rank 2. */
const rankInName = ({ id }: JobState): Rank => Number(id.at(-1)) as Rank

describe('jobs that another runtime is to claim first', () => {
  function ranked(...ids: readonly string[]): Line {
    const line = new Line()
    line.index.rankBy(rankInName, STEP)
    line.index.promoteDue(line.now)
    for (const id of ids) line.push(id)
    return line
  }

  test('are passed over, and come up again as many steps later as their rank says', () => {
    const line = ranked('a0', 'b1', 'c2', 'd3', 'e0')
    expect(line.all()).toEqual(['a0', 'e0'])
    expect(line.index.nextDue()).toBe(line.now + STEP)
    line.pass(STEP)
    expect(line.all()).toEqual(['b1'])
    line.pass(STEP)
    expect(line.all()).toEqual(['c2'])
    line.pass(STEP - 1)
    expect(line.all()).toEqual([])
    line.pass(1)
    expect(line.all()).toEqual(['d3'])
    expect(line.index.nextDue()).toBeUndefined()
  })

  test('come after own jobs of their priority, the lower rank first, and before those of a lower priority', () => {
    const line = ranked('late3', 'old2', 'old1')
    expect(line.all()).toEqual([])
    line.pass(3 * STEP)
    line.push('new0')
    line.push('low0', { priority: 1 })
    expect(line.all()).toEqual(['new0', 'old1', 'old2', 'late3', 'low0'])
  })

  test('are forgotten when their runtime has taken them', () => {
    const line = ranked('a1', 'b1')
    expect(line.all()).toEqual([])
    line.jobs.delete('a1')
    expect(line.index.nextDue()).toBe(line.now + STEP)
    line.pass(STEP)
    expect(line.all()).toEqual(['b1'])
  })

  test('come up at once for who does not care about ranks, and for all once there is one runtime only', () => {
    const line = ranked('a1', 'b3', 'c0')
    expect(line.take({ anyRank: true })).toBe('a1')
    expect(line.all()).toEqual(['c0'])
    line.index.rankBy(undefined, 0)
    expect(line.all()).toEqual(['b3'])
    expect(line.index.nextDue()).toBeUndefined()
  })

  test('are ranked anew when the members change, also those that had come up again', () => {
    const line = ranked('a1', 'b2')
    expect(line.all()).toEqual([])
    line.pass(STEP)
    line.index.rankBy(() => 0, STEP)
    expect(line.all()).toEqual(['a1', 'b2'])
  })

  test('are never lost and never given twice, whatever the ranks, and however they change', () => {
    type Deed = (line: Line, given: (string | undefined)[]) => void
    let pushed = 0
    const deed = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.tuple(fc.nat(3), fc.nat(1)).map(
          ([rank, priority]): Deed =>
            (line) =>
              line.push(`j${pushed++}-${rank}`, { priority }),
        ),
      },
      { weight: 3, arbitrary: fc.constant<Deed>((line, given) => void given.push(line.take())) },
      {
        weight: 1,
        arbitrary: fc.nat(120).map(
          (ms): Deed =>
            (line) =>
              line.pass(ms),
        ),
      },
      {
        weight: 1,
        arbitrary: fc.nat(3).map(
          (turn): Deed =>
            (line) =>
              line.index.rankBy((job) => ((rankInName(job) + turn) % 4) as Rank, STEP),
        ),
      },
    )
    fc.assert(
      fc.property(fc.array(deed, { maxLength: 60 }), (deeds) => {
        pushed = 0
        const line = new Line()
        const taken: (string | undefined)[] = []
        for (const act of deeds) act(line, taken)
        taken.push(...line.all())
        line.pass(3 * STEP)
        taken.push(...line.all())
        const given = taken.filter((id) => id !== undefined)
        expect(given.length).toBe(pushed)
        expect(new Set(given).size).toBe(pushed)
      }),
    )
  })
})

describe('jobs that a person has started', () => {
  test('go first or last, as it is asked, and else in line', () => {
    const rare = { manual: true } as const
    const line = new Line()
    line.push('a')
    line.push('m', { rare })
    line.push('n', { rare })
    line.push('b')
    expect(line.take({ first: 'manual' })).toBe('m')
    expect(line.take({ first: 'ordinary' })).toBe('a')
    expect(line.take()).toBe('n')
    expect(line.take({ first: 'manual' })).toBe('b')
  })
})

describe('keys', () => {
  const of = (key: string, priority = 0): Partial<JobState> => ({ priority, rare: { concurrency: { key, limit: 1 } } })

  test('take turns, whatever their priorities; within a key the most urgent goes first', () => {
    const line = new Line()
    for (const id of ['a1', 'a2', 'a3']) line.push(id, of('a', -5))
    line.push('b1', of('b'))
    line.push('b0', of('b', -1))
    line.push('c1', of('c', 9))
    expect(line.all()).toEqual(['a1', 'b0', 'c1', 'a2', 'b1', 'a3'])
  })

  test('without room are left out until one of their runs has ended, and cost nothing until then', () => {
    const full = new Set(['a'])
    let asked = 0
    const hasRoom = ({ rare }: JobState): boolean => {
      asked += 1
      return !full.has(rare?.concurrency?.key ?? '')
    }
    const line = new Line()
    line.push('a1', of('a'))
    line.push('b1', of('b'))
    line.push('plain')
    expect(line.all({ hasRoom })).toEqual(['b1', 'plain'])
    line.push('a0', of('a', -1))
    asked = 0
    expect(line.all({ hasRoom })).toEqual([])
    expect(asked).toBe(0)
    full.clear()
    expect(line.all({ hasRoom })).toEqual([])
    line.index.freed('a')
    expect(line.all({ hasRoom })).toEqual(['a0', 'a1'])
  })

  test('whose jobs are cancelled or taken by others leave the round', () => {
    const line = new Line()
    line.push('a1', of('a'))
    line.push('a2', of('a'))
    line.push('b1', of('b'))
    line.jobs.delete('a1')
    line.jobs.delete('b1')
    expect(line.all()).toEqual(['a2'])
    expect(line.index.isEmpty(line.index.lanes)).toBe(true)
  })
})

describe('two orders at once', () => {
  test('by time age goes before priority, and what one has given the other does not give again', () => {
    const line = new Line()
    line.push('first', { since: 1 })
    line.push('second', { since: 2, priority: -1 })
    line.index.serve('time')
    line.index.serve('time')
    line.push('third', { since: 3, priority: -2 })
    expect(line.take({ order: 'time' })).toBe('first')
    expect(line.take()).toBe('third')
    expect(line.take()).toBe('second')
    expect(line.take()).toBeUndefined()
    expect(line.take({ order: 'time' })).toBeUndefined()
  })

  test('a job that is given back is there for both again', () => {
    const line = new Line()
    line.index.serve('time')
    line.push('a')
    const job = line.index.take(line.index.lanes, { order: 'time' }) as JobState
    expect(line.take()).toBeUndefined()
    line.index.push(job, line.now)
    expect(line.take()).toBe('a')
    expect(line.take({ order: 'time' })).toBeUndefined()
  })
})

describe('jobs without a key beside those with one', () => {
  test('keep their own order, whatever turns the keys take, and in whatever lanes they stand', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(3), fc.nat(1)), { maxLength: 40 }), (kinds) => {
        const line = new Line()
        for (const [n, [lane, key, priority]] of kinds.entries()) {
          const rare = key === 0 ? undefined : { concurrency: { key: `k${key}`, limit: 1 } }
          line.push(`${key === 0 ? 'plain' : 'keyed'}${n}`, { type: `type ${lane}`, priority, since: n, rare })
        }
        const plain = line.all().filter((id) => id.startsWith('plain'))
        const sorted = [...line.jobs.values()]
          .filter(({ rare }) => rare === undefined)
          .sort((a, b) => a.priority - b.priority || a.since - b.since)
        expect(plain).toEqual(sorted.map(({ id }) => id))
        expect(line.index.isEmpty(line.index.lanes)).toBe(true)
      }),
    )
  })
})
