import { execFileSync } from 'node:child_process'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Queryable } from '../../adapters/postgres/driver.js'
import { shareBackend } from '../../adapters/postgres/examination.js'
import { PostgresMaintenance } from '../../adapters/postgres/maintenance.js'
import { openPostgresStorage } from '../../adapters/postgres/storage.js'
import { VIEWS_VERSION } from '../../adapters/postgres/views-schema.js'
import { StoreRefused, StoreUnusable } from '../../runtime/ports/event-store.js'
import { appendOk, event } from '../conformance/event-store/harness.js'
import { rejection } from '../engine/support.js'
import { freshSchema, missingPostgres, type TestSchema } from '../support/postgres.js'

const missing = missingPostgres()

// skipped: where there is no server, with the reason as title
describe.skipIf(missing !== undefined)(missing ?? 'the maintenance of a PostgreSQL log', () => {
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

  const examine = async (url = schema.url): Promise<Record<string, string>> => {
    const findings = await new PostgresMaintenance(url).examine({ quick: false })
    return Object.fromEntries(findings.map(({ name, status, message }) => [name, `${status}: ${message}`]))
  }

  it('makes log and views once, however many ask for it at once, and nothing the second time', async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () => new PostgresMaintenance(schema.url).migrate()))
    expect(all.filter(({ made }) => made).length).toBeGreaterThan(0)
    expect(await new PostgresMaintenance(schema.url).migrate()).toEqual({
      made: false,
      version: 1,
      viewsVersion: VIEWS_VERSION,
    })
    const { rows } = await client.query(`SELECT count(*)::int AS logs FROM ${schema.name}.log`)
    expect(rows).toEqual([{ logs: 1 }])
  })

  it('makes views of another version anew, and leaves a log of a newer one alone', async () => {
    await new PostgresMaintenance(schema.url).migrate()
    await client.query(`UPDATE ${schema.name}.view_state SET version = 0`)
    await new PostgresMaintenance(schema.url).migrate()
    const { rows } = await client.query(`SELECT version FROM ${schema.name}.view_state`)
    expect(rows).toEqual([{ version: VIEWS_VERSION }])
    await client.query(`UPDATE ${schema.name}.log SET version = 2`)
    expect(await rejection(new PostgresMaintenance(schema.url).migrate())).toBeInstanceOf(StoreUnusable)
  })

  it('says what backs it up, without the password', async () => {
    const url = new URL(schema.url)
    url.password = 'hush'
    const error = (await rejection(new PostgresMaintenance(url.href).backup())) as Error
    expect(error).toBeInstanceOf(StoreRefused)
    expect(error.message).toContain(`pg_dump --format=custom --schema='"${schema.name}"'`)
    expect(error.message).not.toContain('hush')
  })

  it('finds a sound one sound, and what the settings of the server put at risk', async () => {
    const { store, views } = await openPostgresStorage(schema.url)
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    await views.close()
    await store.close()
    const found = await examine()
    const names = ['store', 'log', 'checkpoint', 'permissions', 'durability', 'statistics', 'transactions', 'pooler']
    expect(Object.keys(found)).toEqual([...names, 'indexes'])
    const { rows } = await client.query("SELECT current_setting('fsync') AS fsync")
    expect(found.durability).toMatch(rows[0].fsync === 'on' ? /^ok: / : /^warning: fsync .*off: a crash/)
    for (const name of ['store', 'log', 'checkpoint', 'permissions', 'statistics', 'pooler', 'indexes']) {
      expect(found[name]).toMatch(/^ok: /)
    }
  })

  it('finds permissions that are missing and large tables that were never analyzed', async () => {
    await new PostgresMaintenance(schema.url).migrate()
    const role = schema.name
    await client.query(`
      CREATE ROLE ${role} LOGIN; GRANT USAGE ON SCHEMA ${role} TO ${role};
      GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA ${role} TO ${role}; GRANT UPDATE, DELETE ON ${role}.view_jobs TO ${role};
      ALTER TABLE ${role}.events SET (autovacuum_enabled = off);
      INSERT INTO ${role}.events (position, at, revision, stream, type, id, data)
      SELECT n, 0, n - 1, 'job-1', 'Noted', n::text, '{}' FROM generate_series(1, 10100) n`)
    // What a session has done is told to the statistics when it ends, or a little later.
    await client.query('SELECT pg_stat_force_next_flush()').catch(() => {})
    await client.end()
    client = new pg.Client({ connectionString: schema.url })
    await client.connect()
    const weak = new URL(schema.url)
    weak.username = role
    const found = await examine(weak.href)
    await client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    expect(found.permissions).toMatch(
      /^warning: .* lacks events delete, events update, instants delete, instants update, view_archived delete, view_archived update, view_state/,
    )
    expect(found.statistics).toBe('warning: never analyzed: events. Run: ANALYZE')
  })

  const pgDump = hasPrograms('pg_dump', 'psql')
  // skipped: where pg_dump is missing, with the reason as title
  it.skipIf(!pgDump)(pgDump ? 'comes back from the dump it tells of' : 'needs pg_dump and psql', async () => {
    const { store, views } = await openPostgresStorage(schema.url)
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    await views.close()
    await store.close()
    const plain = new URL(schema.url)
    plain.searchParams.delete('schema')
    const flags = [`--schema="${schema.name}"`, `--exclude-table-data="${schema.name}".view_*`]
    const dump = execFileSync('pg_dump', [...flags, plain.href])
    await client.query(`DROP SCHEMA ${schema.name} CASCADE`)
    execFileSync('psql', ['-q', '-v', 'ON_ERROR_STOP=1', plain.href], {
      input: dump,
      stdio: ['pipe', 'ignore', 'pipe'],
    })
    const again = await openPostgresStorage(schema.url)
    expect(again.store.logId).toBe(store.logId)
    expect(await appendOk(again.store, { 'job-1': 0 }, event('job-1'))).toMatch(/2$/)
    expect(await again.views.checkpoint()).toBeUndefined()
    await again.views.close()
    await again.store.close()
  })
})

describe('connections behind a pooler', () => {
  const server = (pids: readonly number[]): Queryable => {
    const left = [...pids]
    return {
      query: async ({ text }) => ({ rows: text.startsWith('SELECT') ? [[String(left.shift())]] : [] }),
    }
  }

  it.each([
    ['each has its own process', [1, 1], [2], false],
    ['the second is given that of the first', [1, 2], [1], true],
    ['the first is given another meanwhile', [1, 3], [2], true],
  ])('are told apart: %s', async (_, one, other, shared) => {
    expect(await shareBackend(server(one), server(other))).toBe(shared)
  })
})

function hasPrograms(...programs: readonly string[]): boolean {
  return programs.every((program) => {
    try {
      execFileSync(program, ['--version'], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  })
}
