import { afterAll, beforeAll, describe } from 'vitest'
import { realServer, removeLog, withRealServer } from '../support/eventstore/logs.js'
import { FakeEventStore } from '../support/eventstore/server.js'
import { engineSuite } from './engine.suite.js'
import { eventstore } from './support.js'

describe('with the fake server', () => {
  let fake: FakeEventStore
  beforeAll(async () => {
    fake = await FakeEventStore.start()
  })
  afterAll(() => fake.stop())
  engineSuite(eventstore(() => fake.url()))
})

// skipped: where there is no server, with the reason as title
describe.skipIf(realServer === undefined)(withRealServer, () => {
  engineSuite(eventstore(() => realServer ?? '', removeLog))
})
