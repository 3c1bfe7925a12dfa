import fc from 'fast-check'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { List } from '../../adapters/postgres/lists.js'
import { freshSchema, missingPostgres } from '../support/postgres.js'

const missing = missingPostgres()

const text = fc.oneof(
  fc.string({ unit: 'grapheme' }).map((each) => each.replaceAll('\0', '')),
  fc.constantFrom('', '\u001d', '\u001e', 'a\u001eb', '\u001d\u001e', 'NULL', '{}', '"', '\\', '\\x00'),
)

describe('a list', () => {
  it('is one text, or nothing at all', () => {
    expect(new List('text', ['a', null, 'b']).value).toBe('a\u001e\u001d\u001eb')
    expect(new List('bigint', [1, 2]).value).toBe('1\u001e2')
    expect(new List('text', [null, null]).value).toBeNull()
  })

  // skipped: where there is no server, with the reason as title
  describe.skipIf(missing !== undefined)(missing ?? 'on a server', () => {
    it('is the array of its values, whatever they are', async () => {
      const schema = await freshSchema()
      const client = new pg.Client({ connectionString: schema.url })
      await client.connect()
      const values = fc.array(fc.option(text), { maxLength: 6 })
      await fc.assert(
        fc.asyncProperty(values, async (cells) => {
          const list = new List('text', cells)
          const sql = `SELECT v FROM unnest(${list.expression(1)}, $2::integer[]) WITH ORDINALITY e(v, one, n) ORDER BY n`
          const { rows } = await client.query({ text: sql, values: [list.value, cells.map(() => 1)], rowMode: 'array' })
          expect(rows.flat()).toEqual(cells)
        }),
        { numRuns: 300 },
      )
      await client.end()
    })
  })
})
