import type { Manifest } from '../../domain/audit/bundle.js'
import { BUNDLE_FORMAT, endLine, eventLine, manifestLine } from '../../domain/audit/bundle.js'
import type { SegmentDropped, SegmentSealed } from '../../domain/audit/events.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import type { Draft, EventTexts, Metadata } from '../../domain/event.js'
import type { EventStore } from '../ports/event-store.js'
import type { Ids } from '../ports/ids.js'
import type { Folder } from '../ports/segments.js'
import * as commands from '../write/commands.js'
import type { Journal } from '../write/journal.js'
import type { Catalogue } from './catalogue.js'

/** What a segment holds at most, roughly: it is read whole. */
const MOST_EVENTS = 10_000
const MOST_CHARACTERS = 8 * 1024 ** 2

/** Events on their way into a segment. */
export class Gathered {
  readonly events: EventTexts[] = []
  #characters = 0

  add(event: EventTexts): void {
    this.events.push(event)
    this.#characters += 200 + event.data.length + contentOf(event)
  }

  get isFull(): boolean {
    return this.events.length >= MOST_EVENTS || this.#characters >= MOST_CHARACTERS
  }
}

const contentOf = ({ body }: EventTexts): number =>
  body !== undefined && 'content' in body ? body.content.length * 1.4 : 0

interface SegmentWriterOptions {
  readonly folder: Folder
  readonly store: Pick<EventStore, 'logId'>
  readonly journal: Journal
  readonly catalogue: Catalogue
  readonly ids: Ids
}

/** What there is to say of a segment beside what can be read off its events. */
type Described = Pick<SegmentSealed, 'jobs' | 'cut' | 'replaces' | 'expunged'>

/** Writes segments, and puts them on record. */
export class SegmentWriter {
  readonly #options: SegmentWriterOptions

  constructor(options: SegmentWriterOptions) {
    this.#options = options
  }

  /**
   * Once this resolves the file is there for good, and on record together with `drafts`. Undefined: by the time at which that
   * could be said it was not so any more; nothing is left then. `isStill` is asked of the catalogue as it is, at the last moment.
   */
  async seal(
    events: readonly EventTexts[],
    what: Described,
    metadata: Metadata | undefined,
    {
      drafts = [],
      isStill = () => true,
    }: { readonly drafts?: readonly Draft[]; readonly isStill?: () => boolean } = {},
  ): Promise<SegmentSealed | undefined> {
    const { catalogue } = this.#options
    while (isStill()) {
      const data = await this.#write(events, what, metadata)
      await catalogue.refresh()
      const all = [...drafts, { stream: AUDIT_STREAM, type: 'SegmentSealed', data }]
      if (await this.record(all, metadata, () => isStill() && catalogue.hasBegun(data.name))) return data
      // Somebody was faster, or has taken us for dead.
      await this.drop(data.name, metadata)
    }
    return undefined
  }

  /** As long as the catalogue says so. False: it does not. */
  async record(drafts: readonly Draft[], metadata: Metadata | undefined, isStill: () => boolean): Promise<boolean> {
    const { catalogue, journal } = this.#options
    while (isStill()) {
      const isRecorded = await journal.submit(commands.recordAt(catalogue.revision, drafts), metadata)
      await catalogue.refresh()
      if (isRecorded) return true
    }
    return false
  }

  /** One that was begun. */
  async drop(name: string, metadata: Metadata | undefined): Promise<void> {
    const { catalogue, folder } = this.#options
    const data: SegmentDropped = { name }
    await this.record([{ stream: AUDIT_STREAM, type: 'SegmentDropped', data }], metadata, () =>
      catalogue.hasBegun(name),
    )
    if (catalogue.get(name) === undefined) await folder.remove(name)
  }

  async #write(given: readonly EventTexts[], what: Described, metadata: Metadata | undefined): Promise<SegmentSealed> {
    const { folder, store, ids, journal } = this.#options
    const { logId } = store
    const events = [...given].sort((a, b) => (a.position < b.position ? -1 : 1))
    const [from, to] = [events[0]?.position ?? '', events.at(-1)?.position ?? '']
    const since = events.reduce((least, { at }) => Math.min(least, at), events[0]?.at ?? 0)
    const until = events.reduce((most, { at }) => Math.max(most, at), 0)
    const name = `${day(since)}-${day(until)}-${ids.uuid().slice(-12)}.ndjson.gz`
    const manifest: Manifest = {
      ...{ format: BUNDLE_FORMAT, kind: 'segment', logId, events: events.length },
      ...{ streams: new Set(events.map(({ stream }) => stream)).size, from, to },
    }
    const lines = [manifestLine(manifest), ...events.map((event) => eventLine(event))]
    await journal.submit(commands.recordBegun(name), metadata)
    const seal = await folder.write(name, lines, (sha256) => endLine(events.length, sha256))
    return { name, logId, ...seal, events: events.length, from, to, since, until, ...what }
  }
}

const day = (at: number): string => new Date(at).toISOString().slice(0, 10).replaceAll('-', '')
