/** Triggers for tests: the least that a fact must say, and events that fit where they stand. */
import type { Draft } from '../../../domain/event.js'
import type { TriggerEvent, TriggerEventMap, TriggerEventType, TriggerFacts } from '../../../domain/trigger/events.js'
import { triggerStream } from '../../../domain/trigger/events.js'
import type { TriggerState } from '../../../domain/trigger/evolve.js'
import { evolveTrigger } from '../../../domain/trigger/evolve.js'
import { NOW } from './jobs.js'

export const TRIGGER = 't1'

export const EVERY_MINUTE: TriggerFacts = {
  schedule: { kind: 'every', when: '1m', everyMs: 60_000 },
  type: 'mail',
}

/** A webhook, or what else a time never comes for. */
export const WEBHOOK: TriggerFacts = { schedule: { kind: 'webhook' }, type: 'mail' }

export const told = <T extends TriggerEventType>(type: T, data: TriggerEventMap[T], id: string = TRIGGER): Draft => ({
  stream: triggerStream(id),
  type,
  data,
})

/** A draft as the journal would stamp it. */
export const stamped = ({ stream, type, data }: Draft, at: number = NOW, revision?: number): TriggerEvent =>
  ({ stream, type, data, at, ...(revision !== undefined && { revision }) }) as TriggerEvent

/** The state that these facts leave, one upon the other. */
export function evolved(drafts: readonly Draft[], before?: TriggerState, at: number = NOW): TriggerState {
  const state = drafts.reduce<TriggerState | undefined>(
    (last, draft) => evolveTrigger(last, stamped(draft, at)),
    before,
  )
  return state as TriggerState
}

/** One that was added at `NOW`. */
export function added(facts: TriggerFacts = EVERY_MINUTE, nextAt?: number): TriggerState {
  return evolved([told('TriggerAdded', { ...facts, ...(nextAt !== undefined && { nextAt }) })])
}
