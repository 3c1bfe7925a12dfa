import { judgeEdge } from '../../domain/job/edges.js'
import type { DependencyEdge } from '../../domain/job/events.js'
import type { JobState, Outcome } from '../../domain/job/evolve.js'
import { JobRemoved, JobUnknown } from '../../domain/rejection.js'
import type { JobChange } from '../../projections/job-board.js'
import type { Feed } from '../read/feed.js'
import type { Queries } from '../read/queries.js'
import * as commands from '../write/commands.js'
import type { Journal } from '../write/journal.js'
import { Bell } from './bell.js'

export interface LateEdgesOptions {
  readonly feed: Feed
  readonly queries: Queries
  readonly journal: Journal
}

/** A job, and what it waits for. */
interface Suspect {
  readonly job: string
  readonly edge: DependencyEdge
  /**
   * A new round opens edges again that had failed, and waits for a new round of the dependency: then only an end that
   * meets the edge can be one that was not seen.
   */
  readonly maybeAgain: boolean
}

/**
 * Only on a store that appends to one stream at a time: a dependency may end between the look at it and the append of the job,
 * which would then wait for ever. Whoever folds a job that waits for one that is not there (any more) looks what became of it.
 */
export class LateEdges {
  readonly #options: LateEdgesOptions
  #suspects: Suspect[] = []

  constructor(options: LateEdgesOptions) {
    this.#options = options
  }

  async run(signal: AbortSignal): Promise<void> {
    const { feed } = this.#options
    const bell = new Bell()
    const changes = feed.changes$.subscribe((change) => {
      if (isNewRound(change) && this.#suspectEdgesOf(change.after, change.before !== undefined)) bell.ring()
    })
    for (const job of feed.board.jobs) this.#suspectEdgesOf(job, job.revision > 0)
    try {
      for (;;) {
        // What fails is looked at again when this is started again: all jobs are then.
        for (const suspect of this.#suspects.splice(0)) await this.#look(suspect)
        await bell.wait(signal)
      }
    } finally {
      changes.unsubscribe()
    }
  }

  /** True: there is one. At the moment at which it is folded, nothing that comes later is known. */
  #suspectEdgesOf({ id, dependsOn }: JobState, maybeAgain: boolean): boolean {
    if (dependsOn.length === 0) return false
    const { board } = this.#options.feed
    const open = board.graph.openEdges(id).filter((edge) => edge.now === undefined && board.get(edge.id) === undefined)
    this.#suspects.push(...open.map((edge) => ({ job: id, edge, maybeAgain })))
    return open.length > 0
  }

  async #look({ job, edge, maybeAgain }: Suspect): Promise<void> {
    const outcome = await this.#outcomeOf(edge.id)
    // It is still to come, or to end: that will be seen as ever.
    if (outcome === undefined || (maybeAgain && judgeEdge(edge, outcome) !== 'met')) return
    await this.#options.journal.submit(commands.noteEnded(job, { id: edge.id, outcome }))
  }

  async #outcomeOf(id: string): Promise<Outcome | undefined> {
    try {
      return (await this.#options.queries.read(id)).state.outcome
    } catch (error) {
      if (error instanceof JobRemoved) return error.outcome as Outcome
      if (error instanceof JobUnknown) return undefined
      throw error
    }
  }
}

const isNewRound = ({ before, after }: JobChange): boolean =>
  before === undefined || (before.phase === 'ended' && after.phase === 'waiting')
