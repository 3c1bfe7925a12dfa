import { join } from 'node:path'
import { temporaryFolder } from '../adapters/temporary-folder.js'
import { FakeEventStore } from '../support/eventstore/server.js'
import { faultsSuite, type Stage } from './faults.suite.js'
import { eventStoreServer } from './fleet/ground.js'

async function setUp(): Promise<Stage> {
  const fake = await FakeEventStore.start()
  const folder = await temporaryFolder()
  const views = encodeURIComponent(join(folder.path, 'views.db'))
  return {
    ground: eventStoreServer(fake.url(`views=${views}`)),
    stop: () => fake.kill(),
    start: () => fake.restart(),
    async cut() {
      fake.wire.cut()
    },
    async end() {
      await fake.stop()
      await folder.remove()
    },
  }
}

faultsSuite('EventStoreDB', setUp)
