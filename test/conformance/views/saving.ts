import { expect, it } from 'vitest'
import { StoreClosed } from '../../../runtime/ports/event-store.js'
import type { JobRow } from '../../../runtime/ports/views.js'
import {
  changes,
  checkpoint,
  countingTurns,
  freshViews,
  idsOf,
  live,
  position,
  row,
  type ViewsFactory,
} from './harness.js'

async function* oneByOne(rows: readonly JobRow[]): AsyncIterable<JobRow> {
  for (const each of rows) yield each
}

export function saveTests(factory: ViewsFactory): void {
  const under = freshViews(factory)

  it('new views are empty', async () => {
    const { views } = under()
    expect(await views.checkpoint()).toBeUndefined()
    expect([...(await views.texts())]).toEqual([])
    expect(await live(views)).toEqual([])
    expect(await idsOf(views)).toEqual([])
    expect(await views.ended({ keep: 'rules', limit: 9 })).toEqual([])
    expect(await views.dependents('job-1')).toEqual([])
    expect([...(await views.removed(['job-1']))]).toEqual([])
  })

  it('rows, texts and checkpoint are there together', async () => {
    const { views } = under()
    const texts = new Map([
      ['totals', '{"a":1}'],
      ['workers', '漢 \u0000 "'],
    ])
    expect(await views.save(changes(2, [row(1), row(2)], '', { texts }))).toBe(true)
    expect(await views.checkpoint()).toEqual(checkpoint(2))
    expect(await views.texts()).toEqual(texts)
    expect(await views.list({ limit: 9 })).toEqual([row(2), row(1)])
  })

  it('a row is replaced by id, a text by name', async () => {
    const { views } = under()
    await views.save(
      changes(2, [row(1), row(2)], '', {
        texts: new Map([
          ['a', '1'],
          ['b', '2'],
        ]),
      }),
    )
    const ended = row(1, { phase: 'succeeded', state: '{}', queue: 'other' })
    await views.save(changes(3, [ended], position(2), { texts: new Map([['a', '3']]) }))
    expect(await views.list({ limit: 9 })).toEqual([row(2), ended])
    expect(await views.texts()).toEqual(
      new Map([
        ['a', '3'],
        ['b', '2'],
      ]),
    )
  })

  it.each([
    ['at once', (rows: JobRow[]) => rows],
    ['one by one', (rows: JobRow[]) => oneByOne(rows)],
  ])('rows may come %s; the event loop goes on meanwhile', async (_, give) => {
    const { views } = under()
    const rows = Array.from({ length: 2000 }, (_row, index) => row(index + 1))
    const { result, turns } = await countingTurns(() => views.save(changes(2000, [], '', { rows: give(rows) })))
    expect(result).toBe(true)
    expect(turns).toBeGreaterThan(2)
    expect(await idsOf(views)).toHaveLength(2000)
  })

  it('when the rows fail, nothing of it is there', async () => {
    const { views } = under()
    await views.save(changes(1, [row(1)], ''))
    function* failing(): Iterable<JobRow> {
      yield row(2)
      throw new RangeError('no more rows')
    }
    await expect(views.save(changes(2, failing(), position(1)))).rejects.toThrow('no more rows')
    expect(await idsOf(views)).toEqual(['job-1'])
    expect(await views.checkpoint()).toEqual(checkpoint(1))
    expect(await views.save(changes(2, [row(2)], position(1)))).toBe(true)
  })

  it('readers see nothing of a save that is not done', async () => {
    const { views } = under()
    await views.save(changes(1, [row(1)], ''))
    const seen: string[][] = []
    async function* watched(): AsyncIterable<JobRow> {
      for (let number = 2; number <= 1000; number += 1) {
        if (number % 333 === 0) seen.push(await idsOf(views))
        yield row(number)
      }
    }
    await views.save(changes(1000, [], 'all', { rows: watched() }))
    expect(seen).toEqual([['job-1'], ['job-1'], ['job-1']])
    expect(await idsOf(views)).toHaveLength(999)
  })

  it('two saves at once follow each other', async () => {
    const { views, openSecond } = under()
    const second = (await openSecond?.()) ?? views
    await views.save(changes(1, [row(1)], ''))
    const many = Array.from({ length: 1200 }, (_, index) => row(index + 2))
    expect(
      await Promise.all([views.save(changes(1201, many, position(1))), second.save(changes(1202, many, position(1)))]),
    ).toEqual([true, true])
    expect(await views.checkpoint()).toEqual(checkpoint(1202))
    if (second !== views) await second.close()
  })

  it('after close everything fails with StoreClosed', async () => {
    const { views } = under()
    await views.close()
    await views.close()
    const calls = [
      () => views.checkpoint(),
      () => views.texts(),
      () => live(views),
      () => views.atOneMoment((kept) => kept.checkpoint()),
      () => idsOf(views),
      () => views.ended({ keep: 'rules', limit: 9 }),
      () => views.dependents('job-1'),
      () => views.removed([]),
      () => views.removed(['job-1']),
      () => views.save(changes(1, [], '')),
    ]
    for (const call of calls) await expect(call()).rejects.toThrow(StoreClosed)
  })
}
