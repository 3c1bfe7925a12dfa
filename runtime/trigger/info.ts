/** What is told of triggers. */

import type { Combine, Misfire } from '../../domain/trigger/events.js'
import type { DebounceWindow, TriggerState } from '../../domain/trigger/evolve.js'
import type { EventRule } from '../../domain/trigger/match.js'
import type { Schedule, TriggerKind } from '../../domain/trigger/schedule.js'
import { occurrencesFrom } from '../../domain/trigger/schedule.js'
import type { TriggerRecord } from '../../projections/trigger-record.js'
import type { TriggerJobOptions } from './options.js'

/** A trigger at a glance. Times are ms since the epoch; absent where they do not apply. */
export interface TriggerInfo {
  readonly id: string
  readonly status: 'active' | 'paused'
  readonly kind: TriggerKind
  /** As it was given; of `at` and `in` the instant, in ISO 8601; '' for kinds without. */
  readonly when: string
  /** Of an event trigger. */
  readonly rules?: readonly EventRule[]
  /** The slot that a spread trigger has, as a cron expression with seconds. */
  readonly slot?: string
  readonly timezone?: string
  /** How late it may still fire (ms); null: however late. */
  readonly lateMs?: number | null
  /** Of its jobs. */
  readonly type: string
  readonly queue: string
  readonly channel: string
  readonly options?: TriggerJobOptions
  readonly misfire: Misfire
  readonly debounce?: { readonly windowMs: number; readonly combine: Combine }
  readonly nextAt?: number
  /** Requests that wait for the end of their window. */
  readonly window?: Pick<DebounceWindow, 'until' | 'count'>
  readonly addedAt: number
  /** When it last became what it is. */
  readonly updatedAt: number
  readonly pausedAt?: number
  readonly pauseReason?: string
}

/** What a trigger and its jobs have come to. Times are ms since the epoch. */
export interface TriggerReport {
  readonly id: string
  /** Of its newest job; `none`: it has had none yet. */
  readonly status: 'none' | 'waiting' | 'running' | 'succeeded' | 'failed' | 'cancelled'
  /** Its newest job, whatever has become of that. */
  readonly lastExecution?: TriggerMark
  readonly lastSuccess?: TriggerMark
  readonly lastFailure?: TriggerMark & { readonly error?: string }
  /** The newest one that a person asked for. */
  readonly lastManual?: TriggerMark
  /** Jobs it has made, and occurrences and requests that came to none. */
  readonly fired: number
  readonly missed: number
  /** They were more: counting was given up. */
  readonly missedMore?: true
  /** Why the last of these came to none. */
  readonly lastMissed?: string
  /** When it fires next, at most `NEXT_SHOWN` of them; empty where that is not a matter of time, or while it is paused. */
  readonly next: readonly number[]
}

export interface TriggerMark {
  readonly jobId: string
  readonly at: number
}

const NEXT_SHOWN = 5

export function infoOf(state: TriggerState): TriggerInfo {
  const { id, status, schedule, type, options, defaults, misfire = 'coalesce', debounce, nextAt, window, pause } = state
  const { queue = defaults?.queue ?? 'default', channel = '' } = (options ?? {}) as TriggerJobOptions
  return {
    ...{ id, status: status as TriggerInfo['status'], ...timesOf(schedule) },
    ...{ type, queue: queue as string, channel, misfire },
    ...(options !== undefined && { options: options as TriggerJobOptions }),
    ...(debounce !== undefined && { debounce: { windowMs: debounce.ms, combine: debounce.combine } }),
    ...(nextAt !== undefined && { nextAt }),
    ...(window !== undefined && { window: { until: window.until, count: window.count } }),
    ...{ addedAt: state.addedAt, updatedAt: state.definedAt },
    ...(pause !== undefined && { pausedAt: pause.at }),
    ...(pause?.reason !== undefined && { pauseReason: pause.reason }),
  }
}

type Times = Pick<TriggerInfo, 'kind' | 'when' | 'rules' | 'slot' | 'timezone' | 'lateMs'>

function timesOf(schedule: Schedule): Times {
  const { kind } = schedule
  switch (schedule.kind) {
    case 'at':
    case 'in':
      return { kind, when: new Date(schedule.at).toISOString(), lateMs: schedule.lateMs }
    case 'every':
      return { kind, when: schedule.when }
    case 'event':
      return { kind, when: schedule.when, rules: schedule.rules }
    case 'webhook':
    case 'client':
      return { kind, when: '' }
    default: {
      const { when, timezone } = schedule
      const slot = 'cron' in schedule ? { slot: schedule.cron } : undefined
      return { kind, when, ...slot, ...(timezone !== undefined && { timezone }) }
    }
  }
}

export function reportOf(state: TriggerState, record: TriggerRecord): TriggerReport {
  const { id, fired, missed, missedMore, lastMissed } = state
  const { newest, success, failure, execution, manual } = record
  return {
    id,
    status: newest?.state ?? 'none',
    ...(execution !== undefined && { lastExecution: execution }),
    ...(success !== undefined && { lastSuccess: success }),
    ...(failure !== undefined && { lastFailure: failure }),
    ...(manual !== undefined && { lastManual: manual }),
    ...{ fired, missed },
    ...(missedMore && { missedMore }),
    ...(lastMissed !== undefined && { lastMissed: lastMissed.reason }),
    next: state.status === 'active' ? occurrencesFrom(state.schedule, state.nextAt, NEXT_SHOWN) : [],
  }
}
