import { START } from '../../domain/event.js'
import type { EventStore } from '../ports/event-store.js'
import type { Folder } from '../ports/segments.js'
import type { Feed } from '../read/feed.js'
import { Catalogue } from './catalogue.js'
import type { ReadableLog } from './lost-segments.js'
import { findLost, withoutLost } from './lost-segments.js'
import { SegmentReader } from './segment-reader.js'
import { WholeLog, type WholeLogOptions } from './whole-log.js'
import { WholeStreams } from './whole-streams.js'

/** What of a log lies in segments, and the ways to read it. */
export class Archive {
  readonly reader: SegmentReader
  readonly catalogue: Catalogue
  readonly log: WholeLog
  readonly streams: WholeStreams
  readonly #options: Pick<WholeLogOptions, 'store' | 'segmentOf'>

  constructor(options: {
    readonly store: EventStore
    readonly folder: Folder | undefined
    readonly segmentOf: (jobId: string) => Promise<string | undefined>
  }) {
    const { store, folder, segmentOf } = options
    this.#options = { store, segmentOf }
    this.reader = new SegmentReader(folder)
    this.catalogue = new Catalogue(store, this.reader)
    const { catalogue } = this
    this.log = new WholeLog({ store, catalogue, segmentOf })
    this.streams = new WholeStreams(store, this.log, catalogue)
  }

  /** All of it that can be read. Throws ArchiveMissing, StoreUnavailable. */
  async readable(): Promise<ReadableLog> {
    const { catalogue, reader } = this
    const lost = await findLost(catalogue, reader)
    if (lost.length === 0) return { log: this.log, lost, isLost: () => false }
    const names = new Set(lost.map(({ segment }) => segment.name))
    const log = new WholeLog({ ...this.#options, catalogue: withoutLost(catalogue, lost) })
    return { log, lost, isLost: (name) => names.has(catalogue.get(name)?.name ?? '') }
  }

  /**
   * Before anything is folded. Where nothing was restored, from the log itself. False: what was restored is older than beginnings of
   * streams that have left the log since, and would never hear of them.
   */
  async load(feed: Feed): Promise<boolean> {
    if (feed.position === START) {
      await this.catalogue.discover()
      return true
    }
    this.catalogue.take(feed.state.segments)
    await this.catalogue.refresh()
    return !this.catalogue.all.some(({ cut, to }) => cut !== undefined && to > feed.position)
  }
}
