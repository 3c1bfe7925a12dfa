import type { Cancel, Clock } from '../../../runtime/ports/clock.js'

/** Time that jumps: who waits for an instant is called in the next turn of the event loop, and it is that instant then. */
export class HastyClock implements Clock {
  #now: number = Date.UTC(2026, 0, 1)
  /** Turns asked for so far. */
  soons = 0

  now(): number {
    return this.#now
  }

  at(instant: number, call: () => void): Cancel {
    const timer = setImmediate(() => {
      this.#now = Math.max(this.#now, instant)
      call()
    })
    return () => clearImmediate(timer)
  }

  soon(call: () => void): void {
    this.soons += 1
    setImmediate(call)
  }
}

/** Lets the event loop turn. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** Waits for at most so many turns of the event loop: no clock on the wall decides whether something hangs. */
export async function within<T>(limit: number, what: string, promise: Promise<T>): Promise<T> {
  let settled = false
  const done = promise.finally(() => {
    settled = true
  })
  done.catch(() => {})
  for (let turn = 0; turn < limit && !settled; turn += 1) await turns(1)
  if (!settled) throw new Error(`${what}: still waiting after ${limit} turns of the event loop`)
  return done
}
