import TinyQueue from 'tinyqueue'
import type { Duration } from '../../domain/duration.js'
import { toMs } from '../../domain/duration.js'
import type { Cancel, Clock } from '../../runtime/ports/clock.js'

interface Timer {
  readonly instant: number
  readonly order: number
  call: (() => void) | undefined
}

/** Turns of the event loop that what a timer sets off gets before the next timer: a few commits with all that follows. */
const TURNS = 25

/** Time that passes only when told to. Work goes on in real turns of the event loop; deadlines wait for `advance`. */
export class VirtualClock implements Clock {
  #now: number
  #order = 0
  readonly #timers = new TinyQueue<Timer>([], (a, b) => a.instant - b.instant || a.order - b.order)

  /** Begins at `now` (ms since the epoch), by default on 1 January 2026. */
  constructor(now: number = Date.UTC(2026, 0, 1)) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  at(instant: number, call: () => void): Cancel {
    const timer: Timer = { instant, order: this.#order++, call }
    this.#timers.push(timer)
    return () => {
      timer.call = undefined
    }
  }

  soon(call: () => void): void {
    setImmediate(call)
  }

  /** Lets time pass: every timer rings at its own instant, and what it sets off is done before the next one. */
  async advance(duration: Duration): Promise<void> {
    const end = this.#now + toMs(duration, 'advance')
    await this.settle()
    for (let timer = this.#timers.peek(); timer !== undefined && timer.instant <= end; timer = this.#timers.peek()) {
      this.#timers.pop()
      if (timer.call === undefined) continue
      this.#now = Math.max(this.#now, timer.instant)
      timer.call()
      await this.settle()
    }
    this.#now = end
  }

  /** Lets what is under way go on without any time passing. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  }
}
