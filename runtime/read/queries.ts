import { tries } from '../../domain/backoff.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { DependencyEdge, JobEvent, KeyLimit, Leased, Queued } from '../../domain/job/events.js'
import { jobStream } from '../../domain/job/events.js'
import type { JobState, Outcome } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import type { RareFacts } from '../../domain/job/rare.js'
import type { QueueState } from '../../domain/queue/evolve.js'
import { JobRemoved, JobUnknown } from '../../domain/rejection.js'
import { upcast } from '../../domain/upcast.js'
import type { AttemptRecord } from '../../projections/attempts.js'
import { attemptsOf } from '../../projections/attempts.js'
import { fromRow } from '../../projections/job-row.js'
import type { JobStatusName } from '../../projections/job-status.js'
import { statusName } from '../../projections/job-status.js'
import type { Clock } from '../ports/clock.js'
import type { EventStore } from '../ports/event-store.js'
import type { JobRow, JobRowFilter, Views } from '../ports/views.js'
import { messageOf, reveal, unpack } from '../write/codec.js'
import type { Feed } from './feed.js'
import type { ListFilter } from './listing.js'
import { matches, SLICE, toRowFilter } from './listing.js'

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
  /** Jobs that depend on this one, ended ones too. */
  readonly dependents: readonly string[]
  readonly lease?: { readonly workerId: string; readonly expiresAt: number }
  /** Workers that have leased it in its life, each once, in the order of their first lease. */
  readonly attemptedBy: readonly string[]
  /** Its key, and how many jobs with this key may run at once. */
  readonly concurrency?: KeyLimit
  /** Why it was cancelled. */
  readonly reason?: string
  /** Of the present run, as its last heartbeat gave it. */
  readonly partial?: unknown
  /** For whom, and the id that all jobs share which come from one. */
  readonly user?: string
  readonly correlationId: string
  readonly codeVersion?: string
  /** Started by a person. */
  readonly manual?: true
  /** The trigger that made it, and when that was to fire (ms since the epoch). */
  readonly trigger?: { readonly id: string; readonly occurrence: number }
  /** It stands for several firings that came close together. */
  readonly debounced?: true
  /** Payload, results and error messages were erased. */
  readonly erased?: true
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

export interface JobPage {
  readonly jobs: readonly JobSummary[]
  /** Give it to the next call for older jobs; absent on the last page. */
  readonly cursor?: string
}

/** Jobs of one queue by state. Ended ones are counted over the life of the log. */
export interface QueueCounts extends Readonly<Record<JobStatusName, number>> {
  /** No job of it is leased until it is resumed; and why, if that was said. */
  readonly paused?: true
  readonly reason?: string
  /** How many of them each process may run at once, where an operator has said so. */
  readonly limit?: number
}

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
    const { state, events, queued } = await this.read(id)
    const open = this.#openEdges(state)
    const summary = this.#summary(state)
    const { lease } = state
    const failure = state.error === undefined ? undefined : last(events, 'Failed')
    const cancelled = state.outcome === 'cancelled' ? last(events, 'Cancelled') : undefined
    const reason = (cancelled?.data as { reason?: string } | undefined)?.reason
    const finished = state.phase === 'ended' ? last(events, 'Finished')?.body : undefined
    const { context, codeVersion } = queued.data as Queued
    const correlationId = queued.metadata?.$correlationId ?? id
    const partial = partialOf(state, events)
    return {
      ...summary,
      payload: unpack(reveal(payloadOf(state, events)?.body), state.rare).payload,
      ...((state.outcome === 'succeeded' || finished !== undefined) && { result: reveal(finished) }),
      ...(partial !== undefined && { partial }),
      ...(context?.user !== undefined && { user: context.user }),
      correlationId,
      ...(codeVersion !== undefined && { codeVersion }),
      ...(state.rare !== undefined && howItCame(state.rare)),
      dependents: await this.dependents(id),
      ...(failure !== undefined && { errorMessage: messageOf(failure.body) }),
      dependsOn: state.dependsOn,
      blockedBy: open.map((edge) => edge.id),
      attemptedBy: workersOf(events),
      ...(lease !== undefined && { lease: { workerId: lease.workerId, expiresAt: lease.expiresAt } }),
      ...(state.rare?.concurrency !== undefined && { concurrency: state.rare.concurrency }),
      ...(reason !== undefined && { reason }),
      ...(state.rare?.expunged && { erased: true as const }),
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
      ...(body !== undefined && ('content' in body ? { body: reveal(body) } : { erased: true as const })),
    }))
  }

  /** What each run of the job came to. Throws JobUnknown, JobRemoved. */
  async attempts(id: string): Promise<AttemptRecord[]> {
    const { events } = await this.read(id)
    return attemptsOf(events)
  }

  /** State and events, bodies included. Throws JobUnknown, JobRemoved. */
  async read(id: string): Promise<{ state: JobState; events: RecordedEvent[]; queued: RecordedEvent }> {
    let state: JobState | undefined
    const events: RecordedEvent[] = []
    for await (const page of this.#store.readStream(jobStream(id), { bodies: true })) {
      for (const recorded of page) {
        const event = upcast(recorded)
        state = evolve(state, event as RecordedEvent & JobEvent)
        events.push(event)
      }
    }
    const [queued] = events
    if (state !== undefined && queued !== undefined) return { state, events, queued }
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

  /** Waits for what is being written to the views just now. */
  async saved(): Promise<void> {
    await this.#sync()
  }

  /** Ids of the jobs that name this one as a dependency, ended ones too. */
  async dependents(id: string): Promise<string[]> {
    const { board } = this.#feed
    const found = new Set([...(await this.#views.dependents(id)), ...board.graph.neededBy(id)])
    for (const job of board.dirty.values()) if (job.dependsOn.some((edge) => edge.id === id)) found.add(job.id)
    return [...found].filter((dependent) => board.removed(dependent) === undefined).sort()
  }

  /** Newest first. Sees all that is in the log when it is called. */
  async list(filter: ListFilter = {}): Promise<JobPage> {
    const wanted = toRowFilter(filter)
    const states = wanted.states
    await this.catchUp()
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

  /** By queue, of one type or of all. Exact as of what is in the log when it is called. */
  async stats(type?: string): Promise<ReadonlyMap<string, QueueCounts>> {
    await this.catchUp()
    const { board, queues } = this.#feed
    const totals = board.stats.totals(type)
    // One that is paused or limited is shown, whether it has had jobs or not.
    if (type === undefined) for (const { name } of queues.notable()) if (!totals.has(name)) totals.set(name, NO_JOBS)
    const counts = new Map<string, QueueCounts & Record<JobStatusName, number>>()
    for (const [queue, { leased, succeeded, failed, cancelled }] of totals) {
      const waiting = { held: 0, blocked: 0, scheduled: 0, ready: 0 }
      counts.set(queue, { ...waiting, running: leased, succeeded, failed, cancelled, ...saidOf(queues.get(queue)) })
    }
    const now = this.#clock.now()
    for (const job of board.jobs) {
      if (job.phase !== 'waiting' || (type !== undefined && job.type !== type)) continue
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
      maxAttempts: tries(job.backoff, maxAttempts),
      queuedAt,
      ...(job.runAt > now && { runAt: job.runAt }),
      ...(job.startedAt > 0 && { startedAt: job.startedAt }),
      ...(job.endedAt > 0 && { endedAt: job.endedAt }),
      ...(error !== undefined && { error }),
      ...(progress !== undefined && { progress }),
    }
  }
}

const howItCame = ({ manual, trigger, debounced }: RareFacts): Pick<JobStatus, 'manual' | 'trigger' | 'debounced'> => ({
  ...(manual && { manual }),
  ...(trigger !== undefined && { trigger: { id: trigger.id, occurrence: trigger.occurrence } }),
  ...(debounced && { debounced }),
})

const NO_JOBS = Object.freeze({ waiting: 0, leased: 0, succeeded: 0, failed: 0, cancelled: 0 })

function saidOf(queue: QueueState | undefined): Pick<QueueCounts, 'paused' | 'reason' | 'limit'> {
  const { pause, limit } = queue ?? {}
  return {
    ...(pause !== undefined && { paused: true as const }),
    ...(pause?.reason !== undefined && { reason: pause.reason }),
    ...(limit !== undefined && { limit }),
  }
}

/** The event whose body is the payload now. */
const payloadOf = (state: JobState, events: readonly RecordedEvent[]): RecordedEvent | undefined =>
  events.find((event) => event.revision === (state.rare?.payloadAt ?? 0))

function partialOf(state: JobState, events: readonly RecordedEvent[]): unknown {
  if (state.lease === undefined) return undefined
  const begun = events.findLastIndex((event) => event.type === 'Leased')
  const beat = events.slice(begun).findLast((event) => event.type === 'Heartbeat' && event.body !== undefined)
  return reveal(beat?.body)
}

const workersOf = (events: readonly RecordedEvent[]): string[] => [
  ...new Set(events.filter(({ type }) => type === 'Leased').map(({ data }) => (data as Leased).workerId)),
]

const last = (events: readonly RecordedEvent[], type: string): RecordedEvent | undefined =>
  events.findLast((event) => event.type === type)
