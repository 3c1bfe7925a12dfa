import { setImmediate as nextTurn } from 'node:timers/promises'
import type { RecordedEvent } from '../../domain/event.js'

/** Events a page holds at most: about 2 ms of folding. */
export const PAGE_SIZE = 1000

/** Where pages come from, one synchronous read at a time. */
export interface PageSource<Page extends { readonly length: number } = RecordedEvent[]> {
  /** Whether `read` may give more. */
  more(): boolean
  /** The next page; it may be empty while there is more. */
  read(): Page
}

/** Reads page by page, as they are asked for, and lets the event loop go between two reads. */
export class Pages<Page extends { readonly length: number } = RecordedEvent[]> implements AsyncIterableIterator<Page> {
  readonly #source: PageSource<Page>
  #started = false

  constructor(source: PageSource<Page>) {
    this.#source = source
  }

  async next(): Promise<IteratorResult<Page>> {
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
