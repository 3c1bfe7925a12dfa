import type { AnyStateMachine } from 'xstate'
import { setup } from 'xstate'
import type { JobEventType } from './events.js'

/**
 * The single statement of which event may follow which in a job's stream. No `after`, `invoke` or `spawn`: time arrives
 * as facts. `ended` is not final, an operator may send the job round again; `failing` is never the state of a stored
 * stream, because `Failed` is appended together with what follows from it.
 * The hot path does not run this machine but the table that `lifecycle.ts` compiles from it.
 */
export const jobMachine: AnyStateMachine = setup({
  types: { events: {} as { type: JobEventType } },
}).createMachine({
  id: 'job',
  initial: 'absent',
  states: {
    absent: { on: { Queued: 'waiting' } },
    waiting: {
      on: {
        Leased: 'leased',
        Rescheduled: 'waiting',
        Failed: 'failing',
        Cancelled: 'ended',
        Expunged: 'waiting',
      },
    },
    leased: {
      on: {
        Heartbeat: 'leased',
        Finished: 'ended',
        Failed: 'failing',
        Released: 'waiting',
        Cancelled: 'ended',
        Expunged: 'leased',
      },
    },
    failing: { on: { Retried: 'waiting', Finished: 'ended' } },
    ended: { on: { Retried: 'waiting', Expunged: 'ended', Condemned: 'ended' } },
  },
})
