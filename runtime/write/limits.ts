/** What a job type says about who may enqueue it, and how often. Each throws InvalidOption. */

import type { RateLimit } from '../../domain/claim/rate.js'
import type { Duration } from '../../domain/duration.js'
import { toMs } from '../../domain/duration.js'
import { InvalidOption } from '../../domain/errors.js'
import { checkKeys, toCount, toName } from '../checks.js'

/** One or several; an empty list would let nobody in. */
export function toRoles(value: unknown, option: string): readonly string[] {
  if (!Array.isArray(value)) return [toName(value, option)]
  if (value.length === 0) throw new InvalidOption(option, 'a role, or an array of at least one', value)
  return value.map((role, index) => toName(role, `${option}[${index}]`))
}

/** At most so many jobs of a type are enqueued in each channel per window of time. */
export interface RateLimitOptions {
  readonly limit: number
  /** Length of a window, at least 1 s. Windows follow each other from the epoch on: those of `1h` begin with the hour, UTC. */
  readonly per: Duration
}

const RATE_KEYS = new Set(['limit', 'per'])
const MIN_WINDOW = 1_000

export function toRateLimit(given: RateLimitOptions, option: string): RateLimit {
  checkKeys(given, RATE_KEYS, option)
  const perMs = toMs(given.per, `${option}.per`)
  if (perMs < MIN_WINDOW) throw new InvalidOption(`${option}.per`, 'a duration of at least 1 s', given.per)
  return { limit: toCount(given.limit, `${option}.limit`, 1), perMs }
}
