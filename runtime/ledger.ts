/** What a ledger does, beside what it tells. Everything that is decided or done is elsewhere. */
import type { Observable } from 'rxjs'
import type { Duration } from '../domain/duration.js'
import type { Metadata, RecordedEvent } from '../domain/event.js'
import { JobUnknown } from '../domain/rejection.js'
import { Archives } from './archives.js'
import { Audit } from './audit.js'
import { toName } from './checks.js'
import { DeadLetters } from './dead-letters.js'
import { Engine } from './engine.js'
import { JobSkipped, LedgerClosed } from './errors.js'
import type { LedgerPorts } from './ledger-ports.js'
import { LedgerReads } from './ledger-reads.js'
import type { CancelOptions, CloseOptions, LedgerOptions, RescheduleOptions } from './options.js'
import { checkCancelOptions, checkCloseOptions, checkRemoveOptions, toRescheduleCommand } from './options.js'
import { Queues } from './queues.js'
import type { StartOptions } from './start-options.js'
import { checkStartOptions } from './start-options.js'
import type { TransactionalLedger } from './transactional.js'
import { checkBatch, elementOf, transactional } from './transactional.js'
import type { PublishedEvent, PublishOutcome } from './trigger/published.js'
import { Triggers } from './triggers.js'
import type { RemoveOptions } from './upkeep/removal.js'
import type { RetentionReport, RetentionRun } from './upkeep/retention.js'
import type { JobLease, LeaseOptions } from './work/desk/lease-desk.js'
import type { FailOptions, HeartbeatOptions, LeasedJob, StaleLease } from './work/desk/lease-protocol.js'
import type { PauseOptions, RegisterOptions, WorkerInfo, WorkerRemoveOptions } from './work/desk/worker-desk.js'
import type { JobDefinition } from './work/run/definition.js'
import type { TypeInfo } from './work/run/job-types.js'
import type { LogLine } from './work/run/log-relay.js'
import * as commands from './write/commands.js'
import type { BatchElement, Enqueueing, EnqueueOptions, JobHandle, JobType } from './write/contract.js'
import type { Enqueued } from './write/enqueue-command.js'
import type { EnqueueSpec } from './write/enqueuer.js'
import type { Actor, Speaker } from './write/speaker.js'
import { speakerOf, toActor } from './write/speaker.js'

export class Ledger extends LedgerReads implements AsyncDisposable, Enqueueing {
  readonly #own: Engine
  readonly #actor: Actor | undefined

  /** Of each family of calls. */
  readonly #parts: readonly [engine: () => Engine, speaker: () => Speaker] = [() => this.#engine, () => this.#speaker]

  private constructor(engine: Engine, actor?: Actor) {
    super(() => this.#engine)
    this.#own = engine
    this.#actor = actor
  }

  /** Use `openLedger`. Throws InvalidOption, DuplicateType, DuplicatePool; with `autoStart` also what `start` throws. */
  static async open(ports: LedgerPorts, options: LedgerOptions): Promise<Ledger> {
    const engine = await new Engine(ports, options).open()
    const ledger = new Ledger(engine)
    try {
      await engine.autoStart(ledger)
    } catch (error) {
      await ledger.close({ drain: 0, timeout: 0 })
      throw error
    }
    return ledger
  }

  /** Throws LedgerClosed. */
  get #engine(): Engine {
    if (this.#own.isClosed) throw new LedgerClosed()
    return this.#own
  }

  /** Who speaks: the actor of `as`, in the course of the run that this is called from. */
  get #speaker(): Speaker {
    const job = this.#own.ports.scope.current()
    if (job === undefined) return speakerOf(this.#actor, undefined)
    const { id, correlationId, user, trace, triggers } = job
    const origin =
      user === undefined && trace === undefined ? undefined : { ...(user !== undefined && { user }), ...trace }
    return speakerOf(this.#actor, { id, correlationId, origin, triggers })
  }

  /** The same ledger, speaking for somebody: its deeds say who and why, its jobs for whom. Throws InvalidOption. */
  as(actor: Actor): Ledger {
    return new Ledger(this.#own, toActor(actor))
  }

  /**
   * Every event of the log from now on, as this process folds it. Bodies only of what this process wrote.
   * Completes when the ledger closes.
   */
  get events$(): Observable<RecordedEvent> {
    return this.#own.feed.events$
  }

  /** What the handler of this job writes with `ctx.log`, in this process and from now on. Does not complete by itself. */
  logs(id: string): Observable<LogLine> {
    return this.#engine.relay.lines(toName(id, 'logs.id'))
  }

  /**
   * Begins to lease and run jobs. False: it already does. Throws NoHandlers, InitFailed, InvalidOption, DuplicatePool,
   * StoreUnavailable, LedgerClosed.
   */
  async start(options: StartOptions = {}): Promise<boolean> {
    // Handlers act in the course of their own runs, not for whoever has started them.
    const unspoken = this.#actor === undefined ? this : new Ledger(this.#engine)
    return this.#engine.start(checkStartOptions(options), unspoken)
  }

  /**
   * Stops leasing, lets running jobs end, gives back what is left; `start` may follow. False: nothing was started.
   * Throws InvalidOption, LedgerClosed.
   */
  async stop(options: CloseOptions = {}): Promise<boolean> {
    return this.#engine.stop(checkCloseOptions(options, 'stop'))
  }

  /**
   * One more job type; pools that already work and name no types run it from now on. Resolves once they do.
   * Throws InvalidOption, DuplicateType, InitFailed, LedgerClosed; the type is not known then.
   */
  async register(job: JobDefinition): Promise<void> {
    return this.#engine.register(job)
  }

  /** The job types that this process knows, with what holds for them here. */
  types(): TypeInfo[] {
    return this.#engine.types.list()
  }

  /**
   * Resolves once the job is durable. Throws InvalidOption, InvalidPayload, UnknownType, RoleRequired, EnqueueRefused,
   * RateLimited, JobExists, DependencyUnknown, DependencyCycle, StoreUnavailable, LedgerClosed.
   */
  async enqueue<Payload, Result>(
    job: JobType<Payload, Result>,
    payload: Payload,
    options?: EnqueueOptions,
  ): Promise<JobHandle<Result>> {
    const [enqueued] = await this.#engine.enqueuer.enqueue([{ job, payload, options }], this.#speaker, () => 'enqueue')
    return this.#handle(enqueued as Enqueued)
  }

  /** All or none, in one step; elements may be of different types and may depend on each other. Errors name the element. */
  async enqueueMany(batch: readonly BatchElement[]): Promise<JobHandle[]> {
    const { enqueuer } = this.#engine
    checkBatch(batch)
    if (batch.length === 0) return []
    const enqueued = await enqueuer.enqueue(batch as readonly EnqueueSpec[], this.#speaker, elementOf)
    return enqueued.map((job) => this.#handle(job))
  }

  /**
   * The caller's own transaction; `handle` is the store's (SQLite: an open Database of better-sqlite3 on the same file, with a
   * transaction begun). Throws StoreRefused where there are none.
   */
  tx(handle: unknown): TransactionalLedger {
    const { enqueuer, ports } = this.#engine
    const speaker = (): Speaker => this.#speaker
    return transactional({
      enqueuer,
      transaction: ports.store.within(handle),
      speaker,
      toHandle: (job) => this.#handle(job),
    })
  }

  #handle<Result>({ id, outcome }: Enqueued): JobHandle<Result> {
    if (outcome === 'skipped') return { id, outcome, result: async () => Promise.reject(new JobSkipped(id)) }
    return { id, outcome, result: (options) => this.result(id, options) as Promise<Result> }
  }

  /** Of a job that was removed the log knows nothing any more: its tombstone answers. */
  async #deed<A>(id: string, deed: Promise<A>): Promise<A> {
    try {
      return await deed
    } catch (error) {
      // Throws JobRemoved or JobArchived if that is why.
      if (error instanceof JobUnknown && error.jobId === id) await this.#own.queries.readLive(id)
      throw error
    }
  }

  /** Waits for the end of any job, whichever process runs it. Throws JobFailed, JobCancelled, JobUnknown, JobRemoved, LedgerClosed. */
  async result(id: string, options: { readonly signal?: AbortSignal } = {}): Promise<unknown> {
    return this.#engine.outcomes.result(id, options.signal)
  }

  /**
   * Ends a job that has not ended; a running one is told through its signal and its result is refused.
   * True: cancelled. Throws JobUnknown, JobEnded, JobRunning.
   */
  async cancel(id: string, options: CancelOptions = {}): Promise<boolean> {
    const { journal } = this.#engine
    checkCancelOptions(options)
    const { ifIdle, ifEnded, reason = this.#actor?.reason } = options
    const command = { by: 'operator', ...(ifIdle && { ifIdle }), ...(reason !== undefined && { reason }) } as const
    return this.#deed(id, journal.submit(commands.cancel(id, command, ifEnded === 'ignore'), this.#speaker.metadata))
  }

  /**
   * Sends an ended job round again: its attempts start afresh, its history stays. Lets a held one go.
   * Throws JobUnknown, JobRemoved, JobNotEnded, JobExpunged, JobNotUnique.
   */
  async retry(id: string): Promise<void> {
    return this.#engine.retrier.retry(id, this.#speaker.metadata)
  }

  /** Changes when a waiting job runs, or its priority. Throws InvalidOption, JobUnknown, JobRunning, JobEnded. */
  async reschedule(id: string, options: RescheduleOptions): Promise<void> {
    const { journal, ports } = this.#engine
    const change = toRescheduleCommand(options, ports.clock.now())
    return this.#deed(id, journal.submit(commands.reschedule(id, change), this.#speaker.metadata))
  }

  /** Lets a held or scheduled job run as soon as its dependencies allow. Throws JobUnknown, JobRunning, JobEnded. */
  async promote(id: string): Promise<void> {
    return this.#deed(id, this.#engine.journal.submit(commands.promote(id), this.#speaker.metadata))
  }

  /**
   * Takes a job out of the log for good; one that waits is cancelled first. What is left is how it ended. Answers with the
   * ids of all that was removed. Throws JobUnknown, JobRemoved, JobRunning, JobNeeded.
   */
  async remove(id: string, options: RemoveOptions = {}): Promise<string[]> {
    const { removal } = this.#engine
    checkRemoveOptions(options)
    return removal.remove(id, options, this.#speaker.metadata)
  }

  /**
   * Erases payload, results and errors of an ended job for good; the facts stay. False: nothing was left to erase.
   * Throws JobUnknown, JobRemoved, JobNotEnded.
   */
  async expunge(id: string): Promise<boolean> {
    return this.#engine.removal.expunge(id, 'operator', this.#speaker.metadata)
  }

  readonly queues: Queues = new Queues(
    () => this.#engine,
    () => this.#speaker,
  )

  readonly audit: Audit = new Audit(() => this.#engine)

  readonly triggers: Triggers = new Triggers(...this.#parts)

  /**
   * Something has happened to a document of yours: triggers of kind `event` that it matches fire. Resolves once each has
   * answered and that is durable. What matches none is not recorded. Throws InvalidOption, InvalidPayload, StoreUnavailable,
   * LedgerClosed.
   */
  async publish(event: PublishedEvent): Promise<PublishOutcome[]> {
    return this.#engine.requests.publish(event, this.#speaker)
  }

  readonly deadLetters: DeadLetters = new DeadLetters(...this.#parts)

  readonly retention: { run(options?: RetentionRun): Promise<RetentionReport> } = {
    run: async (options) => this.#engine.retention.run(options, this.#speaker.metadata),
  }

  readonly archive: Archives = new Archives(...this.#parts)

  /** Who speaks, for the events of a deed. */
  get #spoken(): Metadata | undefined {
    return this.#speaker.metadata
  }

  /** Those that are handlers in some process, and those that speak through the lease protocol. */
  readonly workers: {
    register(options?: RegisterOptions): Promise<string>
    touch(workerId: string): Promise<void>
    list(options?: { readonly olderThan?: Duration }): Promise<WorkerInfo[]>
    pause(workerId: string, options?: PauseOptions): Promise<void>
    resume(workerId: string): Promise<void>
    remove(workerId: string, options?: WorkerRemoveOptions): Promise<void>
  } = {
    register: async (options) => this.#engine.workers.register(options),
    touch: async (workerId) => this.#engine.workers.touch(workerId),
    list: async (options) => this.#engine.workers.list(options),
    pause: async (workerId, options) => this.#engine.workers.pause(workerId, options, this.#spoken),
    resume: async (workerId) => this.#engine.workers.resume(workerId, this.#spoken),
    remove: async (workerId, options) => this.#engine.workers.remove(workerId, options, this.#spoken),
  }

  /** Waits for a job. Throws WorkerUnknown, LeaseTimeout, InvalidOption, LedgerClosed, or the signal's reason. */
  async lease(options: LeaseOptions): Promise<JobLease> {
    return this.#engine.desk.lease(options)
  }

  /** Leases this very job, at once. Throws JobNotPending, JobUnknown, JobRemoved, WorkerUnknown, InvalidOption. */
  async leaseById(id: string, workerId: string, options: Pick<LeaseOptions, 'lease'> = {}): Promise<JobLease> {
    return this.#engine.desk.leaseById(id, workerId, options)
  }

  /** The job behind a token, also for a while after a cancel. Throws LeaseLost. */
  async jobOf(token: string): Promise<LeasedJob> {
    return this.#engine.protocol.jobOf(token)
  }

  /** Extends the lease. Throws LeaseLost, InvalidOption. */
  async heartbeat(token: string, options?: HeartbeatOptions): Promise<void> {
    return this.#engine.protocol.heartbeat(token, options)
  }

  /** Ends the job as succeeded. Throws LeaseLost, InvalidPayload. */
  async finish(token: string, result?: unknown): Promise<void> {
    return this.#engine.protocol.finish(token, result, this.#speaker.metadata)
  }

  /** A failed attempt; the job's policy says what follows. Throws LeaseLost, InvalidOption. */
  async fail(token: string, error: unknown, options?: FailOptions): Promise<void> {
    return this.#engine.protocol.fail(token, error, options, this.#speaker.metadata)
  }

  /** True: it runs again; false: it was re-run `maxRetries` times already and has ended. Throws LeaseLost, InvalidOption. */
  async requeueOrFinish(token: string, maxRetries: number, result?: unknown): Promise<boolean> {
    return this.#engine.protocol.requeueOrFinish(token, maxRetries, result, this.#speaker.metadata)
  }

  /** Ends a job that was never leased as failed. Throws JobUnknown, JobRunning, JobEnded, JobNotPending. */
  async failUnstarted(id: string, result?: unknown): Promise<void> {
    return this.#deed(id, this.#engine.protocol.failUnstarted(id, result, this.#speaker.metadata))
  }

  /** Leases whose last sign of life is strictly longer ago than this; longest silence first. Throws InvalidOption. */
  async staleLeases(olderThan: Duration): Promise<StaleLease[]> {
    const { protocol, queries } = this.#engine
    await queries.catchUp()
    return protocol.staleLeases(olderThan)
  }

  /** Resolves when the store answers. */
  async ping(): Promise<void> {
    return this.#engine.ports.store.ping()
  }

  /** Stops leasing, lets running jobs end, then gives back what is left. Idempotent. Throws InvalidOption. */
  async close(options: CloseOptions = {}): Promise<void> {
    // First: a wrong option closes nothing.
    const deadlines = checkCloseOptions(options)
    return this.#own.close(deadlines)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
