import { DEFAULT_BACKOFF } from '../domain/backoff.js'
import type { Position } from '../domain/event.js'
import type { JobState } from '../domain/job/evolve.js'
import { NO_EDGES } from '../domain/job/evolve.js'
import type { DependencyGraph } from './dependency-graph.js'
import { phaseOf } from './queue-stats.js'

/** A job as the views keep it: columns to filter by, and its state as JSON text without what is default. */
export interface JobRow {
  readonly id: string
  /** Position of its first event: the order of listing. */
  readonly position: Position
  readonly type: string
  readonly queue: string
  readonly channel: string
  /** waiting | leased | succeeded | failed | cancelled. */
  readonly phase: string
  readonly state: string
}

const EMPTY: Omit<JobState, 'id' | 'revision' | 'position' | 'phase' | 'type' | 'queue' | 'queuedAt' | 'since'> = {
  channel: '',
  name: undefined,
  priority: 0,
  runAt: 0,
  held: false,
  dependsOn: NO_EDGES,
  maxAttempts: 1,
  backoff: DEFAULT_BACKOFF,
  timeoutMs: null,
  run: 0,
  attempt: 0,
  lost: 0,
  lease: undefined,
  outcome: undefined,
  error: undefined,
  startedAt: 0,
  endedAt: 0,
  progress: undefined,
}
const OPTIONAL = Object.keys(EMPTY) as (keyof typeof EMPTY)[]

/** Budget 2 us: one of these for every job that was touched since the last checkpoint. */
export function toRow(job: JobState, graph: DependencyGraph): JobRow {
  const { id, position, type, queue, channel, revision, phase, queuedAt, since } = job
  const kept: Record<string, unknown> = { id, revision, position, phase, type, queue, queuedAt, since }
  for (const key of OPTIONAL) if (job[key] !== EMPTY[key]) kept[key] = job[key]
  if (job.dependsOn.length > 0) kept['dependsOn'] = graph.edgesNow(job)
  return { id, position, type, queue, channel, phase: phaseOf(job), state: JSON.stringify(kept) }
}

/** Budget 5 us: opening a ledger reads one of these for every job that has not ended. */
export function fromRow(state: string): JobState {
  return { ...EMPTY, ...(JSON.parse(state) as JobState) }
}
