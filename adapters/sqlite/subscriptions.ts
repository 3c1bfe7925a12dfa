/**
 * Catch-up subscriptions over a store that can be read synchronously. A subscriber reads pages until it has reached the
 * end; from then on it is handed every own commit as it is made, without reading, as long as that commit begins where
 * the subscriber stands. Whatever does not fit (another writer was in between, the subscriber is slow) makes it read again.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { RecordedEvent } from '../../domain/event.js'
import type { Batch } from '../../runtime/ports/event-store.js'
import { LiveSubscriptions, type Reading, type Watching } from '../shared/live-subscriptions.js'
import { toNumber, toPosition } from '../shared/positions.js'
import { type Commit, CommitBuffer, Subscriber, type Subscribers } from '../shared/subscriber.js'

/** What subscribers need of their store. */
export interface Log extends Watching {
  /** Events after a position, in order, about a page of them. */
  readAfter(position: number): Reading
}

/** All subscribers of one store. */
export class Subscriptions extends LiveSubscriptions<Subscription> {
  constructor(log: Log) {
    super(log, (subscribers, after, signal) => new Subscription(subscribers, log, after, signal))
  }
}

class Subscription extends Subscriber {
  readonly #log: Log
  readonly #buffer = new CommitBuffer()
  /** Up to here events have been given out. */
  #given: number
  /** Up to here they have been given out or are buffered. */
  #edge: number
  /** There may be events after `#edge` that only a read can bring. */
  #behind = true
  /** Whether the end at `#given` has been told. */
  #toldEnd = false
  /** A page was read in this turn of the event loop; the next one waits for the next turn. */
  #tired = false

  constructor(subscribers: Subscribers<Subscription>, log: Log, after: number, signal: AbortSignal) {
    super(subscribers, signal)
    this.#log = log
    this.#given = after
    this.#edge = after
  }

  override next(): Promise<IteratorResult<Batch>> {
    return this.#behind && this.#tired ? nextTurn().then(() => this.#ask()) : this.#ask()
  }

  #ask(): Promise<IteratorResult<Batch>> {
    this.#tired = false
    return super.next()
  }

  offer({ previous, last, events }: Commit): void {
    if (this.#behind) return
    if (previous !== this.#edge || this.#buffer.isFull) return this.look()
    this.#buffer.add(events)
    this.#edge = last
    this.serve()
  }

  look(): void {
    this.#behind = true
    this.#buffer.clear()
    this.#edge = this.#given
    this.serve()
  }

  protected take(): Batch | undefined {
    const events = this.#behind ? this.#read() : this.#unbuffer()
    if (events.length > 0) {
      this.#toldEnd = false
      return { kind: 'events', events, position: toPosition(this.#given) }
    }
    if (this.#toldEnd) return undefined
    this.#toldEnd = true
    return { kind: 'caughtUp', position: toPosition(this.#given) }
  }

  /** The next events that only the store has; none at all means that the end is reached. */
  #read(): readonly RecordedEvent[] {
    let reading: Reading
    do {
      reading = this.#log.readAfter(this.#given)
      this.#given = reading.through
    } while (reading.more && reading.events.length === 0)
    this.#edge = this.#given
    this.#behind = reading.more
    this.#tired = true
    return reading.events
  }

  #unbuffer(): readonly RecordedEvent[] {
    const events = this.#buffer.take()
    this.#given = toNumber(events.at(-1)?.position ?? toPosition(this.#given))
    return events
  }
}
