/** Why a job stands as it does: what keeps it from running, or how it came to its end, and why it was tried again. */
import type { JobsRemoved, RemovedJob } from '../domain/audit/events.js'
import type { RecordedEvent } from '../domain/event.js'
import type { JobState, Outcome } from '../domain/job/evolve.js'
import type { RemovalFacts } from '../domain/rejection.js'
import { JobRemoved } from '../domain/rejection.js'
import type { Step } from './course-of-runs.js'
import { cancelledBy, courseOfRuns } from './course-of-runs.js'
import type { Deed } from './deeds.js'
import { deedOf } from './deeds.js'
import type { JobStatusName } from './job-status.js'
import type { Surroundings, Told, WaitReason } from './why-waiting.js'
import { whyWaiting } from './why-waiting.js'

export type Reason =
  | WaitReason
  | Told<
      'running',
      {
        readonly workerId: string
        readonly since: number
        readonly run: number
        readonly attempt: number
        readonly expiresAt: number
        readonly lastSeenAt: number
        readonly progress?: number
        /** Of a worker that is still on the list, in a process. */
        readonly host?: string
        readonly pid?: number
      }
    >
  | Told<'ended', { readonly at: number; readonly outcome: Outcome; readonly by?: Deed }>
  | Told<'removed', { readonly outcome: Outcome; readonly removal?: RemovalFacts }>
  | Told<'unknown'>

/** Codes and facts are for programs, `says` is for people. */
export interface Explanation {
  readonly id: string
  readonly state: JobStatusName | 'removed' | 'unknown'
  /** What comes first among the reasons. */
  readonly says: string
  /** All that keeps it from running now; of one that runs or has ended: where, or how. Never empty. */
  readonly reasons: readonly Reason[]
  /** What came of each run, and why it was tried again or was not. */
  readonly course: readonly Step[]
}

/** `events`: the job's own. */
export function explain(job: JobState, events: readonly RecordedEvent[], world: Surroundings): Explanation {
  const course = courseOfRuns(events)
  const reasons = reasonsOf(job, events, course, world)
  return { ...explained(job.id, world.statusOf(job), reasons), course }
}

const explained = (id: string, state: Explanation['state'], reasons: readonly Reason[]): Explanation => ({
  ...{ id, state, says: (reasons[0] as Reason).says, reasons, course: [] },
})

function reasonsOf(
  job: JobState,
  events: readonly RecordedEvent[],
  course: readonly Step[],
  world: Surroundings,
): readonly Reason[] {
  if (job.phase === 'waiting') return whyWaiting(job, events, world)
  return [job.phase === 'leased' ? running(job, world) : ended(job, course)]
}

function running(job: JobState, { workers, now }: Surroundings): Reason {
  const { workerId, at: since, attempt, expiresAt, seenAt } = job.lease as NonNullable<JobState['lease']>
  const { run, progress } = job
  const process = workers.get(workerId)?.process
  const where = process === undefined ? '' : ` (${process.host}, process ${process.pid})`
  const late = now > expiresAt ? '; its lease has run out, and will be taken back' : ''
  return {
    ...{ code: 'running', workerId, since, run, attempt, expiresAt, lastSeenAt: seenAt },
    ...(progress !== undefined && { progress }),
    ...(process !== undefined && { host: process.host, pid: process.pid }),
    says: `Worker ${workerId}${where} runs it since ${new Date(since).toISOString()}${late}.`,
  }
}

/** The last step says why; of a success it is not asked. */
function ended({ outcome, endedAt, run }: JobState, course: readonly Step[]): Reason {
  const last = course.at(-1)
  const at = new Date(endedAt).toISOString()
  const facts = { code: 'ended', at: endedAt, outcome: outcome as Outcome } as const
  if (outcome === 'succeeded') return { ...facts, says: `It succeeded at ${at}, in run ${run}.` }
  if (last?.code !== 'cancelled') return { ...facts, says: `It failed for good at ${at}. ${last?.says ?? ''}`.trim() }
  return { ...facts, by: last.deed, says: `It was cancelled at ${at}${cancelledBy(last.by, last.deed)}.` }
}

/** `event`: the `JobsRemoved` that names it, where that is known. */
export function explainRemoved(id: string, outcome: Outcome, event: RecordedEvent | undefined): Explanation {
  const removal = event && removalOf(event)
  const says = new JobRemoved(id, outcome, removal).message
  return explained(id, 'removed', [{ code: 'removed', outcome, ...(removal !== undefined && { removal }), says }])
}

export function removalOf(event: RecordedEvent): RemovalFacts {
  const { rule } = event.data as JobsRemoved
  return { ...deedOf(event), ...(rule !== undefined && { rule }) }
}

export const names = (event: RecordedEvent, id: string): boolean =>
  event.type === 'JobsRemoved' && (event.data as JobsRemoved).jobs.some((job: RemovedJob) => job.id === id)

export const explainUnknown = (id: string): Explanation =>
  explained(id, 'unknown', [{ code: 'unknown', says: `The log knows no job ${id}.` }])
