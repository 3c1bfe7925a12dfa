import pg from 'pg'
import { describe } from 'vitest'
import { freshSchema } from '../support/postgres.js'
import { missingPrograms, TestServer } from '../support/postgres-server.js'
import { faultsSuite, type Stage } from './faults.suite.js'
import { postgresSchema } from './fleet/ground.js'

const CUT =
  'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename IS NOT NULL'

async function setUp(): Promise<Stage> {
  const server = await TestServer.start()
  const schema = await freshSchema(server)
  return {
    ground: postgresSchema(schema.url),
    stop: (n) => server.stop(n === 0 ? 'fast' : 'immediate'),
    start: () => server.startAgain(),
    async cut() {
      const client = new pg.Client({ connectionString: server.url })
      await client.connect()
      await client.query(CUT)
      await client.end()
    },
    async end() {
      server.end()
    },
  }
}

const missing = missingPrograms()
// skipped: where there is no server to stop and start, with the reason as title
describe.skipIf(missing !== undefined)(missing ?? 'a server of its own', () => faultsSuite('PostgreSQL', setUp))
