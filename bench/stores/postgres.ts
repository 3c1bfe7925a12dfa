/** A connection of the bench's own. pg is loaded when it is wanted: other cases measure memory, too. */
import type { Client } from 'pg'

/** With a connection for as long as `work` takes. */
export async function onPostgres<Result>(url: string, work: (client: Client) => Promise<Result>): Promise<Result> {
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** The schema of a ledger of ours. */
export const schemaOf = (url: string): string => new URL(url).searchParams.get('schema') ?? ''
