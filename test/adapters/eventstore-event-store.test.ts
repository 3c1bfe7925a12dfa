import { describe } from 'vitest'
import { openEventStore } from '../../adapters/eventstore/event-store.js'
import { eventStoreSuite, type StoreUnderTest } from '../conformance/event-store.suite.js'
import { freshLog, realServer, removeLog, withRealServer } from '../support/eventstore/logs.js'
import { FakeEventStore } from '../support/eventstore/server.js'

/** Each test has a log of its own, by its prefix. */
async function openUnderTest(server: string, dispose: (url: string) => Promise<void>): Promise<StoreUnderTest> {
  const url = freshLog(server)
  const store = await openEventStore(url)
  return { store, openSecond: () => openEventStore(url), dispose: () => store.close().then(() => dispose(url)) }
}

describe('with the fake server', () => {
  eventStoreSuite('the EventStoreDB store', async () => {
    const fake = await FakeEventStore.start()
    return openUnderTest(fake.url(), () => fake.stop())
  })
})

// skipped: where there is no server, with the reason as title
describe.skipIf(realServer === undefined)(withRealServer, () => {
  eventStoreSuite('the EventStoreDB store', () => openUnderTest(realServer ?? '', removeLog))
})
