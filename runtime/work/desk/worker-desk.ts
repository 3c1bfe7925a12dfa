/** Workers that live elsewhere: made known here, so that leases can be taken in their name. */
import type { Duration } from '../../../domain/duration.js'
import { toMs } from '../../../domain/duration.js'
import type { Metadata } from '../../../domain/event.js'
import { WorkerBusy } from '../../../domain/rejection.js'
import { WorkerGone } from '../../../domain/worker/decide.js'
import type { WorkerState } from '../../../domain/worker/evolve.js'
import type { LedgerState } from '../../../projections/ledger-state.js'
import { checkKeys, toCount, toName, toSignal, toTexts } from '../../checks.js'
import type { Clock } from '../../ports/clock.js'
import type { Ids } from '../../ports/ids.js'
import type { Feed } from '../../read/feed.js'
import type { Queries } from '../../read/queries.js'
import type { Journal } from '../../write/journal.js'
import * as commands from '../../write/worker-commands.js'
import { settled } from '../settling.js'

export interface RegisterOptions {
  /** Shown to people. */
  readonly name?: string
  /** What it takes; told, not enforced. */
  readonly types?: string | readonly string[]
  readonly queues?: string | readonly string[]
  readonly channels?: string | readonly string[]
  readonly arch?: string
  /** Runs at once, default 1. */
  readonly concurrency?: number
  readonly codeVersion?: string
  /** Which of your pools it belongs to, for people. */
  readonly pool?: string
}

export interface PauseOptions {
  /** Recorded, and shown by `workers.list`. Default: that of `as`. */
  readonly reason?: string
  /** Aborts the wait, not the pause. */
  readonly signal?: AbortSignal
}

export interface WorkerRemoveOptions {
  /** Aborts the wait, and the removal with it. */
  readonly signal?: AbortSignal
}

/** A worker that has neither stopped nor been lost. Times are ms since the epoch. */
export interface WorkerInfo extends Omit<RegisterOptions, 'types' | 'queues' | 'channels' | 'concurrency'> {
  readonly id: string
  readonly status: 'active' | 'paused' | 'draining'
  /** Why it is paused. */
  readonly reason?: string
  readonly types: readonly string[]
  readonly queues?: readonly string[]
  readonly channels?: readonly string[]
  /** Its slots, and how many of them are in use: leases in its name. */
  readonly concurrency: number
  readonly slotsInUse: number
  /** Its process; absent for one that lives elsewhere. */
  readonly host?: string
  readonly pid?: number
  /** The same for all workers of one open ledger. */
  readonly runtime?: string
  readonly registeredAt: number
  /** Last sign of life: an event of its own, or something it did to a job it holds, with its token. */
  readonly lastSeenAt: number
}

const KEYS = new Set(['name', 'types', 'queues', 'channels', 'arch', 'concurrency', 'codeVersion', 'pool'])
const LIST_KEYS = new Set(['olderThan'])
const PAUSE_KEYS = new Set(['reason', 'signal'])
const REMOVE_KEYS = new Set(['signal'])

export class WorkerDesk {
  readonly #journal: Journal
  readonly #feed: Feed
  readonly #queries: Queries
  readonly #clock: Clock
  readonly #ids: Ids

  constructor(options: {
    readonly journal: Journal
    readonly feed: Feed
    readonly queries: Queries
    readonly clock: Clock
    readonly ids: Ids
  }) {
    this.#journal = options.journal
    this.#feed = options.feed
    this.#queries = options.queries
    this.#clock = options.clock
    this.#ids = options.ids
  }

  /** The new worker's id. Throws InvalidOption. */
  async register(given: RegisterOptions = {}): Promise<string> {
    checkKeys(given, KEYS, 'register')
    const { name, arch, codeVersion, pool, concurrency = 1 } = given
    const id = this.#ids.uuid()
    await this.#journal.submit(
      commands.register(id, {
        types: toTexts(given.types, 'register.types') ?? [],
        queues: toTexts(given.queues, 'register.queues'),
        channels: toTexts(given.channels, 'register.channels'),
        concurrency: toCount(concurrency, 'register.concurrency', 1),
        name: name === undefined ? undefined : toName(name, 'register.name'),
        arch: arch === undefined ? undefined : toName(arch, 'register.arch'),
        codeVersion: codeVersion === undefined ? undefined : toName(codeVersion, 'register.codeVersion'),
        pool: pool === undefined ? undefined : toName(pool, 'register.pool'),
      }),
    )
    return id
  }

  /** A sign of life. Throws WorkerUnknown. */
  async touch(workerId: string): Promise<void> {
    return this.#journal.submit(commands.beat(toName(workerId, 'touch.workerId')))
  }

  /**
   * It takes no more jobs until it is resumed; what it holds goes on. Resolves once it acts on that. Throws WorkerUnknown,
   * WorkerGone, InvalidOption, or the signal's reason: it is paused then all the same.
   */
  async pause(workerId: string, given: PauseOptions = {}, metadata?: Metadata): Promise<void> {
    const id = toName(workerId, 'workers.pause.workerId')
    checkKeys(given, PAUSE_KEYS, 'workers.pause')
    const { reason = metadata?.reason } = given
    const why = reason === undefined ? undefined : toName(reason, 'workers.pause.reason')
    const signal = toSignal(given.signal, 'workers.pause.signal')
    signal?.throwIfAborted()
    await this.#journal.submit(commands.pause(id, why), metadata)
    await this.#settle(id, signal)
  }

  /** Throws WorkerUnknown, WorkerGone, InvalidOption. */
  async resume(workerId: string, metadata?: Metadata): Promise<void> {
    return this.#journal.submit(commands.resume(toName(workerId, 'workers.resume.workerId')), metadata)
  }

  /**
   * Takes a worker off the list, for good. Throws WorkerBusy while it holds jobs, WorkerUnknown, WorkerGone, InvalidOption, or
   * the signal's reason: then it goes on as it was.
   */
  async remove(workerId: string, given: WorkerRemoveOptions = {}, metadata?: Metadata): Promise<void> {
    const id = toName(workerId, 'workers.remove.workerId')
    checkKeys(given, REMOVE_KEYS, 'workers.remove')
    const signal = toSignal(given.signal, 'workers.remove.signal')
    signal?.throwIfAborted()
    await this.#checkIdle(id)
    const pausing = commands.pause(id, 'to be removed')
    let paused = await this.#journal.submit(pausing, metadata)
    const { before } = paused
    try {
      // From here on no job is leased in its name. A lease that slipped in before is in the log, and seen now.
      for (;;) {
        await this.#settle(id, signal)
        await this.#checkIdle(id)
        if (await this.#journal.submit(commands.remove(id, paused.revision), metadata)) return
        paused = await this.#journal.submit(pausing, metadata)
      }
    } catch (error) {
      // What the caller is to know is why it was not removed, whatever comes of this.
      const resuming =
        before || error instanceof WorkerGone ? undefined : this.#journal.submit(commands.resume(id), metadata)
      await resuming?.catch(() => {})
      throw error
    }
  }

  /** A worker that leases by itself has to say that it has read of its pause. */
  async #settle(id: string, signal: AbortSignal | undefined): Promise<void> {
    await this.#queries.catchUp()
    const { pause } = this.#feed.workers.get(id) ?? {}
    if (pause === undefined) return
    const concerns = (worker: WorkerState): boolean => worker.id === id
    await settled({ feed: this.#feed, clock: this.#clock }, { position: pause.position, signal, concerns })
  }

  /** Sees all that is in the log now. */
  async #checkIdle(id: string): Promise<void> {
    await this.#queries.catchUp()
    const leases = [...this.#feed.board.leased.values()].filter((job) => job.lease?.workerId === id).length
    if (leases > 0) throw new WorkerBusy(id, leases)
  }

  /** Those whose last sign of life is strictly longer ago than `olderThan`; without it all. Longest silence first. */
  async list(given: { readonly olderThan?: Duration } = {}): Promise<WorkerInfo[]> {
    checkKeys(given, LIST_KEYS, 'workers.list')
    const ms = given.olderThan === undefined ? undefined : toMs(given.olderThan, 'workers.list.olderThan')
    await this.#queries.catchUp()
    const now = this.#clock.now()
    return workerInfos(this.#feed.state).filter(({ lastSeenAt }) => ms === undefined || now - lastSeenAt > ms)
  }
}

/** Longest silence first. */
export function workerInfos({ workers, board }: LedgerState): WorkerInfo[] {
  const inUse = countBy(board.leased.values(), (job) => job.lease?.workerId)
  return [...workers.workers.values()]
    .map((worker) => toInfo(worker, workers.lastSeenAt(worker.id), inUse.get(worker.id) ?? 0))
    .sort((a, b) => a.lastSeenAt - b.lastSeenAt)
}

function countBy<Thing>(things: Iterable<Thing>, keyOf: (thing: Thing) => string | undefined): Map<string, number> {
  const counts = new Map<string, number>()
  for (const thing of things) {
    const key = keyOf(thing)
    if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}

function toInfo(worker: WorkerState, lastSeenAt: number, slotsInUse: number): WorkerInfo {
  const { id, types, queues, channels, concurrency, registeredAt, name, arch, codeVersion, pool, runtime } = worker
  const { pause, process } = worker
  return {
    ...{ id, status: worker.status as WorkerInfo['status'], types, concurrency, slotsInUse, registeredAt, lastSeenAt },
    ...(queues !== undefined && { queues }),
    ...(channels !== undefined && { channels }),
    ...(name !== undefined && { name }),
    ...(arch !== undefined && { arch }),
    ...(codeVersion !== undefined && { codeVersion }),
    ...(pool !== undefined && { pool }),
    ...(runtime !== undefined && { runtime }),
    ...(process !== undefined && { host: process.host, pid: process.pid }),
    ...(pause?.reason !== undefined && { reason: pause.reason }),
  }
}
