import type { AnyStateMachine } from 'xstate'
import { setup } from 'xstate'
import type { TriggerEventType } from './events.js'

/**
 * Which event may follow which in a trigger's stream. One that is paused may be fired by hand; one that was removed may be
 * added again under its id.
 */
export const triggerMachine: AnyStateMachine = setup({
  types: { events: {} as { type: TriggerEventType } },
}).createMachine({
  id: 'trigger',
  initial: 'absent',
  states: {
    absent: { on: { TriggerAdded: 'active' } },
    active: {
      on: {
        TriggerUpdated: 'active',
        TriggerPaused: 'paused',
        TriggerFired: 'active',
        TriggerMissed: 'active',
        DebounceOpened: 'active',
        DebounceCollected: 'active',
        TriggerRemoved: 'removed',
      },
    },
    paused: {
      on: {
        TriggerUpdated: 'paused',
        TriggerResumed: 'active',
        TriggerFired: 'paused',
        TriggerMissed: 'paused',
        TriggerRemoved: 'removed',
      },
    },
    // Its last firing may still come to nothing, where firing and job are two appends.
    removed: { on: { TriggerAdded: 'active', TriggerMissed: 'removed' } },
  },
})
