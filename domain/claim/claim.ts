/** What must hold across jobs: the last event of a claim stream says all there is to know. */
import { IllegalEvent } from '../errors.js'
import type { Draft, Position } from '../event.js'
import type { JobState } from '../job/evolve.js'
import type { ClaimEvent, Claimed } from './events.js'
import { claimTypeOf } from './events.js'

/** The facts of a claim stream's last event. */
export type ClaimState<Facts = Claimed> = Facts & {
  readonly revision: number
  /** undefined while it is only decided. */
  readonly position: Position | undefined
}

/** State after one more event. Throws IllegalEvent. */
export function evolveClaim(
  state: { readonly revision: number } | undefined,
  event: ClaimEvent,
): ClaimState<ClaimEvent['data']> {
  if (event.type !== claimTypeOf(event.stream)) throw new IllegalEvent(event.stream, event.type, 'a claim')
  const revision = event.revision ?? (state === undefined ? 0 : state.revision + 1)
  return { ...event.data, revision, position: event.position }
}

/**
 * One job per unique key: whether the claim still keeps others out. `holder` is the state of the job that it names; undefined:
 * it was removed.
 */
export function isTaken(claim: Claimed, holder: Pick<JobState, 'phase'> | undefined, now: number): boolean {
  if (claim.until !== undefined) return now < claim.until
  return holder !== undefined && holder.phase !== 'ended'
}

export const claim = (stream: string, facts: Claimed): Draft => ({ stream, type: 'Claimed', data: facts })

/** A claim whose job has come to nothing: it keeps nobody out. */
export const unclaim = (stream: string, { jobId }: Claimed): Draft => claim(stream, { jobId, until: 0 })
