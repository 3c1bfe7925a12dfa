/** Tells whether a process that works hard still answers: a timer that should beat every 10 ms. */
const INTERVAL_MS = 10

export interface Beats {
  /** Share of the beats that an idle process would have had, 0 to 1. */
  readonly timerBeats: number
  readonly longestGapMs: number
}

export class PulseTimer {
  readonly #began = performance.now()
  #last = this.#began
  #beats = 0
  #longest = 0
  readonly #timer = setInterval(() => {
    this.#beats += 1
    this.#mark()
  }, INTERVAL_MS)

  #mark(): void {
    const now = performance.now()
    this.#longest = Math.max(this.#longest, now - this.#last)
    this.#last = now
  }

  stop(): Beats {
    clearInterval(this.#timer)
    this.#mark()
    const expected = (this.#last - this.#began) / INTERVAL_MS
    return { timerBeats: Math.min(1, this.#beats / expected), longestGapMs: this.#longest }
  }
}
