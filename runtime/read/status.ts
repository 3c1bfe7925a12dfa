/** What is told of jobs and queues, as of now or as of a day long past: it is the caller who says when, and by which state. */
import { tries } from '../../domain/backoff.js'
import type { Position, RecordedEvent } from '../../domain/event.js'
import type { DependencyEdge, JobEvent, KeyLimit, Leased, Queued } from '../../domain/job/events.js'
import { jobStream } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import type { RareFacts } from '../../domain/job/rare.js'
import type { QueueState } from '../../domain/queue/evolve.js'
import { upcast } from '../../domain/upcast.js'
import type { DependencyGraph } from '../../projections/dependency-graph.js'
import type { JobStatusName } from '../../projections/job-status.js'
import { statusName } from '../../projections/job-status.js'
import type { LedgerState } from '../../projections/ledger-state.js'
import type { LogReader } from '../ports/event-store.js'
import { messageOf, reveal, unpack } from '../write/codec.js'

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
  /** The segment that it lies in: it can be read, and not be changed any more. */
  readonly archived?: string
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

/** Jobs of one queue by state. Ended ones are counted over the life of the log. */
export interface QueueCounts extends Readonly<Record<JobStatusName, number>> {
  /** No job of it is leased until it is resumed; and why, if that was said. */
  readonly paused?: true
  readonly reason?: string
  /** How many of them each process may run at once, where an operator has said so. */
  readonly limit?: number
}

/** A job by its events, bodies included. */
export interface Life {
  readonly state: JobState
  readonly events: readonly RecordedEvent[]
  readonly queued: RecordedEvent
}

/** Up to a position, if one is given. Undefined: the log knows nothing of it, or did not then. */
export async function readLife(
  log: Pick<LogReader, 'readStream'>,
  id: string,
  until?: Position,
): Promise<Life | undefined> {
  let state: JobState | undefined
  const events: RecordedEvent[] = []
  reading: for await (const page of log.readStream(jobStream(id), { bodies: true })) {
    for (const recorded of page) {
      if (until !== undefined && recorded.position > until) break reading
      const event = upcast(recorded)
      state = evolve(state, event as RecordedEvent & JobEvent)
      events.push(event)
    }
  }
  const [queued] = events
  return state === undefined || queued === undefined ? undefined : { state, events, queued }
}

/** What of the others a job's status depends on, and when it is asked. */
export interface Around {
  readonly graph: DependencyGraph
  readonly dependents: readonly string[]
  readonly now: number
}

export function statusOf({ state, events, queued }: Life, { graph, dependents, now }: Around): JobStatus {
  const open = state.phase === 'waiting' ? graph.openEdges(state.id) : []
  const summary = summaryOf(state, graph.isBlocked(state.id), now)
  const { lease } = state
  const failure = state.error === undefined ? undefined : last(events, 'Failed')
  const cancelled = state.outcome === 'cancelled' ? last(events, 'Cancelled') : undefined
  const reason = (cancelled?.data as { reason?: string } | undefined)?.reason
  const finished = state.phase === 'ended' ? last(events, 'Finished')?.body : undefined
  const { context, codeVersion } = queued.data as Queued
  const correlationId = queued.metadata?.$correlationId ?? state.id
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
    dependents,
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

export function historyOf(events: readonly RecordedEvent[]): HistoryEntry[] {
  return events.map(({ revision, type, at, data, metadata, body }) => ({
    revision,
    type,
    at,
    data,
    ...(metadata !== undefined && { metadata }),
    ...(body !== undefined && ('content' in body ? { body: reveal(body) } : { erased: true as const })),
  }))
}

export function summaryOf(job: JobState, blocked: boolean, now: number): JobSummary {
  const { id, type, queue, channel, name, priority, run, attempt, maxAttempts, queuedAt, error, progress } = job
  return {
    id,
    state: statusName(job, blocked, now),
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

/** By queue, of one type or of all. */
export function countsOf({ board, queues }: LedgerState, now: number, type?: string): ReadonlyMap<string, QueueCounts> {
  const totals = board.stats.totals(type)
  // One that is paused or limited is shown, whether it has had jobs or not.
  if (type === undefined) for (const { name } of queues.notable()) if (!totals.has(name)) totals.set(name, NO_JOBS)
  const counts = new Map<string, QueueCounts & Record<JobStatusName, number>>()
  for (const [queue, { leased, succeeded, failed, cancelled }] of totals) {
    const waiting = { held: 0, blocked: 0, scheduled: 0, ready: 0 }
    counts.set(queue, { ...waiting, running: leased, succeeded, failed, cancelled, ...saidOf(queues.get(queue)) })
  }
  for (const job of board.jobs) {
    if (job.phase !== 'waiting' || (type !== undefined && job.type !== type)) continue
    const queue = counts.get(job.queue) as Record<JobStatusName, number>
    queue[statusName(job, board.graph.isBlocked(job.id), now)] += 1
  }
  return counts
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
