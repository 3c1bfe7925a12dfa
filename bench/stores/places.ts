/** Servers on which ledgers are measured. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { missingPrograms, TestServer } from '../../test/support/postgres-server.js'
import { onPostgres } from './postgres.js'

/** Where ledgers can be made that nobody else uses. */
export interface Place {
  /** What server it is, for the first line. */
  readonly about: string
  /** URL of a new and empty ledger. */
  fresh(): string
  /** Nothing of it is left behind, where the server can. */
  close(): Promise<void>
}

/** A place, or why there is none. */
type Found = Place | { readonly missing: string }

interface Folders {
  /** On the disk that is measured; whoever the server runs as can get there. */
  readonly disk: string
  /** Goes with the bench. */
  readonly files: string
}

export const find = (store: string, { disk, files }: Folders): Promise<Found> =>
  store === 'postgres' ? findPostgres(disk) : findEventStore(files)

/** Nothing weaker than what a server has out of the box: fsync and synchronous_commit are on. */
const SETTINGS = ['max_connections=100']

async function findPostgres(dir: string): Promise<Found> {
  const given = process.env.JOBLEDGER_BENCH_POSTGRES_URL
  const missing = missingPrograms()
  if (given !== undefined) return postgresAt(given, () => {})
  if (missing !== undefined) return { missing: `${missing}; or set JOBLEDGER_BENCH_POSTGRES_URL` }
  const server = await TestServer.start(SETTINGS, dir)
  return postgresAt(server.url, () => server.end())
}

async function postgresAt(url: string, end: () => void): Promise<Place> {
  const schemas: string[] = []
  const show = (setting: string): Promise<string> => oneOf(url, `SELECT current_setting('${setting}')`)
  const [version, fsync, commit] = [await show('server_version'), await show('fsync'), await show('synchronous_commit')]
  return {
    about: `PostgreSQL ${version} · fsync ${fsync} · synchronous_commit ${commit}`,
    fresh: () => {
      const schema = `jobledger_bench_${randomBytes(6).toString('hex')}`
      schemas.push(schema)
      const own = new URL(url)
      own.searchParams.set('schema', schema)
      return own.href
    },
    close: async () => {
      await onPostgres(url, async (client) => {
        for (const schema of schemas) await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
      })
      end()
    },
  }
}

async function oneOf(url: string, sql: string): Promise<string> {
  return onPostgres(url, async (client) => {
    const { rows } = await client.query<string[]>({ text: sql, rowMode: 'array' })
    return rows[0]?.[0] ?? ''
  })
}

/** Of streams that are not wanted any more this store keeps the records until it is scavenged. */
async function findEventStore(dir: string): Promise<Found> {
  const given = process.env.JOBLEDGER_BENCH_ESDB_URL
  if (given === undefined) return { missing: 'needs a server: set JOBLEDGER_BENCH_ESDB_URL' }
  return {
    about: 'EventStoreDB at JOBLEDGER_BENCH_ESDB_URL',
    fresh: () => {
      const prefix = `bench${randomBytes(6).toString('hex')}`
      const separator = given.includes('?') ? '&' : '?'
      return `${given}${separator}prefix=${prefix}&views=${encodeURIComponent(join(dir, `${prefix}-views.db`))}`
    },
    close: async () => {},
  }
}
