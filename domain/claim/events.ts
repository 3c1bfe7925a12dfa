/** The facts of claim streams. Storage format: see `../event.ts` for the rules under which it may grow. */
import type { NewEvent, RecordedEvent } from '../event.js'

/**
 * A job holds the key of this stream: until `until` (ms), or without one until it ends. It is never given back by an event:
 * an end is a fact that only another claim can undo, so that whoever reads the holder's end knows that the key is free.
 */
export interface Claimed {
  readonly jobId: string
  readonly until?: number
}

/** Enqueues within one window of time, all that were let in so far. */
export interface Counted {
  /** When the window began (ms); how long it is belongs to the stream. */
  readonly from: number
  readonly count: number
  /** Somebody was refused in it. */
  readonly refused?: true
}

interface ClaimEventMap {
  Claimed: Claimed
  Counted: Counted
}

export type ClaimEventType = keyof ClaimEventMap
export type ClaimEvent = {
  [T in ClaimEventType]: Pick<NewEvent<T, ClaimEventMap[T]>, 'stream' | 'type' | 'at' | 'data'> &
    Partial<Pick<RecordedEvent, 'revision'>>
}[ClaimEventType]

const UNIQUE = 'unique-'
const RATE = 'rate-'

/** `hash` of the key and what it is unique within. */
export const uniqueStream = (hash: string): string => UNIQUE + hash
/** `hash` of what is counted, and of the length of its windows. */
export const rateStream = (hash: string): string => RATE + hash

/** What a claim stream holds; undefined for any other stream. */
export function claimTypeOf(stream: string): ClaimEventType | undefined {
  if (stream.startsWith(UNIQUE)) return 'Claimed'
  return stream.startsWith(RATE) ? 'Counted' : undefined
}
