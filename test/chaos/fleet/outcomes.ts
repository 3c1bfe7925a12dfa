/** How each job must have ended, given what its handler does; and what is worth telling of a run. */
import type { RecordedEvent } from '../../../domain/event.js'
import type { JobEvent } from '../../../domain/job/events.js'
import { isJobStream, jobIdOf } from '../../../domain/job/events.js'

interface Life {
  readonly type: string
  end?: 'succeeded' | 'failed' | 'cancelled'
  error?: string | undefined
}

/** Counts by name, for people. */
export type Survey = Readonly<Record<string, number>>

export interface Outcomes {
  readonly faults: readonly string[]
  readonly survey: Survey
}

/** `promised`: ids whose enqueue was answered. A job may also lose three leases by bad luck, or what it depends on. */
export function outcomesOf(events: Iterable<RecordedEvent>, promised: Iterable<string>): Outcomes {
  const lives = new Map<string, Life>()
  const counts = new Map<string, number>()
  const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1)
  for (const recorded of events) {
    count('events')
    if (!isJobStream(recorded.stream)) continue
    const event = recorded as RecordedEvent & JobEvent
    follow(lives, event)
    for (const what of worthTelling(event)) count(what)
  }
  const faults: string[] = []
  for (const id of promised) if (!lives.has(id)) faults.push(`job ${id}: was enqueued, and is not in the log`)
  for (const [id, life] of lives) {
    count('jobs')
    count(life.end ?? 'not ended')
    if (life.error === 'LeaseLost') count('of these by lost leases')
    const fault = unexpected(life)
    if (fault !== undefined) faults.push(`job ${id}: ${fault}`)
  }
  return { faults, survey: Object.fromEntries(counts) }
}

function follow(lives: Map<string, Life>, { stream, type, data }: RecordedEvent & JobEvent): void {
  const id = jobIdOf(stream)
  if (type === 'Queued') lives.set(id, { type: data.type })
  const life = lives.get(id)
  if (life === undefined) return
  if (type === 'Finished') Object.assign(life, { end: data.outcome, error: data.error })
  if (type === 'Cancelled') life.end = 'cancelled'
}

function* worthTelling({ type, data }: RecordedEvent & JobEvent): Generator<string> {
  if (type === 'Leased') yield 'leases'
  if (type === 'Heartbeat') yield 'heartbeats'
  if (type === 'Failed') yield data.cause === 'lease-lost' ? 'leases lost' : 'failed attempts'
  if (type === 'Released') yield data.by === undefined ? 'leases given back' : 'snoozed'
  if (type === 'Retried' && data.by === 'operator') yield 'sent round again'
}

function unexpected({ type, end, error }: Life): string | undefined {
  // Cancelled for a dependency only, and never failed by bad luck alone: the laws have judged both.
  if (end === 'cancelled' || error === 'LeaseLost') return undefined
  const wanted = type === 'doomed' ? 'failed' : 'succeeded'
  return end === wanted ? undefined : `a ${type} job that ${end ?? 'has not ended'} (${error ?? 'no error'})`
}
