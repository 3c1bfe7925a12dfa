import { randomBytes } from 'node:crypto'
import { describe } from 'vitest'
import { openEventStore } from '../../adapters/eventstore/event-store.js'
import type { EventStore } from '../../runtime/ports/event-store.js'
import { eventStoreSuite, type StoreUnderTest } from '../conformance/event-store.suite.js'
import { FakeEventStore } from '../support/eventstore/server.js'

/** Each test has a log of its own, by its prefix. */
async function openUnderTest(server: string): Promise<StoreUnderTest> {
  const url = `${server}${server.includes('?') ? '&' : '?'}prefix=test_${randomBytes(6).toString('hex')}`
  const store = await openEventStore(url)
  return { store, openSecond: () => openEventStore(url), dispose: () => removeAll(store, url) }
}

/** Takes out what the test has written: a scavenge then leaves nothing but the tombstones. */
async function removeAll(store: EventStore, url: string): Promise<void> {
  await store.close()
  if (!isReal) return
  const tidy = await openEventStore(url)
  const streams = new Set<string>()
  for await (const page of tidy.readAll()) for (const { stream } of page) streams.add(stream)
  await tidy.remove([...streams, 'jobledger-log'])
  await tidy.close()
}

const real = process.env.JOBLEDGER_TEST_ESDB_URL
const isReal = real !== undefined

describe('with the fake server', () => {
  eventStoreSuite('the EventStoreDB store', async () => {
    const fake = await FakeEventStore.start()
    const { dispose, ...under } = await openUnderTest(fake.url())
    return { ...under, dispose: () => dispose().then(() => fake.stop()) }
  })
})

// skipped: where there is no server, with the reason as title
describe.skipIf(!isReal)(isReal ? 'with a real server' : 'needs a server: set JOBLEDGER_TEST_ESDB_URL', () => {
  eventStoreSuite('the EventStoreDB store', () => openUnderTest(real ?? ''))
})
