import type { OpenGroup } from '../../projections/open-groups.js'
import type { Clock } from '../ports/clock.js'
import { delay } from '../ports/clock.js'
import type { Logger } from '../ports/logger.js'
import type { Feed } from '../read/feed.js'
import type { OrderedAppends } from '../write/in-order/ordered-appends.js'
import type { Departures } from './departures.js'

/** How often it is looked for what was left (ms), and how long whoever has begun is left to it, or a failure is left alone. */
const INTERVAL = 1_000
const PATIENCE = 5_000
/** A batch on which nobody has decided for so long is cleared away (ms). */
const ABANDONED = 600_000

export interface CompleterOptions {
  readonly feed: Feed
  readonly appends: Pick<OrderedAppends, 'complete' | 'clear' | 'isUnderWay'>
  readonly departures: Pick<Departures, 'left' | 'complete'>
  readonly clock: Clock
  readonly log: Logger
}

/**
 * Only on a store that appends to one stream at a time: brings to its end what was decided by somebody who has not gone on with
 * it. Every runtime does; who comes second finds it done.
 */
export class Completer {
  readonly #options: CompleterOptions
  /** When to try again what has failed. */
  readonly #held = new Map<string, number>()

  constructor(options: CompleterOptions) {
    this.#options = options
  }

  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      await delay(this.#options.clock, INTERVAL, signal)
      await this.sweep()
    }
  }

  async sweep(): Promise<void> {
    const { feed, appends, clock } = this.#options
    const now = clock.now()
    const left = [...feed.groups.open].filter(({ id, seenAt }) => {
      return now >= (this.#held.get(id) ?? seenAt + PATIENCE) && !appends.isUnderWay(id)
    })
    for (const group of left) await this.#complete(group)
    await this.#takeOut(now)
    for (const stream of feed.groups.unsubmitted(now - ABANDONED)) {
      if (appends.isUnderWay(stream)) continue
      await appends.clear(stream)
      feed.groups.cleared(stream)
    }
  }

  async #takeOut(now: number): Promise<void> {
    const { departures, log } = this.#options
    const left = departures.left(now, PATIENCE)
    if (left.length === 0) return
    await departures.complete(left)
    log.info({ jobs: left.length }, 'removed what was left half removed')
  }

  async #complete(group: OpenGroup): Promise<void> {
    const { feed, appends, clock, log } = this.#options
    const { stream, id } = group
    try {
      await appends.complete(group)
      this.#held.delete(id)
      feed.groups.close(group)
      log.info({ stream, revision: group.revision }, 'completed what was left half done')
    } catch (error) {
      this.#held.set(id, clock.now() + PATIENCE)
      log.error({ err: error, stream }, 'what was left half done cannot be completed: it is tried again')
    }
  }
}
