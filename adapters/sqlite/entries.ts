/** The log as `Entries`, which SQLite puts together itself: a row for each event costs three times what its bytes do. */
import { SALT_BYTES, SEAL_DIGITS } from '../../domain/audit/entries.js'
import type { LogRange } from '../../runtime/ports/event-store.js'
import type { PageSource } from '../shared/pages.js'
import { toNumber } from '../shared/positions.js'
import type { Database, Statement } from './driver.js'
import { sqliteCode } from './errors.js'
import { NAMED_EVENTS } from './rows.js'
import { REMOVED } from './schema.js'

/** Events of a page at most: about a millisecond. */
const MOST = 1_000

/** Bodies may be long: what a page comes to, about. */
const BYTES = 1024 ** 2

/** Positions that one read looks through at most: where much was removed there are many without an event. */
const WINDOW = 10_000

const field = (value: string): string => `octet_length(${value}), ':', ${value}`
const field0 = (value: string): string =>
  `CASE WHEN ${value} IS NULL THEN '-' ELSE octet_length(${value}) || ':' || ${value} END`

/** Sixteen digits, as everywhere. */
const POSITION = `'16:', substr(10000000000000000 + e.position, 2)`

/** With a salt of another length that makes no hash that was ever kept: see EntryWriter. */
const SEALED = `CASE
  WHEN e.seal IS NULL OR e.body IS NULL THEN '-'
  WHEN octet_length(e.seal) <> ${SALT_BYTES} THEN concat('1:', unhex(format('%02x', octet_length(e.seal) & 255)))
  ELSE concat(${SALT_BYTES} + octet_length(e.body), ':', e.seal, e.body) END`

const SEAL = `CASE
  WHEN e.seal IS NULL THEN '-'
  WHEN e.body IS NULL THEN concat(2 * octet_length(e.seal), ':', lower(hex(e.seal)))
  ELSE '${SEAL_DIGITS}:${'0'.repeat(SEAL_DIGITS)}' END`

const CONTENT = `${['e.id', 'e.type', 'e.at', 'e.data'].map(field).join(', ')}, ${field0('e.metadata')}, ${SEAL}`

const ENTRY = `concat(${POSITION}, ${field(`coalesce(e.name, s.name, '')`)}, ${field('e.revision')}, ${SEALED}, ${CONTENT})`

// What is put together of bytes that are no text is a text for SQLite, and never for us.
const PAGE = `
  SELECT max(position), count(*), cast(group_concat(entry, '') AS BLOB) FROM (
    SELECT e.position, ${ENTRY} AS entry FROM ${NAMED_EVENTS}
    WHERE e.position > ? AND e.position <= ? AND e.type <> '${REMOVED}' ORDER BY e.position LIMIT ?
  )`

type Row = readonly [position: number | null, count: number, entries: Uint8Array | null]

export class EntryPages implements PageSource<Uint8Array> {
  readonly #page: Statement
  readonly #last: () => number
  readonly #until: number
  #after: number
  #size = 50
  #isDone = false

  /** `last`: the last position in use. */
  constructor(db: Database, { after = '', until }: LogRange, last: () => number) {
    this.#page = db.prepare(PAGE).safeIntegers(false).raw(true)
    this.#last = last
    this.#until = until === undefined ? Number.POSITIVE_INFINITY : toNumber(until)
    this.#after = toNumber(after)
  }

  more(): boolean {
    return !this.#isDone
  }

  read(): Uint8Array {
    const end = Math.min(this.#until, this.#last())
    const through = Math.min(this.#after + WINDOW, end)
    const [position, count, bytes] = this.#get(through)
    this.#after = count === this.#size ? (position ?? through) : Math.max(this.#after, through)
    this.#isDone = this.#after >= end
    if (bytes === null || count === 0) return new Uint8Array(0)
    this.#size = Math.max(1, Math.min(MOST, Math.floor((BYTES * count) / bytes.length)))
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  /** Of events with very long bodies fewer fit into one value of SQLite's. */
  #get(through: number): Row {
    for (;;) {
      try {
        return this.#page.get([this.#after, through, this.#size]) as Row
      } catch (error) {
        if (sqliteCode(error) !== 'SQLITE_TOOBIG' || this.#size === 1) throw error
        this.#size = Math.ceil(this.#size / 10)
      }
    }
  }
}
