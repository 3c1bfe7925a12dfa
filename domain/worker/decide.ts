import { JobledgerError } from '../errors.js'
import type { Draft } from '../event.js'
import { WorkerUnknown } from '../rejection.js'
import type { WorkerEventMap, WorkerEventType } from './events.js'
import { workerStream } from './events.js'
import type { WorkerState } from './evolve.js'

/** The worker has signed off or was found dead: nothing more is recorded of it. */
export class WorkerGone extends JobledgerError {
  readonly code = 'WORKER_GONE'
  readonly family = 'job'
  constructor(workerId: string, status: string) {
    super(`Worker ${workerId} is ${status}.`)
  }
}

export function register(
  id: string,
  state: WorkerState | undefined,
  facts: WorkerEventMap['WorkerRegistered'],
): readonly Draft[] | WorkerGone {
  return state === undefined ? [draft(id, 'WorkerRegistered', facts)] : new WorkerGone(id, state.status)
}

/** Anything after the registration. */
export function tell<T extends Exclude<WorkerEventType, 'WorkerRegistered'>>(
  id: string,
  state: WorkerState | undefined,
  type: T,
  facts: WorkerEventMap[T],
): readonly Draft[] | WorkerGone | WorkerUnknown {
  if (state === undefined) return new WorkerUnknown(id)
  if (state.status === 'stopped' || state.status === 'lost') return new WorkerGone(id, state.status)
  // Told twice, it drains all the same.
  return type === 'WorkerDraining' && state.status === 'draining' ? [] : [draft(id, type, facts)]
}

const draft = <T extends WorkerEventType>(id: string, type: T, data: WorkerEventMap[T]): Draft => ({
  stream: workerStream(id),
  type,
  data,
})
