/** Reads of one handle. All synchronous: paging and letting the event loop go is the caller's. */
import type { EventTexts, Position, RecordedEvent } from '../../domain/event.js'
import type { LogRange, ReadAllOptions, ReadStreamOptions, ReadTextsOptions } from '../../runtime/ports/event-store.js'
import type { Reading } from '../shared/live-subscriptions.js'
import { PAGE_SIZE, type PageSource } from '../shared/pages.js'
import { toNumber, toPosition } from '../shared/positions.js'
import type { Database, Statement, Value } from './driver.js'
import { EntryPages } from './entries.js'
import type { Heads } from './heads.js'
import { type EventRow, NAMED_EVENTS, NARROW, type OnUnreadable, toEvents, toTexts, WIDE } from './rows.js'
import { REMOVED } from './schema.js'

/** Positions that one read of a filtered log looks through at most: some 5 ms. */
const WINDOW = 10_000

/** Greater than every character of a name that follows a prefix. */
const AFTER_ALL = '\u{10FFFF}'

const VISIBLE = `e.type <> '${REMOVED}'`

const AFTER = `SELECT ${NARROW} FROM ${NAMED_EVENTS} WHERE e.position > ? AND ${VISIBLE} ORDER BY e.position LIMIT ${PAGE_SIZE}`

const BYTES = (row: string): string =>
  `octet_length(${row}.data) + coalesce(octet_length(${row}.metadata), 0) + coalesce(octet_length(${row}.body), 0)`

// Lengths are in the head of a row: what is long is not read.
const SIZE = `
  SELECT iif(${VISIBLE}, ${BYTES('e')}, 0) + coalesce((
    SELECT sum(${BYTES('l')}) FROM jobledger_events l WHERE l.stream = e.position AND l.revision > 0
  ), 0) FROM jobledger_events e WHERE e.name = ?`

/** The SQL of one stream's events. The first event is found by its position, the others by the index of revisions. */
function streamSql(columns: string): {
  readonly named: string
  readonly first: string
  readonly forwards: string
  readonly backwards: string
} {
  const later = `SELECT ${columns} FROM jobledger_events e WHERE e.stream = ? AND e.revision > 0`
  return {
    named: `SELECT ${columns} FROM jobledger_events e WHERE e.name = ? AND ${VISIBLE}`,
    first: `SELECT ${columns} FROM jobledger_events e WHERE e.position = ? AND ${VISIBLE}`,
    forwards: `${later} AND e.revision >= ? ORDER BY e.revision LIMIT ?`,
    backwards: `${later} AND e.revision <= ? ORDER BY e.revision DESC LIMIT ?`,
  }
}

/** The name is known when one stream is read. */
const NARROW_STREAM = streamSql(NARROW.replace('coalesce(e.name, s.name)', "''"))
const WIDE_STREAM = streamSql(WIDE.replace('coalesce(e.name, s.name)', "''"))

/** What becomes of the rows of a page. */
type Convert<Event> = (rows: readonly EventRow[], stream?: string) => Event[]

interface StreamPage {
  readonly from: number
  readonly size: number
  readonly backwards: boolean
  readonly bodies: boolean
}

export class Reader {
  readonly #db: Database
  readonly #onUnreadable: OnUnreadable
  readonly #prepared = new Map<string, Statement>()

  constructor(db: Database, onUnreadable: OnUnreadable) {
    this.#db = db
    this.#onUnreadable = onUnreadable
  }

  /** Events after a position, a page of them. */
  after(position: number): Reading {
    const rows = this.#rows(AFTER, [position])
    const through = rows.at(-1)?.[0] ?? position
    return { events: toEvents(rows, this.#onUnreadable), through, more: rows.length === PAGE_SIZE }
  }

  /** Pages of the log. */
  all(options: ReadAllOptions): PageSource {
    return this.#all(options, this.#toEvents)
  }

  /** Pages of one stream. `heads` may know its number, and learns it. */
  stream(name: string, options: ReadStreamOptions, heads: Heads): PageSource {
    return this.#stream(name, options, heads, this.#toEvents)
  }

  /** Pages of the log or of one stream, as texts. */
  texts(options: ReadTextsOptions, heads: Heads): PageSource<EventTexts[]> {
    return 'stream' in options
      ? this.#stream(options.stream, { bodies: true }, heads, toTexts)
      : this.#all({ ...options, bodies: true }, toTexts)
  }

  /** Pages of the log, as entries to be hashed. */
  entries(range: LogRange): PageSource<Uint8Array> {
    return new EntryPages(this.#db, range, () => this.last())
  }

  readonly #toEvents: Convert<RecordedEvent> = (rows, stream) => toEvents(rows, this.#onUnreadable, stream)

  #all<Event>(options: ReadAllOptions, convert: Convert<Event>): PageSource<Event[]> {
    const filter = filterOf(options)
    const until = options.until === undefined ? Number.POSITIVE_INFINITY : toNumber(options.until)
    let after = toNumber(options.after ?? '')
    let left = options.limit ?? Number.POSITIVE_INFINITY
    let more = left > 0
    const read = (): Event[] => {
      const size = Math.min(left, PAGE_SIZE)
      const through = Math.min(after + WINDOW, until, this.last())
      const rows = this.#rows(filter.sql, [after, through, ...filter.values, size])
      after = rows.length === size ? (rows.at(-1)?.[0] ?? through) : Math.max(after, through)
      left -= rows.length
      more = left > 0 && after < Math.min(until, this.last())
      return convert(rows)
    }
    return { more: () => more, read }
  }

  #stream<Event>(name: string, options: ReadStreamOptions, heads: Heads, convert: Convert<Event>): PageSource<Event[]> {
    const { backwards = false, bodies = false } = options
    let from = options.from ?? (backwards ? Number.MAX_SAFE_INTEGER : 0)
    let left = options.limit ?? Number.POSITIVE_INFINITY
    let more = left > 0
    const read = (): Event[] => {
      const size = Math.min(left, PAGE_SIZE)
      const rows =
        (from === 0 && size === 1 ? this.#first(name, bodies, heads) : undefined) ??
        this.#ofName(name, { from, size, backwards, bodies }, heads)
      const last = rows.at(-1)?.[2] ?? from
      from = backwards ? last - 1 : last + 1
      left -= rows.length
      more = rows.length === size && left > 0 && from >= 0
      return convert(rows, name)
    }
    return { more: () => more, read }
  }

  /** Bytes of a stream's facts, metadata and bodies. */
  size(name: string): number {
    return this.#one(SIZE, [name]) ?? 0
  }

  /** The last position in use. */
  last(): number {
    return this.#one('SELECT max(position) FROM jobledger_events', []) ?? 0
  }

  /** Position of the last event that can be read, at or before one. */
  lastVisible(through: number): Position {
    const sql = `SELECT e.position FROM jobledger_events e WHERE e.position <= ? AND ${VISIBLE} ORDER BY e.position DESC LIMIT 1`
    return toPosition(this.#one(sql, [through]) ?? 0)
  }

  /**
   * A row (at, position) of `instants` vouches for everything up to that position. From there it is at most about a second
   * of progress to the first event that is later.
   */
  positionAt(instant: number): Position {
    const sure =
      this.#one('SELECT position FROM jobledger_instants WHERE at <= ? ORDER BY at DESC LIMIT 1', [instant]) ?? 0
    const later = this.#one(
      `SELECT e.position FROM jobledger_events e WHERE e.position > ? AND e.at > ? AND ${VISIBLE} ORDER BY e.position LIMIT 1`,
      [sure, instant],
    )
    return this.lastVisible(later === undefined ? Number.MAX_SAFE_INTEGER : later - 1)
  }

  #number(name: string, heads: Heads): number | undefined {
    const row = this.#statement(`SELECT e.position, ${VISIBLE} FROM jobledger_events e WHERE e.name = ?`).get(name)
    if (row === undefined) return undefined
    const [number, visible] = row as [number, number]
    // A stream that was removed or truncated is not one that has begun at 0 and may be there still.
    if (visible === 1) heads.setNumber(name, number)
    return number
  }

  /** The name and the first event in one look: this is how a payload is read, once for every lease. */
  #first(name: string, bodies: boolean, heads: Heads): EventRow[] | undefined {
    const row = this.#statement((bodies ? WIDE_STREAM : NARROW_STREAM).named).get(name) as EventRow | undefined
    // Not there, or it has lost its beginning.
    if (row === undefined) return undefined
    heads.setNumber(name, row[0])
    return [row]
  }

  #ofName(name: string, page: StreamPage, heads: Heads): EventRow[] {
    const number = heads.number(name) ?? this.#number(name, heads)
    return number === undefined ? [] : this.#ofStream(number, page)
  }

  #ofStream(number: number, page: StreamPage): EventRow[] {
    const { from, size, backwards } = page
    const sql = page.bodies ? WIDE_STREAM : NARROW_STREAM
    const later = (count: number): EventRow[] =>
      this.#rows(backwards ? sql.backwards : sql.forwards, [number, from, count])
    if (backwards) {
      const rows = from > 0 ? later(size) : []
      return rows.length < size && from >= 0 ? rows.concat(this.#rows(sql.first, [number])) : rows
    }
    const rows = from <= 0 ? this.#rows(sql.first, [number]) : []
    return rows.length < size ? rows.concat(later(size - rows.length)) : rows
  }

  #rows(sql: string, values: readonly Value[]): EventRow[] {
    return this.#statement(sql).all(values) as EventRow[]
  }

  #one(sql: string, values: readonly Value[]): number | undefined {
    const row = this.#statement(sql).get(values) as readonly [number | null] | undefined
    return row?.[0] ?? undefined
  }

  #statement(sql: string): Statement {
    let statement = this.#prepared.get(sql)
    if (statement === undefined) {
      // The handle may be the caller's, with settings of its own.
      statement = this.#db.prepare(sql).safeIntegers(false).raw(true)
      this.#prepared.set(sql, statement)
    }
    return statement
  }
}

function filterOf({ streams, types, bodies = false }: ReadAllOptions): { sql: string; values: Value[] } {
  const conditions = ['e.position > ?', 'e.position <= ?', VISIBLE]
  const values: Value[] = []
  if (types !== undefined) {
    conditions.push('e.type IN (SELECT value FROM json_each(?))')
    values.push(JSON.stringify(types))
  }
  if (streams !== undefined) {
    const name = 'coalesce(e.name, s.name)'
    conditions.push(`(${streams.map(() => `(${name} >= ? AND ${name} < ?)`).join(' OR ') || 'false'})`)
    values.push(...streams.flatMap((prefix) => [prefix, prefix + AFTER_ALL]))
  }
  const sql = `SELECT ${bodies ? WIDE : NARROW} FROM ${NAMED_EVENTS} WHERE ${conditions.join(' AND ')} ORDER BY e.position LIMIT ?`
  return { sql, values }
}
