/** The log and its archive, read as one. */

import { EntryWriter, lastOf } from '../../domain/audit/entries.js'
import type { EventTexts, Position, RecordedEvent } from '../../domain/event.js'
import { START } from '../../domain/event.js'
import { isJobStream, jobIdOf, jobStream } from '../../domain/job/events.js'
import type { Segment } from '../../projections/segments.js'
import type {
  EventStore,
  LogRange,
  LogReader,
  ReadAllOptions,
  ReadStreamOptions,
  ReadTextsOptions,
} from '../ports/event-store.js'
import { textsOf } from '../read/texts.js'
import { ArchivedEvents } from './archived-events.js'
import type { SegmentSource } from './lost-segments.js'
import { toRecorded } from './segment-reader.js'

/** After every position. */
const END = '\u{10FFFF}'

export interface WholeLogOptions {
  readonly store: EventStore
  readonly catalogue: SegmentSource
  /** The segment of a job that was archived. */
  readonly segmentOf: (jobId: string) => Promise<string | undefined>
}

/**
 * An event that is in both is given once. Somebody may archive meanwhile: after each page of the log it is asked what was
 * sealed by then, and whatever has left the log before the page was read is in that.
 */
export class WholeLog implements LogReader {
  readonly #options: WholeLogOptions

  constructor(options: WholeLogOptions) {
    this.#options = options
  }

  head(): Promise<Position> {
    return this.#options.store.head()
  }

  readAll(options: ReadAllOptions = {}): AsyncGenerator<RecordedEvent[], void, undefined> {
    return this.readSegments(options, () => true)
  }

  /** As `readAll`, of the archive only these segments. */
  readSegments(
    options: ReadAllOptions,
    isWanted: (segment: Segment) => boolean,
  ): AsyncGenerator<RecordedEvent[], void, undefined> {
    const { bodies = false } = options
    const share = new Share(this.#options, options, isWanted, (texts) => toRecorded(texts, bodies))
    return this.#merged(this.#options.store.readAll(options), options, share)
  }

  readTexts(options: ReadTextsOptions = {}): AsyncGenerator<EventTexts[], void, undefined> {
    if ('stream' in options) return this.#textsOf(options.stream)
    return this.#merged(
      textsOf(this.#options.store, options),
      options,
      new Share(this.#options, options, () => true, same),
    )
  }

  get readEntries(): ((range?: LogRange) => AsyncIterable<Uint8Array>) | undefined {
    return this.#options.store.readEntries && ((range = {}) => this.#entries(range))
  }

  /** As long as nothing is archived those of the log alone; from where that is seen to be over, those of both as one. */
  async *#entries(range: LogRange): AsyncGenerator<Uint8Array, void, undefined> {
    const { store, catalogue } = this.#options
    let last: Uint8Array | undefined
    await catalogue.refresh()
    if (catalogue.isEmpty) {
      for await (const page of store.readEntries?.(range) ?? []) {
        await catalogue.refresh()
        if (!catalogue.isEmpty) break
        last = page
        yield page
      }
    }
    if (catalogue.isEmpty) return
    const after = last === undefined ? range.after : lastOf(last).position
    const writer = new EntryWriter()
    for await (const page of this.readTexts({ ...range, ...(after !== undefined && { after }) }))
      yield writer.write(page)
  }

  /** What has left the store is read as it was stored. */
  async *#textsOf(stream: string): AsyncGenerator<EventTexts[], void, undefined> {
    const live: EventTexts[][] = []
    for await (const page of textsOf(this.#options.store, { stream })) live.push(page)
    const first = live[0]?.[0]?.revision
    if (first === undefined ? isJobStream(stream) : first > 0) {
      const archived = await this.#archivedTexts(stream, {}, first)
      if (archived.length > 0) yield archived
    }
    yield* live
  }

  async *#merged<Event extends Placed>(
    pages: AsyncIterable<Event[]>,
    { until = END, limit = Number.POSITIVE_INFINITY }: ReadAllOptions,
    archive: Share<Event>,
  ): AsyncGenerator<Event[], void, undefined> {
    let left = limit
    const cut = (page: Event[]): Event[] => {
      const some = page.length > left ? page.slice(0, left) : page
      left -= some.length
      return some
    }
    for await (const page of pages) {
      await archive.refresh()
      for await (const merged of archive.merge(page)) {
        yield cut(merged)
        if (left === 0) return
      }
    }
    await archive.refresh()
    for await (const page of archive.upTo(until)) {
      yield cut(page)
      if (left === 0) return
    }
  }

  async *readStream(stream: string, options: ReadStreamOptions = {}): AsyncGenerator<RecordedEvent[], void, undefined> {
    let first: number | undefined
    if (options.backwards) {
      let count = 0
      for await (const page of this.#options.store.readStream(stream, options)) {
        count += page.length
        first = page.at(-1)?.revision ?? first
        yield page
      }
      if (first !== 0 && count < (options.limit ?? Number.POSITIVE_INFINITY))
        yield* this.#archived(stream, options, first, count)
      return
    }
    for await (const page of this.#options.store.readStream(stream, options)) {
      if (first === undefined && page[0] !== undefined) {
        first = page[0].revision
        if (first > (options.from ?? 0)) {
          yield* this.#forwards(stream, options, first)
          return
        }
      }
      yield page
    }
    // Of other streams the last event always stays.
    if (first === undefined && isJobStream(stream)) yield* this.#archived(stream, options, undefined, 0)
  }

  /** What is archived, then what is left. */
  async *#forwards(stream: string, options: ReadStreamOptions, first: number): AsyncGenerator<RecordedEvent[]> {
    let count = 0
    for await (const page of this.#archived(stream, options, first, 0)) {
      count += page.length
      yield page
    }
    const { limit } = options
    if (limit !== undefined && count >= limit) return
    const rest = { ...options, from: first, ...(limit !== undefined && { limit: limit - count }) }
    yield* this.#options.store.readStream(stream, rest)
  }

  /** One page of what a stream has in the archive before a revision of its own; without one: all. `count`: given already. */
  async *#archived(
    stream: string,
    options: ReadStreamOptions,
    before: number | undefined,
    count: number,
  ): AsyncGenerator<RecordedEvent[]> {
    const { limit = Number.POSITIVE_INFINITY, backwards, bodies = false } = options
    const events = await this.#archivedTexts(stream, options, before)
    if (backwards) events.reverse()
    const some = events.slice(0, limit - count)
    if (some.length > 0) yield some.map((event) => toRecorded(event, bodies))
  }

  async #archivedTexts(
    stream: string,
    { from, backwards }: ReadStreamOptions,
    before: number | undefined,
  ): Promise<EventTexts[]> {
    const isInRange = ({ revision }: EventTexts): boolean =>
      revision < (before ?? Number.POSITIVE_INFINITY) &&
      (from === undefined || (backwards ? revision <= from : revision >= from))
    const found = new Map<number, EventTexts>()
    for (const segment of await this.#segmentsOf(stream, before, backwards ? 0 : from)) {
      for (const event of await this.#options.catalogue.eventsOf(segment)) {
        if (event.stream === stream && isInRange(event)) found.set(event.revision, event)
      }
    }
    return [...found.values()].sort((a, b) => a.revision - b.revision)
  }

  async #segmentsOf(stream: string, before = Number.POSITIVE_INFINITY, after = 0): Promise<Segment[]> {
    const { catalogue, segmentOf } = this.#options
    await catalogue.refresh()
    if (catalogue.isEmpty) return []
    if (!isJobStream(stream)) {
      const cuts = catalogue.cutsOf(stream).filter(({ from, to }) => from < before && to >= after)
      return cuts.map(({ segment }) => segment)
    }
    const name = await segmentOf(jobIdOf(stream))
    const segment = name === undefined ? undefined : catalogue.get(name)
    return segment === undefined ? [] : [segment]
  }

  /** The first event after `instant` ends it, wherever that lies: see the port. */
  async positionAt(instant: number): Promise<Position> {
    const { store, catalogue } = this.#options
    const live = await store.positionAt(instant)
    await catalogue.refresh()
    if (catalogue.isEmpty) return live
    let end: Position = END
    for await (const [next] of store.readAll({ after: live, limit: 1 })) end = next?.position ?? END
    const byStart = catalogue.all.sort((a, b) => (a.from < b.from ? -1 : 1))
    for (const segment of byStart) {
      if (segment.until <= instant || segment.from >= end) continue
      const later = (await this.#told(segment)).find(({ at }) => at > instant)
      if (later !== undefined && later.position < end) end = later.position
    }
    return this.#lastBefore(end, live)
  }

  async #told(segment: Segment): Promise<readonly EventTexts[]> {
    const { catalogue } = this.#options
    const events = await catalogue.eventsOf(segment)
    return events.filter(({ stream }) => catalogue.lets(segment.name, stream))
  }

  /** `live`: in the log, and perhaps after it. */
  async #lastBefore(end: Position, live: Position): Promise<Position> {
    const { store, catalogue } = this.#options
    let last = live < end ? live : START
    for (const segment of catalogue.all) {
      if (segment.from >= end || segment.to <= last) continue
      if (segment.to < end) last = segment.to
      else last = max(last, (await this.#told(segment)).findLast(({ position }) => position < end)?.position)
    }
    if (live < end) return last
    for await (const page of store.readAll({ after: last, until: end })) {
      for (const { position } of page) if (position < end) last = max(last, position)
    }
    return last
  }
}

const max = (a: Position, b: Position = START): Position => (a > b ? a : b)

type Placed = Pick<EventTexts, 'position'>

const same = (texts: EventTexts): EventTexts => texts

/** What a read of the log has to take from the archive. */
class Share<Event extends Placed> {
  readonly #catalogue: SegmentSource
  readonly #options: ReadAllOptions
  readonly #isWanted: (segment: Segment) => boolean
  readonly #toEvent: (texts: EventTexts) => Event
  readonly #events: ArchivedEvents

  constructor(
    { catalogue }: WholeLogOptions,
    options: ReadAllOptions,
    isWanted: (segment: Segment) => boolean,
    toEvent: (texts: EventTexts) => Event,
  ) {
    this.#catalogue = catalogue
    this.#options = options
    this.#isWanted = isWanted
    this.#toEvent = toEvent
    this.#events = new ArchivedEvents(catalogue, options.after ?? START)
  }

  async refresh(): Promise<void> {
    await this.#catalogue.refresh()
    if (this.#catalogue.isEmpty) return
    const wanted = (segment: Segment): boolean => this.#isWanted(segment) && mayHave(segment, this.#options)
    this.#events.add(this.#catalogue.all.filter(wanted))
  }

  async *upTo(through: Position): AsyncGenerator<Event[], void, undefined> {
    for await (const page of this.#events.upTo(through)) {
      const some = page.filter((event) => matches(event, this.#options))
      if (some.length > 0) yield some.map(this.#toEvent)
    }
  }

  /** A page of the log with what lies before its end. */
  async *merge(page: Event[]): AsyncGenerator<Event[], void, undefined> {
    let next = 0
    for await (const archived of this.upTo(page.at(-1)?.position ?? START)) {
      const merged: Event[] = []
      for (const event of archived) {
        while (next < page.length && (page[next] as Event).position < event.position) merged.push(page[next++] as Event)
        if (page[next]?.position !== event.position) merged.push(event)
      }
      if (merged.length > 0) yield merged
    }
    if (next < page.length) yield next === 0 ? page : page.slice(next)
  }
}

const JOBS = jobStream('')

function mayHave({ cut }: Segment, { streams }: ReadAllOptions): boolean {
  if (streams === undefined) return true
  if (cut !== undefined) return cut.some(([stream]) => streams.some((prefix) => stream.startsWith(prefix)))
  return streams.some((prefix) => prefix.startsWith(JOBS) || JOBS.startsWith(prefix))
}

function matches({ stream, type }: EventTexts, { streams, types }: ReadAllOptions): boolean {
  if (types !== undefined && !types.includes(type)) return false
  return streams === undefined || streams.some((prefix) => stream.startsWith(prefix))
}
