/** How jobs leave a log whose store appends to one stream at a time. */
import type { Cause, RemovedJob } from '../../domain/audit/events.js'
import { JobledgerError } from '../../domain/errors.js'
import type { Metadata } from '../../domain/event.js'
import { jobStream } from '../../domain/job/events.js'
import { JobRemoved, JobUnknown } from '../../domain/rejection.js'
import type { LeavingJob } from '../../projections/leaving-jobs.js'
import type { Remains } from '../audit/remains.js'
import type { EventStore } from '../ports/event-store.js'
import type { Feed } from '../read/feed.js'
import type { Queries } from '../read/queries.js'
import * as commands from '../write/commands.js'
import type { Journal } from '../write/journal.js'
import { removedJob } from './removed-job.js'

export interface DeparturesOptions {
  readonly store: EventStore
  readonly journal: Journal
  readonly feed: Feed
  readonly queries: Queries
  readonly remains: Remains
}

/**
 * In four steps, each of which anybody can go on from: the job's own stream says that it leaves, which nobody can call off; the
 * audit stream says what became of it; its stream is removed; the audit stream says that this is done.
 */
export class Departures {
  readonly #options: DeparturesOptions
  /** Ids of those that are on their way here. */
  readonly #underWay = new Set<string>()

  constructor(options: DeparturesOptions) {
    this.#options = options
  }

  /** Which of these condemned jobs could be taken: ids. Throws what refuses them if none. `at`: see `commands.remove`. */
  async take(
    jobs: readonly RemovedJob[],
    cause: Cause,
    metadata: Metadata | undefined,
    at?: commands.Revisions,
  ): Promise<string[]> {
    for (const { id } of jobs) this.#underWay.add(id)
    try {
      const told = await Promise.all(jobs.map((job) => this.#leave(job, cause, metadata, at)))
      const leaving = told.filter((each): each is RemovedJob => !(each instanceof Error))
      const refusal = told.find((each): each is Error => each instanceof Error)
      if (leaving.length === 0 && refusal !== undefined) throw refusal
      await this.#record(leaving, cause, metadata)
      const ids = leaving.map(({ id }) => id)
      await this.#remove(ids)
      return ids
    } finally {
      for (const { id } of jobs) this.#underWay.delete(id)
    }
  }

  async #leave(
    job: RemovedJob,
    cause: Cause,
    metadata: Metadata | undefined,
    at: commands.Revisions | undefined,
  ): Promise<RemovedJob | Error> {
    try {
      return await this.#options.journal.submit(commands.leave(job, cause, at), metadata)
    } catch (error) {
      if (error instanceof JobledgerError && error.family === 'job') return error
      throw error
    }
  }

  /** Nothing is recorded of them any more by now. */
  async #record(jobs: readonly RemovedJob[], cause: Cause, metadata?: Metadata): Promise<void> {
    const { journal, remains } = this.#options
    const remnants = await remains.of(jobs.map(({ id }) => jobStream(id)))
    await journal.submit(commands.recordRemoved(jobs, cause, remnants), metadata)
  }

  async #remove(ids: readonly string[]): Promise<void> {
    const { store, journal } = this.#options
    await store.remove(ids.map(jobStream))
    await journal.submit(commands.recordGone(ids))
  }

  /** Those that somebody has left behind for so long (ms) by now. */
  left(now: number, patience: number): LeavingJob[] {
    const { leaving } = this.#options.feed
    return [...leaving.jobs].filter(({ id, seenAt }) => now >= seenAt + patience && !this.#underWay.has(id))
  }

  /** Goes on where somebody else has stopped. */
  async complete(jobs: readonly LeavingJob[]): Promise<void> {
    const { queries, feed } = this.#options
    // Perhaps another one has just done it.
    await queries.catchUp()
    const left = jobs.flatMap(({ id }) => feed.leaving.get(id) ?? [])
    for (const { id, seenAt, recorded, ...cause } of left) {
      const job = recorded ? undefined : await this.#find(id, cause)
      if (job !== undefined) await this.#record([job], cause)
    }
    if (left.length > 0) await this.#remove(left.map(({ id }) => id))
  }

  async #find(id: string, cause: Cause): Promise<RemovedJob | undefined> {
    try {
      return removedJob((await this.#options.queries.read(id)).state, cause)
    } catch (error) {
      if (error instanceof JobRemoved || error instanceof JobUnknown) return undefined
      throw error
    }
  }
}
