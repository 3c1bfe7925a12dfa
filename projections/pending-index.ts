import TinyQueue from 'tinyqueue'
import type { JobState } from '../domain/job/evolve.js'
import { byUrgency, UrgencyQueue } from './urgency-queue.js'

/** Jobs that one kind of worker may take: equal queue, channel and type. */
export interface Lane {
  readonly queue: string
  readonly channel: string
  readonly type: string
}

interface LaneQueues extends Lane {
  readonly ready: UrgencyQueue
  /** Jobs that have lost a lease: run again one at a time, because one of them may be killing its processes. */
  readonly suspects: UrgencyQueue
}

/** What both kinds of queue here can do. */
interface Queue {
  peek(): JobState | undefined
  pop(): JobState | undefined
}

/**
 * Which jobs may be leased next. Holds job states by reference and lets go of them lazily: an entry whose state is not the
 * job's present one any more is dropped when it comes up, so that a cancel or a reschedule costs nothing here.
 * `push` and `take` cost the same whatever the backlog, as long as jobs come in the order in which they go; else O(log n).
 */
export class PendingIndex {
  readonly #current: (id: string) => JobState | undefined
  readonly #lanes = new Map<string, LaneQueues>()
  /** Jobs come in crowds of one kind. */
  #lastLane: LaneQueues | undefined
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

  /** Whether no job of the lanes is due. */
  isEmpty(lanes: Iterable<Lane>): boolean {
    for (const { ready, suspects } of lanes as Iterable<LaneQueues>) {
      if (this.#top(ready) !== undefined || this.#top(suspects) !== undefined) return false
    }
    return true
  }

  /** Takes the most urgent job of the lanes out of the index. `suspects` allows jobs that have lost a lease. */
  take(lanes: Iterable<Lane>, suspects: boolean): JobState | undefined {
    let best: Queue | undefined
    for (const lane of lanes as Iterable<LaneQueues>) {
      best = this.#better(best, lane.ready)
      if (suspects) best = this.#better(best, lane.suspects)
    }
    return best?.pop()
  }

  #better(best: Queue | undefined, queue: Queue): Queue | undefined {
    const job = this.#top(queue)
    if (job === undefined) return best
    return best === undefined || byUrgency(job, best.peek() as JobState) < 0 ? queue : best
  }

  #top(queue: Queue): JobState | undefined {
    for (let job = queue.peek(); job !== undefined; job = queue.peek()) {
      if (this.#current(job.id) === job) return job
      queue.pop()
    }
    return undefined
  }

  #lane(job: JobState): LaneQueues {
    const last = this.#lastLane
    if (last !== undefined && last.type === job.type && last.queue === job.queue && last.channel === job.channel)
      return last
    const { queue, channel, type } = job
    const key = JSON.stringify([queue, channel, type])
    let lane = this.#lanes.get(key)
    if (lane === undefined) {
      lane = { queue, channel, type, ready: new UrgencyQueue(), suspects: new UrgencyQueue() }
      this.#lanes.set(key, lane)
    }
    this.#lastLane = lane
    return lane
  }
}
