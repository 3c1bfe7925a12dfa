/** Opens or creates a log in a database, and refuses whatever is not one. */
import { JobledgerError } from '../../domain/errors.js'
import { StoreUnavailable, StoreUnusable } from '../../runtime/ports/event-store.js'
import { type Logger, silentLogger } from '../../runtime/ports/logger.js'
import { within } from '../shared/time-limit.js'
import { CONNECT_MS, Connections, type Row, run } from './connections.js'
import { type Client, loadDriver, type Pool, type ServerLimits } from './driver.js'
import { sqlState, toStoreError } from './errors.js'
import { LOCK_SCHEMAS, quoted, SCHEMA_VERSION, tables } from './schema.js'
import { Sockets } from './sockets.js'
import { checkUrl, placeOf, schemaOf } from './where.js'

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
  /** Told when the database cannot be reached, when it can be again, and who keeps everybody from writing. Default: silent. */
  readonly logger?: Logger
}

/** An open log. */
export interface Log {
  readonly connections: Connections
  readonly schema: string
  readonly logId: string
  /** It was not there before. */
  readonly made: boolean
}

/** The oldest PostgreSQL that makes uuids by itself. */
const OLDEST = 13
/** How long all of opening may take, in ms: who is not answered is told so. */
const OPEN_MS = 9000
/** How long to wait for somebody else who makes the tables. */
const CREATE_TIMEOUT = '5s'
/** Appends take one connection, listening another; the others read. */
const POOL_SIZE = 5

/**
 * Kept by the server for connections of our own, in ms: a statement ends before its client gives up on the answer (30 s), and a
 * transaction whose client has died without a word lets go of the log.
 */
const LIMITS: ServerLimits = {
  // A database or a user may have another one by default, in which an append does not see what it has waited for.
  options: '-c default_transaction_isolation=read\\ committed',
  statement_timeout: 25_000,
  lock_timeout: 10_000,
  idle_in_transaction_session_timeout: 30_000,
}

/**
 * `where`: a URL, or the caller's own Pool of pg, which it closes itself.
 * Throws StoreUnusable for what is no log of ours or of a newer version, StoreUnavailable where it cannot be reached.
 */
export async function openLog(where: string | Pool, options: PostgresOptions = {}): Promise<Log> {
  const url = typeof where === 'string' ? where : undefined
  if (url !== undefined) checkUrl(url)
  const { logger = silentLogger } = options
  const schema = schemaOf(url, options.schema)
  const log = (await tryOpen(where, schema, logger, LIMITS)) ?? (await tryOpen(where, schema, logger, {}))
  if (log === undefined) throw new StoreUnavailable('The pooler refuses to connect.')
  log.connections.attend(logger)
  return log
}

/** Undefined where a pooler stands in between that takes no time limits along. */
async function tryOpen(
  where: string | Pool,
  schema: string,
  logger: Logger,
  limits: ServerLimits,
): Promise<Log | undefined> {
  const connections = await connect(where, schema, limits)
  const { place } = connections
  const late = (): Error => new StoreUnavailable(`${place}: the server does not answer within ${OPEN_MS / 1000} s.`)
  try {
    return { connections, schema, ...(await within(OPEN_MS, prepare(connections, schema), late)) }
  } catch (error) {
    connections.cut()
    const closed = connections.close()
    // Of a pool that is not our own nothing can be cut, and what is under way there may take its time.
    if (typeof where === 'string') await closed
    if (!isPooler(error) || limits !== LIMITS) throw explain(error, place)
    logger.warn({ err: error, store: place }, 'the pooler refuses time limits: the server keeps none for this ledger')
    return undefined
  }
}

async function connect(where: string | Pool, schema: string, limits: ServerLimits): Promise<Connections> {
  if (typeof where !== 'string') return new Connections({ pool: where, schema, place: 'the given pool' })
  const Pool = await loadDriver()
  const sockets = new Sockets()
  const pool = new Pool({
    connectionString: where,
    connectionTimeoutMillis: CONNECT_MS,
    max: POOL_SIZE,
    keepAlive: true,
    application_name: 'jobledger',
    stream: sockets.make,
    ...limits,
  })
  return new Connections({ pool, schema, place: placeOf(where), sockets })
}

/** PgBouncer takes no setting along that it does not know of. */
function isPooler(error: unknown): boolean {
  return error instanceof Error && /unsupported startup parameter/.test(error.message)
}

const UNREADABLE = 'Expected a URL like postgres://user@host:5432/database, got one that cannot be read.'

function explain(error: unknown, place: string): Error {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  const isUnreadable =
    cause instanceof URIError || (cause instanceof Error && 'code' in cause && cause.code === 'ERR_INVALID_URL')
  // Without its cause, which has the URL in it.
  if (isUnreadable) return new StoreUnusable(UNREADABLE)
  return error instanceof JobledgerError ? error : toStoreError(error, place)
}

async function prepare(connections: Connections, schema: string): Promise<Pick<Log, 'logId' | 'made'>> {
  return connections.lend(async (client) => {
    const known = await identify(client, schema, connections.place)
    return { logId: known ?? (await create(client, schema, connections.place)), made: known === undefined }
  })
}

// By a query, not by to_regclass: that may still believe what was true before somebody else has made the tables.
const FACTS = `
  SELECT current_setting('server_version_num'), current_setting('server_encoding'), current_setting('transaction_isolation'), EXISTS (
    SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname IN ('log', 'events')
  )`

/** The log's id, or undefined where there is none yet. Throws StoreUnusable for anything else. */
async function identify(client: Client, schema: string, place: string): Promise<string | undefined> {
  const [version, encoding, isolation, there] = (await run(client, FACTS, [schema]))[0] as Row
  if (Number(version) < OLDEST * 10_000) {
    throw new StoreUnusable(
      `${place}: expected PostgreSQL ${OLDEST} or newer, found ${Math.floor(Number(version) / 10_000)}.`,
    )
  }
  if (encoding !== 'UTF8') throw new StoreUnusable(`${place}: expected a database in UTF8, found one in ${encoding}.`)
  if (isolation !== 'read committed') {
    throw new StoreUnusable(
      `${place}: expected READ COMMITTED as the default of transactions, found ${isolation?.toUpperCase()}. Say for this user: ALTER ROLE ... SET default_transaction_isolation = 'read committed'`,
    )
  }
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
  await run(client, `BEGIN; SET LOCAL lock_timeout = '${CREATE_TIMEOUT}'`)
  await run(client, LOCK_SCHEMAS)
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
