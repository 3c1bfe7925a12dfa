import { JobledgerError } from '../errors.js'
import type { Draft } from '../event.js'
import { WorkerNotActive, WorkerUnknown } from '../rejection.js'
import type { WorkerEventMap, WorkerEventType } from './events.js'
import { workerStream } from './events.js'
import type { WorkerState, WorkerStatus } from './evolve.js'

/** The worker has signed off, was removed or was found dead: it does not come back. A new one registers. */
export class WorkerGone extends JobledgerError {
  readonly code = 'WORKER_GONE'
  readonly family = 'job'
  readonly workerId: string
  constructor(workerId: string, status: string) {
    super(`Worker ${workerId} is ${status}.`)
    this.workerId = workerId
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
  if (isOver(state)) return new WorkerGone(id, state.status)
  // One that ends takes no more jobs as it is, and will not begin again.
  if (type === 'WorkerResumed' && state.status === 'draining') return new WorkerGone(id, state.status)
  return SAYS_NOTHING[type]?.includes(state.status) ? [] : [draft(id, type, facts)]
}

/** Why no lease may be taken in the name of this worker; undefined: one may. */
export function whyNoLease(
  id: string,
  state: WorkerState | undefined,
): WorkerUnknown | WorkerGone | WorkerNotActive | undefined {
  if (state === undefined) return new WorkerUnknown(id)
  if (isOver(state)) return new WorkerGone(id, state.status)
  return state.status === 'active' ? undefined : new WorkerNotActive(id, state.status)
}

const isOver = ({ status }: WorkerState): boolean => status === 'stopped' || status === 'lost'

/** Told twice, it is all the same. */
const SAYS_NOTHING: Readonly<Partial<Record<WorkerEventType, readonly WorkerStatus[]>>> = {
  WorkerPaused: ['paused', 'draining'],
  WorkerResumed: ['active'],
  WorkerDraining: ['draining'],
}

const draft = <T extends WorkerEventType>(id: string, type: T, data: WorkerEventMap[T]): Draft => ({
  stream: workerStream(id),
  type,
  data,
})
