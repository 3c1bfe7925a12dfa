import type { Subscription } from 'rxjs'
import type { AnyMachineSnapshot, AnyStateMachine } from 'xstate'
import { waitFor } from 'xstate'
import type { JobState, Lease } from '../../domain/job/evolve.js'
import { LeaseLost } from '../../domain/rejection.js'
import { WorkerGone } from '../../domain/worker/decide.js'
import type { JobChange } from '../../projections/job-board.js'
import { ShuttingDown } from '../errors.js'
import type { Gate } from '../ports/gate.js'
import type { Ids } from '../ports/ids.js'
import type { Logger } from '../ports/logger.js'
import * as commands from '../write/commands.js'
import type { NewJob } from '../write/enqueue-command.js'
import { Alarm } from './alarm.js'
import { Dispatcher } from './dispatcher.js'
import type { KeyRoom } from './key-room.js'
import type { Pool } from './pool.js'
import type { PresenceServices } from './presence.js'
import { Presence } from './presence.js'
import { Recorder } from './recorder.js'
import type { AttemptOutcome, AttemptServices } from './run/attempt.js'
import { Attempt } from './run/attempt.js'
import { Commits, endOf, lossBy } from './run/commits.js'
import type { RunnableDefinition } from './run/definition.js'
import { LeaseKeeper } from './run/lease-keeper.js'
import type { LogRelay } from './run/log-relay.js'
import type { Brief, Payloads } from './run/payloads.js'
import type { SuspectLane } from './suspects.js'
import type { WorkerActor } from './worker-actor.js'
import { workerMachine } from './worker-actor.js'

/** How long past the last deadline the hooks `commit` of runs that were given back then are waited for (ms). */
const COMMIT_PATIENCE = 2_000

/** How long the end may take (ms): for runs to end by themselves, then in all. */
export interface Deadlines {
  readonly drainMs: number
  readonly timeoutMs: number
}

export interface WorkerServices extends PresenceServices {
  readonly ids: Ids
  readonly payloads: Payloads
  readonly relay: LogRelay
  readonly gate: Gate | undefined
  readonly suspects: SuspectLane
  /** The worker whose place it takes was paused, and so is this one from the start. */
  readonly pausedLike?: string | undefined
  readonly keys: KeyRoom
  /** Told of each run that has ended here, however. */
  onCompleted(): void
  /** What these types want done before the first of their jobs. */
  prepare(definitions: Iterable<RunnableDefinition>): Promise<void>
  readonly attempts: Pick<
    AttemptServices,
    'maxBodyBytes' | 'transactions' | 'ledger' | 'scope' | 'dependencies' | 'dependencyErrors'
  >
}

/** Works for a pool of slots in this process: leases jobs, runs their handlers, records how they end. */
export class Worker {
  readonly id: string
  /** Its life, for the actor that supervises it. */
  readonly machine: AnyStateMachine
  readonly #pool: Pool
  readonly #services: WorkerServices
  readonly #log: Logger
  readonly #running = new Map<string, Attempt>()
  readonly #recorder: Recorder
  readonly #attemptServices: AttemptServices
  readonly #dispatcher: Dispatcher
  readonly #commits: Commits
  readonly #keeper: LeaseKeeper
  readonly #presence: Presence
  #actor: WorkerActor | undefined
  #embody: (actor: WorkerActor) => void = () => {}
  readonly #embodied = new Promise<WorkerActor>((resolve) => {
    this.#embody = resolve
  })
  #subscriptions: Subscription[] = []
  #leasing = false
  /** Instants (ms): until then runs may end by themselves, and at all. */
  #drainBy = Number.POSITIVE_INFINITY
  #endBy = Number.POSITIVE_INFINITY
  #hurry: (() => void) | undefined
  #emptied: (() => void) | undefined
  /** Why it could not make itself known. */
  #failure: Error | undefined

  constructor(pool: Pool, services: WorkerServices) {
    const { clock, ids, feed, journal, codeVersion, payloads, relay, attempts, suspects, keys, gate } = services
    this.id = ids.uuid()
    this.#pool = pool
    this.#services = services
    this.#log = services.log.child({ workerId: this.id })
    this.#attemptServices = {
      ...attempts,
      clock,
      log: (job) => relay.wrap(this.#log.child({ jobId: job.id, jobType: job.type, run: job.run }), job),
      heartbeat: (attempt, progress, partial) => this.#beat(attempt, progress, partial),
      retime: (attempt) => this.#keeper.watch(attempt),
      longest: (type) => pool.ceilings(type).timeoutMs,
    }
    this.#keeper = new LeaseKeeper({
      clock,
      running: this.#running,
      leaseMs: pool.leaseMs,
      beat: (attempt) =>
        void this.#beat(attempt).catch((error) => this.#log.warn({ err: error }, 'heartbeat not recorded')),
    })
    this.#recorder = new Recorder({
      ...{ journal, clock, log: this.#log, scope: attempts.scope },
      maxAttempts: (type) => pool.ceilings(type).maxAttempts,
    })
    this.#commits = new Commits({ clock, feed, onSettled: (attempt) => this.#vacate(attempt) })
    this.#presence = new Presence(
      this.id,
      { ...services, log: this.#log },
      { onSignal: (type) => this.#actor?.send({ type }), landed: () => this.#dispatcher.landed() },
    )
    this.#dispatcher = new Dispatcher({
      ...{ pool, suspects, keys },
      board: feed.board,
      queues: feed.queues,
      journal,
      clock,
      ids,
      log: this.#log,
      workerId: this.id,
      codeVersion,
      isOpen: () => this.#leasing && (gate?.isOpen ?? true),
      fetch: (job) => payloads.fetch(job),
      begin: (job, lease, brief) =>
        this.#begin(
          job,
          lease,
          firstOf(brief, () => payloads.load(job)),
        ),
    })
    const steps = {
      prepare: () => this.#attempted(services.prepare(pool.definitions.values())),
      register: () => this.#attempted(this.#register()),
      standing: () => feed.workers.get(this.id)?.status ?? 'lost',
      drain: () => this.#drain(),
      stop: () => this.#signOff(),
      fadeOut: () => this.#fadeOut(),
    }
    this.machine = workerMachine(this.id, steps, this.#log)
  }

  /** The actor that lives this worker's life, before it starts. */
  live(actor: WorkerActor): void {
    this.#actor = actor
    this.#embody(actor)
    actor.subscribe(({ value }) => {
      if (value === 'active' || value === 'paused') this.isPaused = value === 'paused'
      this.#leasing = value === 'active'
      if (this.#leasing) this.#services.journal.wake()
    })
  }

  /** As long as it was one of both, it was paused rather than active. */
  isPaused = false

  get running(): number {
    return this.#running.size
  }

  holds(token: string): boolean {
    return this.#running.has(token)
  }

  /** A job that is being enqueued in this tick; it is leased along if it may run at once and nothing is before it. True: it is. */
  anticipate({ id, facts, unique }: NewJob): boolean {
    const { type, queue, channel = '', runAt, held, dependsOn, concurrency } = facts
    const isPlain = runAt === undefined && !held && dependsOn === undefined && concurrency === undefined
    return isPlain && unique === undefined && this.#dispatcher.anticipate(id, { type, queue, channel })
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

  /** Resolves once the worker is known in the log and leases, unless it was paused; rejects when it cannot be recorded. */
  async begun(): Promise<void> {
    const { value } = await this.#reach((state) => ['active', 'paused', 'stopped'].includes(String(state)))
    if (value === 'stopped') throw this.#failure ?? new WorkerGone(this.id, 'lost')
  }

  /** Lets runs end until `drainMs`, then aborts them, waits until `timeoutMs`, gives back what is left. */
  async stop({ drainMs, timeoutMs }: Deadlines): Promise<void> {
    const now = this.#services.clock.now()
    // Told again, it may be in more of a hurry.
    this.#drainBy = Math.min(this.#drainBy, now + drainMs)
    this.#endBy = Math.min(this.#endBy, now + timeoutMs)
    this.#hurry?.()
    const actor = await this.#embodied
    if (actor.getSnapshot().status === 'active') actor.send({ type: 'stop' })
    await this.gone()
  }

  /** Another worker has its place: it takes nothing more and ends when its last run has. */
  retire(): void {
    this.#actor?.send({ type: 'retire' })
  }

  /** Resolves once it has signed off. */
  async gone(): Promise<void> {
    await this.#reach((state) => state === 'stopped')
  }

  async #reach(isThere: (state: unknown) => boolean): Promise<AnyMachineSnapshot> {
    return waitFor(await this.#embodied, ({ value }) => isThere(value))
  }

  /** Remembers why the worker could not begin. */
  async #attempted(step: Promise<void>): Promise<void> {
    try {
      await step
    } catch (error) {
      this.#failure = error as Error
      throw error
    }
  }

  async #register(): Promise<void> {
    const { feed, journal } = this.#services
    await this.#presence.signOn(this.#pool, this.#services.pausedLike)
    this.#subscriptions = [
      feed.pages$.subscribe(() => journal.wake()),
      feed.changes$.subscribe((change) => this.#follow(change)),
    ]
  }

  #begin(job: JobState, lease: Lease, load: () => Brief | Promise<Brief>): void {
    const attempt = new Attempt(job, lease, this.#keeper.beatAfter(lease.at), this.#attemptServices, (ended, outcome) =>
      this.#ended(ended, outcome),
    )
    this.#presence.seen(lease.at)
    this.#running.set(lease.token, attempt)
    this.#keeper.watch(attempt)
    const definition = this.#pool.definitions.get(job.type) as RunnableDefinition
    void attempt.perform(definition, load)
  }

  #ended(attempt: Attempt, outcome: AttemptOutcome): void {
    this.#running.delete(attempt.lease.token)
    this.#services.onCompleted()
    const recording = this.#recorder.record(attempt, outcome)
    if (attempt.commits) this.#commits.see(attempt, recording ?? endOf(outcome))
    else this.#vacate(attempt)
  }

  /** Without `commit` as soon as the handler has settled: the next lease goes into the same commit as this outcome. */
  #vacate(attempt: Attempt): void {
    this.#pool.room.give(attempt)
    if (this.#running.size === 0) this.#emptied?.()
    this.#services.journal.wake()
  }

  #beat(attempt: Attempt, progress?: number, partial?: string): Promise<void> {
    const { id, lease } = attempt
    if (attempt.concluded) return Promise.reject(new LeaseLost(id, lease.token))
    const beat = { token: lease.token, progress, partial }
    this.#presence.seen(this.#services.clock.now())
    return this.#services.journal.submit(commands.heartbeat(id, beat, this.#pool.leaseMs))
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

  async #fadeOut(): Promise<void> {
    await this.#presence.drain()
    await this.#empty(() => Number.POSITIVE_INFINITY)
  }

  async #drain(): Promise<void> {
    await this.#presence.drain()
    if (await this.#empty(() => this.#drainBy)) return
    for (const attempt of this.#running.values()) attempt.abort(new ShuttingDown())
    await this.#empty(() => this.#endBy)
  }

  /** True once nothing runs, false when the instant has come before, which may be moved up while this waits. */
  #empty(until: () => number): Promise<boolean> {
    const isIdle = (): boolean => this.#running.size + this.#commits.size + this.#dispatcher.leasing === 0
    if (isIdle()) return Promise.resolve(true)
    return new Promise((resolve) => {
      const alarm = new Alarm(this.#services.clock, () => resolve(false))
      this.#hurry = () => alarm.by(until())
      this.#hurry()
      this.#emptied = () => {
        if (!isIdle()) return
        alarm.stop()
        resolve(true)
      }
    })
  }

  async #signOff(): Promise<void> {
    this.#keeper.stop()
    this.#dispatcher.stop()
    // One that is on its way would begin a run when it lands. Only what is its own is waited for: others may write for ever.
    await this.#dispatcher.landed()
    for (const attempt of [...this.#running.values()]) attempt.conclude({ kind: 'interrupted' })
    await this.#recorder.close()
    // Also those that were just given back.
    const patience = this.#services.clock.now() + COMMIT_PATIENCE
    await this.#empty(() => patience)
    this.#commits.stop()
    for (const subscription of this.#subscriptions) subscription.unsubscribe()
    await this.#presence.signOff()
  }
}

/** Gives what was begun before, and only the next time what `load` gives. */
function firstOf<Value>(begun: Value | undefined, load: () => Value): () => Value {
  let first = begun
  return () => {
    const value = first ?? load()
    first = undefined
    return value
  }
}
