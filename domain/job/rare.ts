/** What only few jobs have: kept apart from the rest of their state, so that the others do not carry it. */
import type { JobFacts } from './events.js'

type Kept = 'timeoutBy' | 'retryOn' | 'retainMs' | 'manual' | 'concurrency' | 'trigger' | 'debounced' | 'chain'

export interface RareFacts extends Pick<JobFacts, Kept> {
  /** Revision of the event whose body is the payload, where that is not the first. */
  readonly payloadAt?: number
  readonly expunged?: true
  /** `leaving`: for good. */
  readonly condemned?: true | 'leaving'
}

/** Undefined where a job has none of them. */
export function rareFacts(
  facts: {
    readonly [K in keyof RareFacts]: RareFacts[K] | undefined
  },
): RareFacts | undefined {
  const { timeoutBy, retryOn, retainMs, manual, concurrency, trigger, debounced, chain } = facts
  const { payloadAt, expunged, condemned } = facts
  const rare = {
    ...(timeoutBy !== undefined && { timeoutBy }),
    ...(retryOn !== undefined && { retryOn }),
    ...(retainMs !== undefined && { retainMs }),
    ...(manual && { manual }),
    ...(concurrency !== undefined && { concurrency }),
    ...(trigger !== undefined && { trigger }),
    ...(debounced && { debounced }),
    ...(chain !== undefined && { chain }),
    ...(payloadAt !== undefined && { payloadAt }),
    ...(expunged && { expunged }),
    ...(condemned && { condemned }),
  }
  return Object.keys(rare).length > 0 ? rare : undefined
}

/** Of a new job. Asked before anything is made: nearly all have none. Only what a trigger made is debounced. */
export function rareOf(facts: JobFacts): RareFacts | undefined {
  const { timeoutBy, retryOn, retainMs, manual, concurrency, trigger, chain } = facts
  const some = timeoutBy ?? retryOn ?? manual ?? concurrency ?? trigger ?? chain
  return some === undefined && retainMs === undefined ? undefined : rareFacts(facts)
}

/** What of it a new round carries along. */
export function lastingFacts(rare: RareFacts | undefined): Pick<JobFacts, Kept> {
  const { payloadAt, expunged, condemned, ...lasting } = rare ?? {}
  return lasting
}
