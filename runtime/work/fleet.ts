/** All that works in this process: the engine's actor, and under it one for each worker. */
import type { Subscription } from 'rxjs'
import { filter } from 'rxjs'
import type { Actor, AnyStateMachine } from 'xstate'
import { assign, createActor, fromPromise, setup, waitFor } from 'xstate'
import type { RecordedEvent } from '../../domain/event.js'
import type { Queued } from '../../domain/job/events.js'
import type { Clock } from '../ports/clock.js'
import { delay } from '../ports/clock.js'
import type { Logger } from '../ports/logger.js'
import type { Feed } from '../read/feed.js'
import type { Supervisor } from '../upkeep/supervisor.js'
import type { NewJob } from '../write/enqueue-command.js'
import { Alarm } from './alarm.js'
import type { Claims } from './claims.js'
import type { PoolPlan, PoolSurroundings } from './pool.js'
import { Pool } from './pool.js'
import type { RunnableDefinition } from './run/definition.js'
import type { Deadlines, WorkerServices } from './worker.js'
import { Worker } from './worker.js'

/** What a `start` asks for, checked. */
export interface FleetPlan {
  readonly pools: readonly PoolPlan[]
  /** How often a line says how much was done (ms); undefined: never. */
  readonly reportMs: number | undefined
}

export interface FleetOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly feed: Feed
  readonly claims: Claims
  readonly supervisor: Supervisor
  readonly surroundings: PoolSurroundings
}

type FleetSignal =
  | { readonly type: 'start'; readonly fleet: Running }
  | { readonly type: 'stop'; readonly deadlines: Deadlines }
  | { readonly type: 'hire'; readonly worker: Worker }
  | { readonly type: 'workerLost'; readonly workerId: string }

type FleetServices = Omit<WorkerServices, 'log' | 'onCompleted'>

/** Pools and their workers between one start and the stop after it. */
interface Running {
  readonly plan: FleetPlan
  readonly services: FleetServices
  readonly pools: readonly Pool[]
  /** Of each pool its present worker. */
  readonly workers: Map<Pool, Worker>
  /** Those that others have taken the place of, until their last run has ended. */
  readonly retired: Set<Worker>
  readonly stopping: AbortController
  readonly remembering: Subscription
}

/** Before a worker that could not begin is tried again (ms). */
const PAUSE = 1_000
const NOTHING_YET = { completed: 0, active: 0, waiting: 0 }

/**
 * idle -> starting -> running -> stopping -> idle, as often as one likes. A worker that the log has given up, or that does
 * not know a type that was added, is replaced by another one for the same slots.
 */
export class Fleet {
  readonly #options: FleetOptions
  readonly #actor: Actor<AnyStateMachine>
  readonly #report: Alarm
  #running: Running | undefined
  #failure: Error | undefined
  /** One change of workers at a time: of two for the same slots, the first would never be told to stop. */
  #changes: Promise<void> = Promise.resolve()
  /** Runs that have ended here, however. */
  #completed = 0
  #reported = JSON.stringify(NOTHING_YET)

  constructor(options: FleetOptions) {
    this.#options = options
    this.#report = new Alarm(options.clock, () => this.#sayHowMuch())
    this.#actor = createActor(this.#machine(), { id: 'fleet' })
    this.#actor.start()
  }

  #machine(): AnyStateMachine {
    return setup({
      types: { events: {} as FleetSignal, context: {} as { readonly actors: readonly unknown[] } },
      actors: {
        startAll: fromPromise<void, FleetSignal>(({ input }) => this.#startAll((input as { fleet: Running }).fleet)),
        stopAll: fromPromise<void, FleetSignal>(({ input }) =>
          this.#stopAll((input as { deadlines: Deadlines }).deadlines),
        ),
      },
      actions: {
        hire: assign({
          actors: ({ context, event, spawn }) => {
            const { worker } = event as { worker: Worker }
            const actor = spawn(worker.machine)
            worker.live(actor)
            return [...context.actors, actor]
          },
        }),
        replace: ({ event }) => this.#replace((event as { workerId: string }).workerId),
        hurry: ({ event }) => {
          const { deadlines } = event as { deadlines: Deadlines }
          if (this.#running !== undefined) for (const worker of workersOf(this.#running)) void worker.stop(deadlines)
        },
        failed: ({ event }) => {
          this.#failure = (event as unknown as { error: Error }).error
        },
      },
    }).createMachine({
      id: 'fleet',
      initial: 'idle',
      context: { actors: [] },
      on: { hire: { actions: 'hire' } },
      states: {
        idle: { entry: assign({ actors: [] }), on: { start: 'starting' } },
        starting: {
          invoke: {
            src: 'startAll',
            input: ({ event }) => event as FleetSignal,
            onDone: 'running',
            onError: { target: 'idle', actions: 'failed' },
          },
          on: { workerLost: { actions: 'replace' } },
        },
        running: { on: { stop: 'stopping', workerLost: { actions: 'replace' } } },
        stopping: {
          invoke: { src: 'stopAll', input: ({ event }) => event as FleetSignal, onDone: 'idle', onError: 'idle' },
          on: { stop: { actions: 'hurry' } },
        },
      },
    })
  }

  get #state(): string {
    return String(this.#actor.getSnapshot().value)
  }

  #reach(...states: readonly string[]): Promise<unknown> {
    return waitFor(this.#actor, ({ value }) => states.includes(String(value)))
  }

  /** False: it works already. Throws what keeps a worker from starting; then none does. */
  async start(plan: FleetPlan, definitions: readonly RunnableDefinition[], services: FleetServices): Promise<boolean> {
    // What others have asked for in the meantime is done first: looked at again each time.
    for (let state = this.#state; state !== 'idle'; state = this.#state) {
      if (state === 'running') return false
      await this.#reach(...(state === 'stopping' ? ['idle'] : ['running', 'idle']))
    }
    const pools = plan.pools.map((each) => new Pool(each, this.#options.surroundings))
    for (const pool of pools) {
      for (const definition of definitions) if (pool.wants(definition.type)) pool.takeUp(definition)
    }
    this.#failure = undefined
    const [workers, retired, stopping] = [new Map<Pool, Worker>(), new Set<Worker>(), new AbortController()]
    const remembering = this.#remember(pools, services.payloads)
    this.#actor.send({
      type: 'start',
      fleet: { plan, services, pools, workers, retired, stopping, remembering },
    })
    await this.#reach('running', 'idle')
    if (this.#failure !== undefined) throw this.#failure
    return true
  }

  /** False: it does not work. */
  async stop(deadlines: Deadlines): Promise<boolean> {
    if (this.#state === 'starting') await this.#reach('running', 'idle')
    if (this.#state === 'idle') return false
    this.#actor.send({ type: 'stop', deadlines })
    await this.#reach('idle')
    return true
  }

  /** For good. */
  async close(deadlines: Deadlines): Promise<void> {
    await this.stop(deadlines)
    this.#actor.stop()
  }

  async #startAll(fleet: Running): Promise<void> {
    this.#running = fleet
    try {
      // All of them, before any worker begins to lease.
      await fleet.services.prepare(fleet.pools.flatMap(({ definitions }) => [...definitions.values()]))
      await Promise.all(fleet.pools.map((pool) => this.#hire(fleet, pool)))
    } catch (error) {
      await this.#stopAll({ drainMs: 0, timeoutMs: 0 })
      throw error
    }
    this.#options.claims.start()
    this.#keepReporting(fleet)
  }

  /** What is enqueued here is likely to run here. */
  #remember(pools: readonly Pool[], payloads: WorkerServices['payloads']): Subscription {
    const isRunHere = ({ type, data }: RecordedEvent): boolean =>
      type === 'Queued' && pools.some(({ definitions }) => definitions.has((data as Queued).type))
    return this.#options.feed.events$.pipe(filter(isRunHere)).subscribe((event) => payloads.remember(event))
  }

  /** `pausedLike`: the paused worker whose place it takes. */
  async #hire(fleet: Running, pool: Pool, pausedLike?: Worker): Promise<void> {
    const { supervisor, log } = this.#options
    const onCompleted = (): void => {
      this.#completed += 1
    }
    const worker = new Worker(pool, {
      ...fleet.services,
      onCompleted,
      log: log.child({ pool: pool.name }),
      pausedLike: pausedLike?.id,
    })
    fleet.workers.set(pool, worker)
    this.#actor.send({ type: 'hire', worker })
    await worker.begun()
    supervisor.start({ name: dutyOf(worker), run: (signal) => worker.run(signal) })
  }

  async #stopAll(deadlines: Deadlines): Promise<void> {
    const { claims, supervisor } = this.#options
    const fleet = this.#running as Running
    fleet.stopping.abort()
    fleet.remembering.unsubscribe()
    claims.stop()
    this.#report.stop()
    const workers = workersOf(fleet)
    await Promise.all(workers.map((worker) => worker.stop(deadlines)))
    for (const worker of workers) supervisor.end(dutyOf(worker))
    this.#running = undefined
  }

  #replace(workerId: string): void {
    const fleet = this.#running as Running
    for (const [pool, worker] of fleet.workers) {
      if (worker.id !== workerId) continue
      this.#options.log.warn({ workerId, pool: pool.name }, 'the log has given this worker up: another takes its place')
      this.#inTurn(() => this.#renew(fleet, pool, worker)).catch((error) =>
        this.#options.log.error({ err: error, pool: pool.name }, 'no worker could take its place'),
      )
    }
  }

  #inTurn(change: () => Promise<void>): Promise<void> {
    this.#changes = this.#changes.then(change, change)
    return this.#changes
  }

  /** Never rejects. */
  async #renew(fleet: Running, pool: Pool, old: Worker, pausedLike?: Worker): Promise<void> {
    const { clock, log, supervisor } = this.#options
    const { signal } = fleet.stopping
    if (signal.aborted || fleet.workers.get(pool) !== old) return
    fleet.retired.add(old)
    void old.gone().then(() => {
      supervisor.end(dutyOf(old))
      fleet.retired.delete(old)
    })
    while (!signal.aborted) {
      try {
        return await this.#hire(fleet, pool, pausedLike)
      } catch (error) {
        if (signal.aborted) return
        log.error({ err: error, pool: pool.name }, 'no worker could take its place: tried again in a moment')
        await delay(clock, PAUSE, signal).catch(() => {})
      }
    }
  }

  /**
   * A type that was not there at the start: pools that run it get a worker that says so. Throws what its `init` has thrown;
   * then they go on without it.
   */
  async takeUp(definition: RunnableDefinition): Promise<void> {
    await this.#reach('running', 'idle')
    const fleet = this.#running
    const pools = fleet?.pools.filter((pool) => pool.wants(definition.type)) ?? []
    if (fleet === undefined || pools.length === 0) return
    await fleet.services.prepare([definition])
    await this.#inTurn(async () => void (await Promise.all(pools.map((pool) => this.#extend(fleet, pool, definition)))))
  }

  async #extend(fleet: Running, pool: Pool, definition: RunnableDefinition): Promise<void> {
    const old = fleet.workers.get(pool)
    // Begun just now, it may know the type already.
    const isNew = !pool.definitions.has(definition.type)
    if (fleet.stopping.signal.aborted || old === undefined || !isNew) return
    this.#options.log.info({ pool: pool.name, type: definition.type }, 'pool takes up another type')
    pool.takeUp(definition)
    await old.begun().catch(() => {})
    old.retire()
    await this.#renew(fleet, pool, old, old.isPaused ? old : undefined)
  }

  /** Told of each job in the tick in which it is enqueued: who has a free slot for it leases it in the same commit. */
  anticipate(job: NewJob): void {
    for (const worker of this.#running?.workers.values() ?? []) if (worker.anticipate(job)) return
  }

  get works(): boolean {
    return this.#running !== undefined
  }

  holds(token: string): boolean {
    const fleet = this.#running
    return fleet !== undefined && workersOf(fleet).some((worker) => worker.holds(token))
  }

  /** Whether this worker is one of ours. */
  employs(workerId: string): boolean {
    const fleet = this.#running
    return fleet !== undefined && workersOf(fleet).some(({ id }) => id === workerId)
  }

  #keepReporting({ plan }: Running): void {
    if (plan.reportMs !== undefined) this.#report.by(this.#options.clock.now() + plan.reportMs)
  }

  /** Only when something has changed since the last time. */
  #sayHowMuch(): void {
    const fleet = this.#running
    if (fleet === undefined) return
    const completed = this.#completed
    const active = workersOf(fleet).reduce((sum, worker) => sum + worker.running, 0)
    let waiting = 0
    for (const counts of this.#options.feed.board.stats.queues.values()) waiting += counts.waiting
    const line = { completed, active, waiting }
    if (this.#reported !== JSON.stringify(line)) this.#options.log.info(line, 'jobs so far')
    this.#reported = JSON.stringify(line)
    this.#keepReporting(fleet)
  }
}

const dutyOf = ({ id }: Worker): string => `dispatcher of ${id}`
const workersOf = ({ workers, retired }: Running): Worker[] => [...new Set([...workers.values(), ...retired])]
