import type { Others } from '../../domain/trigger/decide.js'
import { missedUntil } from '../../domain/trigger/decide.js'
import type { TriggerState } from '../../domain/trigger/evolve.js'
import { countOccurrences, intervalOf } from '../../domain/trigger/schedule.js'
import type { Clock } from '../ports/clock.js'

/** Occurrences of one trigger are counted as far as this. */
const MOST = 10_000
/** Steps in one turn of the event loop: one takes 50 us where there is a time zone, or more. */
const SLICE = 200

type Late = TriggerState & { readonly nextAt: number }
type Answer = Others | 'stopped'

/**
 * Counts what triggers have missed while nobody was there: one after the other, and a little in each turn of the event loop, so
 * that nothing else has to wait.
 */
export class MissedCounts {
  readonly #clock: Clock
  #last: Promise<unknown> = Promise.resolve()
  /** Since the event loop has turned. */
  #steps = 0
  #isStopped = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Nothing is counted any more: it is left to whoever comes next. */
  stop(): void {
    this.#isStopped = true
  }

  /** Those that are missed with the one that is due; undefined: there are none, or it is no work to count them. */
  async after(state: Late): Promise<Answer | undefined> {
    const until = missedUntil(state, this.#clock.now())
    if (until === undefined || intervalOf(state.schedule) !== undefined) return undefined
    const counting = this.#last.then(() => this.#count(state, until))
    this.#last = counting.catch(() => {})
    return counting
  }

  async #count({ schedule, nextAt }: Late, until: number): Promise<Answer> {
    let count = 0
    let last: number | undefined = nextAt
    while (last !== undefined && count < MOST) {
      if (this.#steps >= SLICE) await this.#turn()
      if (this.#isStopped) return 'stopped'
      const slice = countOccurrences(schedule, last, until, SLICE)
      count += slice.count
      this.#steps += slice.count + 1
      last = slice.last
    }
    return { until, count, more: last !== undefined }
  }

  async #turn(): Promise<void> {
    await new Promise<void>((resolve) => this.#clock.soon(resolve))
    this.#steps = 0
  }
}
