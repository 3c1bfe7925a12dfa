import { expect, it } from 'vitest'
import {
  changes,
  countingTurns,
  dependent,
  dependentsOf,
  freshViews,
  position,
  removal,
  row,
  rows,
  type ViewsFactory,
  withSecond,
} from './harness.js'

export function dependentTests(factory: ViewsFactory): void {
  const under = freshViews(factory)

  it('are the jobs that name it, ended ones too', async () => {
    const { views } = under()
    const ended = { phase: 'cancelled', endPlace: 'end' }
    await views.save(changes(5, [row(1), row(2), dependent(3, [1]), dependent(4, [2, 1], ended), row(5)], ''))
    expect(await dependentsOf(views, 1)).toEqual(['job-3', 'job-4'])
    expect(await dependentsOf(views, 2)).toEqual(['job-4'])
    expect(await dependentsOf(views, 3)).toEqual([])
    expect(await dependentsOf(views, 99)).toEqual([])
  })

  it('may name a job of which no row is kept, and one twice', async () => {
    const { views } = under()
    await views.save(changes(5, [dependent(4, [77, 77])], ''))
    expect(await dependentsOf(views, 77)).toEqual(['job-4'])
  })

  it('their rows name the dependencies in the order given', async () => {
    const { views } = under()
    const ended = dependent(4, [3, 1, 2], { phase: 'failed', endPlace: 'end' })
    await views.save(changes(5, [ended], ''))
    expect(await views.list({ limit: 9 })).toEqual([ended])
    expect(await views.ended({ keep: 'rules', limit: 9 })).toEqual([ended])
  })

  it('a row written again replaces what it depends on', async () => {
    const { views } = under()
    await views.save(changes(5, [dependent(4, [1, 2]), dependent(5, [2])], ''))
    const steps: [dependencies: number[], dependentsOfEach: string[][]][] = [
      [
        [1, 2],
        [['job-4'], ['job-4', 'job-5'], []],
      ],
      [
        [2, 3],
        [[], ['job-4', 'job-5'], ['job-4']],
      ],
      [
        [3, 2],
        [[], ['job-4', 'job-5'], ['job-4']],
      ],
      [[], [[], ['job-5'], []]],
      [[1], [['job-4'], ['job-5'], []]],
    ]
    for (const [step, [dependencies, expected]] of steps.entries()) {
      const again = dependent(4, dependencies, { phase: 'leased', state: `{"step":${step}}` })
      await views.save(changes(6 + step, [again], position(5 + step)))
      expect(await Promise.all([1, 2, 3].map((each) => dependentsOf(views, each)))).toEqual(expected)
      expect(await views.list({ limit: 9 })).toEqual([dependent(5, [2]), again])
    }
  })

  it('a row may come several times in one save: the last counts', async () => {
    const { views } = under()
    await views.save(changes(5, [dependent(4, [1]), dependent(4, [2]), dependent(4, [3, 2])], ''))
    expect(await Promise.all([1, 2, 3].map((each) => dependentsOf(views, each)))).toEqual([[], ['job-4'], ['job-4']])
  })

  it('may be many, of one and by one; the event loop goes on while they are written', async () => {
    const { views } = under()
    const many = Array.from({ length: 2000 }, (_, index) => index + 2)
    const all = [...many.map((each) => dependent(each, [1])), dependent(3000, many)]
    const { turns } = await countingTurns(() => views.save(changes(3000, all, '')))
    expect(turns).toBeGreaterThan(2)
    expect(await dependentsOf(views, 1)).toHaveLength(2000)
    expect(await dependentsOf(views, 1000)).toEqual(['job-3000'])
    expect((await views.list({ limit: 1 }))[0]?.dependsOn).toHaveLength(2000)
  })

  it("are everybody's, and 'all' replaces them", async () => {
    const { views } = under()
    await views.save(changes(5, [dependent(4, [1])], ''))
    await withSecond(under(), async (second) => {
      expect(await dependentsOf(second, 1)).toEqual(['job-4'])
      await second.save(changes(6, [dependent(4, [2]), dependent(5, [2])], 'all'))
    })
    expect(await dependentsOf(views, 1)).toEqual([])
    expect(await dependentsOf(views, 2)).toEqual(['job-4', 'job-5'])
  })

  it("a removed job is nobody's dependent; what depends on it still does", async () => {
    const { views } = under()
    await views.save(changes(5, [row(1), dependent(2, [1]), dependent(3, [2]), dependent(4, [1, 2])], ''))
    await views.save(changes(6, [], position(5), { removed: removal([2]) }))
    expect(await dependentsOf(views, 1)).toEqual(['job-4'])
    expect(await dependentsOf(views, 2)).toEqual(['job-3', 'job-4'])
    expect((await views.list({ limit: 1 }))[0]).toEqual(dependent(4, [1, 2]))
  })

  it('nothing is left of a save whose rows fail', async () => {
    const { views } = under()
    await views.save(changes(5, [dependent(4, [1])], ''))
    function* failing(): Iterable<ReturnType<typeof row>> {
      yield dependent(4, [2])
      yield* rows(6, 200, { dependsOn: ['job-1'] })
      throw new RangeError('no more rows')
    }
    await expect(views.save(changes(9, failing(), position(5)))).rejects.toThrow('no more rows')
    expect(await dependentsOf(views, 1)).toEqual(['job-4'])
    expect(await dependentsOf(views, 2)).toEqual([])
  })
}
