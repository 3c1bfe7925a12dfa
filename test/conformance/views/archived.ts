import { expect, it } from 'vitest'
import type { ArchivedFilter, Tombstone, Views } from '../../../runtime/ports/views.js'
import {
  changes,
  dependent,
  dependentsOf,
  freshViews,
  position,
  removal,
  row,
  rows,
  type ViewsFactory,
} from './harness.js'

type Facts = NonNullable<Tombstone['archived']>

/** That this job lies in a segment; it ended as late as its number says, or at `end`. */
function archived(
  number: number,
  { segment = 'one', end = number, ...facts }: Partial<Facts> & { segment?: string; end?: number } = {},
): [id: string, Tombstone] {
  const id = `job-${number}`
  const row = { type: 'send-mail', queue: 'default', channel: '', dependsOn: [], expunged: false, ...facts }
  const outcome = 'succeeded'
  return [id, { outcome, place: position(number), segment, archived: { endPlace: position(end), ...row } }]
}

const found = async (views: Views, filter: Partial<ArchivedFilter> = {}): Promise<string[]> =>
  (await views.archived({ limit: 99, ...filter })).map(({ id }) => id.slice('job-'.length))

export function archivedTests(factory: ViewsFactory): void {
  const under = freshViews(factory)

  it('are told of, latest end first, in pages', async () => {
    const { views } = under()
    const removed = new Map([archived(1, { end: 9 }), archived(2), archived(3), ...removal([4])])
    await views.save(changes(5, rows(1, 5), '', { removed }))
    expect(await views.archived({ limit: 2 })).toEqual([
      { id: 'job-1', endPlace: position(9), segment: 'one' },
      { id: 'job-3', endPlace: position(3), segment: 'one' },
    ])
    expect(await found(views, { before: position(3) })).toEqual(['2'])
    expect(await views.ended({ keep: 'rules', limit: 9 })).toEqual([])
  })

  it.each<[Partial<ArchivedFilter>, string[]]>([
    [{ types: ['other'] }, ['3']],
    [{ queues: ['slow', 'none'] }, ['2']],
    [{ channels: ['eu'] }, ['4']],
    [{ phases: ['failed'] }, ['5']],
    [{ segment: 'two' }, ['5', '4']],
    [{ segment: 'two', channels: ['eu'] }, ['4']],
    [{ segment: 'two', before: position(5) }, ['4']],
    [{ segment: 'two', limit: 1 }, ['5']],
    [{ segment: 'three' }, []],
    [{ bodies: true }, ['5', '4', '3', '1']],
  ])('by %j', async (filter, expected) => {
    const { views } = under()
    const failed = archived(5, { segment: 'two' })
    const removed = new Map([
      ...[archived(1), archived(2, { queue: 'slow', expunged: true }), archived(3, { type: 'other' })],
      ...[archived(4, { channel: 'eu', segment: 'two' })],
      [failed[0], { ...failed[1], outcome: 'failed' }] as const,
    ])
    await views.save(changes(5, [], '', { removed }))
    expect(await found(views, filter)).toEqual(expected)
  })

  it('are found however few of many a filter lets pass', async () => {
    const { views } = under()
    const all = Array.from({ length: 2_500 }, (_, index) => archived(index, { queue: index === 3 ? 'rare' : 'common' }))
    await views.save(changes(5, [], '', { removed: new Map(all) }))
    expect(await found(views, { queues: ['rare'] })).toEqual(['3'])
    expect(await found(views, { queues: ['rare'], segment: 'one' })).toEqual(['3'])
  })

  it('are marked when their bodies are erased, in the save that tells of them or later', async () => {
    const { views } = under()
    const removed = new Map([archived(1), archived(2), archived(3)])
    await views.save(changes(5, [], '', { removed, expunged: [position(1)] }))
    await views.save(changes(6, [], position(5), { expunged: [position(2)] }))
    expect(await found(views, { bodies: true })).toEqual(['3'])
    expect(await found(views)).toEqual(['3', '2', '1'])
  })

  it('are gone when they are removed for good, and may be told again', async () => {
    const { views } = under()
    await views.save(changes(5, [row(9)], '', { removed: new Map([archived(1), archived(2)]) }))
    await views.save(changes(6, [], position(5), { removed: new Map([archived(1), ...removal([2])]) }))
    expect(await found(views)).toEqual(['1'])
    expect([...(await views.segments(['job-1', 'job-2']))]).toEqual([['job-1', 'one']])
    expect([...(await views.removed(['job-2']))]).toEqual([['job-2', 'succeeded']])
    await views.save(changes(7, [row(9)], 'all', { removed: new Map([archived(3)]) }))
    expect(await found(views)).toEqual(['3'])
  })

  it('are still told of as dependents', async () => {
    const { views } = under()
    await views.save(changes(5, [dependent(2, [1]), dependent(3, [1]), dependent(4, [1])], ''))
    const [two, three] = [archived(2, { dependsOn: ['job-1'] }), archived(3, { dependsOn: ['job-1', 'job-7'] })]
    await views.save(changes(6, [], position(5), { removed: new Map([two, three, ...removal([4])]) }))
    expect(await dependentsOf(views, 1)).toEqual(['job-2', 'job-3'])
    expect(await dependentsOf(views, 7)).toEqual(['job-3'])
    await views.save(changes(7, [], position(6), { removed: removal([3]) }))
    expect(await dependentsOf(views, 1)).toEqual(['job-2'])
    expect(await dependentsOf(views, 7)).toEqual([])
  })
}
