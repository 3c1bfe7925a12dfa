import { expect, it } from 'vitest'
import { openEventStore } from '../../adapters/eventstore/event-store.js'
import { appendOk, collect, event } from '../conformance/event-store/harness.js'
import { freshLog } from '../support/eventstore/logs.js'
import { FakeEventStore } from '../support/eventstore/server.js'

it('a removal that the server was too busy for is tried again', async () => {
  const fake = await FakeEventStore.start()
  const store = await openEventStore(freshLog(fake.url()))
  const streams = Array.from({ length: 40 }, (_, index) => `job-${index}`)
  for (const stream of streams) await appendOk(store, { [stream]: 'none' }, event(stream))
  fake.faults.busy = 4
  await store.remove(streams)
  for (const stream of streams) expect(await collect(store.readStream(stream))).toEqual([])
  await store.close()
  await fake.stop()
})
