/** So many jobs per window of time, and not more. */
import type { Draft } from '../event.js'
import type { Counted } from './events.js'

export interface RateLimit {
  readonly limit: number
  /** Length of a window (ms). Windows stand side by side, the first from the epoch on. */
  readonly perMs: number
}

/**
 * The count to go on from. A clock that was set back, or that is behind another's, counts on in the window that it finds: one
 * that is over never opens again. But a window that begins more than its length ahead is nobody's: whoever's clock is that
 * wrong does not shut the type for all others until then.
 */
export function windowAt(counted: Counted | undefined, { perMs }: RateLimit, now: number): Counted {
  const from = Math.floor(now / perMs) * perMs
  return counted !== undefined && counted.from >= from && counted.from <= now + perMs ? counted : { from, count: 0 }
}

/** `more` jobs let in, or somebody refused. */
export function counted(stream: string, { from, count, refused }: Counted, more: number | 'refused'): Draft {
  const isRefused = refused === true || more === 'refused'
  const data = { from, count: more === 'refused' ? count : count + more, ...(isRefused && { refused: true as const }) }
  return { stream, type: 'Counted', data }
}
