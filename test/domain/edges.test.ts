import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findCycle, isOpen, judgeEdge } from '../../domain/job/edges.js'
import type { EdgeCondition, EdgeFallback } from '../../domain/job/events.js'
import type { Outcome } from '../../domain/job/evolve.js'

describe('an edge', { timeout: 0 }, () => {
  test.each<[EdgeCondition, Outcome, 'met' | 'failed']>([
    ['succeeded', 'succeeded', 'met'],
    ['succeeded', 'failed', 'failed'],
    ['succeeded', 'cancelled', 'failed'],
    ['finished', 'succeeded', 'met'],
    ['finished', 'failed', 'met'],
    ['finished', 'cancelled', 'failed'],
  ])('on %s, when the dependency %s, is %s', (on, outcome, judged) => {
    expect(judgeEdge({ on }, outcome)).toBe(judged)
  })

  test.each<['met' | 'failed' | undefined, EdgeFallback, boolean]>([
    [undefined, 'block', true],
    [undefined, 'cancel', true],
    [undefined, 'run', true],
    ['met', 'block', false],
    ['met', 'cancel', false],
    ['met', 'run', false],
    ['failed', 'block', true],
    ['failed', 'cancel', true],
    ['failed', 'run', false],
  ])('that is %s with otherwise %s keeps its job from running: %s', (now, otherwise, open) => {
    expect(isOpen(now === undefined ? { otherwise } : { otherwise, now })).toBe(open)
  })
})

type Jobs = ReadonlyMap<string, readonly string[]>

/** Takes away what waits for nothing left until nothing goes: what stays is on, or behind, a cycle. */
function hasCycle(jobs: Jobs): boolean {
  const left = new Map(jobs)
  for (let went = true; went; ) {
    went = false
    for (const [id, edges] of left) {
      if (edges.some((edge) => left.has(edge))) continue
      left.delete(id)
      went = true
    }
  }
  return left.size > 0
}

const names = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'outside')
const graphs: fc.Arbitrary<Jobs> = fc
  .uniqueArray(fc.tuple(names, fc.uniqueArray(names, { maxLength: 3 })), { selector: ([id]) => id, maxLength: 6 })
  .map((jobs) => new Map(jobs))

describe('a cycle among new jobs', { timeout: 0 }, () => {
  test('is found just where there is one, and its path is real', () => {
    fc.assert(
      fc.property(graphs, (jobs) => {
        const cycle = findCycle(jobs)
        expect(cycle !== undefined).toBe(hasCycle(jobs))
        if (cycle === undefined) return
        const { path } = cycle
        expect(path.length).toBeGreaterThanOrEqual(2)
        expect(path.at(-1)).toBe(path[0])
        for (const [index, id] of path.slice(1).entries()) expect(jobs.get(path[index] as string)).toContain(id)
      }),
      { numRuns: 1_000 },
    )
  })

  test('of one job that waits for itself is one', () => {
    expect(findCycle(new Map([['a', ['a']]]))?.message).toBe('Dependencies form a cycle: a -> a.')
  })

  test('is not seen in edges that lead out of the set', () => {
    expect(
      findCycle(
        new Map([
          ['a', ['x']],
          ['b', ['x', 'a']],
        ]),
      ),
    ).toBeUndefined()
  })

  test('is looked for in a chain of 100,000 without overflowing the stack, from either end', () => {
    const ids = Array.from({ length: 100_000 }, (_, index) => `job-${index}`)
    const chain = ids.map((id, index): [string, string[]] => [id, index === 0 ? [] : [`job-${index - 1}`]])
    expect(findCycle(new Map(chain))).toBeUndefined()
    expect(findCycle(new Map(chain.toReversed()))).toBeUndefined()
    const closed = new Map(chain).set('job-0', ['job-99999'])
    expect(findCycle(closed)?.path.length).toBe(100_001)
  })

  test('is looked for once where many paths meet: 60 diamonds in a row have 2^60 of them', () => {
    const jobs = new Map<string, string[]>()
    for (let level = 0; level < 60; level += 1) {
      jobs.set(`left${level}`, [`top${level + 1}`])
      jobs.set(`right${level}`, [`top${level + 1}`])
      jobs.set(`top${level}`, [`left${level}`, `right${level}`])
    }
    expect(findCycle(jobs)).toBeUndefined()
  })

  test('is looked for in one job with 200,000 edges', () => {
    const ids = Array.from({ length: 200_000 }, (_, index) => `job-${index}`)
    const jobs = new Map<string, string[]>(ids.map((id) => [id, []]))
    expect(findCycle(jobs.set('hub', ids))).toBeUndefined()
  })
})
