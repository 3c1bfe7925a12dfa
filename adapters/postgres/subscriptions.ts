/**
 * Catch-up subscriptions over a store that answers later. A subscriber reads pages until it has reached the end; from then on
 * it is handed every own commit as it is made, without reading, as long as that commit begins where the subscriber stands.
 * Whatever does not fit (another writer was in between, the subscriber is slow) makes it read again.
 */
import type { RecordedEvent } from '../../domain/event.js'
import type { Batch } from '../../runtime/ports/event-store.js'
import { LiveSubscriptions, type Reading, type Watching } from '../shared/live-subscriptions.js'
import { toNumber, toPosition } from '../shared/positions.js'
import { type Commit, CommitBuffer, Subscriber, type Subscribers } from '../shared/subscriber.js'

/** What subscribers need of their store. */
export interface Log extends Watching {
  /** Events after a position, in order, about a page of them. */
  after(position: number): Promise<Reading>
}

/** All subscribers of one store. */
export class Subscriptions extends LiveSubscriptions<Subscription> {
  constructor(log: Log) {
    super(log, (subscribers, after, signal) => new Subscription(subscribers, log, after, signal))
  }

  /** Somebody has committed up to a position: who is not there yet has to look. */
  heard(position: number): void {
    for (const subscription of this.subscribers) subscription.hear(position)
  }
}

class Subscription extends Subscriber {
  readonly #log: Log
  readonly #buffer = new CommitBuffer()
  /** Of the last event given out. */
  #position: number
  /** Up to here all is given out or buffered. */
  #edge: number
  /** Up to here there are commits, as far as anybody has told. */
  #heard = 0
  /** There may be events after `#edge` that only a read can bring. */
  #behind = true
  #reading = false
  /** Whether the end at `#position` has been told. */
  #toldEnd = false

  constructor(subscribers: Subscribers<Subscription>, log: Log, after: number, signal: AbortSignal) {
    super(subscribers, signal)
    this.#log = log
    this.#position = after
    this.#edge = after
  }

  offer({ previous, last, events }: Commit): void {
    this.#heard = Math.max(this.#heard, last)
    if (last <= this.#edge) return
    const fits = !this.#behind && !this.#reading && previous === this.#edge && !this.#buffer.isFull
    if (fits) this.#keep(events, last)
    else this.#behind = true
    this.serve()
  }

  hear(position: number): void {
    this.#heard = Math.max(this.#heard, position)
    if (position > this.#edge) this.look()
  }

  look(): void {
    this.#behind = true
    this.serve()
  }

  #keep(events: readonly RecordedEvent[], edge: number): void {
    this.#buffer.add(events)
    this.#edge = edge
  }

  protected take(): Batch | undefined {
    if (!this.#buffer.isEmpty) return this.#unbuffer()
    if (this.#behind) {
      if (!this.#reading) void this.#read()
      return undefined
    }
    if (this.#toldEnd) return undefined
    this.#toldEnd = true
    return { kind: 'caughtUp', position: toPosition(this.#position) }
  }

  async #read(): Promise<void> {
    this.#reading = true
    this.#behind = false
    try {
      const { events, through, more } = await this.#log.after(this.#edge)
      // What nobody can find is not to be looked for on and on: a log restored from a backup has less than was heard of.
      if (through === this.#edge) this.#heard = through
      this.#keep(events, through)
      this.#behind ||= more || this.#heard > through
    } catch (error) {
      this.fail(error)
    } finally {
      this.#reading = false
    }
    this.serve()
  }

  #unbuffer(): Batch {
    const events = this.#buffer.take()
    const position = events.at(-1)?.position ?? toPosition(this.#position)
    this.#position = toNumber(position)
    this.#toldEnd = false
    return { kind: 'events', events, position }
  }
}
