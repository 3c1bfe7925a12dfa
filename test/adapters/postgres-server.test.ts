/** What a server, or the way to it, may do to a log. */
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openPostgresStore } from '../../adapters/postgres/event-store.js'
import { StoreRefused } from '../../runtime/ports/event-store.js'
import { appendOk, collect, event, group, kindsOf } from '../conformance/event-store/harness.js'
import { freshSchema, missingPostgres, type TestSchema } from '../support/postgres.js'

const missing = missingPostgres()

// skipped: where there is no server, with the reason as title
describe.skipIf(missing !== undefined)(missing ?? 'a PostgreSQL server', () => {
  let schema: TestSchema
  let client: pg.Client
  beforeEach(async () => {
    schema = await freshSchema()
    client = new pg.Client({ connectionString: schema.url })
    await client.connect()
  })
  afterEach(async () => {
    await client.end()
    await schema.drop()
  })

  it('that many open at once has one log', async () => {
    const stores = await Promise.all(Array.from({ length: 6 }, () => openPostgresStore(schema.url)))
    expect(new Set(stores.map(({ logId }) => logId)).size).toBe(1)
    for (const store of stores) await store.close()
  })

  it('is used through a Pool of the caller, which stays open', async () => {
    const pool = new pg.Pool({ connectionString: schema.url })
    const store = await openPostgresStore(pool, { schema: schema.name })
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    expect(() => store.within(pool)).toThrow(StoreRefused)
    await store.close()
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    await pool.end()
  })

  it('commits durably, also where the database is set to do otherwise', async () => {
    const store = await openPostgresStore(schema.url)
    await client.query('BEGIN; SET LOCAL synchronous_commit = off')
    await client.query(`SELECT ${schema.name}.take_turn('full')`)
    const { rows } = await client.query('SHOW synchronous_commit')
    await client.query('ROLLBACK')
    expect(rows).toEqual([{ synchronous_commit: 'on' }])
    await store.close()
  })

  it('that cuts every connection leaves what is under way unknown: it is sent again, and all goes on', async () => {
    const store = await openPostgresStore(schema.url)
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    const batches = store.subscribe({ signal: new AbortController().signal })[Symbol.asyncIterator]()
    await batches.next()
    // Holds the append where it is until its connection is cut.
    await client.query('BEGIN')
    await client.query(`SELECT ${schema.name}.take_turn('')`)
    const waiting = group({ 'job-2': 'none' }, event('job-2'))
    const coming = store.append([waiting])
    const cut = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%${schema.name}%' AND pid <> pg_backend_pid()`
    await expect.poll(async () => (await client.query(`${cut} AND wait_event_type = 'Lock'`)).rowCount).toBe(1)
    expect(kindsOf(await coming)).toEqual(['unknown'])
    await client.query('ROLLBACK')
    expect(kindsOf(await store.append([waiting]))).toEqual(['ok'])
    await client.query(cut)
    const next = group({ 'job-3': 'none' }, event('job-3'))
    await expect.poll(async () => kindsOf(await store.append([next]))).toEqual(['ok'])
    expect(await collect(store.readAll())).toHaveLength(3)
    await batches.return?.()
    await store.close()
  })

  it('is not shut out by a transaction that is not READ COMMITTED, or not one at all: that is refused', async () => {
    const store = await openPostgresStore(schema.url)
    const plain = [group({ 'job-1': 'none' }, event('job-1'))]
    await expect(store.within(client).append(plain)).rejects.toThrow(StoreRefused)
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
    await expect(store.within(client).append(plain)).rejects.toThrow(/READ COMMITTED/)
    await client.query('COMMIT')
    await store.close()
  })

  it.each(['COMMIT', 'ROLLBACK', 'SELECT 1 / 0'])(
    'whose transaction effects spoil by %s: others are stored',
    async (sql) => {
      const store = await openPostgresStore(schema.url)
      const outcomes = await store.append([
        group({ 'job-1': 'none' }, event('job-1')),
        {
          ...group({ 'job-2': 'none' }, event('job-2')),
          effects: (own) => (own as pg.ClientBase).query(sql).catch(() => {}),
        },
        group({ 'job-3': 'none' }, event('job-3')),
      ])
      // What they have committed themselves is stored.
      expect(kindsOf(outcomes)).toEqual(['ok', sql === 'COMMIT' ? 'ok' : 'rejected', 'ok'])
      expect(await collect(store.readAll())).toHaveLength(sql === 'COMMIT' ? 3 : 2)
      await store.close()
    },
  )

  it.each([0, 1, 2, 3, 4])('does not commit for effects that leave a statement behind, %i before it', async (count) => {
    const store = await openPostgresStore(schema.url)
    const refused: string[] = []
    const effects = (own: unknown): void => {
      const floating = async (): Promise<void> => {
        for (let n = 0; n < count; n += 1) await (own as pg.ClientBase).query('SELECT 1')
        await (own as pg.ClientBase).query('SELECT 1 / 0')
      }
      void floating().catch(({ message }: Error) => refused.push(message))
    }
    const [outcome] = await store.append([{ ...group({ 'job-1': 'none' }, event('job-1')), effects }])
    const stored = await collect(store.readAll())
    // What comes too late is not heard, and does no harm.
    expect([outcome?.kind, stored.length]).toEqual(
      refused.some((each) => /by zero/.test(each)) ? ['rejected', 0] : ['ok', 1],
    )
    expect(refused.length).toBeGreaterThan(0)
    await store.close()
  })
})
