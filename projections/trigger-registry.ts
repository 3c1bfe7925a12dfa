import TinyQueue from 'tinyqueue'
import type { RecordedEvent } from '../domain/event.js'
import { courseOf } from '../domain/job/course.js'
import type { TriggerEvent } from '../domain/trigger/events.js'
import { isTriggerStream, triggerIdOf } from '../domain/trigger/events.js'
import type { TriggerState } from '../domain/trigger/evolve.js'
import { dueAt, evolveTrigger } from '../domain/trigger/evolve.js'
import type { EventRule, SourceEvent } from '../domain/trigger/match.js'
import { matches } from '../domain/trigger/match.js'
import type { JobChange } from './job-board.js'
import { OWN_TYPES, ownEvent } from './own-events.js'
import type { TriggerRecord } from './trigger-record.js'
import { NO_RECORD, recordAfter } from './trigger-record.js'

/** An event of the log that has matched a trigger, which has not answered to it yet. */
export interface Owed {
  readonly triggerId: string
  /** Id and time of the event. */
  readonly source: string
  readonly at: number
  readonly event: SourceEvent
  /** Triggers in whose course it came about. */
  readonly chain: readonly string[]
}

interface Deadline {
  readonly id: string
  readonly at: number
}

export interface SavedTriggers {
  readonly triggers: readonly TriggerState[]
  readonly records: readonly (readonly [string, TriggerRecord])[]
  readonly owed: readonly Owed[]
  readonly bad: readonly (readonly [string, string])[]
}

/** Triggers that were not removed, what their jobs have come to, and what is to be done about them. */
export class TriggerRegistry {
  readonly #triggers = new Map<string, TriggerState>()
  readonly #records = new Map<string, TriggerRecord>()
  /** Triggers that ask for events of this log. */
  readonly #listeners = new Map<string, TriggerState>()
  readonly #owed = new Map<string, Owed>()
  readonly #bad = new Map<string, string>()
  /** Deadlines to come, outdated ones among them; and triggers whose deadline has been seen to pass. */
  readonly #deadlines = new TinyQueue<Deadline>([], (a, b) => a.at - b.at)
  readonly #due = new Set<string>()
  #changes = 0
  #remembered = 0

  /** Grows with all that may give somebody something to do. */
  get changes(): number {
    return this.#changes
  }

  /** Grows with all that changes what `toJSON` gives. */
  get writes(): number {
    return this.#changes + this.#remembered
  }

  get(id: string): TriggerState | undefined {
    return this.#triggers.get(id)
  }

  get triggers(): ReadonlyMap<string, TriggerState> {
    return this.#triggers
  }

  record(id: string): TriggerRecord {
    return this.#records.get(id) ?? NO_RECORD
  }

  /** Events that triggers have to answer to, in the order of the log. */
  get owed(): Iterable<Owed> {
    return this.#owed.values()
  }

  owes(id: string, source: string): boolean {
    return this.#owed.has(keyOf(id, source))
  }

  /** Triggers to be removed, with the job that says so. */
  get bad(): ReadonlyMap<string, string> {
    return this.#bad
  }

  /** Triggers that time has something to do with by now. */
  *due(now: number): Iterable<TriggerState> {
    for (let next = this.#deadlines.peek(); next !== undefined && next.at <= now; next = this.#deadlines.peek()) {
      this.#deadlines.pop()
      if (this.#deadlineOf(next.id) === next.at) this.#due.add(next.id)
    }
    for (const id of this.#due) yield this.#triggers.get(id) as TriggerState
  }

  /** When time next has something to do with one that is not due yet (ms). Right after `due`. */
  nextDeadline(): number | undefined {
    for (let next = this.#deadlines.peek(); next !== undefined; next = this.#deadlines.peek()) {
      if (this.#deadlineOf(next.id) === next.at && !this.#due.has(next.id)) return next.at
      this.#deadlines.pop()
    }
    return undefined
  }

  #deadlineOf(id: string): number | undefined {
    const state = this.#triggers.get(id)
    return state && dueAt(state)
  }

  /** Active triggers that an event of this channel matches. One without a channel of its own hears all channels. */
  matching(event: SourceEvent, channel: string): TriggerState[] {
    return [...this.#triggers.values()].filter((trigger) => hears(trigger, event, channel))
  }

  /** Folds one event of a trigger; other streams are not its business. Throws IllegalEvent and is then unchanged. */
  apply(event: RecordedEvent): void {
    if (!isTriggerStream(event.stream)) return
    const id = triggerIdOf(event.stream)
    const own = event as RecordedEvent & TriggerEvent
    const state = evolveTrigger(this.#triggers.get(id), own)
    this.#settle(id, own)
    if (state.status === 'removed') this.#forget(id)
    else this.#keep(state)
    if (own.type === 'TriggerUpdated') this.#dropOwed(id, (event) => !asksFor(state, event))
  }

  #settle(id: string, { type, data }: TriggerEvent): void {
    this.#changes += 1
    if (type === 'TriggerUpdated') this.#bad.delete(id)
    if ('source' in data && data.source !== undefined) this.#owed.delete(keyOf(id, data.source))
  }

  #keep(state: TriggerState): void {
    const { id } = state
    const before = this.#deadlineOf(id)
    this.#triggers.set(id, state)
    if (listensHere(state)) this.#listeners.set(id, state)
    else this.#listeners.delete(id)
    const deadline = dueAt(state)
    if (deadline === before) return
    this.#due.delete(id)
    if (deadline !== undefined) this.#deadlines.push({ id, at: deadline })
  }

  #forget(id: string): void {
    for (const map of [this.#triggers, this.#records, this.#listeners, this.#bad]) map.delete(id)
    this.#dropOwed(id, () => true)
    this.#due.delete(id)
  }

  #dropOwed(id: string, isOver: (event: SourceEvent) => boolean): void {
    for (const [key, { triggerId, event }] of this.#owed) if (triggerId === id && isOver(event)) this.#owed.delete(key)
  }

  /** Hot path: once per event of a job, budget 50 ns where no trigger made it and none waits for it. */
  follow(change: JobChange): void {
    const { after } = change
    const trigger = after.rare?.trigger
    if (trigger !== undefined && this.#triggers.has(trigger.id)) this.#remember(trigger.id, change)
    if (this.#listeners.size > 0) this.#hear(change)
  }

  #remember(id: string, { before, after }: JobChange): void {
    const [was, record] = [this.record(id), recordAfter(this.record(id), before, after)]
    if (record !== was) {
      this.#records.set(id, record)
      this.#remembered += 1
    }
    const isBad = after.outcome === 'failed' && after.error === BAD_TRIGGER
    // One that has been changed since is not what the job complains of.
    if (!isBad || (this.#triggers.get(id) as TriggerState).definedAt > after.queuedAt) return
    this.#bad.set(id, after.id)
    this.#changes += 1
  }

  #hear(change: JobChange): void {
    const event = ownEvent(change)
    if (event === undefined) return
    const { event: recorded, after } = change
    for (const [id, trigger] of this.#listeners) {
      if (!hears(trigger, event, after.channel)) continue
      const { id: source, at } = recorded
      this.#owed.set(keyOf(id, source), { triggerId: id, source, at, event, chain: courseOf(after.rare ?? {}) })
      this.#changes += 1
    }
  }

  /** For a checkpoint. */
  toJSON(): SavedTriggers {
    return {
      triggers: [...this.#triggers.values()],
      records: [...this.#records],
      owed: [...this.#owed.values()],
      bad: [...this.#bad],
    }
  }

  /** Takes up what `toJSON` gave. */
  restore({ triggers, records, owed, bad }: SavedTriggers): void {
    for (const trigger of triggers) this.#keep(trigger)
    for (const [id, record] of records) this.#records.set(id, record)
    for (const each of owed) this.#owed.set(keyOf(each.triggerId, each.source), each)
    for (const [id, jobId] of bad) this.#bad.set(id, jobId)
  }
}

/** Name of the error with which a job says that its trigger makes no sense. */
const BAD_TRIGGER = 'BadTrigger'

const keyOf = (id: string, source: string): string => `${source} ${id}`

function hears(trigger: TriggerState, event: SourceEvent, channel: string): boolean {
  const own = trigger.options?.channel ?? ''
  return trigger.status === 'active' && (own === '' || own === channel) && asksFor(trigger, event)
}

/** A rule for all there is does not mean jobs; and a job that failed and is sent round again has not failed again. */
function asksFor({ schedule }: TriggerState, event: SourceEvent): boolean {
  if (schedule.kind !== 'event') return false
  const { rules } = schedule
  return event.type.startsWith(OWN_TYPES) ? matches(rules.filter(isOfHere), event, false) : matches(rules, event)
}

function listensHere({ status, schedule }: TriggerState): boolean {
  return status === 'active' && schedule.kind === 'event' && schedule.rules.some(isOfHere)
}

const isOfHere = ({ type }: EventRule): boolean => type.startsWith(OWN_TYPES)
