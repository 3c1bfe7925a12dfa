/** Says in the log that a store cannot be reached, and when it can be again: once each, not for every call that fails of it. */
import type { Logger } from '../../runtime/ports/logger.js'

/** First and longest pause before a connection is tried again, in ms: it doubles in between. */
const FIRST_PAUSE_MS = 50
const LAST_PAUSE_MS = 2000

export interface OutageOptions {
  readonly logger: Logger
  /** Where the store is: neither user nor password. */
  readonly place: string
  /** Milliseconds that only go forwards. Default: the process's. */
  readonly now?: () => number
}

export class Outage {
  readonly #logger: Logger
  readonly #place: string
  readonly #now: () => number
  #since: number | undefined
  #failures = 0
  #triedAt = 0

  constructor({ logger, place, now = () => performance.now() }: OutageOptions) {
    this.#logger = logger
    this.#place = place
    this.#now = now
  }

  /** Milliseconds until it is worth trying to connect: 0 while all is well. */
  get pause(): number {
    if (this.#since === undefined) return 0
    const pause = Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#failures - 1))
    return Math.max(0, this.#triedAt + pause - this.#now())
  }

  failed(error: unknown): void {
    const now = this.#now()
    // Those that fail together are one try.
    if (this.pause === 0) this.#failures += 1
    this.#triedAt = now
    if (this.#since !== undefined) return
    this.#since = now
    this.#logger.warn({ err: error, store: this.#place }, 'the store cannot be reached: it is tried again and again')
  }

  works(): void {
    if (this.#since === undefined) return
    const facts = { store: this.#place, forMs: Math.round(this.#now() - this.#since), tries: this.#failures }
    this.#since = undefined
    this.#failures = 0
    this.#logger.info(facts, 'the store can be reached again')
  }
}
