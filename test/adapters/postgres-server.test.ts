/** What a server, or the way to it, may do to a log. */
import { createServer } from 'node:net'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openPostgresStore, type PostgresEventStore } from '../../adapters/postgres/event-store.js'
import { StoreRefused, StoreUnavailable, StoreUnusable } from '../../runtime/ports/event-store.js'
import { appendOk, collect, event, group, kindsOf } from '../conformance/event-store/harness.js'
import { freshSchema, missingPostgres, type TestSchema } from '../support/postgres.js'

const missing = missingPostgres()

async function failure(opening: Promise<PostgresEventStore>): Promise<Error> {
  try {
    await (await opening).close()
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('It was opened.')
}

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

  it('is refused by a clear error that has no password in it, when nobody listens', async () => {
    const error = await failure(openPostgresStore('postgres://me:hush@127.0.0.1:1/jobs'))
    expect(error).toBeInstanceOf(StoreUnavailable)
    expect(error.message).toMatch(/^postgres:\/\/127\.0\.0\.1:1\/jobs: nobody listens there/)
    expect(error.message).not.toContain('hush')
  })

  it('that never answers is given up within ten seconds or little more', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1')
    await new Promise((resolve) => silent.once('listening', resolve))
    const { port } = silent.address() as { port: number }
    const began = performance.now()
    const error = await failure(openPostgresStore(`postgres://me:hush@127.0.0.1:${port}/jobs`))
    expect(error).toBeInstanceOf(StoreUnavailable)
    expect(performance.now() - began).toBeLessThan(12_000)
    silent.close()
  })

  it.each(['postgres://[', 'postgres://me:hush@host:port:x/', 'mysql://me:hush@host/'])(
    'is not looked for at %s',
    async (url) => {
      const error = await failure(openPostgresStore(url))
      expect(error).toBeInstanceOf(StoreUnusable)
      expect(JSON.stringify([error.message, error.cause])).not.toContain('hush')
    },
  )

  it('without the database, or without the permission to make a schema, says which', async () => {
    const other = new URL(schema.url)
    other.pathname = '/jobledger_no_such'
    const none = await failure(openPostgresStore(other.href))
    expect(none).toBeInstanceOf(StoreUnavailable)
    expect(none.message).toContain('there is no such database')
    await client.query(`CREATE ROLE ${schema.name} LOGIN`)
    const weak = new URL(schema.url)
    weak.username = schema.name
    const denied = await failure(openPostgresStore(weak.href))
    await client.query(`DROP ROLE ${schema.name}`)
    expect(denied).toBeInstanceOf(StoreUnavailable)
    expect(denied.message).toContain('the user lacks a permission')
  })

  it('with a log of a newer version, or with tables of another program, is refused', async () => {
    await (await openPostgresStore(schema.url)).close()
    await client.query(`UPDATE ${schema.name}.log SET version = 99`)
    const newer = await failure(openPostgresStore(schema.url))
    expect(newer).toBeInstanceOf(StoreUnusable)
    expect(newer.message).toContain('schema version 99')
    await client.query(`DROP TABLE ${schema.name}.log`)
    const other = await failure(openPostgresStore(schema.url))
    expect(other).toBeInstanceOf(StoreUnusable)
    expect(other.message).toContain("another program's")
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
})
