/** Whole states that are kept for readers of the past. */
import { expect, test } from 'vitest'
import type { KeptCheckpoint, KeptCheckpoints, Views } from '../../../runtime/ports/views.js'
import {
  changes,
  checkpoint,
  countingTurns,
  freshViews,
  position,
  row,
  type ViewsFactory,
  withSecond,
} from './harness.js'

const about = (number: number): Omit<KeptCheckpoint, 'bytes'> => ({
  checkpoint: checkpoint(number),
  at: number * 1_000,
  events: number * 10,
})

const texts = new Map([['queues', '["ä, \\n and 漢字"]']])

function pastOf({ past }: Views): KeptCheckpoints {
  if (past === undefined) throw new Error('These views keep no checkpoints of the past.')
  return past
}

async function read(past: KeptCheckpoints, number: number): Promise<{ rows: string[]; texts: unknown } | undefined> {
  const content = await past.content(position(number))
  if (content === undefined) return undefined
  const rows: string[] = []
  for await (const page of content.rows) rows.push(...page)
  return { rows, texts: new Map(content.texts) }
}

export function keptTests(factory: ViewsFactory): void {
  const under = freshViews(factory)

  test('none are kept at first', async () => {
    const past = pastOf(under().views)
    expect(await past.list()).toEqual([])
    expect(await past.content(position(1))).toBeUndefined()
    await past.drop([position(1)])
  })

  test('they come back as they were given, in order of their positions', async () => {
    const past = pastOf(under().views)
    const rows = ['["größer",1]', '["\\n",2]']
    await past.keep(about(20), { rows, texts })
    await past.keep(about(3), { rows: [], texts: new Map() })
    expect(await past.list()).toEqual([3, 20].map((number) => ({ ...about(number), bytes: expect.any(Number) })))
    expect(await read(past, 20)).toEqual({ rows, texts })
    expect(await read(past, 3)).toEqual({ rows: [], texts: new Map() })
  })

  test('a later one of the same position takes its place', async () => {
    const past = pastOf(under().views)
    await past.keep(about(1), { rows: ['1', '2'], texts })
    await past.keep(about(1), { rows: ['3'], texts })
    expect(await past.list()).toHaveLength(1)
    expect((await read(past, 1))?.rows).toEqual(['3'])
  })

  test('those that are dropped are gone', async () => {
    const past = pastOf(under().views)
    for (const number of [1, 2, 3]) await past.keep(about(number), { rows: [`${number}`], texts })
    await past.drop([position(1), position(3), position(9)])
    expect((await past.list()).map(({ events }) => events)).toEqual([20])
    expect(await read(past, 1)).toBeUndefined()
    expect((await read(past, 2))?.rows).toEqual(['2'])
  })

  test('what replaces all rows leaves them', async () => {
    const { views } = under()
    const past = pastOf(views)
    await past.keep(about(1), { rows: ['1'], texts })
    await views.save(changes(5, [row(1)], 'all'))
    expect((await read(past, 1))?.rows).toEqual(['1'])
  })

  test('another process sees them', async () => {
    const { views } = under()
    await pastOf(views).keep(about(1), { rows: ['1'], texts })
    await withSecond(under(), async (second) => expect((await read(pastOf(second), 1))?.rows).toEqual(['1']))
  })

  test('many rows are taken in slices, with the event loop let go', async () => {
    const past = pastOf(under().views)
    const rows = Array.from({ length: 20_000 }, (_, index) => JSON.stringify([`job-${index}`, index * 7_919]))
    const { turns } = await countingTurns(() => past.keep(about(1), { rows, texts }))
    expect(turns).toBeGreaterThan(20)
    expect(await read(past, 1)).toEqual({ rows, texts })
  })
}
