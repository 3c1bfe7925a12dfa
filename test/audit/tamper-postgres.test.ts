/** What somebody changes with SQL in the tables of a server is found as it is in a file; see tamper.test.ts for all of it. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openLedger } from '../../adapters/open-ledger.js'
import { freshSchema, missingPostgres, type TestSchema } from '../support/postgres.js'
import { OWN, twoCheckpointsAt } from './world.js'

const missing = missingPostgres()

// skipped: where there is no server, with the reason as title
describe.skipIf(missing !== undefined)(missing ?? 'on PostgreSQL', () => {
  let schema: TestSchema
  let held: readonly string[]
  let client: pg.Client
  beforeAll(async () => {
    schema = await freshSchema()
    held = await twoCheckpointsAt(schema.url)
    client = new pg.Client({ connectionString: schema.url })
    await client.connect()
    await client.query(`SET search_path = ${schema.name}; CREATE TABLE kept AS SELECT * FROM events`)
  })
  afterAll(async () => {
    await client.end()
    await schema.drop()
  })

  async function found(sql: string): Promise<string[]> {
    await client.query(`TRUNCATE events; INSERT INTO events SELECT * FROM kept; ${sql}`)
    const ledger = await openLedger({ url: schema.url })
    const { findings } = await ledger.audit.verify({ held, keys: [OWN.key] })
    await ledger.close()
    return findings.map(({ kind }) => kind)
  }

  test.each([
    ['nothing', '', []],
    [
      'a payload',
      "UPDATE events SET body = replace(body, 'a@', 'o@') WHERE stream = 'job-a' AND revision = 0",
      ['changed'],
    ],
    ['a time', "UPDATE events SET at = at - 1 WHERE stream = 'job-a' AND revision = 1", ['changed']],
    ['an event that is gone', "DELETE FROM events WHERE stream = 'job-a' AND revision = 1", ['dropped']],
    [
      'two that were swapped',
      `UPDATE events SET position = -position WHERE stream = 'job-a' AND revision > 0;
       UPDATE events e SET position = (SELECT -min(position) - max(position) FROM events WHERE position < 0) + e.position WHERE position < 0`,
      ['moved'],
    ],
    [
      'the end',
      "DELETE FROM events WHERE position > (SELECT max(position) FROM events WHERE stream = 'job-c')",
      ['truncated'],
    ],
  ])('%s', async (_, sql, kinds) => {
    expect(await found(sql)).toEqual(kinds)
  })
})
