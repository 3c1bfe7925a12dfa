/** The facts of the `audit` stream. Storage format: see `../event.ts` for the rules under which it may grow. */
import type { Position } from '../event.js'
import type { Outcome } from '../job/evolve.js'

/** A job whose stream has left the log. */
export interface RemovedJob {
  readonly id: string
  readonly outcome: Outcome
  readonly queue: string
  readonly type?: string
  /** When it was first queued (ms), and where in the log that was. */
  readonly queuedAt: number
  readonly position: Position
}

/**
 * Recorded in the very commit that takes the streams of these jobs out of the log; where a store appends to one stream at a
 * time, before that, and perhaps twice. Their names stay burnt.
 */
export interface JobsRemoved {
  /** Name of the retention rule; absent: an operator. */
  readonly rule?: string
  readonly jobs: readonly RemovedJob[]
}

/** On a store that appends to one stream at a time: the streams of these jobs, which are removed, are out of the log. */
export interface StreamsRemoved {
  readonly ids: readonly string[]
}

export const AUDIT_STREAM = 'audit'
