import type { EventStore } from '../../runtime/ports/event-store.js'

/** The same store, that tells of every call and of every page it gives. */
export function watched(store: EventStore, tell: () => void): EventStore {
  return new Proxy(store, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target)
      if (typeof value !== 'function') return value
      return (...given: unknown[]) => {
        tell()
        const answer: unknown = value.apply(target, given)
        return isPaged(answer) ? watchedPages(answer, tell) : answer
      }
    },
  })
}

const isPaged = (answer: unknown): answer is AsyncIterable<unknown> =>
  typeof answer === 'object' && answer !== null && Symbol.asyncIterator in answer

/** As quick as the pages themselves: a subscriber is answered before the writer is. */
function watchedPages(pages: AsyncIterable<unknown>, tell: () => void): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = pages[Symbol.asyncIterator]()
      return {
        next: () => {
          tell()
          return iterator.next()
        },
        return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
      }
    },
  }
}
