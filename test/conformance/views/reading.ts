import { expect, it } from 'vitest'
import {
  type Changes,
  changes,
  freshViews,
  live,
  position,
  row,
  rows,
  type ViewsFactory,
  withSecond,
} from './harness.js'

export function readTests(factory: ViewsFactory): void {
  const under = freshViews(factory)

  it('live gives the states of jobs that have not ended, in order of place', async () => {
    const { views } = under()
    const phases = ['waiting', 'leased', 'succeeded', 'failed', 'cancelled']
    const all = Array.from({ length: 25 }, (_, index) => row(25 - index, { phase: phases[(25 - index) % 5] ?? '' }))
    await views.save(changes(25, all, ''))
    const expected = all.filter(({ phase }) => phase === 'waiting' || phase === 'leased').reverse()
    expect(await live(views)).toEqual(expected.map(({ state }) => state))
  })

  it('live of many comes in several pages', async () => {
    const { views } = under()
    await views.save(
      changes(
        2500,
        Array.from({ length: 2500 }, (_, index) => row(index + 1)),
        '',
      ),
    )
    let pages = 0
    for await (const page of views.live()) pages += Math.min(page.length, 1)
    expect(pages).toBeGreaterThan(1)
    expect((await live(views)).length).toBe(2500)
  })

  it('what is read at one moment belongs together, whatever another one saves meanwhile', async () => {
    const { views } = under()
    const texts = (text: string): Partial<Changes> => ({ texts: new Map([['totals', text]]) })
    await views.save(changes(2_500, rows(1, 2_500), '', texts('before')))
    await withSecond(under(), async (second) => {
      const read = await views.atOneMoment(async (kept) => {
        const { position: at } = (await kept.checkpoint()) ?? {}
        const states: string[] = []
        for await (const page of kept.live()) {
          // In the middle of the pages: all jobs end, and one comes.
          if (states.length === 0) {
            const ended = rows(1, 2_500, { phase: 'succeeded', endPlace: position(1) })
            await second.save(changes(5_001, [...ended, row(2_501)], position(2_500), texts('after')))
          }
          states.push(...page)
        }
        return { at, states, texts: await kept.texts() }
      })
      expect(read).toEqual({
        at: position(2_500),
        states: rows(1, 2_500).map(({ state }) => state),
        texts: new Map([['totals', 'before']]),
      })
      expect(await live(views)).toEqual([row(2_501).state])
    })
  })

  it.each([
    ['nothing', {}, [6, 5, 4, 3, 2, 1]],
    ['type', { types: ['a'] }, [5, 3, 1]],
    ['queue', { queues: ['q2'] }, [6, 3]],
    ['channel', { channels: ['c'] }, [6]],
    ['trigger', { triggers: ['t2'] }, [5, 2]],
    ['several triggers', { triggers: ['t2', 'none', 't1', 't2'], limit: 3 }, [5, 4, 2]],
    ['no trigger', { triggers: [''] }, [6, 3]],
    ['none or one', { triggers: ['', 't1'], before: position(6) }, [4, 3, 1]],
    ['trigger, place and phase', { triggers: ['t1', 't2'], phases: ['failed'], before: position(4) }, [2]],
    ['phase', { phases: ['failed', 'leased'] }, [6, 4, 2]],
    ['several fields', { types: ['b'], phases: ['failed'], queues: ['q1', 'q0'] }, [4, 2]],
    ['an empty list', { types: [] }, []],
    ['an empty list of triggers', { triggers: [] }, []],
    ['place', { before: position(4) }, [3, 2, 1]],
    ['place and number', { before: position(6), limit: 2 }, [5, 4]],
  ])('list by %s, newest first', async (_, filter, numbers) => {
    const { views } = under()
    const all = [1, 2, 3, 4, 5, 6].map((number) =>
      row(number, {
        type: number % 2 === 1 ? 'a' : 'b',
        queue: `q${(number + 2) % 3}`,
        channel: number === 6 ? 'c' : '',
        trigger: number % 3 === 0 ? '' : `t${number % 3}`,
        phase: number % 2 === 0 ? 'failed' : 'waiting',
      }),
    )
    await views.save(changes(6, all, ''))
    expect((await views.list({ limit: 99, ...filter })).map(({ id }) => id)).toEqual(
      numbers.map((number) => `job-${number}`),
    )
  })

  it('pages of a list join without gap or double', async () => {
    const { views } = under()
    await views.save(
      changes(
        95,
        Array.from({ length: 95 }, (_, index) => row(index + 1)),
        '',
      ),
    )
    const seen: string[] = []
    for (let page = await views.list({ limit: 10 }); page.length > 0; ) {
      seen.push(...page.map(({ id }) => id))
      page = await views.list({ limit: 10, before: page.at(-1)?.place ?? '' })
    }
    expect(seen).toEqual(Array.from({ length: 95 }, (_, index) => `job-${95 - index}`))
  })
}
