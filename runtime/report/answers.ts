/** What reports answer with. All times are ms since the epoch, or ms. */
import type { FailureCause } from '../../domain/job/events.js'
import type { Window } from './report-options.js'
import type { Spread } from './spread.js'

/** What happened in a while. Counts are of events: a job that is sent round again may succeed twice. */
export interface Flow {
  readonly queued: number
  readonly started: number
  readonly succeeded: number
  readonly failed: number
  readonly cancelled: number
  /** Tried again after a failed attempt, or sent round again by an operator. */
  readonly retried: number
  /** Leases that were lost. */
  readonly lost: number
  /** Of the runs that began; undefined: none did. */
  readonly meanWaitMs?: number
  /** Of the runs that ended; undefined: none did. */
  readonly meanRunMs?: number
}

export interface Throughput {
  readonly window: Window
  readonly stepMs: number
  /** Oldest first, also those in which nothing happened. */
  readonly steps: readonly (Flow & { readonly from: number })[]
  readonly total: Flow
}

export interface Times {
  readonly window: Window
  /** `name`: what `by` asks for; '' of all. Of the runs that began in the window. */
  readonly lines: readonly { readonly name: string; readonly wait: Spread; readonly run: Spread }[]
}

export interface TypeFailures {
  readonly type: string
  readonly succeeded: number
  readonly failed: number
  readonly cancelled: number
  /** Of those that succeeded or failed, from 0 to 1; undefined: none did. */
  readonly rate?: number
}

export interface CauseRetries {
  readonly cause: FailureCause
  /** Name of the error; '' where there is none. */
  readonly error: string
  /** Runs that ended so, and of those the ones that were followed by another. */
  readonly runs: number
  readonly retried: number
}

export interface PendingJob {
  readonly id: string
  readonly type: string
  readonly queue: string
  readonly channel: string
  readonly state: 'held' | 'waiting'
  readonly queuedAt: number
  readonly ageMs: number
  readonly runAt?: number
}

export interface WorkerUse {
  readonly id: string
  readonly state: string
  readonly host?: string
  readonly pid?: number
  readonly slots: number
  /** That ended in the window, or go on. */
  readonly runs: number
  /** Of its slots, within the window. */
  readonly busyMs: number
  /** How much of the window it was there for. */
  readonly presentMs: number
  /** Of its slots while it was there, from 0 to 1. */
  readonly utilisation: number
}

/** Over the trigger's whole life. */
export interface Punctuality {
  readonly id: string
  readonly kind: string
  readonly type: string
  readonly state: string
  readonly fired: number
  readonly missed: number
  readonly nextAt?: number
  readonly lastFiredAt?: number
  readonly lastLateMs?: number
  /** Of firings by time; undefined: there were none. */
  readonly meanLateMs?: number
  readonly maxLateMs: number
}

export interface Kpis {
  /** Held or waiting. */
  readonly pending: number
  readonly pendingByType: Readonly<Record<string, number>>
  readonly running: number
  /** That have not ended, and of which an earlier run has failed. */
  readonly failing: number
  /** Dead letters. */
  readonly failed: number
  /** Over the life of the log: successes, those of jobs that were removed since included. */
  readonly processed: number
  /** Of all runs; undefined: none has ended. */
  readonly meanRunMs?: number
  /** Live, not paused, with a slot free. */
  readonly availableWorkers: number
}
