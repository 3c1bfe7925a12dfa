/** One job per unique key: who holds it, and whether another may take it. */
import { IllegalEvent } from '../errors.js'
import type { Draft } from '../event.js'
import type { JobState } from '../job/evolve.js'
import type { ClaimEvent, Claimed } from './events.js'

export interface ClaimState extends Claimed {
  /** Of the last event folded, which says everything. */
  readonly revision: number
}

/** State after one more event. Throws IllegalEvent. */
export function evolveClaim(state: ClaimState | undefined, event: ClaimEvent): ClaimState {
  if (event.type !== 'Claimed') throw new IllegalEvent(event.stream, event.type, 'a claim')
  return { ...event.data, revision: event.revision ?? (state === undefined ? 0 : state.revision + 1) }
}

/** Whether the claim still keeps others out. `holder` is the state of the job that it names; undefined: it was removed. */
export function isTaken(claim: Claimed, holder: Pick<JobState, 'phase'> | undefined, now: number): boolean {
  if (claim.until !== undefined) return now < claim.until
  return holder !== undefined && holder.phase !== 'ended'
}

export const claim = (stream: string, facts: Claimed): Draft => ({ stream, type: 'Claimed', data: facts })
