/** The lines of the pending index: jobs of one lane that are equal in all but urgency, and who comes first of two lines. */
import type { JobState } from '../domain/job/evolve.js'
import type { Turns } from './key-ring.js'
import { KeyRing } from './key-ring.js'
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

/**
 * `suspect`: jobs that have lost a lease; run again one at a time, because one of them may be killing its processes.
 * `manual`: started by a person.
 */
export type Kind = 'ordinary' | 'manual' | 'suspect'

/** Entries added to a line before it is looked through for those that were taken by another order. */
const SWEEP = 4_096

/** Jobs of one lane that are equal in all but urgency. */
export class Line {
  readonly kind: Kind
  readonly order: Order
  readonly rank: Rank
  /** Of jobs whose runs at once are limited by a key, or of those without one. */
  readonly isKeyed: boolean
  readonly #plain: UrgencyQueue
  readonly #turns: Turns
  /** Those whose runs at once are limited by a key. */
  #keyed: KeyRing | undefined
  /** The job on top that was found to be ours to claim. */
  ours: JobState | undefined
  /** Entries added since the last sweep, and what it kept. */
  #load = 0
  #limit = SWEEP

  constructor(kind: Kind, order: Order, rank: Rank, isKeyed: boolean, turns: Turns) {
    this.isKeyed = isKeyed
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
    if (!this.isKeyed) return this.#plain.push(job)
    this.#keyed ??= new KeyRing(COMPARE[this.order], this.#turns)
    this.#keyed.push(job)
  }

  peek(isCurrent: (job: JobState) => boolean, hasRoom: (job: JobState) => boolean): JobState | undefined {
    return this.isKeyed ? this.#keyed?.peek(isCurrent, hasRoom) : this.#plain.top(isCurrent)
  }

  /** When the key of a job that `peek` has just shown had its turn last: the least goes first. */
  turnOf(job: JobState): number {
    return this.#keyed?.turnOf(job) ?? 0
  }

  /** Takes out what `peek` has just shown. */
  pop(job: JobState): void {
    if (!this.isKeyed) this.#plain.pop()
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

export class LaneLines implements Lane {
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

  line(kind: Kind, order: Order, rank: Rank, isKeyed: boolean): Line {
    for (const line of this.lines) {
      if (line.kind === kind && line.order === order && line.rank === rank && line.isKeyed === isKeyed) return line
    }
    const line = new Line(kind, order, rank, isKeyed, this.#turns)
    this.lines.push(line)
    return line
  }
}

/** The first job of a line. */
export interface Top {
  readonly line: Line
  readonly job: JobState
}

export type Among = (a: Top, b: Top) => number

export function kindOf(job: JobState): Kind {
  if (job.lost > 0) return 'suspect'
  return job.rare?.manual ? 'manual' : 'ordinary'
}

/** Who comes first of the tops of two lines of the same order. Jobs of one's own before others', within a priority. */
export function precedes(a: Top, b: Top, first: 'manual' | 'ordinary' | undefined, among: Among): boolean {
  const isManual = a.line.kind === 'manual'
  if (first !== undefined && isManual !== (b.line.kind === 'manual')) return isManual === (first === 'manual')
  if (a.line.order === 'priority' && a.job.priority !== b.job.priority) return a.job.priority < b.job.priority
  if (a.line.rank !== b.line.rank) return a.line.rank < b.line.rank
  return among(a, b) < 0
}

export const byUrgencyOf = (a: Top, b: Top): number => COMPARE[a.line.order](a.job, b.job)
/** Keys take turns, also those of different lanes. */
export const byTurn = (a: Top, b: Top): number => a.line.turnOf(a.job) - b.line.turnOf(b.job) || byUrgencyOf(a, b)
