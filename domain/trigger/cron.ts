/**
 * Cron expressions; the one place that knows croner. 5 fields, or 6 with seconds first, or a macro (`@daily`). When both day
 * fields are restricted, either matches.
 *
 * Where clocks change: an expression without `*` or a step in seconds, minutes and hours names times of day. One that the day
 * does not have comes right after the gap, if that is still the same day; one that it has twice comes the first time only. All
 * other expressions follow the clock: what it leaves out is left out, what it shows twice comes twice.
 */
import { Cron } from 'croner'
import { toMs } from '../duration.js'
import { InvalidOption } from '../errors.js'

const EXPECTED =
  'a cron expression of 5 or 6 fields (seconds first), a macro such as "@daily", or "@every" with a duration of more than 0'
const FIELDS = /^(?:[\w*,/?#-]+\s+){4,5}[\w*,/?#-]+$/
const MACRO = /^@(?:yearly|annually|monthly|weekly|daily|midnight|hourly)$/i
const EVERY = /^\s*@every\s+(.*?)\s*$/i

/** The expression as it is recorded. Throws InvalidOption that names `option`. `now`: it must come some time after. */
export function toCron(given: unknown, timezone: string | undefined, now: number, option: string): string {
  const text = typeof given === 'string' ? given.trim() : ''
  if (!FIELDS.test(text) && !MACRO.test(text)) throw new InvalidOption(option, EXPECTED, given)
  let next: number | undefined
  try {
    next = nextByCron(text, timezone, now)
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace('CronPattern: ', '') : ''
    throw new InvalidOption(option, `${EXPECTED} (${reason})`, given)
  }
  if (next === undefined) throw new InvalidOption(option, 'a cron expression that some day fits', given)
  return text
}

/** ms of `@every <duration>`; undefined for any other expression. Throws InvalidOption that names `option`. */
export function cronInterval(expression: unknown, option: string): number | undefined {
  const duration = typeof expression === 'string' ? EVERY.exec(expression)?.[1] : undefined
  return duration === undefined ? undefined : toInterval(duration, option)
}

/** Whole ms, 1 s at least. */
export function toInterval(given: unknown, option: string): number {
  const ms = toMs(given as number | string, option)
  if (ms > 0) return Math.max(ms, 1_000)
  throw new InvalidOption(option, 'a duration above 0', given)
}

/** A time zone as the IANA names them. Throws InvalidOption that names `option`. */
export function toTimezone(given: unknown, option: string): string {
  if (isTimezone(given)) return given
  throw new InvalidOption(option, 'an IANA time zone such as "Europe/Berlin"', given)
}

function isTimezone(given: unknown): given is string {
  // Some engines take `+02:00` for one.
  if (typeof given !== 'string' || !/^[A-Za-z]/.test(given)) return false
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: given }) instanceof Intl.DateTimeFormat
  } catch {
    return false
  }
}

/** The first instant (ms) after `after`; undefined: there is none before the year 3000. No time zone: UTC. */
export function nextByCron(expression: string, timezone: string | undefined, after: number): number | undefined {
  const { cron, found } = planOf(expression, timezone)
  // Occurrences are whole seconds, so the same one follows each instant of a second.
  const second = Math.floor(after / SECOND)
  const known = found.get(second)
  if (known !== undefined) return known * SECOND
  const next = cron.nextRun(new Date(second * SECOND))?.getTime()
  if (next === undefined) return undefined
  if (found.size >= FOUND) found.clear()
  found.set(second, next / SECOND)
  return next
}

interface Plan {
  readonly cron: Cron
  /** What follows a second, in seconds: many triggers share one expression, and come up one after the other. */
  readonly found: Map<number, number>
}

const SECOND = 1_000
/** A search takes 50 us, this many results 80 kB. */
const FOUND = 2_048

/** One takes 30 us to make, or more, and holds 80 kB. Which of them are here changes no answer. */
const plans = new Map<string, Plan>()
const PLANS = 256

function planOf(expression: string, timezone: string | undefined): Plan {
  const key = `${timezone ?? ''} ${expression}`
  const known = plans.get(key)
  if (known !== undefined) return known
  const plan: Plan = { cron: toCroner(expression, timezone), found: new Map() }
  const [oldest] = plans.keys()
  if (plans.size >= PLANS && oldest !== undefined) plans.delete(oldest)
  plans.set(key, plan)
  return plan
}

function toCroner(expression: string, timezone: string | undefined): Cron {
  // An offset of 0 is UTC without asking the time zone database, four times as fast.
  const zone = timezone === undefined ? { utcOffset: 0 } : { timezone }
  return new Cron(expression, { ...zone, mode: '5-or-6-parts', fixedTimeRule: 'no-wildcard' })
}
