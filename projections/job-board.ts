import type { ArchivedJob, JobsRemoved, SegmentSealed } from '../domain/audit/events.js'
import type { Position, RecordedEvent } from '../domain/event.js'
import { START } from '../domain/event.js'
import type { JobEvent, Rescheduled } from '../domain/job/events.js'
import { isJobStream, jobIdOf } from '../domain/job/events.js'
import type { JobState, Outcome } from '../domain/job/evolve.js'
import { evolve, revive } from '../domain/job/evolve.js'
import { DependencyGraph } from './dependency-graph.js'
import { KeyLimits } from './key-limits.js'
import { PendingIndex } from './pending-index.js'
import type { SavedStats } from './queue-stats.js'
import { QueueStats } from './queue-stats.js'

/** What one event did to a job. */
export interface JobChange {
  readonly event: RecordedEvent
  readonly before: JobState | undefined
  readonly after: JobState
}

/** Raise it when the meaning of what a checkpoint holds changes: older ones are then rebuilt from the log. */
export const JOB_BOARD_VERSION = 7

/**
 * Ends remembered until the end of the log is reached. It matters where jobs are removed by another process while this one
 * reads a long history; beyond it such a job may be counted twice.
 */
const RECENT = 1_000_000

/** A lease that was cancelled under its worker, who may not know yet. */
export interface CancelledLease {
  readonly id: string
  readonly until: number
}

/**
 * Every job that has not ended, and what follows from them: which may run next, which wait for which, which are leased,
 * totals per queue. Ended jobs are let go of; their rows go to the views.
 * Hot path: one `apply` per event, budget 2 us.
 */
export class JobBoard {
  readonly #jobs = new Map<string, JobState>()
  readonly #leased = new Map<string, JobState>()
  readonly #cancelled = new Map<string, CancelledLease>()
  readonly #doomed = new Map<string, string>()
  #dirty = new Map<string, JobState>()
  #removed = new Map<string, ArchivedJob>()
  #expunged = new Map<string, number>()
  /** Where the end of the log was last reached, and the jobs whose end was read since, the latest `RECENT`. */
  #seenTo: Position = START
  readonly #endedSince = new Set<string>()
  readonly graph: DependencyGraph = new DependencyGraph()
  readonly stats: QueueStats = new QueueStats()
  readonly keys: KeyLimits = new KeyLimits()
  readonly pending: PendingIndex = new PendingIndex((id) => this.#jobs.get(id))

  get(id: string): JobState | undefined {
    return this.#jobs.get(id)
  }

  get size(): number {
    return this.#jobs.size
  }

  /** Jobs under a lease by its token, whoever holds it. */
  get leased(): ReadonlyMap<string, JobState> {
    return this.#leased
  }

  /** Jobs to be cancelled, by the dependency that failed them. */
  get doomed(): ReadonlyMap<string, string> {
    return this.#doomed
  }

  /** The lease that was cancelled, for as long as it would have lasted, or a while longer. */
  cancelledLease(token: string): CancelledLease | undefined {
    return this.#cancelled.get(token)
  }

  /** All of those, by their tokens, for a checkpoint. */
  get cancelledLeases(): ReadonlyMap<string, CancelledLease> {
    return this.#cancelled
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
    // Of a job that was let go of: these come after the end.
    if (before === undefined && jobEvent.type === 'Condemned') return undefined
    if (before === undefined && jobEvent.type === 'Expunged') {
      if (jobEvent.data.queuedAt !== undefined) this.#expunged.set(id, jobEvent.data.queuedAt)
      return undefined
    }
    const after = evolve(before, jobEvent)
    this.stats.moved(before, after)
    this.#dirty.set(id, after)
    const ended = jobEvent.type === 'Rescheduled' ? jobEvent.data.ended : undefined
    if (ended !== undefined) this.#noteEdge(after, ended)
    if (after.phase === 'ended') this.#end(before, after, now)
    else this.#keep(before, after, now)
    return { event, before, after }
  }

  #keep(before: JobState | undefined, after: JobState, now: number): void {
    this.#jobs.set(after.id, after)
    if (after.lease !== undefined) {
      this.#leased.set(after.lease.token, after)
      if (before?.lease === undefined) this.#began(after)
    } else if (before?.lease !== undefined) this.#giveBack(before, before.lease.token)
    if (before === undefined || before.phase === 'ended') this.#addEdges(after)
    if (after.phase === 'waiting') this.#place(after, now)
  }

  #began(job: JobState): void {
    this.keys.began(job)
    if (job.dependsOn.length > 0) this.graph.began(job.id)
  }

  #noteEdge({ id }: JobState, ended: NonNullable<Rescheduled['ended']>): void {
    const change = this.graph.hadEnded(id, ended.id, ended.outcome)
    if (change?.now === 'doomed') this.#doomed.set(id, ended.id)
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

  #end(before: JobState | undefined, job: JobState, now: number): void {
    this.#jobs.delete(job.id)
    this.#noteEnd(job.id)
    if (before?.lease !== undefined) this.#endLease(before, job, now)
    this.#doomed.delete(job.id)
    if (job.dependsOn.length > 0) this.graph.drop(job)
    this.#settle(job.id, job.outcome as Outcome, now)
  }

  /** Tells those who wait for a job how it ended. */
  #settle(id: string, outcome: Outcome, now: number): void {
    for (const change of this.graph.ended(id, outcome)) {
      const dependent = this.#jobs.get(change.id) as JobState
      this.#dirty.set(dependent.id, dependent)
      if (change.now === 'doomed') this.#doomed.set(dependent.id, id)
      else if (change.now === 'free' && dependent.phase === 'waiting') this.#place(dependent, now)
    }
  }

  #giveBack(job: JobState, token: string): void {
    this.#leased.delete(token)
    if (job.rare?.concurrency === undefined) return
    this.keys.ended(job)
    this.pending.freed(job.rare.concurrency.key)
  }

  #endLease({ lease }: JobState, after: JobState, now: number): void {
    const { token, expiresAt } = lease as NonNullable<JobState['lease']>
    this.#giveBack(after, token)
    if (after.outcome !== 'cancelled') return
    for (const [old, { until }] of this.#cancelled) if (until < now) this.#cancelled.delete(old)
    this.#cancelled.set(token, { id: after.id, until: expiresAt })
  }

  /** The end of the log is reached here: whatever lies before was read before anything after it could take it away. */
  caughtUp(position: Position): void {
    this.#seenTo = position
    this.#endedSince.clear()
  }

  #noteEnd(id: string): void {
    this.#endedSince.add(id)
    if (this.#endedSince.size > RECENT) this.#endedSince.delete(this.#endedSince.values().next().value as string)
  }

  /**
   * Folds `JobsRemoved`. The streams are gone by then: a job that came after the end of the log was last reached may never
   * have been seen, and is counted now. One that is still here was removed before its end could be read: its change is
   * told.
   */
  applyRemoved({ data, at }: { readonly data: JobsRemoved; readonly at: number }): Omit<JobChange, 'event'>[] {
    const changes: Omit<JobChange, 'event'>[] = []
    const { segment, outOf } = data
    for (const removed of data.jobs) {
      const { id, outcome } = removed
      // Out of its segment: all else was said when it was archived.
      if (outOf !== undefined) {
        this.#removed.set(id, removed)
        continue
      }
      const before = this.#jobs.get(id)
      if (before !== undefined) {
        const after: JobState = { ...before, phase: 'ended', outcome, lease: undefined, endedAt: at }
        this.stats.moved(before, after)
        this.#end(before, after, at)
        changes.push({ before, after })
      } else {
        if (removed.position > this.#seenTo && !this.#endedSince.has(id)) {
          this.stats.add(removed.queue, removed.type ?? '', outcome)
          // It may be told again.
          this.#noteEnd(id)
        }
        // One that was removed by force may still be waited for, and its end may never have been seen.
        this.#settle(id, outcome, at)
      }
      this.#dirty.delete(id)
      this.#removed.set(id, segment === undefined ? removed : { ...removed, segment })
    }
    return changes
  }

  /** How a job ended that was removed since the last `takeRemoved`. */
  removed(id: string): ArchivedJob | undefined {
    return this.#removed.get(id)
  }

  /** Those that were archived since then, and name this one as a dependency. */
  archivedDependents(id: string): string[] {
    const found: string[] = []
    for (const { id: of, segment, dependsOn } of this.#removed.values())
      if (segment !== undefined && dependsOn?.includes(id)) found.push(of)
    return found
  }

  /** Jobs removed since the last call. */
  takeRemoved(): ReadonlyMap<string, ArchivedJob> {
    const removed = this.#removed
    this.#removed = new Map()
    return removed
  }

  markRemoved(jobs: ReadonlyMap<string, ArchivedJob>): void {
    for (const [id, job] of jobs) this.#removed.set(id, job)
  }

  /** Ended jobs whose bodies were erased since the last call: id -> queuedAt. */
  takeExpunged(): ReadonlyMap<string, number> {
    const expunged = this.#expunged
    this.#expunged = new Map()
    return expunged
  }

  /** Folds `SegmentSealed`: bodies may have been erased from what it has taken the place of. */
  applySealed({ expunged }: SegmentSealed): void {
    for (const { id, queuedAt } of expunged?.jobs ?? []) this.#expunged.set(id, queuedAt)
  }

  markExpunged(jobs: ReadonlyMap<string, number>): void {
    for (const [id, queuedAt] of jobs) this.#expunged.set(id, queuedAt)
  }

  /** Takes up a job from a checkpoint. */
  restore(job: JobState, now: number): void {
    this.#keep(undefined, job, now)
  }

  /** Lets go of a job as if it had never come: the log of today knows nothing of it. */
  forget(id: string): void {
    const job = this.#jobs.get(id)
    if (job === undefined) return
    this.#jobs.delete(id)
    if (job.lease !== undefined) this.#giveBack(job, job.lease.token)
    this.#doomed.delete(id)
    if (job.dependsOn.length > 0) this.graph.drop(job)
    this.stats.left(job)
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

  /** How much there is to save. */
  get dirtyCount(): number {
    return this.#dirty.size + this.#removed.size + this.#expunged.size
  }

  /** Those of a checkpoint. */
  restoreCancelledLeases(saved: Iterable<readonly [token: string, lease: CancelledLease]>): void {
    for (const [token, lease] of saved) this.#cancelled.set(token, lease)
  }

  /** Totals from a checkpoint. */
  restoreStats(saved: SavedStats): void {
    this.stats.restore(saved)
  }
}
