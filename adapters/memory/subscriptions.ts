/** Catch-up subscriptions over a log in memory: a subscriber is a place in it, woken when the log grows. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Position, RecordedEvent } from '../../domain/event.js'
import type { Batch } from '../../runtime/ports/event-store.js'
import { PAGE_SIZE } from '../shared/pages.js'
import { Subscriber, Subscribers } from '../shared/subscriber.js'

export interface SubscribeOptions {
  readonly after?: Position
  readonly signal: AbortSignal
}

/** The events after a position, at most `limit`. */
type ReadAfter = (position: Position, limit: number) => readonly RecordedEvent[]

/** All subscribers of one store. */
export class Subscriptions {
  readonly #readAfter: ReadAfter
  readonly #subscribers = new Subscribers<Subscription>()

  constructor(readAfter: ReadAfter) {
    this.#readAfter = readAfter
  }

  open(options: SubscribeOptions): AsyncIterable<Batch> {
    return { [Symbol.asyncIterator]: () => new Subscription(this.#subscribers, this.#readAfter, options) }
  }

  /** The log has grown. Whoever waits is answered before the appender is. */
  wake(): void {
    for (const subscription of this.#subscribers) subscription.serve()
  }

  close(): void {
    this.#subscribers.close()
  }
}

class Subscription extends Subscriber {
  readonly #readAfter: ReadAfter
  #position: Position
  #toldEnd = false
  /** A full page was given: the next one waits for the next turn of the event loop. */
  #tired = false

  constructor(subscribers: Subscribers<Subscription>, readAfter: ReadAfter, { after = '', signal }: SubscribeOptions) {
    super(subscribers, signal)
    this.#readAfter = readAfter
    this.#position = after
  }

  override next(): Promise<IteratorResult<Batch>> {
    return this.#tired ? nextTurn().then(() => this.#ask()) : this.#ask()
  }

  #ask(): Promise<IteratorResult<Batch>> {
    this.#tired = false
    return super.next()
  }

  protected take(): Batch | undefined {
    const events = this.#readAfter(this.#position, PAGE_SIZE)
    this.#tired = events.length === PAGE_SIZE
    const position = events.at(-1)?.position
    if (position !== undefined) {
      this.#position = position
      this.#toldEnd = false
      return { kind: 'events', events, position }
    }
    if (this.#toldEnd) return undefined
    this.#toldEnd = true
    return { kind: 'caughtUp', position: this.#position }
  }
}
