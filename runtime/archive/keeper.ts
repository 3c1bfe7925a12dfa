import { fromHex } from '../../domain/audit/encoding.js'
import type { SegmentSealed } from '../../domain/audit/events.js'
import type { Body, EventTexts, Metadata } from '../../domain/event.js'
import { isJobStream, jobStream } from '../../domain/job/events.js'
import type { Segment } from '../../projections/segments.js'
import type { Digest } from '../ports/digest.js'
import type { EventStore } from '../ports/event-store.js'
import type { Ids } from '../ports/ids.js'
import type { Folder } from '../ports/segments.js'
import * as commands from '../write/commands.js'
import type { Journal } from '../write/journal.js'
import type { Catalogue } from './catalogue.js'
import { ArchiveMissing } from './errors.js'
import { SegmentWriter } from './segment-writer.js'

export interface KeeperOptions {
  readonly store: EventStore
  readonly journal: Journal
  readonly ids: Ids
  readonly digest: Digest
  readonly catalogue: Catalogue
  readonly folder: Folder | undefined
}

/** Puts another segment in the place of one that holds what nobody may have any more. */
export class Keeper {
  readonly #options: KeeperOptions

  constructor(options: KeeperOptions) {
    this.#options = options
  }

  /**
   * Erases the bodies of a job that is archived; their hashes stay. False: there were none. Undefined: it is in no segment of
   * this log. Throws ArchiveMissing, SegmentMissing, SegmentDamaged.
   */
  async expunge(id: string, name: string, metadata: Metadata | undefined): Promise<boolean | undefined> {
    const { catalogue } = this.#options
    await catalogue.refresh()
    const segment = catalogue.get(name)
    if (segment === undefined) return undefined
    const stream = jobStream(id)
    const isLegible = ({ stream: of, body }: EventTexts): boolean =>
      of === stream && body !== undefined && 'content' in body
    const hashes: Record<string, string> = {}
    const erased = (event: EventTexts): EventTexts => {
      if (!isLegible(event)) return event
      const { salt, content } = event.body as Body
      const hex = this.#options.digest.sha256(salt, content)
      hashes[event.revision] = hex
      return { ...event, body: { hash: fromHex(hex) as Uint8Array } }
    }
    const events = (await catalogue.eventsOf(segment)).map(erased)
    if (Object.keys(hashes).length === 0) return false
    await this.#rewrite(segment, events, metadata, { job: id, hashes })
    return true
  }

  /** These jobs were expunged or removed: a segment that was sealed, and has not taken them, is not to keep what they had. */
  async forget(ids: readonly string[], metadata: Metadata | undefined): Promise<void> {
    const { catalogue, folder } = this.#options
    await catalogue.refresh()
    if (folder === undefined) return
    for (const segment of catalogue.incomplete) {
      const left = new Set(ids.map(jobStream).filter((stream) => !catalogue.lets(segment.name, stream)))
      await this.#drop(segment, (stream) => left.has(stream), metadata)
    }
  }

  /** None of the jobs that a segment has not taken will ever leave for it. */
  async tidy({ name }: Segment, metadata: Metadata | undefined): Promise<void> {
    const { catalogue } = this.#options
    await catalogue.refresh()
    const segment = catalogue.get(name)
    if (segment?.taken === undefined) return
    await this.#drop(segment, (stream) => !catalogue.lets(segment.name, stream), metadata)
  }

  async #drop(segment: Segment, isGone: (stream: string) => boolean, metadata: Metadata | undefined): Promise<void> {
    const events = await this.#options.catalogue.eventsOf(segment)
    if (!events.some(({ stream }) => isGone(stream))) return
    const kept = events.filter(({ stream }) => !isGone(stream))
    await this.#rewrite(segment, kept, metadata)
  }

  /** The file that it was goes last: until then it is nobody's. */
  async #rewrite(
    segment: Segment,
    events: readonly EventTexts[],
    metadata: Metadata | undefined,
    expunged?: SegmentSealed['expunged'],
  ): Promise<void> {
    const { store, journal, ids, catalogue, folder } = this.#options
    if (folder === undefined) throw new ArchiveMissing(segment.name)
    const streams = new Set(events.map(({ stream }) => stream).filter(isJobStream))
    const sealed = await new SegmentWriter(folder, store.logId, ids).write(events, {
      ...{ jobs: streams.size, replaces: segment.name },
      ...(expunged !== undefined && { expunged }),
    })
    await journal.submit(commands.recordSealed(sealed), metadata)
    await catalogue.refresh()
    await folder.remove(segment.name)
  }
}
