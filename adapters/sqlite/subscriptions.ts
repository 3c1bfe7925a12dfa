/**
 * Catch-up subscriptions over a store that can be read synchronously. A subscriber reads pages until it has reached the
 * end; from then on it is handed every own commit as it is made, without reading, as long as that commit begins where
 * the subscriber stands. Whatever does not fit (another writer was in between, the subscriber is slow) makes it read again.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { RecordedEvent } from '../../domain/event.js'
import type { Batch } from '../../runtime/ports/event-store.js'
import { StoreClosed } from '../../runtime/ports/event-store.js'
import { PAGE_SIZE } from '../shared/pages.js'
import { toNumber, toPosition } from '../shared/positions.js'

/** Events kept for a subscriber that is not asking. Beyond it they are dropped and read again when it does ask. */
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
  readAfter(position: number): Reading
  /** The first subscriber came. */
  watch?(): void
  /** The last one went. */
  unwatch?(): void
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

  /** Somebody else has committed: everybody has to look. */
  wake(): void {
    for (const subscription of this.#active) subscription.look()
  }

  close(): void {
    this.#closed = true
    for (const subscription of this.#active) subscription.end()
  }

  join(subscription: Subscription): void {
    if (this.#closed) throw new StoreClosed()
    // Watching starts before the first read, so that nothing can fall between the two.
    if (this.#active.size === 0) this.#log.watch?.()
    this.#active.add(subscription)
  }

  leave(subscription: Subscription): void {
    if (this.#active.delete(subscription) && this.#active.size === 0) this.#log.unwatch?.()
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
  /** Up to here events have been given out. */
  #given: number
  /** Up to here they have been given out or are buffered. */
  #edge: number
  #buffer: (readonly RecordedEvent[])[] = []
  #buffered = 0
  /** There may be events after `#edge` that only a read can bring. */
  #behind = true
  /** Whether the end at `#given` has been told. */
  #toldEnd = false
  /** A page was read in this turn of the event loop; the next one waits for the next turn. */
  #tired = false

  constructor(hub: Subscriptions, log: Log, after: number, signal: AbortSignal) {
    this.#hub = hub
    this.#log = log
    this.#given = after
    this.#edge = after
    this.#signal = signal
  }

  /** Not an async function: that would answer some microtasks later than the commit, and than the appender. */
  next(): Promise<IteratorResult<Batch>> {
    return this.#behind && this.#tired ? nextTurn().then(() => this.#ask()) : this.#ask()
  }

  async return(): Promise<IteratorResult<Batch>> {
    this.end()
    return { done: true, value: undefined }
  }

  offer(commit: Commit): void {
    if (this.#behind) return
    if (commit.previous === this.#edge && this.#buffered <= BUFFER_LIMIT) this.#keep(commit)
    else this.look()
  }

  look(): void {
    this.#behind = true
    this.#buffer = []
    this.#buffered = 0
    this.#edge = this.#given
    this.#serve()
  }

  end(): void {
    this.#state = 'ended'
    this.#hub.leave(this)
    this.#signal.removeEventListener('abort', this.#end)
    this.#buffer = []
    this.#serve()
  }

  #ask(): Promise<IteratorResult<Batch>> {
    return new Promise((resolve, reject) => {
      if (this.#state === 'new') this.#start()
      this.#tired = false
      this.#waiters.push({ resolve, reject })
      this.#serve()
    })
  }

  #keep({ events, last }: Commit): void {
    this.#buffer.push(events)
    this.#buffered += events.length
    this.#edge = last
    this.#serve()
  }

  #start(): void {
    this.#state = this.#signal.aborted ? 'ended' : 'running'
    if (this.#state === 'ended') return
    this.#hub.join(this)
    this.#signal.addEventListener('abort', this.#end, { once: true })
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
    try {
      const value = this.#take()
      return value && { done: false, value }
    } catch (error) {
      this.#waiters.shift()?.reject(error)
      this.end()
      return undefined
    }
  }

  #take(): Batch | undefined {
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

  /** Whole commits, joined up to about a page. */
  #unbuffer(): readonly RecordedEvent[] {
    const parts: (readonly RecordedEvent[])[] = []
    let count = 0
    while (this.#buffer.length > 0 && count < PAGE_SIZE) {
      const part = this.#buffer.shift() ?? []
      parts.push(part)
      count += part.length
    }
    this.#buffered -= count
    const events = (parts.length === 1 ? parts[0] : parts.flat()) ?? []
    this.#given = toNumber(events.at(-1)?.position ?? toPosition(this.#given))
    return events
  }
}
