/** What was done by somebody, read off recorded events: who, when and why. */
import type { ExpungedJobs, JobsRemoved, SegmentSealed } from '../domain/audit/events.js'
import type { RecordedEvent } from '../domain/event.js'
import type { JobEventMap } from '../domain/job/events.js'
import { isJobStream, jobIdOf } from '../domain/job/events.js'
import type { QueueEventMap } from '../domain/queue/events.js'
import { isQueueStream, queueOf } from '../domain/queue/events.js'
import type { TriggerEventMap } from '../domain/trigger/events.js'
import { isTriggerStream, triggerIdOf } from '../domain/trigger/events.js'
import type { WorkerEventMap } from '../domain/worker/events.js'
import { isWorkerStream, workerIdOf } from '../domain/worker/events.js'

/** Times are ms since the epoch; absent where nobody said so. */
export interface Deed {
  readonly at: number
  readonly actor?: string
  readonly reason?: string
}

/** Of an event that is there. The reason is that of its facts, else that of who speaks. */
export function deedOf(event: RecordedEvent): Deed
export function deedOf(event: RecordedEvent | undefined): Deed | undefined
export function deedOf(event: RecordedEvent | undefined): Deed | undefined {
  if (event === undefined) return undefined
  const { at, data, metadata } = event
  const { actor } = metadata ?? {}
  const reason = (data as { reason?: string }).reason ?? metadata?.reason
  return { at, ...(actor !== undefined && { actor }), ...(reason !== undefined && { reason }) }
}

/** ` by ada: disk nearly full`, or what is known of it. */
export function whoAndWhy(deed: Pick<Deed, 'actor' | 'reason'> | undefined): string {
  const { actor, reason } = deed ?? {}
  const who = actor === undefined ? '' : ` by ${actor}`
  return reason === undefined ? who : `${who} (${reason})`
}

/** What an operator may do, and what a rule of theirs does for them. */
export type DeedName =
  | 'cancel'
  | 'retry'
  | 'reschedule'
  | 'promote'
  | 'fail-unstarted'
  | 'expunge'
  | 'remove'
  | 'archive'
  | 'pause'
  | 'resume'
  | 'limit'
  | 'add'
  | 'update'
  | 'fire'

/** One deed, as the event says that records it. */
export interface DeedEntry extends Deed {
  readonly deed: DeedName
  readonly subject: 'job' | 'queue' | 'worker' | 'trigger'
  /** Of the subject; of a removal the ids of all jobs that it took. */
  readonly ids: readonly string[]
  /** The rule of retention that did it. */
  readonly rule?: string
  readonly type: string
  readonly data: object
}

type Facts = JobEventMap &
  QueueEventMap &
  TriggerEventMap &
  WorkerEventMap & { readonly JobsRemoved: JobsRemoved; readonly SegmentSealed: SegmentSealed }

/** By event type: which deed it is; undefined: the course of things. */
const DEEDS: { readonly [Type in keyof Facts]?: (facts: Facts[Type]) => DeedName | undefined } = {
  Cancelled: ({ by }) => (by === 'operator' ? 'cancel' : undefined),
  Retried: ({ by }) => (by === 'operator' ? 'retry' : undefined),
  // A new payload is that of an enqueue with the same unique key.
  Rescheduled: ({ ended, payload, held }) =>
    ended !== undefined || payload ? undefined : held === false ? 'promote' : 'reschedule',
  Failed: ({ cause }) => (cause === 'not-started' ? 'fail-unstarted' : undefined),
  Expunged: () => 'expunge',
  // Of jobs that are archived.
  SegmentSealed: ({ expunged }) => (expunged === undefined ? undefined : 'expunge'),
  JobsRemoved: ({ segment }) => (segment === undefined ? 'remove' : 'archive'),
  QueuePaused: () => 'pause',
  QueueResumed: () => 'resume',
  LimitsChanged: () => 'limit',
  WorkerPaused: () => 'pause',
  WorkerResumed: () => 'resume',
  WorkerStopped: ({ by }) => (by === 'operator' ? 'remove' : undefined),
  TriggerAdded: () => 'add',
  TriggerUpdated: () => 'update',
  TriggerPaused: () => 'pause',
  TriggerResumed: () => 'resume',
  TriggerRemoved: ({ by }) => (by === 'operator' ? 'remove' : undefined),
  TriggerFired: ({ by }) => (by === 'hand' ? 'fire' : undefined),
}

/** Only events of these types are deeds. */
export const DEED_TYPES: readonly string[] = Object.keys(DEEDS)

/** undefined: it is none. */
export function deedEntryOf(event: RecordedEvent): DeedEntry | undefined {
  const { type, data } = event
  const name = Object.hasOwn(DEEDS, type) ? DEEDS[type as keyof Facts] : undefined
  const deed = (name as ((facts: object) => DeedName | undefined) | undefined)?.(data)
  if (deed === undefined) return undefined
  const { rule } = type === 'SegmentSealed' ? expungedIn(data) : (data as { rule?: string })
  const ruled = rule === undefined || rule === 'operator' ? {} : { rule }
  return { ...deedOf(event), deed, ...subjectOf(event), ...ruled, type, data }
}

const expungedIn = (data: object): ExpungedJobs => (data as SegmentSealed).expunged as ExpungedJobs

function subjectOf({ stream, type, data }: RecordedEvent): Pick<DeedEntry, 'subject' | 'ids'> {
  if (isJobStream(stream)) return { subject: 'job', ids: [jobIdOf(stream)] }
  if (isQueueStream(stream)) return { subject: 'queue', ids: [queueOf(stream)] }
  if (isWorkerStream(stream)) return { subject: 'worker', ids: [workerIdOf(stream)] }
  if (isTriggerStream(stream)) return { subject: 'trigger', ids: [triggerIdOf(stream)] }
  if (type === 'SegmentSealed') return { subject: 'job', ids: expungedIn(data).jobs.map(({ id }) => id) }
  return { subject: 'job', ids: (data as JobsRemoved).jobs.map(({ id }) => id) }
}
