import type { JobState } from '../domain/job/evolve.js'

/** Jobs by phase. Ended ones are counted over the life of the log. */
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

/** The jobs of one type in one queue. */
interface Cell {
  readonly queue: string
  /** '' for jobs that were removed before they were told apart by type. */
  readonly type: string
  readonly counts: PhaseCounts
}

export type SavedStats = readonly (readonly [queue: string, type: string, counts: PhaseCounts])[]

/** Totals per queue and type, kept from event to event. */
export class QueueStats {
  readonly #queues = new Map<string, Map<string, Cell>>()
  /** Jobs come in crowds of one kind. */
  #last: Cell | undefined

  moved(before: JobState | undefined, after: JobState): void {
    const { counts } = this.#of(after.queue, after.type)
    if (before !== undefined) counts[phaseOf(before)] -= 1
    counts[phaseOf(after)] += 1
  }

  /** One job less. */
  left(job: JobState): void {
    this.#of(job.queue, job.type).counts[phaseOf(job)] -= 1
  }

  /** One more job of which only the end is known. */
  add(queue: string, type: string, phase: JobPhase): void {
    this.#of(queue, type).counts[phase] += 1
  }

  get queues(): ReadonlyMap<string, Readonly<PhaseCounts>> {
    return this.totals()
  }

  /** Of each queue; with `type`: its jobs alone, in the queues that have had any. */
  totals(type?: string): Map<string, PhaseCounts> {
    const totals = new Map<string, PhaseCounts>()
    for (const [queue, types] of this.#queues) {
      const cells = [...types.values()].filter((cell) => type === undefined || cell.type === type)
      if (cells.length > 0) totals.set(queue, sum(cells))
    }
    return totals
  }

  toJSON(): Record<string, PhaseCounts> {
    return Object.fromEntries(this.totals())
  }

  /** For a checkpoint. */
  toSave(): SavedStats {
    return this.#cells().map(({ queue, type, counts }) => [queue, type, counts])
  }

  /** Takes up what `toSave` gave. */
  restore(saved: SavedStats): void {
    for (const [queue, type, counts] of saved) Object.assign(this.#of(queue, type).counts, counts)
  }

  #cells(): Cell[] {
    return [...this.#queues.values()].flatMap((types) => [...types.values()])
  }

  #of(queue: string, type: string): Cell {
    const last = this.#last
    if (last !== undefined && last.type === type && last.queue === queue) return last
    let types = this.#queues.get(queue)
    if (types === undefined) {
      types = new Map()
      this.#queues.set(queue, types)
    }
    let cell = types.get(type)
    if (cell === undefined) {
      cell = { queue, type, counts: none() }
      types.set(type, cell)
    }
    this.#last = cell
    return cell
  }
}

const none = (): PhaseCounts => ({ waiting: 0, leased: 0, succeeded: 0, failed: 0, cancelled: 0 })

function sum(cells: readonly Cell[]): PhaseCounts {
  const total = none()
  for (const { counts } of cells) for (const phase of Object.keys(total) as JobPhase[]) total[phase] += counts[phase]
  return total
}
