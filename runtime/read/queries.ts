import { InvalidOption } from '../../domain/errors.js'
import type { Body, ErasedBody, RecordedEvent } from '../../domain/event.js'
import type { DependencyEdge, JobEvent } from '../../domain/job/events.js'
import { jobStream } from '../../domain/job/events.js'
import type { JobState, Outcome } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import { JobUnknown } from '../../domain/rejection.js'
import { fromRow } from '../../projections/job-row.js'
import type { JobStatusName } from '../../projections/job-status.js'
import { JOB_STATUS_NAMES, statusName } from '../../projections/job-status.js'
import type { Clock } from '../ports/clock.js'
import type { EventStore } from '../ports/event-store.js'
import type { JobRow, JobRowFilter, Views } from '../ports/views.js'
import type { DependencyResult } from '../work/context.js'
import { decode } from '../write/codec.js'
import type { Feed } from './feed.js'

/** A job at a glance. Times are ms since the epoch; absent where they do not apply. */
export interface JobSummary {
  readonly id: string
  readonly state: JobStatusName
  readonly type: string
  readonly queue: string
  readonly channel: string
  readonly name?: string
  readonly priority: number
  /** Runs so far, and attempts of the present round that ended by themselves. */
  readonly run: number
  readonly attempt: number
  readonly maxAttempts: number | null
  readonly queuedAt: number
  readonly runAt?: number
  readonly startedAt?: number
  readonly endedAt?: number
  /** Name of the last error. */
  readonly error?: string
  readonly progress?: number
}

/** A job as it stands in the log. */
export interface JobStatus extends JobSummary {
  readonly payload: unknown
  readonly result?: unknown
  /** Message of the last error. */
  readonly errorMessage?: string
  readonly dependsOn: readonly DependencyEdge[]
  /** Of those, the ones that still keep it from running. */
  readonly blockedBy: readonly string[]
  readonly lease?: { readonly workerId: string; readonly expiresAt: number }
  /** Why it was cancelled. */
  readonly reason?: string
}

/** One event of a job's history. `body` is what belongs to the user: payload, result, partial result, error. */
export interface HistoryEntry {
  readonly revision: number
  readonly type: string
  readonly at: number
  readonly data: object
  readonly metadata?: Readonly<Record<string, string>>
  readonly body?: unknown
  /** The body was erased. */
  readonly erased?: true
}

export interface ListFilter {
  readonly state?: JobStatusName | readonly JobStatusName[]
  readonly type?: string | readonly string[]
  readonly queue?: string | readonly string[]
  readonly channel?: string | readonly string[]
  /** 1 to 1,000, default 50. */
  readonly limit?: number
  /** `cursor` of the page before. */
  readonly cursor?: string
}

export interface JobPage {
  readonly jobs: readonly JobSummary[]
  /** Give it to the next call for older jobs; absent on the last page. */
  readonly cursor?: string
}

/** Jobs of one queue by state. Ended ones are counted over the life of the log. */
export type QueueCounts = Readonly<Record<JobStatusName, number>>

export class Queries {
  readonly #store: EventStore
  readonly #views: Views
  readonly #feed: Feed
  readonly #clock: Clock
  /** Brings the views up to what the feed has folded; what could not be written comes back. */
  readonly #sync: () => Promise<ReadonlyMap<string, JobRow>>

  constructor(options: {
    readonly store: EventStore
    readonly views: Views
    readonly feed: Feed
    readonly clock: Clock
    readonly sync: () => Promise<ReadonlyMap<string, JobRow>>
  }) {
    this.#store = options.store
    this.#views = options.views
    this.#feed = options.feed
    this.#clock = options.clock
    this.#sync = options.sync
  }

  /** Throws JobUnknown. Reads the log: true also of what another process has just written. */
  async status(id: string): Promise<JobStatus> {
    const { state, events } = await this.read(id)
    const open = this.#openEdges(state)
    const summary = this.#summary(state)
    const { lease } = state
    const failure = state.error === undefined ? undefined : last(events, 'Failed')
    const cancelled = state.outcome === 'cancelled' ? last(events, 'Cancelled') : undefined
    const reason = (cancelled?.data as { reason?: string } | undefined)?.reason
    return {
      ...summary,
      payload: decode(events[0]?.body),
      ...(state.outcome === 'succeeded' && { result: decode(last(events, 'Finished')?.body) }),
      ...(failure !== undefined && { errorMessage: messageOf(failure.body) }),
      dependsOn: state.dependsOn,
      blockedBy: open.map((edge) => edge.id),
      ...(lease !== undefined && { lease: { workerId: lease.workerId, expiresAt: lease.expiresAt } }),
      ...(reason !== undefined && { reason }),
    }
  }

  /** Throws JobUnknown. */
  async history(id: string): Promise<HistoryEntry[]> {
    const { events } = await this.read(id)
    return events.map(({ revision, type, at, data, metadata, body }) => ({
      revision,
      type,
      at,
      data,
      ...(metadata !== undefined && { metadata }),
      ...(body !== undefined && ('content' in body ? { body: decode(body) } : { erased: true as const })),
    }))
  }

  /** State and events, bodies included. Throws JobUnknown. */
  async read(id: string): Promise<{ state: JobState; events: RecordedEvent[] }> {
    let state: JobState | undefined
    const events: RecordedEvent[] = []
    for await (const page of this.#store.readStream(jobStream(id), { bodies: true })) {
      for (const event of page) {
        state = evolve(state, event as RecordedEvent & JobEvent)
        events.push(event)
      }
    }
    if (state === undefined) throw new JobUnknown(id)
    return { state, events }
  }

  async dependencies(job: JobState): Promise<DependencyResult[]> {
    return Promise.all(job.dependsOn.map((edge) => this.#dependency(edge.id)))
  }

  async #dependency(id: string): Promise<DependencyResult> {
    for await (const [event] of this.#store.readStream(jobStream(id), { backwards: true, limit: 1, bodies: true })) {
      if (event?.type === 'Finished') {
        const { outcome } = event.data as { outcome: Outcome }
        return { id, outcome, ...(outcome === 'succeeded' && { result: decode(event.body) }) }
      }
      if (event?.type === 'Cancelled') return { id, outcome: 'cancelled' }
    }
    return { id }
  }

  /** Newest first. Sees everything this process has seen. */
  async list(filter: ListFilter = {}): Promise<JobPage> {
    const wanted = toRowFilter(filter)
    const states = wanted.states
    const unsaved = await this.#sync()
    const jobs: JobSummary[] = []
    let before = filter.cursor
    let cursor = ''
    // One more than is wanted: only then is there a next page. Rows do not know all states: some of a slice may not fit.
    const limit = Math.max(wanted.limit + 1, states === undefined ? 0 : SLICE)
    for (;;) {
      const rows = await this.#rows({ ...wanted.rows, limit, ...(before !== undefined && { before }) }, unsaved)
      for (const row of rows) {
        const summary = this.#summary(fromRow(row.state))
        before = row.place
        if (states !== undefined && !states.has(summary.state)) continue
        if (jobs.length === wanted.limit) return { jobs, cursor }
        jobs.push(summary)
        cursor = row.place
      }
      if (rows.length < limit) return { jobs }
    }
  }

  async #rows(filter: JobRowFilter, unsaved: ReadonlyMap<string, JobRow>): Promise<JobRow[]> {
    if (unsaved.size === 0) return this.#views.list(filter)
    const kept = await this.#views.list({ ...filter, limit: filter.limit + unsaved.size })
    const rows = kept.filter(({ id }) => !unsaved.has(id))
    for (const row of unsaved.values()) if (matches(row, filter)) rows.push(row)
    return rows.sort((a, b) => (a.place < b.place ? 1 : -1)).slice(0, filter.limit)
  }

  /** By queue. Exact for what this process has seen. */
  stats(): ReadonlyMap<string, QueueCounts> {
    const { board } = this.#feed
    const counts = new Map<string, Record<JobStatusName, number>>()
    for (const [queue, { leased, succeeded, failed, cancelled }] of board.stats.queues) {
      const waiting = { held: 0, blocked: 0, scheduled: 0, ready: 0 }
      counts.set(queue, { ...waiting, running: leased, succeeded, failed, cancelled })
    }
    const now = this.#clock.now()
    for (const job of board.jobs) {
      if (job.phase !== 'waiting') continue
      const queue = counts.get(job.queue) as Record<JobStatusName, number>
      queue[statusName(job, board.graph.isBlocked(job.id), now)] += 1
    }
    return counts
  }

  #openEdges(state: JobState): readonly DependencyEdge[] {
    return state.phase === 'waiting' ? this.#feed.board.graph.openEdges(state.id) : []
  }

  #summary(job: JobState): JobSummary {
    const { id, type, queue, channel, name, priority, run, attempt, maxAttempts, queuedAt, error, progress } = job
    const now = this.#clock.now()
    return {
      id,
      state: statusName(job, this.#feed.board.graph.isBlocked(id), now),
      type,
      queue,
      channel,
      ...(name !== undefined && { name }),
      priority,
      run,
      attempt,
      maxAttempts,
      queuedAt,
      ...(job.runAt > now && { runAt: job.runAt }),
      ...(job.startedAt > 0 && { startedAt: job.startedAt }),
      ...(job.endedAt > 0 && { endedAt: job.endedAt }),
      ...(error !== undefined && { error }),
      ...(progress !== undefined && { progress }),
    }
  }
}

const matches = (row: JobRow, { types, queues, channels, phases, before }: JobRowFilter): boolean =>
  (types?.includes(row.type) ?? true) &&
  (queues?.includes(row.queue) ?? true) &&
  (channels?.includes(row.channel) ?? true) &&
  (phases?.includes(row.phase) ?? true) &&
  (before === undefined || row.place < before)

const last = (events: readonly RecordedEvent[], type: string): RecordedEvent | undefined =>
  events.findLast((event) => event.type === type)

/** Message of a recorded failure; '' once it was erased. */
function messageOf(body: Body | ErasedBody | undefined): string {
  return (decode(body) as { message?: string } | undefined)?.message ?? ''
}

const PHASES: Readonly<Record<JobStatusName, string>> = {
  held: 'waiting',
  blocked: 'waiting',
  scheduled: 'waiting',
  ready: 'waiting',
  running: 'leased',
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'cancelled',
}
/** Rows read at a time where their states have to be looked at one by one. */
const SLICE = 500
const CURSOR = /^\d{15} ./s
const FILTER_KEYS = new Set(['state', 'type', 'queue', 'channel', 'limit', 'cursor'])

interface Wanted {
  readonly rows: Omit<JobRowFilter, 'limit' | 'before'>
  readonly states: ReadonlySet<JobStatusName> | undefined
  readonly limit: number
}

function toRowFilter(filter: ListFilter): Wanted {
  if (typeof filter !== 'object' || filter === null) throw new InvalidOption('list', 'an object', filter)
  for (const key of Object.keys(filter)) {
    if (!FILTER_KEYS.has(key)) throw new InvalidOption(`list.${key}`, `one of ${[...FILTER_KEYS].join(', ')}`, key)
  }
  const { state, type, queue, channel, limit = 50, cursor } = filter
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > 1_000) {
    throw new InvalidOption('list.limit', 'an integer from 1 to 1000', limit)
  }
  if (cursor !== undefined && !(typeof cursor === 'string' && CURSOR.test(cursor)))
    throw new InvalidOption('list.cursor', 'the cursor of a page', cursor)
  const states = toTexts(state, 'state') as JobStatusName[] | undefined
  const odd = states?.find((name) => !JOB_STATUS_NAMES.includes(name))
  if (odd !== undefined) throw new InvalidOption('list.state', `one of ${JOB_STATUS_NAMES.join(', ')}`, odd)
  const types = toTexts(type, 'type')
  const queues = toTexts(queue, 'queue')
  const channels = toTexts(channel, 'channel')
  return {
    limit,
    states: states && new Set(states),
    rows: {
      ...(states !== undefined && { phases: [...new Set(states.map((name) => PHASES[name]))] }),
      ...(types !== undefined && { types }),
      ...(queues !== undefined && { queues }),
      ...(channels !== undefined && { channels }),
    },
  }
}

function toTexts(value: string | readonly string[] | undefined, key: string): string[] | undefined {
  if (value === undefined) return undefined
  const texts = [value].flat() as unknown[]
  if (texts.every((text) => typeof text === 'string')) return texts as string[]
  throw new InvalidOption(`list.${key}`, 'a text or an array of texts', value)
}
