import type { RecordedEvent } from '../../domain/event.js'
import type { TriggerEvent } from '../../domain/trigger/events.js'
import type { TriggerState } from '../../domain/trigger/evolve.js'
import { evolveTrigger } from '../../domain/trigger/evolve.js'
import type { Row } from './tables.js'

/** One trigger as its row tells of it, and how punctual it was. JSON: it is kept as it is. */
export interface TriggerFold {
  readonly state: TriggerState
  readonly lastFiredAt?: number
  /** Firings by time: how many, and how long after their instants they came (ms). */
  readonly timed: number
  readonly lastLate?: number
  readonly lateSum: number
  readonly lateMax: number
}

const NOT_LATE = { timed: 0, lateSum: 0, lateMax: 0 }

/** Throws IllegalEvent. */
export function foldTrigger(fold: TriggerFold | undefined, event: RecordedEvent & TriggerEvent): TriggerFold {
  const state = evolveTrigger(fold?.state, event)
  // The same id may begin anew.
  if (fold === undefined || event.type === 'TriggerAdded') return { state, ...NOT_LATE }
  if (event.type !== 'TriggerFired') return { ...fold, state }
  const fired = { ...fold, state, lastFiredAt: event.at }
  if (event.data.by !== 'time') return fired
  const late = Math.max(0, event.at - event.data.occurrence)
  const [lateSum, lateMax] = [fold.lateSum + late, Math.max(fold.lateMax, late)]
  return { ...fired, timed: fold.timed + 1, lastLate: late, lateSum, lateMax }
}

/** As `TRIGGERS` has it. */
export function triggerRow({ state, lastFiredAt, timed, lastLate, lateSum, lateMax }: TriggerFold): Row {
  const { id, schedule, type, options, defaults, status, nextAt, fired, missed } = state
  return [
    id,
    schedule.kind,
    type,
    textOf(options?.queue) ?? textOf(defaults?.queue) ?? 'default',
    textOf(options?.channel) ?? '',
    status,
    nextAt ?? null,
    fired,
    timed,
    missed,
    lastFiredAt ?? null,
    lastLate ?? null,
    lateSum,
    lateMax,
  ]
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
