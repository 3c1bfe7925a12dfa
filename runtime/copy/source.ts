import type { Position, RecordedEvent } from '../../domain/event.js'
import type { EventStore, LogReader } from '../ports/event-store.js'
import { pagesOf, type Range } from './pages.js'
import { type Gone, goneFrom } from './removed.js'

/** Where a log is copied from: a store, or a file that one was exported to. */
export interface CopySource {
  readonly logId: string
  /** Position of its last event. */
  head(): Promise<Position>
  /** Streams that are no part of it, though events of them may be shown. */
  gone(until: Position): Promise<Gone>
  /** Bodies included. */
  pages(range: Range): AsyncIterable<readonly RecordedEvent[]>
  /** How many events have come after a position. */
  countAfter(position: Position): Promise<number>
}

/** `log`: the store with its archive. */
export function storeSource(store: EventStore, log: LogReader = store): CopySource {
  return {
    logId: store.logId,
    head: () => log.head(),
    gone: (until) => goneFrom({ log, capabilities: store.capabilities }, until),
    pages: (range) => pagesOf(log, range),
    async countAfter(position) {
      let count = 0
      for await (const page of log.readAll({ after: position })) count += page.length
      return count
    },
  }
}
