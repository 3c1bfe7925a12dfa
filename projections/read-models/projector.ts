import type { JobsRemoved, SegmentSealed } from '../../domain/audit/events.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { JobEvent, Leased } from '../../domain/job/events.js'
import { isJobStream, jobIdOf, NAME_TAKEN } from '../../domain/job/events.js'
import type { TriggerEvent } from '../../domain/trigger/events.js'
import { isTriggerStream } from '../../domain/trigger/events.js'
import { upcast } from '../../domain/upcast.js'
import type { WorkerEvent } from '../../domain/worker/events.js'
import { isWorkerStream, workerStream } from '../../domain/worker/events.js'
import type { JobStep } from './job-record.js'
import { JobRecord } from './job-record.js'
import { Minutes } from './minutes.js'
import { pathValuesOf, type SearchPaths } from './payload-paths.js'
import type { PathValue, Row, RowChanges } from './tables.js'
import type { TriggerFold } from './trigger-record.js'
import { foldTrigger, triggerRow } from './trigger-record.js'
import type { WorkerFold } from './worker-record.js'
import { foldWorker, followJob, workerRow } from './worker-record.js'

/** Prefixes of the streams whose events come into the tables. */
export const READ_STREAMS: readonly string[] = ['job-', 'trigger-', 'worker-', 'queue-', AUDIT_STREAM]

/** Jobs under way that are remembered. Of any other one its stream is read when something happens to it. */
const REMEMBERED = 50_000

/**
 * From recorded events in the order of the log to changes of rows. It remembers little: what it needs of a stream, it is
 * given before the events (`missing`, `restoreJob`, `restoreFold`). Hot path: budget 3 us an event.
 */
export class Projector {
  readonly #search: SearchPaths
  readonly #onSkipped: (event: RecordedEvent, error: unknown) => void
  /** The one that was not touched for longest is first. */
  readonly #jobs = new Map<string, JobRecord>()
  readonly #triggers = new Map<string, TriggerFold>()
  readonly #workers = new Map<string, WorkerFold>()
  readonly #minutes = new Minutes()
  #dirtyJobs = new Map<string, JobRecord>()
  #attempts = new Map<string, Row>()
  #dirtyFolds = new Set<string>()
  #paths = new Map<string, readonly PathValue[]>()
  #expunged = new Set<string>()
  #archived = new Map<string, string>()
  #removed = new Set<string>()

  constructor(search: SearchPaths, onSkipped: (event: RecordedEvent, error: unknown) => void) {
    this.#search = search
    this.#onSkipped = onSkipped
  }

  /** Jobs that these events are of and that are not remembered, not those that begin here: how many events each had before. */
  missingJobs(events: readonly RecordedEvent[]): ReadonlyMap<string, number> {
    const seen = new Set<string>()
    const missing = new Map<string, number>()
    for (const { stream, revision, type } of events) {
      if (!isJobStream(stream) || type === 'Condemned' || seen.has(stream)) continue
      seen.add(stream)
      const id = jobIdOf(stream)
      if (revision > 0 && !this.#jobs.has(id)) missing.set(id, revision)
    }
    return missing
  }

  /** Streams of triggers and workers that are needed for these events and not remembered. After `restoreJob`. */
  missingFolds(events: readonly RecordedEvent[]): string[] {
    const streams = new Set<string>()
    for (const event of events) {
      const stream = this.#foldOf(event)
      if (stream !== undefined) streams.add(stream)
    }
    return [...streams]
  }

  #foldOf({ stream, type, data }: RecordedEvent): string | undefined {
    if (isTriggerStream(stream)) return this.#triggers.has(stream) ? undefined : stream
    if (isWorkerStream(stream)) return this.#workers.has(stream) ? undefined : stream
    if (!isJobStream(stream)) return undefined
    const lease = type === 'Leased' ? (data as Leased) : this.#jobs.get(jobIdOf(stream))?.state?.lease
    const worker = lease && workerStream(lease.workerId)
    return worker === undefined || this.#workers.has(worker) ? undefined : worker
  }

  /** `events`: of its stream, up to where this projector has got, bodies included. */
  restoreJob(id: string, events: readonly RecordedEvent[]): void {
    if (events.length === 0) return
    const record = new JobRecord()
    for (const event of events) {
      try {
        const known = upcast(event)
        record.apply(known as RecordedEvent & JobEvent)
        if (known.type === 'Expunged') record.expunge()
      } catch {
        // It was told when it first came by.
      }
    }
    if (record.state !== undefined) this.#jobs.set(id, record)
  }

  /** `text`: of `RowChanges.folds`. */
  restoreFold(stream: string, text: string): void {
    if (isTriggerStream(stream)) this.#triggers.set(stream, JSON.parse(text) as TriggerFold)
    else this.#workers.set(stream, JSON.parse(text) as WorkerFold)
  }

  apply(recorded: RecordedEvent): void {
    if (recorded.type === NAME_TAKEN) return
    try {
      this.#project(upcast(recorded))
    } catch (error) {
      this.#onSkipped(recorded, error)
    }
  }

  #project(event: RecordedEvent): void {
    const { stream } = event
    if (isJobStream(stream)) this.#job(jobIdOf(stream), event as RecordedEvent & JobEvent)
    else if (isTriggerStream(stream)) {
      this.#triggers.set(stream, foldTrigger(this.#triggers.get(stream), event as RecordedEvent & TriggerEvent))
      this.#dirtyFolds.add(stream)
    } else if (isWorkerStream(stream)) {
      this.#workers.set(stream, foldWorker(this.#workers.get(stream), event as RecordedEvent & WorkerEvent))
      this.#dirtyFolds.add(stream)
    } else if (stream === AUDIT_STREAM && event.type === 'JobsRemoved') this.#remove(event.data as JobsRemoved)
    else if (stream === AUDIT_STREAM && event.type === 'SegmentSealed')
      for (const { id } of (event.data as SegmentSealed).expunged?.jobs ?? []) this.#expunge(id)
  }

  #job(id: string, event: RecordedEvent & JobEvent): void {
    // It changes no row; and of a job whose stream has gone meanwhile, which was looked for in vain, nothing more can be told.
    if (event.type === 'Condemned' || (event.revision > 0 && !this.#jobs.has(id))) return
    const record = this.#jobs.get(id) ?? new JobRecord()
    const step = record.apply(event)
    this.#jobs.delete(id)
    this.#jobs.set(id, record)
    this.#dirtyJobs.set(id, record)
    this.#minutes.add(event, step)
    this.#followWorker(event, step)
    if (event.type !== 'Heartbeat' && event.type !== 'Queued') this.#noteAttempt(id, record)
    const paths = pathValuesOf(event, step.after.type, this.#search)
    if (paths !== undefined && (paths.length > 0 || event.type !== 'Queued')) this.#paths.set(id, paths)
    if (event.type === 'Expunged') this.#expunge(id)
  }

  #noteAttempt(id: string, record: JobRecord): void {
    const row = record.lastAttempt()
    if (row !== undefined) this.#attempts.set(`${row[1]} ${row[3]} ${id}`, row)
  }

  #followWorker(event: RecordedEvent, step: JobStep): void {
    const workerId = step.workerId ?? step.before?.lease?.workerId
    if (workerId === undefined) return
    const stream = workerStream(workerId)
    const fold = this.#workers.get(stream)
    if (fold === undefined) return
    followJob(fold, event, step)
    this.#dirtyFolds.add(stream)
  }

  #expunge(id: string): void {
    // One that is archived may have been let go of, and is still to be written.
    ;(this.#jobs.get(id) ?? this.#dirtyJobs.get(id))?.expunge()
    this.#expunged.add(id)
    this.#paths.delete(id)
    // Of what is about to be written nothing is left either.
    for (const [key, row] of this.#attempts) if (row[0] === id) this.#attempts.set(key, withoutMessage(row))
  }

  #remove({ jobs, segment }: JobsRemoved): void {
    for (const { id } of jobs) {
      this.#jobs.delete(id)
      if (segment === undefined) this.#removed.add(id)
      else this.#archived.set(id, segment)
    }
  }

  /** What has changed since the last call. */
  take(): RowChanges {
    const folds = this.#takeFolds()
    const gone = this.#removed
    const jobs = new Map<string, Row>()
    for (const [id, record] of this.#dirtyJobs) if (!gone.has(id)) jobs.set(id, record.row())
    const changes: RowChanges = {
      jobs,
      ...folds,
      attempts: [...this.#attempts.values()].filter(([id]) => !gone.has(id as string)),
      minutes: this.#minutes.take(),
      paths: new Map([...this.#paths].filter(([id]) => !gone.has(id))),
      expunged: [...this.#expunged].filter((id) => !gone.has(id)),
      archived: this.#archived,
      removed: [...gone],
    }
    this.#forget()
    return changes
  }

  #takeFolds(): Pick<RowChanges, 'folds' | 'triggers' | 'workers'> {
    const folds = new Map<string, string>()
    const [triggers, workers]: [Row[], Row[]] = [[], []]
    for (const stream of this.#dirtyFolds) {
      const trigger = this.#triggers.get(stream)
      const worker = this.#workers.get(stream)
      if (trigger !== undefined) triggers.push(triggerRow(trigger))
      if (worker !== undefined) workers.push(workerRow(worker))
      folds.set(stream, JSON.stringify(trigger ?? worker))
      if (trigger?.state.status === 'removed') this.#triggers.delete(stream)
      if (worker !== undefined && worker.stoppedAt !== null) this.#workers.delete(stream)
    }
    return { folds, triggers, workers }
  }

  #forget(): void {
    for (const [id, { state }] of this.#dirtyJobs) if (state?.phase === 'ended') this.#jobs.delete(id)
    for (const id of this.#jobs.keys()) {
      if (this.#jobs.size <= REMEMBERED) break
      this.#jobs.delete(id)
    }
    this.#dirtyJobs = new Map()
    this.#attempts = new Map()
    this.#dirtyFolds = new Set()
    this.#paths = new Map()
    this.#expunged = new Set()
    this.#archived = new Map()
    this.#removed = new Set()
  }
}

const MESSAGE = 15

const withoutMessage = (row: Row): Row => row.map((cell, index) => (index === MESSAGE && cell !== null ? '' : cell))
