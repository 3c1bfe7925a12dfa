import { transition } from 'xstate'
import { IllegalEvent } from '../errors.js'
import type { WorkerEvent, WorkerRegistered } from './events.js'
import { workerIdOf } from './events.js'
import { workerMachine } from './machine.js'

export type WorkerStatus = 'absent' | 'active' | 'paused' | 'draining' | 'stopped' | 'lost'

export interface WorkerState extends WorkerRegistered {
  readonly id: string
  /** Of the last event folded. */
  readonly revision: number
  readonly status: WorkerStatus
  readonly registeredAt: number
  /** Time of the last event of its stream that is its own word. */
  readonly lastSeenAt: number
  /** Position up to which it acts on the log, as its last beat that named one says. */
  readonly seenTo?: string
  /** Why it is paused. */
  readonly pauseReason?: string
}

/** State after one more event. A few events a minute: the machine itself decides here. Throws IllegalEvent. */
export function evolveWorker(state: WorkerState | undefined, event: WorkerEvent): WorkerState {
  const before = workerMachine.resolveState({ value: state?.status ?? 'absent', context: {} })
  if (!before.can({ type: event.type })) throw new IllegalEvent(event.stream, event.type, String(before.value))
  const [after] = transition(workerMachine, before, { type: event.type })
  const status = after.value as WorkerStatus
  const revision = event.revision ?? (state === undefined ? 0 : state.revision + 1)
  if (event.type !== 'WorkerRegistered') return { ...told(state as WorkerState, event), revision, status }
  const id = workerIdOf(event.stream)
  return { ...event.data, id, revision, status, registeredAt: event.at, lastSeenAt: event.at }
}

function told({ pauseReason, ...worker }: WorkerState, event: WorkerEvent): WorkerState {
  switch (event.type) {
    // Others say so of it.
    case 'WorkerPaused':
      return { ...worker, ...(event.data.reason !== undefined && { pauseReason: event.data.reason }) }
    case 'WorkerResumed':
      return worker
    case 'WorkerBeat':
      return {
        ...worker,
        ...(pauseReason !== undefined && { pauseReason }),
        ...(event.data.position !== undefined && { seenTo: event.data.position }),
        lastSeenAt: event.at,
      }
    default:
      return { ...worker, lastSeenAt: event.at }
  }
}
