/** What readers of the past may be given, checked. Each throws InvalidOption. */
import { InvalidOption } from '../../domain/errors.js'
import { jobStream } from '../../domain/job/events.js'
import { checkKeys, toFlag, toName, toSignal, toTexts } from '../checks.js'
import type { Asked, Moment } from './moment.js'
import { toAsked } from './moment.js'

/** Which events; one must match each that is given. */
export interface EventFilter {
  /** Beginnings of stream names. */
  readonly streams?: string | readonly string[]
  /** Event types. */
  readonly types?: string | readonly string[]
  /** Ids of jobs. */
  readonly job?: string | readonly string[]
  /** Jobs of these queues, and what was done to the queues themselves. */
  readonly queue?: string | readonly string[]
}

/** A stretch of the log. */
export interface RangeOptions {
  /** An instant: events from then on. A position: those after it. Default: from the first event on. */
  readonly from?: Moment
  /** The last instant, or the last position. Default: what is there when it is asked for. */
  readonly until?: Moment
  readonly filter?: EventFilter
  readonly signal?: AbortSignal
}

export interface ReplayOptions extends RangeOptions {
  /** 1: as fast as it was recorded; 10: ten times as fast. Default: as fast as can be. */
  readonly speed?: number
  /** Payloads, results and errors, too. Default false. */
  readonly bodies?: boolean
}

export interface CheckedRange {
  readonly from: Asked | undefined
  readonly until: Asked | undefined
  readonly filter: CheckedFilter
  readonly signal: AbortSignal | undefined
}

export interface CheckedFilter {
  readonly streams: readonly string[] | undefined
  readonly types: readonly string[] | undefined
  /** Streams of the jobs asked for. */
  readonly jobs: ReadonlySet<string> | undefined
  readonly queues: ReadonlySet<string> | undefined
}

export const RANGE_KEYS: readonly string[] = ['from', 'until', 'filter', 'signal']
const FILTER_KEYS = new Set(['streams', 'types', 'job', 'queue'])

export function toRange({ from, until, filter = {}, signal }: RangeOptions, path: string): CheckedRange {
  return {
    from: from === undefined ? undefined : toAsked(from, `${path}.from`),
    until: until === undefined ? undefined : toAsked(until, `${path}.until`),
    filter: toFilter(filter, `${path}.filter`),
    signal: toSignal(signal, `${path}.signal`),
  }
}

function toFilter(given: EventFilter, path: string): CheckedFilter {
  checkKeys(given, FILTER_KEYS, path)
  const jobs = toTexts(given.job, `${path}.job`)?.map((id) => jobStream(toName(id, `${path}.job`)))
  const queues = toTexts(given.queue, `${path}.queue`)
  return {
    streams: toTexts(given.streams, `${path}.streams`),
    types: toTexts(given.types, `${path}.types`),
    jobs: jobs && new Set(jobs),
    queues: queues && new Set(queues),
  }
}

export function toSpeed(value: unknown, option: string): number | undefined {
  if (value === undefined || (typeof value === 'number' && value > 0 && Number.isFinite(value))) return value
  throw new InvalidOption(option, 'a number above 0: how many times as fast as it was recorded', value)
}

export const toBodies = (value: unknown, option: string): boolean =>
  value === undefined ? false : toFlag(value, option)
