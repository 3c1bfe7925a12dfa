import TinyQueue from 'tinyqueue'
import type { JobState } from '../domain/job/evolve.js'
import { KeyRing, Turns } from './key-ring.js'
import type { Compare } from './urgency-queue.js'
import { byTime, byUrgency, UrgencyQueue } from './urgency-queue.js'

/** Jobs that one kind of worker may take: equal queue, channel and type. */
export interface Lane {
  readonly queue: string
  readonly channel: string
  readonly type: string
}

/** `priority`: priority, then age. `time`: age, then priority. */
export type Order = 'priority' | 'time'
const COMPARE: Readonly<Record<Order, Compare>> = { priority: byUrgency, time: byTime }

/**
 * Place of this runtime among those that may claim a job: 0 is the first. One of rank r claims r steps later; ranks above 3
 * count as 3.
 */
export type Rank = 0 | 1 | 2 | 3

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

/**
 * `suspect`: jobs that have lost a lease; run again one at a time, because one of them may be killing its processes.
 * `manual`: started by a person.
 */
type Kind = 'ordinary' | 'manual' | 'suspect'

/** Entries added to a line before it is looked through for those that were taken by another order. */
const SWEEP = 4_096

/** Jobs of one lane that are equal in all but urgency. */
class Line {
  readonly kind: Kind
  readonly order: Order
  readonly rank: Rank
  readonly #plain: UrgencyQueue
  readonly #turns: Turns
  /** Those whose runs at once are limited by a key. */
  #keyed: KeyRing | undefined
  /** The job on top that was found to be ours to claim. */
  ours: JobState | undefined
  /** Entries added since the last sweep, and what it kept. */
  #load = 0
  #limit = SWEEP

  constructor(kind: Kind, order: Order, rank: Rank, turns: Turns) {
    this.#turns = turns
    this.kind = kind
    this.order = order
    this.rank = rank
    this.#plain = new UrgencyQueue(COMPARE[order])
  }

  get load(): number {
    return this.#load
  }

  /** Nobody may ever take from the top of this line: what was taken elsewhere must not pile up. Amortised O(log n) a push. */
  sweep(isCurrent: (job: JobState) => boolean): void {
    if (this.#load < this.#limit) return
    const kept = [...this.drain()].filter(isCurrent)
    this.#load = 0
    for (const job of kept) this.push(job)
    this.#limit = 2 * kept.length + SWEEP
  }

  push(job: JobState): void {
    this.#load += 1
    if (job.rare?.concurrency === undefined) return this.#plain.push(job)
    this.#keyed ??= new KeyRing(COMPARE[this.order], this.#turns)
    this.#keyed.push(job)
  }

  peek(isCurrent: (job: JobState) => boolean, hasRoom: (job: JobState) => boolean): JobState | undefined {
    let plain = this.#plain.peek()
    while (plain !== undefined && !isCurrent(plain)) {
      this.#plain.pop()
      plain = this.#plain.peek()
    }
    if (this.#keyed === undefined) return plain
    const keyed = this.#keyed.peek(isCurrent, hasRoom)
    if (plain === undefined || keyed === undefined) return plain ?? keyed
    return COMPARE[this.order](plain, keyed) < 0 ? plain : keyed
  }

  /** Whose turn this key is, of a job that `peek` has just shown; undefined: it has none. */
  turnOf(job: JobState): number | undefined {
    return job.rare?.concurrency === undefined ? undefined : this.#keyed?.turnOf(job)
  }

  /** Takes out what `peek` has just shown. */
  pop(job: JobState): void {
    if (job.rare?.concurrency === undefined) this.#plain.pop()
    else this.#keyed?.pop(job)
  }

  freed(key: string): void {
    this.#keyed?.freed(key)
  }

  *drain(): Iterable<JobState> {
    for (let job = this.#plain.pop(); job !== undefined; job = this.#plain.pop()) yield job
    if (this.#keyed !== undefined) yield* this.#keyed.drain()
  }
}

class LaneLines implements Lane {
  readonly queue: string
  readonly channel: string
  readonly type: string
  readonly lines: Line[] = []
  readonly #turns: Turns

  constructor({ queue, channel, type }: Lane, turns: Turns) {
    this.#turns = turns
    this.queue = queue
    this.channel = channel
    this.type = type
  }

  line(kind: Kind, order: Order, rank: Rank): Line {
    for (const line of this.lines) if (line.kind === kind && line.order === order && line.rank === rank) return line
    const line = new Line(kind, order, rank, this.#turns)
    this.lines.push(line)
    return line
  }
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
  #now = 0
  readonly #isCurrent: (job: JobState) => boolean

  /** `current` answers with the job's present state: the same object, or the entry is stale. */
  constructor(current: (id: string) => JobState | undefined) {
    this.#current = current
    this.#isCurrent = (job) => this.#current(job.id) === job && (this.#orders.length === 1 || !this.#taken.has(job))
  }

  /** Lanes seen so far; grows only. */
  get lanes(): Iterable<Lane> {
    return this.#lanes.values()
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
    if (this.#orders.length > 1) this.#taken.delete(job)
    for (const order of this.#orders) {
      const line = lane.line(kindOf(job), order, 0)
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
      lane.line(line.kind, order, 0).push(job)
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
    for (const { job, lane, line } of passed) lane.line(line.kind, line.order, 0).push(job)
    for (const lane of this.#lanes.values()) {
      for (const line of [...lane.lines]) {
        line.ours = undefined
        if (line.rank > 0) for (const job of line.drain()) lane.line(line.kind, line.order, 0).push(job)
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

  #best(lanes: Iterable<Lane>, taking: Taking): { readonly line: Line; readonly job: JobState } | undefined {
    const { order = 'priority', suspects = true } = taking
    let best: { readonly line: Line; readonly job: JobState } | undefined
    for (const lane of lanes as Iterable<LaneLines>) {
      for (const line of lane.lines) {
        if (line.order !== order || (line.kind === 'suspect' && !suspects)) continue
        const job = this.#head(lane, line, taking)
        if (job === undefined) continue
        if (best === undefined || precedes(line, job, best.line, best.job, taking.first)) best = { line, job }
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
        line: lane.line(line.kind, line.order, rank),
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

function kindOf(job: JobState): Kind {
  if (job.lost > 0) return 'suspect'
  return job.rare?.manual ? 'manual' : 'ordinary'
}

/**
 * Who comes first of the tops of two lines of the same order. Jobs of one's own before others', within a priority; then keys
 * take turns, also those of different lanes.
 */
function precedes(line: Line, job: JobState, other: Line, top: JobState, first: Taking['first']): boolean {
  const isManual = line.kind === 'manual'
  if (first !== undefined && isManual !== (other.kind === 'manual')) return isManual === (first === 'manual')
  if (line.order === 'priority' && job.priority !== top.priority) return job.priority < top.priority
  if (line.rank !== other.rank) return line.rank < other.rank
  const turn = line.turnOf(job)
  const otherTurn = turn === undefined ? undefined : other.turnOf(top)
  if (turn !== undefined && otherTurn !== undefined && turn !== otherTurn) return turn < otherTurn
  return COMPARE[line.order](job, top) < 0
}
