/** The SQL of appending. */
import type { Database, Statement } from './driver.js'
import { HEAD_REMOVED } from './heads.js'
import { REMOVED } from './schema.js'

const COLUMNS = 'position, stream, revision, name, type, at, id, data, metadata, seal, body'

// `revision > 0` is said each time, so that SQLite sees that the partial index covers the question.
const HEAD = `
  SELECT e.position, e.type, (
    SELECT h.revision FROM jobledger_events h WHERE h.stream = e.position AND h.revision > 0 ORDER BY h.revision DESC LIMIT 1
  ) FROM jobledger_events e WHERE e.name = ?`
const FIRST_ID = 'SELECT position, id FROM jobledger_events WHERE position = ?'
const LATER_ID = 'SELECT position, id FROM jobledger_events WHERE stream = ? AND revision = ? AND revision > 0'

// Positions of removed events are not used again: `floor` remembers the greatest of them.
const LAST_POSITION = `
  SELECT max(coalesce((SELECT max(position) FROM jobledger_events), 0), coalesce((SELECT value FROM jobledger_meta WHERE key = 'floor'), 0))`

export class WriterStatements {
  readonly dataVersion: Statement
  readonly addInstant: Statement
  readonly #inserts: readonly Statement[]
  readonly #head: Statement
  readonly #firstId: Statement
  readonly #laterId: Statement
  readonly #lastPosition: Statement
  readonly #lastInstant: Statement

  constructor(db: Database, chunk: number) {
    // The handle may be the caller's, with settings of its own.
    const prepare = (sql: string): Statement => db.prepare(sql).safeIntegers(false)
    const inserts = Array.from({ length: chunk }, (_, index) => prepare(insertSql(index + 1)))
    this.#inserts = inserts
    this.dataVersion = prepare('PRAGMA data_version').pluck(true)
    this.addInstant = prepare('INSERT INTO jobledger_instants (at, position) VALUES (?, ?)')
    this.#head = prepare(HEAD).raw(true)
    this.#firstId = prepare(FIRST_ID).raw(true)
    this.#laterId = prepare(LATER_ID).raw(true)
    this.#lastPosition = prepare(LAST_POSITION).pluck(true)
    this.#lastInstant = prepare('SELECT max(at) FROM jobledger_instants').pluck(true)
  }

  insert(rows: number): Statement {
    const statement = this.#inserts[rows - 1]
    if (statement === undefined) throw new RangeError(`Expected 1 to ${this.#inserts.length} rows, got ${rows}.`)
    return statement
  }

  /** The last position ever used. */
  lastPosition(): number {
    return this.#lastPosition.get() as number
  }

  /** -Infinity before the first one. */
  lastInstant(): number {
    return (this.#lastInstant.get() as number | null) ?? Number.NEGATIVE_INFINITY
  }

  head(name: string): { readonly number: number; readonly revision: number } | undefined {
    const row = this.#head.get(name) as [number, string, number | null] | undefined
    if (row === undefined) return undefined
    const [number, type, later] = row
    return { number, revision: later ?? (type === REMOVED ? HEAD_REMOVED : 0) }
  }

  eventAt(number: number, revision: number): { readonly position: number; readonly id: string } | undefined {
    const row = revision === 0 ? this.#firstId.get(number) : this.#laterId.get(number, revision)
    if (row === undefined) return undefined
    const [position, id] = row as [number, string]
    return { position, id }
  }
}

function insertSql(rows: number): string {
  const one = `(${COLUMNS.replace(/\w+/g, '?')})`
  return `INSERT INTO jobledger_events (${COLUMNS}) VALUES ${Array.from({ length: rows }, () => one).join(', ')}`
}
