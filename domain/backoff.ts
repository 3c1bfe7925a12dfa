import type { Duration } from './duration.js'
import { toMs } from './duration.js'
import { InvalidOption } from './errors.js'

/**
 * How long a failed attempt waits for the next one, as it is recorded with the job (times in ms). A storage format: it
 * grows by optional fields only, and a field that says nothing is left out.
 */
export interface Backoff {
  readonly min: number
  readonly max: number
  readonly factor: number
  /**
   * The random spread of the delay min x factor^(attempt - 1), capped at max. `full`: anywhere from 0 to it. `min`: anywhere
   * from min to it. A fraction f from 0 to 1: within +-f of it, so that up to max x (1 + f) may come out. 0 is none.
   */
  readonly jitter: 'full' | 'min' | number
  /** Tries in all, the first included, after which the job fails; absent: its `maxAttempts` alone counts. */
  readonly limit?: number
  /** Time since the first run of the round began, after which no retry begins; absent: any time. */
  readonly expiration?: number
}

/**
 * What a caller may give. What is left out, or undefined, comes from the default: that of the job type, in the end
 * 1 s x 2^n, at most 1 h, full jitter, neither limit nor expiration. Any other key is refused.
 */
export interface BackoffOptions {
  /** Delay after the first failed attempt. */
  readonly min?: Duration
  /** Cap of the delay, before a jitter fraction; at least `min`, which raises the default. */
  readonly max?: Duration
  /** What the delay grows by with each attempt, at least 1. */
  readonly factor?: number
  /** `full`: from 0 to the delay. `min`: from `min` to it. A fraction from 0 to 1: +-that much of it, also beyond `max`. */
  readonly jitter?: 'full' | 'min' | 'none' | number
  /** Tries in all, the first included: it tightens the job's `maxAttempts`, and never widens it. null: none. */
  readonly limit?: number | null
  /** Above 0: how long after its first run began a job (a round of it) may still be tried again. null: for ever. */
  readonly expiration?: Duration | null
}

/** 1 s x 2^n, at most 1 h, full jitter: 20 attempts take about 10 hours in all. */
export const DEFAULT_BACKOFF: Backoff = Object.freeze({ min: 1_000, max: 3_600_000, factor: 2, jitter: 'full' })

/** The longest delay there is (ms, 126,000 years): spread by a whole fraction and added to the present it is still a date. */
const LONGEST = 4e15

/** The delays of other queues, for those who come from one. They say nothing of `limit` and `expiration`. */
export const backoffPresets: Readonly<Record<'gue' | 'cozy' | 'boltqueue' | 'immediate', BackoffOptions>> =
  Object.freeze({
    /** gue, arrower: 1 s x 1.6^failures, at most 1 h, then +-20 %. The first failure counts: it waits 1.6 s. */
    gue: Object.freeze({ min: 1_600, max: 3_600_000, factor: 1.6, jitter: 0.2 }),
    /** cozy-stack: 60 ms x 2^(k - 2) before run k, then +-10 %, without a cap. */
    cozy: Object.freeze({ min: 60, max: LONGEST, factor: 2, jitter: 0.1 }),
    /** boltqueue: 100 ms x 2^n, n from 0, at most 10 s. */
    boltqueue: Object.freeze({ min: 100, max: 10_000, factor: 2, jitter: 'none' }),
    /** osbuild, synk: at once. */
    immediate: Object.freeze({ min: 0, max: 0, factor: 1, jitter: 'none' }),
  })

/**
 * Delay in whole ms after the `attempt`-th failed attempt (from 1). `draw` is a random number in [0, 1).
 * At most `max`, but that a jitter fraction applies after the cap: f may exceed `max` by its fraction. So jobs that have all
 * reached the cap stay spread on both sides of it.
 */
export function backoffDelay(backoff: Backoff, attempt: number, draw: number): number {
  const { min, max, factor, jitter } = backoff
  // A job without an attempt limit gets to where the power overflows, and 0 times infinity is no delay at all.
  const growth = Math.min(Number.MAX_VALUE, factor ** (attempt - 1))
  const delay = Math.min(max, LONGEST, min * growth)
  if (jitter === 'full') return Math.round(delay * draw)
  if (jitter === 'min') return Math.round(min + (delay - min) * draw)
  return Math.round(delay * (1 + jitter * (2 * draw - 1)))
}

/** Attempts that a job has in a round, the first included: the smaller of the policy's and the job's own; null is unlimited. */
export function tries(backoff: Backoff, maxAttempts: number | null): number | null {
  const { limit } = backoff
  if (limit === undefined) return maxAttempts
  return maxAttempts === null ? limit : Math.min(limit, maxAttempts)
}

/** Instant (ms) after which no retry begins, of a round whose first run began at `startedAt`; Infinity: none. */
export function expiresAt(backoff: Backoff, startedAt: number): number {
  return backoff.expiration === undefined ? Number.POSITIVE_INFINITY : startedAt + backoff.expiration
}

/** Throws InvalidOption that names the field under `option`, as `enqueue.backoff.max`. */
export function toBackoff(given: BackoffOptions | undefined, option: string, base: Backoff = DEFAULT_BACKOFF): Backoff {
  if (given === undefined) return base
  refuseUnknownKeys(given, option)
  const min = given.min === undefined ? base.min : toDelay(given.min, `${option}.min`)
  const max = given.max === undefined ? Math.max(base.max, min) : toDelay(given.max, `${option}.max`)
  if (max < min) throw new InvalidOption(`${option}.max`, `at least \`${option}.min\` (${min} ms)`, given.max)
  const factor = given.factor === undefined ? base.factor : toFactor(given.factor, `${option}.factor`)
  const jitter = given.jitter === undefined ? base.jitter : toJitter(given.jitter, `${option}.jitter`)
  const limit = given.limit === undefined ? base.limit : toLimit(given.limit, `${option}.limit`)
  const expiration =
    given.expiration === undefined ? base.expiration : toExpiration(given.expiration, `${option}.expiration`)
  return {
    min,
    max,
    factor,
    jitter,
    ...(limit !== undefined && { limit }),
    ...(expiration !== undefined && { expiration }),
  }
}

const KEYS: readonly string[] = ['min', 'max', 'factor', 'jitter', 'limit', 'expiration']

function refuseUnknownKeys(given: unknown, option: string): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new InvalidOption(option, `an object { ${KEYS.join(', ')} }`, given)
  const unknown = Object.keys(given).find((key) => !KEYS.includes(key))
  if (unknown !== undefined) throw new InvalidOption(`${option}.${unknown}`, `one of ${KEYS.join(', ')}`, unknown)
}

function toDelay(given: Duration, option: string): number {
  const ms = toMs(given, option)
  if (ms <= LONGEST) return ms
  throw new InvalidOption(option, `a duration of at most ${LONGEST} ms`, given)
}

function toFactor(given: unknown, option: string): number {
  if (typeof given === 'number' && Number.isFinite(given) && given >= 1) return given
  throw new InvalidOption(option, 'a number >= 1', given)
}

function toJitter(given: unknown, option: string): Backoff['jitter'] {
  if (given === 'none') return 0
  if (given === 'full' || given === 'min') return given
  if (typeof given === 'number' && given >= 0 && given <= 1) return given
  throw new InvalidOption(option, '"full", "min", "none" or a fraction from 0 to 1', given)
}

function toLimit(given: unknown, option: string): number | undefined {
  if (given === null) return undefined
  if (Number.isSafeInteger(given) && (given as number) >= 1) return given as number
  throw new InvalidOption(option, 'an integer >= 1, or null for none', given)
}

function toExpiration(given: Duration | null, option: string): number | undefined {
  if (given === null) return undefined
  const ms = toDelay(given, option)
  if (ms > 0) return ms
  throw new InvalidOption(option, 'a duration above 0, or null for none', given)
}
