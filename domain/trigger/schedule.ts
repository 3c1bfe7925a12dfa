/** When a trigger fires: what may be asked for, what is recorded of it, and the occurrences that follow from that. */
import type { Duration } from '../duration.js'
import { toMs } from '../duration.js'
import { InvalidOption } from '../errors.js'
import type { Instant } from '../instant.js'
import { LAST_INSTANT, toInstant } from '../instant.js'
import { cronInterval, nextByCron, toCron, toInterval, toTimezone } from './cron.js'
import type { EventRule } from './match.js'
import { toRules } from './match.js'
import type { Frequency } from './spread.js'
import { toSlot } from './spread.js'

/** What is recorded of when a trigger fires. Storage format: it grows by optional fields only. Absent time zone: UTC. */
export type Schedule =
  /** `when`: also `@every <duration>`. */
  | { readonly kind: 'cron'; readonly when: string; readonly timezone?: string }
  | { readonly kind: 'every'; readonly when: string; readonly everyMs: number }
  /** `lateMs`: how long after `at` it still fires; null: however late. */
  | { readonly kind: 'at'; readonly at: number; readonly lateMs: number | null }
  /** `at`: `inMs` after the schedule was made. */
  | { readonly kind: 'in'; readonly at: number; readonly inMs: number; readonly lateMs: number | null }
  /** `when`: the phrase, '' for none. `cron`: the slot that was chosen. */
  | { readonly kind: Frequency; readonly when: string; readonly cron: string; readonly timezone?: string }
  | { readonly kind: 'event'; readonly when: string; readonly rules: readonly EventRule[] }
  | { readonly kind: 'webhook' | 'client' }

export type TriggerKind = Schedule['kind']

export interface ScheduleOptions {
  readonly kind: unknown
  readonly when?: unknown
  readonly timezone?: unknown
  readonly late?: unknown
}

interface Setting {
  /** Instant (ms) at which the schedule is made. */
  readonly now: number
  /** Triggers with different seeds get different slots. */
  readonly seed: string
}

type Reader = (given: ScheduleOptions, setting: Setting, path: string) => Schedule

const READERS: Readonly<Record<TriggerKind, Reader>> = {
  cron: readCron,
  every: readEvery,
  at: readAt,
  in: readIn,
  hourly: spread('hourly'),
  daily: spread('daily'),
  weekly: spread('weekly'),
  monthly: spread('monthly'),
  event: readEvent,
  webhook: without('webhook'),
  client: without('client'),
}

export const TRIGGER_KINDS: readonly TriggerKind[] = Object.keys(READERS) as TriggerKind[]

const ZONED: readonly unknown[] = ['cron', 'hourly', 'daily', 'weekly', 'monthly']
const ONCE: readonly unknown[] = ['at', 'in']

/** Throws InvalidOption that names `<path>.kind`, `.when`, `.timezone` or `.late`. */
export function toSchedule(given: ScheduleOptions, setting: Setting, path: string): Schedule {
  const { kind, timezone, late } = given
  if (typeof kind !== 'string' || !Object.hasOwn(READERS, kind))
    throw new InvalidOption(`${path}.kind`, `one of ${TRIGGER_KINDS.join(', ')}`, kind)
  if (!ZONED.includes(kind)) refuse(timezone, kind, `${path}.timezone`)
  if (!ONCE.includes(kind)) refuse(late, kind, `${path}.late`)
  return READERS[kind as TriggerKind](given, setting, path)
}

function refuse(value: unknown, kind: string, option: string): void {
  if (value !== undefined) throw new InvalidOption(option, `absent for a trigger of kind ${kind}`, value)
}

function readCron({ when, timezone }: ScheduleOptions, { now }: Setting, path: string): Schedule {
  const everyMs = cronInterval(when, `${path}.when`)
  if (everyMs !== undefined) {
    refuse(timezone, 'cron with "@every"', `${path}.timezone`)
    checkDate(now + everyMs, when, `${path}.when`)
    return { kind: 'cron', when: (when as string).trim() }
  }
  const zone = toZone(timezone, path)
  return { kind: 'cron', when: toCron(when, zone.timezone, now, `${path}.when`), ...zone }
}

function readEvery({ when }: ScheduleOptions, { now }: Setting, path: string): Schedule {
  const everyMs = toInterval(when, `${path}.when`)
  checkDate(now + everyMs, when, `${path}.when`)
  return { kind: 'every', when: typeof when === 'number' ? `${when}ms` : String(when), everyMs }
}

function readAt({ when, late }: ScheduleOptions, _setting: Setting, path: string): Schedule {
  return { kind: 'at', at: toInstant(when as Instant, `${path}.when`), lateMs: toLate(late, `${path}.late`) }
}

function readIn({ when, late }: ScheduleOptions, { now }: Setting, path: string): Schedule {
  const inMs = toMs(when as Duration, `${path}.when`)
  const at = now + inMs
  checkDate(at, when, `${path}.when`)
  return { kind: 'in', at, inMs, lateMs: toLate(late, `${path}.late`) }
}

function spread(kind: Frequency): Reader {
  return ({ when = '', timezone }, { seed }, path) => {
    const cron = toSlot(kind, when, seed, `${path}.when`)
    return { kind, when: String(when).trim(), cron, ...toZone(timezone, path) }
  }
}

function readEvent({ when }: ScheduleOptions, _setting: Setting, path: string): Schedule {
  const rules = toRules(when, `${path}.when`)
  return { kind: 'event', when: typeof when === 'string' ? when.trim() : JSON.stringify(rules), rules }
}

function without(kind: 'webhook' | 'client'): Reader {
  return ({ when }, _setting, path) => {
    refuse(when, kind, `${path}.when`)
    return { kind }
  }
}

function toZone(timezone: unknown, path: string): { readonly timezone?: string } {
  return timezone === undefined ? {} : { timezone: toTimezone(timezone, `${path}.timezone`) }
}

function checkDate(at: number, when: unknown, option: string): void {
  if (at > LAST_INSTANT) throw new InvalidOption(option, 'a duration that ends where there are still dates', when)
}

const DAY_MS = 86_400_000

function toLate(late: unknown, option: string): number | null {
  if (late === undefined) return DAY_MS
  return late === 'always' ? null : toMs(late as Duration, option)
}

/** The first occurrence (ms) of a schedule made at `now`; undefined: it has none by time. */
export function firstOccurrence(schedule: Schedule, now: number): number | undefined {
  return 'at' in schedule ? schedule.at : nextOccurrence(schedule, now)
}

/** The first occurrence after `after` of those that follow `last`, which is one itself; undefined: there is none. */
export function nextOccurrence(schedule: Schedule, last: number, after: number = last): number | undefined {
  const from = Math.max(last, after)
  const everyMs = intervalOf(schedule)
  if (everyMs !== undefined) {
    const next = from - ((from - last) % everyMs) + everyMs
    return next <= LAST_INSTANT ? next : undefined
  }
  if (schedule.kind === 'cron') return nextByCron(schedule.when, schedule.timezone, from)
  return 'cron' in schedule ? nextByCron(schedule.cron, schedule.timezone, from) : undefined
}

/** Occurrences that were counted. `last` of them: there are more; absent: these were all. */
export interface Counted {
  readonly count: number
  readonly last?: number
}

/** Occurrences after `last`, which is one itself, up to and with `until`: at most so many, all of them where that is no work. */
export function countOccurrences(schedule: Schedule, last: number, until: number, most: number): Counted {
  const everyMs = intervalOf(schedule)
  if (everyMs !== undefined) {
    const span = Math.max(0, Math.min(until, LAST_INSTANT) - last)
    return { count: (span - (span % everyMs)) / everyMs }
  }
  let from = last
  for (let count = 0; ; count += 1) {
    const next = nextOccurrence(schedule, from)
    if (next === undefined || next > until) return { count }
    if (count >= most) return { count, last: from }
    from = next
  }
}

/** ms; undefined: its occurrences are at no fixed distance. */
export function intervalOf(schedule: Schedule): number | undefined {
  if (schedule.kind === 'every') return schedule.everyMs
  return schedule.kind === 'cron' ? cronInterval(schedule.when, 'when') : undefined
}

/** At most `count` instants: the first one, if there is one, and those that follow it. */
export function occurrencesFrom(schedule: Schedule, first: number | undefined, count: number): number[] {
  const instants: number[] = []
  for (let next = first; next !== undefined && instants.length < count; next = nextOccurrence(schedule, next))
    instants.push(next)
  return instants
}
