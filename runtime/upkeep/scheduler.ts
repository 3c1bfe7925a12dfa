import { JobledgerError } from '../../domain/errors.js'
import type { TriggerState } from '../../domain/trigger/evolve.js'
import type { Clock } from '../ports/clock.js'
import type { Logger } from '../ports/logger.js'
import type { Feed } from '../read/feed.js'
import type { Firer } from '../trigger/firer.js'
import { Alarm } from '../work/alarm.js'
import { ranking, runtimesOf, stepFor } from '../work/claim-policy.js'
import { Bell } from './bell.js'

/** A firing is left to whoever has begun it for this long (ms). */
const OPEN_GRACE = 5_000
/** Wait after something could not be done, or has turned out to be done (ms). */
const HOLD = 1_000

export interface SchedulerOptions {
  readonly feed: Feed
  readonly clock: Clock
  readonly log: Logger
  readonly firer: Firer
  readonly runtime: string
}

/**
 * Sees to it that triggers fire when their time has come, and that they answer to events of the log. Every runtime does: the log
 * decides who was first, and a ranking keeps the others from trying at the same moment.
 */
export class Scheduler {
  readonly #options: SchedulerOptions
  readonly #alarm: Alarm
  readonly #bell = new Bell()
  readonly #underWay = new Map<string, Promise<void>>()
  /** Until when something is not tried again. */
  readonly #held = new Map<string, number>()
  #looked = -1

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.#alarm = new Alarm(options.clock, () => this.#bell.ring())
  }

  async run(signal: AbortSignal): Promise<void> {
    const { feed } = this.#options
    const pages = feed.pages$.subscribe(() => {
      if (feed.triggers.changes !== this.#looked) this.#bell.ring()
    })
    try {
      for (;;) {
        this.#look()
        await this.#bell.wait(signal)
      }
    } finally {
      pages.unsubscribe()
      this.#alarm.stop()
    }
  }

  /** Resolves when nothing of it is under way any more. After `run` was aborted. */
  async idle(): Promise<void> {
    await Promise.all(this.#underWay.values())
  }

  #look(): void {
    const { feed, clock, firer } = this.#options
    const { triggers } = feed
    const now = clock.now()
    this.#looked = triggers.changes
    for (const [key, until] of this.#held) if (until <= now) this.#held.delete(key)
    for (const state of triggers.due(now)) this.#onDue(state, now)
    for (const owed of triggers.owed) {
      const state = triggers.get(owed.triggerId)
      if (state?.status !== 'active') continue
      this.#at(owed.at, now, state.id, `${owed.source} ${state.id}`, () => firer.onOwed(state, owed))
    }
    for (const open of triggers.open)
      this.#at(open.at + OPEN_GRACE, now, open.triggerId, open.jobId, () => firer.complete(open))
    for (const [id, jobId] of triggers.bad) this.#at(now, now, id, `bad ${jobId}`, () => firer.removeBad(id, jobId))
    const next = triggers.nextDeadline()
    if (next !== undefined) this.#alarm.by(next)
  }

  #onDue(state: TriggerState, now: number): void {
    const { firer } = this.#options
    const { id, window, nextAt } = state
    if (window !== undefined)
      this.#at(window.until, now, id, `${window.revision} ${id}`, () => firer.onWindowEnd({ ...state, window }))
    if (nextAt !== undefined) this.#at(nextAt, now, id, `${id} ${nextAt}`, () => firer.onTime({ ...state, nextAt }))
  }

  /** Others who come before this runtime are given time to be faster. */
  #at(instant: number, now: number, triggerId: string, key: string, task: () => Promise<void>): void {
    if (this.#underWay.has(key)) return
    const held = this.#held.get(key)
    const readyAt = held ?? (instant > now ? instant : instant + this.#patience(triggerId, now))
    if (readyAt > now) this.#alarm.by(readyAt)
    else this.#underWay.set(key, this.#attempt(key, triggerId, task))
  }

  #patience(triggerId: string, now: number): number {
    const { feed, runtime } = this.#options
    const rank = ranking(runtimesOf(feed.workers.live(now)), runtime)(triggerId)
    return rank * stepFor(feed.lag())
  }

  /** What has been done is gone from the projections when it is answered; what is still there is left alone for a moment. */
  async #attempt(key: string, triggerId: string, task: () => Promise<void>): Promise<void> {
    const { clock, log } = this.#options
    try {
      await task()
    } catch (error) {
      const isRefused = error instanceof JobledgerError && error.family === 'trigger'
      if (!isRefused) log.error({ err: error, triggerId }, 'trigger not fired: it is tried again')
    }
    this.#underWay.delete(key)
    this.#held.set(key, clock.now() + HOLD)
    this.#bell.ring()
  }
}
