import { setImmediate as realSetImmediate } from 'node:timers'
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

/** The real one, also where a test has put fake timers in its place later. */
export const nextTurn: (call: () => void) => void = realSetImmediate

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
    nextTurn(call)
  }

  /** Lets time pass: every timer rings at its own instant, and what it sets off is done before the next one. */
  async advance(duration: Duration): Promise<void> {
    const end = this.#now + toMs(duration, 'advance')
    do await this.settle()
    while (this.step(end))
  }

  /** Time goes on to the next timer, which rings. False: none is due by `until`, and that is the time now. */
  step(until: number): boolean {
    for (let timer = this.#timers.peek(); timer !== undefined && timer.instant <= until; timer = this.#timers.peek()) {
      this.#timers.pop()
      if (timer.call === undefined) continue
      this.#now = Math.max(this.#now, timer.instant)
      timer.call()
      return true
    }
    this.#now = Math.max(this.#now, until)
    return false
  }

  /** Lets what is under way go on without any time passing. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn += 1) await new Promise<void>((resolve) => nextTurn(resolve))
  }
}
