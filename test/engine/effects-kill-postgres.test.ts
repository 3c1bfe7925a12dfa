/** As effects-kill.test.ts, on PostgreSQL: a process is killed between its handler's writes and the commit. Real time. */
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { openLedger } from '../../adapters/open-ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { freshSchema, missingPostgres } from '../support/postgres.js'
import { Arena } from './rivals.js'

/** So that a test that hangs ends; nothing is measured by it. */
const GUARD = { timeout: 300_000 }

/** A job whose id ends in `!` kills its process in the midst of its writes, the first time it gets there. */
const SHOP = `
  const table = new URL(url).searchParams.get('schema') + '.sales'
  const sell = defineJob({
    type: 'sell',
    handle(n, ctx) {
      ctx.finishWith(async (client) => {
        await client.query('INSERT INTO ' + table + ' VALUES ($1, 1)', [ctx.id])
        const mark = folder + '/died in ' + n
        if (ctx.id.endsWith('!') && !existsSync(mark)) {
          writeFileSync(mark, '')
          process.kill(process.pid, 'SIGKILL')
        }
        await client.query('INSERT INTO ' + table + ' VALUES ($1, 2)', [ctx.id])
      })
      return n
    },
  })
  const jobs = [sell]
  const deeds = { start: () => ledger.start({ concurrency: 4 }) }
`

const sell = defineJob<number, unknown>({ type: 'sell' })

const missing = missingPostgres()
// skipped: where there is no server, with the reason as title
describe.skipIf(missing !== undefined)(
  missing ?? 'a process that is killed in the midst of its handlers’ writes',
  () => {
    it('leaves rows for exactly those jobs whose success is recorded; the others are run again', GUARD, async () => {
      const schema = await freshSchema()
      const client = new pg.Client({ connectionString: schema.url })
      await client.connect()
      const idsIn = async (sql: string): Promise<unknown[]> => (await client.query(sql)).rows.map(({ id }) => id)
      const sales = async (): Promise<unknown[]> => {
        const broken = `SELECT job AS id FROM ${schema.name}.sales GROUP BY job HAVING array_agg(part ORDER BY part) <> '{1,2}'`
        expect(await idsIn(broken)).toEqual([])
        return (await idsIn(`SELECT DISTINCT job AS id FROM ${schema.name}.sales`)).toSorted()
      }
      const successes = async (): Promise<unknown[]> => {
        const sql = `SELECT substr(stream, 5) AS id FROM ${schema.name}.events WHERE type = 'Finished' AND data LIKE '%"succeeded"%'`
        return (await idsIn(sql)).toSorted()
      }
      /** At one moment: what a process had sent before it died may be committed after it. */
      const agree = async (): Promise<void> => {
        await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
        expect(await sales()).toEqual(await successes())
        await client.query('COMMIT')
      }
      await using arena = await Arena.create(SHOP, schema.url)
      await using ledger = await openLedger({ url: schema.url })
      await client.query(`CREATE TABLE ${schema.name}.sales (job text, part integer)`)
      const ids = Array.from({ length: 90 }, (_, n) => `sale ${n}${n % 30 === 15 ? '!' : ''}`)
      await ledger.enqueueMany(ids.map((id, n) => ({ job: sell, payload: n, options: { id } })))
      const all = Promise.all(ids.map((id) => ledger.result(id))).then(() => true)
      let deaths = 0
      for (let over = false; !over; ) {
        const shop = await arena.rival()
        const died = shop.gone.then(() => false)
        await shop.ask('start').catch(() => {})
        over = await Promise.race([died, all])
        if (!over) deaths += 1
        await agree()
      }
      expect(deaths).toBe(3)
      expect(await sales()).toEqual(ids.toSorted())
      for (const id of ids.filter((each) => each.endsWith('!'))) {
        const { run, attempt } = await ledger.status(id)
        expect([run > 1, attempt]).toEqual([true, 1])
      }
      await client.end()
      await ledger.close()
      await schema.drop()
    })
  },
)
