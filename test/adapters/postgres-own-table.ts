import pg from 'pg'
import type { OwnTable } from '../conformance/event-store.suite.js'
import type { TestSchema } from '../support/postgres.js'

/** A table of a caller beside the log's own, made when it is first written to. */
export function ownPostgresTable({ url, name }: TestSchema): OwnTable {
  return {
    insert: async (transaction, text) => {
      const client = transaction as pg.ClientBase
      await client.query(`CREATE TABLE IF NOT EXISTS ${name}.own (place serial PRIMARY KEY, text text NOT NULL UNIQUE)`)
      await client.query(`INSERT INTO ${name}.own (text) VALUES ($1)`, [text])
    },
    rows: async () => {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      const { rows } = await client.query(`SELECT to_regclass('${name}.own') IS NOT NULL AS there`)
      const sql = `SELECT text FROM ${name}.own ORDER BY place`
      const found = rows[0].there ? (await client.query<{ text: string }>(sql)).rows : []
      await client.end()
      return found.map(({ text }) => text)
    },
  }
}
