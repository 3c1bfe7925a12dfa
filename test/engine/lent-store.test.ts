/** A ledger on a store that somebody else has opened, and goes on using. */
import { describe, expect, it } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import { type OpenLedgerOptions, openLedger } from '../../adapters/open-ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { rejection } from './support.js'

const double = defineJob({ type: 'double', handle: (n: number) => n * 2 })

/** Of another class than ours: a store is known by what it does. */
function foreignStore(): MemoryEventStore {
  const store = new MemoryEventStore()
  return new Proxy(store, {
    get: (_, name) => {
      const found: unknown = Reflect.get(store, name)
      return typeof found === 'function' ? found.bind(store) : found
    },
    getPrototypeOf: () => null,
  })
}

describe('a store that was lent', () => {
  it('runs jobs, is open when the ledger is closed, and serves the next one', async () => {
    const store = foreignStore()
    const first = await openLedger({ store, jobs: [double] })
    await first.start()
    const job = await first.enqueue(double, 21)
    expect(await job.result()).toBe(42)
    await first.close()
    await store.ping()
    await using second = await openLedger({ store, jobs: [double] })
    expect(await second.result(job.id)).toBe(42)
    expect(await second.queues.stats()).toMatchObject({ default: { succeeded: 1 } })
  })

  it('has its views where the caller keeps them', async () => {
    const store = foreignStore()
    const views = new MemoryViews()
    const ledger = await openLedger({ store, views, jobs: [double] })
    const { id } = await ledger.enqueue(double, 1)
    await ledger.close()
    expect(await views.list({ limit: 10 })).toMatchObject([{ id, type: 'double' }])
  })

  it('is still open when the ledger could not be opened', async () => {
    const store = foreignStore()
    const failing = openLedger({ store, jobs: [double], autoStart: { types: ['other'] } })
    expect(await rejection(failing)).toMatchObject({ code: expect.any(String) })
    await store.ping()
  })

  const store = foreignStore()
  const without = (name: string): object =>
    new Proxy(store, { get: (_, asked) => (asked === name ? 7 : Reflect.get(store, asked)) })
  it.each<[string, object]>([
    ['openLedger.store', { store: null }],
    ['openLedger.store', { store: without('positionAt') }],
    ['openLedger.store.logId', { store: without('logId') }],
    ['openLedger.store.capabilities.atomicGroups', { store: without('capabilities') }],
    ['openLedger.url', { store, url: 'memory:' }],
    ['openLedger.pool', { store, pool: { connect() {}, end() {}, on() {} } }],
    ['openLedger.pool.options.max', { pool: { connect() {}, end() {}, on() {}, options: { max: 3 } } }],
    ['openLedger.durability', { store, durability: 'full' }],
    ['openLedger.views', { views: new MemoryViews() }],
    ['openLedger.views', { store, views: {} }],
  ])('is refused by the option %s', async (option, given) => {
    expect(await rejection(openLedger(given as OpenLedgerOptions))).toMatchObject({ code: 'INVALID_OPTION', option })
  })
})
