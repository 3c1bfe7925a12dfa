/** What is to be different about a trigger. */
import type { Definition } from '../../domain/trigger/decide.js'
import type { TriggerState } from '../../domain/trigger/evolve.js'
import { checkKeys } from '../checks.js'
import { reveal, samePayload } from '../write/codec.js'
import type { TriggerJobOptions, TriggerOptions, TriggerSetting, TriggerTimes } from './options.js'
import { TRIGGER_KEYS, toDefinition } from './options.js'

/** undefined: stays as it is. null: it is taken away. */
export type TriggerChanges<Payload = unknown> = {
  readonly [Key in keyof TriggerOptions<Payload>]?:
    | TriggerOptions<Payload>[Key]
    | (Key extends 'timezone' | 'late' | 'options' | 'misfire' | 'debounce' ? null : undefined)
    | undefined
}

const REMOVABLE: ReadonlySet<string> = new Set(['timezone', 'late', 'options', 'misfire', 'debounce'])

/** What a trigger is, with what is changed in it. A payload that stays is none. Throws InvalidOption, InvalidPayload. */
export async function changed(
  state: TriggerState,
  content: string | Uint8Array | undefined,
  changes: TriggerChanges & Pick<TriggerOptions, 'job'>,
  setting: TriggerSetting,
): Promise<Definition> {
  checkKeys(changes, TRIGGER_KEYS, 'triggers.update')
  const payload = content === undefined ? undefined : reveal({ content, salt: NO_SALT })
  const before = { ...rest(state, changes), ...timesOf(state, changes), ...(payload !== undefined && { payload }) }
  const said = Object.entries(changes).filter(([, value]) => value !== undefined)
  const taken = (key: string, value: unknown): boolean => value === null && REMOVABLE.has(key)
  const whole = Object.entries({ ...before, ...Object.fromEntries(said) }).filter(([key, value]) => !taken(key, value))
  const given = Object.fromEntries(whole) as unknown as TriggerOptions
  const { facts, payload: after } = await toDefinition(given, setting, 'triggers.update')
  // Its instant was fixed when it was added.
  const { kind, when } = changes
  const isFixed = state.schedule.kind === 'in' && kind === undefined && when === undefined
  const schedule = isFixed ? { ...facts.schedule, at: state.schedule.at } : facts.schedule
  return { facts: { ...facts, schedule }, payload: samePayload(content, after) ? undefined : after }
}

/** What belongs to its kind goes with that. */
function rest(
  { options, misfire, debounce, schedule }: TriggerState,
  { kind = schedule.kind }: TriggerChanges,
): Partial<TriggerOptions> {
  const kept = { ...(options !== undefined && { options: options as TriggerJobOptions }) }
  if (kind !== schedule.kind) return kept
  return {
    ...kept,
    ...(misfire !== undefined && { misfire }),
    ...(debounce !== undefined && { debounce: { window: debounce.ms, combine: debounce.combine } }),
  }
}

/** Of another kind, it is given anew. */
function timesOf({ schedule }: TriggerState, { kind = schedule.kind }: TriggerChanges): TriggerTimes {
  if (kind !== schedule.kind) return { kind }
  switch (schedule.kind) {
    case 'at':
      return { kind, when: schedule.at, late: schedule.lateMs ?? 'always' }
    case 'in':
      return { kind, when: schedule.inMs, late: schedule.lateMs ?? 'always' }
    case 'event':
      return { kind, when: schedule.rules }
    case 'webhook':
    case 'client':
      return { kind }
    default: {
      const timezone = 'timezone' in schedule ? schedule.timezone : undefined
      return { kind, when: schedule.when, ...(timezone !== undefined && { timezone }) }
    }
  }
}

const NO_SALT = new Uint8Array(0)
