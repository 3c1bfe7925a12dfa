import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { RecordedEvent } from '../../../domain/event.js'
import type { Batch, EventStore } from '../../../runtime/ports/event-store.js'
import { appendOk, body, collect, event, events, follow, freshStores, idsOf, type StoreFactory } from './harness.js'

export function subscriptionTests(factory: StoreFactory): void {
  describe('to what is there and what comes', () => deliveryTests(factory))
  describe('beside other writers', () => rivalTests(factory))
  describe('until it ends', () => endTests(factory))
}

const never = (): AbortSignal => new AbortController().signal

/** Appends single events to a stream of its own until it is told to stop. */
async function writeOn(store: EventStore, stream: string, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    await appendOk(store, { [stream]: index === 0 ? 'none' : index - 1 }, event(stream, { data: { index } }))
    if (index % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
}

function expectWholeAndOrdered(seen: readonly RecordedEvent[], log: readonly RecordedEvent[]): void {
  expect(seen.map(({ position }) => position)).toEqual(log.map(({ position }) => position))
  expect(idsOf(seen)).toEqual(idsOf(log))
}

function deliveryTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  it('an empty log is caught up at once', async () => {
    const [first] = await take(under().store.subscribe({ signal: never() }), 1)
    expect(first).toEqual({ kind: 'caughtUp', position: '' })
  })

  it('from the start: all there is in pages, then caught up at the last position', async () => {
    const { store } = under()
    await appendOk(store, { 'job-1': 'none' }, ...events('job-1', 2500))
    const seen: RecordedEvent[] = []
    for await (const batch of store.subscribe({ signal: never() })) {
      if (batch.kind === 'caughtUp') {
        expect(batch.position).toBe(await store.head())
        break
      }
      expect(batch.position).toBe(batch.events.at(-1)?.position)
      seen.push(...batch.events)
    }
    expectWholeAndOrdered(seen, await collect(store.readAll()))
  })

  it('goes on from any position', async () => {
    const { store } = under()
    await appendOk(store, { 'job-1': 'none' }, ...events('job-1', 20))
    const log = await collect(store.readAll())
    for (const start of [0, 1, 9, 18, 19]) {
      const after = log[start]?.position ?? ''
      const seen = await follow(store.subscribe({ after, signal: never() }), 19 - start)
      expectWholeAndOrdered(seen, log.slice(start + 1))
    }
  })

  it('then live: what is appended comes, and the end is told each time', async () => {
    const { store } = under()
    const batches = store.subscribe({ signal: never() })[Symbol.asyncIterator]()
    expect((await batches.next()).value).toMatchObject({ kind: 'caughtUp' })
    for (const stream of ['job-1', 'job-2', 'job-3']) {
      const coming = batches.next()
      const written = event(stream, { data: { n: 1 }, metadata: { actor: 'me' } })
      const position = await appendOk(store, { [stream]: 'none' }, written)
      const batch = (await coming).value
      expect(batch).toMatchObject({ kind: 'events', position })
      expect(batch.events).toEqual([{ ...written, revision: 0, position, body: undefined }])
      expect((await batches.next()).value).toEqual({ kind: 'caughtUp', position })
    }
    await batches.return?.()
  })

  it('a live event has the same shape as one that is read', async () => {
    const { store } = under()
    const batches = store.subscribe({ signal: never() })[Symbol.asyncIterator]()
    await batches.next()
    await appendOk(store, { 'job-1': 'none' }, event('job-1', { metadata: {} }), event('job-1', { body: body('x') }))
    const live = (await batches.next()).value.events
    const read = await collect(store.readAll())
    for (const [index, recorded] of read.entries()) {
      expect({ ...live[index], body: undefined }).toStrictEqual({ ...recorded, body: undefined })
      expect(Object.keys(live[index])).toEqual(Object.keys(recorded))
    }
    await batches.return?.()
  })

  it('an own commit is there no later than the answer to the append', async (context) => {
    const { store } = under()
    context.skip(store.capabilities.durable && !store.capabilities.transactions, 'the store is not in this process')
    const batches = store.subscribe({ signal: never() })[Symbol.asyncIterator]()
    await batches.next()
    const order: string[] = []
    const coming = batches.next().then(() => order.push('event'))
    await appendOk(store, { 'job-1': 'none' }, event('job-1')).then(() => order.push('append'))
    await coming
    expect(order[0]).toBe('event')
    await batches.return?.()
  })

  it('from catching up to live under steady writing there is neither gap nor double', async () => {
    const { store } = under()
    await appendOk(store, { 'job-0': 'none' }, ...events('job-0', 3000))
    const writing = Promise.all([writeOn(store, 'job-1', 150), writeOn(store, 'job-2', 150)])
    const seen = await follow(store.subscribe({ signal: never() }), 3300)
    await writing
    expectWholeAndOrdered(seen, await collect(store.readAll()))
  })

  it('several subscribers, each at its own pace and place, all get everything', async () => {
    const { store } = under()
    await appendOk(store, { 'job-0': 'none' }, ...events('job-0', 50))
    const middle = (await collect(store.readAll()))[24]?.position ?? ''
    const first = follow(store.subscribe({ signal: never() }), 150)
    const second = follow(store.subscribe({ after: middle, signal: never() }), 125)
    await writeOn(store, 'job-1', 60)
    const third = follow(store.subscribe({ after: await store.head(), signal: never() }), 40)
    await writeOn(store, 'job-2', 40)
    const log = await collect(store.readAll())
    expectWholeAndOrdered(await first, log)
    expectWholeAndOrdered(await second, log.slice(25))
    expectWholeAndOrdered(await third, log.slice(110))
  })

  it('a subscriber that is slow loses nothing, however much piles up', async () => {
    const { store } = under()
    const batches = store.subscribe({ signal: never() })[Symbol.asyncIterator]()
    await batches.next()
    for (let index = 0; index < 15; index += 1)
      await appendOk(store, { [`job-${index}`]: 'none' }, ...events(`job-${index}`, 1000))
    const seen: RecordedEvent[] = []
    while (seen.length < 15_000) {
      const batch = (await batches.next()).value
      if (batch.kind === 'events') seen.push(...batch.events)
    }
    await batches.return?.()
    expectWholeAndOrdered(seen, await collect(store.readAll()))
  })
}

function rivalTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  it('what a second handle writes comes too, within two seconds', async (context) => {
    const { store, openSecond } = under()
    if (openSecond === undefined) return context.skip('the store has one handle only')
    const second = await openSecond()
    const batches = store.subscribe({ signal: never() })[Symbol.asyncIterator]()
    await batches.next()
    const coming = batches.next()
    const started = performance.now()
    const position = await appendOk(second, { 'job-1': 'none' }, event('job-1'))
    expect((await coming).value).toMatchObject({ kind: 'events', position })
    expect(performance.now() - started).toBeLessThan(2000)
    await batches.return?.()
    await second.close()
  })

  it('two handles that write at once: both subscribers get one and the same log', async (context) => {
    const { store, openSecond } = under()
    if (openSecond === undefined) return context.skip('the store has one handle only')
    const second = await openSecond()
    await appendOk(store, { 'job-0': 'none' }, ...events('job-0', 1500))
    const here = follow(store.subscribe({ signal: never() }), 2100)
    const there = follow(second.subscribe({ signal: never() }), 2100)
    await Promise.all([writeOn(store, 'job-1', 200), writeOn(second, 'job-2', 200), writeOn(store, 'job-3', 200)])
    const log = await collect(second.readAll())
    expectWholeAndOrdered(await here, log)
    expectWholeAndOrdered(await there, log)
    await second.close()
  })
}

function endTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  it('an abort ends it, also while it waits', async () => {
    const { store } = under()
    const abort = new AbortController()
    const batches = store.subscribe({ signal: abort.signal })[Symbol.asyncIterator]()
    await batches.next()
    const coming = batches.next()
    abort.abort()
    expect(await coming).toMatchObject({ done: true })
    expect(await batches.next()).toMatchObject({ done: true })
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
  })

  it('a signal that was aborted before ends it at once', async () => {
    expect(await take(under().store.subscribe({ signal: AbortSignal.abort() }), 1)).toEqual([])
  })

  it('closing the store ends it, also while it waits', async () => {
    const { store } = under()
    const waiting = follow(store.subscribe({ signal: never() }), 99)
    await pause(5)
    await store.close()
    expect(await waiting).toEqual([])
  })

  it('who stops listening is forgotten', async () => {
    const { store } = under()
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    for (let round = 0; round < 20; round += 1) {
      expect(await follow(store.subscribe({ signal: never() }), 1)).toHaveLength(1)
    }
    await appendOk(store, { 'job-1': 0 }, event('job-1'))
  })
}

async function take(batches: AsyncIterable<Batch>, count: number): Promise<Batch[]> {
  const taken: Batch[] = []
  for await (const batch of batches) {
    taken.push(batch)
    if (taken.length >= count) break
  }
  return taken
}
