import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { JobRow } from '../../../runtime/ports/views.js'
import {
  changes,
  checkpoint,
  countingTurns,
  dependent,
  dependentsOf,
  freshViews,
  idsOf,
  live,
  position,
  removal,
  removedOf,
  row,
  rows,
  type ViewsFactory,
  withSecond,
} from './harness.js'

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)

export function removalTests(factory: ViewsFactory): void {
  const under = freshViews(factory)

  it('takes the row away and keeps the outcome', async () => {
    const { views } = under()
    const ended = { phase: 'failed', endPlace: 'end' }
    await views.save(changes(5, [row(1, ended), row(2), row(3, ended), row(4)], ''))
    expect(await removedOf(views, 1, 2, 3, 4)).toEqual({})
    await views.save(changes(6, [], position(5), { removed: removal([1, 2], 'failed') }))
    expect(await idsOf(views)).toEqual(['job-4', 'job-3'])
    expect(await live(views)).toEqual([row(4).state])
    expect(await views.ended({ keep: 'rules', limit: 9 })).toEqual([row(3, ended)])
    expect(await removedOf(views, 1, 2, 3, 4)).toEqual({ 'job-1': 'failed', 'job-2': 'failed' })
    expect(await views.checkpoint()).toEqual(checkpoint(6))
  })

  it('knows every outcome, and only of the ids asked for', async () => {
    const { views } = under()
    const removed = new Map([...removal([1], 'succeeded'), ...removal([2], 'failed'), ...removal([3, 4], 'cancelled')])
    await views.save(changes(5, rows(1, 5), '', { removed }))
    expect(await removedOf(views, 3, 1, 2, 3, 5, 99)).toEqual({
      'job-1': 'succeeded',
      'job-2': 'failed',
      'job-3': 'cancelled',
    })
    expect(await removedOf(views)).toEqual({})
  })

  it('knows the segments of those that were archived, and only of those', async () => {
    const { views } = under()
    const archived = new Map([...removal([1, 2])].map(([id, tombstone]) => [id, { ...tombstone, segment: `of ${id}` }]))
    await views.save(changes(5, rows(1, 4), '', { removed: new Map([...archived, ...removal([3])]) }))
    expect([...(await views.segments(['job-1', 'job-2', 'job-3', 'job-4', 'job-9']))].sort()).toEqual([
      ['job-1', 'of job-1'],
      ['job-2', 'of job-2'],
    ])
    expect(await removedOf(views, 1, 3)).toEqual({ 'job-1': 'succeeded', 'job-3': 'succeeded' })
  })

  it('goes over a row that comes with it', async () => {
    const { views } = under()
    await views.save(changes(5, [row(1), dependent(2, [1]), row(3)], '', { removed: removal([2, 3]) }))
    expect(await idsOf(views)).toEqual(['job-1'])
    expect(await dependentsOf(views, 1)).toEqual([])
    expect(await removedOf(views, 1, 2, 3)).toEqual({ 'job-2': 'succeeded', 'job-3': 'succeeded' })
  })

  it('of a job of which no row was kept leaves its outcome too', async () => {
    const { views } = under()
    await views.save(changes(5, [row(1)], '', { removed: removal([7]) }))
    expect(await idsOf(views)).toEqual(['job-1'])
    expect(await removedOf(views, 7)).toEqual({ 'job-7': 'succeeded' })
  })

  it('may be told twice, and is kept for good', async () => {
    const { views } = under()
    await views.save(changes(5, rows(1, 3), '', { removed: removal([1]) }))
    await views.save(changes(6, [row(4)], position(5), { removed: removal([1, 2]) }))
    await views.save(changes(7, [row(5)], position(6)))
    expect(await removedOf(views, 1, 2, 3)).toEqual({ 'job-1': 'succeeded', 'job-2': 'succeeded' })
    expect(await idsOf(views)).toEqual(['job-5', 'job-4', 'job-3'])
  })

  it("'all' replaces what was removed", async () => {
    const { views } = under()
    await views.save(changes(5, rows(1, 3), '', { removed: removal([1, 2]) }))
    await views.save(changes(6, rows(1, 4), 'all', { removed: removal([2, 3], 'failed') }))
    expect(await removedOf(views, 1, 2, 3)).toEqual({ 'job-2': 'failed', 'job-3': 'failed' })
    expect(await idsOf(views)).toEqual(['job-4', 'job-1'])
  })

  it("is everybody's", async () => {
    const { views } = under()
    await views.save(changes(5, rows(1, 3), ''))
    await withSecond(under(), async (second) => {
      await second.save(changes(6, [], position(5), { removed: removal([1]) }))
      expect(await removedOf(views, 1, 2)).toEqual({ 'job-1': 'succeeded' })
      await views.save(changes(7, [], position(6), { removed: removal([2]) }))
      expect(await removedOf(second, 1, 2)).toEqual({ 'job-1': 'succeeded', 'job-2': 'succeeded' })
      expect(await idsOf(second)).toEqual(['job-3'])
    })
  })

  it.each([
    ['what is kept is as far', 9, position(5), true],
    ['what is kept is further', 8, position(5), true],
    ['what is kept ends earlier', 12, position(10), false],
    ["somebody else has brought it further than an 'all'", 8, 'all', true],
  ])('nothing is removed when %s', async (_, upTo, since, answer) => {
    const { views } = under()
    await withSecond(under(), async (slower) => {
      expect(await slower.checkpoint()).toBeUndefined()
      await views.save(changes(9, [row(1), dependent(2, [1]), row(3)], '', { removed: removal([3]) }))
      expect(await slower.save(changes(upTo, [row(3)], since, { removed: removal([2, 4]) }))).toBe(answer)
    })
    expect(await views.checkpoint()).toEqual(checkpoint(9))
    expect(await idsOf(views)).toEqual(['job-2', 'job-1'])
    expect(await dependentsOf(views, 1)).toEqual(['job-2'])
    expect(await removedOf(views, 2, 3, 4)).toEqual({ 'job-3': 'succeeded' })
  })

  it('when the rows fail, nothing is removed', async () => {
    const { views } = under()
    await views.save(changes(5, [row(1), dependent(2, [1])], '', { removed: removal([7]) }))
    function* failing(): Iterable<JobRow> {
      yield row(3)
      throw new RangeError('no more rows')
    }
    for (const since of [position(5), 'all']) {
      const save = views.save(changes(6, failing(), since, { removed: removal([2]) }))
      await expect(save).rejects.toThrow('no more rows')
    }
    expect(await idsOf(views)).toEqual(['job-2', 'job-1'])
    expect(await dependentsOf(views, 1)).toEqual(['job-2'])
    expect(await removedOf(views, 2, 7)).toEqual({ 'job-7': 'succeeded' })
  })

  it('of many is seen at once or not at all', async () => {
    const { views } = under()
    await views.save(changes(2000, rows(1, 2000, { dependsOn: ['job-0'] }), ''))
    const seen = { removed: new Set<number>(), rows: new Set<number>(), dependents: new Set<number>() }
    const look = async (): Promise<void> => {
      seen.removed.add(Object.keys(await removedOf(views, 1, 1999)).length)
      seen.rows.add((await idsOf(views)).length)
      seen.dependents.add((await dependentsOf(views, 0)).length)
    }
    await withSecond(under(), async (other) => {
      let saving = true
      const saved = other.save(changes(2001, [], position(2000), { removed: removal(numbers(1, 1999)) }))
      const done = saved.finally(() => {
        saving = false
      })
      while (saving) {
        await look()
        await nextTurn()
      }
      expect(await done).toBe(true)
    })
    await look()
    const before = { removed: 0, rows: 2000, dependents: 2000 }
    const after = { removed: 2, rows: 1, dependents: 1 }
    for (const key of ['removed', 'rows', 'dependents'] as const) {
      expect(seen[key]).toContain(after[key])
      expect([...seen[key]].filter((each) => each !== before[key])).toEqual([after[key]])
    }
  })

  it('answers for many ids at once, and lets the event loop go', async () => {
    const { views } = under()
    await views.save(changes(5000, [], '', { removed: removal(numbers(1, 5000), 'cancelled') }))
    const ids = numbers(1, 20_000).map((number) => `job-${number}`)
    const { result: found, turns } = await countingTurns(() => views.removed(ids))
    expect(turns).toBeGreaterThan(2)
    expect(found.size).toBe(5000)
    expect(new Set(found.values())).toEqual(new Set(['cancelled']))
    expect(found.has('job-5000')).toBe(true)
  })

  it.each(["it's", '"', '漢', 'a\u0000b', '%', 'x'.repeat(500)])('takes ids as they are: %j', async (id) => {
    const { views } = under()
    await views.save(changes(5, [row(1, { id, dependsOn: [`of ${id}`] }), row(2, { dependsOn: [id] })], ''))
    expect(await views.dependents(`of ${id}`)).toEqual([id])
    await views.save(
      changes(6, [], position(5), { removed: new Map([[id, { outcome: 'failed', place: position(1) }]]) }),
    )
    expect([...(await views.removed([id]))]).toEqual([[id, 'failed']])
    expect(await views.dependents(`of ${id}`)).toEqual([])
    expect(await views.dependents(id)).toEqual(['job-2'])
  })
}
