/**
 * A PostgreSQL for tests: the one at JOBLEDGER_TEST_POSTGRES_URL, else one of our own for this process, made with the
 * programs found on this machine. It is started when first asked for and ends with the process.
 */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { missingPrograms, TestServer } from './postgres-server.js'

/** Why there is no server, or undefined. */
export function missingPostgres(): string | undefined {
  const missing = missingPrograms()
  if (process.env.JOBLEDGER_TEST_POSTGRES_URL !== undefined || missing === undefined) return undefined
  return `PostgreSQL ${missing}; or set JOBLEDGER_TEST_POSTGRES_URL`
}

let server: Promise<{ readonly url: string }> | undefined

/** `url`: of a database of the server in which others can be made. */
function postgresServer(): Promise<{ readonly url: string }> {
  const url = process.env.JOBLEDGER_TEST_POSTGRES_URL
  server ??= url === undefined ? TestServer.start() : Promise.resolve({ url })
  return server
}

export interface TestSchema {
  readonly name: string
  /** Of a log in this schema. */
  readonly url: string
  drop(): Promise<void>
}

/** A schema that nobody else uses; the log makes it. Much faster than a database of its own. `on`: default, the one server. */
export async function freshSchema(on?: { readonly url: string }): Promise<TestSchema> {
  const { url } = on ?? (await postgresServer())
  const name = `jobledger_test_${randomBytes(6).toString('hex')}`
  const own = new URL(url)
  own.searchParams.set('schema', name)
  return { name, url: own.href, drop: () => onServer(url, `DROP SCHEMA IF EXISTS ${name} CASCADE`) }
}

async function onServer(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
