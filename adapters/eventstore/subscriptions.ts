/**
 * Catch-up subscriptions: the server brings what is there and then what comes. One that is lost is opened again after the last
 * thing it brought. The server says when it has brought all there is, once at first and again whenever it had fallen behind; in
 * between the end is told each time nothing is left to give.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { ReadResp } from '@eventstore/db-client/generated/streams_pb.js'
import type { Position, RecordedEvent } from '../../domain/event.js'
import type { Batch } from '../../runtime/ports/event-store.js'
import { StoreClosed } from '../../runtime/ports/event-store.js'
import type { Connection } from './connection.js'
import { Ended, isPassing, toStoreError } from './errors.js'
import type { Inbox } from './inbox.js'
import { fromPosition, toPosition } from './positions.js'
import { type Reader, recordIn } from './reader.js'
import { subscription } from './requests.js'

/** How long a server may be away before whoever listens is told, in ms: most restarts take less. */
const PATIENCE = 5_000
/** First and longest wait before it is tried again, in ms. */
const RETRY_MS = 50
const LAST_RETRY_MS = 1_000

interface Options {
  readonly after?: Position
  readonly signal: AbortSignal
}

export class Subscriptions {
  readonly #connection: Connection
  readonly #reader: Reader
  readonly #active = new Set<AbortController>()

  constructor(connection: Connection, reader: Reader) {
    this.#connection = connection
    this.#reader = reader
  }

  open({ after = '', signal }: Options): AsyncIterable<Batch> {
    // Throws for a position that is none.
    fromPosition(after)
    return { [Symbol.asyncIterator]: () => this.#start(after, signal) }
  }

  close(): void {
    for (const ending of this.#active) ending.abort()
  }

  #start(after: Position, signal: AbortSignal): AsyncIterator<Batch> {
    const ending = new AbortController()
    const end = (): void => ending.abort()
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    const batches = this.#follow(after, ending, () => signal.removeEventListener('abort', end))
    return {
      next: () => batches.next(),
      // Whoever waits is answered at once: a generator would let the end wait for the next event.
      return: () => {
        end()
        return batches.return(undefined)
      },
    }
  }

  async *#follow(
    after: Position,
    ending: AbortController,
    done: () => void,
  ): AsyncGenerator<Batch, undefined, undefined> {
    const following = new Following(this.#reader, after)
    const { signal } = ending
    this.#active.add(ending)
    let lost = 0
    let wait = RETRY_MS
    try {
      this.#checkOpen(signal)
      while (!signal.aborted) {
        try {
          for await (const batch of this.#once(following, signal)) {
            if (lost > 0) this.#connection.works()
            lost = 0
            wait = RETRY_MS
            yield batch
          }
        } catch (error) {
          if (signal.aborted) break
          this.#connection.failed(error)
          const now = performance.now()
          lost ||= now
          if (!isPassing(error) || now - lost > PATIENCE) throw toStoreError(error, this.#connection.place)
          await pause(wait, undefined, { signal }).catch(() => {})
          wait = Math.min(wait * 2, LAST_RETRY_MS)
        }
      }
    } finally {
      this.#active.delete(ending)
      done()
    }
    return undefined
  }

  #checkOpen(signal: AbortSignal): void {
    if (this.#connection.closed && !signal.aborted) throw new StoreClosed()
  }

  /** Until the connection is lost or listening is over. */
  async *#once(following: Following, signal: AbortSignal): AsyncGenerator<Batch, void, undefined> {
    const { prefix } = this.#reader
    const inbox = await this.#connection.openRead(subscription({ prefix }, this.#reader.startAt(following.through)))
    const end = (): void => inbox.cancel()
    signal.addEventListener('abort', end, { once: true })
    try {
      if (signal.aborted) return
      yield* following.take(inbox, signal)
    } finally {
      signal.removeEventListener('abort', end)
      inbox.cancel()
    }
  }
}

/** Where one subscriber is. */
class Following {
  /** Up to here all was brought; a later try begins after it. */
  through: Position
  readonly #reader: Reader
  /** Of the last event given out. */
  #position: Position
  /** Of the last event brought, '' as long as there was none. */
  #seen: Position = ''
  #toldEnd = false

  constructor(reader: Reader, after: Position) {
    this.#reader = reader
    this.#position = after
    this.through = after
  }

  async *take(inbox: Inbox, signal: AbortSignal): AsyncGenerator<Batch, void, undefined> {
    // The server confirms a subscription at once; after that it may have nothing to say for days.
    let patience: number | undefined
    let live = false
    for (;;) {
      const messages = await inbox.take(patience)
      if (signal.aborted) return
      if (messages.length === 0) throw new Ended()
      patience = Number.POSITIVE_INFINITY
      const events = messages.flatMap(recordIn).flatMap((record) => this.#reader.decode(record, true)?.event ?? [])
      this.through = furthest(messages) ?? this.through
      const page = events.length > 0 ? this.#page(events) : undefined
      this.#reader.saw(this.#seen, this.through)
      if (page !== undefined) yield page
      live ||= messages.some((message) => message.hasCaughtUp())
      if (live && !this.#toldEnd && inbox.isEmpty && !signal.aborted) {
        this.#toldEnd = true
        yield { kind: 'caughtUp', position: this.#position }
      }
    }
  }

  #page(events: readonly RecordedEvent[]): Batch {
    this.#position = events.at(-1)?.position ?? this.#position
    this.#toldEnd = false
    this.#seen = this.#position
    return { kind: 'events', events, position: this.#position }
  }
}

/** Of the last event or checkpoint. */
function furthest(messages: readonly ReadResp[]): Position | undefined {
  const last = messages.findLast((message) => message.hasEvent() || message.hasCheckpoint())
  const place = last?.getCheckpoint() ?? last?.getEvent()?.getEvent()
  return place && toPosition({ commit: place.getCommitPosition(), prepare: place.getPreparePosition() })
}
