/** The subscriptions of a store that hands its own commits to them as it makes them. */
import type { RecordedEvent } from '../../domain/event.js'
import type { Batch } from '../../runtime/ports/event-store.js'
import { toNumber } from './positions.js'
import { type Commit, type Subscriber, Subscribers } from './subscriber.js'

/** What one read brought: the events, how far it went, and whether there may be more behind it. */
export interface Reading {
  readonly events: readonly RecordedEvent[]
  readonly through: number
  readonly more: boolean
}

/** What they need of their store, beside a way to read it. */
export interface Watching {
  /** The first subscriber came. */
  watch(): void
  /** The last one went. */
  unwatch(): void
}

/** Takes what fits where it stands, and looks for itself when told that something does not. */
export interface LiveSubscriber extends Subscriber {
  offer(commit: Commit): void
  look(): void
}

/** Makes one that begins after a position. */
type Make<Each extends LiveSubscriber> = (subscribers: Subscribers<Each>, after: number, signal: AbortSignal) => Each

export class LiveSubscriptions<Each extends LiveSubscriber = LiveSubscriber> {
  readonly #make: Make<Each>
  protected readonly subscribers: Subscribers<Each>

  constructor(watching: Watching, make: Make<Each>) {
    this.#make = make
    this.subscribers = new Subscribers(watching)
  }

  /** Whether anybody listens: without listeners a commit need not be made into recorded events. */
  get listening(): boolean {
    return this.subscribers.size > 0
  }

  open(options: { readonly after?: string; readonly signal: AbortSignal }): AsyncIterable<Batch> {
    const after = toNumber(options.after ?? '')
    return { [Symbol.asyncIterator]: () => this.#make(this.subscribers, after, options.signal) }
  }

  /** Hands a commit of our own to everybody, before the appender hears of it. */
  publish(commit: Commit): void {
    for (const subscriber of this.subscribers) subscriber.offer(commit)
  }

  /** Somebody has committed, nobody can say what: everybody has to look. */
  wake(): void {
    for (const subscriber of this.subscribers) subscriber.look()
  }

  close(): void {
    this.subscribers.close()
  }
}
