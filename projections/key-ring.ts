import type { JobState } from '../domain/job/evolve.js'
import type { Compare } from './urgency-queue.js'
import { UrgencyQueue } from './urgency-queue.js'

/** Numbers the turns of all rings of an index: who came to the end of a round earlier goes earlier, also in another ring. */
export class Turns {
  #last = 0

  next(): number {
    this.#last += 1
    return this.#last
  }
}

interface Waiting {
  readonly queue: UrgencyQueue
  /** When it came to the end of the round. */
  turn: number
  /** Limit of the job that last found no room. */
  fullAt: number
}

/**
 * Jobs whose runs at once are limited by a key. The keys take turns, whatever the priorities of their jobs, so that one with
 * many jobs does not keep the others waiting; within a key the most urgent goes first. A key without room leaves the round
 * until one of its runs has ended, or a job with a higher limit comes: what is full costs nothing. `peek` and `pop` are O(1)
 * beside the queue of the key.
 */
export class KeyRing {
  readonly #compare: Compare
  readonly #turns: Turns
  /** In the order of their turns. */
  readonly #round = new Map<string, Waiting>()
  readonly #full = new Map<string, Waiting>()

  constructor(compare: Compare, turns: Turns) {
    this.#compare = compare
    this.#turns = turns
  }

  push(job: JobState): void {
    const key = keyOf(job)
    let waiting = this.#round.get(key) ?? this.#full.get(key)
    if (waiting === undefined) {
      waiting = { queue: new UrgencyQueue(this.#compare), turn: 0, fullAt: 0 }
      this.#toTheEnd(key, waiting)
    }
    waiting.queue.push(job)
    // Limits belong to the job: the key may be full for the others, and not for this one.
    if (limitOf(job) > waiting.fullAt) this.freed(key)
  }

  #toTheEnd(key: string, waiting: Waiting): void {
    waiting.turn = this.#turns.next()
    this.#round.set(key, waiting)
  }

  /** The job whose turn it is. `isCurrent`: it still waits; `hasRoom`: its key may run one more. */
  peek(isCurrent: (job: JobState) => boolean, hasRoom: (job: JobState) => boolean): JobState | undefined {
    for (const [key, waiting] of this.#round) {
      const job = waiting.queue.top(isCurrent)
      if (job !== undefined && hasRoom(job)) return job
      this.#round.delete(key)
      if (job === undefined) continue
      waiting.fullAt = limitOf(job)
      this.#full.set(key, waiting)
    }
    return undefined
  }

  /** Of the key of this job, which `peek` has just shown. */
  turnOf(job: JobState): number {
    return this.#round.get(keyOf(job))?.turn ?? 0
  }

  /** Takes out what `peek` has just shown; its key goes to the end of the round. */
  pop(job: JobState): void {
    const key = keyOf(job)
    const waiting = this.#round.get(key)
    if (waiting === undefined) return
    waiting.queue.pop()
    this.#round.delete(key)
    if (waiting.queue.peek() !== undefined) this.#toTheEnd(key, waiting)
  }

  /** There may be room for this key: if it had none, it takes its turn again. */
  freed(key: string): void {
    const waiting = this.#full.get(key)
    if (waiting === undefined) return
    this.#full.delete(key)
    this.#toTheEnd(key, waiting)
  }

  /** Everything, in no order. */
  *drain(): Iterable<JobState> {
    for (const part of [this.#round, this.#full]) {
      for (const { queue } of part.values()) for (let job = queue.pop(); job !== undefined; job = queue.pop()) yield job
      part.clear()
    }
  }
}

const keyOf = (job: JobState): string => job.rare?.concurrency?.key ?? ''
const limitOf = (job: JobState): number => job.rare?.concurrency?.limit ?? 0
