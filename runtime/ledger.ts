/** Wires the engine and shows what it offers; everything that is decided or done is elsewhere. */
import type { Observable } from 'rxjs'
import { filter, firstValueFrom } from 'rxjs'
import { InvalidOption } from '../domain/errors.js'
import type { RecordedEvent } from '../domain/event.js'
import { LedgerClosed, NoHandlers } from './errors.js'
import type { CloseOptions, LedgerOptions, StartOptions } from './options.js'
import { checkCancelOptions, checkCloseOptions, checkLedgerOptions, checkStartOptions } from './options.js'
import type { Clock } from './ports/clock.js'
import type { EventStore } from './ports/event-store.js'
import { StoreUnavailable } from './ports/event-store.js'
import type { Host } from './ports/host.js'
import type { Ids } from './ports/ids.js'
import type { Logger } from './ports/logger.js'
import { silentLogger } from './ports/logger.js'
import type { Views } from './ports/views.js'
import { Feed } from './read/feed.js'
import { Outcomes } from './read/outcomes.js'
import type { HistoryEntry, JobPage, JobStatus, ListFilter, QueueCounts } from './read/queries.js'
import { Queries } from './read/queries.js'
import { Cascade } from './upkeep/cascade.js'
import { Checkpointer } from './upkeep/checkpointer.js'
import { Reaper } from './upkeep/reaper.js'
import { Supervisor } from './upkeep/supervisor.js'
import { Bell } from './work/bell.js'
import type { JobDefinition } from './work/definition.js'
import { Payloads } from './work/payloads.js'
import { Worker } from './work/worker.js'
import type { EnqueueOutcome } from './write/commands.js'
import * as commands from './write/commands.js'
import type { EnqueueOptions } from './write/enqueue-options.js'
import { Enqueuer } from './write/enqueuer.js'
import { Journal } from './write/journal.js'

/** The world a ledger lives in. */
export interface LedgerPorts {
  readonly store: EventStore
  readonly views: Views
  readonly clock: Clock
  readonly ids: Ids
  readonly host: Host
}

/** A job that was just enqueued. */
export interface JobHandle<Result = unknown> {
  readonly id: string
  /** `duplicate`: a job with this id and this content was there already. */
  readonly outcome: EnqueueOutcome
  /** What the handler returns. Rejects with JobFailed, JobCancelled, or the signal's reason. */
  result(options?: { readonly signal?: AbortSignal }): Promise<Result>
}

/** One element of `enqueueMany`. */
export interface BatchElement<Payload = unknown> {
  readonly job: JobDefinition<Payload, unknown>
  readonly payload: Payload
  readonly options?: EnqueueOptions
}

export interface CancelOptions {
  /** Refuse when the job runs (JobRunning). */
  readonly ifIdle?: boolean
  /** `ignore`: answer false instead of throwing JobEnded. */
  readonly ifEnded?: 'ignore'
  /** Recorded with the cancel. */
  readonly reason?: string
}

/** How long past its deadline `close` waits for the store to take what ends the runs (ms). */
const LAST_WORDS = 5_000

export class Ledger implements AsyncDisposable {
  readonly #ports: LedgerPorts
  readonly #definitions: Map<string, JobDefinition>
  readonly #log: Logger
  readonly #feed: Feed
  readonly #journal: Journal
  readonly #enqueuer: Enqueuer
  readonly #queries: Queries
  readonly #outcomes: Outcomes
  readonly #checkpointer: Checkpointer
  readonly #supervisor: Supervisor
  readonly #payloads: Payloads
  readonly #workerSettings: { readonly maxBodyBytes: number; readonly codeVersion: string | undefined }
  #worker: Worker | undefined
  #starting: Promise<boolean> | undefined
  #closing: Promise<void> | undefined

  /** Use `openLedger`. Throws InvalidOption, DuplicateType. */
  constructor(ports: LedgerPorts, options: LedgerOptions) {
    const { definitions, maxBodyBytes } = checkLedgerOptions(options)
    const { store, views, clock, ids } = ports
    const { logger = silentLogger, codeVersion } = options
    this.#ports = ports
    this.#definitions = definitions
    this.#log = logger
    this.#workerSettings = { maxBodyBytes, codeVersion }
    this.#feed = new Feed({ store, clock, logger })
    this.#journal = new Journal({ store, memory: this.#feed, clock, ids })
    this.#enqueuer = new Enqueuer({
      journal: this.#journal,
      clock,
      ids,
      maxBodyBytes,
      codeVersion,
      onSubmitted: (job) => this.#worker?.anticipate(job),
    })
    this.#checkpointer = new Checkpointer({ store, views, feed: this.#feed, clock, logger })
    this.#queries = new Queries({ store, views, feed: this.#feed, clock, sync: () => this.#checkpointer.rowsLeft() })
    this.#outcomes = new Outcomes(this.#feed, this.#queries)
    this.#payloads = new Payloads(store)
    this.#supervisor = new Supervisor(clock, logger)
  }

  /** Brings the projections up to the end of the log. Called once, by `openLedger`. */
  async open(): Promise<this> {
    const { clock, host } = this.#ports
    await this.#checkpointer.load()
    await this.#catchUp()
    const { board } = this.#feed
    const bell = new Bell()
    this.#feed.pages$.subscribe(() => {
      if (board.doomed.size > 0) bell.ring()
    })
    const cascade = new Cascade(board, this.#journal, bell)
    const reaper = new Reaper({
      feed: this.#feed,
      journal: this.#journal,
      clock,
      host,
      log: this.#log,
      isOurs: (token) => this.#worker?.holds(token) ?? false,
    })
    this.#supervisor.start({ name: 'cascade', run: (signal) => cascade.run(signal) })
    this.#supervisor.start({ name: 'reaper', run: (signal) => reaper.run(signal) })
    this.#supervisor.start({ name: 'checkpointer', run: (signal) => this.#checkpointer.run(signal) })
    return this
  }

  /** Later a feed that fails is started again; but who opens a log that cannot be read is told so. */
  async #catchUp(): Promise<void> {
    const caughtUp = firstValueFrom(this.#feed.pages$)
    const failed = new Promise<never>((_, reject) => {
      const run = async (signal: AbortSignal): Promise<void> => {
        try {
          await this.#feed.run(signal, () => this.#checkpointer.afterCatchUpPage())
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
   * Every event of the log from now on, as this process folds it. Bodies only of what this process wrote.
   * Completes when the ledger closes.
   */
  get events$(): Observable<RecordedEvent> {
    return this.#feed.events$
  }

  readonly queues: { stats(): Promise<Readonly<Record<string, QueueCounts>>> } = {
    stats: async () => {
      this.#refuseClosed()
      return Object.fromEntries(this.#queries.stats())
    },
  }

  /** Begins to lease and run jobs. False: it already does. Throws NoHandlers, InvalidOption, LedgerClosed. */
  async start(options: StartOptions = {}): Promise<boolean> {
    this.#refuseClosed()
    const settings = checkStartOptions(options)
    if (this.#definitions.size === 0) throw new NoHandlers()
    if (this.#starting !== undefined) return this.#starting.then(() => false)
    this.#starting = this.#startWorker({ ...settings, definitions: this.#definitions })
    return this.#starting.catch((error) => {
      this.#starting = undefined
      throw error
    })
  }

  async #startWorker(options: ConstructorParameters<typeof Worker>[0]): Promise<boolean> {
    const { clock, ids, host } = this.#ports
    const worker = new Worker(options, {
      feed: this.#feed,
      journal: this.#journal,
      clock,
      ids,
      host,
      log: this.#log,
      payloads: this.#payloads,
      dependencies: (job) => this.#queries.dependencies(job),
      ...this.#workerSettings,
    })
    await worker.start()
    this.#worker = worker
    // From now on what is enqueued here is likely to run here.
    this.#feed.events$
      .pipe(filter((event) => event.type === 'Queued' && this.#definitions.has((event.data as { type: string }).type)))
      .subscribe((event) => this.#payloads.remember(event))
    this.#supervisor.start({ name: 'dispatcher', run: (signal) => worker.run(signal) })
    return true
  }

  /**
   * Resolves once the job is durable.
   * Throws InvalidOption, InvalidPayload, JobExists, DependencyUnknown, DependencyCycle, StoreUnavailable, LedgerClosed.
   */
  async enqueue<Payload, Result>(
    job: JobDefinition<Payload, Result>,
    payload: Payload,
    options?: EnqueueOptions,
  ): Promise<JobHandle<Result>> {
    this.#refuseClosed()
    const [enqueued] = await this.#enqueuer.enqueue([{ job, payload, options }], () => 'enqueue')
    return this.#handle(enqueued as { id: string; outcome: EnqueueOutcome })
  }

  /** All or none, in one step; elements may be of different types and may depend on each other. Errors name the element. */
  async enqueueMany(batch: readonly BatchElement[]): Promise<JobHandle[]> {
    this.#refuseClosed()
    if (!Array.isArray(batch)) throw new InvalidOption('enqueueMany', 'an array of { job, payload, options }', batch)
    if (batch.length === 0) return []
    const enqueued = await this.#enqueuer.enqueue(batch as BatchElement[], (index) => `enqueueMany[${index}]`)
    return enqueued.map((job) => this.#handle(job))
  }

  #handle<Result>({ id, outcome }: { id: string; outcome: EnqueueOutcome }): JobHandle<Result> {
    return { id, outcome, result: (options) => this.result(id, options) as Promise<Result> }
  }

  /** Waits for the end of any job, whichever process runs it. Throws JobFailed, JobCancelled, JobUnknown, LedgerClosed. */
  async result(id: string, options: { readonly signal?: AbortSignal } = {}): Promise<unknown> {
    this.#refuseClosed()
    return this.#outcomes.result(id, options.signal)
  }

  /** Throws JobUnknown. */
  async status(id: string): Promise<JobStatus> {
    this.#refuseClosed()
    return this.#queries.status(id)
  }

  /** Every event of a job's life, oldest first. Throws JobUnknown. */
  async history(id: string): Promise<HistoryEntry[]> {
    this.#refuseClosed()
    return this.#queries.history(id)
  }

  /** Jobs, newest first. Throws InvalidOption. */
  async list(filter?: ListFilter): Promise<JobPage> {
    this.#refuseClosed()
    return this.#queries.list(filter)
  }

  /**
   * Ends a job that has not ended; a running one is told through its signal and its result is refused.
   * True: cancelled. Throws JobUnknown, JobEnded, JobRunning.
   */
  async cancel(id: string, options: CancelOptions = {}): Promise<boolean> {
    this.#refuseClosed()
    checkCancelOptions(options)
    const { ifIdle, ifEnded, reason } = options
    const command = { by: 'operator', ...(ifIdle && { ifIdle }), ...(reason !== undefined && { reason }) } as const
    return this.#journal.submit(commands.cancel(id, command, ifEnded === 'ignore'))
  }

  /** Sends an ended job round again: its attempts start afresh, its history stays. Throws JobUnknown, JobNotEnded. */
  async retry(id: string): Promise<void> {
    this.#refuseClosed()
    const { state } = await this.#queries.read(id)
    return this.#journal.submit(
      commands.retry(
        id,
        state.dependsOn.map((edge) => edge.id),
      ),
    )
  }

  /** Resolves when the store answers. */
  async ping(): Promise<void> {
    this.#refuseClosed()
    return this.#ports.store.ping()
  }

  /** Stops leasing, lets running jobs end, then gives back what is left. Idempotent. */
  async close(options: CloseOptions = {}): Promise<void> {
    // First: a wrong option closes nothing.
    const deadlines = checkCloseOptions(options)
    this.#closing ??= this.#close(deadlines)
    return this.#closing
  }

  async #close({ drainMs, timeoutMs }: ReturnType<typeof checkCloseOptions>): Promise<void> {
    const { clock } = this.#ports
    // A little longer, so that leases can still be given back at the deadline itself.
    const cancel = clock.at(clock.now() + timeoutMs + LAST_WORDS, () => {
      this.#journal.abandon(new StoreUnavailable('The store did not answer before the ledger was closed.'))
    })
    await this.#starting?.catch(() => {})
    await this.#worker?.stop(drainMs, timeoutMs)
    await this.#journal.idle()
    cancel()
    this.#supervisor.stop()
    await this.#checkpointer.save().catch((error) => this.#log.warn({ err: error }, 'views not saved'))
    this.#outcomes.close()
    this.#feed.close()
    await this.#ports.views.close()
    await this.#ports.store.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #refuseClosed(): void {
    if (this.#closing !== undefined) throw new LedgerClosed()
  }
}
