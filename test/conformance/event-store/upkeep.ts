import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { EventStore } from '../../../runtime/ports/event-store.js'
import {
  appendOk,
  appendOne,
  body,
  collect,
  event,
  events,
  follow,
  freshStores,
  hex,
  idsOf,
  plainBody,
  type StoreFactory,
} from './harness.js'

export function upkeepTests(factory: StoreFactory): void {
  describe('erase', () => eraseTests(factory))
  describe('remove', () => removeTests(factory))
  describe('truncate', () => truncateTests(factory))
}

const keepsRemoved = ({ capabilities }: EventStore): boolean => capabilities.hidesRemoved === false
const KEEPS_REMOVED = 'the store shows what was taken out until it tidies up'

const never = (): AbortSignal => new AbortController().signal

function eraseTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  it('leaves sha256(salt, content) of text and of bytes, and the facts', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.erase, 'the store cannot erase')
    const written = [body('{"name":"Ä"}'), body(new Uint8Array([0, 1, 255]))]
    await appendOk(store, { 'job-1': 'none' }, ...written.map((each, n) => event('job-1', { body: each, data: { n } })))
    await store.erase([0, 1].map((revision) => ({ stream: 'job-1', revision })))
    const read = await collect(store.readStream('job-1', { bodies: true }))
    for (const [index, { salt, content }] of written.entries()) {
      const hash = createHash('sha256').update(salt).update(content).digest('hex')
      expect(plainBody(read[index])).toEqual({ hash })
      expect(read[index]?.data).toEqual({ n: index })
    }
    expect((await collect(store.readAll({ bodies: true }))).map(plainBody)).toEqual(read.map(plainBody))
  })

  it('touches only what it names, and nothing twice', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.erase, 'the store cannot erase')
    await appendOk(
      store,
      { 'job-1': 'none' },
      event('job-1', { body: body('a') }),
      event('job-1'),
      event('job-1', { body: body('c') }),
    )
    await store.erase([{ stream: 'job-1', revision: 0 }])
    const [first] = await collect(store.readStream('job-1', { bodies: true }))
    await store.erase([
      { stream: 'job-1', revision: 0 },
      { stream: 'job-1', revision: 1 },
      { stream: 'job-1', revision: 77 },
      { stream: 'job-missing', revision: 0 },
    ])
    const read = await collect(store.readStream('job-1', { bodies: true }))
    expect(read.map(plainBody)).toEqual([plainBody(first), undefined, expect.objectContaining({ content: 'c' })])
    expect(read[0]?.body !== undefined && 'hash' in read[0].body && hex(read[0].body.hash)).toHaveLength(64)
    await appendOk(store, { 'job-1': 2 }, event('job-1'))
  })
}

function removeTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  it('takes whole streams out of reads of them', async () => {
    const { store } = under()
    for (const stream of ['job-1', 'job-2', 'job-3']) await appendOk(store, { [stream]: 'none' }, ...events(stream, 3))
    await store.remove(['job-1', 'job-3', 'job-missing'])
    for (const stream of ['job-1', 'job-3']) {
      expect(await collect(store.readStream(stream))).toEqual([])
      expect(await collect(store.readStream(stream, { backwards: true, limit: 1 }))).toEqual([])
      expect(await collect(store.readStream(stream, { from: 0, limit: 1, bodies: true }))).toEqual([])
    }
    expect(await collect(store.readStream('job-2'))).toHaveLength(3)
    await appendOk(store, { 'job-missing': 'none' }, event('job-missing'))
  })

  it('takes whole streams out of the log', async (context) => {
    const { store } = under()
    context.skip(keepsRemoved(store), KEEPS_REMOVED)
    for (const stream of ['job-1', 'job-2', 'job-3']) await appendOk(store, { [stream]: 'none' }, ...events(stream, 3))
    await store.remove(['job-1', 'job-3', 'job-missing'])
    const rest = await collect(store.readAll())
    expect(rest.map(({ stream }) => stream)).toEqual(['job-2', 'job-2', 'job-2'])
    expect(await collect(store.readAll({ streams: ['job-'], bodies: true }))).toHaveLength(3)
    expect(await store.head()).toBe(rest.at(-1)?.position)
  })

  it('burns the name: nothing can be appended to it ever again', async () => {
    const { store, openSecond } = under()
    const gone = events('job-1', 2)
    await appendOk(store, { 'job-1': 'none' }, ...gone)
    await store.remove(['job-1'])
    await store.remove(['job-1'])
    const second = await openSecond?.()
    for (const handle of second === undefined ? [store] : [store, second]) {
      for (const expected of ['none', 0, 1] as const) {
        const outcome = await appendOne(handle, { 'job-1': expected }, event('job-1'))
        expect(outcome).toEqual({ kind: 'conflict', stream: 'job-1', actual: 'removed' })
      }
      expect(await appendOne(handle, { 'job-1': 'none' }, ...gone)).toMatchObject({ actual: 'removed' })
    }
    await second?.close()
  })

  it('never gives a position out again, neither through this handle nor through another', async () => {
    const { store, openSecond } = under()
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    let last = ''
    for (const stream of ['job-2', 'job-3']) {
      const gone = await appendOk(store, { [stream]: 'none' }, ...events(stream, 5))
      expect(gone > last).toBe(true)
      await store.remove([stream])
      last = gone
    }
    const second = (await openSecond?.()) ?? store
    expect((await appendOk(second, { 'job-4': 'none' }, event('job-4'))) > last).toBe(true)
    if (second !== store) await second.close()
  })

  it('subscribers go on over the hole, before, in and after it', async (context) => {
    const { store } = under()
    context.skip(keepsRemoved(store), KEEPS_REMOVED)
    for (const stream of ['job-1', 'job-2', 'job-3']) await appendOk(store, { [stream]: 'none' }, ...events(stream, 3))
    const positions = (await collect(store.readAll())).map(({ position }) => position)
    const live = follow(store.subscribe({ after: positions[8] ?? '', signal: never() }), 1)
    await store.remove(['job-2', 'job-3'])
    const log = await collect(store.readAll())
    for (const [index, after] of ['', ...positions].entries()) {
      const rest = Math.max(0, 3 - index)
      expect(idsOf(await follow(store.subscribe({ after, signal: never() }), rest))).toEqual(idsOf(log).slice(3 - rest))
    }
    const next = event('job-4')
    await appendOk(store, { 'job-4': 'none' }, next)
    expect(idsOf(await live)).toEqual([next.id])
  })

  it('a log of which everything is removed is empty, and goes on', async (context) => {
    const { store } = under()
    context.skip(keepsRemoved(store), KEEPS_REMOVED)
    await appendOk(store, { 'job-1': 'none' }, ...events('job-1', 3))
    await store.remove(['job-1'])
    expect(await store.head()).toBe('')
    expect(await collect(store.readAll())).toEqual([])
    expect(await store.positionAt(Number.MAX_SAFE_INTEGER)).toBe('')
    await appendOk(store, { 'job-2': 'none' }, event('job-2'))
    expect(await collect(store.readAll())).toHaveLength(1)
  })
}

function truncateTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  it('takes out what is before a revision; revisions and positions stay', async () => {
    const { store } = under()
    await appendOk(store, { 'worker-1': 'none' }, ...events('worker-1', 10, { body: body('x') }))
    const before = await collect(store.readAll({ bodies: true }))
    await store.truncate('worker-1', 6)
    // Whoever asks for the first event is given the first that is left.
    const [first] = await collect(store.readStream('worker-1', { from: 0, limit: 1 }))
    expect(first?.revision).toBe(6)
    const after = await collect(store.readStream('worker-1', { bodies: true }))
    expect(after.map(({ revision, position }) => [revision, position])).toEqual(
      before.slice(6).map(({ revision, position }) => [revision, position]),
    )
    expect(idsOf(await collect(store.readStream('worker-1', { backwards: true })))).toEqual(idsOf(after).reverse())
    expect(idsOf(await collect(store.readStream('worker-1', { from: 0, limit: 2 })))).toEqual(idsOf(after).slice(0, 2))
  })

  it('takes it out of the log', async (context) => {
    const { store } = under()
    context.skip(keepsRemoved(store), KEEPS_REMOVED)
    await appendOk(store, { 'worker-1': 'none' }, ...events('worker-1', 10))
    await store.truncate('worker-1', 6)
    const after = await collect(store.readStream('worker-1'))
    expect(idsOf(await collect(store.readAll()))).toEqual(idsOf(after))
    expect((await collect(store.readAll())).every(({ stream }) => stream === 'worker-1')).toBe(true)
  })

  it('the stream goes on where it was', async () => {
    const { store } = under()
    await appendOk(store, { 'worker-1': 'none' }, ...events('worker-1', 10))
    await store.truncate('worker-1', 9)
    await appendOk(store, { 'worker-1': 9 }, event('worker-1'))
    expect(await appendOne(store, { 'worker-1': 'none' }, event('worker-1'))).toMatchObject({
      kind: 'conflict',
      actual: 10,
    })
    await store.truncate('worker-1', 10)
    expect((await collect(store.readStream('worker-1'))).map(({ revision }) => revision)).toEqual([10])
  })

  it('the last event always stays', async () => {
    const { store } = under()
    await appendOk(store, { 'worker-1': 'none' }, ...events('worker-1', 3))
    await store.truncate('worker-1', 99)
    expect((await collect(store.readStream('worker-1'))).map(({ revision }) => revision)).toEqual([2])
    await appendOk(store, { 'worker-2': 'none' }, event('worker-2'))
    await store.truncate('worker-2', 5)
    expect(await collect(store.readStream('worker-2'))).toHaveLength(1)
  })

  it('nothing before revision 0, nothing of a stream that is missing or removed', async () => {
    const { store } = under()
    await appendOk(store, { 'worker-1': 'none' }, ...events('worker-1', 2))
    await store.truncate('worker-1', 0)
    await store.truncate('worker-missing', 5)
    expect(await collect(store.readAll())).toHaveLength(2)
    await store.remove(['worker-1'])
    await store.truncate('worker-1', 1)
    expect(await appendOne(store, { 'worker-1': 1 }, event('worker-1'))).toMatchObject({ actual: 'removed' })
  })

  it('a truncated stream can be removed', async () => {
    const { store } = under()
    await appendOk(store, { 'worker-1': 'none' }, ...events('worker-1', 4))
    await store.truncate('worker-1', 2)
    await store.remove(['worker-1'])
    expect(await collect(store.readStream('worker-1'))).toEqual([])
    expect(await appendOne(store, { 'worker-1': 'none' }, event('worker-1'))).toMatchObject({ actual: 'removed' })
  })
}
