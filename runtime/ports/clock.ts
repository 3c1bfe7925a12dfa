/** Time, injected: a virtual clock makes hours pass in a test. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Calls back once, at `instant` (ms since the epoch) or as soon as possible after it. */
  at(instant: number, call: () => void): Cancel
  /** Calls back in the next turn of the event loop, after what waits there already. */
  soon(call: () => void): void
}

export type Cancel = () => void

/** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
export function delay(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const abort = (): void => {
      cancel()
      reject(signal.reason)
    }
    const cancel = clock.at(clock.now() + ms, () => {
      signal.removeEventListener('abort', abort)
      resolve()
    })
    signal.addEventListener('abort', abort, { once: true })
  })
}
