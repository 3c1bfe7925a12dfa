/** What the subscriptions of all stores have in common: who waits for the next batch, and how it begins and ends. */
import type { RecordedEvent } from '../../domain/event.js'
import type { Batch } from '../../runtime/ports/event-store.js'
import { StoreClosed } from '../../runtime/ports/event-store.js'
import { PAGE_SIZE } from './pages.js'

/** All subscribers of one store. */
export class Subscribers<Each extends Subscriber> implements Iterable<Each> {
  readonly #active = new Set<Subscriber>()
  readonly #watch: (() => void) | undefined
  readonly #unwatch: (() => void) | undefined
  #closed = false

  /** `watch`: the first subscriber comes, and has read nothing yet. `unwatch`: the last one went. */
  constructor({ watch, unwatch }: { readonly watch?: () => void; readonly unwatch?: () => void } = {}) {
    this.#watch = watch
    this.#unwatch = unwatch
  }

  [Symbol.iterator](): Iterator<Each> {
    return (this.#active as Set<Each>).values()
  }

  get size(): number {
    return this.#active.size
  }

  close(): void {
    this.#closed = true
    for (const subscriber of this.#active) subscriber.end()
  }

  join(subscriber: Subscriber): void {
    if (this.#closed) throw new StoreClosed()
    if (this.#active.size === 0) this.#watch?.()
    this.#active.add(subscriber)
  }

  leave(subscriber: Subscriber): void {
    if (this.#active.delete(subscriber) && this.#active.size === 0) this.#unwatch?.()
  }
}

interface Waiter {
  readonly resolve: (result: IteratorResult<Batch>) => void
  readonly reject: (error: unknown) => void
}

type Room = Pick<Subscribers<Subscriber>, 'join' | 'leave'>

/** A store's own subscription says what `take` gives, and calls `serve` when there may be more of it. */
export abstract class Subscriber implements AsyncIterator<Batch> {
  readonly #room: Room
  readonly #signal: AbortSignal
  readonly #waiters: Waiter[] = []
  readonly #end = (): void => this.end()
  #state: 'new' | 'running' | 'ended' = 'new'

  constructor(room: Room, signal: AbortSignal) {
    this.#room = room
    this.#signal = signal
  }

  /** The next batch; undefined: there is none yet. What it throws ends the subscription. */
  protected abstract take(): Batch | undefined

  /** Not an async function: that would answer some microtasks later than the commit, and than the appender. */
  next(): Promise<IteratorResult<Batch>> {
    return new Promise((resolve, reject) => {
      if (this.#state === 'new') this.#start()
      this.#waiters.push({ resolve, reject })
      this.serve()
    })
  }

  async return(): Promise<IteratorResult<Batch>> {
    this.end()
    return { done: true, value: undefined }
  }

  end(): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#room.leave(this)
    this.#signal.removeEventListener('abort', this.#end)
    this.serve()
  }

  /** Answers those who wait, as far as there is something to answer. */
  serve(): void {
    while (this.#waiters.length > 0) {
      const result = this.#result()
      if (result === undefined) return
      this.#waiters.shift()?.resolve(result)
    }
  }

  protected fail(error: unknown): void {
    if (this.#state === 'ended') return
    this.#waiters.shift()?.reject(error)
    this.end()
  }

  #start(): void {
    this.#state = this.#signal.aborted ? 'ended' : 'running'
    if (this.#state === 'ended') return
    this.#room.join(this)
    this.#signal.addEventListener('abort', this.#end, { once: true })
  }

  #result(): IteratorResult<Batch> | undefined {
    if (this.#state === 'ended') return { done: true, value: undefined }
    try {
      const value = this.take()
      return value && { done: false, value }
    } catch (error) {
      this.fail(error)
      return undefined
    }
  }
}

/** The events of one commit and where they lie: directly after `previous`, up to `last`. */
export interface Commit {
  readonly previous: number
  readonly last: number
  readonly events: readonly RecordedEvent[]
}

/** Events kept for a subscriber that is not asking. Beyond it they are dropped and read again when it does ask. */
const BUFFER_LIMIT = 10_000

/** Commits that a subscriber has not asked for yet. */
export class CommitBuffer {
  #commits: (readonly RecordedEvent[])[] = []
  #size = 0

  get isEmpty(): boolean {
    return this.#size === 0
  }

  get isFull(): boolean {
    return this.#size > BUFFER_LIMIT
  }

  add(events: readonly RecordedEvent[]): void {
    if (events.length === 0) return
    this.#commits.push(events)
    this.#size += events.length
  }

  clear(): void {
    this.#commits = []
    this.#size = 0
  }

  /** Whole commits, joined up to about a page. */
  take(): readonly RecordedEvent[] {
    const parts: (readonly RecordedEvent[])[] = []
    let count = 0
    while (this.#commits.length > 0 && count < PAGE_SIZE) {
      const part = this.#commits.shift() ?? []
      parts.push(part)
      count += part.length
    }
    this.#size -= count
    return (parts.length === 1 ? parts[0] : parts.flat()) ?? []
  }
}
