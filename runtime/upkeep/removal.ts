import type { Cause, RemovedJob } from '../../domain/audit/events.js'
import { JobledgerError } from '../../domain/errors.js'
import type { Body, Metadata } from '../../domain/event.js'
import { jobStream } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { JobEnded, JobNeeded, JobRunning } from '../../domain/rejection.js'
import type { Keeper } from '../archive/keeper.js'
import type { Remains } from '../audit/remains.js'
import type { Digest } from '../ports/digest.js'
import type { Feed } from '../read/feed.js'
import type { Queries } from '../read/queries.js'
import * as commands from '../write/commands.js'
import type { Journal } from '../write/journal.js'
import type { Departures } from './departures.js'
import { removedJob } from './removed-job.js'

export interface RemoveOptions {
  /** Also a job that runs (it is cancelled first), and one that others still need. */
  readonly force?: boolean
  /** Also the jobs it depends on that nobody else does, and theirs. */
  readonly cascade?: boolean
}

/** What a removal of many came to. */
export interface Removed {
  readonly removed: number
  /** Left alone: a job that has not ended depends on them, or they run again. */
  readonly kept: number
}

/** What can be done to jobs that are archived. */
type Archived = Pick<Keeper, 'expunge' | 'remove' | 'forget' | 'sweep'>

/** Jobs taken out in one commit. */
const CHUNK = 200

/**
 * Takes jobs out of the log, or their bodies. A removal has two steps: first the job is condemned, so that whoever enqueues a
 * job depending on it from then on goes by its outcome; by the time that is folded every earlier dependent is known. Only
 * then it is removed, unless one of those has not ended.
 */
export class Removal {
  readonly #feed: Feed
  readonly #journal: Journal
  readonly #queries: Queries
  readonly #digest: Digest
  readonly #remains: Remains
  readonly #departures: Departures | undefined
  readonly #keeper: Archived

  constructor(options: {
    readonly feed: Feed
    readonly journal: Journal
    readonly queries: Queries
    readonly digest: Digest
    readonly remains: Remains
    /** Only where a store appends to one stream at a time. */
    readonly departures: Departures | undefined
    /** Of the archive. */
    readonly keeper: Archived
  }) {
    this.#feed = options.feed
    this.#journal = options.journal
    this.#queries = options.queries
    this.#digest = options.digest
    this.#remains = options.remains
    this.#departures = options.departures
    this.#keeper = options.keeper
  }

  /** Ids of what was removed. Throws JobUnknown, JobRemoved, JobRunning, JobNeeded. */
  async remove(id: string, { force = false, cascade = false }: RemoveOptions, metadata?: Metadata): Promise<string[]> {
    await this.#queries.catchUp()
    await this.#keeper.sweep(metadata)
    const { dependsOn } = await this.#one(id, force, metadata)
    const removed = [id]
    const orphans = cascade ? dependsOn.map((edge) => edge.id) : []
    for (let next = orphans.pop(); next !== undefined; next = orphans.pop()) {
      await this.#queries.saved()
      if ((await this.#queries.dependents(next)).length > 0) continue
      try {
        const { dependsOn: further } = await this.#one(next, false, metadata)
        removed.push(next)
        orphans.push(...further.map((edge) => edge.id))
      } catch (error) {
        // Removed before, running, or needed by a job that came just now.
        if (!(error instanceof JobledgerError && error.family === 'job')) throw error
      }
    }
    return removed
  }

  async #one(id: string, force: boolean, metadata: Metadata | undefined): Promise<JobState> {
    const { state } = await this.#queries.read(id)
    if (state.phase === 'leased' && !force) throw new JobRunning(id)
    this.#refuseNeeded(id, force)
    const segment = state.phase === 'ended' ? await this.#queries.segmentOf(id) : undefined
    const archived = segment && (await this.#keeper.remove(segment, [id], undefined, metadata))
    // Throws JobRemoved if somebody else was faster.
    if (archived === 0) await this.#queries.read(id)
    if (archived) return state
    if (state.phase !== 'ended') await this.#cancel(id, force, metadata)
    await this.#journal.submit(commands.condemn(id, undefined), metadata)
    this.#refuseNeeded(id, force)
    const { state: ended } = await this.#queries.read(id)
    await this.#take([removedJob(ended)], {}, metadata)
    await this.#keeper.forget([id], metadata)
    return ended
  }

  #refuseNeeded(id: string, force: boolean): void {
    const dependents = this.#feed.board.graph.neededBy(id)
    if (dependents.length > 0 && !force) throw new JobNeeded(id, dependents)
  }

  async #cancel(id: string, force: boolean, metadata: Metadata | undefined): Promise<void> {
    const command = { by: 'operator', reason: 'removed', ...(!force && { ifIdle: true }) } as const
    try {
      await this.#journal.submit(commands.cancel(id, command, false), metadata)
    } catch (error) {
      if (!(error instanceof JobEnded)) throw error
    }
  }

  /** A job that has not ended depends on it. */
  isNeeded(id: string): boolean {
    return this.#feed.board.graph.neededBy(id).length > 0
  }

  /** Ended jobs, as far as nobody needs them. */
  async removeAll(jobs: readonly JobState[], rule: string | undefined, metadata?: Metadata): Promise<Removed> {
    let removed = 0
    for (let from = 0; from < jobs.length; from += CHUNK) {
      removed += await this.#removeChunk(jobs.slice(from, from + CHUNK), rule, metadata)
    }
    return { removed, kept: jobs.length - removed }
  }

  async #removeChunk(jobs: readonly JobState[], rule: string | undefined, metadata?: Metadata): Promise<number> {
    const doomed = await this.condemnAll(jobs, rule, metadata)
    const taken = await this.#takeChunk(doomed, rule === undefined ? {} : { rule }, metadata)
    await this.#keeper.forget(
      doomed.map(({ id }) => id),
      metadata,
    )
    return taken.length
  }

  /** Those of these ended jobs that nobody needs, and that nobody can come to need any more. */
  async condemnAll(jobs: readonly JobState[], rule: string | undefined, metadata?: Metadata): Promise<JobState[]> {
    const isFree = ({ id }: JobState): boolean => !this.isNeeded(id)
    const condemned = await Promise.all(jobs.filter(isFree).map((job) => this.#condemn(job, rule, metadata)))
    return condemned.filter((job) => job !== undefined).filter(isFree)
  }

  /** Which of these condemned jobs could be taken out, as they were when their events were put elsewhere: ids. */
  async takeAll(
    jobs: readonly JobState[],
    cause: Cause,
    at: commands.Revisions,
    metadata?: Metadata,
  ): Promise<string[]> {
    const taken: string[] = []
    for (let from = 0; from < jobs.length; from += CHUNK) {
      taken.push(...(await this.#takeChunk(jobs.slice(from, from + CHUNK), cause, metadata, at)))
    }
    return taken
  }

  async #takeChunk(
    doomed: readonly JobState[],
    cause: Cause,
    metadata: Metadata | undefined,
    at?: commands.Revisions,
  ): Promise<readonly string[]> {
    if (doomed.length === 0) return []
    try {
      const jobs = doomed.map((job) => removedJob(job, cause))
      return await this.#take(jobs, cause, metadata, at)
    } catch (error) {
      if (!isRefusal(error)) throw error
      // One of them was removed by another process, or sent round again: the others go one by one.
      const each = await Promise.all(doomed.map((job) => this.#removeOne(job, cause, metadata, at)))
      return each.flat()
    }
  }

  /** Which: in one commit all or none; else as many as could be, if any. */
  async #take(
    jobs: readonly RemovedJob[],
    cause: Cause,
    metadata: Metadata | undefined,
    at?: commands.Revisions,
  ): Promise<readonly string[]> {
    if (this.#departures !== undefined) return this.#departures.take(jobs, cause, metadata, at)
    const streams = jobs.map(({ id }) => jobStream(id))
    for (;;) {
      const remnants = await this.#remains.of(streams)
      if (await this.#journal.submit(commands.remove(jobs, cause, at, remnants), metadata))
        return jobs.map(({ id }) => id)
    }
  }

  async #condemn(job: JobState, rule: string | undefined, metadata?: Metadata): Promise<JobState | undefined> {
    try {
      await this.#journal.submit(commands.condemn(job.id, rule, job), metadata)
      return job
    } catch (error) {
      if (isRefusal(error)) return undefined
      throw error
    }
  }

  async #removeOne(
    job: JobState,
    cause: Cause,
    metadata: Metadata | undefined,
    at: commands.Revisions | undefined,
  ): Promise<readonly string[]> {
    try {
      return await this.#take([removedJob(job, cause)], cause, metadata, at)
    } catch (error) {
      if (isRefusal(error)) return []
      throw error
    }
  }

  /** Of one segment, as far as nobody needs them. */
  async removeArchived(
    segment: string,
    ids: readonly string[],
    rule: string,
    metadata: Metadata | undefined,
  ): Promise<Removed> {
    const free = ids.filter((id) => !this.isNeeded(id))
    const removed = await this.#keeper.remove(segment, free, rule, metadata)
    const kept = ids.length - free.length
    if (removed !== undefined) return { removed, kept }
    const all = await this.removeAll(await this.#statesOf(free), rule, metadata)
    return { removed: all.removed, kept: kept + all.kept }
  }

  /** As `removeArchived`, of their bodies. */
  async expungeArchived(
    segment: string,
    ids: readonly string[],
    rule: string,
    metadata: Metadata | undefined,
  ): Promise<{ readonly expunged: number; readonly kept: number }> {
    const free = ids.filter((id) => !this.isNeeded(id))
    const kept = ids.length - free.length
    const archived = await this.#keeper.expunge(segment, free, rule, metadata)
    if (archived !== undefined) return { expunged: archived, kept }
    let expunged = 0
    for (const job of await this.#statesOf(free)) if (await this.expungeEnded(job, rule, metadata)) expunged += 1
    return { expunged, kept }
  }

  /** In a copy of a log that had them archived they are in the log itself. */
  async #statesOf(ids: readonly string[]): Promise<JobState[]> {
    const states: JobState[] = []
    for (const id of ids) {
      try {
        states.push((await this.#queries.read(id)).state)
      } catch (error) {
        // Somebody else has removed it.
        if (!isRefusal(error)) throw error
      }
    }
    return states
  }

  /** Erases the bodies of an ended job. False: there were none left. Throws JobUnknown, JobRemoved, JobNotEnded. */
  async expunge(id: string, rule: string, metadata?: Metadata): Promise<boolean> {
    await this.#queries.read(id)
    await this.#keeper.sweep(metadata)
    const segment = await this.#queries.segmentOf(id)
    const archived = segment && (await this.#keeper.expunge(segment, [id], rule, metadata))
    if (typeof archived === 'number') return archived > 0
    const done = await this.#expunge(id, rule, undefined, metadata)
    await this.#keeper.forget([id], metadata)
    return done
  }

  /** As `expunge`; false also for a job that runs again or is gone. */
  async expungeEnded(job: JobState, rule: string, metadata?: Metadata): Promise<boolean> {
    try {
      const done = await this.#expunge(job.id, rule, job, metadata)
      await this.#keeper.forget([job.id], metadata)
      return done
    } catch (error) {
      if (isRefusal(error)) return false
      throw error
    }
  }

  #expunge(id: string, rule: string, known: JobState | undefined, metadata: Metadata | undefined): Promise<boolean> {
    const hash = ({ salt, content }: Body): string => this.#digest.sha256(salt, content)
    return this.#journal.submit(commands.expunge(id, rule, hash, known), metadata)
  }
}

const isRefusal = (error: unknown): boolean => error instanceof JobledgerError && error.family === 'job'
