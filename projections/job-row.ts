import type { Backoff } from '../domain/backoff.js'
import { DEFAULT_BACKOFF } from '../domain/backoff.js'
import type { Position } from '../domain/event.js'
import type { DependencyEdge } from '../domain/job/events.js'
import type { JobState, Lease, Outcome } from '../domain/job/evolve.js'
import { NO_EDGES } from '../domain/job/evolve.js'
import type { RareFacts } from '../domain/job/rare.js'
import type { DependencyGraph } from './dependency-graph.js'
import { phaseOf } from './queue-stats.js'

/** A job as the views keep it: columns to filter by, and its state as JSON text. */
export interface JobRow {
  readonly id: string
  /** When it was first queued, then its id: the key of the row, and the order of listing. */
  readonly place: string
  readonly type: string
  readonly queue: string
  readonly channel: string
  /** The trigger that made it; '' for none. */
  readonly trigger: string
  /** waiting | leased | succeeded | failed | cancelled. */
  readonly phase: string
  /** When it ended, then its id: the order in which retention looks at ended jobs. '' while it has not. */
  readonly endPlace: string
  /** Its own say in how long it is kept (ms since the epoch; FOR_EVER); null while it has none or has not ended. */
  readonly keepUntil: number | null
  /** Ids of the jobs it depends on. */
  readonly dependsOn: readonly string[]
  readonly state: string
}

/** A job's state as a row keeps it: by place, not by name. A third of the bytes and of the time of an object. */
type Saved = readonly [
  id: string,
  revision: number,
  position: Position,
  phase: JobState['phase'],
  type: string,
  queue: string,
  channel: string,
  name: string | null,
  priority: number,
  runAt: number,
  held: 0 | 1,
  dependsOn: readonly DependencyEdge[] | null,
  maxAttempts: number | null,
  backoff: Backoff | null,
  timeoutMs: number | null,
  queuedAt: number,
  since: number,
  run: number,
  attempt: number,
  lost: number,
  lease: Lease | null,
  outcome: Outcome | null,
  error: string | null,
  startedAt: number,
  endedAt: number,
  progress: number | null,
  runsBefore: number,
  roundAt: number,
  rare: RareFacts | null,
]

/** Budget 2 us: one of these for every job that was touched since the last checkpoint. */
export function toRow(job: JobState, graph: DependencyGraph): JobRow {
  const { id, type, queue, channel, queuedAt, rare } = job
  const place = placeAt(queuedAt, id)
  const endPlace = job.phase === 'ended' ? placeAt(job.endedAt, id) : ''
  const dependsOn = job.dependsOn.length > 0 ? job.dependsOn.map((edge) => edge.id) : NO_IDS
  const keepUntil = rare === undefined ? null : keepUntilOf(job)
  const phase = phaseOf(job)
  const trigger = rare?.trigger?.id ?? ''
  const state = toState(job, graph)
  return { id, place, type, queue, channel, trigger, phase, endPlace, keepUntil, dependsOn, state }
}

/** What `fromRow` reads. */
export function toState(job: JobState, graph: DependencyGraph): string {
  const saved: Saved = [
    job.id,
    job.revision,
    job.position,
    job.phase,
    job.type,
    job.queue,
    job.channel,
    job.name ?? null,
    job.priority,
    job.runAt,
    job.held ? 1 : 0,
    job.dependsOn.length > 0 ? graph.edgesNow(job) : null,
    job.maxAttempts,
    job.backoff === DEFAULT_BACKOFF ? null : job.backoff,
    job.timeoutMs,
    job.queuedAt,
    job.since,
    job.run,
    job.attempt,
    job.lost,
    job.lease ?? null,
    job.outcome ?? null,
    job.error ?? null,
    job.startedAt,
    job.endedAt,
    job.progress ?? null,
    job.runsBefore,
    job.roundAt,
    job.rare ?? null,
  ]
  return JSON.stringify(saved)
}

/** Later than any instant. */
export const FOR_EVER: number = Number.MAX_SAFE_INTEGER

function keepUntilOf({ phase, endedAt, rare }: JobState): number | null {
  if (phase !== 'ended' || rare?.retainMs === undefined) return null
  return rare.retainMs === null ? FOR_EVER : endedAt + rare.retainMs
}

const NO_IDS: readonly string[] = []

/** Orders by instant (ms), then id. With `id` left out: before every place of that instant. */
export const placeAt = (instant: number, id = ''): string => `${String(instant).padStart(15, '0')} ${id}`

/**
 * Budget 5 us: opening a ledger reads one of these for every job that has not ended. The keys stand in the order in which
 * `evolve` makes them: all job states have one shape, and copying one is cheap.
 */
export function fromRow(state: string): JobState {
  const saved = JSON.parse(state) as Saved
  return {
    id: saved[0],
    revision: saved[1],
    position: saved[2],
    phase: saved[3],
    type: saved[4],
    queue: saved[5],
    channel: saved[6],
    name: saved[7] ?? undefined,
    priority: saved[8],
    runAt: saved[9],
    held: saved[10] === 1,
    dependsOn: saved[11] ?? NO_EDGES,
    maxAttempts: saved[12],
    backoff: saved[13] ?? DEFAULT_BACKOFF,
    timeoutMs: saved[14],
    queuedAt: saved[15],
    since: saved[16],
    run: saved[17],
    attempt: saved[18],
    lost: saved[19],
    runsBefore: saved[26],
    roundAt: saved[27],
    lease: saved[20] ?? undefined,
    outcome: saved[21] ?? undefined,
    error: saved[22] ?? undefined,
    startedAt: saved[23],
    endedAt: saved[24],
    progress: saved[25] ?? undefined,
    rare: saved[28] ?? undefined,
  }
}
