import type { JobState } from '../../domain/job/evolve.js'
import type { JobBoard } from '../../projections/job-board.js'

/**
 * Jobs that have lost a lease are run again one at a time in each runtime: the one that kills its process then uses up its own
 * lives and not its neighbours'. The next one may go when the one before has ended or has outlived one lease.
 */
export class SuspectLane {
  readonly #board: JobBoard
  /** The one that is tried now, and until when it keeps the next one waiting. */
  #tried: { readonly id: string; readonly run: number; readonly until: number } | undefined

  constructor(board: JobBoard) {
    this.#board = board
  }

  /** Undefined: one may go. Else the instant (ms) when it may at the latest. */
  closedUntil(now: number): number | undefined {
    const tried = this.#tried
    if (tried === undefined || now >= tried.until) return undefined
    const job = this.#board.get(tried.id)
    // Its lease may still be on its way.
    const isTried = job !== undefined && (job.phase === 'leased' || job.run < tried.run)
    return isTried ? tried.until : undefined
  }

  enter({ id, run }: JobState, until: number): void {
    this.#tried = { id, run: run + 1, until }
  }

  /** It was not leased after all. */
  leave(id: string): void {
    if (this.#tried?.id === id) this.#tried = undefined
  }
}
