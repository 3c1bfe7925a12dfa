import { expect, it } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import type { AppendGroup, EventStore } from '../../runtime/ports/event-store.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { appendOk, event } from '../conformance/event-store/harness.js'
import { keptOpen, leaseElsewhere, ledgerOn, typesOf } from './support.js'

const hang = defineJob<null, unknown>({ type: 'hang' })
const other = defineJob({ type: 'other', handle: () => 1 })
const losesLease = ({ events }: AppendGroup): boolean =>
  events.some(({ type, data }) => type === 'Failed' && (data as { cause?: string }).cause === 'lease-lost')

it('a lease that is extended in the moment in which it is taken back stays with its worker', async () => {
  const clock = new VirtualClock()
  const memory = new MemoryEventStore()
  let beats = 0
  const store: EventStore = new Proxy(keptOpen(memory), {
    get(target, key) {
      if (key !== 'append') return Reflect.get(target, key)
      return async (groups: AppendGroup[]) => {
        if (groups.some(losesLease)) {
          beats += 1
          const data = { token: 'theirs', expiresAt: clock.now() + 60_000 }
          await appendOk(memory, { 'job-1': beats }, event('job-1', { type: 'Heartbeat', at: clock.now(), data }))
        }
        return memory.append(groups)
      }
    },
  })
  await using ledger = await ledgerOn(store, new MemoryViews(), clock, { jobs: [other] })
  await ledger.start()
  await ledger.enqueue(hang, null, { id: '1' })
  await leaseElsewhere(memory, clock, '1', { token: 'theirs', expiresAt: clock.now() + 1_000 })
  await clock.advance('20s')
  expect(await typesOf(ledger, '1')).toEqual(['Queued', 'Leased', 'Heartbeat'])
  expect(beats).toBe(1)
})
