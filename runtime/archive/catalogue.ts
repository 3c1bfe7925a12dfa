import { AUDIT_STREAM } from '../../domain/audit/events.js'
import type { EventTexts, RecordedEvent } from '../../domain/event.js'
import { jobStream } from '../../domain/job/events.js'
import type { Segment } from '../../projections/segments.js'
import { Segments } from '../../projections/segments.js'
import type { EventStore } from '../ports/event-store.js'
import { SegmentMissing } from './errors.js'
import { type SegmentReader, toRecorded } from './segment-reader.js'

/** Says what segments a log has, by its own word: the files in a folder prove nothing. */
export class Catalogue {
  readonly #store: EventStore
  readonly #reader: SegmentReader
  #segments = new Segments()
  readonly #taken = new WeakMap<Segment, ReadonlySet<string>>()
  #refreshing: Promise<void> | undefined

  constructor(store: EventStore, reader: SegmentReader) {
    this.#store = store
    this.#reader = reader
  }

  /** Begins with what a checkpoint has kept. */
  take(known: Segments): void {
    this.#segments.restore(known.toJSON())
  }

  /** Takes up what was sealed since: whatever has left the log by now is in one of them. Who comes meanwhile waits. */
  async refresh(): Promise<void> {
    while (this.#refreshing !== undefined) await this.#refreshing
    this.#refreshing = this.#refresh().finally(() => {
      this.#refreshing = undefined
    })
    await this.#refreshing
  }

  async #refresh(): Promise<void> {
    let from = this.#segments.revision + 1
    for await (const page of this.#store.readStream(AUDIT_STREAM, { from })) {
      // What was sealed meanwhile has left the stream before it was looked at.
      if (page[0] !== undefined && page[0].revision > from) return this.discover()
      for (const event of page) this.#segments.apply(event)
      from = this.#segments.revision + 1
    }
  }

  /**
   * From the log alone. The audit stream may have lost its beginning to a segment, which may tell of an earlier one: what is
   * left names the latest. Throws what the reader throws.
   */
  async discover(): Promise<void> {
    const told = new Map<number, RecordedEvent>()
    for await (const page of this.#store.readStream(AUDIT_STREAM)) for (const event of page) note(told, event)
    for (const read = new Set<string>(); ; ) {
      const segments = segmentsOf(told)
      const next = this.#own(segments).find(({ name, cut }) => !read.has(name) && cut?.some(isOfAudit))
      if (next === undefined) {
        this.#segments = segments
        return
      }
      read.add(next.name)
      for (const texts of await this.#reader.events(next)) {
        if (texts.stream === AUDIT_STREAM) note(told, toRecorded(texts, false))
      }
    }
  }

  get isEmpty(): boolean {
    return this.#segments.size === 0
  }

  /** Of the last event of the audit stream that it has seen. */
  get revision(): number {
    return this.#segments.revision
  }

  /** Files that once were segments of this log, and are nobody's any more. */
  goneOf(names: readonly string[]): string[] {
    return names.filter((name) => this.#segments.isGone(name))
  }

  get hasGone(): boolean {
    return this.#segments.hasGone
  }

  /** It is still to be sealed. */
  hasBegun(name: string): boolean {
    return this.#segments.begun.has(name)
  }

  /** Begun by then (ms), and not sealed. */
  begunBy(then: number): string[] {
    return [...this.#segments.begun].filter(([, at]) => at <= then).map(([name]) => name)
  }

  get hasCuts(): boolean {
    return this.#segments.hasCuts
  }

  /** In the order in which they were sealed. A copy of another log tells of that one's: here their events are in the log. */
  get all(): Segment[] {
    return this.#own(this.#segments)
  }

  /** The one that has this name, or is in the place of the one that had. */
  get(name: string): Segment | undefined {
    const found = this.#segments.get(name)
    return found?.logId === this.#store.logId ? found : undefined
  }

  /** Those of whose jobs some have not left the log for them. */
  get incomplete(): Segment[] {
    return this.all.filter(({ taken }) => taken !== undefined)
  }

  /** Whether what a segment has of a stream is told by it: a job may have left the log in another way. */
  lets(name: string, stream: string): boolean {
    const segment = this.get(name)
    if (segment?.taken === undefined) return true
    const taken = this.#taken.get(segment) ?? new Set(segment.taken.map(jobStream))
    this.#taken.set(segment, taken)
    return taken.has(stream)
  }

  /** Its events, also if another has taken its place meanwhile; none if nothing is left in it. Throws what the reader throws. */
  async eventsOf({ name }: Segment): Promise<readonly EventTexts[]> {
    for (let segment = this.get(name); segment !== undefined; ) {
      try {
        return await this.#reader.events(segment)
      } catch (error) {
        if (!(error instanceof SegmentMissing)) throw error
        await this.refresh()
        const current = this.get(name)
        if (current?.name === segment.name) throw error
        segment = current
      }
    }
    return []
  }

  /** Those with a beginning of a stream, by revision. */
  cutsOf(stream: string): { readonly segment: Segment; readonly from: number; readonly to: number }[] {
    return this.#segments.cutsOf(stream).flatMap(({ name, from, to }) => {
      const segment = this.get(name)
      return segment === undefined ? [] : [{ segment, from, to }]
    })
  }

  #own(segments: Segments): Segment[] {
    return [...segments.all].filter(({ logId }) => logId === this.#store.logId)
  }
}

const isOfAudit = ([stream]: readonly [stream: string, ...rest: unknown[]]): boolean => stream === AUDIT_STREAM

const TELLING = new Set(['SegmentBegun', 'SegmentSealed', 'SegmentDropped', 'JobsRemoved'])

/** Without what is of no use here: removals name many jobs. */
function note(told: Map<number, RecordedEvent>, event: RecordedEvent): void {
  const { type, revision } = event
  if (TELLING.has(type)) told.set(revision, event)
  else told.set(revision, { ...event, type: '', data: {} })
}

function segmentsOf(told: ReadonlyMap<number, RecordedEvent>): Segments {
  const segments = new Segments()
  for (const event of [...told.values()].sort((a, b) => a.revision - b.revision)) segments.apply(event)
  return segments
}
