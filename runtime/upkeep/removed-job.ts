import type { Cause, RemovedJob } from '../../domain/audit/events.js'
import type { JobState, Outcome } from '../../domain/job/evolve.js'

/** What the log keeps of an ended job that is removed, or goes into a segment. */
export function removedJob(job: JobState, { segment }: Cause = {}): RemovedJob {
  const { id, outcome, queue, type, queuedAt, position } = job
  const removed = { id, queue, type, queuedAt, position, outcome: outcome as Outcome }
  return segment === undefined ? removed : { ...removed, ...archivedFacts(job) }
}

const archivedFacts = ({ endedAt, channel, dependsOn, rare }: JobState): Partial<RemovedJob> => ({
  endedAt,
  ...(channel !== '' && { channel }),
  ...(dependsOn.length > 0 && { dependsOn: dependsOn.map(({ id }) => id) }),
  ...(rare?.expunged && { expunged: true }),
})
