/** So many runs at once of all jobs that share a key, and not more. */
import type { Draft, Position } from '../event.js'
import type { ClaimState } from './claim.js'
import type { Taken } from './events.js'

/** What must be asked to let one more run begin. */
export interface KeyClaim {
  readonly key: string
  readonly limit: number
  /**
   * Whether a run named by an event at `position` may still be going on. False only if it was seen to end: a token that is
   * over is over for ever. `position` is undefined while that event is only decided.
   */
  isHeld(token: string, position: Position | undefined): boolean
}

/** Who runs, the newcomer included; undefined: there is no room. */
export function take(
  stream: string,
  taken: ClaimState<Taken> | undefined,
  token: string,
  { limit, isHeld }: Pick<KeyClaim, 'limit' | 'isHeld'>,
): Draft | undefined {
  const running = (taken?.holders ?? []).filter((holder) => isHeld(holder, taken?.position))
  return running.length < limit ? { stream, type: 'Taken', data: { holders: [...running, token] } } : undefined
}
