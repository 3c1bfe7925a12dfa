import type { JobState } from '../domain/job/evolve.js'

/** What a user is shown. All but the ended ones are derived from facts and the present time. */
export type JobStatusName =
  | 'held'
  | 'blocked'
  | 'scheduled'
  | 'ready'
  | 'running'
  | 'succeeded'
  | 'failed'
  | 'cancelled'

export const JOB_STATUS_NAMES: readonly JobStatusName[] = [
  'held',
  'blocked',
  'scheduled',
  'ready',
  'running',
  'succeeded',
  'failed',
  'cancelled',
]

/** `blocked`: whether an edge of the job is still open. */
export function statusName(job: JobState, blocked: boolean, now: number): JobStatusName {
  if (job.outcome !== undefined) return job.outcome
  if (job.phase === 'leased') return 'running'
  if (job.held) return 'held'
  if (blocked) return 'blocked'
  return job.runAt > now ? 'scheduled' : 'ready'
}
