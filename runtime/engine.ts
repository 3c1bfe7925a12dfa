/** Wires what a ledger is made of, and brings it up and down in order. What it offers is in `ledger.ts`. */
import { firstValueFrom } from 'rxjs'
import { Archive } from './archive/archive.js'
import { Keeper } from './archive/keeper.js'
import { Auditor } from './audit/auditor.js'
import { Remains } from './audit/remains.js'
import { LedgerClosed, NoHandlers, ShuttingDown } from './errors.js'
import { Past } from './history/past.js'
import type { LedgerPorts } from './ledger-ports.js'
import type { LedgerOptions, LedgerSettings } from './options.js'
import { checkLedgerOptions } from './options.js'
import type { LogReader } from './ports/event-store.js'
import { StoreUnavailable } from './ports/event-store.js'
import type { Logger } from './ports/logger.js'
import { silentLogger } from './ports/logger.js'
import { Dependencies } from './read/dependencies.js'
import { Explainer } from './read/explainer.js'
import { Feed } from './read/feed.js'
import { Outcomes } from './read/outcomes.js'
import { Queries } from './read/queries.js'
import { Models } from './report/models.js'
import { Projections } from './report/projections.js'
import { checkTypes } from './start-options.js'
import { Firer } from './trigger/firer.js'
import { MissedCounts } from './trigger/missed-counts.js'
import { Requests } from './trigger/requests.js'
import { Checkpointer } from './upkeep/checkpointer.js'
import { Departures } from './upkeep/departures.js'
import { Removal } from './upkeep/removal.js'
import { Retention } from './upkeep/retention.js'
import { Scheduler } from './upkeep/scheduler.js'
import { standingDuties } from './upkeep/standing-duties.js'
import type { Duty } from './upkeep/supervisor.js'
import { Supervisor } from './upkeep/supervisor.js'
import { Caps, limitsOf } from './work/caps.js'
import { Claims } from './work/claims.js'
import { LeaseDesk } from './work/desk/lease-desk.js'
import { LeaseProtocol } from './work/desk/lease-protocol.js'
import { WorkerDesk } from './work/desk/worker-desk.js'
import type { FleetPlan } from './work/fleet.js'
import { Fleet } from './work/fleet.js'
import { KeyRoom } from './work/key-room.js'
import { QueueLimits } from './work/queue-limits.js'
import type { JobDefinition } from './work/run/definition.js'
import { checkDefinition, checkModule, isRunnable, toRunnable } from './work/run/definition.js'
import { Inits } from './work/run/inits.js'
import type { JobTypes } from './work/run/job-types.js'
import { LogRelay } from './work/run/log-relay.js'
import { Payloads } from './work/run/payloads.js'
import { SuspectLane } from './work/suspects.js'
import type { Deadlines } from './work/worker.js'
import type { Enqueueing } from './write/contract.js'
import { Enqueuer } from './write/enqueuer.js'
import { OrderedAppends } from './write/in-order/ordered-appends.js'
import { Journal } from './write/journal.js'
import { Retrier } from './write/retrier.js'

/** How long past its deadline `close` waits for the store to take what ends the runs (ms). */
const LAST_WORDS = 5_000

const SCHEDULER = 'scheduler'
const AUDIT = 'audit'

export class Engine {
  readonly ports: LedgerPorts
  /** All there ever was, wherever it lies now. */
  readonly wholeLog: LogReader
  readonly archive: Archive
  readonly keeper: Keeper
  readonly past: Past
  readonly feed: Feed
  readonly journal: Journal
  readonly enqueuer: Enqueuer
  readonly queries: Queries
  readonly dependencies: Dependencies
  readonly outcomes: Outcomes
  readonly explainer: Explainer
  readonly retrier: Retrier
  readonly removal: Removal
  readonly retention: Retention
  readonly auditor: Auditor
  readonly desk: LeaseDesk
  readonly protocol: LeaseProtocol
  readonly workers: WorkerDesk
  readonly firer: Firer
  readonly requests: Requests
  readonly relay: LogRelay
  readonly models: Models
  readonly projections: Projections
  readonly types: JobTypes
  readonly settings: LedgerSettings
  readonly #log: Logger
  readonly checkpointer: Checkpointer
  readonly #supervisor: Supervisor
  readonly #payloads: Payloads
  readonly #keys: KeyRoom
  readonly #fleet: Fleet
  readonly #runtime: string
  readonly #inits: Inits
  readonly #scheduler: Scheduler
  readonly #missed: MissedCounts
  readonly #ordered: OrderedAppends
  readonly #departures: Departures
  #closing: Promise<void> | undefined

  /** Throws InvalidOption, DuplicateType. */
  constructor(ports: LedgerPorts, options: LedgerOptions) {
    const settings = checkLedgerOptions(options)
    const { types, maxBodyBytes, queues, strict, conceal } = settings
    const { store, views, clock, ids, digest } = ports
    const { logger = silentLogger, codeVersion } = options
    this.ports = ports
    this.archive = new Archive({ store, folder: ports.archive, segmentOf: (id) => this.queries.segmentOf(id) })
    const { log, streams } = this.archive
    this.wholeLog = log
    this.settings = settings
    this.types = types
    this.#runtime = ids.uuid()
    this.#log = logger
    this.feed = new Feed({ store: streams, clock, logger })
    const { feed } = this
    this.#ordered = new OrderedAppends({ store: streams, known: feed, clock, ids })
    const appending = store.capabilities.atomicGroups ? streams : this.#ordered
    this.journal = new Journal({ store: appending, memory: feed, clock, ids })
    const { journal } = this
    this.checkpointer = new Checkpointer({ store: streams, views, feed, clock, logger })
    this.queries = new Queries({ store, log, views, feed, clock, sync: () => this.checkpointer.rowsLeft() })
    const { queries } = this
    this.past = new Past({ log, logId: store.logId, kept: views.past, queries, logger })
    this.dependencies = new Dependencies(log, queries)
    this.outcomes = new Outcomes(feed, queries)
    const limits = new QueueLimits(limitsOf(queues), feed)
    const runtime = this.#runtime
    this.explainer = new Explainer({ log: this.wholeLog, ...{ feed, queries, clock, maxBodyBytes, runtime, limits } })
    this.enqueuer = new Enqueuer({
      ...{ journal, clock, ids, maxBodyBytes, codeVersion, queues, strict, conceal },
      ...{ definitions: types.definitions, overrides: types.overrides },
      removed: (ids) => queries.removed(ids),
      burnt: (stream) => queries.burnt(stream),
      onSubmitted: (job) => this.#fleet.anticipate(job),
    })
    this.retrier = new Retrier(journal, queries)
    const remains = new Remains({ store, log: this.wholeLog, feed, digest })
    this.#departures = new Departures({ store, journal, feed, queries, remains })
    const departures = store.capabilities.atomicGroups ? undefined : this.#departures
    const { catalogue } = this.archive
    this.keeper = new Keeper({ store, journal, ids, digest, remains, catalogue, folder: ports.archive, clock })
    this.removal = new Removal({ feed, journal, queries, digest, remains, departures, keeper: this.keeper })
    const { removal } = this
    this.retention = new Retention(options.retention, {
      ...{ store, views, removal, clock, logger },
      sweep: (metadata) => this.keeper.sweep(metadata),
      sync: () => this.checkpointer.save(),
    })
    const { logId } = store
    const { signatures } = ports
    const lingers = store.capabilities.hidesRemoved === false || !store.capabilities.atomicGroups
    const { archive } = this
    const audited = { logId, log, archive, lingers, journal, feed, queries, clock, ids, digest, signatures }
    this.auditor = new Auditor({ ...audited, settings: settings.audit })
    this.#payloads = new Payloads(store)
    this.#keys = new KeyRoom(feed, journal)
    const payloads = this.#payloads
    this.desk = new LeaseDesk({
      ...{ feed, journal, clock, ids, payloads, queries, codeVersion },
      room: this.#keys,
      dependencies: this.dependencies,
    })
    this.protocol = new LeaseProtocol({ desk: this.desk, journal, feed, clock, maxBodyBytes })
    this.workers = new WorkerDesk({ journal, feed, queries, clock, ids })
    const { definitions } = types
    const { desk, enqueuer } = this
    const missed = new MissedCounts(clock)
    this.#missed = missed
    this.firer = new Firer({ store: streams, journal, feed, enqueuer, definitions, maxBodyBytes, missed, log: logger })
    const { firer } = this
    this.requests = new Requests({ firer, feed, queries, enqueuer, desk, definitions, clock, ids, maxBodyBytes })
    this.#scheduler = new Scheduler({ feed, clock, log: logger, firer, definitions, runtime: this.#runtime })
    this.relay = new LogRelay(clock)
    const reading = {
      open: ports.readModels,
      store,
      log: this.wholeLog,
      clock,
      logger,
      digest,
      search: () => types.searchPaths,
    }
    this.models = new Models(reading)
    const { models } = this
    this.projections = new Projections({ ...reading, definitions: settings.projections, models, pages$: feed.pages$ })
    this.#inits = new Inits(logger, codeVersion)
    this.#supervisor = new Supervisor(clock, logger)
    ports.gate?.onOpen(() => journal.wake())
    this.#fleet = new Fleet({
      ...{ clock, feed, log: logger, supervisor: this.#supervisor },
      claims: new Claims({ feed, clock, host: ports.host, runtime: this.#runtime }),
      surroundings: { overrides: types.overrides, shared: this.#sharedCaps(limits) },
    })
  }

  /** Whatever pools there are: limits of a process. */
  #sharedCaps(queues: QueueLimits): Caps[] {
    const types = limitsOf(this.types.overrides)
    const byType = types.size === 0 ? [] : [new Caps(({ type }) => type, types)]
    return [new Caps(({ queue }) => queue, queues), ...byType]
  }

  /** Brings the projections up to the end of the log, then begins its duties. Called once. */
  async open(): Promise<this> {
    const { clock, host, store } = this.ports
    const { feed, journal, queries } = this
    await this.checkpointer.load()
    if (!(await this.archive.load(feed))) this.checkpointer.startOver()
    await this.#catchUp()
    const duties = standingDuties({
      ...{ feed, journal, queries, clock, host, log: this.#log },
      halfDone: store.capabilities.atomicGroups ? undefined : { appends: this.#ordered, departures: this.#departures },
      isOurs: (token) => this.#fleet.holds(token),
      isOurWorker: (id) => this.#fleet.employs(id),
    })
    for (const duty of [...duties, ...this.#ownDuties()]) this.#supervisor.start(duty)
    return this
  }

  #ownDuties(): Duty[] {
    const { scheduler, reports } = this.settings
    const scheduling: Duty = { name: SCHEDULER, run: (signal) => this.#scheduler.run(signal) }
    const reporting: Duty[] = [
      { name: 'reports', run: (signal) => this.models.run(signal) },
      { name: 'projections', run: (signal) => this.projections.keepUp(signal) },
    ]
    return [
      { name: 'checkpointer', run: (signal) => this.checkpointer.run(signal) },
      ...(scheduler ? [scheduling] : []),
      ...(reports ? reporting : []),
      { name: 'retention', run: (signal) => this.retention.runForever(signal) },
    ]
  }

  /** Later a feed that fails is started again; but who opens a log that cannot be read is told so. */
  async #catchUp(): Promise<void> {
    const caughtUp = firstValueFrom(this.feed.pages$)
    const failed = new Promise<never>((_, reject) => {
      const run = async (signal: AbortSignal): Promise<void> => {
        try {
          await this.feed.run(signal, () => this.checkpointer.afterCatchUpPage())
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
   * Begins to lease and run jobs. False: it already does. `ledger` is what handlers are given. Throws NoHandlers, InvalidOption,
   * InitFailed.
   */
  async start(plan: FleetPlan, ledger: Enqueueing): Promise<boolean> {
    const { runnable } = this.types
    if (runnable.length === 0) throw new NoHandlers()
    checkTypes(plan, new Set(runnable.map(({ type }) => type)))
    const { clock, ids, host, scope, store, gate } = this.ports
    const { feed, journal, relay, dependencies } = this
    const { maxBodyBytes, codeVersion } = this.settings
    const started = await this.#fleet.start(
      plan,
      runnable.map((definition) => this.#toRun(definition)),
      {
        ...{
          feed,
          journal,
          clock,
          ids,
          host,
          relay,
          codeVersion,
          payloads: this.#payloads,
          runtime: this.#runtime,
          gate,
        },
        prepare: async (types) => {
          const definitions = [...types]
          for (const each of definitions) checkModule(each, this.ports.isolation)
          await this.#inits.ready(definitions, ledger)
        },
        suspects: new SuspectLane(feed.board),
        keys: this.#keys,
        attempts: {
          ...{ maxBodyBytes, ledger, scope, transactions: store.capabilities.transactions },
          dependencies: (job) => dependencies.results(job),
          dependencyErrors: (job) => dependencies.errors(job),
        },
      },
    )
    if (started && this.auditor.isPeriodic)
      this.#supervisor.start({ name: AUDIT, run: (signal) => this.auditor.run(signal) })
    return started
  }

  /** As `openLedger` was told. */
  async autoStart(ledger: Enqueueing): Promise<void> {
    const { autoStart } = this.settings
    if (autoStart !== undefined) await this.start(autoStart, ledger)
  }

  /** Stops leasing, lets running jobs end, then gives back what is left. False: nothing was started. */
  async stop(deadlines: Deadlines): Promise<boolean> {
    this.#inits.stop(new ShuttingDown())
    this.#supervisor.end(AUDIT)
    const stopped = await this.#fleet.stop(deadlines)
    if (stopped) await this.ports.isolation.stop()
    return stopped
  }

  /** One more type, also for pools that work already. Throws InvalidOption, DuplicateType, InitFailed. */
  async register(definition: JobDefinition): Promise<void> {
    checkDefinition(definition, 'register')
    if (this.#fleet.works) checkModule(definition, this.ports.isolation)
    this.types.add(definition, 'register')
    if (!isRunnable(definition)) return
    try {
      await this.#fleet.takeUp(this.#toRun(definition))
    } catch (error) {
      this.types.drop(definition)
      throw error
    }
  }

  /** With a handler, in this process or in one of its children. */
  #toRun(definition: JobDefinition): ReturnType<typeof toRunnable> {
    const { definitions } = this.types
    const world = { maxBodyBytes: this.settings.maxBodyBytes, job: (type: string) => definitions.get(type) }
    return toRunnable(definition, this.ports.isolation, world)
  }

  get isClosed(): boolean {
    return this.#closing !== undefined
  }

  /** Stops leasing, lets running jobs end, then gives back what is left. Idempotent. */
  close(deadlines: Deadlines): Promise<void> {
    this.#closing ??= this.#close(deadlines)
    return this.#closing
  }

  async #close(deadlines: Deadlines): Promise<void> {
    const { clock, views, store, lent = false } = this.ports
    this.desk.close(new LedgerClosed())
    // A little longer, so that leases can still be given back at the deadline itself.
    const cancel = clock.at(clock.now() + deadlines.timeoutMs + LAST_WORDS, () => {
      this.journal.abandon(new StoreUnavailable('The store did not answer before the ledger was closed.'))
    })
    this.#inits.stop(new LedgerClosed())
    await this.#fleet.close(deadlines)
    await this.ports.isolation.stop()
    this.#supervisor.end(SCHEDULER)
    this.#missed.stop()
    await this.#scheduler.idle()
    await this.journal.idle()
    cancel()
    this.#supervisor.stop()
    await this.checkpointer.end()
    await this.projections.close()
    await this.models.close()
    this.outcomes.close()
    this.feed.close()
    if (lent) return
    await views.close()
    await store.close()
  }
}
