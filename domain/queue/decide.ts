import type { Draft } from '../event.js'
import { JobNotPending } from '../rejection.js'
import type { QueueEventMap, QueueEventType } from './events.js'
import { queueStream } from './events.js'
import type { QueueState } from './evolve.js'

/** The job waits in a queue that is paused: nothing is wrong with it, and it is leased when the queue is resumed. */
export class InPausedQueue extends JobNotPending {
  constructor(jobId: string, queue: string) {
    super(jobId, `in a paused queue, ${JSON.stringify(queue)}`)
  }
}

/** A queue that is paused stays as it is, with the reason that it has. */
export function pause(name: string, state: QueueState | undefined, reason: string | undefined): readonly Draft[] {
  if (state?.status === 'paused') return []
  return [draft(name, 'QueuePaused', reason === undefined ? {} : { reason })]
}

export function resume(name: string, state: QueueState | undefined): readonly Draft[] {
  return state?.status === 'paused' ? [draft(name, 'QueueResumed', {})] : []
}

/** A limit that holds already is left as it is. */
export function limit(name: string, state: QueueState | undefined, concurrency: number | null): readonly Draft[] {
  return (state?.limit ?? null) === concurrency ? [] : [draft(name, 'LimitsChanged', { concurrency })]
}

/** Why no job of the queue may be leased; undefined: it may. */
export function whyNoLease(jobId: string, state: QueueState | undefined): InPausedQueue | undefined {
  return state?.status === 'paused' ? new InPausedQueue(jobId, state.name) : undefined
}

const draft = <T extends QueueEventType>(name: string, type: T, data: QueueEventMap[T]): Draft => ({
  stream: queueStream(name),
  type,
  data,
})
