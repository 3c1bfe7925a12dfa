/** What a ledger offers on queues: their lengths, a stop to their leases, and a limit to their runs. */
import type { Duration } from '../domain/duration.js'
import { toMs } from '../domain/duration.js'
import { checkKeys, toCount, toLabel, toName, toSignal } from './checks.js'
import type { Engine } from './engine.js'
import { PauseUnsettled } from './errors.js'
import type { QueueCounts } from './read/queries.js'
import { settled } from './work/settling.js'
import * as commands from './write/queue-commands.js'
import type { Speaker } from './write/speaker.js'

export interface QueuePauseOptions {
  /** Recorded, and shown by `queues.stats`. Default: that of `as`. */
  readonly reason?: string
  /** How long to wait for the workers; default: as long as any of them is alive. */
  readonly timeout?: Duration
  /** Aborts the wait, not the pause. */
  readonly signal?: AbortSignal
}

export interface QueueStatsOptions {
  /** Only jobs of this type. */
  readonly type?: string
}

export interface QueueLimitOptions {
  /** Runs at once in each process, over all of its pools, at least 1; null: no limit but those of each process. */
  readonly concurrency: number | null
}

const PAUSE_KEYS = new Set(['reason', 'timeout', 'signal'])
const STATS_KEYS = new Set(['type'])
const LIMIT_KEYS = new Set(['concurrency'])

export class Queues {
  readonly #engine: () => Engine
  readonly #speaker: () => Speaker

  constructor(engine: () => Engine, speaker: () => Speaker) {
    this.#engine = engine
    this.#speaker = speaker
  }

  /** Jobs by queue and state, of all that is in the log when it is called. Throws InvalidOption. */
  async stats(given: QueueStatsOptions = {}): Promise<Readonly<Record<string, QueueCounts>>> {
    const { queries } = this.#engine()
    checkKeys(given, STATS_KEYS, 'queues.stats')
    const type = given.type === undefined ? undefined : toName(given.type, 'queues.stats.type')
    return Object.fromEntries(await queries.stats(type))
  }

  /**
   * No job of the queue is leased any more until it is resumed; what runs goes on. Resolves once every worker that serves
   * the queue and is alive acts on it. Throws PauseUnsettled when the time is up, or the signal's reason: the queue is
   * paused then all the same.
   */
  async pause(name: string, given: QueuePauseOptions = {}): Promise<void> {
    const { journal, queries, feed, ports } = this.#engine()
    const { metadata } = this.#speaker()
    const queue = toLabel(name, 'queues.pause.name')
    checkKeys(given, PAUSE_KEYS, 'queues.pause')
    const { timeout, reason = metadata?.reason } = given
    const why = reason === undefined ? undefined : toName(reason, 'queues.pause.reason')
    const timeoutMs = timeout === undefined ? undefined : toMs(timeout, 'queues.pause.timeout')
    const signal = toSignal(given.signal, 'queues.pause.signal')
    signal?.throwIfAborted()
    await journal.submit(commands.pause(queue, why), metadata)
    // Somebody else may have paused it, and somebody may have resumed it since.
    await queries.catchUp()
    const { pause } = feed.queues.get(queue) ?? {}
    if (pause === undefined) return
    const concerns = ({ queues }: { readonly queues?: readonly string[] }): boolean => queues?.includes(queue) ?? true
    const what = { position: pause.position, timeoutMs, signal, concerns }
    const missing = await settled({ feed, clock: ports.clock }, what)
    if (missing.length > 0) throw new PauseUnsettled(queue, missing)
  }

  /** Its jobs are leased again. Throws InvalidOption. */
  async resume(name: string): Promise<void> {
    const { journal } = this.#engine()
    return journal.submit(commands.resume(toLabel(name, 'queues.resume.name')), this.#speaker().metadata)
  }

  /**
   * How many jobs of the queue each process may run at once in its pools, from now on and wherever it lives; where it was
   * configured to fewer (`openLedger({ queues })`), that holds. What runs goes on. Throws InvalidOption.
   */
  async limit(name: string, given: QueueLimitOptions): Promise<void> {
    const { journal } = this.#engine()
    const queue = toLabel(name, 'queues.limit.name')
    checkKeys(given, LIMIT_KEYS, 'queues.limit')
    const { concurrency } = given
    const limit = concurrency === null ? null : toCount(concurrency, 'queues.limit.concurrency', 1)
    return journal.submit(commands.limit(queue, limit), this.#speaker().metadata)
  }
}
