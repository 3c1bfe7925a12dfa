import type { AnyStateMachine } from 'xstate'
import { setup } from 'xstate'
import type { WorkerEventType } from './events.js'

/** Which event may follow which in a worker's stream. A worker that was lost or stopped never comes back: a new one registers. */
export const workerMachine: AnyStateMachine = setup({
  types: { events: {} as { type: WorkerEventType } },
}).createMachine({
  id: 'worker',
  initial: 'absent',
  states: {
    absent: { on: { WorkerRegistered: 'active' } },
    active: {
      on: {
        WorkerBeat: 'active',
        WorkerPaused: 'paused',
        WorkerDraining: 'draining',
        WorkerStopped: 'stopped',
        WorkerLost: 'lost',
      },
    },
    paused: {
      on: {
        WorkerBeat: 'paused',
        WorkerResumed: 'active',
        WorkerDraining: 'draining',
        WorkerStopped: 'stopped',
        WorkerLost: 'lost',
      },
    },
    draining: { on: { WorkerBeat: 'draining', WorkerStopped: 'stopped', WorkerLost: 'lost' } },
    stopped: { type: 'final' },
    lost: { type: 'final' },
  },
})
