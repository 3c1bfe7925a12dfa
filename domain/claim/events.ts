/** The facts of claim streams. Storage format: see `../event.ts` for the rules under which it may grow. */
import type { Rest } from '../batch/events.js'
import type { NewEvent, RecordedEvent } from '../event.js'

/** On a store that appends to one stream at a time: a claim goes before what it is for. */
interface Ahead {
  readonly rest?: Rest
}

/**
 * A job holds the key of this stream: until `until` (ms), or without one until it ends. It is never given back by an event:
 * an end is a fact that only another claim can undo, so that whoever reads the holder's end knows that the key is free.
 */
export interface Claimed extends Ahead {
  readonly jobId: string
  readonly until?: number
}

/** Enqueues within one window of time, all that were let in so far. */
export interface Counted extends Ahead {
  /** When the window began (ms); how long it is belongs to the stream. */
  readonly from: number
  readonly count: number
  /** Somebody was refused in it. */
  readonly refused?: true
}

/**
 * Who runs of the jobs that share the key of this stream: those that were not known to be over, and the one that begins with
 * this. Nobody gives back: a lease that has ended is in its job's own stream, and its token never comes again.
 */
export interface Taken extends Ahead {
  /** Tokens of their leases. */
  readonly holders: readonly string[]
}

interface ClaimEventMap {
  Claimed: Claimed
  Counted: Counted
  Taken: Taken
}

export type ClaimEventType = keyof ClaimEventMap
export type ClaimEvent = {
  [T in ClaimEventType]: Pick<NewEvent<T, ClaimEventMap[T]>, 'stream' | 'type' | 'at' | 'data'> &
    Partial<Pick<RecordedEvent, 'revision' | 'position'>>
}[ClaimEventType]

const UNIQUE = 'unique-'
const RATE = 'rate-'
const LIMIT = 'limit-'

/** `hash` of the key and what it is unique within. */
export const uniqueStream = (hash: string): string => UNIQUE + hash
/** `hash` of what is counted, and of the length of its windows. */
export const rateStream = (hash: string): string => RATE + hash
/** The key is no secret: it is a fact of the jobs that have it. */
export const limitStream = (key: string): string => LIMIT + key
export const keyOf = (limitStream: string): string => limitStream.slice(LIMIT.length)

/** What a claim stream holds; undefined for any other stream. */
export function claimTypeOf(stream: string): ClaimEventType | undefined {
  if (stream.startsWith(UNIQUE)) return 'Claimed'
  if (stream.startsWith(RATE)) return 'Counted'
  return stream.startsWith(LIMIT) ? 'Taken' : undefined
}
