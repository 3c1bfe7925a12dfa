import type { EventTexts, Position } from '../../domain/event.js'
import type { Segment } from '../../projections/segments.js'
import type { SegmentSource } from './lost-segments.js'

/** Events of a page at most. */
const PAGE = 1_000

interface Cursor {
  readonly name: string
  readonly events: readonly EventTexts[]
  next: number
}

/**
 * The events of many segments as one, in order, each once. A segment is opened when the order comes to its first event, and let
 * go after its last.
 */
export class ArchivedEvents {
  readonly #catalogue: SegmentSource
  readonly #known = new Set<string>()
  #reached: Position
  /** The first to come last. */
  #waiting: Segment[] = []
  #open: Cursor[] = []

  constructor(catalogue: SegmentSource, after: Position) {
    this.#catalogue = catalogue
    this.#reached = after
  }

  /** Takes up those that are not known yet. */
  add(segments: Iterable<Segment>): void {
    let added = false
    for (const segment of segments) {
      if (this.#known.has(segment.name)) continue
      this.#known.add(segment.name)
      if (segment.to <= this.#reached) continue
      this.#waiting.push(segment)
      added = true
    }
    if (added) this.#waiting.sort((a, b) => (a.from < b.from ? 1 : -1))
  }

  /** Pages of what there is up to a position, itself included, since the last call. */
  async *upTo(through: Position): AsyncGenerator<EventTexts[], void, undefined> {
    let page: EventTexts[] = []
    for (;;) {
      const event = await this.#next(through)
      if (event !== undefined) page.push(event)
      if (page.length === PAGE || (event === undefined && page.length > 0)) {
        yield page
        page = []
      }
      if (event === undefined) break
    }
    if (through > this.#reached) this.#reached = through
  }

  async #next(through: Position): Promise<EventTexts | undefined> {
    for (;;) {
      const first = this.#first()
      const from = this.#waiting.at(-1)?.from
      if (from !== undefined && from <= through && (first === undefined || from <= headOf(first))) {
        await this.#openNext()
        continue
      }
      if (first === undefined || headOf(first) > through) return undefined
      const event = this.#pass(headOf(first))
      if (event !== undefined) return event
    }
  }

  #first(): Cursor | undefined {
    let first = this.#open[0]
    for (const cursor of this.#open) if (first !== undefined && headOf(cursor) < headOf(first)) first = cursor
    return first
  }

  async #openNext(): Promise<void> {
    const segment = this.#waiting.at(-1) as Segment
    const events = await this.#catalogue.eventsOf(segment)
    this.#waiting = this.#waiting.filter((other) => other !== segment)
    const next = events.findIndex(({ position }) => position > this.#reached)
    if (next !== -1) this.#open.push({ name: segment.name, events, next })
  }

  /** The same event may be in several; undefined: none of them tells it. */
  #pass(position: Position): EventTexts | undefined {
    this.#reached = position
    let told: EventTexts | undefined
    for (const cursor of this.#open) {
      if (headOf(cursor) !== position) continue
      const event = cursor.events[cursor.next] as EventTexts
      if (this.#catalogue.lets(cursor.name, event.stream)) told = event
      cursor.next += 1
    }
    if (this.#open.some(isDone)) this.#open = this.#open.filter((cursor) => !isDone(cursor))
    return told
  }
}

const headOf = ({ events, next }: Cursor): Position => (events[next] as EventTexts).position
const isDone = ({ events, next }: Cursor): boolean => next >= events.length
