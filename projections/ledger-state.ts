import type { JobsRemoved, SegmentSealed } from '../domain/audit/events.js'
import { AUDIT_STREAM } from '../domain/audit/events.js'
import { keyOf } from '../domain/claim/events.js'
import type { RecordedEvent } from '../domain/event.js'
import type { JobState } from '../domain/job/evolve.js'
import type { QueueState } from '../domain/queue/evolve.js'
import type { WorkerState } from '../domain/worker/evolve.js'
import type { DependencyGraph } from './dependency-graph.js'
import type { CancelledLease, JobChange } from './job-board.js'
import { JobBoard } from './job-board.js'
import { fromRow, toState } from './job-row.js'
import type { LeavingJob } from './leaving-jobs.js'
import { LeavingJobs } from './leaving-jobs.js'
import type { SavedGroups } from './open-groups.js'
import { OpenGroups } from './open-groups.js'
import { QueueRegistry } from './queue-registry.js'
import type { SavedStats } from './queue-stats.js'
import type { SavedSegments } from './segments.js'
import { Segments } from './segments.js'
import type { SavedTriggers } from './trigger-registry.js'
import { TriggerRegistry } from './trigger-registry.js'
import { WorkerRegistry } from './worker-registry.js'

/** Name of the text that holds the triggers. */
export const TRIGGERS = 'triggers'

const NO_TRIGGERS = '{"triggers":[],"records":[],"owed":[],"bad":[]}'
const NO_SEGMENTS = '{"revision":-1,"segments":[],"replaced":[],"begun":[]}'
const NO_GROUPS = '{"open":[],"parts":[]}'

/**
 * What a log says of the whole ledger at one position: every job that has not ended, queues, workers, triggers, and what is
 * half done. Whoever folds a log, now or up to a day long past, folds it with this.
 */
export class LedgerState {
  readonly board: JobBoard = new JobBoard()
  readonly queues: QueueRegistry = new QueueRegistry()
  readonly workers: WorkerRegistry = new WorkerRegistry()
  readonly triggers: TriggerRegistry = new TriggerRegistry()
  /** What was decided and is not done yet: only on a store that appends to one stream at a time. */
  readonly groups: OpenGroups = new OpenGroups((stream) => this.board.pending.freed(keyOf(stream)))
  readonly leaving: LeavingJobs = new LeavingJobs()
  /** Of the archive. */
  readonly segments: Segments = new Segments()
  readonly #onChange: (change: JobChange) => void
  #folded = 0

  /** `onChange`: what an event did to its job; of a removal that was read before the job's end: that it has ended. */
  constructor(onChange: (change: JobChange) => void = () => {}) {
    this.#onChange = onChange
  }

  /** How many events have been folded, those before a checkpoint included. */
  get folded(): number {
    return this.#folded
  }

  /** Folds one event, upcast already. Throws IllegalEvent where it does not fit its stream, and is then unchanged. */
  apply(event: RecordedEvent, now: number): void {
    const change = this.board.apply(event, now)
    if (change !== undefined) {
      this.workers.follow(change)
      this.triggers.follow(change)
      if (this.groups.size > 0) this.groups.follow(event)
      this.#onChange(change)
    } else if (event.stream === AUDIT_STREAM && event.type === 'JobsRemoved') {
      const changes = this.board.applyRemoved(event as RecordedEvent<'JobsRemoved', JobsRemoved>)
      for (const removal of changes) this.#onChange({ event, ...removal })
      this.segments.apply(event)
      this.groups.apply(event, now)
      this.leaving.apply(event, now)
    } else {
      this.segments.apply(event)
      if (event.type === 'SegmentSealed') this.board.applySealed(event.data as SegmentSealed)
      this.workers.apply(event)
      this.queues.apply(event)
      this.triggers.apply(event)
      this.groups.apply(event, now)
      this.leaving.apply(event, now)
    }
    this.#folded += 1
  }

  /** What a checkpoint keeps beside the rows of jobs, by name; but for the triggers: they are many, and change seldom. */
  toTexts(): Map<string, string> {
    return new Map([
      ['queue-stats', JSON.stringify(this.board.stats.toSave())],
      ['queues', JSON.stringify(this.queues)],
      ['workers', JSON.stringify(this.workers)],
      ['open-groups', JSON.stringify(this.groups)],
      ['leaving-jobs', JSON.stringify(this.leaving)],
      ['segments', JSON.stringify(this.segments)],
      ['cancelled-leases', JSON.stringify([...this.board.cancelledLeases])],
      ['folded', String(this.#folded)],
    ])
  }

  /** The triggers as they are now, as a text that is made when it is asked for. */
  triggersText(): () => string {
    const ofNow = this.triggers.toJSON()
    return () => JSON.stringify(ofNow)
  }

  /** All that a checkpoint keeps, as it is now; the text of a job is made when it comes to it. */
  capture(): { readonly rows: Iterable<string>; readonly texts: ReadonlyMap<string, string> } {
    const { graph } = this.board
    // Edges change without their job: those that have some are told at once.
    const jobs = [...this.board.jobs].map((job) => (job.dependsOn.length > 0 ? toState(job, graph) : job))
    const texts = this.toTexts().set(TRIGGERS, this.triggersText()())
    return { texts, rows: asTexts(jobs, graph) }
  }

  /** Takes up jobs of a checkpoint. */
  restoreJobs(states: Iterable<string>, now: number): void {
    for (const state of states) this.board.restore(fromRow(state), now)
  }

  /** Takes up the texts of a checkpoint, after the jobs. */
  restore(texts: ReadonlyMap<string, string>): void {
    this.board.restoreStats(JSON.parse(texts.get('queue-stats') ?? '[]') as SavedStats)
    this.queues.restore(JSON.parse(texts.get('queues') ?? '[]') as QueueState[])
    this.workers.restore(JSON.parse(texts.get('workers') ?? '[]') as WorkerState[])
    this.leaving.restore(JSON.parse(texts.get('leaving-jobs') ?? '[]') as LeavingJob[])
    this.groups.restore(JSON.parse(texts.get('open-groups') ?? NO_GROUPS) as SavedGroups)
    this.segments.restore(JSON.parse(texts.get('segments') ?? NO_SEGMENTS) as SavedSegments)
    this.triggers.restore(JSON.parse(texts.get(TRIGGERS) ?? NO_TRIGGERS) as SavedTriggers)
    this.board.restoreCancelledLeases(
      JSON.parse(texts.get('cancelled-leases') ?? '[]') as readonly [string, CancelledLease][],
    )
    this.#folded = Number(texts.get('folded') ?? 0)
  }
}

function* asTexts(jobs: readonly (JobState | string)[], graph: DependencyGraph): Iterable<string> {
  for (const job of jobs) yield typeof job === 'string' ? job : toState(job, graph)
}
