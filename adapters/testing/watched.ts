/** Who wants to know that something is going on. */
export interface Watcher {
  begins(): void
  ends(): void
}

/** The same store or views, with every call and every page told of until it is answered; but for the wait of a subscriber. */
export function watched<Port extends object>(port: Port, watcher: Watcher): Port {
  return new Proxy(port, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target)
      if (typeof value !== 'function') return value
      if (key === 'subscribe') return value.bind(target)
      return (...given: unknown[]) => watchedAnswer(value.apply(target, given), watcher)
    },
  })
}

function watchedAnswer(answer: unknown, watcher: Watcher): unknown {
  if (answer instanceof Promise) return watchedPromise(answer, watcher)
  return isPaged(answer) ? watchedPages(answer, watcher) : answer
}

function watchedPromise<Answer>(promise: Promise<Answer>, watcher: Watcher): Promise<Answer> {
  watcher.begins()
  const end = (): void => watcher.ends()
  promise.then(end, end)
  return promise
}

const isPaged = (answer: unknown): answer is AsyncIterable<unknown> =>
  typeof answer === 'object' && answer !== null && Symbol.asyncIterator in answer

function watchedPages(pages: AsyncIterable<unknown>, watcher: Watcher): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = pages[Symbol.asyncIterator]()
      return {
        next: () => watchedPromise(iterator.next(), watcher),
        return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
      }
    },
  }
}
