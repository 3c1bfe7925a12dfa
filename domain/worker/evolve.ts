import { transition } from 'xstate'
import { IllegalEvent } from '../errors.js'
import type { WorkerEvent, WorkerRegistered } from './events.js'
import { workerIdOf } from './events.js'
import { workerMachine } from './machine.js'

export type WorkerStatus = 'absent' | 'active' | 'draining' | 'stopped' | 'lost'

export interface WorkerState extends WorkerRegistered {
  readonly id: string
  /** Of the last event folded. */
  readonly revision: number
  readonly status: WorkerStatus
  readonly registeredAt: number
  /** Time of its last event. */
  readonly lastSeenAt: number
}

/** State after one more event. A few events a minute: the machine itself decides here. Throws IllegalEvent. */
export function evolveWorker(state: WorkerState | undefined, event: WorkerEvent): WorkerState {
  const before = workerMachine.resolveState({ value: state?.status ?? 'absent', context: {} })
  if (!before.can({ type: event.type })) throw new IllegalEvent(event.stream, event.type, String(before.value))
  const [after] = transition(workerMachine, before, { type: event.type })
  const status = after.value as WorkerStatus
  const revision = event.revision ?? (state === undefined ? 0 : state.revision + 1)
  if (event.type !== 'WorkerRegistered') return { ...(state as WorkerState), revision, status, lastSeenAt: event.at }
  const id = workerIdOf(event.stream)
  return { ...event.data, id, revision, status, registeredAt: event.at, lastSeenAt: event.at }
}
