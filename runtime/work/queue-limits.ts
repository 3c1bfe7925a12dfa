import type { Feed } from '../read/feed.js'
import type { Limits } from './caps.js'

/** Runs at once by queue in this process: what it was configured to, or less where an operator has said so. */
export class QueueLimits implements Limits {
  readonly #configured: ReadonlyMap<string, number>
  readonly #feed: Feed

  constructor(configured: ReadonlyMap<string, number>, feed: Feed) {
    this.#configured = configured
    this.#feed = feed
  }

  get size(): number {
    return this.#configured.size + this.#feed.queues.limited
  }

  get(queue: string): number | undefined {
    const configured = this.#configured.get(queue)
    const recorded = this.#feed.queues.limitOf(queue)
    if (configured === undefined || recorded === undefined) return configured ?? recorded
    return Math.min(configured, recorded)
  }
}
