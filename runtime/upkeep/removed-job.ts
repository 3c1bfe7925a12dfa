import type { RemovedJob } from '../../domain/audit/events.js'
import type { JobState, Outcome } from '../../domain/job/evolve.js'

/** What the log keeps of an ended job that is removed. */
export const removedJob = ({ id, outcome, queue, type, queuedAt, position }: JobState): RemovedJob => ({
  ...{ id, queue, type, queuedAt, position },
  outcome: outcome as Outcome,
})
