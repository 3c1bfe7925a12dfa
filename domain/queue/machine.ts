import type { AnyStateMachine } from 'xstate'
import { setup } from 'xstate'
import type { QueueEventType } from './events.js'

/** Which event may follow which in a queue's stream. */
export const queueMachine: AnyStateMachine = setup({
  types: { events: {} as { type: QueueEventType } },
}).createMachine({
  id: 'queue',
  initial: 'open',
  states: {
    open: { on: { QueuePaused: 'paused', LimitsChanged: 'open' } },
    paused: { on: { QueueResumed: 'open', LimitsChanged: 'paused' } },
  },
})
