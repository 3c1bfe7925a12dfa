import type { Actor, AnyStateMachine } from 'xstate'
import { createActor, fromPromise, setup } from 'xstate'
import type { Logger } from '../ports/logger.js'

/** What a worker does on its way through life; each step is done before the next begins. */
export interface WorkerSteps {
  /** Makes itself known, then begins to lease. */
  register(): Promise<void>
  /** Stops leasing and waits for what runs, up to the drain deadline; then aborts, and waits to the last deadline. */
  drain(): Promise<void>
  /** Gives back what still runs and signs off. */
  stop(): Promise<void>
}

export type WorkerActor = Actor<AnyStateMachine>

/** A worker as a live actor: registering -> active -> draining -> stopping -> stopped. `{ type: 'stop' }` ends it in order. */
export function createWorkerActor(id: string, steps: WorkerSteps, log: Logger): WorkerActor {
  const machine: AnyStateMachine = setup({
    types: { events: {} as { type: 'stop' } },
    actors: {
      register: fromPromise(() => steps.register()),
      drain: fromPromise(() => steps.drain()),
      stop: fromPromise(() => steps.stop()),
    },
    actions: {
      report: ({ event }) =>
        log.error({ err: (event as { error?: unknown }).error, workerId: id }, 'worker step failed'),
    },
  }).createMachine({
    id: 'worker-actor',
    initial: 'registering',
    states: {
      registering: {
        invoke: { src: 'register', onDone: 'active', onError: { target: 'stopped', actions: 'report' } },
        on: { stop: 'draining' },
      },
      active: { on: { stop: 'draining' } },
      draining: { invoke: { src: 'drain', onDone: 'stopping', onError: { target: 'stopping', actions: 'report' } } },
      stopping: { invoke: { src: 'stop', onDone: 'stopped', onError: { target: 'stopped', actions: 'report' } } },
      stopped: { type: 'final' },
    },
  })
  return createActor(machine, { id: `worker-${id}` })
}
