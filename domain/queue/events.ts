/** The facts of a queue's events. Storage format: see `../event.ts` for the rules under which it may grow. */
import type { NewEvent, RecordedEvent } from '../event.js'

/** No job of the queue is leased until it is resumed; those that run go on. */
export interface QueuePaused {
  readonly reason?: string
}
export type QueueResumed = Readonly<Record<string, never>>

/** How many of its jobs each runtime may run at once, whatever it was configured to; null: no such limit any more. */
export interface LimitsChanged {
  readonly concurrency: number | null
}

export interface QueueEventMap {
  QueuePaused: QueuePaused
  QueueResumed: QueueResumed
  LimitsChanged: LimitsChanged
}
export type QueueEventType = keyof QueueEventMap
export type QueueEvent = {
  [T in QueueEventType]: Pick<NewEvent<T, QueueEventMap[T]>, 'stream' | 'type' | 'at' | 'data'> &
    Partial<Pick<RecordedEvent, 'revision' | 'position'>>
}[QueueEventType]

const PREFIX = 'queue-'
/** '' is a queue, too. A queue of which nothing was ever said has no stream. */
export const queueStream = (name: string): string => PREFIX + name
export const isQueueStream = (stream: string): boolean => stream.startsWith(PREFIX)
export const queueOf = (stream: string): string => stream.slice(PREFIX.length)
