import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { eventStoreSuite, type StoreUnderTest } from '../conformance/event-store.suite.js'

function under(store: MemoryEventStore): StoreUnderTest {
  return { store, dispose: () => store.close() }
}

eventStoreSuite('the memory store', async () => under(new MemoryEventStore()))
eventStoreSuite('the memory store without atomic groups', async () =>
  under(new MemoryEventStore({ atomicGroups: false })),
)
