/** What callers may ask of a report, checked. Each throws InvalidOption. */
import type { Duration } from '../../domain/duration.js'
import { toMs } from '../../domain/duration.js'
import { InvalidOption } from '../../domain/errors.js'
import type { Instant } from '../../domain/instant.js'
import { toInstant } from '../../domain/instant.js'
import type { Cell } from '../../projections/read-models/tables.js'
import { checkKeys, toLabel, toName } from '../checks.js'

/** Which jobs it is about. */
export interface LaneFilter {
  readonly queue?: string
  readonly type?: string
  readonly channel?: string
}

/** Of which time. Default: the last hour. */
export interface ReportOptions extends LaneFilter {
  /** From an instant (default: the beginning) up to another (default: now). */
  readonly window?: { readonly from?: Instant; readonly until?: Instant }
  /** The last while, up to now: in place of `window`. */
  readonly last?: Duration
}

export interface ThroughputOptions extends ReportOptions {
  /** Whole minutes. Default: so that there are about 60 of them. */
  readonly step?: Duration
}

export interface TimesOptions extends ReportOptions {
  /** One line for each; default: one for all. */
  readonly by?: Lane
}

export interface OldestOptions extends LaneFilter {
  /** 1 to 1,000, default 10. */
  readonly limit?: number
}

export type Lane = 'queue' | 'type' | 'channel'
/** `until` is exclusive (ms). */
export interface Window {
  readonly from: number
  readonly until: number
}

export const MINUTE = 60_000
const HOUR = 3_600_000
const STEPS = 60
const STEPS_MAX = 2_000
export const LANES: readonly Lane[] = ['queue', 'type', 'channel']
const WINDOW_KEYS = new Set(['from', 'until'])
const REPORT_KEYS = [...LANES, 'window', 'last']

function toWindow({ window, last }: ReportOptions, now: number, path: string): Window {
  if (window === undefined) {
    const lastMs = last === undefined ? HOUR : toMs(last, `${path}.last`)
    if (lastMs === 0) throw new InvalidOption(`${path}.last`, 'a duration above 0', last)
    return { from: Math.max(0, now - lastMs), until: now + 1 }
  }
  if (last !== undefined) throw new InvalidOption(`${path}.last`, 'nothing beside `window`', last)
  checkKeys(window, WINDOW_KEYS, `${path}.window`)
  const from = window.from === undefined ? 0 : toInstant(window.from, `${path}.window.from`)
  const until = window.until === undefined ? now + 1 : toInstant(window.until, `${path}.window.until`)
  if (until > from) return { from, until }
  throw new InvalidOption(`${path}.window.until`, 'an instant after `from`', window.until)
}

export function toLaneFilter({ queue, type, channel }: LaneFilter, path: string): LaneFilter {
  return {
    ...(queue !== undefined && { queue: toLabel(queue, `${path}.queue`) }),
    ...(type !== undefined && { type: toName(type, `${path}.type`) }),
    ...(channel !== undefined && { channel: toLabel(channel, `${path}.channel`) }),
  }
}

interface Asked {
  readonly window: Window
  readonly lane: LaneFilter
}

/** `more`: keys of its own. */
export function toAsked(given: ReportOptions, now: number, path: string, more: readonly string[] = []): Asked {
  checkKeys(given, new Set([...REPORT_KEYS, ...more]), path)
  return { window: toWindow(given, now, path), lane: toLaneFilter(given, path) }
}

/** Whole minutes. */
export function toStep(step: Duration | undefined, { from, until }: Window, path: string): number {
  if (step === undefined) return Math.max(1, Math.ceil((until - from) / STEPS / MINUTE)) * MINUTE
  const ms = toMs(step, path)
  const isFew = ms > 0 && (until - from) / ms <= STEPS_MAX
  if (isFew && ms % MINUTE === 0) return ms
  throw new InvalidOption(path, `whole minutes, at most ${STEPS_MAX} of them in the window`, step)
}

export function toLane(by: unknown, path: string): Lane | undefined {
  if (by === undefined || LANES.includes(by as Lane)) return by as Lane | undefined
  throw new InvalidOption(path, `one of ${LANES.join(', ')}`, by)
}

/** Conditions in SQL, and what their parameters are bound to. */
export class Conditions {
  readonly params: Cell[] = []
  readonly #terms: string[] = []

  constructor(lane: LaneFilter = {}) {
    for (const name of LANES) {
      const value = lane[name]
      if (value !== undefined) this.and(`${name} = ?`, value)
    }
  }

  /** Each `?` stands for one of the values, in order. */
  and(term: string, ...values: readonly Cell[]): this {
    const left = [...values]
    this.#terms.push(term.replaceAll('?', () => this.param(left.shift() as Cell)))
    return this
  }

  param(value: Cell): string {
    this.params.push(value)
    return `$${this.params.length}`
  }

  get where(): string {
    return this.#terms.length === 0 ? '' : `WHERE ${this.#terms.join(' AND ')}`
  }
}
