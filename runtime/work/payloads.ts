import type { RecordedEvent } from '../../domain/event.js'
import { jobIdOf, jobStream } from '../../domain/job/events.js'
import type { EventStore } from '../ports/event-store.js'
import { decode } from '../write/codec.js'

/** UTF-16 units or bytes kept at most, in all. */
const KEPT = 4_000_000

/**
 * Payloads on their way to a handler. What this process has just enqueued is at hand; all else is read when it is leased:
 * the payloads of a large backlog are not kept in memory.
 */
export class Payloads {
  readonly #store: EventStore
  readonly #recent = new Map<string, RecordedEvent>()
  #size = 0

  constructor(store: EventStore) {
    this.#store = store
  }

  /** Keeps the body of a `Queued` that this process wrote, while there is room: those that come first run first. */
  remember(event: RecordedEvent): void {
    const size = sizeOf(event)
    if (size === 0 || this.#size + size > KEPT) return
    this.#recent.set(jobIdOf(event.stream), event)
    this.#size += size
  }

  forget(id: string): void {
    const event = this.#recent.get(id)
    if (event === undefined) return
    this.#recent.delete(id)
    this.#size -= sizeOf(event)
  }

  /** Begins to read a payload that is not at hand. A failure shows when it is loaded. */
  fetch(id: string): Promise<unknown> | undefined {
    if (this.#recent.has(id)) return undefined
    const reading = this.#read(id)
    reading.catch(() => {})
    return reading
  }

  load(id: string): unknown | Promise<unknown> {
    const event = this.#recent.get(id)
    return event === undefined ? this.#read(id) : decode(event.body)
  }

  async #read(id: string): Promise<unknown> {
    for await (const [first] of this.#store.readStream(jobStream(id), { limit: 1, bodies: true }))
      return decode(first?.body)
    return undefined
  }
}

const sizeOf = ({ body }: RecordedEvent): number => (body !== undefined && 'content' in body ? body.content.length : 0)
