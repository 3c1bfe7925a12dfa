import type { RecordedEvent } from '../../domain/event.js'
import type { WorkerEvent } from '../../domain/worker/events.js'
import type { WorkerState } from '../../domain/worker/evolve.js'
import { evolveWorker } from '../../domain/worker/evolve.js'
import { isByHolder } from '../worker-registry.js'
import type { JobStep } from './job-record.js'
import type { Row } from './tables.js'

/** One worker as its row tells of it, and what its runs came to. JSON: it is kept as it is. */
export interface WorkerFold {
  readonly state: WorkerState
  seenAt: number
  stoppedAt: number | null
  runs: number
  busyMs: number
}

/** Throws IllegalEvent. */
export function foldWorker(fold: WorkerFold | undefined, event: RecordedEvent & WorkerEvent): WorkerFold {
  const state = evolveWorker(fold?.state, event)
  const { runs = 0, busyMs = 0, seenAt = 0 } = fold ?? {}
  const isOver = state.status === 'stopped' || state.status === 'lost'
  return { state, seenAt: Math.max(seenAt, state.lastSeenAt), stoppedAt: isOver ? event.at : null, runs, busyMs }
}

/** What it has done with a job; written in place, since a drain has several of these for each job. */
export function followJob(fold: WorkerFold, event: RecordedEvent, { waited, ran }: JobStep): void {
  if (waited !== undefined) fold.runs += 1
  if (ran !== undefined) fold.busyMs += ran
  if (isByHolder(event)) fold.seenAt = Math.max(fold.seenAt, event.at)
}

/** As `WORKERS` has it. */
export function workerRow({ state, seenAt, stoppedAt, runs, busyMs }: WorkerFold): Row {
  const { id, process, status, registeredAt, concurrency } = state
  const { host = null, pid = null } = process ?? {}
  return [id, host, pid, status, registeredAt, seenAt, stoppedAt, concurrency, runs, busyMs]
}
