import { InvalidOption } from '../domain/errors.js'
import { toText } from '../runtime/checks.js'
import { Ledger } from '../runtime/ledger.js'
import type { LedgerOptions } from '../runtime/options.js'
import { checkLedgerOptions } from '../runtime/options.js'
import type { Clock } from '../runtime/ports/clock.js'
import type { EventStore } from '../runtime/ports/event-store.js'
import type { Gate } from '../runtime/ports/gate.js'
import type { Ids } from '../runtime/ports/ids.js'
import { type Logger, silentLogger } from '../runtime/ports/logger.js'
import type { ReadModels } from '../runtime/ports/read-models.js'
import type { Scope } from '../runtime/ports/scope.js'
import type { Views } from '../runtime/ports/views.js'
import type { JobContext } from '../runtime/work/run/context.js'
import { systemClock } from './node/clock.js'
import { currentJobScope, noScope } from './node/current-job.js'
import { nodeDigest } from './node/digest.js'
import { findFile, NodeFolder } from './node/folder.js'
import { nodeHost } from './node/host.js'
import { PooledIds } from './node/ids.js'
import { ChildPool } from './node/isolation/pool.js'
import { nodeSignatures } from './node/signatures.js'
import type { Pool } from './postgres/driver.js'
import { archiveBeside, sqlitePath, URL_FORMS, withoutPassword } from './shared/urls.js'

export interface OpenLedgerOptions extends LedgerOptions {
  /**
   * `memory:` (nothing survives the process), `sqlite:<path>` or `postgres://<user>@<host>/<database>` (its tables are in the
   * schema `jobledger`, or in that of `?schema=`). Default `sqlite:./jobledger.db`.
   * `esdb://<user>:<password>@<host>:2113` or `esdb+discover://<name>`: EventStoreDB or KurrentDB, with the options that its own
   * clients know (`?tls=false`). `&prefix=orders` makes all streams begin with `orders.`. Views are in an SQLite file of this
   * machine, `./<prefix, or jobledger>-esdb-views-<log>.db` or that of `&views=<path>`; it may be deleted at any time.
   */
  readonly url?: string
  /** A Pool of pg, in place of a `postgres:` URL, for at least four connections. It stays open when the ledger closes. */
  readonly pool?: Pool
  /** A store of another make, in place of a `url`; `jobledger/conformance` tells whether it is one. It stays open when the ledger closes. */
  readonly store?: EventStore
  /** Where to keep the views of such a `store`; stays open, too. Default: in memory, so that each opening reads the whole log. */
  readonly views?: Views
  /**
   * `full` (default): what is answered survives a power cut. `normal`: it survives a crash of the process, a power cut may take
   * the last moments.
   */
  readonly durability?: 'full' | 'normal'
  /**
   * The folder with the sealed segments of `archive.run`; made when there are any. Without it what lies there cannot be read.
   * Default: for `sqlite:<path>` the folder `<path>-archive`; none for other stores.
   */
  readonly archive?: string
  /**
   * Whether `currentJob()` answers inside handlers, and what they enqueue through a ledger inherits user, trace and
   * correlation. Default true; Node's bookkeeping for it costs a short asynchronous run up to a third of its speed.
   */
  readonly currentJob?: boolean
  /** Default: the real one. A virtual one makes time pass in tests. */
  readonly clock?: Clock
  /** Default: random. A seeded one repeats a run. */
  readonly ids?: Ids
}

export interface Storage {
  readonly store: EventStore
  readonly views: Views
  readonly readModels?: () => Promise<ReadModels>
}

/** Opens, and where there is none yet creates, a ledger. Throws InvalidOption, StoreUnusable, StoreUnavailable. */
export async function openLedger(options: OpenLedgerOptions = {}): Promise<Ledger> {
  if (typeof options !== 'object' || options === null) throw new InvalidOption('openLedger', 'an object', options)
  const { url, pool, store, views, durability, archive, currentJob = true, ...others } = options
  const { clock = systemClock, ids = randomIds(clock), ...rest } = others
  if (durability !== undefined && durability !== 'full' && durability !== 'normal') {
    throw new InvalidOption('openLedger.durability', '"full" or "normal"', durability)
  }
  if (typeof currentJob !== 'boolean') throw new InvalidOption('openLedger.currentJob', 'true or false', currentJob)
  // First: a wrong option opens nothing.
  checkLedgerOptions(rest)
  checkMethods(clock, ['now', 'at', 'soon'], 'openLedger.clock')
  checkMethods(ids, ['uuid', 'draw', 'salt'], 'openLedger.ids')
  checkPlace(options)
  if (archive !== undefined && toText(archive, 'openLedger.archive') === '')
    throw new InvalidOption('openLedger.archive', 'the path of a folder', archive)
  const place = pool ?? url ?? 'sqlite:./jobledger.db'
  const storage =
    store === undefined
      ? await openStorage(place, storeOptions(durability, rest.logger))
      : await lentStorage(store, views)
  try {
    const scope = currentJob ? currentJobScope : noScope
    const world = {
      clock,
      ids,
      host: nodeHost,
      digest: nodeDigest,
      signatures: nodeSignatures,
      files: findFile,
      scope,
      isolation: new ChildPool(clock),
    }
    const folder = archive ?? (store === undefined ? archiveBeside(place) : undefined)
    const lent = { lent: store !== undefined, ...(folder !== undefined && { archive: new NodeFolder(folder) }) }
    return await Ledger.open({ ...storage, ...world, ...lent }, rest)
  } catch (error) {
    if (store === undefined) await closeStorage(storage)
    throw error
  }
}

async function closeStorage({ store, views }: Storage): Promise<void> {
  await views.close()
  await store.close()
}

/** A world made for a test. */
export interface OwnWorld {
  readonly clock: Clock
  /** Fills a buffer with random bytes. */
  readonly fill: (buffer: Uint8Array) => void
  readonly gate?: Gate
  /** What is to stand before what is kept in memory, or in its place. Default: nothing. */
  readonly before?: (memory: Storage) => Storage
}

export interface OwnLedger {
  readonly ledger: Ledger
  readonly store: EventStore
  readonly ids: Ids
  /** Tells in the course of which run something is called. */
  readonly scope: Scope<JobContext>
}

/** For the testing kit: a ledger in memory, in a world of the caller's. Throws InvalidOption, DuplicateType. */
export async function openInWorld(world: OwnWorld, options: LedgerOptions): Promise<OwnLedger> {
  const { clock, fill, gate } = world
  checkLedgerOptions(options)
  const memory = await openMemory()
  const storage = world.before?.(memory) ?? memory
  // The log is in this process: no worker's process is ever gone, and none need be looked for.
  const host = { ...nodeHost, isGone: () => false }
  const own = {
    clock,
    host,
    digest: nodeDigest,
    signatures: nodeSignatures,
    files: findFile,
    scope: currentJobScope,
    isolation: new ChildPool(clock),
  }
  const ids = new PooledIds(clock, fill)
  const ports = { ...own, ...storage, ids, ...(gate !== undefined && { gate }) }
  const ledger = await Ledger.open(ports, options)
  return { ledger, store: storage.store, ids, scope: currentJobScope }
}

function checkMethods(given: object, methods: readonly string[], option: string): void {
  const has = (method: string): boolean => typeof (given as Record<string, unknown> | null)?.[method] === 'function'
  if (!methods.every(has)) throw new InvalidOption(option, `an object with ${methods.join(', ')}`, given)
}

function randomIds(clock: Clock): Ids {
  return new PooledIds(clock, (buffer) => void crypto.getRandomValues(buffer))
}

/** One listens, one appends, one saves views, and one reads what they are made of: with fewer they would wait for each other. */
const LEAST_CONNECTIONS = 4
const POOL = ['connect', 'end', 'on']
const READING = ['readStream', 'readAll', 'subscribe', 'head', 'positionAt', 'sizes', 'ping']
const STORE = ['append', ...READING, 'erase', 'remove', 'truncate', 'within', 'close']
const KEPT = ['checkpoint', 'live', 'texts', 'atOneMoment', 'list', 'ended', 'dependents', 'removed', 'segments']
const VIEWS = [...KEPT, 'save', 'close']

/** Where the log is, is said once. */
function checkPlace({ url, pool, store, views, durability }: OpenLedgerOptions): void {
  if (pool !== undefined) {
    if (url !== undefined) throw new InvalidOption('openLedger.pool', 'left out where there is a `url`', pool)
    checkMethods(pool, POOL, 'openLedger.pool')
    const max = pool.options?.max ?? LEAST_CONNECTIONS
    if (max < LEAST_CONNECTIONS) {
      throw new InvalidOption('openLedger.pool.options.max', `at least ${LEAST_CONNECTIONS} connections`, max)
    }
  }
  if (store !== undefined) checkStore(store, { url, pool, durability })
  if (views === undefined) return
  if (store === undefined) throw new InvalidOption('openLedger.views', 'left out where there is no `store`', views)
  checkMethods(views, VIEWS, 'openLedger.views')
}

function checkStore(store: EventStore, others: Readonly<Record<string, unknown>>): void {
  for (const [option, given] of Object.entries(others)) {
    if (given === undefined) continue
    throw new InvalidOption(`openLedger.${option}`, 'left out where there is a `store`', withoutPassword(given))
  }
  checkMethods(store, STORE, 'openLedger.store')
  const { logId, capabilities } = store
  if (typeof logId !== 'string' || logId === '') {
    throw new InvalidOption('openLedger.store.logId', 'the uuid of the log', logId)
  }
  for (const name of ['atomicGroups', 'transactions', 'erase', 'durable'] as const) {
    const has: unknown = capabilities?.[name]
    if (typeof has === 'boolean') continue
    throw new InvalidOption(`openLedger.store.capabilities.${name}`, 'true or false', has)
  }
}

async function lentStorage(store: EventStore, views: Views | undefined): Promise<Storage> {
  const readModels = sqliteReadModels(':memory:')
  if (views !== undefined) return { store, views, readModels }
  const { MemoryViews } = await import('./memory/views.js')
  return { store, views: new MemoryViews(), readModels }
}

/** What the adapters of our own are told. */
interface StoreOptions {
  readonly durability: 'full' | 'normal'
  readonly onUnreadable: (position: string, error: Error) => void
  readonly logger: Logger
}

function storeOptions(durability: 'full' | 'normal' = 'full', logger: Logger = silentLogger): StoreOptions {
  const onUnreadable = (position: string, error: Error): void =>
    logger.error({ err: error, position }, 'event skipped: its record cannot be read')
  return { durability, onUnreadable, logger }
}

/** A log and its views, without a ledger on them. `onUnreadable` is called for each record that readers skip. */
export function openStorageAt(
  url: string,
  { logger, onUnreadable }: Pick<StoreOptions, 'logger' | 'onUnreadable'>,
): Promise<Storage> {
  return openStorage(url, { durability: 'full', logger, onUnreadable })
}

/** Adapters are loaded when their URL is used: nobody pays for a store that is not asked for. */
async function openStorage(place: string | Pool, options: StoreOptions): Promise<Storage> {
  if (typeof place === 'object' && place !== null) return openPostgres(place, options)
  const [, scheme, rest = ''] = /^([a-z+]+):(.*)$/s.exec(typeof place === 'string' ? place : '') ?? []
  if (scheme === 'memory' && rest === '') return openMemory()
  const path = sqlitePath(place)
  if (path !== undefined) return openSqlite(path, options)
  if (scheme === 'postgres' || scheme === 'postgresql') return openPostgres(place, options)
  if (scheme === 'esdb' || scheme === 'esdb+discover') return openEventStoreDB(place, options)
  throw new InvalidOption('openLedger.url', URL_FORMS, withoutPassword(place))
}

async function openMemory(): Promise<Storage> {
  const { MemoryEventStore } = await import('./memory/event-store.js')
  const { MemoryViews } = await import('./memory/views.js')
  return { store: new MemoryEventStore(), views: new MemoryViews(), readModels: sqliteReadModels(':memory:') }
}

/** Opened when first asked for: most processes need none. */
function sqliteReadModels(path: string, log?: string): () => Promise<ReadModels> {
  return async () => {
    const { openSqliteReadModels } = await import('./sqlite/read-models.js')
    return openSqliteReadModels(path, log)
  }
}

async function openPostgres(where: string | Pool, options: StoreOptions): Promise<Storage> {
  const { openPostgresStorage } = await import('./postgres/storage.js')
  return openPostgresStorage(where, options)
}

async function openSqlite(path: string, { durability, onUnreadable }: StoreOptions): Promise<Storage> {
  const { openSqliteStore } = await import('./sqlite/event-store.js')
  const { openSqliteViews } = await import('./sqlite/views.js')
  const store = await openSqliteStore(path, { durability, onUnreadable })
  try {
    return {
      store,
      views: await openSqliteViews(`${path}-views`),
      readModels: sqliteReadModels(`${path}-reports`, path),
    }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** The views are a file of this machine: nothing but the log is in the store. Every process that uses the file shares it. */
async function openEventStoreDB(url: string, options: StoreOptions): Promise<Storage> {
  const { openEventStore, viewsOf } = await import('./eventstore/event-store.js')
  const { openSqliteViews } = await import('./sqlite/views.js')
  const store = await openEventStore(url, options)
  try {
    const path = viewsOf(url, store.logId)
    return { store, views: await openSqliteViews(path), readModels: sqliteReadModels(`${path}-reports`) }
  } catch (error) {
    await store.close()
    throw error
  }
}
