import type { ActorRefFrom, AnyStateMachine } from 'xstate'
import { fromPromise, sendParent, setup } from 'xstate'
import type { Logger } from '../ports/logger.js'

/** What a worker does on its way through life; each step is done before the next begins. */
export interface WorkerSteps {
  /** What the types that it runs want done before the first of their jobs. */
  prepare(): Promise<void>
  /** Makes itself known in the log. */
  register(): Promise<void>
  /** How it stands in the log by now: somebody may have been quick to pause or remove it. */
  standing(): string
  /** Stops leasing and waits for what runs, up to the drain deadline; then aborts, and waits to the last deadline. */
  drain(): Promise<void>
  /** Gives back what still runs and signs off. */
  stop(): Promise<void>
  /** Takes nothing more and lets what runs end, without a deadline: another worker has its place, its leases are still its own. */
  fadeOut(): Promise<void>
}

export type WorkerSignal = { readonly type: 'stop' | 'pause' | 'resume' | 'retire' | 'lost' }
export type WorkerActor = ActorRefFrom<AnyStateMachine>

/**
 * A worker as a live actor: preparing -> registering -> registered -> active <-> paused -> draining -> stopping -> stopped; lost
 * when the log says so, retiring when another one has taken its place. It leases while it is active. `{ type: 'stop' }` ends it in
 * order, whatever it is doing; `workerLost` tells the parent.
 */
export function workerMachine(id: string, steps: WorkerSteps, log: Logger): AnyStateMachine {
  return setup({
    types: { events: {} as WorkerSignal },
    actors: {
      register: fromPromise(() => steps.register()),
      prepare: fromPromise(() => steps.prepare()),
      drain: fromPromise(() => steps.drain()),
      stop: fromPromise(() => steps.stop()),
      fadeOut: fromPromise(() => steps.fadeOut()),
    },
    guards: { isLost: () => steps.standing() === 'lost', isPaused: () => steps.standing() === 'paused' },
    actions: {
      report: ({ event }) =>
        log.error({ err: (event as { error?: unknown }).error, workerId: id }, 'worker step failed'),
      tellLost: sendParent({ type: 'workerLost', workerId: id }),
    },
  }).createMachine({
    id: 'worker-actor',
    initial: 'preparing',
    states: {
      preparing: {
        invoke: { src: 'prepare', onDone: 'registering', onError: { target: 'stopped', actions: 'report' } },
        on: { stop: 'stopped' },
      },
      registering: {
        invoke: { src: 'register', onDone: 'registered', onError: { target: 'stopped', actions: 'report' } },
        on: { stop: 'draining' },
      },
      registered: {
        always: [{ guard: 'isLost', target: 'lost' }, { guard: 'isPaused', target: 'paused' }, { target: 'active' }],
      },
      active: { on: { stop: 'draining', pause: 'paused', retire: 'retiring', lost: 'lost' } },
      paused: { on: { stop: 'draining', resume: 'active', retire: 'retiring', lost: 'lost' } },
      retiring: {
        invoke: { src: 'fadeOut', onDone: 'stopping', onError: { target: 'stopping', actions: 'report' } },
        on: { stop: 'draining' },
      },
      draining: { invoke: { src: 'drain', onDone: 'stopping', onError: { target: 'stopping', actions: 'report' } } },
      stopping: { invoke: { src: 'stop', onDone: 'stopped', onError: { target: 'stopped', actions: 'report' } } },
      lost: {
        entry: 'tellLost',
        invoke: { src: 'fadeOut', onDone: 'stopping', onError: { target: 'stopping', actions: 'report' } },
        on: { stop: 'draining' },
      },
      stopped: { type: 'final' },
    },
  })
}
