/** Wires what a ledger is made of, and brings it up and down in order. What it offers is in `ledger.ts`. */
import { filter, firstValueFrom } from 'rxjs'
import { LedgerClosed, NoHandlers } from './errors.js'
import type { LedgerOptions, LedgerSettings } from './options.js'
import { checkLedgerOptions } from './options.js'
import type { Clock } from './ports/clock.js'
import type { Digest } from './ports/digest.js'
import type { EventStore } from './ports/event-store.js'
import { StoreUnavailable } from './ports/event-store.js'
import type { Gate } from './ports/gate.js'
import type { Host } from './ports/host.js'
import type { Ids } from './ports/ids.js'
import type { Isolation } from './ports/isolation.js'
import type { Logger } from './ports/logger.js'
import { silentLogger } from './ports/logger.js'
import type { Scope } from './ports/scope.js'
import type { Views } from './ports/views.js'
import { Dependencies } from './read/dependencies.js'
import { Feed } from './read/feed.js'
import { Outcomes } from './read/outcomes.js'
import { Queries } from './read/queries.js'
import { Bell } from './upkeep/bell.js'
import { Cascade } from './upkeep/cascade.js'
import { Checkpointer } from './upkeep/checkpointer.js'
import { Reaper } from './upkeep/reaper.js'
import { Removal } from './upkeep/removal.js'
import { Retention } from './upkeep/retention.js'
import { Supervisor } from './upkeep/supervisor.js'
import type { JobContext } from './work/context.js'
import { isRunnable, toRunnable } from './work/definition.js'
import { Inits } from './work/inits.js'
import { LeaseDesk } from './work/lease-desk.js'
import { LeaseProtocol } from './work/lease-protocol.js'
import { LogRelay } from './work/log-relay.js'
import { Payloads } from './work/payloads.js'
import type { WorkerOptions } from './work/worker.js'
import { Worker } from './work/worker.js'
import { WorkerDesk } from './work/worker-desk.js'
import type { Enqueueing } from './write/contract.js'
import { Enqueuer } from './write/enqueuer.js'
import { Journal } from './write/journal.js'
import { Retrier } from './write/retrier.js'

/** The world a ledger lives in. */
export interface LedgerPorts {
  readonly store: EventStore
  readonly views: Views
  readonly clock: Clock
  readonly ids: Ids
  readonly host: Host
  readonly digest: Digest
  readonly scope: Scope<JobContext>
  readonly isolation: Isolation
  /** Absent: always open. */
  readonly gate?: Gate
}

/** How long past its deadline `close` waits for the store to take what ends the runs (ms). */
const LAST_WORDS = 5_000

export class Engine {
  readonly ports: LedgerPorts
  readonly feed: Feed
  readonly journal: Journal
  readonly enqueuer: Enqueuer
  readonly queries: Queries
  readonly dependencies: Dependencies
  readonly outcomes: Outcomes
  readonly retrier: Retrier
  readonly removal: Removal
  readonly retention: Retention
  readonly desk: LeaseDesk
  readonly protocol: LeaseProtocol
  readonly workers: WorkerDesk
  readonly relay: LogRelay
  readonly #settings: LedgerSettings
  readonly #log: Logger
  readonly #checkpointer: Checkpointer
  readonly #supervisor: Supervisor
  readonly #payloads: Payloads
  readonly #inits: Inits
  #worker: Worker | undefined
  #starting: Promise<boolean> | undefined
  #closing: Promise<void> | undefined

  /** Throws InvalidOption, DuplicateType. */
  constructor(ports: LedgerPorts, options: LedgerOptions) {
    const settings = checkLedgerOptions(options)
    const { definitions, maxBodyBytes, queues, strict, conceal } = settings
    const { store, views, clock, ids, digest } = ports
    const { logger = silentLogger, codeVersion } = options
    this.ports = ports
    this.#settings = settings
    this.#log = logger
    this.feed = new Feed({ store, clock, logger })
    const { feed } = this
    this.journal = new Journal({ store, memory: feed, clock, ids })
    const { journal } = this
    this.#checkpointer = new Checkpointer({ store, views, feed, clock, logger })
    this.queries = new Queries({ store, views, feed, clock, sync: () => this.#checkpointer.rowsLeft() })
    const { queries } = this
    this.dependencies = new Dependencies(store, queries)
    this.outcomes = new Outcomes(feed, queries)
    this.enqueuer = new Enqueuer({
      ...{ journal, clock, ids, maxBodyBytes, codeVersion, queues, definitions, strict, conceal },
      removed: (ids) => queries.removed(ids),
      onSubmitted: (job) => this.#worker?.anticipate(job),
    })
    this.retrier = new Retrier(journal, queries)
    this.removal = new Removal({ feed, journal, queries, digest })
    const { removal } = this
    this.retention = new Retention(options.retention, {
      ...{ store, views, removal, clock, logger },
      sync: () => this.#checkpointer.save(),
    })
    this.#payloads = new Payloads(store)
    const payloads = this.#payloads
    this.desk = new LeaseDesk({
      ...{ feed, journal, clock, ids, payloads, queries, codeVersion },
      dependencies: this.dependencies,
      atomicGroups: store.capabilities.atomicGroups,
    })
    this.protocol = new LeaseProtocol({ desk: this.desk, journal, feed, clock, maxBodyBytes })
    this.workers = new WorkerDesk({ journal, feed, queries, clock, ids })
    this.relay = new LogRelay(clock)
    this.#inits = new Inits(logger, codeVersion)
    this.#supervisor = new Supervisor(clock, logger)
    ports.gate?.onOpen(() => journal.wake())
  }

  /** Brings the projections up to the end of the log, then begins its duties. Called once. */
  async open(): Promise<this> {
    const { clock, host } = this.ports
    const { feed, journal } = this
    await this.#checkpointer.load()
    await this.#catchUp()
    const { board } = feed
    const bell = new Bell()
    feed.pages$.subscribe(() => {
      if (board.doomed.size > 0) bell.ring()
    })
    const cascade = new Cascade(board, journal, bell)
    const isOurs = (token: string): boolean => this.#worker?.holds(token) ?? false
    const isOurWorker = (id: string): boolean => this.#worker?.id === id
    const reaper = new Reaper({ feed, journal, clock, host, log: this.#log, isOurs, isOurWorker })
    this.#supervisor.start({ name: 'cascade', run: (signal) => cascade.run(signal) })
    this.#supervisor.start({ name: 'reaper', run: (signal) => reaper.run(signal) })
    this.#supervisor.start({ name: 'checkpointer', run: (signal) => this.#checkpointer.run(signal) })
    this.#supervisor.start({ name: 'retention', run: (signal) => this.retention.runForever(signal) })
    return this
  }

  /** Later a feed that fails is started again; but who opens a log that cannot be read is told so. */
  async #catchUp(): Promise<void> {
    const caughtUp = firstValueFrom(this.feed.pages$)
    const failed = new Promise<never>((_, reject) => {
      const run = async (signal: AbortSignal): Promise<void> => {
        try {
          await this.feed.run(signal, () => this.#checkpointer.afterCatchUpPage())
        } catch (error) {
          reject(error)
          throw error
        }
      }
      this.#supervisor.start({ name: 'feed', run })
    })
    // Once caught up, a failure is the supervisor's business.
    failed.catch(() => {})
    try {
      await Promise.race([caughtUp, failed])
    } catch (error) {
      this.#supervisor.stop()
      throw error
    }
  }

  /**
   * Begins to lease and run jobs. False: it already does. Throws NoHandlers, InvalidOption, InitFailed. `ledger` is what
   * handlers are given.
   */
  async start(options: Omit<WorkerOptions, 'definitions' | 'queueCaps'>, ledger: Enqueueing): Promise<boolean> {
    const runnable = [...this.#settings.definitions.values()].filter(isRunnable)
    if (runnable.length === 0) throw new NoHandlers()
    if (this.#starting !== undefined) return this.#starting.then(() => false)
    const { maxBodyBytes, definitions: known } = this.#settings
    const world = { maxBodyBytes, job: (type: string) => known.get(type) }
    const definitions = new Map(runnable.map((each) => [each.type, toRunnable(each, this.ports.isolation, world)]))
    this.#starting = this.#startWorker({ ...options, definitions, queueCaps: this.#queueCaps() }, ledger)
    return this.#starting.catch((error) => {
      this.#starting = undefined
      throw error
    })
  }

  #queueCaps(): Map<string, number> {
    const caps = new Map<string, number>()
    for (const [queue, { concurrency }] of this.#settings.queues)
      if (concurrency !== undefined) caps.set(queue, concurrency)
    return caps
  }

  async #startWorker(options: WorkerOptions, ledger: Enqueueing): Promise<boolean> {
    const { clock, ids, host, scope, store, gate } = this.ports
    const { feed, journal, relay, dependencies } = this
    const { maxBodyBytes, codeVersion } = this.#settings
    const worker = new Worker(options, {
      ...{ feed, journal, clock, ids, host, relay, codeVersion, gate },
      log: this.#log,
      payloads: this.#payloads,
      attempts: {
        ...{ maxBodyBytes, ledger, scope, transactions: store.capabilities.transactions },
        dependencies: (job) => dependencies.results(job),
        dependencyErrors: (job) => dependencies.errors(job),
      },
    })
    await this.#inits.ready(options.definitions.values(), ledger)
    await worker.start()
    this.#worker = worker
    // From now on what is enqueued here is likely to run here.
    feed.events$
      .pipe(filter(({ type, data }) => type === 'Queued' && options.definitions.has((data as { type: string }).type)))
      .subscribe((event) => this.#payloads.remember(event))
    this.#supervisor.start({ name: 'dispatcher', run: (signal) => worker.run(signal) })
    return true
  }

  get isClosed(): boolean {
    return this.#closing !== undefined
  }

  /** Stops leasing, lets running jobs end, then gives back what is left. Idempotent. */
  close(deadlines: { readonly drainMs: number; readonly timeoutMs: number }): Promise<void> {
    this.#closing ??= this.#close(deadlines)
    return this.#closing
  }

  async #close({ drainMs, timeoutMs }: { readonly drainMs: number; readonly timeoutMs: number }): Promise<void> {
    const { clock, views, store } = this.ports
    this.desk.close(new LedgerClosed())
    // A little longer, so that leases can still be given back at the deadline itself.
    const cancel = clock.at(clock.now() + timeoutMs + LAST_WORDS, () => {
      this.journal.abandon(new StoreUnavailable('The store did not answer before the ledger was closed.'))
    })
    this.#inits.stop(new LedgerClosed())
    await this.#starting?.catch(() => {})
    await this.#worker?.stop(drainMs, timeoutMs)
    await this.ports.isolation.stop()
    await this.journal.idle()
    cancel()
    this.#supervisor.stop()
    await this.#checkpointer.save().catch((error) => this.#log.warn({ err: error }, 'views not saved'))
    this.outcomes.close()
    this.feed.close()
    await views.close()
    await store.close()
  }
}
