/** Reads of a log, on a pool or on one connection in a transaction. */
import type { EventTexts, Position, RecordedEvent } from '../../domain/event.js'
import type { ReadAllOptions, ReadStreamOptions, ReadTextsOptions } from '../../runtime/ports/event-store.js'
import type { Reading } from '../shared/live-subscriptions.js'
import { PAGE_SIZE } from '../shared/pages.js'
import { toNumber, toPosition } from '../shared/positions.js'
import type { Row } from './connections.js'
import type { Value } from './driver.js'
import { NARROW, type OnUnreadable, toEvents, toText, toTexts, WIDE } from './rows.js'
import { quoted, REMOVED } from './schema.js'

/** Positions that one read of a filtered log looks through at most: no statement runs for long. */
const WINDOW = 100_000

/** Streams whose sizes are read at once. */
const SIZES_SLICE = 5000

const VISIBLE = `e.type <> '${REMOVED}'`

const BYTES =
  'octet_length(e.data) + coalesce(octet_length(e.metadata), 0) + coalesce(octet_length(e.body), 0) + coalesce(octet_length(e.bytes), 0)'

export type RunQuery = (text: string, values?: readonly Value[]) => Promise<Row[]>

/** What becomes of the rows of a page. */
type Convert<Event> = (rows: readonly Row[]) => Event[]
type Paged<Event> = AsyncGenerator<Event[], void, undefined>

export class Reader {
  readonly #query: RunQuery
  readonly #events: string
  readonly #instants: string
  readonly #onUnreadable: OnUnreadable

  constructor(query: RunQuery, schema: string, onUnreadable: OnUnreadable) {
    this.#query = query
    this.#events = `${quoted(schema)}.events e`
    this.#instants = `${quoted(schema)}.instants`
    this.#onUnreadable = onUnreadable
  }

  /** Events after a position, a page of them. What is left of removed streams counts, so that nothing behind it is asked for twice. */
  async after(position: number): Promise<Reading> {
    const sql = `SELECT ${NARROW} FROM ${this.#events} WHERE e.position > $1 ORDER BY e.position LIMIT ${PAGE_SIZE}`
    const rows = await this.#query(sql, [position])
    const visible = rows.filter((row) => row[3] !== REMOVED)
    const through = Number(rows.at(-1)?.[0] ?? position)
    return { events: toEvents(visible, this.#onUnreadable), through, more: rows.length === PAGE_SIZE }
  }

  /** Pages of the log as it is when the first one is asked for. */
  all(options: ReadAllOptions): Paged<RecordedEvent> {
    return this.#all(options, this.#toEvents)
  }

  /** Pages of one stream. */
  stream(name: string, options: ReadStreamOptions): Paged<RecordedEvent> {
    return this.#stream(name, options, this.#toEvents)
  }

  /** Pages of the log or of one stream, as texts. */
  texts(options: ReadTextsOptions): Paged<EventTexts> {
    return 'stream' in options
      ? this.#stream(options.stream, { bodies: true }, toTexts)
      : this.#all({ ...options, bodies: true }, toTexts)
  }

  readonly #toEvents: Convert<RecordedEvent> = (rows) => toEvents(rows, this.#onUnreadable)

  async *#all<Event>(options: ReadAllOptions, convert: Convert<Event>): Paged<Event> {
    const filter = filterOf(options)
    const until = options.until === undefined ? Number.POSITIVE_INFINITY : toNumber(options.until)
    let after = toNumber(options.after ?? '')
    let left = options.limit ?? Number.POSITIVE_INFINITY
    const end = Math.min(until, await this.last())
    const sql = `SELECT ${options.bodies === true ? WIDE : NARROW} FROM ${this.#events} WHERE ${filter.sql} ORDER BY e.position LIMIT $3`
    while (left > 0 && after < end) {
      const size = Math.min(left, PAGE_SIZE)
      const through = Math.min(after + WINDOW, end)
      const rows = await this.#query(sql, [after, through, size, ...filter.values])
      after = rows.length === size ? Number(rows.at(-1)?.[0]) : through
      left -= rows.length
      const events = convert(rows)
      if (events.length > 0) yield events
    }
  }

  async *#stream<Event>(name: string, options: ReadStreamOptions, convert: Convert<Event>): Paged<Event> {
    const { backwards = false, bodies = false } = options
    let from = options.from ?? (backwards ? Number.MAX_SAFE_INTEGER : 0)
    let left = options.limit ?? Number.POSITIVE_INFINITY
    const [comparison, order] = backwards ? ['<=', 'DESC'] : ['>=', 'ASC']
    const sql = `
      SELECT ${bodies ? WIDE : NARROW} FROM ${this.#events}
      WHERE e.stream = $1 AND e.revision ${comparison} $2::bigint AND ${VISIBLE} ORDER BY e.revision ${order} LIMIT $3`
    while (left > 0) {
      const size = Math.min(left, PAGE_SIZE)
      const rows = await this.#query(sql, [toText(name), from, size])
      const last = Number(rows.at(-1)?.[2] ?? from)
      from = backwards ? last - 1 : last + 1
      left = rows.length === size ? left - size : 0
      const events = convert(rows)
      if (events.length > 0) yield events
    }
  }

  /** Bytes of facts, metadata and bodies of each stream. */
  async sizes(streams: readonly string[]): Promise<number[]> {
    const sql = `
      SELECT coalesce((SELECT sum(${BYTES}) FROM ${this.#events} WHERE e.stream = r.stream AND ${VISIBLE}), 0)
      FROM unnest($1::text[]) WITH ORDINALITY r(stream, n) ORDER BY r.n`
    const sizes: number[] = []
    for (let next = 0; next === 0 || next < streams.length; next += SIZES_SLICE) {
      const rows = await this.#query(sql, [streams.slice(next, next + SIZES_SLICE).map(toText)])
      for (const row of rows) sizes.push(Number(row[0]))
    }
    return sizes
  }

  /** The last position in use. */
  last(): Promise<number> {
    return this.#one(`SELECT max(e.position) FROM ${this.#events}`)
  }

  /** Position of the last event that can be read, at or before one. */
  async lastVisible(through: number): Promise<Position> {
    const sql = `SELECT e.position FROM ${this.#events} WHERE e.position <= $1 AND ${VISIBLE} ORDER BY e.position DESC LIMIT 1`
    return toPosition(await this.#one(sql, [through]))
  }

  /**
   * A row (at, position) of `instants` vouches for everything up to that position. From there it is at most about a second
   * of progress to the first event that is later.
   */
  async positionAt(instant: number): Promise<Position> {
    const whole = Math.floor(instant)
    const sure = await this.#one(`SELECT position FROM ${this.#instants} WHERE at <= $1 ORDER BY at DESC LIMIT 1`, [
      whole,
    ])
    const later = await this.#one(
      `SELECT e.position FROM ${this.#events} WHERE e.position > $1 AND e.at > $2 AND ${VISIBLE} ORDER BY e.position LIMIT 1`,
      [sure, whole],
    )
    return this.lastVisible(later === 0 ? Number.MAX_SAFE_INTEGER : later - 1)
  }

  /** 0 for no row. */
  async #one(sql: string, values: readonly Value[] = []): Promise<number> {
    return Number((await this.#query(sql, values))[0]?.[0] ?? 0)
  }
}

function filterOf({ streams, types }: ReadAllOptions): { sql: string; values: Value[] } {
  const conditions = ['e.position > $1', 'e.position <= $2', VISIBLE]
  const values: Value[] = []
  const add = (given: readonly string[], condition: (parameter: string) => string): void => {
    values.push(given.map(toText))
    conditions.push(condition(`$${values.length + 3}::text[]`))
  }
  if (types !== undefined) add(types, (parameter) => `e.type = ANY (${parameter})`)
  if (streams !== undefined) {
    add(
      streams,
      (parameter) => `EXISTS (SELECT FROM unnest(${parameter}) p(prefix) WHERE starts_with(e.stream, p.prefix))`,
    )
  }
  return { sql: conditions.join(' AND '), values }
}
