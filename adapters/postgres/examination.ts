/** What doctor asks of a PostgreSQL server. */

import { formatMs } from '../../domain/duration.js'
import type { Finding } from '../../runtime/ports/maintenance.js'
import { lagFinding, sizeFinding } from '../shared/findings.js'
import { toNumber } from '../shared/positions.js'
import { type Connections, run } from './connections.js'
import type { Queryable } from './driver.js'
import type { Log } from './open.js'
import { quoted, SCHEMA_VERSION } from './schema.js'
import { VIEWS_VERSION } from './views-schema.js'

/** Rows from which on missing statistics matter. */
const MANY_ROWS = 10_000
/** Nothing that was deleted or replaced since can be taken out while a transaction is open. */
const LONG_MS = 5 * 60_000

export async function examineDatabase(log: Log, quick: boolean): Promise<Finding[]> {
  const ask = (sql: string, values: readonly string[] = []): Promise<readonly (string | null)[]> =>
    log.connections.query(sql, values).then(([row]) => row ?? [])
  const s = quoted(log.schema)
  return [
    await server(ask, log.schema),
    await size(ask, s),
    await lag(ask, s),
    await permissions(ask, s),
    await durability(ask),
    await statistics(ask, log.schema),
    await openTransactions(ask),
    await pooler(log.connections),
    ...(quick ? [] : [await indexes(ask, log.schema)]),
  ]
}

type Ask = (sql: string, values?: readonly string[]) => Promise<readonly (string | null)[]>

async function server(ask: Ask, schema: string): Promise<Finding> {
  const [version] = await ask("SELECT current_setting('server_version')")
  const message = `PostgreSQL ${version}, schema ${schema} of version ${SCHEMA_VERSION}, views version ${VIEWS_VERSION}`
  return { name: 'store', status: 'ok', message, details: { version, schema } }
}

async function size(ask: Ask, s: string): Promise<Finding> {
  const total = (tables: readonly string[]): string =>
    tables.map((table) => `pg_total_relation_size('${`${s}.${table}`.replaceAll("'", "''")}'::regclass)`).join(' + ')
  const views = ['view_jobs', 'view_state', 'view_texts', 'view_tombstones', 'view_archived']
  const [log, kept] = await ask(`SELECT ${total(['events', 'instants', 'log'])}, ${total(views)}`)
  return sizeFinding(Number(log), Number(kept))
}

async function lag(ask: Ask, s: string): Promise<Finding> {
  const [last, position] = await ask(
    `SELECT (SELECT max(position) FROM ${s}.events), (SELECT position FROM ${s}.view_state)`,
  )
  return lagFinding(typeof position === 'string' ? Number(last ?? 0) - toNumber(position) : undefined)
}

/** What is needed is told where it is missing: a retention that fails at night tells nobody. */
async function permissions(ask: Ask, s: string): Promise<Finding> {
  const tables = ['events', 'instants', 'view_state', 'view_jobs', 'view_texts', 'view_tombstones', 'view_archived']
  const sql = `
    SELECT string_agg(t || ' ' || p, ', ' ORDER BY t, p), current_user FROM unnest($1::text[]) t, unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) p
    WHERE NOT has_table_privilege($2 || '.' || t, p)`
  const [lacking, user] = await ask(sql, [`{${tables.join(',')}}`, s])
  const name = 'permissions'
  if (typeof lacking !== 'string') return { name, status: 'ok', message: `${user} may read and write all tables` }
  return { name, status: 'warning', message: `${user} lacks ${lacking.toLowerCase()}`, details: { lacking } }
}

/** Appends set synchronous_commit themselves; what is off for the whole server they cannot turn on. */
async function durability(ask: Ask): Promise<Finding> {
  const settings = ['fsync', 'full_page_writes', 'synchronous_commit']
  const values = await ask(`SELECT ${settings.map((setting) => `current_setting('${setting}')`).join(', ')}`)
  const [fsync, pages, commit] = values
  const details = { fsync, full_page_writes: pages, synchronous_commit: commit }
  const off = settings.slice(0, 2).filter((_, index) => values[index] === 'off')
  const name = 'durability'
  if (off.length > 0) {
    return {
      name,
      status: 'warning',
      message: `${off.join(' and ')} off: a crash of the server may destroy the log`,
      details,
    }
  }
  const own =
    commit === 'on' || commit === 'remote_apply' ? '' : `; synchronous_commit is ${commit}, appends turn it on`
  return { name, status: 'ok', message: `what is written survives a crash of the server${own}`, details }
}

async function statistics(ask: Ask, schema: string): Promise<Finding> {
  const sql = `
    SELECT current_setting('autovacuum'), string_agg(relname, ', ' ORDER BY relname) FILTER (
      WHERE last_analyze IS NULL AND last_autoanalyze IS NULL AND n_live_tup > ${MANY_ROWS})
    FROM pg_stat_user_tables WHERE schemaname = $1`
  const [autovacuum, never] = await ask(sql, [schema])
  const name = 'statistics'
  if (autovacuum === 'off') {
    return { name, status: 'warning', message: 'autovacuum is off: tables grow, and the planner knows nothing of them' }
  }
  if (typeof never === 'string') {
    return { name, status: 'warning', message: `never analyzed: ${never}. Run: ANALYZE`, details: { never } }
  }
  return { name, status: 'ok', message: 'autovacuum is on and has seen every large table' }
}

async function openTransactions(ask: Ask): Promise<Finding> {
  const sql = `
    SELECT pid, coalesce(application_name, ''), extract(epoch FROM clock_timestamp() - xact_start) * 1000, state
    FROM pg_stat_activity WHERE backend_type = 'client backend' AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
    AND (datname = current_database() OR backend_xmin IS NOT NULL) ORDER BY xact_start LIMIT 1`
  const prepared =
    'SELECT gid, extract(epoch FROM clock_timestamp() - prepared) * 1000 FROM pg_prepared_xacts ORDER BY prepared LIMIT 1'
  const [pid, application, ms, state] = await ask(sql)
  const [gid, since] = await ask(prepared)
  const name = 'transactions'
  if (typeof ms === 'string' && Number(ms) > LONG_MS) {
    const who = `process ${pid}${application === '' ? '' : ` (${application})`}`
    const message = `${who} has had a transaction open for ${formatMs(Math.round(Number(ms)))} (${state}): nothing can be vacuumed meanwhile`
    return {
      name,
      status: 'warning',
      message,
      details: { pid: Number(pid), application, forMs: Math.round(Number(ms)) },
    }
  }
  if (typeof since === 'string' && Number(since) > LONG_MS) {
    const message = `a prepared transaction is open for ${formatMs(Math.round(Number(since)))}: commit it or roll it back`
    return { name, status: 'warning', message, details: { gid } }
  }
  return { name, status: 'ok', message: `none is open for longer than ${formatMs(LONG_MS)}` }
}

/** Two connections that are open at once have two servers' processes, unless somebody in between shares one out. */
async function pooler(connections: Connections): Promise<Finding> {
  const shares = await connections.lend((one) => connections.lend((other) => shareBackend(one, other)))
  if (!shares) return { name: 'pooler', status: 'ok', message: 'each connection keeps its process of the server' }
  const message =
    'a pooler shares connections by transaction: commits of other processes are noticed by asking only, a little late'
  return { name: 'pooler', status: 'warning', message }
}

export async function shareBackend(one: Queryable, other: Queryable): Promise<boolean> {
  const backend = async (on: Queryable): Promise<string> =>
    String((await run(on, 'SELECT pg_backend_pid()'))[0]?.[0] ?? '')
  const before = await backend(one)
  await run(other, 'BEGIN')
  try {
    return (await backend(other)) === before || (await backend(one)) !== before
  } finally {
    await run(other, 'ROLLBACK')
  }
}

async function indexes(ask: Ask, schema: string): Promise<Finding> {
  const sql = `
    SELECT string_agg(c.relname, ', ') FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND NOT (i.indisvalid AND i.indisready)`
  const [broken] = await ask(sql, [schema])
  const name = 'indexes'
  if (typeof broken !== 'string') return { name, status: 'ok', message: 'all of them are valid' }
  return { name, status: 'problem', message: `not valid: ${broken}. Run: REINDEX`, details: { broken } }
}
