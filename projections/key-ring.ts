import type { JobState } from '../domain/job/evolve.js'
import type { Compare } from './urgency-queue.js'
import { UrgencyQueue } from './urgency-queue.js'

/**
 * Jobs whose runs at once are limited by a key. The keys take turns, whatever the priorities of their jobs, so that one with
 * many jobs does not keep the others waiting; within a key the most urgent goes first. A key without room leaves the round
 * until one of its runs has ended: what is full costs nothing. `peek` and `pop` are O(1) beside the queue of the key.
 */
export class KeyRing {
  readonly #compare: Compare
  /** In the order of their turns. */
  readonly #round = new Map<string, UrgencyQueue>()
  readonly #full = new Map<string, UrgencyQueue>()

  constructor(compare: Compare) {
    this.#compare = compare
  }

  push(job: JobState): void {
    const key = keyOf(job)
    let queue = this.#round.get(key) ?? this.#full.get(key)
    if (queue === undefined) {
      queue = new UrgencyQueue(this.#compare)
      this.#round.set(key, queue)
    }
    queue.push(job)
  }

  /** The job whose turn it is. `isCurrent`: it still waits; `hasRoom`: its key may run one more. */
  peek(isCurrent: (job: JobState) => boolean, hasRoom: (job: JobState) => boolean): JobState | undefined {
    for (const [key, queue] of this.#round) {
      const job = topOf(queue, isCurrent)
      if (job !== undefined && hasRoom(job)) return job
      this.#round.delete(key)
      if (job !== undefined) this.#full.set(key, queue)
    }
    return undefined
  }

  /** Takes out what `peek` has just shown; its key goes to the end of the round. */
  pop(job: JobState): void {
    const key = keyOf(job)
    const queue = this.#round.get(key)
    if (queue === undefined) return
    queue.pop()
    this.#round.delete(key)
    if (queue.peek() !== undefined) this.#round.set(key, queue)
  }

  /** A run of this key has ended: it takes its turn again. */
  freed(key: string): void {
    const queue = this.#full.get(key)
    if (queue === undefined) return
    this.#full.delete(key)
    this.#round.set(key, queue)
  }

  /** Everything, in no order. */
  *drain(): Iterable<JobState> {
    for (const queues of [this.#round, this.#full]) {
      for (const queue of queues.values()) for (let job = queue.pop(); job !== undefined; job = queue.pop()) yield job
      queues.clear()
    }
  }
}

const keyOf = (job: JobState): string => job.rare?.concurrency?.key ?? ''

function topOf(queue: UrgencyQueue, isCurrent: (job: JobState) => boolean): JobState | undefined {
  for (let job = queue.peek(); job !== undefined; job = queue.peek()) {
    if (isCurrent(job)) return job
    queue.pop()
  }
  return undefined
}
