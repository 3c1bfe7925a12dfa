import pg from 'pg'
import { describe } from 'vitest'
import { openPostgresStore } from '../../adapters/postgres/event-store.js'
import { eventStoreSuite, type StoreUnderTest } from '../conformance/event-store.suite.js'
import { freshSchema, missingPostgres } from '../support/postgres.js'
import { ownPostgresTable } from './postgres-own-table.js'

async function openUnderTest(): Promise<StoreUnderTest> {
  const schema = await freshSchema()
  const { url } = schema
  const store = await openPostgresStore(url)
  return {
    store,
    openSecond: () => openPostgresStore(url),
    ownTransaction: async (end, work) => {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      await client.query('BEGIN')
      await work(client)
      await client.query(end)
      await client.end()
    },
    ownTable: ownPostgresTable(schema),
    dispose: async () => {
      await store.close()
      await schema.drop()
    },
  }
}

const missing = missingPostgres()
// skipped: where there is no server, with the reason as title
describe.skipIf(missing !== undefined)(missing ?? 'with a server', () => {
  eventStoreSuite('the PostgreSQL store', openUnderTest)
})
