/** What callers may search for, checked. */
import { InvalidOption } from '../../domain/errors.js'
import type { Instant } from '../../domain/instant.js'
import { toInstant } from '../../domain/instant.js'
import { checkKeys, checkObject, toCount, toLabel, toName } from '../checks.js'

/** Up to and including `until`; at least one of the two. */
export interface Span {
  readonly from?: Instant
  readonly until?: Instant
}

/** Of a job as the tables have it: blocked, scheduled and ready jobs are waiting ones. */
export type FoundState = 'held' | 'waiting' | 'running' | 'succeeded' | 'failed' | 'cancelled'

/** A job must fit all that is given. */
export interface SearchFilter {
  readonly id?: string
  readonly type?: string
  readonly queue?: string
  /** '' are jobs without one. */
  readonly channel?: string
  readonly state?: FoundState
  readonly queued?: Span
  /** The first run of its round. */
  readonly started?: Span
  readonly ended?: Span
  /** Words, all of which are in the name or the message of its last error. */
  readonly error?: string
  /** What its payload says at paths that types declare with `search`. */
  readonly payload?: Readonly<Record<string, string | number | boolean>>
  /** 1 to 1,000, default 50. */
  readonly limit?: number
  /** `cursor` of the page before. */
  readonly cursor?: string
}

export interface Range {
  readonly from: number
  readonly until: number
}

/** Newest first by this: when jobs ended or started where that is asked for, else in the order of the log. */
export type Sort = 'seq' | 'started_at' | 'ended_at'

export interface Place {
  /** Of the column that is sorted by. */
  readonly value: number
  readonly seq: number
}

export interface Wanted {
  readonly equal: Readonly<Partial<Record<'id' | 'type' | 'queue' | 'channel' | 'state', string>>>
  readonly ranges: Readonly<Partial<Record<'queued_at' | 'started_at' | 'ended_at', Range>>>
  readonly words: readonly string[]
  readonly payload: readonly (readonly [path: string, value: string])[]
  readonly sort: Sort
  readonly limit: number
  readonly after: Place | undefined
}

const KEYS = new Set(
  ['id', 'type', 'queue', 'channel', 'state', 'queued', 'started', 'ended'].concat([
    'error',
    'payload',
    'limit',
    'cursor',
  ]),
)
const SPAN_KEYS = new Set(['from', 'until'])
export const STATES: readonly FoundState[] = ['held', 'waiting', 'running', 'succeeded', 'failed', 'cancelled']
const WORDS = /[\p{L}\p{N}]+/gu
const WORDS_MAX = 20

/** `declared`: all paths that any type declares. Throws InvalidOption. */
export function toWanted(filter: SearchFilter, declared: ReadonlySet<string>): Wanted {
  checkKeys(filter, KEYS, 'search')
  const { id, type, queue, channel, state, queued, started, ended, error, payload, limit = 50, cursor } = filter
  if (state !== undefined && !STATES.includes(state))
    throw new InvalidOption('search.state', `one of ${STATES.join(', ')}`, state)
  const sort = ended !== undefined ? 'ended_at' : started !== undefined ? 'started_at' : 'seq'
  return {
    equal: {
      ...(id !== undefined && { id: toName(id, 'search.id') }),
      ...(type !== undefined && { type: toName(type, 'search.type') }),
      ...(queue !== undefined && { queue: toLabel(queue, 'search.queue') }),
      ...(channel !== undefined && { channel: toLabel(channel, 'search.channel') }),
      ...(state !== undefined && { state }),
    },
    ranges: {
      ...(queued !== undefined && { queued_at: toRange(queued, 'search.queued') }),
      ...(started !== undefined && { started_at: toRange(started, 'search.started') }),
      ...(ended !== undefined && { ended_at: toRange(ended, 'search.ended') }),
    },
    words: error === undefined ? [] : toWords(error),
    payload: payload === undefined ? [] : toPairs(payload, declared),
    sort,
    limit: toCount(limit, 'search.limit', 1, 1_000),
    after: cursor === undefined ? undefined : toPlace(cursor, sort),
  }
}

function toRange(span: Span, path: string): Range {
  checkKeys(span, SPAN_KEYS, path)
  if (span.from === undefined && span.until === undefined)
    throw new InvalidOption(path, '`from`, `until` or both', span)
  const from = span.from === undefined ? 0 : toInstant(span.from, `${path}.from`)
  const until = span.until === undefined ? Number.MAX_SAFE_INTEGER : toInstant(span.until, `${path}.until`)
  if (until >= from) return { from, until }
  throw new InvalidOption(`${path}.until`, 'an instant that is not before `from`', span.until)
}

/** Nothing of a text reaches the language of a full-text index but its letters and digits. */
function toWords(error: unknown): string[] {
  const words = typeof error === 'string' ? (error.match(WORDS) ?? []) : []
  if (words.length >= 1 && words.length <= WORDS_MAX) return words
  throw new InvalidOption('search.error', `a text with 1 to ${WORDS_MAX} words of letters and digits`, error)
}

function toPairs(payload: unknown, declared: ReadonlySet<string>): (readonly [string, string])[] {
  checkObject(payload, 'search.payload')
  const pairs = Object.entries(payload)
  if (pairs.length === 0) throw new InvalidOption('search.payload', 'at least one path', payload)
  return pairs.map(([path, value]: [string, unknown]) => {
    if (!declared.has(path)) {
      const known =
        declared.size === 0 ? 'a declared path, and no job type declares any' : `one of ${[...declared].join(', ')}`
      throw new InvalidOption(`search.payload.${path}`, known, path)
    }
    const isPlain = ['string', 'number', 'boolean'].includes(typeof value) && String(value).length <= 200
    if (isPlain) return [path, String(value)] as const
    throw new InvalidOption(
      `search.payload.${path}`,
      'a text of at most 200 characters, a number, true or false',
      value,
    )
  })
}

const CURSOR = /^(seq|started_at|ended_at):(\d{1,16}):(\d{1,16})$/

export const cursorOf = (sort: Sort, { value, seq }: Place): string => `${sort}:${value}:${seq}`

function toPlace(cursor: unknown, sort: Sort): Place {
  const [, of, value, seq] = (typeof cursor === 'string' ? CURSOR.exec(cursor) : null) ?? []
  if (of === sort) return { value: Number(value), seq: Number(seq) }
  throw new InvalidOption('search.cursor', 'the cursor of a page of this very search', cursor)
}
