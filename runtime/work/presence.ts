import type { Subscription } from 'rxjs'
import type { Position } from '../../domain/event.js'
import { START } from '../../domain/event.js'
import { queueOf } from '../../domain/queue/events.js'
import { WorkerUnknown } from '../../domain/rejection.js'
import { WorkerGone } from '../../domain/worker/decide.js'
import { workerStream } from '../../domain/worker/events.js'
import { LIVE_MS } from '../../projections/worker-registry.js'
import type { Clock } from '../ports/clock.js'
import type { Host } from '../ports/host.js'
import type { Logger } from '../ports/logger.js'
import type { Feed } from '../read/feed.js'
import type { Journal } from '../write/journal.js'
import * as workers from '../write/worker-commands.js'
import { Alarm } from './alarm.js'
import type { Pool } from './pool.js'
import type { WorkerSignal } from './worker-actor.js'

/** A worker that has written nothing for so long says that it lives (ms): a third of what others count on. */
const BEAT = LIVE_MS / 3

/** What the log says of a worker that it does not say itself. */
const SIGNALS: Readonly<Record<string, WorkerSignal['type']>> = {
  WorkerPaused: 'pause',
  WorkerResumed: 'resume',
  WorkerLost: 'lost',
  // By somebody else: after its own it listens no more.
  WorkerStopped: 'lost',
}

export interface PresenceServices {
  readonly feed: Feed
  readonly journal: Journal
  readonly clock: Clock
  readonly host: Host
  readonly log: Logger
  readonly codeVersion: string | undefined
  /** One for all workers of an open ledger. */
  readonly runtime: string
}

/** A worker as the log knows it: signs on, beats while it has nothing else to say, hears what others decide, signs off. */
export class Presence {
  readonly #id: string
  readonly #services: PresenceServices
  readonly #onSignal: (signal: WorkerSignal['type']) => void
  readonly #beats: Alarm
  readonly #landed: () => Promise<void>
  #listening: Subscription | undefined
  #seenAt = 0
  /** The last pause that it acts on and has not said so. */
  #owed: Position = START

  constructor(
    id: string,
    services: PresenceServices,
    ways: {
      onSignal(signal: WorkerSignal['type']): void
      /** Resolves once no lease is on its way that was begun before. */
      landed(): Promise<void>
    },
  ) {
    this.#id = id
    this.#services = services
    this.#onSignal = ways.onSignal
    this.#landed = ways.landed
    this.#beats = new Alarm(services.clock, () => void this.#beat())
  }

  /** `pausedLike`: the id of a paused worker whose place it takes. */
  async signOn({ name, definitions, queues, channels, room }: Pool, pausedLike?: string): Promise<void> {
    const { feed, journal, host, codeVersion, runtime, clock } = this.#services
    const own = workerStream(this.#id)
    // From the start: it may be paused as soon as it is known.
    this.#listening = feed.events$.subscribe(({ stream, type, position }) => {
      if (stream === own) this.#hear(type, position)
      else if (type === 'QueuePaused' && (queues?.includes(queueOf(stream)) ?? true)) void this.#answer(position)
    })
    const registered = journal.submit(
      workers.register(this.#id, {
        ...{ pool: name, runtime, process: host.identity(), arch: host.arch, types: [...definitions.keys()] },
        ...{ queues, channels, concurrency: room.slots, codeVersion },
      }),
    )
    // In the same tick, so in the same commit: there is no moment in which it is not paused.
    const paused =
      pausedLike === undefined ? undefined : journal.submit(workers.pause(this.#id, `as ${pausedLike} was`))
    await Promise.all([registered, paused])
    this.#seenAt = clock.now()
    this.#beats.by(this.#seenAt + BEAT)
  }

  #hear(type: string, position: Position): void {
    const signal = SIGNALS[type]
    if (signal !== undefined) this.#onSignal(signal)
    if (signal === 'pause') void this.#answer(position)
  }

  /** Whoever pauses is told, busy or not, as soon as no lease is on its way any more that rests on what was before. */
  async #answer(position: Position): Promise<void> {
    await this.#landed()
    if (position > this.#owed) this.#owed = position
    await this.#say()
  }

  /** It has just written something (ms): no need to beat for a while. */
  seen(at: number): void {
    this.#seenAt = at
  }

  async #beat(): Promise<void> {
    const now = this.#services.clock.now()
    this.#beats.by(Math.max(this.#seenAt + BEAT, now + BEAT / 2))
    if (now - this.#seenAt >= BEAT || this.#owed !== START) await this.#say()
  }

  async #say(): Promise<void> {
    const { clock, journal, log } = this.#services
    const owed = this.#owed
    try {
      await journal.submit(workers.beat(this.#id, owed === START ? undefined : owed))
      this.#seenAt = clock.now()
      if (this.#owed === owed) this.#owed = START
    } catch (error) {
      // Gone, or not there yet: nobody waits for it.
      const isExpected = error instanceof WorkerGone || error instanceof WorkerUnknown
      if (!isExpected) log.warn({ err: error }, 'sign of life not recorded')
    }
  }

  /** Others need not leave anything to it any more; it does not matter if they do not hear of it. */
  async drain(): Promise<void> {
    const { journal, log } = this.#services
    await journal.submit(workers.drain(this.#id)).catch((error) => log.debug({ err: error }, 'drain not recorded'))
  }

  async signOff(): Promise<void> {
    this.#beats.stop()
    this.#listening?.unsubscribe()
    try {
      await this.#services.journal.submit(workers.stop(this.#id))
    } catch (error) {
      // The log has taken leave of it before.
      if (!(error instanceof WorkerGone)) throw error
    }
  }
}
