import type { Cancel, Clock } from '../ports/clock.js'

/** One timer for many deadlines: keeps the earliest instant it was asked for and rings then. */
export class Alarm {
  readonly #clock: Clock
  readonly #ring: (now: number) => void
  #at = Number.POSITIVE_INFINITY
  #cancel: Cancel | undefined

  constructor(clock: Clock, ring: (now: number) => void) {
    this.#clock = clock
    this.#ring = ring
  }

  /** Rings at `instant`, unless it rings before; whoever is rung asks again. */
  by(instant: number): void {
    if (instant >= this.#at) return
    this.#cancel?.()
    this.#at = instant
    this.#cancel = this.#clock.at(instant, () => {
      this.#at = Number.POSITIVE_INFINITY
      this.#ring(this.#clock.now())
    })
  }

  stop(): void {
    this.#cancel?.()
    this.#at = Number.POSITIVE_INFINITY
  }
}
