/** A store that can be written but not read for a while, when a run is about to begin. */
import { expect, it } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import { type EventStore, StoreUnavailable } from '../../runtime/ports/event-store.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { collect } from '../conformance/event-store/harness.js'
import { keptOpen, type LogLine, ledgerOn, listeningLogger } from './support.js'

const once = defineJob({ type: 'once', maxAttempts: 1, handle: (n: number) => n + 1 })

/** A job of one attempt, leased by a ledger that cannot read its payload: `fails` times, for all of its store's life. */
async function scene(fails: number) {
  const clock = new VirtualClock()
  const lines: LogLine[] = []
  const memory = new MemoryEventStore()
  let left = fails
  const store: EventStore = new Proxy(keptOpen(memory), {
    get(target, key) {
      if (key !== 'readStream') return Reflect.get(target, key)
      return (...[stream, options]: Parameters<EventStore['readStream']>) => {
        if (options?.bodies !== true || left === 0) return memory.readStream(stream, options)
        left -= 1
        return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new StoreUnavailable('away')) }) }
      }
    },
  })
  const enqueuer = await ledgerOn(keptOpen(memory), new MemoryViews(), clock)
  const { id } = await enqueuer.enqueue(once, 1)
  await enqueuer.close()
  const ledger = await ledgerOn(store, new MemoryViews(), clock, { jobs: [once], logger: listeningLogger(lines) })
  await ledger.start()
  const types = async (): Promise<string[]> => (await collect(memory.readStream(`job-${id}`))).map(({ type }) => type)
  return { clock, ledger, id, types, said: () => lines.map(({ message }) => message) }
}

it('spends no attempt: the payload is read later, under the same lease', async () => {
  const { clock, ledger, id, types, said } = await scene(3)
  await clock.advance('2s')
  expect(await ledger.result(id)).toBe(2)
  expect(await types()).toEqual(['Queued', 'Leased', 'Finished'])
  expect(said()).toEqual(['payload not read', 'payload not read', 'payload not read'])
  await ledger.close()
})

it('is waited for until the ledger closes: the lease is given back', async () => {
  const { clock, ledger, types } = await scene(Number.POSITIVE_INFINITY)
  await clock.advance('1s')
  const closing = ledger.close({ drain: 0 })
  await clock.advance('1s')
  await closing
  expect(await types()).toEqual(['Queued', 'Leased', 'Released'])
})
