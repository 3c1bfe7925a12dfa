import type { JobState, Outcome } from '../domain/job/evolve.js'

/** A job of a trigger, and when it came to what it is remembered for (ms). */
export interface JobMark {
  readonly jobId: string
  readonly at: number
}

/** What the jobs of a trigger have come to. JSON: a checkpoint keeps it as it is. */
export interface TriggerRecord {
  /** The newest one, and how it stands. */
  readonly newest?: JobMark & { readonly state: 'waiting' | 'running' | Outcome }
  readonly success?: JobMark
  readonly failure?: JobMark & { readonly error?: string }
  /** Last enqueued, and last by a person. */
  readonly execution?: JobMark
  readonly manual?: JobMark
}

export const NO_RECORD: TriggerRecord = Object.freeze({})

/** After one more event of one of its jobs. */
export function recordAfter(record: TriggerRecord, before: JobState | undefined, after: JobState): TriggerRecord {
  const begun = before === undefined ? begin(record, after) : record
  const { newest } = begun
  if (newest === undefined || newest.jobId !== after.id) return ended(begun, after)
  const state = after.outcome ?? (after.phase === 'leased' ? 'running' : 'waiting')
  return ended(state === newest.state ? begun : { ...begun, newest: { ...newest, state } }, after)
}

function begin(record: TriggerRecord, { id, queuedAt, rare }: JobState): TriggerRecord {
  const mark = { jobId: id, at: queuedAt }
  return {
    ...record,
    newest: { ...mark, state: 'waiting' },
    execution: mark,
    ...(rare?.manual && { manual: mark }),
  }
}

function ended(record: TriggerRecord, { id, outcome, endedAt, error }: JobState): TriggerRecord {
  const mark = { jobId: id, at: endedAt }
  if (outcome === 'succeeded') return { ...record, success: mark }
  if (outcome === 'failed') return { ...record, failure: { ...mark, ...(error !== undefined && { error }) } }
  return record
}
