import type { JobState } from '../domain/job/evolve.js'

/** Jobs of one queue by phase. Ended ones are counted over the life of the log. */
export interface PhaseCounts {
  waiting: number
  leased: number
  succeeded: number
  failed: number
  cancelled: number
}

export type JobPhase = keyof PhaseCounts

/** What a user is shown is finer (held, blocked, scheduled, ready); what is counted here needs no clock. */
export function phaseOf(job: JobState): JobPhase {
  return job.outcome ?? (job.phase === 'leased' ? 'leased' : 'waiting')
}

/** Totals per queue, kept from event to event. */
export class QueueStats {
  readonly #queues = new Map<string, PhaseCounts>()

  moved(before: JobState | undefined, after: JobState): void {
    const counts = this.#of(after.queue)
    if (before !== undefined) counts[phaseOf(before)] -= 1
    counts[phaseOf(after)] += 1
  }

  /** One more job of which only the end is known. */
  add(queue: string, phase: JobPhase): void {
    this.#of(queue)[phase] += 1
  }

  get queues(): ReadonlyMap<string, Readonly<PhaseCounts>> {
    return this.#queues
  }

  toJSON(): Record<string, PhaseCounts> {
    return Object.fromEntries(this.#queues)
  }

  restore(saved: Readonly<Record<string, PhaseCounts>>): void {
    for (const [queue, counts] of Object.entries(saved)) this.#queues.set(queue, { ...counts })
  }

  #of(queue: string): PhaseCounts {
    let counts = this.#queues.get(queue)
    if (counts === undefined) {
      counts = { waiting: 0, leased: 0, succeeded: 0, failed: 0, cancelled: 0 }
      this.#queues.set(queue, counts)
    }
    return counts
  }
}
