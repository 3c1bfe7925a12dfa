import TinyQueue from 'tinyqueue'
import type { JobState } from '../domain/job/evolve.js'

export type Compare = (a: JobState, b: JobState) => number

const byAge = (a: JobState, b: JobState): number => a.since - b.since
const byPlace = (a: JobState, b: JobState): number => (a.position < b.position ? -1 : 1)

/** Priority, then age, then place in the log. */
export const byUrgency: Compare = (a, b) => a.priority - b.priority || byAge(a, b) || byPlace(a, b)

/** Age, then priority, then place in the log. */
export const byTime: Compare = (a, b) => byAge(a, b) || a.priority - b.priority || byPlace(a, b)

/** Entries taken from the front of a run before its array is cut. */
const CUT = 4_096

/**
 * Jobs in order of urgency. Jobs mostly come in the order in which they will go: those that do form a sorted run, where
 * both ends are O(1); only the others go through a heap. A heap alone costs 5 us a job at 200,000 waiting.
 */
export class UrgencyQueue {
  readonly #compare: Compare
  #run: JobState[] = []
  #front = 0
  readonly #heap: TinyQueue<JobState>

  constructor(compare: Compare) {
    this.#compare = compare
    this.#heap = new TinyQueue<JobState>([], compare)
  }

  push(job: JobState): void {
    const last = this.#run.at(-1)
    if (this.#front === this.#run.length || this.#compare(last as JobState, job) < 0) this.#run.push(job)
    else this.#heap.push(job)
  }

  peek(): JobState | undefined {
    return this.#next() === 'run' ? this.#run[this.#front] : this.#heap.peek()
  }

  /** The first that is current; those before it are let go of. */
  top(isCurrent: (job: JobState) => boolean): JobState | undefined {
    for (let job = this.peek(); job !== undefined; job = this.peek()) {
      if (isCurrent(job)) return job
      this.pop()
    }
    return undefined
  }

  pop(): JobState | undefined {
    if (this.#next() === 'heap') return this.#heap.pop()
    const job = this.#run[this.#front]
    this.#front += 1
    if (this.#front === this.#run.length) {
      this.#run = []
      this.#front = 0
    } else if (this.#front >= CUT && this.#front * 2 > this.#run.length) {
      this.#run = this.#run.slice(this.#front)
      this.#front = 0
    }
    return job
  }

  #next(): 'run' | 'heap' {
    const first = this.#run[this.#front]
    const top = this.#heap.peek()
    if (first === undefined) return 'heap'
    return top === undefined || this.#compare(first, top) < 0 ? 'run' : 'heap'
  }
}
