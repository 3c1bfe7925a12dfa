/** The facts of a claim stream. Storage format: see `../event.ts` for the rules under which it may grow. */
import type { NewEvent, RecordedEvent } from '../event.js'

/**
 * A job holds the key of this stream: until `until` (ms), or without one until it ends. It is never given back by an event:
 * an end is a fact that only another claim can undo, so that whoever reads the holder's end knows that the key is free.
 */
export interface Claimed {
  readonly jobId: string
  readonly until?: number
}

export type ClaimEvent = Pick<NewEvent<'Claimed', Claimed>, 'stream' | 'type' | 'at' | 'data'> &
  Partial<Pick<RecordedEvent, 'revision'>>

const PREFIX = 'unique-'
/** `hash` of the key and what it is unique within. */
export const uniqueStream = (hash: string): string => PREFIX + hash
export const isUniqueStream = (stream: string): boolean => stream.startsWith(PREFIX)
