import TinyQueue from 'tinyqueue'
import type { JobState } from '../domain/job/evolve.js'
import { Turns } from './key-ring.js'
import type { Among, Lane, Line, Order, Rank, Top } from './lines.js'
import { byTurn, byUrgencyOf, kindOf, LaneLines, precedes } from './lines.js'

export type { Lane, Order, Rank }

/** How somebody takes jobs. */
export interface Taking {
  /** Default `priority`. */
  readonly order?: Order
  /** Whether jobs that have lost a lease are among them. Default true. */
  readonly suspects?: boolean
  /** Which are looked at first: those that a person has started, or the others. Default: neither. */
  readonly first?: 'manual' | 'ordinary'
  /** Whether the key of this job, which has one, may run one more. Default: it may. */
  readonly hasRoom?: (job: JobState) => boolean
  /** Also jobs that another runtime is to claim. Default false. */
  readonly anyRank?: boolean
}

/** A job that another runtime may claim first; afterwards it is ours too. */
interface Passed {
  readonly job: JobState
  readonly due: number
  readonly lane: LaneLines
  readonly line: Line
}

const ANY_ROOM = (): boolean => true

/**
 * Which jobs may be leased next. Holds job states by reference and lets go of them lazily: an entry whose state is not the
 * job's present one any more is dropped when it comes up, so that a cancel or a reschedule costs nothing here.
 * `push` and `take` cost the same whatever the backlog, as long as jobs come in the order in which they go; else O(log n).
 *
 * With several runtimes on one log each job has a rank here. A job of a higher rank is passed over when it comes up, and
 * comes up again some steps later, if it still waits: ranks cost nothing for jobs that are far from their turn.
 */
export class PendingIndex {
  readonly #current: (id: string) => JobState | undefined
  readonly #lanes = new Map<string, LaneLines>()
  readonly #turns = new Turns()
  /** Jobs come in crowds of one kind. */
  #lastLane: LaneLines | undefined
  readonly #scheduled = new TinyQueue<JobState>([], (a, b) => a.runAt - b.runAt)
  #passed = new TinyQueue<Passed>([], (a, b) => a.due - b.due)
  readonly #orders: Order[] = ['priority']
  /** Taken out of the lines of one order, and still in those of the other. */
  readonly #taken = new WeakSet<JobState>()
  #rankOf: ((job: JobState) => Rank) | undefined
  #step = 0
  /** There ever was a job with a key. */
  #hasKeys = false
  #now = 0
  readonly #isCurrent: (job: JobState) => boolean

  /** `current` answers with the job's present state: the same object, or the entry is stale. */
  constructor(current: (id: string) => JobState | undefined) {
    this.#current = current
    this.#isCurrent = (job) => this.#current(job.id) === job && (this.#orders.length === 1 || !this.#taken.has(job))
  }

  /** Lanes seen so far; grows only. */
  get lanes(): readonly Lane[] {
    return [...this.#lanes.values()]
  }

  get laneCount(): number {
    return this.#lanes.size
  }

  /** Entries in lines at most, those that are not current any more included. */
  get load(): number {
    let load = 0
    for (const lane of this.#lanes.values()) for (const line of lane.lines) load += line.load
    return load
  }

  /** Takes up a waiting job that is neither held nor blocked. */
  push(job: JobState, now: number): void {
    if (job.runAt > now) {
      this.#scheduled.push(job)
      return
    }
    const lane = this.#lane(job)
    const isKeyed = job.rare?.concurrency !== undefined
    this.#hasKeys ||= isKeyed
    if (this.#orders.length > 1) this.#taken.delete(job)
    for (const order of this.#orders) {
      const line = lane.line(kindOf(job), order, 0, isKeyed)
      if (this.#orders.length > 1) line.sweep(this.#isCurrent)
      line.push(job)
    }
  }

  /** From now on jobs are also taken in this order. */
  serve(order: Order): void {
    if (this.#orders.includes(order)) return
    this.#orders.push(order)
    for (const lane of this.#lanes.values()) for (const line of [...lane.lines]) this.#copy(lane, line, order)
  }

  #copy(lane: LaneLines, line: Line, order: Order): void {
    if (line.order === order || line.rank > 0) return
    for (const job of [...line.drain()].filter(this.#isCurrent)) {
      line.push(job)
      lane.line(line.kind, order, 0, line.isKeyed).push(job)
    }
  }

  /**
   * Ranks jobs anew: those that were passed over come up again. `undefined`: all jobs are this runtime's to claim.
   * `step` (ms) is what a runtime waits for each rank before its own.
   */
  rankBy(rankOf: ((job: JobState) => Rank) | undefined, step: number): void {
    this.#rankOf = rankOf
    this.#step = step
    const passed = this.#passed.data
    this.#passed = new TinyQueue<Passed>([], (a, b) => a.due - b.due)
    for (const { job, lane, line } of passed) lane.line(line.kind, line.order, 0, line.isKeyed).push(job)
    for (const lane of this.#lanes.values()) {
      for (const line of [...lane.lines]) {
        line.ours = undefined
        if (line.rank === 0) continue
        for (const job of line.drain()) lane.line(line.kind, line.order, 0, line.isKeyed).push(job)
      }
    }
  }

  /** Moves every job that has become due to its lane; true when there was one. */
  promoteDue(now: number): boolean {
    this.#now = now
    let moved = false
    for (let job = this.#scheduled.peek(); job !== undefined && job.runAt <= now; job = this.#scheduled.peek()) {
      this.#scheduled.pop()
      if (this.#current(job.id) !== job) continue
      this.push(job, now)
      moved = true
    }
    for (let passed = this.#nextPassed(); passed !== undefined && passed.due <= now; passed = this.#nextPassed()) {
      this.#passed.pop()
      passed.line.push(passed.job)
      moved = true
    }
    return moved
  }

  /** The earliest instant at which a scheduled job becomes due, or one that was passed over comes up again. */
  nextDue(): number | undefined {
    const passed = this.#nextPassed()?.due
    const scheduled = this.#nextScheduled()?.runAt
    if (passed === undefined || scheduled === undefined) return passed ?? scheduled
    return Math.min(passed, scheduled)
  }

  #nextScheduled(): JobState | undefined {
    for (let job = this.#scheduled.peek(); job !== undefined; job = this.#scheduled.peek()) {
      if (this.#current(job.id) === job) return job
      this.#scheduled.pop()
    }
    return undefined
  }

  #nextPassed(): Passed | undefined {
    for (let passed = this.#passed.peek(); passed !== undefined; passed = this.#passed.peek()) {
      if (this.#isCurrent(passed.job)) return passed
      this.#passed.pop()
    }
    return undefined
  }

  /** Scheduled jobs, in no order. */
  *scheduled(): Iterable<JobState> {
    for (const job of this.#scheduled.data) if (this.#current(job.id) === job) yield job
  }

  /** Whether the lanes have no job to give. */
  isEmpty(lanes: Iterable<Lane>, taking: Taking = {}): boolean {
    return this.#best(lanes, taking) === undefined
  }

  /** Takes the most urgent job of the lanes out of the index. */
  take(lanes: Iterable<Lane>, taking: Taking = {}): JobState | undefined {
    const best = this.#best(lanes, taking)
    if (best === undefined) return undefined
    const { line, job } = best
    line.pop(job)
    line.ours = undefined
    if (this.#orders.length > 1) this.#taken.add(job)
    return job
  }

  /** A run of this key has ended, or could not begin: its jobs may come up again. */
  freed(key: string): void {
    for (const lane of this.#lanes.values()) for (const line of lane.lines) line.freed(key)
  }

  /** The first of those without a key, and the key whose turn it is: then whichever of the two is more urgent. */
  #best(lanes: Iterable<Lane>, taking: Taking): Top | undefined {
    const plain = this.#first(lanes, taking, false, byUrgencyOf)
    const keyed = this.#hasKeys ? this.#first(lanes, taking, true, byTurn) : undefined
    if (plain === undefined || keyed === undefined) return plain ?? keyed
    return precedes(keyed, plain, taking.first, byUrgencyOf) ? keyed : plain
  }

  #first(lanes: Iterable<Lane>, taking: Taking, isKeyed: boolean, among: Among): Top | undefined {
    const { order = 'priority', suspects = true, first } = taking
    let best: Top | undefined
    for (const lane of lanes as Iterable<LaneLines>) {
      for (const line of lane.lines) {
        if (line.isKeyed !== isKeyed || line.order !== order || (line.kind === 'suspect' && !suspects)) continue
        const job = this.#head(lane, line, taking)
        if (job === undefined) continue
        const top = { line, job }
        if (best === undefined || precedes(top, best, first, among)) best = top
      }
    }
    return best
  }

  /** The line's first job that this runtime may claim now. */
  #head(lane: LaneLines, line: Line, { hasRoom = ANY_ROOM, anyRank = false }: Taking): JobState | undefined {
    for (;;) {
      const job = line.peek(this.#isCurrent, hasRoom)
      if (job === undefined || this.#rankOf === undefined || line.rank > 0 || anyRank || line.ours === job) return job
      const rank = this.#rankOf(job)
      if (rank === 0) {
        line.ours = job
        return job
      }
      line.pop(job)
      this.#passed.push({
        job,
        due: this.#now + rank * this.#step,
        lane,
        line: lane.line(line.kind, line.order, rank, line.isKeyed),
      })
    }
  }

  #lane(job: JobState): LaneLines {
    const last = this.#lastLane
    if (last !== undefined && last.type === job.type && last.queue === job.queue && last.channel === job.channel)
      return last
    const key = JSON.stringify([job.queue, job.channel, job.type])
    let lane = this.#lanes.get(key)
    if (lane === undefined) {
      lane = new LaneLines(job, this.#turns)
      this.#lanes.set(key, lane)
    }
    this.#lastLane = lane
    return lane
  }
}
