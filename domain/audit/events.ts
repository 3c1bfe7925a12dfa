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

/** Recorded in the very commit that takes the streams of these jobs out of the log. Their names stay burnt. */
export interface JobsRemoved {
  /** Name of the retention rule; absent: an operator. */
  readonly rule?: string
  readonly jobs: readonly RemovedJob[]
}

export const AUDIT_STREAM = 'audit'
