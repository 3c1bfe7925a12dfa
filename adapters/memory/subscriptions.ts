/** Catch-up subscriptions over a log in memory: a subscriber is a place in it, woken when the log grows. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Position, RecordedEvent } from '../../domain/event.js'
import type { Batch } from '../../runtime/ports/event-store.js'
import { StoreClosed } from '../../runtime/ports/event-store.js'
import { PAGE_SIZE } from '../shared/pages.js'

export interface SubscribeOptions {
  readonly after?: Position
  readonly signal: AbortSignal
}

/** The events after a position, at most `limit`. */
type ReadAfter = (position: Position, limit: number) => readonly RecordedEvent[]

/** All subscribers of one store. */
export class Subscriptions {
  readonly #readAfter: ReadAfter
  readonly #active = new Set<Subscription>()
  #closed = false

  constructor(readAfter: ReadAfter) {
    this.#readAfter = readAfter
  }

  open(options: SubscribeOptions): AsyncIterable<Batch> {
    return {
      [Symbol.asyncIterator]: () => {
        const subscription = new Subscription(this.#readAfter, options, () => this.#active.delete(subscription))
        if (this.#closed) subscription.fail(new StoreClosed())
        else this.#active.add(subscription)
        return subscription
      },
    }
  }

  /** The log has grown. Whoever waits is answered before the appender is. */
  wake(): void {
    for (const subscription of this.#active) subscription.serve()
  }

  close(): void {
    this.#closed = true
    for (const subscription of this.#active) subscription.end()
  }
}

type Answer = (result: IteratorResult<Batch>) => void

class Subscription implements AsyncIterator<Batch> {
  readonly #readAfter: ReadAfter
  readonly #signal: AbortSignal
  readonly #leave: () => void
  readonly #waiters: Answer[] = []
  readonly #end = (): void => this.end()
  #position: Position
  #toldEnd = false
  /** A full page was given: the next one waits for the next turn of the event loop. */
  #tired = false
  #ended = false
  #failure: Error | undefined

  constructor(readAfter: ReadAfter, { after = '', signal }: SubscribeOptions, leave: () => void) {
    this.#readAfter = readAfter
    this.#position = after
    this.#signal = signal
    this.#leave = leave
    this.#ended = signal.aborted
    signal.addEventListener('abort', this.#end, { once: true })
  }

  /** Not an async function: that would answer some microtasks later than the appender is answered. */
  next(): Promise<IteratorResult<Batch>> {
    return this.#tired ? nextTurn().then(() => this.#ask()) : this.#ask()
  }

  async return(): Promise<IteratorResult<Batch>> {
    this.end()
    return { done: true, value: undefined }
  }

  serve(): void {
    while (this.#waiters.length > 0) {
      const result = this.#result()
      if (result === undefined) return
      this.#waiters.shift()?.(result)
    }
  }

  fail(error: Error): void {
    this.#failure = error
    this.end()
  }

  end(): void {
    this.#ended = true
    this.#leave()
    this.#signal.removeEventListener('abort', this.#end)
    this.serve()
  }

  #ask(): Promise<IteratorResult<Batch>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    this.#tired = false
    return new Promise((resolve) => {
      this.#waiters.push(resolve)
      this.serve()
    })
  }

  #result(): IteratorResult<Batch> | undefined {
    if (this.#ended) return { done: true, value: undefined }
    const events = this.#readAfter(this.#position, PAGE_SIZE)
    this.#tired = events.length === PAGE_SIZE
    const position = events.at(-1)?.position
    if (position !== undefined) {
      this.#position = position
      this.#toldEnd = false
      return { done: false, value: { kind: 'events', events, position } }
    }
    if (this.#toldEnd) return undefined
    this.#toldEnd = true
    return { done: false, value: { kind: 'caughtUp', position: this.#position } }
  }
}
