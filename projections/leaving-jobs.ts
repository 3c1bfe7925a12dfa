import type { Cause, JobsRemoved, StreamsRemoved } from '../domain/audit/events.js'
import { AUDIT_STREAM } from '../domain/audit/events.js'
import type { RecordedEvent } from '../domain/event.js'
import type { Condemned } from '../domain/job/events.js'
import { isJobStream, jobIdOf } from '../domain/job/events.js'

/** A job whose stream leaves the log. */
export interface LeavingJob extends Cause {
  readonly id: string
  /** When that was seen (ms, by the clock of whoever folds). */
  readonly seenAt: number
  /** `JobsRemoved` tells of it. */
  readonly recorded?: true
}

/** What is not known to be gone: only on a store that appends to one stream at a time. */
export class LeavingJobs {
  readonly #jobs = new Map<string, LeavingJob>()

  get jobs(): Iterable<LeavingJob> {
    return this.#jobs.values()
  }

  get(id: string): LeavingJob | undefined {
    return this.#jobs.get(id)
  }

  apply({ stream, type, data }: RecordedEvent, now: number): void {
    if (type === 'Condemned' && isJobStream(stream)) {
      const { leaves, ...cause } = data as Condemned
      const id = jobIdOf(stream)
      if (leaves) this.#jobs.set(id, { id, seenAt: now, ...cause })
    }
    if (stream !== AUDIT_STREAM || this.#jobs.size === 0) return
    if (type === 'JobsRemoved') for (const { id } of (data as JobsRemoved).jobs) this.#record(id)
    if (type === 'StreamsRemoved') for (const id of (data as StreamsRemoved).ids) this.#jobs.delete(id)
  }

  #record(id: string): void {
    const job = this.#jobs.get(id)
    if (job !== undefined) this.#jobs.set(id, { ...job, recorded: true })
  }

  /** For a checkpoint. */
  toJSON(): readonly LeavingJob[] {
    return [...this.#jobs.values()]
  }

  /** Takes up what `toJSON` gave. */
  restore(jobs: readonly LeavingJob[]): void {
    for (const job of jobs) this.#jobs.set(job.id, job)
  }
}
