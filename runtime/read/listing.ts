/** What callers may ask a listing for, and what of it the views can answer. */
import { InvalidOption } from '../../domain/errors.js'
import type { JobStatusName } from '../../projections/job-status.js'
import { JOB_STATUS_NAMES } from '../../projections/job-status.js'
import { checkKeys, toTexts } from '../checks.js'
import type { JobRow, JobRowFilter } from '../ports/views.js'

export interface ListFilter {
  readonly state?: JobStatusName | readonly JobStatusName[]
  readonly type?: string | readonly string[]
  readonly queue?: string | readonly string[]
  readonly channel?: string | readonly string[]
  /** Ids of triggers that made them; '': those that none made. */
  readonly trigger?: string | readonly string[]
  /** 1 to 1,000, default 50. */
  readonly limit?: number
  /** `cursor` of the page before. */
  readonly cursor?: string
}

const PHASES: Readonly<Record<JobStatusName, string>> = {
  held: 'waiting',
  blocked: 'waiting',
  scheduled: 'waiting',
  ready: 'waiting',
  running: 'leased',
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'cancelled',
}

/** Rows read at a time where their states have to be looked at one by one. */
export const SLICE = 500
const CURSOR = /^\d{15} ./s
const FILTER_KEYS = new Set(['state', 'type', 'queue', 'channel', 'trigger', 'limit', 'cursor'])

interface Wanted {
  readonly rows: Omit<JobRowFilter, 'limit' | 'before'>
  readonly states: ReadonlySet<JobStatusName> | undefined
  readonly limit: number
}

export function toRowFilter(filter: ListFilter): Wanted {
  checkKeys(filter, FILTER_KEYS, 'list')
  const { state, type, queue, channel, trigger, limit = 50, cursor } = filter
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > 1_000) {
    throw new InvalidOption('list.limit', 'an integer from 1 to 1000', limit)
  }
  if (cursor !== undefined && !(typeof cursor === 'string' && CURSOR.test(cursor)))
    throw new InvalidOption('list.cursor', 'the cursor of a page', cursor)
  const states = toTexts(state, 'list.state') as JobStatusName[] | undefined
  const odd = states?.find((name) => !JOB_STATUS_NAMES.includes(name))
  if (odd !== undefined) throw new InvalidOption('list.state', `one of ${JOB_STATUS_NAMES.join(', ')}`, odd)
  const types = toTexts(type, 'list.type')
  const queues = toTexts(queue, 'list.queue')
  const channels = toTexts(channel, 'list.channel')
  const triggers = toTexts(trigger, 'list.trigger')
  return {
    limit,
    states: states && new Set(states),
    rows: {
      ...(states !== undefined && { phases: [...new Set(states.map((name) => PHASES[name]))] }),
      ...(types !== undefined && { types }),
      ...(queues !== undefined && { queues }),
      ...(channels !== undefined && { channels }),
      ...(triggers !== undefined && { triggers }),
    },
  }
}

export const matches = (row: JobRow, { types, queues, channels, triggers, phases, before }: JobRowFilter): boolean =>
  (types?.includes(row.type) ?? true) &&
  (queues?.includes(row.queue) ?? true) &&
  (channels?.includes(row.channel) ?? true) &&
  (triggers?.includes(row.trigger) ?? true) &&
  (phases?.includes(row.phase) ?? true) &&
  (before === undefined || row.place < before)
