/** One statement of a user's, on a handle that only reads. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Cell } from '../../projections/read-models/tables.js'
import type { Answer, QueryOptions, QueryRow } from '../../runtime/ports/read-models.js'
import { QueryInvalid, QueryWrites } from '../../runtime/ports/read-models.js'
import type { Database, Statement } from './driver.js'
import { sqliteCode, toStoreError } from './errors.js'

/** Rows taken before the event loop is let go. */
const ROWS = 500

/** Comments and blanks may stand before it. */
const FIRST_WORD = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?(?:\*\/|$))*([a-z]*)/i
/** PRAGMA, ATTACH and their like leave the file alone, but not the handle. */
const READING: ReadonlySet<string> = new Set(['select', 'with', 'values', 'explain'])

/** What is found, row by row, cells in the order of the columns. Throws QueryInvalid, QueryWrites, StoreUnavailable, also while it is walked. */
export interface Found {
  readonly columns: readonly string[]
  readonly rows: Iterable<readonly Cell[]>
}

export function findRows(db: Database, sql: string, params: readonly Cell[]): Found {
  const statement = prepare(db, sql).raw(true)
  return { columns: statement.columns().map(({ name }) => name), rows: rowsOf(statement, boundTo(sql, params)) }
}

/** In the thread of whoever asks, which a statement holds up for as long as it looks for a row. */
export async function answerTo(
  db: Database,
  sql: string,
  params: readonly Cell[],
  { signal, limit, whole }: QueryOptions & { readonly whole: boolean },
): Promise<Answer> {
  signal?.throwIfAborted()
  const { columns, rows: found } = findRows(db, sql, params)
  const rows: QueryRow[] = []
  for (const cells of found) {
    rows.push(toRow(columns, cells))
    if (rows.length === limit) break
    if (rows.length % ROWS === 0 && !whole) {
      await nextTurn()
      signal?.throwIfAborted()
    }
  }
  return { columns, rows }
}

export function toRow(columns: readonly string[], cells: readonly Cell[]): QueryRow {
  const row: Record<string, Cell> = {}
  columns.forEach((name, index) => {
    row[name] = cells[index] ?? null
  })
  return row
}

function* rowsOf(statement: Statement, bound: readonly unknown[]): Generator<readonly Cell[], void, undefined> {
  const found = attempt(() => statement.iterate(...bound))
  try {
    for (;;) {
      const { value, done } = attempt(() => found.next())
      if (done) return
      yield value as readonly Cell[]
    }
  } finally {
    found.return?.()
  }
}

function prepare(db: Database, sql: string): Statement {
  const word = FIRST_WORD.exec(sql)?.[1]?.toLowerCase() ?? ''
  const statement = attempt(() => db.prepare(sql))
  if (!READING.has(word) || !statement.reader || !statement.readonly) {
    throw new QueryWrites('Expected one statement that reads (SELECT, WITH, VALUES or EXPLAIN), got another.')
  }
  return statement
}

/** The driver binds `$1` by its name, and `?` by its place. */
function boundTo(sql: string, params: readonly Cell[]): unknown[] {
  if (params.length === 0) return []
  if (!/\$\d/.test(sql)) return [params]
  return [Object.fromEntries(params.map((value, index) => [String(index + 1), value]))]
}

/** What is wrong with the statement, and not with the file, is told as the caller's. */
function attempt<Result>(work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    const code = sqliteCode(error)
    const reason = error instanceof Error ? error.message : String(error)
    if (code.startsWith('SQLITE_READONLY') || code === 'SQLITE_AUTH') throw new QueryWrites(reason, { cause: error })
    const isTheirs = code === '' || code.startsWith('SQLITE_ERROR') || code.startsWith('SQLITE_RANGE')
    if (isTheirs || code.startsWith('SQLITE_MISMATCH') || code.startsWith('SQLITE_TOOBIG')) {
      throw new QueryInvalid(`The query cannot be answered: ${reason}`, { cause: error })
    }
    throw toStoreError(error, 'read models')
  }
}
