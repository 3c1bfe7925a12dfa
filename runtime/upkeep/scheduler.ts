import { JobledgerError } from '../../domain/errors.js'
import type { TriggerState } from '../../domain/trigger/evolve.js'
import type { Lane } from '../../projections/pending-index.js'
import type { Clock } from '../ports/clock.js'
import type { Logger } from '../ports/logger.js'
import type { Feed } from '../read/feed.js'
import type { Firer } from '../trigger/firer.js'
import { Alarm } from '../work/alarm.js'
import { membersOf, ranking, runtimesOf, stepFor } from '../work/claim-policy.js'
import type { JobDefinition } from '../work/run/definition.js'
import { Bell } from './bell.js'

/** Wait after something could not be done, or has turned out to be done (ms). */
const HOLD = 1_000
/** How long who does not know the code of a type leaves its triggers to those who do (ms). */
const CODE_GRACE = 2_000

export interface SchedulerOptions {
  readonly feed: Feed
  readonly clock: Clock
  readonly log: Logger
  readonly firer: Firer
  /** Job types that this runtime knows. */
  readonly definitions: ReadonlyMap<string, JobDefinition>
  readonly runtime: string
}

/** Something to be done about a trigger from an instant on, by a name of its own. */
type Turn = (instant: number, trigger: TriggerState, key: string, task: () => Promise<void>) => void

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
    const turn = this.#turn(now)
    for (const state of triggers.due(now)) this.#onDue(state, turn)
    for (const owed of triggers.owed) {
      const state = triggers.get(owed.triggerId)
      if (state?.status !== 'active') continue
      turn(owed.at + this.#grace(state), state, `${owed.source} ${state.id}`, () => firer.onOwed(state, owed))
    }
    for (const [id, jobId] of triggers.bad) {
      const state = triggers.get(id) as TriggerState
      turn(now, state, `bad ${jobId}`, () => firer.removeBad(state, jobId))
    }
    const next = triggers.nextDeadline()
    if (next !== undefined) this.#alarm.by(next)
  }

  #onDue(state: TriggerState, turn: Turn): void {
    const { firer } = this.#options
    const { id, window, nextAt } = state
    const grace = this.#grace(state)
    if (window !== undefined)
      turn(window.until + grace, state, `${window.revision} ${id}`, () => firer.onWindowEnd({ ...state, window }))
    if (nextAt !== undefined) turn(nextAt + grace, state, `${id} ${nextAt}`, () => firer.onTime({ ...state, nextAt }))
  }

  /** Without its code a job would be made all the same, but not as its type wants it. */
  #grace({ code, type }: TriggerState): number {
    return code && !this.#options.definitions.has(type) ? CODE_GRACE : 0
  }

  /** Begins what is due, unless it is another runtime's to be first: that one is given time. */
  #turn(now: number): Turn {
    const step = stepFor(this.#options.feed.lag())
    const rankOf = this.#ranking(now)
    return (instant, trigger, key, task) => {
      if (this.#underWay.has(key)) return
      const due = instant > now ? instant : instant + rankOf(trigger) * step
      const readyAt = Math.max(due, this.#held.get(key) ?? due)
      if (readyAt > now) this.#alarm.by(readyAt)
      else this.#underWay.set(key, this.#attempt(key, trigger.id, task))
    }
  }

  /** Among those whose workers take the jobs of a trigger: they know its type. Nobody does: among all. */
  #ranking(now: number): (trigger: TriggerState) => number {
    const { feed, runtime } = this.#options
    const live = feed.workers.live(now)
    const all = ranking(runtimesOf(live), runtime)
    const byLane = new Map<string, typeof all>()
    return (trigger) => {
      const lane = laneOf(trigger)
      const key = JSON.stringify(lane)
      let rankOf = byLane.get(key)
      if (rankOf === undefined) {
        const members = membersOf(live, lane)
        rankOf = members.length === 0 ? all : ranking(members, runtime)
        byLane.set(key, rankOf)
      }
      return rankOf(trigger.id)
    }
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
    const until = clock.now() + HOLD
    this.#underWay.delete(key)
    this.#held.set(key, until)
    this.#alarm.by(until)
  }
}

/** Where its jobs go. */
function laneOf({ type, options, defaults }: TriggerState): Lane {
  const queue = String(options?.queue ?? defaults?.queue ?? 'default')
  return { type, queue, channel: String(options?.channel ?? '') }
}
