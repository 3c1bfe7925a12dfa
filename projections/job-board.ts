import type { RecordedEvent } from '../domain/event.js'
import type { JobEvent } from '../domain/job/events.js'
import { isJobStream, jobIdOf } from '../domain/job/events.js'
import type { JobState } from '../domain/job/evolve.js'
import { evolve, revive } from '../domain/job/evolve.js'
import { DependencyGraph } from './dependency-graph.js'
import { PendingIndex } from './pending-index.js'
import type { PhaseCounts } from './queue-stats.js'
import { QueueStats } from './queue-stats.js'

/** What one event did to a job. */
export interface JobChange {
  readonly event: RecordedEvent
  readonly before: JobState | undefined
  readonly after: JobState
}

/** Raise it when the meaning of what a checkpoint holds changes: older ones are then rebuilt from the log. */
export const JOB_BOARD_VERSION = 1

/**
 * Every job that has not ended, and what follows from them: which may run next, which wait for which, which are leased,
 * totals per queue. Ended jobs are let go of; their rows go to the views.
 * Hot path: one `apply` per event, budget 2 us.
 */
export class JobBoard {
  readonly #jobs = new Map<string, JobState>()
  readonly #leased = new Map<string, JobState>()
  readonly #doomed = new Map<string, string>()
  #dirty = new Map<string, JobState>()
  readonly graph: DependencyGraph = new DependencyGraph()
  readonly stats: QueueStats = new QueueStats()
  readonly pending: PendingIndex = new PendingIndex((id) => this.#jobs.get(id))

  get(id: string): JobState | undefined {
    return this.#jobs.get(id)
  }

  get size(): number {
    return this.#jobs.size
  }

  /** Jobs under a lease, whoever holds it. */
  get leased(): ReadonlyMap<string, JobState> {
    return this.#leased
  }

  /** Jobs to be cancelled, by the dependency that failed them. */
  get doomed(): ReadonlyMap<string, string> {
    return this.#doomed
  }

  get jobs(): Iterable<JobState> {
    return this.#jobs.values()
  }

  /** Folds one event of a job; other streams are not its business. Throws IllegalEvent and is then unchanged. */
  apply(event: RecordedEvent, now: number): JobChange | undefined {
    if (!isJobStream(event.stream)) return undefined
    const id = jobIdOf(event.stream)
    const jobEvent = event as RecordedEvent & JobEvent
    const before = this.#jobs.get(id) ?? revive(jobEvent)
    // Of a job that was let go of: retention erases bodies mostly after the end.
    if (before === undefined && event.type === 'Expunged') return undefined
    const after = evolve(before, jobEvent)
    this.stats.moved(before, after)
    this.#dirty.set(id, after)
    if (after.phase === 'ended') this.#end(after, now)
    else this.#keep(before, after, now)
    return { event, before, after }
  }

  #keep(before: JobState | undefined, after: JobState, now: number): void {
    this.#jobs.set(after.id, after)
    if (after.phase === 'leased') this.#leased.set(after.id, after)
    else if (before?.phase === 'leased') this.#leased.delete(after.id)
    if (after.phase !== 'waiting') return
    if (before === undefined || before.phase === 'ended') this.#addEdges(after)
    this.#place(after, now)
  }

  #addEdges(job: JobState): void {
    if (job.dependsOn.length === 0) return
    this.graph.add(job)
    const doom = job.dependsOn.find((edge) => edge.now === 'failed' && edge.otherwise === 'cancel')
    if (doom !== undefined) this.#doomed.set(job.id, doom.id)
  }

  #place(job: JobState, now: number): void {
    if (!job.held && !this.graph.isBlocked(job.id)) this.pending.push(job, now)
  }

  #end(job: JobState, now: number): void {
    this.#jobs.delete(job.id)
    this.#leased.delete(job.id)
    this.#doomed.delete(job.id)
    if (job.dependsOn.length > 0) this.graph.drop(job.id)
    for (const change of this.graph.ended(job.id, job.outcome as NonNullable<JobState['outcome']>)) {
      const dependent = this.#jobs.get(change.id) as JobState
      this.#dirty.set(dependent.id, dependent)
      if (change.now === 'doomed') this.#doomed.set(dependent.id, job.id)
      else if (change.now === 'free' && dependent.phase === 'waiting') this.#place(dependent, now)
    }
  }

  /** Takes up a job from a checkpoint. */
  restore(job: JobState, now: number): void {
    this.#keep(undefined, job, now)
  }

  /** Jobs changed since the last call, ended ones included, in their present state. */
  takeDirty(): ReadonlyMap<string, JobState> {
    const dirty = this.#dirty
    this.#dirty = new Map()
    return dirty
  }

  /** Gives back what could not be saved; what has changed since is newer. */
  markDirty(jobs: ReadonlyMap<string, JobState>): void {
    for (const [id, job] of jobs) if (!this.#dirty.has(id)) this.#dirty.set(id, job)
  }

  /** Jobs changed since the last `takeDirty`. */
  get dirty(): ReadonlyMap<string, JobState> {
    return this.#dirty
  }

  get dirtyCount(): number {
    return this.#dirty.size
  }

  /** Totals from a checkpoint. */
  restoreStats(saved: Readonly<Record<string, PhaseCounts>>): void {
    this.stats.restore(saved)
  }
}
