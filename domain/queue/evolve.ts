import { transition } from 'xstate'
import { IllegalEvent } from '../errors.js'
import type { Position } from '../event.js'
import type { QueueEvent } from './events.js'
import { queueOf } from './events.js'
import { queueMachine } from './machine.js'

export type QueueStatus = 'open' | 'paused'

export interface QueueState {
  readonly name: string
  /** Of the last event folded. */
  readonly revision: number
  readonly status: QueueStatus
  /** While it is paused. */
  readonly pause?: QueuePause
  /** Runs at once in each runtime; absent: nobody has set a limit. */
  readonly limit?: number
}

export interface QueuePause {
  /** Where the log says so; '' while it is only decided. */
  readonly position: Position
  /** Since when (ms). */
  readonly at: number
  readonly reason?: string
}

/** State after one more event; undefined before the first: the queue is open. Throws IllegalEvent. */
export function evolveQueue(state: QueueState | undefined, event: QueueEvent): QueueState {
  const before = queueMachine.resolveState({ value: state?.status ?? 'open', context: {} })
  if (!before.can({ type: event.type })) throw new IllegalEvent(event.stream, event.type, String(before.value))
  const [after] = transition(queueMachine, before, { type: event.type })
  const { stream, at, position = '' } = event
  const revision = event.revision ?? (state === undefined ? 0 : state.revision + 1)
  const { pause, limit } = state ?? {}
  const queue = { name: queueOf(stream), revision, status: after.value as QueueStatus }
  const limited = limit === undefined ? queue : { ...queue, limit }
  switch (event.type) {
    case 'QueuePaused': {
      const { reason } = event.data
      return { ...limited, pause: { position, at, ...(reason !== undefined && { reason }) } }
    }
    case 'QueueResumed':
      return limited
    case 'LimitsChanged': {
      const { concurrency } = event.data
      return { ...queue, ...(pause !== undefined && { pause }), ...(concurrency !== null && { limit: concurrency }) }
    }
  }
}
