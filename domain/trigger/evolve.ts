import { IllegalEvent } from '../errors.js'
import type { Lifecycle } from '../lifecycle.js'
import { compileLifecycle } from '../lifecycle.js'
import type {
  Combine,
  DebounceCollected,
  DebounceOpened,
  FiredBy,
  TriggerEvent,
  TriggerEventType,
  TriggerFacts,
  TriggerFired,
  TriggerMissed,
  TriggerRemoved,
  TriggerUpdated,
} from './events.js'
import { TRIGGER_EVENT_TYPES, triggerIdOf } from './events.js'
import { triggerMachine } from './machine.js'

export type TriggerStatus = 'absent' | 'active' | 'paused' | 'removed'
const STATUSES: readonly TriggerStatus[] = ['absent', 'active', 'paused', 'removed']

const lifecycle: Lifecycle<TriggerStatus, TriggerEventType> = compileLifecycle(
  triggerMachine,
  STATUSES,
  TRIGGER_EVENT_TYPES,
)

/** Requests that wait for the end of their window. */
export interface DebounceWindow {
  /** Of the event that opened it: its name. */
  readonly revision: number
  readonly until: number
  readonly combine: Combine
  readonly count: number
  /** Of all their payloads. */
  readonly bytes: number
  readonly by: FiredBy
  readonly manual?: true
  readonly chain?: readonly string[]
}

/** All that is decided on of a trigger. JSON: a checkpoint keeps it as it is. */
export interface TriggerState extends TriggerFacts {
  readonly id: string
  /** Of the last event folded. */
  readonly revision: number
  readonly status: TriggerStatus
  /** Revisions of the event that says what it is, and of the one whose body is the payload. */
  readonly version: number
  readonly payloadAt: number
  /** When it was added, and when it last became what it is (ms). */
  readonly addedAt: number
  readonly definedAt: number
  readonly nextAt?: number
  readonly window?: DebounceWindow
  readonly pause?: { readonly at: number; readonly reason?: string }
  /** Firings, and occurrences and requests that made none, over its life. */
  readonly fired: number
  readonly missed: number
  /** They were more: counting was given up. */
  readonly missedMore?: true
  readonly lastMissed?: { readonly at: number; readonly reason: TriggerMissed['reason'] }
  /** What it last did. */
  readonly last?: { readonly at: number; readonly jobId?: string; readonly missed?: TriggerMissed['reason'] }
  /** Of one that was removed. */
  readonly removedBy?: TriggerRemoved['by']
}

/** State after one more event. Throws IllegalEvent. */
export function evolveTrigger(state: TriggerState | undefined, event: TriggerEvent): TriggerState {
  const from = state?.status ?? 'absent'
  const status = lifecycle[from][event.type]
  if (status === undefined) throw new IllegalEvent(event.stream, event.type, from)
  const revision = event.revision ?? (state === undefined ? 0 : state.revision + 1)
  if (event.type === 'TriggerAdded') return { ...added(event, revision), revision, status }
  return { ...told(state as TriggerState, event, revision), revision, status }
}

type Told = Exclude<TriggerEvent, { type: 'TriggerAdded' }>
type Added = TriggerEvent & { readonly type: 'TriggerAdded' }

function added({ stream, data, at }: Added, revision: number): Omit<TriggerState, 'revision' | 'status'> {
  const counts = { fired: 0, missed: 0 }
  return {
    ...data,
    ...counts,
    id: triggerIdOf(stream),
    version: revision,
    payloadAt: revision,
    addedAt: at,
    definedAt: at,
  }
}

function told(state: TriggerState, event: Told, revision: number): TriggerState {
  switch (event.type) {
    case 'TriggerUpdated':
      return updated(state, event.data, event.at, revision)
    case 'TriggerPaused': {
      const { reason } = event.data
      return { ...state, pause: { at: event.at, ...(reason !== undefined && { reason }) } }
    }
    case 'TriggerResumed': {
      const { pause, ...rest } = state
      return withNext(rest, event.data.nextAt)
    }
    case 'TriggerFired':
      return fired(state, event.data, event.at)
    case 'TriggerMissed':
      return missed(state, event.data, event.at)
    case 'DebounceOpened':
      return opened(state, event.data, revision)
    case 'DebounceCollected':
      if (state.window === undefined) throw new IllegalEvent(event.stream, event.type, 'not waiting for more')
      return collected(state, event.data, state.window)
    case 'TriggerRemoved':
      return { ...withNext(state, undefined), removedBy: event.data.by }
  }
}

/** What is open stays open: a window was promised to those who asked. */
function updated(
  state: TriggerState,
  { keepsPayload, restated, ...facts }: TriggerUpdated,
  at: number,
  revision: number,
): TriggerState {
  const { id, status, addedAt, window, pause, last, missedMore, lastMissed } = state
  const kept = { id, revision, status, addedAt, fired: state.fired, missed: state.missed }
  return {
    ...facts,
    ...kept,
    version: restated ? state.version : revision,
    payloadAt: keepsPayload ? state.payloadAt : revision,
    definedAt: restated ? state.definedAt : at,
    ...(window !== undefined && { window }),
    ...(pause !== undefined && { pause }),
    ...(last !== undefined && { last }),
    ...(missedMore && { missedMore }),
    ...(lastMissed !== undefined && { lastMissed }),
  }
}

function withNext({ nextAt: _, ...state }: TriggerState, nextAt: number | undefined): TriggerState {
  return nextAt === undefined ? state : { ...state, nextAt }
}

/** Only what happens by time moves the time. */
function moved(state: TriggerState, by: FiredBy, nextAt: number | undefined): TriggerState {
  return by === 'time' ? withNext(state, nextAt) : state
}

function fired(state: TriggerState, { by, nextAt, jobId, collected: count }: TriggerFired, at: number): TriggerState {
  const after = { ...state, fired: state.fired + 1, last: { at, jobId } }
  if (count === undefined) return moved(after, by, nextAt)
  const { window, ...closed } = after
  return closed
}

function missed(state: TriggerState, facts: TriggerMissed, at: number): TriggerState {
  const { reason, count = 1, more, nextAt, jobId, closes } = facts
  const { window, ...rest } = state
  const kept = closes || window === undefined ? rest : { ...rest, window }
  const last = { at, missed: reason, ...(jobId !== undefined && { jobId }) }
  const lastMissed = { at, reason }
  const after = { ...kept, missed: state.missed + count, ...(more && { missedMore: more }), last, lastMissed }
  return facts.by === 'time' ? withNext(after, nextAt) : after
}

function opened(state: TriggerState, facts: DebounceOpened, revision: number): TriggerState {
  const { by, nextAt, bytes = 0, manual, chain, until, combine } = facts
  const first = { by, ...(manual && { manual }), ...(chain !== undefined && { chain }) }
  return { ...moved(state, by, nextAt), window: { revision, until, combine, count: 1, bytes, ...first } }
}

function collected(state: TriggerState, facts: DebounceCollected, window: DebounceWindow): TriggerState {
  const { by, nextAt, bytes = 0, manual } = facts
  const more = { count: window.count + 1, bytes: window.bytes + bytes, ...(manual && { manual }) }
  return { ...moved(state, by, nextAt), window: { ...window, ...more } }
}

/** When time next has something to do with it (ms); undefined: only when somebody asks. */
export function dueAt({ status, nextAt, window }: TriggerState): number | undefined {
  if (status !== 'active') return undefined
  return window === undefined ? nextAt : Math.min(nextAt ?? Number.POSITIVE_INFINITY, window.until)
}
