/** Jobs in transactions of the caller's own, and a handler's writes in the one that records its success: on PostgreSQL. Real time. */
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type OpenLedgerOptions, openLedger } from '../../adapters/open-ledger.js'
import type { Ledger } from '../../runtime/ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { freshSchema, missingPostgres, type TestSchema } from '../support/postgres.js'
import { rejection, typesOf } from './support.js'

const ship = defineJob({ type: 'ship', handle: (order: string) => `shipped ${order}` })
/** As an application writes it: its row and the end of the job are one. */
const pay = defineJob({
  type: 'pay',
  maxAttempts: 2,
  backoff: { min: 1, max: 1 },
  handle(order: string, ctx) {
    ctx.finishWith(async (client: pg.ClientBase) => {
      await client.query(`INSERT INTO ${table} VALUES ($1)`, [`paid ${order}`])
      if (order === 'broken' && ctx.attempt === 1) throw new Error('no change')
      if (order === 'twice') await client.query(`INSERT INTO ${table} VALUES ($1)`, [`paid ${order}`])
    })
    return order
  },
})

let table = ''
const missing = missingPostgres()
// skipped: where there is no server, with the reason as title
describe.skipIf(missing !== undefined)(missing ?? 'on PostgreSQL', () => {
  let schema: TestSchema
  let client: pg.Client
  let ledgers: Ledger[]
  beforeEach(async () => {
    schema = await freshSchema()
    client = new pg.Client({ connectionString: schema.url })
    await client.connect()
    ledgers = []
    await open()
    table = `${schema.name}.orders`
    await client.query(`CREATE TABLE ${table} (id text PRIMARY KEY)`)
  })
  afterEach(async () => {
    await client.query('ROLLBACK')
    for (const ledger of ledgers) await ledger.close({ drain: 0 })
    await client.end()
    await schema.drop()
  })

  async function open(options: OpenLedgerOptions = {}): Promise<Ledger> {
    const ledger = await openLedger({ url: schema.url, jobs: [ship, pay], ...options })
    ledgers.push(ledger)
    return ledger
  }

  const order = (id: string): Promise<unknown> => client.query(`INSERT INTO ${table} VALUES ($1)`, [id])
  async function orders(): Promise<unknown[]> {
    return (await client.query(`SELECT id FROM ${table} ORDER BY id`)).rows.map(({ id }) => id)
  }

  describe('a job that is enqueued in the caller’s transaction', () => {
    it('is there with it, and not if it is rolled back; a commit wakes who runs it, also in another process', async () => {
      const ledger = await open()
      const runner = await open()
      await runner.start()
      await client.query('BEGIN')
      await order('lost')
      const lost = await ledger.tx(client).enqueue(ship, 'lost', { id: 'lost' })
      expect(lost.outcome).toBe('created')
      await client.query('ROLLBACK')
      expect(await rejection(ledger.status('lost'))).toMatchObject({ code: 'JOB_UNKNOWN' })
      await client.query('BEGIN')
      await order('kept')
      const kept = await ledger.tx(client).enqueue(ship, 'kept')
      expect(await rejection(runner.status(kept.id))).toMatchObject({ code: 'JOB_UNKNOWN' })
      await client.query('COMMIT')
      expect(await kept.result()).toBe('shipped kept')
      expect(await orders()).toEqual(['kept'])
      expect((await ledger.enqueue(ship, 'anew', { id: 'lost' })).outcome).toBe('created')
    })

    it('is one of a batch that is whole, and may depend on what the same transaction has enqueued', async () => {
      const ledger = await open()
      await ledger.start()
      await client.query('BEGIN')
      const tx = ledger.tx(client)
      await tx.enqueue(ship, 'first', { id: 'first' })
      const batch = await tx.enqueueMany([
        { job: ship, payload: 'third', options: { id: 'third', dependsOn: ['second'] } },
        { job: ship, payload: 'second', options: { id: 'second', dependsOn: ['first'] } },
      ])
      await client.query('COMMIT')
      expect(await batch[0]?.result()).toBe('shipped third')
    })

    it('may be refused, and takes nothing else of the transaction with it', async () => {
      const ledger = await open()
      await client.query('BEGIN')
      await order('kept')
      const tx = ledger.tx(client)
      const orphan = tx.enqueue(ship, 'orphan', { dependsOn: ['nobody'] })
      expect(await rejection(Promise.resolve(orphan))).toMatchObject({ code: 'DEPENDENCY_UNKNOWN' })
      const first = await tx.enqueue(ship, 'one', { unique: { key: 'k' } })
      const second = await tx.enqueue(ship, 'two', { unique: { key: 'k' } })
      expect([second.outcome, second.id]).toEqual(['duplicate', first.id])
      await client.query('COMMIT')
      expect(await orders()).toEqual(['kept'])
      expect(await ledger.status(first.id)).toMatchObject({ payload: 'one' })
    })

    it('waits for another transaction that enqueues under the same id, and is a duplicate if that commits', async () => {
      const ledger = await open()
      const other = new pg.Client({ connectionString: schema.url })
      await other.connect()
      for (const [end, outcome] of [
        ['ROLLBACK', 'created'],
        ['COMMIT', 'duplicate'],
      ] as const) {
        await client.query('BEGIN')
        await ledger.tx(client).enqueue(ship, 'x', { id: end })
        await other.query('BEGIN')
        const later = Promise.resolve(ledger.tx(other).enqueue(ship, 'x', { id: end }))
        await client.query(end)
        expect((await later).outcome).toBe(outcome)
        await other.query('COMMIT')
      }
      await other.end()
    })

    it('is refused where the client is of no use, and the transaction is as it was', async () => {
      const ledger = await open()
      const tx = ledger.tx(client)
      const refused = async (): Promise<unknown> => rejection(Promise.resolve(tx.enqueue(ship, 'x')))
      expect(await refused()).toMatchObject({
        code: 'STORE_REFUSED',
        message: expect.stringMatching(/in a transaction, it is in none/),
      })
      await client.query('BEGIN')
      await client.query('SELECT 1 / 0').catch(() => {})
      expect(await refused()).toMatchObject({
        code: 'STORE_REFUSED',
        message: expect.stringMatching(/a statement has failed: roll it back/),
      })
      await client.query('ROLLBACK')
      const pool = new pg.Pool({ connectionString: schema.url })
      expect(() => ledger.tx(pool)).toThrow(/a Client of pg/)
      await pool.end()
    })

    it('is refused where the client is of another database, also of one with a ledger of its own', async () => {
      const ledger = await open()
      const name = `${schema.name}_db`
      await client.query(`CREATE DATABASE ${name}`)
      const url = new URL(schema.url)
      url.pathname = `/${name}`
      const other = new pg.Client({ connectionString: url.href })
      await other.connect()
      for (const hasLedger of [false, true]) {
        if (hasLedger) await (await openLedger({ url: url.href })).close()
        await other.query('BEGIN')
        const refused = await rejection(Promise.resolve(ledger.tx(other).enqueue(ship, 'x')))
        expect(refused).toMatchObject({
          code: 'STORE_REFUSED',
          message: expect.stringMatching(/connected to the database of the ledger/),
        })
        expect((await other.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
        await other.query('COMMIT')
      }
      await other.end()
      await client.query(`DROP DATABASE ${name}`)
    })
  })

  describe('writes of a handler', () => {
    it('are there with the success of its job', async () => {
      const ledger = await open()
      await ledger.start()
      const jobs = await ledger.enqueueMany(['a', 'b', 'c'].map((payload) => ({ job: pay, payload })))
      await Promise.all(jobs.map((job) => job.result()))
      expect(await orders()).toEqual(['paid a', 'paid b', 'paid c'])
    })

    it('that fail are none: the run has failed, and is tried again', async () => {
      const ledger = await open()
      await ledger.start()
      const job = await ledger.enqueue(pay, 'broken')
      expect(await job.result()).toBe('broken')
      expect(await typesOf(ledger, job.id)).toEqual(['Queued', 'Leased', 'Failed', 'Retried', 'Leased', 'Finished'])
      expect(await orders()).toEqual(['paid broken'])
    })

    it('that break a rule of their own table end the job with that very error', async () => {
      const ledger = await open()
      await ledger.start()
      const job = await ledger.enqueue(pay, 'twice')
      expect(await rejection(job.result())).toMatchObject({ code: 'JOB_FAILED' })
      expect((await ledger.attempts(job.id)).map(({ error }) => error)).toEqual([
        expect.objectContaining({ message: expect.stringMatching(/duplicate key/) }),
        expect.objectContaining({ message: expect.stringMatching(/duplicate key/) }),
      ])
      expect(await orders()).toEqual([])
    })
  })
})
