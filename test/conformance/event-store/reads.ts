import { describe, expect, it } from 'vitest'
import { joined } from '../../../domain/audit/encoding.js'
import { EntryWriter } from '../../../domain/audit/entries.js'
import type { EventTexts, NewEvent } from '../../../domain/event.js'
import type { EventStore, LogRange, ReadTextsOptions } from '../../../runtime/ports/event-store.js'
import {
  appendOk,
  body,
  collect,
  event,
  events,
  freshStores,
  group,
  idsOf,
  plainBody,
  type StoreFactory,
} from './harness.js'

export function readTests(factory: StoreFactory): void {
  describe('one stream', () => streamTests(factory))
  describe('the whole log', () => logTests(factory))
  describe('as texts', () => textTests(factory))
}

const NO_TEXTS = 'what the store keeps are no texts'

async function textsOf(store: EventStore, options?: ReadTextsOptions): Promise<EventTexts[]> {
  if (store.readTexts === undefined) throw new Error(NO_TEXTS)
  return collect(store.readTexts(options))
}

async function pagesOf<Page>(pages: AsyncIterable<Page> | Iterable<Page>): Promise<Page[]> {
  const all: Page[] = []
  for await (const page of pages) all.push(page)
  return all
}

function textTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  async function someEvents(): Promise<void> {
    const { store } = under()
    await appendOk(
      store,
      { 'job-1': 'none' },
      event('job-1', { body: body('{"a":1}'), metadata: { actor: 'Ad\u00e4' } }),
    )
    await appendOk(store, { 'job-2': 'none' }, event('job-2', { data: { text: '\u0000\u0010\ud83d\ude00', n: 1e21 } }))
    await appendOk(store, { 'job-1': 0 }, event('job-1', { body: body(new Uint8Array([0, 255])) }), event('job-1'))
  }

  it('gives the very texts, with bodies', async (context) => {
    const { store } = under()
    context.skip(store.readTexts === undefined, NO_TEXTS)
    await someEvents()
    const read = await collect(store.readAll({ bodies: true }))
    const texts = await textsOf(store)
    expect(texts.map(plainBody)).toEqual(read.map(plainBody))
    const written = read.map(({ data, metadata, ...rest }) => ({
      ...{ ...rest, data: JSON.stringify(data), metadata: metadata && JSON.stringify(metadata), body: undefined },
    }))
    expect(texts.map((each) => ({ ...each, body: undefined }))).toEqual(written)
  })

  it('as entries: the same, as it is hashed', async (context) => {
    const { store } = under()
    context.skip(store.readEntries === undefined, 'the store makes no entries')
    const all = async (range: LogRange = {}): Promise<Uint8Array> =>
      joined(await pagesOf(store.readEntries?.(range) ?? []))
    expect(await all()).toHaveLength(0)
    await someEvents()
    await appendOk(store, { 'job-3': 'none' }, ...events('job-3', 1_200))
    await appendOk(store, { 'job-4': 'none' }, event('job-4', { body: body('x'.repeat(100_000)) }))
    await store.erase([{ stream: 'job-1', revision: 0 }])
    await store.remove(['job-2'])
    const texts = await textsOf(store)
    const writer = new EntryWriter()
    expect(await all()).toEqual(writer.write(texts).slice())
    const range = { after: texts[0]?.position ?? '', until: texts[2]?.position ?? '' }
    expect(await all(range)).toEqual(writer.write(texts.slice(1, 3)).slice())
    expect(await all({ until: '' })).toHaveLength(0)
  })

  it('of a part of the log, and of one stream', async (context) => {
    const { store } = under()
    context.skip(store.readTexts === undefined, NO_TEXTS)
    await someEvents()
    const all = await textsOf(store)
    const part = { after: all[0]?.position ?? '', until: all[2]?.position ?? '' }
    expect(await textsOf(store, part)).toEqual(all.slice(1, 3))
    expect(await textsOf(store, { until: '' })).toEqual([])
    const one = await textsOf(store, { stream: 'job-1' })
    expect(one).toEqual(all.filter(({ stream }) => stream === 'job-1'))
    expect(await textsOf(store, { stream: 'job-3' })).toEqual([])
  })

  it('of more than a page', async (context) => {
    const { store } = under()
    context.skip(store.readTexts === undefined, NO_TEXTS)
    await appendOk(store, { 'job-1': 'none' }, ...events('job-1', 1_200))
    expect(idsOf(await textsOf(store))).toHaveLength(1_200)
    expect(idsOf(await textsOf(store, { stream: 'job-1' }))).toHaveLength(1_200)
  })
}

function streamTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  async function tenEvents(): Promise<NewEvent[]> {
    const all = events('job-1', 10)
    await appendOk(under().store, { 'job-1': 'none' }, ...all.slice(0, 4))
    await appendOk(under().store, { 'job-2': 'none' }, ...events('job-2', 5))
    await appendOk(under().store, { 'job-1': 3 }, ...all.slice(4))
    return all
  }

  it('a missing stream gives no page at all', async () => {
    const pages: unknown[] = []
    for await (const page of under().store.readStream('job-1')) pages.push(page)
    expect(pages).toEqual([])
  })

  it.each([
    ['from the first to the last', {}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
    ['from a revision', { from: 7 }, [7, 8, 9]],
    ['the first ones', { limit: 3 }, [0, 1, 2]],
    ['the very first one', { limit: 1 }, [0]],
    ['just one in the middle', { from: 4, limit: 1 }, [4]],
    ['some in the middle', { from: 2, limit: 4 }, [2, 3, 4, 5]],
    ['beyond the end', { from: 10 }, []],
    ['none at all', { limit: 0 }, []],
    ['backwards', { backwards: true }, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]],
    ['the last one', { backwards: true, limit: 1 }, [9]],
    ['backwards from a revision', { backwards: true, from: 3 }, [3, 2, 1, 0]],
    ['backwards from beyond the end', { backwards: true, from: 99, limit: 2 }, [9, 8]],
    ['backwards, the first one only', { backwards: true, from: 0 }, [0]],
  ])('%s', async (_, options, revisions) => {
    const all = await tenEvents()
    const read = await collect(under().store.readStream('job-1', options))
    expect(read.map(({ revision }) => revision)).toEqual(revisions)
    expect(idsOf(read)).toEqual(revisions.map((revision) => all[revision]?.id))
    expect(read.every(({ stream }) => stream === 'job-1')).toBe(true)
  })

  it('a long one comes in several pages, whole and in order, both ways', async () => {
    const { store } = under()
    const all = events('job-1', 2500)
    await appendOk(store, { 'job-1': 'none' }, ...all)
    let pages = 0
    for await (const page of store.readStream('job-1')) pages += Math.min(page.length, 1)
    expect(pages).toBeGreaterThan(1)
    expect(idsOf(await collect(store.readStream('job-1')))).toEqual(idsOf(all))
    expect(idsOf(await collect(store.readStream('job-1', { backwards: true })))).toEqual(idsOf(all).reverse())
    expect(await collect(store.readStream('job-1', { from: 5, limit: 2100 }))).toHaveLength(2100)
  })

  it('brings bodies when asked', async () => {
    const { store } = under()
    const written = [
      event('job-1', { body: body('{"n":1}') }),
      event('job-1'),
      event('job-1', { body: body(new Uint8Array([0, 255])) }),
    ]
    await appendOk(store, { 'job-1': 'none' }, ...written)
    const read = await collect(store.readStream('job-1', { bodies: true }))
    expect(read.map(plainBody)).toEqual(written.map((each) => plainBody({ ...each, revision: 0, position: '' })))
  })

  it('stopping in the middle is fine', async () => {
    const { store } = under()
    await appendOk(store, { 'job-1': 'none' }, ...events('job-1', 2500))
    for await (const page of store.readStream('job-1')) {
      expect(page.length).toBeGreaterThan(0)
      break
    }
    await appendOk(store, { 'job-1': 2499 }, event('job-1'))
  })
}

function logTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  /** Six streams of two prefixes, three types, interleaved. */
  async function mixed(): Promise<NewEvent[]> {
    const all = Array.from({ length: 60 }, (_, index) =>
      event(`${index % 3 === 0 ? 'worker' : 'job'}-${index % 6}`, {
        type: ['Queued', 'Leased', 'Finished'][index % 5] ?? 'Failed',
      }),
    )
    const heads = new Map<string, number>()
    const groups = all.map((each) => {
      const head = heads.get(each.stream)
      heads.set(each.stream, (head ?? -1) + 1)
      return group({ [each.stream]: head ?? 'none' }, each)
    })
    await under().store.append(groups)
    return all
  }

  it('an empty log gives no page at all', async () => {
    expect(await collect(under().store.readAll())).toEqual([])
  })

  it('in the order it was written, with every event in its stream', async () => {
    const all = await mixed()
    const read = await collect(under().store.readAll())
    expect(idsOf(read)).toEqual(idsOf(all))
    expect(read.map(({ stream, type }) => [stream, type])).toEqual(all.map(({ stream, type }) => [stream, type]))
  })

  it('after one position and until another: the first is left out, the last is in', async () => {
    const all = await mixed()
    const { store } = under()
    const positions = (await collect(store.readAll())).map(({ position }) => position)
    const between = await collect(store.readAll({ after: positions[9] ?? '', until: positions[19] ?? '' }))
    expect(idsOf(between)).toEqual(idsOf(all.slice(10, 20)))
    expect(await collect(store.readAll({ after: positions[59] ?? '' }))).toEqual([])
    expect(await collect(store.readAll({ until: '' }))).toEqual([])
    expect(await collect(store.readAll({ after: '', until: positions[0] ?? '' }))).toHaveLength(1)
  })

  it.each([
    ['one prefix', { streams: ['job-'] }, (each: NewEvent) => each.stream.startsWith('job-')],
    ['a whole name', { streams: ['worker-3'] }, (each: NewEvent) => each.stream === 'worker-3'],
    ['several prefixes', { streams: ['job-1', 'worker-'] }, (each: NewEvent) => /^job-1|^worker-/.test(each.stream)],
    ['a prefix of nothing', { streams: ['none-'] }, () => false],
    ['no prefix', { streams: [] }, () => false],
    ['one type', { types: ['Leased'] }, (each: NewEvent) => each.type === 'Leased'],
    ['several types', { types: ['Leased', 'Failed'] }, (each: NewEvent) => /Leased|Failed/.test(each.type)],
    ['no type', { types: [] }, () => false],
    [
      'prefix and type',
      { streams: ['job-'], types: ['Queued'] },
      (each: NewEvent) => /^job-/.test(each.stream) && each.type === 'Queued',
    ],
  ])('by %s', async (_, options, wanted) => {
    const all = await mixed()
    expect(idsOf(await collect(under().store.readAll(options)))).toEqual(idsOf(all.filter(wanted)))
  })

  it('at most so many, also of those that a filter lets through', async () => {
    const all = await mixed()
    const { store } = under()
    expect(idsOf(await collect(store.readAll({ limit: 7 })))).toEqual(idsOf(all.slice(0, 7)))
    expect(await collect(store.readAll({ limit: 0 }))).toEqual([])
    const leased = all.filter(({ type }) => type === 'Leased')
    expect(idsOf(await collect(store.readAll({ types: ['Leased'], limit: 5 })))).toEqual(idsOf(leased.slice(0, 5)))
  })

  it('finds a rare event in a long log', async () => {
    const { store } = under()
    const rare = event('job-rare', { type: 'Rare' })
    await appendOk(store, { 'job-1': 'none' }, ...events('job-1', 12_000))
    await appendOk(store, { 'job-rare': 'none' }, rare)
    await appendOk(store, { 'job-1': 11_999 }, ...events('job-1', 12_000))
    expect(idsOf(await collect(store.readAll({ types: ['Rare'] })))).toEqual([rare.id])
    expect(await collect(store.readAll())).toHaveLength(24_001)
  })

  it('lets timers run while a long log is read', async () => {
    const { store } = under()
    await appendOk(store, { 'job-1': 'none' }, ...events('job-1', 5000))
    let turns = 0
    let reading = true
    const count = (): void => {
      turns += 1
      if (reading) setImmediate(count)
    }
    setImmediate(count)
    await collect(store.readAll())
    reading = false
    expect(turns).toBeGreaterThan(2)
  })
}
