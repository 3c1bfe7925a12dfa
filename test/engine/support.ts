/** A world for engine tests: a place that keeps a log, time that stands still, and every ledger opened in it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { filter, firstValueFrom } from 'rxjs'
import { openEventStore } from '../../adapters/eventstore/event-store.js'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import { currentJobScope } from '../../adapters/node/current-job.js'
import { nodeDigest } from '../../adapters/node/digest.js'
import { nodeHost } from '../../adapters/node/host.js'
import { PooledIds } from '../../adapters/node/ids.js'
import { ChildPool } from '../../adapters/node/isolation/pool.js'
import { nodeSignatures } from '../../adapters/node/signatures.js'
import { openLedger } from '../../adapters/open-ledger.js'
import { openPostgresStore } from '../../adapters/postgres/event-store.js'
import { openPostgresStorage } from '../../adapters/postgres/storage.js'
import { openSqliteStore } from '../../adapters/sqlite/event-store.js'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import { watched } from '../../adapters/testing/watched.js'
import type { RecordedEvent } from '../../domain/event.js'
import { Ledger } from '../../runtime/ledger.js'
import type { CloseOptions, LedgerOptions } from '../../runtime/options.js'
import type { Clock } from '../../runtime/ports/clock.js'
import type { EventStore } from '../../runtime/ports/event-store.js'
import type { Ids } from '../../runtime/ports/ids.js'
import type { Logger } from '../../runtime/ports/logger.js'
import type { ReadModels } from '../../runtime/ports/read-models.js'
import type { Views } from '../../runtime/ports/views.js'
import type { HistoryEntry } from '../../runtime/read/queries.js'
import { freshLog } from '../support/eventstore/logs.js'
import { freshSchema } from '../support/postgres.js'
import { PatientClock, Watch } from './patient-clock.js'

/** Where a log is kept, and how to get at it. */
interface Place {
  /** The file of a store that has one. */
  readonly path?: string
  /** Default: one that waits for stores in this process only. */
  readonly clock?: VirtualClock
  open(options: LedgerOptions, clock: Clock, ids: Ids): Promise<Ledger>
  /** The log itself, beside every ledger. */
  store(): Promise<EventStore>
  remove(): Promise<void>
}

export interface Backend {
  readonly name: string
  create(): Promise<Place>
}

/** Its `close` does nothing: what is in memory outlives the ledgers on it. */
export function keptOpen<Thing extends object>(thing: Thing): Thing {
  return new Proxy(thing, {
    get(target, key) {
      if (key === 'close') return async () => {}
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

export const randomIds = (clock: Clock): Ids => new PooledIds(clock, (buffer) => void crypto.getRandomValues(buffer))

/** A ledger on a given store. */
export function ledgerOn(
  store: EventStore,
  views: Views,
  clock: Clock,
  options: LedgerOptions = {},
  ids: Ids = randomIds(clock),
  readModels?: () => Promise<ReadModels>,
): Promise<Ledger> {
  const adapters = { host: nodeHost, digest: nodeDigest, signatures: nodeSignatures, scope: currentJobScope }
  const world = { clock, ids, ...adapters, readModels }
  return Ledger.open({ store, views, ...world, isolation: new ChildPool(clock) }, options)
}

const inMemory = (name: string, atomicGroups: boolean): Backend => ({
  name,
  async create() {
    const store = keptOpen(new MemoryEventStore({ atomicGroups }))
    const views = keptOpen(new MemoryViews())
    return {
      open: (options, clock, ids) => ledgerOn(store, views, clock, options, ids),
      store: async () => store,
      remove: async () => {},
    }
  },
})

export const memory: Backend = inMemory('memory:', true)
/** As EventStoreDB does. */
export const oneStreamAtATime: Backend = inMemory('memory: that appends to one stream at a time', false)

export const sqlite: Backend = {
  name: 'sqlite:',
  async create() {
    const folder = await mkdtemp(join(tmpdir(), 'jobledger-engine-'))
    const path = join(folder, 'jobs.db')
    const stores: EventStore[] = []
    return {
      path,
      open: (options, clock, ids) =>
        openLedger({ url: `sqlite:${path}`, durability: 'normal', clock, ids, ...options }),
      async store() {
        const store = await openSqliteStore(path, { durability: 'normal' })
        stores.push(store)
        return store
      },
      async remove() {
        for (const store of stores) await store.close()
        await rm(folder, { recursive: true, force: true })
      },
    }
  },
}

/** Needs a server: see `missingPostgres`. */
export const postgres: Backend = {
  name: 'postgres:',
  async create() {
    const schema = await freshSchema()
    const watch = new Watch()
    const stores: EventStore[] = []
    return {
      clock: new PatientClock(watch),
      async open(options, clock, ids) {
        const { store, views, readModels } = await openPostgresStorage(schema.url, { durability: 'normal' })
        const models = async (): Promise<ReadModels> => watched(await readModels(), watch)
        return ledgerOn(watched(store, watch), watched(views, watch), clock, options, ids, models)
      },
      async store() {
        const store = await openPostgresStore(schema.url, { durability: 'normal' })
        stores.push(store)
        return store
      },
      async remove() {
        for (const store of stores) await store.close()
        await schema.drop()
      },
    }
  },
}

/** `server`: its URL, asked when the first log is made. `tidy`: what becomes of a log when its test is over. */
export function eventstore(server: () => string, tidy: (url: string) => Promise<void> = async () => {}): Backend {
  return {
    name: 'esdb:',
    async create() {
      const url = freshLog(server())
      const watch = new Watch()
      const stores: EventStore[] = []
      return {
        clock: new PatientClock(watch),
        open: async (options, clock, ids) =>
          ledgerOn(watched(await openEventStore(url), watch), new MemoryViews(), clock, options, ids),
        async store() {
          const store = await openEventStore(url)
          stores.push(store)
          return store
        },
        async remove() {
          for (const store of stores) await store.close()
          await tidy(url)
        },
      }
    },
  }
}

export interface LogLine {
  readonly level: string
  readonly facts: Record<string, unknown>
  readonly message: string
}

/** A logger that keeps what it is told. */
export function listeningLogger(lines: LogLine[], bindings: object = {}): Logger {
  const at = (level: string) => (facts: object, message: string) =>
    void lines.push({ level, facts: { ...bindings, ...facts }, message })
  return {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('fatal'),
    child: (more) => listeningLogger(lines, { ...bindings, ...more }),
  }
}

interface WorldOptions extends LedgerOptions {
  readonly clock?: VirtualClock
  readonly ids?: Ids
}

export class World implements AsyncDisposable {
  readonly clock: VirtualClock
  readonly log: LogLine[] = []
  readonly #place: Place
  readonly #ledgers: Ledger[] = []
  readonly #clocks = new Set<VirtualClock>()

  private constructor(place: Place) {
    this.#place = place
    this.clock = place.clock ?? new VirtualClock()
    this.#clocks.add(this.clock)
  }

  static async create(backend: Backend): Promise<World> {
    return new World(await backend.create())
  }

  /** One more ledger on the same log. */
  async open({ clock = this.clock, ids = randomIds(clock), ...options }: WorldOptions = {}): Promise<Ledger> {
    const ledger = await this.#place.open({ logger: listeningLogger(this.log), ...options }, clock, ids)
    this.#ledgers.push(ledger)
    this.#clocks.add(clock)
    return ledger
  }

  store(): Promise<EventStore> {
    return this.#place.store()
  }

  /** The file of the log, for handles of a test's own. */
  get path(): string {
    if (this.#place.path === undefined) throw new Error('this log is in no file')
    return this.#place.path
  }

  /** Closes while time passes: who waits for a deadline gets there. */
  async close(ledger: Ledger, options: CloseOptions = {}): Promise<void> {
    await this.pass(ledger.close(options))
  }

  /** Lets time pass until something has happened. */
  async pass<Answer>(happening: Promise<Answer>): Promise<Answer> {
    let over = false
    const watched = happening.finally(() => {
      over = true
    })
    watched.catch(() => {})
    while (!over) await this.clock.advance('1s')
    return watched
  }

  async [Symbol.asyncDispose](): Promise<void> {
    let over = false
    const closing = Promise.allSettled(this.#ledgers.map((ledger) => ledger.close({ drain: 0, timeout: 0 })))
    void closing.then(() => {
      over = true
    })
    while (!over) for (const clock of this.#clocks) await clock.advance('1s')
    await this.#place.remove()
  }
}

/** A promise that somebody else settles. */
export interface Gate<Value = void> {
  readonly promise: Promise<Value>
  open(value: Value): void
}

export function gate<Value = void>(): Gate<Value> {
  let open: (value: Value) => void = () => {}
  const promise = new Promise<Value>((resolve) => {
    open = resolve
  })
  return { promise, open }
}

export function never(): Promise<never> {
  return new Promise(() => {})
}

/** The next event of a job of this type that the ledger folds. Ask before it can happen. */
export function next(ledger: Ledger, id: string, type: string): Promise<RecordedEvent> {
  return firstValueFrom(ledger.events$.pipe(filter((event) => event.stream === `job-${id}` && event.type === type)))
}

/** What a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('it was not refused')
}

export async function typesOf(ledger: Ledger, id: string): Promise<string[]> {
  return (await ledger.history(id)).map(({ type }) => type)
}

/** The facts of all events of one type in a job's history. */
export async function factsOf(ledger: Ledger, id: string, type: string): Promise<Record<string, unknown>[]> {
  return (await ledger.history(id)).filter((entry) => entry.type === type).map(toFacts)
}

const toFacts = ({ at, data, body }: HistoryEntry): Record<string, unknown> => ({ at, ...data, body })

/** Whether the log holds any job at all, by either way of asking. */
export async function isEmpty(ledger: Ledger): Promise<boolean> {
  const { jobs } = await ledger.list()
  return jobs.length === 0 && Object.keys(await ledger.queues.stats()).length === 0
}

/** Leases a waiting job for a worker that no ledger here knows. */
export async function leaseElsewhere(
  store: EventStore,
  clock: Clock,
  id: string,
  { token, expiresAt }: { readonly token: string; readonly expiresAt: number },
): Promise<void> {
  const stream = `job-${id}`
  const events: RecordedEvent[] = []
  for await (const page of store.readStream(stream)) events.push(...page)
  const run = events.filter(({ type }) => type === 'Leased').length + 1
  const data = { token, workerId: 'somebody-else', run, attempt: 1, expiresAt }
  const [outcome] = await store.append([
    {
      expect: new Map([[stream, events.length - 1]]),
      events: [{ stream, id: crypto.randomUUID(), type: 'Leased', at: clock.now(), data }],
    },
  ])
  if (outcome?.kind !== 'ok') throw new Error(`the lease was not stored: ${outcome?.kind}`)
}
