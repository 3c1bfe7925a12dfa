/** Opens or creates a log in a database, and refuses whatever is not one. */
import { JobledgerError } from '../../domain/errors.js'
import { StoreUnusable } from '../../runtime/ports/event-store.js'
import { Connections, type Row, run } from './connections.js'
import { type Client, loadDriver, type Pool } from './driver.js'
import { sqlState, toStoreError } from './errors.js'
import { quoted, SCHEMA_VERSION, tables } from './schema.js'

export interface PostgresOptions {
  /** The schema that holds the log's tables; made when it is not there. Default: the URL's `?schema=`, else `jobledger`. */
  readonly schema?: string
  /**
   * `'full'`: what was answered `ok` survives a power cut of the server. `'normal'`: it survives the processes, but the last
   * commits before a crash of the server may be lost. Default `'full'`.
   */
  readonly durability?: 'full' | 'normal'
  /** Called for each record whose text is not JSON; readers skip it. Default: nothing. */
  readonly onUnreadable?: (position: string, error: Error) => void
}

/** An open log. */
export interface Log {
  readonly connections: Connections
  readonly schema: string
  readonly logId: string
}

const DEFAULT_SCHEMA = 'jobledger'
/** A channel is named after it, and may have 63 bytes. */
const LONGEST_SCHEMA = 50
/** The oldest PostgreSQL that makes uuids by itself. */
const OLDEST = 13
const CONNECT_MS = 10_000
/** Appends take one connection, listening another; the others read. */
const POOL_SIZE = 5

/**
 * `where`: a URL, or the caller's own Pool of pg, which it closes itself.
 * Throws StoreUnusable for what is no log of ours or of a newer version, StoreUnavailable where it cannot be reached.
 */
export async function openLog(where: string | Pool, options: PostgresOptions = {}): Promise<Log> {
  const schema = options.schema ?? schemaIn(where) ?? DEFAULT_SCHEMA
  if (schema === '' || Buffer.byteLength(schema) > LONGEST_SCHEMA) {
    throw new StoreUnusable(`Expected the name of a schema, of at most ${LONGEST_SCHEMA} bytes, got '${schema}'.`)
  }
  const connections = await connect(where)
  try {
    return { connections, schema, logId: await prepare(connections, schema) }
  } catch (error) {
    await connections.close()
    throw explain(error, connections.place)
  }
}

async function connect(where: string | Pool): Promise<Connections> {
  if (typeof where !== 'string') return new Connections(where, 'the given pool', false)
  if (!/^postgres(ql)?:\/\//.test(where)) {
    // Never the URL itself: there may be a password in it.
    throw new StoreUnusable('Expected a URL like postgres://user@host:5432/database.')
  }
  const Pool = await loadDriver()
  const pool = new Pool({
    connectionString: where,
    connectionTimeoutMillis: CONNECT_MS,
    max: POOL_SIZE,
    keepAlive: true,
    application_name: 'jobledger',
  })
  return new Connections(pool, placeOf(where), true)
}

function schemaIn(where: string | Pool): string | undefined {
  return typeof where === 'string' ? (/[?&]schema=([^&#]*)/.exec(where)?.[1] ?? undefined) : undefined
}

function placeOf(url: string): string {
  try {
    const { hostname, port, pathname, searchParams } = new URL(url)
    const host = searchParams.get('host') ?? (hostname || 'localhost')
    return `postgres://${host}:${searchParams.get('port') ?? (port || 5432)}${pathname}`
  } catch {
    return 'postgres'
  }
}

function explain(error: unknown, place: string): Error {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  if (cause instanceof Error && 'code' in cause && cause.code === 'ERR_INVALID_URL') {
    // Without its cause, which has the URL in it.
    return new StoreUnusable('Expected a URL like postgres://user@host:5432/database, got one that cannot be read.')
  }
  return error instanceof JobledgerError ? error : toStoreError(error, place)
}

async function prepare(connections: Connections, schema: string): Promise<string> {
  return connections.lend(async (client) => {
    const known = await identify(client, schema, connections.place)
    return known ?? create(client, schema, connections.place)
  })
}

// By a query, not by to_regclass: that may still believe what was true before somebody else has made the tables.
const FACTS = `
  SELECT current_setting('server_version_num'), current_setting('server_encoding'), EXISTS (
    SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname IN ('log', 'events')
  )`

/** The log's id, or undefined where there is none yet. Throws StoreUnusable for anything else. */
async function identify(client: Client, schema: string, place: string): Promise<string | undefined> {
  const [version, encoding, there] = (await run(client, FACTS, [schema]))[0] as Row
  if (Number(version) < OLDEST * 10_000) {
    throw new StoreUnusable(
      `${place}: expected PostgreSQL ${OLDEST} or newer, found ${Math.floor(Number(version) / 10_000)}.`,
    )
  }
  if (encoding !== 'UTF8') throw new StoreUnusable(`${place}: expected a database in UTF8, found one in ${encoding}.`)
  return there === 't' ? readLog(client, schema, place) : undefined
}

async function readLog(client: Client, schema: string, place: string): Promise<string> {
  let row: Row | undefined
  try {
    row = (await run(client, `SELECT version, log_id FROM ${quoted(schema)}.log`))[0]
  } catch (cause) {
    if (!sqlState(cause).startsWith('42') || sqlState(cause) === '42501') throw cause
  }
  const [version, logId] = row ?? []
  if (typeof logId !== 'string') {
    throw new StoreUnusable(
      `${place}: expected a jobledger log or no tables in schema ${schema}, found another program's.`,
    )
  }
  if (Number(version) > SCHEMA_VERSION) {
    throw new StoreUnusable(
      `${place}: this log has schema version ${version}, this jobledger knows up to ${SCHEMA_VERSION}. Use a newer jobledger.`,
    )
  }
  return logId
}

async function create(client: Client, schema: string, place: string): Promise<string> {
  const s = quoted(schema)
  await run(client, 'BEGIN')
  // One at a time, whatever the schema: CREATE SCHEMA IF NOT EXISTS fails for the second of two.
  await run(client, "SELECT pg_advisory_xact_lock(hashtext('jobledger'), 0)")
  // Somebody else may have been faster.
  const known = await identify(client, schema, place)
  if (known === undefined) {
    // Whoever may use a schema but not make one is not to be refused.
    const [there] = await run(client, 'SELECT FROM pg_namespace WHERE nspname = $1', [schema])
    if (there === undefined) await run(client, `CREATE SCHEMA ${s}`)
    await run(client, tables(schema))
    await run(client, `INSERT INTO ${s}.log (version) VALUES (${SCHEMA_VERSION})`)
  }
  await run(client, 'COMMIT')
  return known ?? readLog(client, schema, place)
}
