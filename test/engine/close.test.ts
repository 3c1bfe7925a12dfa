import { expect, test } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import { systemClock } from '../../adapters/node/clock.js'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import type { Clock } from '../../runtime/ports/clock.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { keptOpen, ledgerOn, never, typesOf } from './support.js'

/** The real clock, and how many of its timers are still set. */
function countingClock(): { readonly clock: Clock; readonly set: () => number } {
  const timers = new Set<object>()
  const clock: Clock = {
    ...systemClock,
    at(instant, call) {
      const timer = {}
      timers.add(timer)
      const cancel = systemClock.at(instant, () => {
        timers.delete(timer)
        call()
      })
      return () => {
        timers.delete(timer)
        cancel()
      }
    },
  }
  return { clock, set: () => timers.size }
}

test('a closed ledger leaves no timer behind, whatever was still to come', async () => {
  const { clock, set } = countingClock()
  const job = defineJob({ type: 'later', handle: () => {} })
  const ledger = await ledgerOn(new MemoryEventStore(), new MemoryViews(), clock, { jobs: [job] })
  await ledger.start()
  await ledger.enqueue(job, null, { delay: '1d' })
  await ledger.enqueue(job, null)
  const worker = await ledger.workers.register()
  const waiting = ledger.lease({ workerId: worker, types: 'none', timeout: '1h' })
  await Promise.all([expect(waiting).rejects.toMatchObject({ code: 'LEDGER_CLOSED' }), ledger.close()])
  // What the last flush set off.
  await new Promise((resolve) => setImmediate(resolve))
  expect(set()).toBe(0)
})

test('closes in time also while a worker that was replaced still has a run that never ends', async () => {
  const clock = new VirtualClock()
  const store = keptOpen(new MemoryEventStore())
  const hang = defineJob({ type: 'hang', handle: never })
  const ledger = await ledgerOn(store, new MemoryViews(), clock, { jobs: [hang] })
  await ledger.start()
  await ledger.enqueue(hang, null, { id: 'stuck' })
  await ledger.register(defineJob({ type: 'later', handle: () => {} }))
  await Promise.all([ledger.close({ drain: '1s', timeout: '2s' }), clock.advance('5s')])
  const after = await ledgerOn(store, new MemoryViews(), clock)
  expect(await typesOf(after, 'stuck')).toEqual(['Queued', 'Leased', 'Released'])
  await after.close()
})
