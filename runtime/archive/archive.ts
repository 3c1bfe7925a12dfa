import { START } from '../../domain/event.js'
import type { EventStore } from '../ports/event-store.js'
import type { Folder } from '../ports/segments.js'
import type { Feed } from '../read/feed.js'
import { Catalogue } from './catalogue.js'
import { SegmentReader } from './segment-reader.js'
import { WholeLog } from './whole-log.js'
import { WholeStreams } from './whole-streams.js'

/** What of a log lies in segments, and the ways to read it. */
export class Archive {
  readonly reader: SegmentReader
  readonly catalogue: Catalogue
  readonly log: WholeLog
  readonly streams: WholeStreams

  constructor(options: {
    readonly store: EventStore
    readonly folder: Folder | undefined
    readonly segmentOf: (jobId: string) => Promise<string | undefined>
  }) {
    const { store, folder, segmentOf } = options
    this.reader = new SegmentReader(folder)
    this.catalogue = new Catalogue(store, this.reader)
    const { catalogue } = this
    this.log = new WholeLog({ store, catalogue, segmentOf })
    this.streams = new WholeStreams(store, this.log, catalogue)
  }

  /** Before anything is folded. Where nothing was restored, from the log itself. */
  async load(feed: Feed): Promise<void> {
    if (feed.position === START) await this.catalogue.discover()
    else this.catalogue.take(feed.state.segments)
  }
}
