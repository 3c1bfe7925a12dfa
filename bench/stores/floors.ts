/** What a server does with the same records and its bare client: nothing is decided, folded, read or run. */
import type { Client } from 'pg'
import { List } from '../../adapters/postgres/lists.js'
import type { Task } from '../task.js'
import { onPostgres, schemaOf } from './postgres.js'

type PostgresArgs = {
  /** A ledger that the engine has written. */
  readonly url: string
  /** SQL condition of the rows that are there before the clock starts, and of those that are timed. */
  readonly given: string
  readonly timed: string
  readonly rowsPerJob: number
  /** Jobs of a commit. */
  readonly group: number
}
type Rate = { readonly jobsPerSecond: number }

const COLUMNS = {
  at: 'bigint',
  revision: 'integer',
  stream: 'text',
  type: 'text',
  id: 'text',
  data: 'text',
  metadata: 'text',
  seal: 'bytea',
  body: 'text',
  bytes: 'bytea',
} as const
const NAMES = Object.keys(COLUMNS).join(', ')

/** The rows go into a table of the same columns and indexes, one statement a commit. */
export const postgresFloor: Task<PostgresArgs, Rate> = {
  name: 'postgres-floor',
  work: ({ url, given, timed, rowsPerJob, group }) =>
    onPostgres(url, async (client) => {
      const events = `${schemaOf(url)}.events`
      const floor = `${schemaOf(url)}.floor`
      await client.query(`DROP TABLE IF EXISTS ${floor}; CREATE TABLE ${floor} (LIKE ${events} INCLUDING ALL)`)
      await client.query(`INSERT INTO ${floor} SELECT * FROM ${events} WHERE ${given}`)
      const commits = await commitsOf(client, `FROM ${events} WHERE ${timed} ORDER BY position`, group * rowsPerJob)
      const began = performance.now()
      for (const [index, lists] of commits.entries()) {
        const arrays = lists.map((list, place) => list.expression(place + 2)).join(', ')
        const sql = `INSERT INTO ${floor} (position, ${NAMES})
          SELECT $1::bigint + n, ${NAMES} FROM unnest(${arrays}) WITH ORDINALITY e(${NAMES}, n)`
        await client.query(sql, [(index + 1) * 1_000_000_000, ...lists.map(({ value }) => value)])
      }
      const seconds = (performance.now() - began) / 1_000
      const rows = commits.reduce((sum, [first]) => sum + (first?.length ?? 0), 0)
      return { jobsPerSecond: rows / rowsPerJob / seconds }
    }),
}

async function commitsOf(client: Client, from: string, size: number): Promise<List[][]> {
  const sql = `SELECT ${Object.keys(COLUMNS).map((name) => `${name}::text`)} ${from}`
  const { rows } = await client.query<(string | null)[]>({ text: sql, rowMode: 'array' })
  const types = Object.values(COLUMNS)
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, index) => {
    const mine = rows.slice(index * size, (index + 1) * size)
    return types.map(
      (type, column) =>
        new List(
          type,
          mine.map((row) => row[column] ?? null),
        ),
    )
  })
}

type EventStoreArgs = { readonly url: string; readonly appends: number; readonly atOnce: number }

const DATA = { token: 'x'.repeat(36), workerId: 'x'.repeat(36), run: 1, attempt: 1, expiresAt: 1_800_000_000_000 }

/** Appends of one event, each to a stream of its own, so many at once. */
export const eventStoreFloor: Task<EventStoreArgs, { readonly appendsPerSecond: number }> = {
  name: 'eventstore-floor',
  async work({ url, appends, atOnce }) {
    const { EventStoreDBClient, NO_STREAM, jsonEvent } = await import('@eventstore/db-client')
    const { searchParams } = new URL(url)
    const prefix = searchParams.get('prefix') ?? ''
    const client = EventStoreDBClient.connectionString(url.replace(/[?&](prefix|views)=[^&]*/g, ''))
    let next = 0
    const write = async (): Promise<void> => {
      for (let index = next++; index < appends; index = next++) {
        const event = jsonEvent({ type: 'Leased', data: DATA })
        await client.appendToStream(`${prefix}.floor-${index}`, event, { expectedRevision: NO_STREAM })
      }
    }
    const began = performance.now()
    await Promise.all(Array.from({ length: atOnce }, write))
    const seconds = (performance.now() - began) / 1_000
    await client.dispose()
    return { appendsPerSecond: appends / seconds }
  },
}
