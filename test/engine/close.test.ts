import { expect, test } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import { systemClock } from '../../adapters/node/clock.js'
import type { Clock } from '../../runtime/ports/clock.js'
import { defineJob } from '../../runtime/work/definition.js'
import { ledgerOn } from './support.js'

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
