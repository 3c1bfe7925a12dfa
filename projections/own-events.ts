/** The log's own events, as event triggers see them. */
import type { Json } from '../domain/event.js'
import type { JobEventType } from '../domain/job/events.js'
import type { JobState } from '../domain/job/evolve.js'
import type { SourceEvent } from '../domain/trigger/match.js'
import type { JobChange } from './job-board.js'

/** `job/<type>`: no published document may be of such a type. */
export const OWN_TYPES = 'job/'

const VERBS: Readonly<Partial<Record<string, 'CREATED' | 'UPDATED'>>> = {
  Queued: 'CREATED',
  Leased: 'UPDATED',
  Released: 'UPDATED',
  Retried: 'UPDATED',
  Rescheduled: 'UPDATED',
  Finished: 'UPDATED',
  Cancelled: 'UPDATED',
} satisfies Partial<Record<JobEventType, 'CREATED' | 'UPDATED'>>

/** Undefined: it says nothing of what the job is. A `Failed` is told by what follows it. */
export function ownEvent({ event, before, after }: JobChange): SourceEvent | undefined {
  const verb = Object.hasOwn(VERBS, event.type) ? VERBS[event.type] : undefined
  if (verb === undefined) return undefined
  const base = { type: OWN_TYPES + after.type, verb, id: after.id, document: documentOf(after) }
  return before === undefined ? base : { ...base, old: documentOf(before) }
}

function documentOf(job: JobState): Json {
  const { id, type, queue, channel, name, priority, run, attempt, error, outcome, phase } = job
  return {
    ...{ id, type, queue, channel, priority, run, attempt },
    state: outcome ?? (phase === 'waiting' ? 'waiting' : 'running'),
    ...(name !== undefined && { name }),
    ...(error !== undefined && { error }),
  }
}
