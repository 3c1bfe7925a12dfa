import { describe, expect, test } from 'vitest'
import type { WorkerState } from '../../domain/worker/evolve.js'
import { membersOf, ranking } from '../../runtime/work/claim-policy.js'

const KEYS = Array.from({ length: 20_000 }, (_, n) => `019b76da-a800-7005-982c-${String(n).padStart(12, '0')}`)

const members = (...slots: readonly number[]) => slots.map((each, n) => ({ runtime: `runtime-${n}`, slots: each }))

/** Shares of the keys for which each member comes first. */
function shares(of: ReturnType<typeof members>): number[] {
  return of.map(({ runtime }) => {
    const rankOf = ranking(of, runtime)
    return KEYS.filter((key) => rankOf(key) === 0).length / KEYS.length
  })
}

describe('the ranking of runtimes', () => {
  test('gives every job exactly one first, one second, one third', () => {
    const all = members(10, 10, 10)
    const rankings = all.map(({ runtime }) => ranking(all, runtime))
    for (const key of KEYS.slice(0, 1_000)) expect(rankings.map((rankOf) => rankOf(key)).sort()).toEqual([0, 1, 2])
  })

  test('shares jobs out by slots', () => {
    for (const share of shares(members(10, 10, 10, 10))) expect(share).toBeCloseTo(0.25, 1)
    const [small, large] = shares(members(10, 30)) as [number, number]
    expect(small).toBeCloseTo(0.25, 1)
    expect(small + large).toBe(1)
  })

  test('moves only the jobs of a runtime that leaves', () => {
    const before = members(10, 10, 10)
    const after = before.slice(0, 2)
    for (const { runtime } of after) {
      const [was, is] = [ranking(before, runtime), ranking(after, runtime)]
      for (const key of KEYS.slice(0, 2_000)) if (was(key) === 0) expect(is(key)).toBe(0)
    }
  })

  test('counts ranks above 3 as 3, and who is no member comes after all', () => {
    const all = members(1, 1, 1, 1, 1, 1)
    const ranks = new Set(KEYS.slice(0, 1_000).map(ranking(all, 'runtime-0')))
    expect([...ranks].sort()).toEqual([0, 1, 2, 3])
    expect(ranking(all.slice(0, 2), 'a stranger')('x')).toBe(2)
    expect(ranking([], 'a stranger')('x')).toBe(0)
  })
})

describe('the members of a lane', () => {
  const worker = (id: string, more: Partial<WorkerState>): WorkerState => ({
    id,
    ...{ revision: 0, status: 'active', registeredAt: 0, lastSeenAt: 0, types: ['mail'], concurrency: 5, runtime: id },
    ...more,
  })
  const lane = { queue: 'q', channel: 'c', type: 'mail' }

  test('are the runtimes of the active workers that serve it, with all of their slots', () => {
    const workers = [
      worker('b', {}),
      worker('a1', { runtime: 'a' }),
      worker('a2', { runtime: 'a', queues: ['q'], channels: ['c', 'd'] }),
      worker('other type', { types: ['bill'] }),
      worker('other queue', { queues: ['r'] }),
      worker('other channel', { channels: [''] }),
      worker('paused', { status: 'paused' }),
      worker('draining', { status: 'draining' }),
    ]
    const { runtime: _, ...atADesk } = worker('at a desk', {})
    expect(membersOf([...workers, atADesk], lane)).toEqual([
      { runtime: 'a', slots: 10 },
      { runtime: 'b', slots: 5 },
    ])
  })
})
