/**
 * Catch-up subscriptions over a store that answers later. A subscriber reads pages until it has reached the end; from then on
 * it is handed every own commit as it is made, without reading, as long as that commit begins where the subscriber stands.
 * Whatever does not fit (another writer was in between, the subscriber is slow) makes it read again.
 */
import type { RecordedEvent } from '../../domain/event.js'
import type { Batch } from '../../runtime/ports/event-store.js'
import { StoreClosed } from '../../runtime/ports/event-store.js'
import { PAGE_SIZE } from '../shared/pages.js'
import { toNumber, toPosition } from '../shared/positions.js'

/** Events kept for a subscriber that is not asking. Beyond it they are read again when it does ask. */
const BUFFER_LIMIT = 10_000

/** What one read brought: the events, how far it went, and whether there may be more behind it. */
export interface Reading {
  readonly events: readonly RecordedEvent[]
  readonly through: number
  readonly more: boolean
}

/** What subscribers need of their store. */
export interface Log {
  /** Events after a position, in order, about a page of them. */
  after(position: number): Promise<Reading>
  /** The first subscriber came. */
  watch(): void
  /** The last one went. */
  unwatch(): void
}

/** The events of one commit and where they lie: directly after `previous`, up to `last`. */
export interface Commit {
  readonly previous: number
  readonly last: number
  readonly events: readonly RecordedEvent[]
}

/** All subscribers of one store. */
export class Subscriptions {
  readonly #log: Log
  readonly #active = new Set<Subscription>()
  #closed = false

  constructor(log: Log) {
    this.#log = log
  }

  /** Whether anybody listens: without listeners a commit need not be made into recorded events. */
  get listening(): boolean {
    return this.#active.size > 0
  }

  open(options: { readonly after?: string; readonly signal: AbortSignal }): AsyncIterable<Batch> {
    return {
      [Symbol.asyncIterator]: () => new Subscription(this, this.#log, toNumber(options.after ?? ''), options.signal),
    }
  }

  /** Hands a commit of our own to everybody, before the appender hears of it. */
  publish(commit: Commit): void {
    for (const subscription of this.#active) subscription.offer(commit)
  }

  /** Somebody has committed up to a position: who is not there yet has to look. */
  heard(position: number): void {
    for (const subscription of this.#active) subscription.hear(position)
  }

  /** Nobody can say what was committed: everybody has to look. */
  wake(): void {
    for (const subscription of this.#active) subscription.look()
  }

  close(): void {
    this.#closed = true
    for (const subscription of this.#active) subscription.end()
  }

  join(subscription: Subscription): void {
    if (this.#closed) throw new StoreClosed()
    this.#active.add(subscription)
    if (this.#active.size === 1) this.#log.watch()
  }

  leave(subscription: Subscription): void {
    if (this.#active.delete(subscription) && this.#active.size === 0) this.#log.unwatch()
  }
}

interface Waiter {
  readonly resolve: (result: IteratorResult<Batch>) => void
  readonly reject: (error: unknown) => void
}

class Subscription implements AsyncIterator<Batch> {
  readonly #hub: Subscriptions
  readonly #log: Log
  readonly #signal: AbortSignal
  readonly #waiters: Waiter[] = []
  readonly #end = (): void => this.end()
  #state: 'new' | 'running' | 'ended' = 'new'
  /** Of the last event given out. */
  #position: number
  /** Up to here all is given out or buffered. */
  #edge: number
  /** Up to here there are commits, as far as anybody has told. */
  #heard = 0
  /** There may be events after `#edge` that only a read can bring. */
  #behind = true
  #reading = false
  #buffer: (readonly RecordedEvent[])[] = []
  #buffered = 0
  /** Whether the end at `#position` has been told. */
  #toldEnd = false

  constructor(hub: Subscriptions, log: Log, after: number, signal: AbortSignal) {
    this.#hub = hub
    this.#log = log
    this.#position = after
    this.#edge = after
    this.#signal = signal
  }

  /** Not an async function: that would answer some microtasks later than the commit, and than the appender. */
  next(): Promise<IteratorResult<Batch>> {
    return new Promise((resolve, reject) => {
      if (this.#state === 'new') this.#start()
      this.#waiters.push({ resolve, reject })
      this.#serve()
    })
  }

  async return(): Promise<IteratorResult<Batch>> {
    this.end()
    return { done: true, value: undefined }
  }

  offer({ previous, last, events }: Commit): void {
    this.#heard = Math.max(this.#heard, last)
    if (last <= this.#edge) return
    const fits = !this.#behind && !this.#reading && previous === this.#edge && this.#buffered <= BUFFER_LIMIT
    if (fits) this.#keep(events, last)
    else this.#behind = true
    this.#serve()
  }

  hear(position: number): void {
    this.#heard = Math.max(this.#heard, position)
    if (position > this.#edge) this.look()
  }

  look(): void {
    this.#behind = true
    this.#serve()
  }

  end(): void {
    this.#state = 'ended'
    this.#hub.leave(this)
    this.#signal.removeEventListener('abort', this.#end)
    this.#buffer = []
    this.#serve()
  }

  #start(): void {
    this.#state = this.#signal.aborted ? 'ended' : 'running'
    if (this.#state === 'ended') return
    this.#hub.join(this)
    this.#signal.addEventListener('abort', this.#end, { once: true })
  }

  #keep(events: readonly RecordedEvent[], edge: number): void {
    if (events.length > 0) this.#buffer.push(events)
    this.#buffered += events.length
    this.#edge = edge
  }

  /** Answers those who wait, as far as there is something to answer. */
  #serve(): void {
    while (this.#waiters.length > 0) {
      const result = this.#result()
      if (result === undefined) return
      this.#waiters.shift()?.resolve(result)
    }
  }

  #result(): IteratorResult<Batch> | undefined {
    if (this.#state === 'ended') return { done: true, value: undefined }
    if (this.#buffered > 0) return { done: false, value: this.#unbuffer() }
    if (this.#behind) {
      if (!this.#reading) void this.#read()
      return undefined
    }
    if (this.#toldEnd) return undefined
    this.#toldEnd = true
    return { done: false, value: { kind: 'caughtUp', position: toPosition(this.#position) } }
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
      this.#fail(error)
    } finally {
      this.#reading = false
    }
    this.#serve()
  }

  #fail(error: unknown): void {
    if (this.#state === 'ended') return
    this.#waiters.shift()?.reject(error)
    this.end()
  }

  /** Whole commits, joined up to about a page. */
  #unbuffer(): Batch {
    const parts: (readonly RecordedEvent[])[] = []
    let count = 0
    while (this.#buffer.length > 0 && count < PAGE_SIZE) {
      const part = this.#buffer.shift() ?? []
      parts.push(part)
      count += part.length
    }
    this.#buffered -= count
    const events = (parts.length === 1 ? parts[0] : parts.flat()) ?? []
    const position = events.at(-1)?.position ?? toPosition(this.#position)
    this.#position = toNumber(position)
    this.#toldEnd = false
    return { kind: 'events', events, position }
  }
}
