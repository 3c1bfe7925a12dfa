/** The definition of the views port, run by every adapter that keeps views. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { StoreClosed } from '../../runtime/ports/event-store.js'
import type { Checkpoint, JobRow, Views } from '../../runtime/ports/views.js'

export interface ViewsUnderTest {
  readonly views: Views
  /** Another handle on the same rows, as another process has it. */
  readonly openSecond?: () => Promise<Views>
  readonly dispose: () => Promise<void>
}

export type ViewsFactory = () => Promise<ViewsUnderTest>

type Changes = Parameters<Views['save']>[0]

const position = (number: number): string => String(number).padStart(16, '0')

function row(number: number, details: Partial<JobRow> = {}): JobRow {
  return {
    id: `job-${number}`,
    place: position(number),
    type: 'send-mail',
    queue: 'default',
    channel: '',
    phase: 'waiting',
    state: `{"n":${number}}`,
    ...details,
  }
}

function checkpoint(number: number, details: Partial<Checkpoint> = {}): Checkpoint {
  const place = { position: position(number), stream: 'job-1', revision: number, eventId: `event-${number}` }
  return { logId: 'log-1', ...place, version: 1, ...details }
}

function changes(upTo: number, rows: Iterable<JobRow>, since: string, details: Partial<Changes> = {}): Changes {
  return { checkpoint: checkpoint(upTo), since, rows, texts: new Map(), ...details }
}

async function idsOf(views: Views): Promise<string[]> {
  return (await views.list({ limit: 10_000 })).map(({ id }) => id)
}

async function live(views: Views): Promise<string[]> {
  const states: string[] = []
  for await (const page of views.live()) states.push(...page)
  return states
}

async function* oneByOne(rows: readonly JobRow[]): AsyncIterable<JobRow> {
  for (const each of rows) yield each
}

export function viewsSuite(name: string, factory: ViewsFactory): void {
  describe(`${name} as views`, () => {
    let under: ViewsUnderTest
    beforeEach(async () => {
      under = await factory()
    })
    afterEach(() => under.dispose())
    describe('saving', () => saveTests(() => under))
    describe('since', () => sinceTests(() => under))
    describe('reading', () => readTests(() => under))
  })
}

function saveTests(under: () => ViewsUnderTest): void {
  it('new views are empty', async () => {
    const { views } = under()
    expect(await views.checkpoint()).toBeUndefined()
    expect([...(await views.texts())]).toEqual([])
    expect(await live(views)).toEqual([])
    expect(await idsOf(views)).toEqual([])
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
    let turns = 0
    let saving = true
    const count = (): void => {
      turns += 1
      if (saving) setImmediate(count)
    }
    setImmediate(count)
    expect(await views.save(changes(2000, [], '', { rows: give(rows) }))).toBe(true)
    saving = false
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
      () => idsOf(views),
      () => views.save(changes(1, [], '')),
    ]
    for (const call of calls) await expect(call()).rejects.toThrow(StoreClosed)
  })
}

function sinceTests(under: () => ViewsUnderTest): void {
  it('what is kept ends where the new rows begin: they are added', async () => {
    const { views } = under()
    await views.save(changes(5, [row(1)], ''))
    expect(await views.save(changes(9, [row(9)], position(5)))).toBe(true)
    expect(await views.save(changes(12, [row(12)], position(7)))).toBe(true)
    expect(await idsOf(views)).toEqual(['job-12', 'job-9', 'job-1'])
  })

  it('what is kept ends earlier: nothing is written, and all is asked for', async () => {
    const { views } = under()
    await views.save(changes(5, [row(1)], ''))
    expect(await views.save(changes(9, [row(9)], position(7)))).toBe(false)
    expect(await views.checkpoint()).toEqual(checkpoint(5))
    expect(await idsOf(views)).toEqual(['job-1'])
  })

  it('nothing is kept: only rows from the start are taken', async () => {
    const { views } = under()
    expect(await views.save(changes(9, [row(9)], position(7)))).toBe(false)
    expect(await views.checkpoint()).toBeUndefined()
    expect(await views.save(changes(9, [row(9)], ''))).toBe(true)
  })

  it('what is kept is as far or further: nothing is written, and all is well', async () => {
    const { views } = under()
    await views.save(changes(9, [row(9)], ''))
    for (const upTo of [9, 8]) expect(await views.save(changes(upTo, [row(1)], position(5)))).toBe(true)
    expect(await views.checkpoint()).toEqual(checkpoint(9))
    expect(await idsOf(views)).toEqual(['job-9'])
  })

  it("'all' replaces everything", async () => {
    const { views } = under()
    await views.save(changes(9, [row(1), row(9)], '', { texts: new Map([['old', 'x']]) }))
    expect(await views.save(changes(12, [row(12)], 'all', { texts: new Map([['new', 'y']]) }))).toBe(true)
    expect(await idsOf(views)).toEqual(['job-12'])
    expect(await views.texts()).toEqual(new Map([['new', 'y']]))
  })

  it("'all' replaces also what is further on, if the caller was shown it: the log may be restored from a backup", async () => {
    const { views, openSecond } = under()
    await views.save(changes(9, [row(9)], ''))
    const other = (await openSecond?.()) ?? views
    expect(await other.checkpoint()).toEqual(checkpoint(9))
    expect(await other.save(changes(4, [row(4)], 'all'))).toBe(true)
    expect(await views.checkpoint()).toEqual(checkpoint(4))
    expect(await idsOf(views)).toEqual(['job-4'])
    if (other !== views) await other.close()
  })

  it("'all' does not pull back what somebody else has brought further meanwhile", async () => {
    const { views, openSecond } = under()
    const other = (await openSecond?.()) ?? views
    expect(await other.checkpoint()).toBeUndefined()
    await views.save(changes(9, [row(9)], 'all'))
    expect(await other.save(changes(4, [row(4)], 'all'))).toBe(true)
    expect(await views.checkpoint()).toEqual(checkpoint(9))
    expect(await idsOf(views)).toEqual(['job-9'])
    if (other !== views) await other.close()
  })

  it.each([
    ['another log', { logId: 'log-2' }],
    ['another version of the projection', { version: 2 }],
  ])('rows for %s are not added to what is kept', async (_, other) => {
    const { views } = under()
    await views.save(changes(5, [row(1)], ''))
    for (const upTo of [3, 9]) {
      expect(await views.save(changes(upTo, [row(9)], '', { checkpoint: checkpoint(upTo, other) }))).toBe(false)
    }
    expect(await views.checkpoint()).toEqual(checkpoint(5))
    expect(await views.save(changes(9, [row(9)], 'all', { checkpoint: checkpoint(9, other) }))).toBe(true)
    expect(await views.checkpoint()).toEqual(checkpoint(9, other))
  })
}

function readTests(under: () => ViewsUnderTest): void {
  it('live gives the states of jobs that have not ended, in order of place', async () => {
    const { views } = under()
    const phases = ['waiting', 'leased', 'succeeded', 'failed', 'cancelled']
    const rows = Array.from({ length: 25 }, (_, index) => row(25 - index, { phase: phases[(25 - index) % 5] ?? '' }))
    await views.save(changes(25, rows, ''))
    const expected = rows.filter(({ phase }) => phase === 'waiting' || phase === 'leased').reverse()
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

  it.each([
    ['nothing', {}, [6, 5, 4, 3, 2, 1]],
    ['type', { types: ['a'] }, [5, 3, 1]],
    ['queue', { queues: ['q2'] }, [6, 3]],
    ['channel', { channels: ['c'] }, [6]],
    ['phase', { phases: ['failed', 'leased'] }, [6, 4, 2]],
    ['several fields', { types: ['b'], phases: ['failed'], queues: ['q1', 'q0'] }, [4, 2]],
    ['an empty list', { types: [] }, []],
    ['place', { before: position(4) }, [3, 2, 1]],
    ['place and number', { before: position(6), limit: 2 }, [5, 4]],
  ])('list by %s, newest first', async (_, filter, numbers) => {
    const { views } = under()
    const rows = [1, 2, 3, 4, 5, 6].map((number) =>
      row(number, {
        type: number % 2 === 1 ? 'a' : 'b',
        queue: `q${(number + 2) % 3}`,
        channel: number === 6 ? 'c' : '',
        phase: number % 2 === 0 ? 'failed' : 'waiting',
      }),
    )
    await views.save(changes(6, rows, ''))
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
