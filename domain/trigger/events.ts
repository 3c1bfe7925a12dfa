/** The facts of a trigger's events. Storage format: see `../event.ts` for the rules under which it may grow. */
import type { Rest } from '../batch/events.js'
import type { Json, NewEvent, RecordedEvent } from '../event.js'
import type { Schedule } from './schedule.js'

/** What becomes of occurrences that nobody was there to fire. Late is what is over `MISFIRE_GRACE` past its instant. */
export type Misfire =
  /** Those that are due fire once, together; the others count as missed. */
  | 'coalesce'
  /** Each fires. */
  | 'all'
  /** None fires; all count as missed. */
  | 'skip'

/** What is left of several requests that come within one window. */
export type Combine =
  /** Neither payload nor event of any of them: the trigger's own payload. */
  | 'drop'
  /** Their payloads, in order, as one list. */
  | 'append'
  /** Of the first of them. */
  | 'first'

/** A fixed window: opened by the first request, and not extended by those that follow. */
export interface Debounce {
  readonly ms: number
  readonly combine: Combine
}

/** What a trigger is. The body of the event that says so is the payload of its jobs. */
export interface TriggerFacts {
  readonly schedule: Schedule
  /** Of its jobs. */
  readonly type: string
  /** What an enqueue of such a job is told: queue, channel, priority ... */
  readonly options?: { readonly [option: string]: Json }
  /** What the type says of its jobs, for processes that do not know it. */
  readonly defaults?: { readonly [setting: string]: Json }
  /** The type has functions that are asked when a job is made: processes that do not know it give way to those that do. */
  readonly code?: true
  /** Absent: `coalesce`. */
  readonly misfire?: Misfire
  readonly debounce?: Debounce
}

/** May follow a removal: the same id begins anew. */
export interface TriggerAdded extends TriggerFacts {
  /** The instant at which it fires next; absent: never by time. */
  readonly nextAt?: number
}
/** All that it is from now on. */
export interface TriggerUpdated extends TriggerAdded {
  /** Its payload stays what it was: there is no body. */
  readonly keepsPayload?: true
  /** Nothing is different: it is told once more, so that what came before may be put elsewhere. */
  readonly restated?: true
}

/** It does not fire until it is resumed, unless by hand. */
export interface TriggerPaused {
  readonly reason?: string
}
export interface TriggerResumed {
  readonly nextAt?: number
}

export type FiredBy = 'time' | 'event' | 'hand' | 'webhook' | 'client'

/** The event that asks for a firing, where it is one of the log. */
interface Sourced {
  /** Its id. */
  readonly source?: string
}

export interface TriggerFired extends Sourced {
  /** The instant it stands for; of a window: when that ends. */
  readonly occurrence: number
  readonly jobId: string
  readonly by: FiredBy
  /** By time: when it fires next; absent: not again. */
  readonly nextAt?: number
  /** It ends a window in which so many requests came. */
  readonly collected?: number
  /** On a store that appends to one stream at a time: it goes before its job. */
  readonly rest?: Rest
}

/** Why there is no job. */
export type MissedReason =
  /** Nobody was there to fire it, and its policy does without. */
  | 'late'
  /** A job with its unique key is there already: `jobId`. */
  | 'duplicate'
  /** Too many jobs of its type in this window of time. */
  | 'rate-limited'
  /** The hook `before` of its type wanted none. */
  | 'skipped'
  /** The enqueue was refused: `error` says why. */
  | 'refused'
  /** What asked for it came about by this very trigger: `chain`. */
  | 'loop'

export interface TriggerMissed extends Sourced {
  readonly reason: MissedReason
  /** Absent: it says nothing of when the trigger fires next. */
  readonly by?: FiredBy
  /** The first of `count` occurrences (default 1). */
  readonly occurrence: number
  readonly count?: number
  /** There were more: counting was given up. */
  readonly more?: true
  readonly nextAt?: number
  /** It ends a window of requests. */
  readonly closes?: true
  readonly jobId?: string
  readonly error?: string
  readonly chain?: readonly string[]
}

interface Request extends Sourced {
  readonly by: FiredBy
  /** As `TriggerFired.nextAt`. */
  readonly nextAt?: number
  /** UTF-8 bytes of its payload, which is the body, as far as that will be needed. */
  readonly bytes?: number
  /** A person asked for it. */
  readonly manual?: true
  /** As `JobFacts.chain`. */
  readonly chain?: readonly string[]
}

/** The first request of a window. */
export interface DebounceOpened extends Request {
  /** When the window ends, and its job is made (ms). */
  readonly until: number
  readonly combine: Combine
}
/** One more. */
export type DebounceCollected = Request

export interface TriggerRemoved {
  /** `done`: it has fired for the last time. `bad-trigger`: its job `jobId` has said that it makes no sense. */
  readonly by: 'operator' | 'done' | 'bad-trigger'
  readonly jobId?: string
  /** As `TriggerFired.rest`, where it is removed as it fires. */
  readonly rest?: Rest
}

export interface TriggerEventMap {
  TriggerAdded: TriggerAdded
  TriggerUpdated: TriggerUpdated
  TriggerPaused: TriggerPaused
  TriggerResumed: TriggerResumed
  TriggerFired: TriggerFired
  TriggerMissed: TriggerMissed
  DebounceOpened: DebounceOpened
  DebounceCollected: DebounceCollected
  TriggerRemoved: TriggerRemoved
}
export type TriggerEventType = keyof TriggerEventMap
export type TriggerEvent = {
  [T in TriggerEventType]: Pick<NewEvent<T, TriggerEventMap[T]>, 'stream' | 'type' | 'at' | 'data'> &
    Partial<Pick<RecordedEvent, 'revision' | 'position'>>
}[TriggerEventType]

const PREFIX = 'trigger-'
export const triggerStream = (id: string): string => PREFIX + id
export const isTriggerStream = (stream: string): boolean => stream.startsWith(PREFIX)
export const triggerIdOf = (stream: string): string => stream.slice(PREFIX.length)

/** Every type there is, in the order of a life. */
export const TRIGGER_EVENT_TYPES: readonly TriggerEventType[] = [
  'TriggerAdded',
  'TriggerUpdated',
  'TriggerPaused',
  'TriggerResumed',
  'DebounceOpened',
  'DebounceCollected',
  'TriggerFired',
  'TriggerMissed',
  'TriggerRemoved',
]
