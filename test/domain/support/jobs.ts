/** Jobs for tests: the least that a fact must say, and events that fit where they stand. */
import { DEFAULT_BACKOFF } from '../../../domain/backoff.js'
import type { Draft } from '../../../domain/event.js'
import type { JobEvent, JobEventMap, JobEventType, Queued } from '../../../domain/job/events.js'
import { jobStream } from '../../../domain/job/events.js'
import type { JobState } from '../../../domain/job/evolve.js'
import { evolve } from '../../../domain/job/evolve.js'

export const NOW: number = Date.UTC(2026, 0, 1)
export const JOB = 'j1'
export const TOKEN = 'token-1'

export function facts(given: Partial<Queued> = {}): Queued {
  return { type: 'mail', queue: 'default', maxAttempts: 3, backoff: DEFAULT_BACKOFF, timeoutMs: null, ...given }
}

export const fact = <T extends JobEventType>(type: T, data: JobEventMap[T], id: string = JOB): Draft => ({
  stream: jobStream(id),
  type,
  data,
})

/** A draft as the journal would stamp it, without its body. */
export const stamped = ({ stream, type, data }: Draft, at: number = NOW, revision?: number): JobEvent =>
  ({ stream, type, data, at, ...(revision !== undefined && { revision }) }) as JobEvent

/** The state that these facts leave. */
export function stateAfter(...drafts: readonly Draft[]): JobState | undefined {
  return drafts.reduce<JobState | undefined>((state, draft) => evolve(state, stamped(draft)), undefined)
}

/** Facts of each type such as a decider would record them on this state. */
export function plausible(type: JobEventType, state: JobState | undefined, at: number = NOW): JobEvent {
  return stamped(fact(type, plausibleFacts(state, at)[type]), at)
}

function plausibleFacts(state: JobState | undefined, at: number): JobEventMap {
  const run = state?.run ?? 0
  const attempt = (state?.attempt ?? 0) + 1
  const token = state?.lease?.token ?? `token-${run + 1}`
  const ended = state?.outcome
  const opened = state && ended && { ...facts(), run, queuedAt: state.queuedAt, outcome: ended }
  return {
    Queued: facts(),
    Leased: { token, workerId: 'w1', run: run + 1, attempt, expiresAt: at + 30_000 },
    Heartbeat: { token, expiresAt: at + 30_000, progress: 0.5 },
    Released: { token },
    Failed: { token, run, attempt, cause: 'error', error: 'Error', retryable: true },
    Retried: opened ? { runAt: at, by: 'operator', job: opened } : { runAt: at + 1_000, by: 'policy' },
    Finished: { outcome: 'succeeded' },
    Cancelled: { by: 'operator' },
    Rescheduled: { priority: 5 },
    Expunged: { rule: 'by hand', hashes: {} },
    Condemned: { rule: 'by hand' },
  }
}
