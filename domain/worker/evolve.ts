import { transition } from 'xstate'
import { IllegalEvent } from '../errors.js'
import type { Position } from '../event.js'
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
  /** Position up to which it acts on the log, as its last beat that named one says; before that, of its registration. */
  readonly seenTo?: Position
  /** While it is paused. */
  readonly pause?: WorkerPause
}

export interface WorkerPause {
  /** Where the log says so; '' while it is only decided. */
  readonly position: Position
  readonly reason?: string
}

/** State after one more event. A few events a minute: the machine itself decides here. Throws IllegalEvent. */
export function evolveWorker(state: WorkerState | undefined, event: WorkerEvent): WorkerState {
  const before = workerMachine.resolveState({ value: state?.status ?? 'absent', context: {} })
  if (!before.can({ type: event.type })) throw new IllegalEvent(event.stream, event.type, String(before.value))
  const [after] = transition(workerMachine, before, { type: event.type })
  const status = after.value as WorkerStatus
  const revision = event.revision ?? (state === undefined ? 0 : state.revision + 1)
  if (event.type !== 'WorkerRegistered') return { ...told(state as WorkerState, event), revision, status }
  return { ...registered(event), revision, status }
}

type Registered = WorkerEvent & { readonly type: 'WorkerRegistered' }

/** It begins once it has followed the log as far as this. */
function registered({ stream, data, at, position }: Registered): Omit<WorkerState, 'revision' | 'status'> {
  const id = workerIdOf(stream)
  return { ...data, id, registeredAt: at, lastSeenAt: at, ...(position !== undefined && { seenTo: position }) }
}

function told({ pause, ...worker }: WorkerState, { type, data, at, position = '' }: Told): WorkerState {
  switch (type) {
    // Others say so of it.
    case 'WorkerPaused':
      return { ...worker, pause: { position, ...(data.reason !== undefined && { reason: data.reason }) } }
    case 'WorkerResumed':
      return worker
    case 'WorkerBeat':
      return {
        ...{ ...worker, lastSeenAt: at },
        ...(pause !== undefined && { pause }),
        ...(data.position !== undefined && { seenTo: data.position }),
      }
    default:
      return { ...worker, lastSeenAt: at }
  }
}

type Told = Exclude<WorkerEvent, Registered>
