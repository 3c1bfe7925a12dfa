import type { Subscription } from 'rxjs'
import type { JobState, Lease } from '../../domain/job/evolve.js'
import { LeaseLost } from '../../domain/rejection.js'
import type { JobChange } from '../../projections/job-board.js'
import { ShuttingDown } from '../errors.js'
import type { Clock } from '../ports/clock.js'
import { delay } from '../ports/clock.js'
import { StoreUnavailable } from '../ports/event-store.js'
import type { Gate } from '../ports/gate.js'
import type { Host } from '../ports/host.js'
import type { Ids } from '../ports/ids.js'
import type { Logger } from '../ports/logger.js'
import type { Feed } from '../read/feed.js'
import type { Command } from '../write/command.js'
import type { Ending } from '../write/commands.js'
import * as commands from '../write/commands.js'
import type { NewJob } from '../write/enqueue-command.js'
import type { Journal } from '../write/journal.js'
import * as workers from '../write/worker-commands.js'
import type { AttemptOutcome, AttemptServices } from './attempt.js'
import { Attempt } from './attempt.js'
import type { Recorded } from './commits.js'
import { Commits, endOf, lossBy } from './commits.js'
import type { RunnableDefinition } from './definition.js'
import { Dispatcher } from './dispatcher.js'
import { LeaseKeeper } from './lease-keeper.js'
import type { LogRelay } from './log-relay.js'
import type { Brief, Payloads } from './payloads.js'
import { QueueCaps } from './queue-caps.js'
import type { WorkerActor } from './worker-actor.js'
import { createWorkerActor } from './worker-actor.js'

/** Pause before an outcome is written again that the store could not record (ms). */
const RECORD_PAUSE = 500

/** How long past the last deadline the hooks `commit` of runs that were given back then are waited for (ms). */
const COMMIT_PATIENCE = 2_000

export interface WorkerOptions {
  readonly definitions: ReadonlyMap<string, RunnableDefinition>
  readonly concurrency: number
  readonly leaseMs: number
  readonly queues: readonly string[] | undefined
  /** Runs at once by queue, for those that say so. */
  readonly queueCaps: ReadonlyMap<string, number>
}

export interface WorkerServices {
  readonly feed: Feed
  readonly journal: Journal
  readonly clock: Clock
  readonly ids: Ids
  readonly host: Host
  readonly log: Logger
  readonly payloads: Payloads
  readonly codeVersion: string | undefined
  readonly relay: LogRelay
  readonly gate: Gate | undefined
  readonly attempts: Pick<
    AttemptServices,
    'maxBodyBytes' | 'transactions' | 'ledger' | 'scope' | 'dependencies' | 'dependencyErrors'
  >
}

/** A pool of slots in this process: leases jobs, runs their handlers, records how they end. */
export class Worker {
  readonly id: string
  readonly #options: WorkerOptions
  readonly #services: WorkerServices
  readonly #log: Logger
  readonly #running = new Map<string, Attempt>()
  readonly #recording = new Set<Promise<Recorded>>()
  readonly #attemptServices: AttemptServices
  readonly #dispatcher: Dispatcher
  readonly #caps: QueueCaps
  readonly #commits: Commits
  readonly #keeper: LeaseKeeper
  readonly #actor: WorkerActor
  readonly #closing = new AbortController()
  #subscriptions: Subscription[] = []
  #leasing = false
  #deadlines = { drainMs: 0, timeoutMs: 0 }
  #emptied: (() => void) | undefined
  /** The wait that all outcomes share which could not be recorded. */
  #pause: Promise<void> | undefined
  /** Why it could not make itself known. */
  #failure: Error | undefined

  constructor(options: WorkerOptions, services: WorkerServices) {
    const { clock, ids, feed, journal, codeVersion, payloads, relay, gate, attempts } = services
    this.id = ids.uuid()
    this.#options = options
    this.#services = services
    this.#log = services.log.child({ workerId: this.id })
    this.#attemptServices = {
      ...attempts,
      clock,
      log: (job) => relay.wrap(this.#log.child({ jobId: job.id, jobType: job.type, run: job.run }), job),
      heartbeat: (attempt, progress, partial) => this.#beat(attempt, progress, partial),
      retime: (attempt) => this.#keeper.watch(attempt),
    }
    this.#keeper = new LeaseKeeper({
      clock,
      running: this.#running,
      leaseMs: options.leaseMs,
      beat: (attempt) =>
        void this.#beat(attempt).catch((error) => this.#log.warn({ err: error }, 'heartbeat not recorded')),
    })
    this.#caps = new QueueCaps(options.queueCaps)
    this.#commits = new Commits({ clock, feed, onSettled: (attempt) => this.#vacate(attempt) })
    this.#dispatcher = new Dispatcher({
      caps: this.#caps,
      board: feed.board,
      journal,
      clock,
      ids,
      log: this.#log,
      workerId: this.id,
      leaseMs: options.leaseMs,
      codeVersion,
      accepts: ({ type, queue }) => options.definitions.has(type) && (options.queues?.includes(queue) ?? true),
      free: () =>
        this.#leasing && (gate?.isOpen ?? true) ? options.concurrency - this.#running.size - this.#commits.size : 0,
      fetch: (job) => payloads.fetch(job),
      begin: (job, lease, brief) => this.#begin(job, lease, () => brief ?? payloads.load(job)),
    })
    this.#actor = createWorkerActor(
      this.id,
      { register: () => this.#register(), drain: () => this.#drain(), stop: () => this.#signOff() },
      this.#log,
    )
  }

  holds(token: string): boolean {
    return this.#running.has(token)
  }

  /** A job that is being enqueued in this tick; it is leased along if it may run at once and nothing is before it. */
  anticipate({ id, facts, unique }: NewJob): void {
    const { type, queue, channel = '', runAt, held, dependsOn } = facts
    if (runAt === undefined && !held && dependsOn === undefined && unique === undefined)
      this.#dispatcher.anticipate(id, { type, queue, channel })
  }

  /** The dispatch loop, for the supervisor: once before each flush, until it throws or `signal` aborts. */
  run(signal: AbortSignal): Promise<never> {
    const { journal } = this.#services
    return new Promise((_, reject) => {
      const end = (reason: unknown): void => {
        stop()
        reject(reason)
      }
      const stop = journal.beforeFlush(() => {
        try {
          this.#dispatcher.dispatch()
          // A lease that was refused may have been the last thing under way.
          if (this.#running.size === 0) this.#emptied?.()
        } catch (error) {
          end(error)
        }
      })
      signal.addEventListener('abort', () => end(signal.reason), { once: true })
    })
  }

  /** Resolves once the worker is known in the log and leases; rejects when it cannot be recorded. */
  start(): Promise<void> {
    this.#actor.start()
    return this.#reach('active')
  }

  /** Lets runs end until `drainMs`, then aborts them, waits until `timeoutMs`, gives back what is left. */
  stop(drainMs: number, timeoutMs: number): Promise<void> {
    this.#deadlines = { drainMs, timeoutMs }
    this.#actor.send({ type: 'stop' })
    return this.#reach('stopped')
  }

  #reach(state: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const { value } = this.#actor.getSnapshot()
        if (value === state) resolve()
        else if (value === 'stopped') reject(this.#failure ?? new Error('the worker stopped'))
      }
      this.#actor.subscribe({ next: look, complete: look })
      look()
    })
  }

  async #register(): Promise<void> {
    const { feed, journal, host, codeVersion } = this.#services
    const { definitions, queues, concurrency } = this.#options
    try {
      const types = [...definitions.keys()]
      await journal.submit(
        workers.register(this.id, { process: host.identity(), types, queues, concurrency, codeVersion }),
      )
    } catch (error) {
      this.#failure = error as Error
      throw error
    }
    this.#subscriptions = [
      feed.pages$.subscribe(() => this.#services.journal.wake()),
      feed.changes$.subscribe((change) => this.#follow(change)),
    ]
    this.#leasing = true
    this.#services.journal.wake()
  }

  #begin(job: JobState, lease: Lease, load: () => Brief | Promise<Brief>): void {
    const attempt = new Attempt(job, lease, this.#keeper.beatAfter(lease.at), this.#attemptServices, (ended, outcome) =>
      this.#ended(ended, outcome),
    )
    this.#running.set(lease.token, attempt)
    this.#keeper.watch(attempt)
    const definition = this.#options.definitions.get(job.type) as RunnableDefinition
    void attempt.perform(definition, load)
  }

  #ended(attempt: Attempt, outcome: AttemptOutcome): void {
    this.#running.delete(attempt.lease.token)
    const command = this.#commandFor(attempt, outcome)
    const recording = command && this.#record(attempt, outcome, command)
    if (recording !== undefined) {
      this.#recording.add(recording)
      void recording.finally(() => this.#recording.delete(recording))
    }
    if (attempt.commits) this.#commits.see(attempt, recording ?? endOf(outcome))
    else this.#vacate(attempt)
  }

  /** Without `commit` as soon as the handler has settled: the next lease goes into the same commit as this outcome. */
  #vacate(attempt: Attempt): void {
    this.#caps.give(attempt.queue)
    if (this.#running.size === 0) this.#emptied?.()
    this.#services.journal.wake()
  }

  #commandFor(attempt: Attempt, outcome: AttemptOutcome): Command<unknown> | undefined {
    const { id, lease } = attempt
    switch (outcome.kind) {
      case 'succeeded':
        return commands.finish(id, lease.token, this.#inCourse(attempt, outcome))
      case 'snoozed':
        return commands.release(id, lease.token, { by: 'snooze', runAt: outcome.runAt })
      case 'failed':
        return commands.fail(id, lease.token, outcome.failure)
      case 'interrupted':
        return commands.release(id, lease.token)
      case 'superseded':
        return undefined
    }
  }

  /** The effects are called by whoever commits, but belong to the run. */
  #inCourse(attempt: Attempt, ending: Ending): Ending {
    const { effects } = ending
    if (effects === undefined) return ending
    return {
      ...ending,
      effects: (transaction) => this.#services.attempts.scope.run(attempt, () => effects(transaction)),
    }
  }

  /** A store that cannot write now may be able to later: the outcome is kept for as long as the lease may still be ours. */
  async #record(attempt: Attempt, first: AttemptOutcome, recorded: Command<unknown>): Promise<Recorded> {
    const { journal, clock } = this.#services
    let outcome = first
    let command: Command<unknown> | undefined = recorded
    let hasEffects = outcome.kind === 'succeeded' && outcome.effects !== undefined
    while (command !== undefined) {
      try {
        const answer = await journal.submit(command)
        return attempt.commits ? endOf(outcome, answer) : undefined
      } catch (error) {
        if (hasEffects && isOfEffects(error)) {
          hasEffects = false
          outcome = await attempt.classify(error)
          command = this.#commandFor(attempt, outcome)
          continue
        }
        const { id, type, run } = attempt
        this.#log.warn({ err: error, jobId: id, jobType: type, run }, 'outcome not recorded')
        if (error instanceof LeaseLost) return error
        if (!(error instanceof StoreUnavailable) || this.#closing.signal.aborted) return undefined
        this.#pause ??= delay(clock, RECORD_PAUSE, this.#closing.signal).catch(() => {})
        await this.#pause
        this.#pause = undefined
      }
    }
    return undefined
  }

  #beat(attempt: Attempt, progress?: number, partial?: string): Promise<void> {
    const { id, lease } = attempt
    if (attempt.concluded) return Promise.reject(new LeaseLost(id, lease.token))
    const beat = { token: lease.token, progress, partial }
    return this.#services.journal.submit(commands.heartbeat(id, beat, this.#options.leaseMs))
  }

  /** A run of ours whose lease is gone without our doing: cancelled by somebody, or taken for dead. */
  #follow(change: JobChange): void {
    const { before, after } = change
    if (after.phase === 'ended') this.#services.payloads.forget(after.id)
    const token = before?.lease?.token
    if (token === undefined || after.lease?.token === token) return
    const attempt = this.#running.get(token)
    if (attempt === undefined) return
    const loss = lossBy(change, token)
    attempt.abort(loss)
    attempt.conclude({ kind: 'superseded', loss })
  }

  async #drain(): Promise<void> {
    this.#leasing = false
    const { drainMs, timeoutMs } = this.#deadlines
    if (await this.#empty(drainMs)) return
    for (const attempt of this.#running.values()) attempt.abort(new ShuttingDown())
    await this.#empty(Math.max(0, timeoutMs - drainMs))
  }

  /** True once nothing runs, false when `ms` are over before. */
  #empty(ms: number): Promise<boolean> {
    const { clock } = this.#services
    const isIdle = (): boolean => this.#running.size + this.#commits.size + this.#dispatcher.leasing === 0
    if (isIdle()) return Promise.resolve(true)
    return new Promise((resolve) => {
      const cancel = clock.at(clock.now() + ms, () => resolve(false))
      this.#emptied = () => {
        if (!isIdle()) return
        cancel()
        resolve(true)
      }
    })
  }

  async #signOff(): Promise<void> {
    for (const attempt of [...this.#running.values()]) attempt.conclude({ kind: 'interrupted' })
    this.#keeper.stop()
    this.#dispatcher.stop()
    await this.#services.journal.idle()
    this.#closing.abort()
    await Promise.all(this.#recording)
    // Also those that were just given back.
    await this.#empty(COMMIT_PATIENCE)
    this.#commits.stop()
    await this.#services.journal.submit(workers.stop(this.id))
    for (const subscription of this.#subscriptions) subscription.unsubscribe()
  }
}

/** The handler's own writes could not be made: nothing of the success is recorded, and the attempt has failed. */
const isOfEffects = (error: unknown): boolean => !(error instanceof LeaseLost || error instanceof StoreUnavailable)
