/** Every verb of a queue. */
import type { Draft } from '../../domain/event.js'
import * as decide from '../../domain/queue/decide.js'
import { queueStream } from '../../domain/queue/events.js'
import type { QueueState } from '../../domain/queue/evolve.js'
import type { Command } from './command.js'

function onQueue(name: string, decider: (state: QueueState | undefined) => readonly Draft[]): Command<void> {
  const stream = queueStream(name)
  return {
    streams: [stream],
    decide: (seen) => ({ drafts: decider(seen(stream).state as QueueState | undefined), answer: undefined }),
  }
}

export const pause = (name: string, reason?: string): Command<void> =>
  onQueue(name, (state) => decide.pause(name, state, reason))

export const resume = (name: string): Command<void> => onQueue(name, (state) => decide.resume(name, state))

export const limit = (name: string, concurrency: number | null): Command<void> =>
  onQueue(name, (state) => decide.limit(name, state, concurrency))

/** The lease of a job, unless its queue is paused: that it is not is part of what is appended. Most queues have no stream. */
export function unlessPaused(jobId: string, queue: string, lease: Command<void>): Command<void> {
  const stream = queueStream(queue)
  return {
    ...lease,
    streams: [...lease.streams, stream],
    fresh: new Set([...(lease.fresh ?? []), stream]),
    decide: (seen, now, draw) =>
      decide.whyNoLease(jobId, seen(stream).state as QueueState | undefined) ?? lease.decide(seen, now, draw),
  }
}
