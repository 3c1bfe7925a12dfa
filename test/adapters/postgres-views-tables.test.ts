/** What becomes of the views' tables in a database that others can reach. */
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openPostgresStorage } from '../../adapters/postgres/storage.js'
import { VIEWS_VERSION } from '../../adapters/postgres/views-schema.js'
import { StoreUnavailable, StoreUnusable } from '../../runtime/ports/event-store.js'
import { appendOk, event } from '../conformance/event-store/harness.js'
import { changes, checkpoint, idsOf, live, position, row, rows } from '../conformance/views/harness.js'
import { rejection } from '../engine/support.js'
import { freshSchema, missingPostgres, type TestSchema } from '../support/postgres.js'

type Storage = Awaited<ReturnType<typeof openPostgresStorage>>

const missing = missingPostgres()

// skipped: where there is no server, with the reason as title
describe.skipIf(missing !== undefined)(missing ?? 'the tables of PostgreSQL views', () => {
  let schema: TestSchema
  let client: pg.Client
  let opened: Storage[]
  beforeEach(async () => {
    opened = []
    schema = await freshSchema()
    client = new pg.Client({ connectionString: schema.url })
    await client.connect()
  })
  afterEach(async () => {
    for (const { store, views } of opened) {
      await views.close()
      await store.close()
    }
    await client.end()
    await schema.drop()
  })

  async function open(url = schema.url): Promise<Storage> {
    const storage = await openPostgresStorage(url)
    opened.push(storage)
    return storage
  }

  it('keep their rows from one opening to the next', async () => {
    await (await open()).views.save(changes(5, rows(1, 5), ''))
    const { views } = await open()
    expect(await views.checkpoint()).toEqual(checkpoint(5))
    expect(await idsOf(views)).toHaveLength(5)
  })

  it('are made anew when they are of another version', async () => {
    await (await open()).views.save(changes(5, rows(1, 5), ''))
    await client.query(
      `UPDATE ${schema.name}.view_state SET version = 99; ALTER TABLE ${schema.name}.view_jobs DROP phase`,
    )
    const { views } = await open()
    expect(await views.checkpoint()).toBeUndefined()
    expect(await views.save(changes(5, rows(1, 5), ''))).toBe(true)
  })

  it('of another version are not written to by who had opened them before', async () => {
    const { views } = await open()
    await client.query(`UPDATE ${schema.name}.view_state SET version = 99`)
    const error = await rejection(views.save(changes(5, rows(1, 5), '')))
    expect(error).toBeInstanceOf(StoreUnusable)
    expect((error as Error).message).toBe(
      `Expected views of version ${VIEWS_VERSION}, found 99: another jobledger made them.`,
    )
  })

  it('may be dropped while they are open: they are made anew, and all is asked for', async () => {
    const { views } = await open()
    await views.save(changes(5, rows(1, 5), ''))
    const all = ['state', 'jobs', 'tombstones', 'archived', 'texts', 'kept', 'kept_parts']
    const drop = `DROP TABLE ${all.map((each) => `${schema.name}.view_${each}`)}`
    await client.query(drop)
    expect(await idsOf(views)).toEqual([])
    await client.query(drop)
    expect(await views.save(changes(6, [row(6)], position(5)))).toBe(false)
    expect(await views.save(changes(6, rows(1, 6), 'all'))).toBe(true)
    await client.query(drop)
    expect(await views.atOneMoment((kept) => kept.checkpoint())).toBeUndefined()
  })

  it('of another program are left alone', async () => {
    await client.query(`CREATE SCHEMA ${schema.name}; CREATE TABLE ${schema.name}.view_jobs (mine text)`)
    const error = await rejection(openPostgresStorage(schema.url))
    expect(error).toBeInstanceOf(StoreUnusable)
    expect((error as Error).message).toContain("found another program's: view_state, view_jobs")
    await client.query(`SELECT mine FROM ${schema.name}.view_jobs`)
    await client.query(`DROP TABLE ${schema.name}.view_jobs; CREATE TABLE ${schema.name}.view_state (version integer)`)
    expect(await rejection(openPostgresStorage(schema.url))).toBeInstanceOf(StoreUnusable)
    await client.query(`SELECT version FROM ${schema.name}.view_state`)
  })

  it('need nothing but reading and writing once they are there', async () => {
    await open()
    const role = schema.name
    const weak = new URL(schema.url)
    weak.username = role
    await client.query(`
      CREATE ROLE ${role} LOGIN; GRANT USAGE ON SCHEMA ${role} TO ${role};
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${role} TO ${role}`)
    const { views } = await openPostgresStorage(weak.href)
    expect(await views.save(changes(5, rows(1, 5), ''))).toBe(true)
    await client.query(`UPDATE ${role}.view_state SET version = 99`)
    const error = await rejection(openPostgresStorage(weak.href))
    await client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    expect(error).toBeInstanceOf(StoreUnavailable)
    expect((error as Error).message).toContain('the user lacks a permission')
  })

  it('are made once by many that open at the same time', async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () => open()))
    await all[0]?.views.save(changes(5, rows(1, 5), ''))
    for (const { views } of all) expect(await live(views)).toHaveLength(5)
  })

  it('do not hold up who appends while they are saved', async () => {
    const { store, views } = await open()
    async function* slow(): AsyncGenerator<ReturnType<typeof row>> {
      yield* rows(1, 1_000)
      // In the middle of the save.
      await appendOk(store, { a: 'none' }, event('a'))
      yield row(1_001)
    }
    expect(await views.save({ ...changes(5, [], ''), rows: slow() })).toBe(true)
    expect(await idsOf(views)).toHaveLength(1_001)
  })

  it('wait for who saves, and for nobody who reads', async () => {
    const [{ views }, other] = [await open(), await open()]
    const reading = views.atOneMoment(async (kept) => {
      await kept.checkpoint()
      expect(await Promise.all([views, other.views].map((each) => each.save(changes(5, rows(1, 5), ''))))).toEqual([
        true,
        true,
      ])
      return live(views)
    })
    expect(await reading).toHaveLength(5)
  })

  it('are walked along an index, also without statistics', async () => {
    const details = { phase: 'succeeded', endPlace: 'end', trigger: 't', dependsOn: ['job-1'] }
    await (await open()).views.save(changes(5, rows(1, 5_000, details), ''))
    const plans: string[] = []
    const pool = explaining(new pg.Pool({ connectionString: schema.url }), plans)
    const { store, views } = await openPostgresStorage(pool, { schema: schema.name })
    for await (const page of views.live()) expect(page).toEqual([])
    await views.list({ limit: 5 })
    await views.list({ phases: ['failed'], limit: 5 })
    await views.list({ triggers: ['t'], limit: 5 })
    await views.ended({ keep: 'rules', limit: 5 })
    await views.ended({ keep: 7, limit: 5 })
    await views.dependents('job-1')
    await store.close()
    await pool.end()
    const indexes = ['live', 'pkey', 'bad', 'of_trigger', 'ended', 'own_say', 'needed']
    expect(plans.map((plan) => /view_jobs_(\w+)/.exec(plan)?.[1])).toEqual(indexes)
    for (const plan of plans) expect(plan).not.toMatch(/Seq Scan|Sort/)
  })
})

interface Asked {
  readonly text: string
  readonly values?: unknown[]
}

/** A pool that asks for the plan of each statement on jobs, on the very connection that then runs it. */
function explaining(pool: pg.Pool, plans: string[]): pg.Pool {
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as (asked: Asked) => Promise<pg.QueryResult>
    const explained = async (asked: Asked): Promise<unknown> => {
      if (/^\s*SELECT.* FROM .*view_jobs/s.test(asked.text) && !asked.text.includes('OFFSET')) {
        const { rows: lines } = await query({ text: `EXPLAIN ${asked.text}`, values: asked.values ?? [] })
        plans.push(lines.map((line) => line['QUERY PLAN']).join('\n'))
      }
      return query(asked)
    }
    client.query = explained as typeof client.query
  })
  return pool
}
