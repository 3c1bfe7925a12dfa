/** Deciders of a trigger: state and command in, facts or a refusal out. Time comes in with the command. */
import type { Draft, Json } from '../event.js'
import { sameJson } from '../json.js'
import { TriggerUnknown } from '../rejection.js'
import type {
  Combine,
  DebounceCollected,
  TriggerEventMap,
  TriggerEventType,
  TriggerFacts,
  TriggerFired,
  TriggerMissed,
  TriggerRemoved,
  TriggerUpdated,
} from './events.js'
import { triggerStream } from './events.js'
import type { TriggerState } from './evolve.js'
import type { Schedule } from './schedule.js'
import { countOccurrences, firstOccurrence, nextOccurrence } from './schedule.js'

/** How late an occurrence may fire and still be none that was missed (ms). */
const MISFIRE_GRACE = 5_000
/** Missed occurrences of which nobody knew beforehand that they would be are counted as far as this: it takes long. */
const MOST_COUNTED = 100

type Content = string | Uint8Array | undefined

function draft<T extends TriggerEventType>(
  id: string,
  type: T,
  data: TriggerEventMap[T],
  body?: Content,
): Draft<T, TriggerEventMap[T]> {
  const stream = triggerStream(id)
  return body === undefined ? { stream, type, data } : { stream, type, data, body }
}

/** The trigger, unless there is none. */
export function present(id: string, state: TriggerState | undefined): TriggerState | TriggerUnknown {
  return state === undefined || state.status === 'removed' ? new TriggerUnknown(id) : state
}

/** A definition as it is given. */
export interface Definition {
  readonly facts: TriggerFacts
  /** Stored form; undefined: none, or where it is changed by name: the one that is there stays. */
  readonly payload: Content
}

export type Added = 'created' | 'updated' | 'unchanged'

/**
 * The same definition again says nothing, also after a one-shot is done: a service may declare its triggers each time it
 * starts. `samePayload`: that of the definition is the one that is there.
 */
export function add(
  id: string,
  state: TriggerState | undefined,
  { facts, payload }: Definition,
  samePayload: boolean,
  now: number,
): { readonly drafts: readonly Draft[]; readonly added: Added } {
  // The payload of one that is done is gone: its instant says that it is the same.
  const isDone = facts.schedule.kind === 'at' && state?.removedBy === 'done' && sameTimes(state, facts)
  const isSame = state !== undefined && state.status !== 'removed' && samePayload && isSameAs(state, facts)
  if (isSame || isDone) return { drafts: [], added: 'unchanged' }
  if (state === undefined || state.status === 'removed') {
    const data = withNext(facts, firstOccurrence(facts.schedule, now))
    return { drafts: [draft(id, 'TriggerAdded', data, payload)], added: 'created' }
  }
  const schedule = sameTimes(state, facts) ? state.schedule : facts.schedule
  const definition = { facts: { ...facts, schedule }, payload }
  return { drafts: update(id, state, definition, now, samePayload), added: 'updated' }
}

/** The instant of an `in` follows from when it was added. */
const sameTimes = (state: TriggerFacts, facts: TriggerFacts): boolean =>
  sameJson(plain(keyOf(state.schedule)), plain(keyOf(facts.schedule)))

/** As it was added, or last updated. */
function isSameAs(state: TriggerState, facts: TriggerFacts): boolean {
  return sameJson(plain(contentOf(state)), plain(contentOf(facts)))
}

function contentOf({ schedule, type, options, defaults, code, misfire, debounce }: TriggerFacts): unknown {
  return [keyOf(schedule), type, options, defaults, code, misfire, debounce]
}

function keyOf(schedule: TriggerFacts['schedule']): unknown {
  return schedule.kind === 'in' ? { ...schedule, at: undefined } : schedule
}

/** Without what is undefined. */
const plain = (value: unknown): Json => JSON.parse(JSON.stringify(value)) as Json

/** The old instant never fires once the schedule has changed; where it has not, it stays. What it is already says nothing. */
export function update(
  id: string,
  state: TriggerState,
  { facts, payload }: Definition,
  now: number,
  keepsPayload: boolean = payload === undefined,
): Draft[] {
  const isSame = sameJson(plain(state.schedule), plain(facts.schedule))
  if (isSame && keepsPayload && isSameAs(state, facts)) return []
  const nextAt = isSame ? state.nextAt : firstOccurrence(facts.schedule, now)
  const data = { ...withNext(facts, nextAt), ...(keepsPayload && { keepsPayload: true as const }) }
  return [draft(id, 'TriggerUpdated', data, keepsPayload ? undefined : payload)]
}

/** What it is, once more, at the end of its stream. */
export function restate({ id, nextAt, ...state }: TriggerState, payload: Content): Draft[] {
  const { schedule, type, options, defaults, code, misfire, debounce } = state
  const facts = plain({ schedule, type, options, defaults, code, misfire, debounce }) as unknown as TriggerFacts
  return [draft(id, 'TriggerUpdated', { ...withNext(facts, nextAt), restated: true as const }, payload)]
}

function withNext<Facts extends object>(
  facts: Facts,
  nextAt: number | undefined,
): Facts & { readonly nextAt?: number } {
  return nextAt === undefined ? facts : { ...facts, nextAt }
}

export function pause(id: string, state: TriggerState, reason: string | undefined): Draft[] {
  if (state.status === 'paused') return []
  return [draft(id, 'TriggerPaused', reason === undefined ? {} : { reason })]
}

/** What would have fired meanwhile has not been missed: it was not to fire. A one-shot keeps its instant. */
export function resume(id: string, state: TriggerState, now: number): Draft[] {
  if (state.status !== 'paused') return []
  const { schedule, nextAt } = state
  const isOver = nextAt !== undefined && nextAt <= now && !isOneShot(state)
  return [draft(id, 'TriggerResumed', withNext({}, isOver ? nextOccurrence(schedule, nextAt, now) : nextAt))]
}

export const remove = (id: string, facts: TriggerRemoved): Draft[] => [draft(id, 'TriggerRemoved', facts)]

const isOneShot = ({ schedule }: TriggerFacts): boolean => schedule.kind === 'at' || schedule.kind === 'in'

/** What an occurrence has come to. */
export interface Due {
  /** It fires. */
  readonly fires: boolean
  readonly nextAt: number | undefined
  /** Of those that were missed. */
  readonly missed: Pick<TriggerMissed, 'occurrence' | 'count' | 'more'> | undefined
}

type Waiting = TriggerState & { readonly nextAt: number }

/** Occurrences after `nextAt`, up to and with `until`. */
export interface Others {
  readonly until: number
  readonly count: number
  /** There are more: counting was given up. */
  readonly more: boolean
}

/** Up to when those that follow `nextAt` are missed with it; undefined: it is not late, or has none that would be. */
export function missedUntil(state: Waiting, now: number): number | undefined {
  const { nextAt, misfire = 'coalesce' } = state
  if (isOneShot(state) || misfire === 'all' || now - nextAt <= MISFIRE_GRACE) return undefined
  // Of those that are due, `skip` still fires what is not late yet.
  return misfire === 'skip' ? now - MISFIRE_GRACE - 1 : now
}

/** What is to be done about `nextAt` now that it has come. `counted`: those that are missed with it, if there were many. */
export function judgeDue(state: Waiting, now: number, counted?: Others): Due {
  const { schedule, nextAt: due } = state
  if (schedule.kind === 'at' || schedule.kind === 'in') {
    const isTooLate = schedule.lateMs !== null && now - due > schedule.lateMs
    return { fires: !isTooLate, nextAt: undefined, missed: isTooLate ? { occurrence: due } : undefined }
  }
  const lateUntil = missedUntil(state, now)
  const second = nextOccurrence(schedule, due)
  if (lateUntil === undefined) return { fires: true, nextAt: second, missed: undefined }
  const { until, count, more } = counted ?? countFew(schedule, due, lateUntil)
  const nextAt = nextOccurrence(schedule, due, until)
  if (state.misfire === 'skip') return { fires: false, nextAt, missed: missedFrom(due, count + 1, more) }
  return { fires: true, nextAt, missed: count === 0 ? undefined : missedFrom(second as number, count, more) }
}

function countFew(schedule: Schedule, due: number, until: number): Others {
  const { count, last } = countOccurrences(schedule, due, until, MOST_COUNTED)
  return { until, count, more: last !== undefined }
}

const missedFrom = (occurrence: number, count: number, more: boolean): Due['missed'] => ({
  occurrence,
  ...(count > 1 && { count }),
  ...(more && { more }),
})

/** The facts of a firing, and what follows from it: a one-shot is done. */
export function fire(state: TriggerState, fired: TriggerFired, content?: Content): Draft[] {
  const { id } = state
  const drafts: Draft[] = [draft(id, 'TriggerFired', fired, content)]
  return fired.by === 'time' && isOneShot(state) ? [...drafts, ...remove(id, { by: 'done' })] : drafts
}

export function miss(state: TriggerState, missed: TriggerMissed): Draft[] {
  const { id } = state
  const drafts: Draft[] = [draft(id, 'TriggerMissed', missed)]
  return missed.by === 'time' && isOneShot(state) ? [...drafts, ...remove(id, { by: 'done' })] : drafts
}

/**
 * Revisions of a trigger's stream whose bodies nobody needs any more once these facts are recorded: those of a window that is
 * over, and a payload that another one has replaced, or whose trigger is gone. What jobs were given lies in them.
 */
export function leftBehind({ window, payloadAt, revision }: TriggerState, drafts: readonly Draft[]): number[] {
  const isGone = drafts.some(({ type }) => type === 'TriggerRemoved')
  const isOver = isGone || drafts.some(endsWindow)
  const own = isGone || drafts.some(replacesPayload) ? [payloadAt] : []
  if (!isOver || window === undefined || window.combine === 'drop') return own
  const last = window.combine === 'first' ? window.revision : revision
  return [...own, ...Array.from({ length: last - window.revision + 1 }, (_, index) => window.revision + index)]
}

type Told = Pick<Draft, 'type' | 'data'>

export const replacesPayload = ({ type, data }: Told): boolean =>
  type === 'TriggerUpdated' && !(data as TriggerUpdated).keepsPayload

export const endsWindow = ({ type, data }: Told): boolean =>
  (type === 'TriggerFired' && (data as TriggerFired).collected !== undefined) ||
  (type === 'TriggerMissed' && (data as TriggerMissed).closes === true)

/** Whether a request comes too late for the window that is open: that one has to be closed first. */
export const isOver = ({ window }: TriggerState, now: number): boolean => window !== undefined && now >= window.until

/** What goes into a window: nothing, all payloads, or the first one. */
const KEEPS: Readonly<Record<Combine, (isFirst: boolean) => boolean>> = {
  drop: () => false,
  append: () => true,
  first: (isFirst) => isFirst,
}

/** One more request of a trigger that waits for more to come. */
export function collect(
  state: TriggerState & { readonly debounce: NonNullable<TriggerState['debounce']> },
  request: DebounceCollected,
  content: Content,
  now: number,
): Draft[] {
  const { id, debounce, window } = state
  const { combine } = window ?? debounce
  const kept = KEEPS[combine](window === undefined) ? content : undefined
  const { bytes: _, ...rest } = request
  const facts = kept === undefined ? rest : request
  if (window !== undefined) return [draft(id, 'DebounceCollected', facts, kept)]
  return [draft(id, 'DebounceOpened', { ...facts, until: now + debounce.ms, combine }, kept)]
}
