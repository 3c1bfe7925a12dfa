/**
 * What a job type says about who may enqueue it, and how often, and how many run at once. Each throws InvalidOption;
 * `toConcurrency` throws EnqueueRefused, too.
 */

import type { RateLimit } from '../../domain/claim/rate.js'
import type { Duration } from '../../domain/duration.js'
import { toMs } from '../../domain/duration.js'
import { InvalidOption } from '../../domain/errors.js'
import type { KeyLimit } from '../../domain/job/events.js'
import { checkKeys, toCount, toName } from '../checks.js'
import { EnqueueRefused } from '../errors.js'
import type { EnqueueOptions } from './contract.js'

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

/** Jobs that share a key, of whatever type, run only so many at once. */
export interface ConcurrencyOptions<Payload> {
  /** 1 to 200 characters; or computed from the payload as it was given to `enqueue`, where undefined is no key. */
  readonly concurrencyKey?: string | ((payload: Payload) => string | undefined)
  /** Runs at once of all jobs with the key, in all processes, 1 to 1,000. Default 1. */
  readonly concurrencyLimit?: number
}

/** Those of a type, checked. */
export interface TypeConcurrency {
  readonly concurrencyKey: string | ((payload: never) => string | undefined) | undefined
  readonly concurrencyLimit: number | undefined
}

interface NamedConcurrency extends TypeConcurrency {
  readonly type: string
}

/** Every run that begins records all that are going on. */
const MOST_AT_ONCE = 1_000

const toLimit = (value: unknown, option: string): number => toCount(value, option, 1, MOST_AT_ONCE)

export function toTypeConcurrency({ concurrencyKey, concurrencyLimit }: ConcurrencyOptions<never>): TypeConcurrency {
  const isFixed = concurrencyKey !== undefined && typeof concurrencyKey !== 'function'
  return {
    concurrencyKey: isFixed ? toName(concurrencyKey, 'defineJob.concurrencyKey') : concurrencyKey,
    concurrencyLimit:
      concurrencyLimit === undefined ? undefined : toLimit(concurrencyLimit, 'defineJob.concurrencyLimit'),
  }
}

/** Of one job: what is said of it, else what its type says. */
export function toConcurrency(
  definition: NamedConcurrency,
  payload: unknown,
  own: Pick<EnqueueOptions, 'concurrencyKey' | 'concurrencyLimit'>,
  path: string,
): KeyLimit | undefined {
  const { concurrencyLimit } = own
  const ofType = definition.concurrencyLimit ?? 1
  const limit = concurrencyLimit === undefined ? ofType : toLimit(concurrencyLimit, `${path}.concurrencyLimit`)
  if (own.concurrencyKey !== undefined) return { key: toName(own.concurrencyKey, `${path}.concurrencyKey`), limit }
  const key = keyOf(definition, payload, path)
  if (key !== undefined) return { key: toName(key, 'defineJob.concurrencyKey()'), limit }
  if (concurrencyLimit === undefined) return undefined
  throw new InvalidOption(`${path}.concurrencyLimit`, 'absent where there is no `concurrencyKey`', concurrencyLimit)
}

function keyOf({ type, concurrencyKey }: NamedConcurrency, payload: unknown, path: string): unknown {
  if (typeof concurrencyKey !== 'function') return concurrencyKey
  try {
    return concurrencyKey(payload as never)
  } catch (error) {
    throw new EnqueueRefused(path, type, error, 'concurrencyKey')
  }
}
