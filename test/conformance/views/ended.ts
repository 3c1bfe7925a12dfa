import { expect, it } from 'vitest'
import type { JobRow } from '../../../runtime/ports/views.js'
import {
  changes,
  endedIds,
  freshViews,
  position,
  removal,
  row,
  rows,
  type ViewsFactory,
  withSecond,
} from './harness.js'

/** Ends run against the order of queueing, so that the two cannot be mistaken: job 1 ended last. */
const endOf = (number: number): string => `end ${position(1000 - number)}`

function ended(number: number, details: Partial<JobRow> = {}): JobRow {
  return row(number, { phase: 'succeeded', endPlace: endOf(number), ...details })
}

export function endedTests(factory: ViewsFactory): void {
  const under = freshViews(factory)

  it('come latest end first, whole, and the others not at all', async () => {
    const { views } = under()
    const kept = [ended(1), row(2), ended(3, { phase: 'failed', dependsOn: ['job-1'] }), row(4, { phase: 'leased' })]
    await views.save(changes(4, kept, ''))
    expect(await views.ended({ keep: 'rules', limit: 9 })).toEqual([kept[0], kept[2]])
  })

  it.each([
    ['nothing', {}, [1, 2, 3, 4, 5, 6]],
    ['type', { types: ['a'] }, [1, 3, 5]],
    ['queue', { queues: ['q2'] }, [3, 6]],
    ['channel', { channels: ['c'] }, [6]],
    ['phase', { phases: ['failed', 'cancelled'] }, [2, 4, 6]],
    ['a phase that is no end', { phases: ['waiting', 'leased'] }, []],
    ['several fields', { types: ['b'], phases: ['failed'], queues: ['q1', 'q0'] }, [2, 4]],
    ['an empty list', { types: [] }, []],
    ['end', { before: endOf(4) }, [5, 6]],
    ['an end that no job has', { before: `${endOf(4)} and more` }, [4, 5, 6]],
    ['an end before all', { before: '' }, []],
    ['number', { limit: 2 }, [1, 2]],
    ['end and number', { before: endOf(2), limit: 2 }, [3, 4]],
    ['type and end', { types: ['a'], before: endOf(3) }, [5]],
  ])('by %s', async (_, filter, numbers) => {
    const { views } = under()
    const six = [1, 2, 3, 4, 5, 6].map((number) =>
      ended(number, {
        type: number % 2 === 1 ? 'a' : 'b',
        queue: `q${(number + 2) % 3}`,
        channel: number === 6 ? 'c' : '',
        phase: number % 2 === 0 ? 'failed' : 'succeeded',
      }),
    )
    // Alike in all but that they have not ended.
    const others = six.map(({ type, queue, channel, phase }, index) => row(index + 7, { type, queue, channel, phase }))
    await views.save(changes(12, [...six, ...others], ''))
    expect(await endedIds(views, filter)).toEqual(numbers.map((number) => `job-${number}`))
  })

  it('pages join without gap or double', async () => {
    const { views } = under()
    const many = Array.from({ length: 95 }, (_, index) => ended(index + 1))
    await views.save(changes(200, [...many, ...rows(96, 200)], ''))
    const seen: string[] = []
    for (let page = await views.ended({ keep: 'rules', limit: 10 }); page.length > 0; ) {
      seen.push(...page.map(({ id }) => id))
      page = await views.ended({ keep: 'rules', limit: 10, before: page.at(-1)?.endPlace ?? '' })
    }
    expect(seen).toEqual(many.map(({ id }) => id))
  })

  it('few among many are found, page by page', async () => {
    const { views } = under()
    const many = Array.from({ length: 4500 }, (_, index) =>
      ended(index + 1, {
        endPlace: `end ${position(9000 - index)}`,
        type: index % 700 === 699 ? 'rare' : 'common',
        queue: index === 4499 ? 'last' : 'default',
      }),
    )
    await views.save(changes(4500, many, ''))
    const rare = [700, 1400, 2100, 2800, 3500, 4200].map((number) => `job-${number}`)
    expect(await endedIds(views, { types: ['rare'] })).toEqual(rare)
    expect(await endedIds(views, { types: ['rare'], limit: 3 })).toEqual(rare.slice(0, 3))
    const before = `end ${position(9000 - 2099)}`
    expect(await endedIds(views, { types: ['rare'], before, limit: 2 })).toEqual(rare.slice(3, 5))
    expect(await endedIds(views, { queues: ['last'] })).toEqual(['job-4500'])
    expect(await endedIds(views, { types: ['rare'], queues: ['last'] })).toEqual([])
    expect(await endedIds(views)).toEqual(many.map(({ id }) => id))
  })

  it('a job that ends, runs again and ends anew stands where it ended last', async () => {
    const { views } = under()
    await views.save(changes(3, [row(1), ended(2), ended(3)], ''))
    expect(await endedIds(views)).toEqual(['job-2', 'job-3'])
    await views.save(changes(4, [ended(1), row(2)], position(3)))
    expect(await endedIds(views)).toEqual(['job-1', 'job-3'])
    await views.save(changes(5, [ended(2, { endPlace: 'end at last' })], position(4)))
    expect(await endedIds(views)).toEqual(['job-2', 'job-1', 'job-3'])
    expect(await views.ended({ keep: 'rules', limit: 9, before: endOf(2) })).toEqual([ended(3)])
  })

  it("are everybody's, and 'all' replaces them", async () => {
    const { views } = under()
    await views.save(changes(3, [ended(1), ended(2)], ''))
    await withSecond(under(), async (second) => {
      expect(await second.ended({ keep: 'rules', limit: 9 })).toEqual([ended(1), ended(2)])
      await second.save(changes(4, [ended(3)], 'all'))
    })
    expect(await views.ended({ keep: 'rules', limit: 9 })).toEqual([ended(3)])
  })

  it.each([
    ['the rules', { keep: 'rules' }, [1, 4]],
    ['an instant', { keep: 300 }, [2, 3]],
    ['an instant, which is the end of one', { keep: 200 }, [2]],
    ['an instant before all', { keep: 0 }, []],
    ['the end of time', { keep: Number.MAX_SAFE_INTEGER }, [2, 3, 5]],
    ['an instant and a number', { keep: 1e9, limit: 1 }, [2]],
    ['an instant and an end', { keep: 1e9, before: endOf(2) }, [3, 5]],
    ['an instant and a type', { keep: 1e9, types: ['b'] }, [3]],
  ] as const)('by %s, as long as they are kept', async (_, filter, numbers) => {
    const { views } = under()
    const forEver = Number.MAX_SAFE_INTEGER
    const kept = [
      ended(1),
      ended(2, { keepUntil: 100 }),
      ended(3, { keepUntil: 200, type: 'b' }),
      ended(4, { type: 'b' }),
      ended(5, { keepUntil: 5_000_000 }),
      ended(6, { keepUntil: forEver }),
    ]
    await views.save(changes(6, kept, ''))
    expect(await endedIds(views, filter)).toEqual(numbers.map((number) => `job-${number}`))
    expect((await views.list({ limit: 9 })).map(({ keepUntil }) => keepUntil)).toEqual([
      forEver,
      5_000_000,
      null,
      200,
      100,
      null,
    ])
  })

  it('how long a job is kept is as its row says last', async () => {
    const { views } = under()
    await views.save(changes(3, [ended(1), ended(2, { keepUntil: 5 })], ''))
    await views.save(changes(4, [ended(1, { keepUntil: 7 }), ended(2)], position(3)))
    expect(await endedIds(views)).toEqual(['job-2'])
    expect(await endedIds(views, { keep: 8 })).toEqual(['job-1'])
  })

  it('those without bodies are passed over when asked to', async () => {
    const { views } = under()
    const kept = [ended(1), ended(2), ended(3, { keepUntil: 5 }), ended(4, { keepUntil: 5 })]
    await views.save(changes(4, kept, ''))
    expect(await endedIds(views, { bodies: true })).toEqual(['job-1', 'job-2'])
    await views.save(changes(5, [], position(4), { expunged: [position(1), position(4), 'of no job'] }))
    expect(await endedIds(views, { bodies: true })).toEqual(['job-2'])
    expect(await endedIds(views, { bodies: true, keep: 9 })).toEqual(['job-3'])
    expect(await endedIds(views)).toEqual(['job-1', 'job-2'])
    expect(await endedIds(views, { keep: 9 })).toEqual(['job-3', 'job-4'])
    expect((await views.list({ limit: 9 })).reverse()).toEqual(kept)
  })

  it('a job whose row comes with it loses its bodies too, and does not get them back', async () => {
    const { views } = under()
    await views.save(changes(4, [ended(1), ended(2)], '', { expunged: [position(1)] }))
    expect(await endedIds(views, { bodies: true })).toEqual(['job-2'])
    await views.save(changes(5, [ended(1, { state: 'again' })], position(4)))
    await views.save(changes(6, [ended(1, { dependsOn: ['job-7'] })], position(5), { expunged: [position(1)] }))
    await views.save(changes(7, [ended(1, { dependsOn: ['job-8'] })], position(6)))
    expect(await endedIds(views, { bodies: true })).toEqual(['job-2'])
    expect(await views.list({ limit: 9 })).toEqual([ended(2), ended(1, { dependsOn: ['job-8'] })])
  })

  it("removal and 'all' forget who lost its bodies", async () => {
    const { views } = under()
    const two = { expunged: [position(1), position(2)] }
    await views.save(changes(4, [ended(1), ended(2), ended(3)], '', { ...two, removed: removal([2]) }))
    expect(await endedIds(views)).toEqual(['job-1', 'job-3'])
    expect(await endedIds(views, { bodies: true })).toEqual(['job-3'])
    await views.save(changes(5, [ended(1), ended(2)], 'all', { expunged: [position(2)] }))
    expect(await endedIds(views, { bodies: true })).toEqual(['job-1'])
  })

  it.each([
    ['what is kept is further', 3, position(2), true],
    ['what is kept ends earlier', 9, position(8), false],
  ])('nobody loses bodies when %s', async (_, upTo, since, answer) => {
    const { views } = under()
    await views.save(changes(5, [ended(1)], ''))
    expect(await views.save(changes(upTo, [], since, { expunged: [position(1)] }))).toBe(answer)
    expect(await endedIds(views, { bodies: true })).toEqual(['job-1'])
  })

  it('nobody loses bodies in a save whose rows fail; many do in one that does not', async () => {
    const { views } = under()
    const many = Array.from({ length: 2000 }, (_row, index) => ended(index + 1, { endPlace: `end ${position(index)}` }))
    await views.save(changes(2000, many, ''))
    const expunged = many.map(({ place }) => place)
    function* failing(): Iterable<JobRow> {
      yield* rows(2001, 2100)
      throw new RangeError('no more rows')
    }
    const save = views.save(changes(2001, failing(), position(2000), { expunged }))
    await expect(save).rejects.toThrow('no more rows')
    expect(await endedIds(views, { bodies: true })).toHaveLength(2000)
    await views.save(changes(2001, [], position(2000), { expunged }))
    expect(await endedIds(views, { bodies: true })).toEqual([])
    expect(await endedIds(views)).toHaveLength(2000)
  })
}
