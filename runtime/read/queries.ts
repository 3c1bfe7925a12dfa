import { isJobStream, jobIdOf } from '../../domain/job/events.js'
import type { Outcome } from '../../domain/job/evolve.js'
import { JobArchived, JobRemoved, JobUnknown } from '../../domain/rejection.js'
import type { AttemptRecord } from '../../projections/attempts.js'
import { attemptsOf } from '../../projections/attempts.js'
import { fromRow } from '../../projections/job-row.js'
import { StreamRemoved } from '../errors.js'
import type { Clock } from '../ports/clock.js'
import type { EventStore, LogReader } from '../ports/event-store.js'
import type { JobRow, JobRowFilter, Views } from '../ports/views.js'
import type { Feed } from './feed.js'
import type { ListFilter } from './listing.js'
import { matches, SLICE, toRowFilter } from './listing.js'
import type { HistoryEntry, JobStatus, JobSummary, Life, QueueCounts } from './status.js'
import { countsOf, historyOf, readLife, statusOf, summaryOf } from './status.js'

export type { HistoryEntry, JobStatus, JobSummary, QueueCounts }

export interface JobPage {
  readonly jobs: readonly JobSummary[]
  /** Give it to the next call for older jobs; absent on the last page. */
  readonly cursor?: string
}

export class Queries {
  readonly #store: EventStore
  readonly #log: LogReader
  readonly #views: Views
  readonly #feed: Feed
  readonly #clock: Clock
  /** Brings the views up to what the feed has folded; what could not be written comes back. */
  readonly #sync: () => Promise<ReadonlyMap<string, JobRow>>

  constructor(options: {
    readonly store: EventStore
    /** With its archive. */
    readonly log: LogReader
    readonly views: Views
    readonly feed: Feed
    readonly clock: Clock
    readonly sync: () => Promise<ReadonlyMap<string, JobRow>>
  }) {
    this.#store = options.store
    this.#log = options.log
    this.#views = options.views
    this.#feed = options.feed
    this.#clock = options.clock
    this.#sync = options.sync
  }

  /** Throws JobUnknown. Reads the log: true also of what another process has just written. */
  async status(id: string): Promise<JobStatus> {
    const life = await this.read(id)
    const { graph } = this.#feed.board
    const dependents = await this.dependents(id)
    // Nothing goes into the archive without having been condemned.
    const isGoing = life.events.some(({ type }) => type === 'Condemned')
    const archived = isGoing ? await this.segmentOf(id) : undefined
    const status = statusOf(life, { graph, now: this.#clock.now(), dependents })
    return archived === undefined ? status : { ...status, archived }
  }

  /** Throws JobUnknown. */
  async history(id: string): Promise<HistoryEntry[]> {
    const { events } = await this.read(id)
    return historyOf(events)
  }

  /** What each run of the job came to. Throws JobUnknown, JobRemoved. */
  async attempts(id: string): Promise<AttemptRecord[]> {
    const { events } = await this.read(id)
    return attemptsOf(events)
  }

  /** State and events, bodies included, also of one that is archived. Throws JobUnknown, JobRemoved. */
  async read(id: string): Promise<Life> {
    const life = await readLife(this.#log, id)
    if (life !== undefined) return life
    const outcome = (await this.removed([id])).get(id)
    throw outcome === undefined ? new JobUnknown(id) : new JobRemoved(id, outcome)
  }

  /** Lets the projections see all that is in the log now. */
  async catchUp(): Promise<void> {
    await this.#feed.reached(await this.#store.head())
  }

  /** How those of these jobs ended that were removed. */
  async removed(ids: readonly string[]): Promise<ReadonlyMap<string, Outcome>> {
    await this.catchUp()
    const found = new Map(await this.#views.removed(ids))
    for (const id of ids) {
      const removed = this.#feed.board.removed(id)
      if (removed !== undefined) found.set(id, removed.outcome)
    }
    return found
  }

  /** The segment with the events of a job that was archived. */
  async segmentOf(id: string): Promise<string | undefined> {
    await this.catchUp()
    const { board, state } = this.#feed
    const removed = board.removed(id)
    const name = removed === undefined ? (await this.#views.segments([id])).get(id) : removed.segment
    return name && (state.segments.get(name)?.name ?? name)
  }

  /** Why nobody may begin this stream: its job was removed, or is archived. */
  async burnt(stream: string): Promise<StreamRemoved> {
    const segment = isJobStream(stream) ? await this.segmentOf(jobIdOf(stream)).catch(() => undefined) : undefined
    return new StreamRemoved(stream, segment)
  }

  /** As `read`, of a job that something is to be done to. Throws JobUnknown, JobRemoved, JobArchived. */
  async readLive(id: string): ReturnType<Queries['read']> {
    const found = await this.read(id)
    const segment = found.state.phase === 'ended' ? await this.segmentOf(id) : undefined
    if (segment === undefined) return found
    throw new JobArchived(id, segment)
  }

  /** Waits for what is being written to the views just now. */
  async saved(): Promise<void> {
    await this.#sync()
  }

  /** Ids of the jobs that name this one as a dependency, ended and archived ones too. */
  async dependents(id: string): Promise<string[]> {
    const { board } = this.#feed
    const kept = await this.#views.dependents(id)
    const found = new Set([...kept, ...board.graph.neededBy(id), ...board.archivedDependents(id)])
    for (const job of board.dirty.values()) if (job.dependsOn.some((edge) => edge.id === id)) found.add(job.id)
    const isThere = (dependent: string): boolean => {
      const removed = board.removed(dependent)
      return removed === undefined || removed.segment !== undefined
    }
    return [...found].filter(isThere).sort()
  }

  /** Newest first. Sees all that is in the log when it is called. */
  async list(filter: ListFilter = {}): Promise<JobPage> {
    const wanted = toRowFilter(filter)
    const states = wanted.states
    await this.catchUp()
    const unsaved = await this.#sync()
    const now = this.#clock.now()
    const jobs: JobSummary[] = []
    let before = filter.cursor
    let cursor = ''
    // One more than is wanted: only then is there a next page. Rows do not know all states: some of a slice may not fit.
    const limit = Math.max(wanted.limit + 1, states === undefined ? 0 : SLICE)
    for (;;) {
      const rows = await this.#rows({ ...wanted.rows, limit, ...(before !== undefined && { before }) }, unsaved)
      for (const row of rows) {
        const job = fromRow(row.state)
        const summary = summaryOf(job, this.#feed.board.graph.isBlocked(job.id), now)
        before = row.place
        if (states !== undefined && !states.has(summary.state)) continue
        if (jobs.length === wanted.limit) return { jobs, cursor }
        jobs.push(summary)
        cursor = row.place
      }
      if (rows.length < limit) return { jobs }
    }
  }

  /** Rows of jobs, newest first, as of all that is in the log now. */
  async rows(filter: JobRowFilter): Promise<JobRow[]> {
    await this.catchUp()
    return this.#rows(filter, await this.#sync())
  }

  async #rows(filter: JobRowFilter, unsaved: ReadonlyMap<string, JobRow>): Promise<JobRow[]> {
    if (unsaved.size === 0) return this.#views.list(filter)
    const kept = await this.#views.list({ ...filter, limit: filter.limit + unsaved.size })
    const rows = kept.filter(({ id }) => !unsaved.has(id))
    for (const row of unsaved.values()) if (matches(row, filter)) rows.push(row)
    return rows.sort((a, b) => (a.place < b.place ? 1 : -1)).slice(0, filter.limit)
  }

  /** By queue, of one type or of all. Exact as of what is in the log when it is called. */
  async stats(type?: string): Promise<ReadonlyMap<string, QueueCounts>> {
    await this.catchUp()
    return countsOf(this.#feed.state, this.#clock.now(), type)
  }
}
