import type { Duration } from './duration.js'
import { toMs } from './duration.js'
import { InvalidOption } from './errors.js'

/**
 * How long a failed attempt waits for the next one, as it is recorded with the job (ms).
 * `jitter`: `full` draws between 0 and the computed delay; a fraction f draws within +-f of it; 0 is none.
 */
export interface Backoff {
  readonly min: number
  readonly max: number
  readonly factor: number
  readonly jitter: 'full' | number
}

/** What a caller may give; what is left out comes from the default. */
export interface BackoffOptions {
  readonly min?: Duration
  readonly max?: Duration
  readonly factor?: number
  readonly jitter?: 'full' | 'none' | number
}

/** 1 s x 2^n, at most 1 h, full jitter: 20 attempts take about 10 hours in all. */
export const DEFAULT_BACKOFF: Backoff = Object.freeze({ min: 1_000, max: 3_600_000, factor: 2, jitter: 'full' })

/** Delay in ms after the `attempt`-th failed attempt (from 1). `draw` is a random number in [0, 1). */
export function backoffDelay(backoff: Backoff, attempt: number, draw: number): number {
  // A job without an attempt limit gets to where the power overflows, and 0 times infinity is no delay at all.
  const growth = Math.min(Number.MAX_VALUE, backoff.factor ** (attempt - 1))
  const delay = Math.min(backoff.max, backoff.min * growth)
  if (backoff.jitter === 'full') return Math.round(delay * draw)
  return Math.min(backoff.max, Math.round(delay * (1 + backoff.jitter * (2 * draw - 1))))
}

/** Throws InvalidOption that names the field under `option`. */
export function toBackoff(given: BackoffOptions | undefined, option: string, base: Backoff = DEFAULT_BACKOFF): Backoff {
  if (given === undefined) return base
  if (typeof given !== 'object' || given === null)
    throw new InvalidOption(option, 'an object { min, max, factor, jitter }', given)
  const min = given.min === undefined ? base.min : toMs(given.min, `${option}.min`)
  const max = given.max === undefined ? Math.max(base.max, min) : toMs(given.max, `${option}.max`)
  if (max < min) throw new InvalidOption(`${option}.max`, `at least \`${option}.min\` (${min} ms)`, given.max)
  const factor = given.factor ?? base.factor
  if (!(Number.isFinite(factor) && factor >= 1))
    throw new InvalidOption(`${option}.factor`, 'a number >= 1', given.factor)
  const jitter = given.jitter === 'none' ? 0 : (given.jitter ?? base.jitter)
  const known = jitter === 'full' || (typeof jitter === 'number' && jitter >= 0 && jitter <= 1)
  if (!known) throw new InvalidOption(`${option}.jitter`, '"full", "none" or a fraction from 0 to 1', given.jitter)
  return { min, max, factor, jitter }
}
