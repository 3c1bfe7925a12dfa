import { setImmediate as nextTurn } from 'node:timers/promises'
import type { RecordedEvent } from '../../domain/event.js'

/** Events a page holds at most: about 2 ms of folding. */
export const PAGE_SIZE = 1000

/** Where pages come from, one synchronous read at a time. */
export interface PageSource<Event = RecordedEvent> {
  /** Whether `read` may give more. */
  more(): boolean
  /** The next page; it may be empty while there is more. */
  read(): Event[]
}

/** Reads page by page, as they are asked for, and lets the event loop go between two reads. */
export class Pages<Event = RecordedEvent> implements AsyncIterableIterator<Event[]> {
  readonly #source: PageSource<Event>
  #started = false

  constructor(source: PageSource<Event>) {
    this.#source = source
  }

  async next(): Promise<IteratorResult<Event[]>> {
    while (this.#source.more()) {
      if (this.#started) await nextTurn()
      this.#started = true
      const page = this.#source.read()
      if (page.length > 0) return { done: false, value: page }
    }
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
