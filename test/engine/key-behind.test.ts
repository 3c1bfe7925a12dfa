/** A ledger that wants to run a job of a key and has not yet read that another one has taken the last place. */
import { expect, test } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import type { Batch, EventStore } from '../../runtime/ports/event-store.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { gate, keptOpen, ledgerOn, typesOf } from './support.js'

/** The same store to somebody who is not told of leases until `open` settles. Counts the looks at streams of keys. */
function behind(inner: EventStore, open: Promise<void>): { readonly store: EventStore; readonly looks: () => number } {
  let looks = 0
  async function* late(batches: AsyncIterable<Batch>): AsyncIterable<Batch> {
    for await (const batch of batches) {
      if (batch.kind === 'events' && batch.events.some(({ type }) => type === 'Leased')) await open
      yield batch
    }
  }
  const store = new Proxy(inner, {
    get(target, key) {
      if (key === 'subscribe')
        return (options: Parameters<EventStore['subscribe']>[0]) => late(target.subscribe(options))
      const value: unknown = Reflect.get(target, key, target)
      if (typeof value !== 'function') return value
      return (...args: readonly unknown[]) => {
        if (key === 'readStream' && String(args[0]).startsWith('limit-')) looks += 1
        return value.apply(target, args)
      }
    },
  })
  return { store, looks: () => looks }
}

test('is refused, asks no more until it has, and runs the job as soon as there is room', async () => {
  const inner = keptOpen(new MemoryEventStore())
  const clock = new VirtualClock()
  const seen = gate()
  const { store, looks } = behind(inner, seen.promise)
  const work = defineJob({ type: 'work', concurrencyKey: 'k', handle: () => 'done' })
  const remote = defineJob<null, unknown>({ type: 'remote', concurrencyKey: 'k' })
  const worker = await ledgerOn(store, new MemoryViews(), clock, { jobs: [work] })
  const other = await ledgerOn(inner, new MemoryViews(), clock)
  await worker.start()
  const { id } = await other.enqueue(work, null, { delay: '1s' })
  const first = await other.enqueue(remote, null)
  const lease = await other.leaseById(first.id, await other.workers.register())
  await clock.advance('2s')
  expect(await typesOf(other, id)).toEqual(['Queued'])
  const tried = looks()
  expect(tried).toBeGreaterThan(0)
  await other.heartbeat(lease.token)
  await clock.advance('2s')
  expect(looks()).toBe(tried)
  seen.open()
  await clock.advance('2s')
  expect(looks()).toBe(tried)
  await other.finish(lease.token)
  await clock.settle()
  expect(await typesOf(other, id)).toEqual(['Queued', 'Leased', 'Finished'])
  const closing = Promise.all([worker, other].map((ledger) => ledger.close({ drain: 0, timeout: 0 })))
  await clock.advance('1m')
  await closing
})
