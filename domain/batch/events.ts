/**
 * What belongs together though it lies in several streams, where a store appends to one stream at a time: one event decides and
 * carries the rest, for whoever has to complete it. Storage format: see `../event.ts` for the rules under which it may grow.
 */

/** What is still to be appended when this event is; all of it is the body of this event, or of the stream `head`. */
export interface Rest {
  /** The very last event of it: once that is in the log, all is. */
  readonly stream: string
  readonly revision: number
  readonly id: string
  /** This event is part of the batch that this stream submits; absent: it is the one that decides. */
  readonly head?: string
}

/** A batch's own stream: parts of what is too long for one event, then the event that decides on all their bodies, put together. */
interface BatchEventMap {
  /** Without what follows it means nothing. */
  BatchPart: Readonly<Record<string, never>>
  BatchSubmitted: { readonly rest: Rest }
}
export type BatchEventType = keyof BatchEventMap
export type BatchDraft = {
  [T in BatchEventType]: { readonly type: T; readonly data: BatchEventMap[T] }
}[BatchEventType]

const PREFIX = 'batch-'
/** The stream leaves the log when all is done. */
export const batchStream = (id: string): string => PREFIX + id
export const isBatchStream = (stream: string): boolean => stream.startsWith(PREFIX)
