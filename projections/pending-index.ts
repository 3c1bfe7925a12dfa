import TinyQueue from 'tinyqueue'
import type { JobState } from '../domain/job/evolve.js'

/** Jobs that one kind of worker may take: equal queue, channel and type. */
export interface Lane {
  readonly queue: string
  readonly channel: string
  readonly type: string
}

interface LaneHeap extends Lane {
  readonly ready: TinyQueue<JobState>
  /** Jobs that have lost a lease: run again one at a time, because one of them may be killing its processes. */
  readonly suspects: TinyQueue<JobState>
}

/** Priority, then age, then place in the log. */
function byUrgency(a: JobState, b: JobState): number {
  return a.priority - b.priority || a.since - b.since || (a.position < b.position ? -1 : 1)
}

/**
 * Which jobs may be leased next. Holds job states by reference and lets go of them lazily: an entry whose state is not the
 * job's present one any more is dropped when it comes up, so that a cancel or a reschedule costs nothing here.
 * `push` and `take` are O(log n) in the jobs of one lane.
 */
export class PendingIndex {
  readonly #current: (id: string) => JobState | undefined
  readonly #lanes = new Map<string, LaneHeap>()
  readonly #scheduled = new TinyQueue<JobState>([], (a, b) => a.runAt - b.runAt)

  /** `current` answers with the job's present state: the same object, or the entry is stale. */
  constructor(current: (id: string) => JobState | undefined) {
    this.#current = current
  }

  /** Lanes seen so far; grows only. */
  get lanes(): Iterable<Lane> {
    return this.#lanes.values()
  }

  get laneCount(): number {
    return this.#lanes.size
  }

  /** Takes up a waiting job that is neither held nor blocked. */
  push(job: JobState, now: number): void {
    if (job.runAt > now) {
      this.#scheduled.push(job)
      return
    }
    const lane = this.#lane(job)
    if (job.lost > 0) lane.suspects.push(job)
    else lane.ready.push(job)
  }

  /** Moves every job that has become due to its lane; true when there was one. */
  promoteDue(now: number): boolean {
    let moved = false
    for (let job = this.#scheduled.peek(); job !== undefined && job.runAt <= now; job = this.#scheduled.peek()) {
      this.#scheduled.pop()
      if (this.#current(job.id) !== job) continue
      this.push(job, now)
      moved = true
    }
    return moved
  }

  /** The earliest instant at which a scheduled job becomes due. */
  nextDue(): number | undefined {
    return this.#top(this.#scheduled)?.runAt
  }

  /** Scheduled jobs, in no order. */
  *scheduled(): Iterable<JobState> {
    for (const job of this.#scheduled.data) if (this.#current(job.id) === job) yield job
  }

  /** Takes the most urgent job of the lanes out of the index. `suspects` allows jobs that have lost a lease. */
  take(lanes: Iterable<Lane>, suspects: boolean): JobState | undefined {
    let best: TinyQueue<JobState> | undefined
    for (const lane of lanes as Iterable<LaneHeap>) {
      best = this.#better(best, lane.ready)
      if (suspects) best = this.#better(best, lane.suspects)
    }
    return best?.pop()
  }

  #better(best: TinyQueue<JobState> | undefined, heap: TinyQueue<JobState>): TinyQueue<JobState> | undefined {
    const job = this.#top(heap)
    if (job === undefined) return best
    return best === undefined || byUrgency(job, best.peek() as JobState) < 0 ? heap : best
  }

  #top(heap: TinyQueue<JobState>): JobState | undefined {
    for (let job = heap.peek(); job !== undefined; job = heap.peek()) {
      if (this.#current(job.id) === job) return job
      heap.pop()
    }
    return undefined
  }

  #lane(job: JobState): LaneHeap {
    const key = `${job.queue}\0${job.channel}\0${job.type}`
    let lane = this.#lanes.get(key)
    if (lane === undefined) {
      const { queue, channel, type } = job
      const heap = (): TinyQueue<JobState> => new TinyQueue<JobState>([], byUrgency)
      lane = { queue, channel, type, ready: heap(), suspects: heap() }
      this.#lanes.set(key, lane)
    }
    return lane
  }
}
