import { InvalidOption } from './errors.js'

/** An instant: a Date, ms since the epoch, or ISO 8601 text with its zone. */
export type Instant = Date | number | string

/** The last one that a Date can show. */
export const LAST_INSTANT = 8.64e15

/** Milliseconds since the epoch. */
export function toInstant(value: Instant, option: string): number {
  const ms = typeof value === 'number' ? value : value instanceof Date ? value.getTime() : parseIso(value)
  if (Number.isFinite(ms) && ms >= 0 && ms <= LAST_INSTANT) return Math.round(ms)
  throw new InvalidOption(
    option,
    'an instant (Date, ms since the epoch, or ISO 8601 text with time and zone, as 2026-12-24T18:00:00Z)',
    value,
  )
}

/** Text without a zone would mean another instant on another machine. */
const ISO = /^(\d{4}-\d\d-\d\d)T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)$/

function parseIso(text: unknown): number {
  const day = typeof text === 'string' ? ISO.exec(text)?.[1] : undefined
  return day !== undefined && isDay(day) ? new Date(text as string).getTime() : Number.NaN
}

/** `Date` takes 30 February for 2 March. */
function isDay(day: string): boolean {
  const instant = new Date(day).getTime()
  return Number.isFinite(instant) && new Date(instant).toISOString().startsWith(day)
}
