/** Another writer on the same store, who obeys the rules and is always in the way. */
import type { Draft, RecordedEvent } from '../../../domain/event.js'
import type { Decision } from '../../../domain/job/decide.js'
import * as decide from '../../../domain/job/decide.js'
import type { JobEvent } from '../../../domain/job/events.js'
import { isJobStream, jobIdOf } from '../../../domain/job/events.js'
import type { JobState } from '../../../domain/job/evolve.js'
import { evolve } from '../../../domain/job/evolve.js'
import type { Clock } from '../../../runtime/ports/clock.js'
import type { EventStore } from '../../../runtime/ports/event-store.js'
import { facts } from '../../domain/support/jobs.js'
import { CountedIds } from './counted-ids.js'
import type { RivalAppend } from './faulty-store.js'

/** Appends a legal event to a stream, whatever that stream is. */
export function rivalOn(store: EventStore, clock: Clock, name: string): RivalAppend {
  const ids = new CountedIds(name)
  return async (stream, rivalry) => {
    const events = await readAll(store, stream)
    const drafts = isJobStream(stream)
      ? onJob(stream, events, rivalry, clock.now())
      : [{ stream, type: 'Noted', data: {} }]
    if (drafts.length === 0) return
    const expect = new Map([[stream, events.at(-1)?.revision ?? ('none' as const)]])
    await store.append([
      { expect, events: drafts.map(({ body: _, ...draft }) => ({ ...draft, id: ids.uuid(), at: clock.now() })) },
    ])
  }
}

export async function readAll(store: EventStore, stream: string): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = []
  for await (const page of store.readStream(stream, { bodies: true })) events.push(...page)
  return events
}

function onJob(stream: string, events: readonly RecordedEvent[], rivalry: number, now: number): readonly Draft[] {
  const id = jobIdOf(stream)
  const state = events.reduce<JobState | undefined>(
    (before, event) => evolve(before, event as RecordedEvent & JobEvent),
    undefined,
  )
  const decision = move(id, state, rivalry, now)
  return decision instanceof Error ? [] : decision
}

function move(id: string, state: JobState | undefined, rivalry: number, now: number): Decision {
  const token = state?.lease?.token ?? `rival-${rivalry}`
  switch (state?.phase) {
    case undefined:
      return decide.enqueue({ id, facts: facts({ backoff: AT_ONCE }), payload: undefined }, () => undefined, new Set())
    case 'waiting':
      return rivalry % 3 === 0
        ? decide.cancel(id, state, { by: 'operator' })
        : decide.lease(id, state, { token, workerId: 'rival', now, leaseMs: 1 })
    case 'leased':
      return rivalry % 2 === 0
        ? decide.finish(id, state, token, undefined)
        : decide.heartbeat(id, state, { token, expiresAt: now })
    default:
      return decide.retry(id, state, now, () => undefined)
  }
}

/** No waiting between attempts. */
export const AT_ONCE = { min: 0, max: 0, factor: 1, jitter: 0 } as const
