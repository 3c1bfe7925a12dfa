/**
 * The floor: what SQLite alone does with the very rows that the engine wrote. The same bytes go into the same schema and
 * indexes of a fresh file with the same settings, row by row through one prepared statement, fsync on.
 */
import type { Database, Statement, Value } from '../adapters/sqlite/driver.js'
import { openLog } from '../adapters/sqlite/open.js'
import type { Task } from './task.js'
import { GROUP } from './workload.js'

export type RawRow = readonly Value[]

type FloorArgs = {
  /** The file that the engine wrote. */
  readonly from: string
  readonly to: string
  /** SQL condition of the rows that are there before the clock starts, and of those that are timed. */
  readonly given?: string
  readonly timed: string
  /** Timed rows per job: a transaction takes those of 1,000 jobs. */
  readonly rowsPerJob: number
}

export const floor: Task<FloorArgs, { jobsPerSecond: number }> = {
  name: 'floor',
  async work({ from, to, given, timed, rowsPerJob }) {
    const source = openLog(from, { readonly: true }).db
    const db = openLog(to).db
    const insert = insertOf(db)
    if (given !== undefined) transaction(db, insert, rowsOf(source, given))
    const rows = rowsOf(source, timed)
    const groups = slices(rows, GROUP * rowsPerJob)
    globalThis.gc?.()
    const began = performance.now()
    for (const group of groups) transaction(db, insert, group)
    const seconds = (performance.now() - began) / 1_000
    source.close()
    db.close()
    return { jobsPerSecond: rows.length / rowsPerJob / seconds }
  },
}

export function rowsOf(db: Database, condition: string): RawRow[] {
  return db.prepare(`SELECT * FROM jobledger_events WHERE ${condition} ORDER BY position`).raw(true).all() as RawRow[]
}

export function insertOf(db: Database): Statement {
  const columns = db.prepare('SELECT name FROM pragma_table_info(?)').pluck(true).all('jobledger_events')
  return db.prepare(`INSERT INTO jobledger_events VALUES (${columns.map(() => '?').join(', ')})`)
}

export function transaction(db: Database, insert: Statement, rows: readonly RawRow[]): void {
  db.exec('BEGIN IMMEDIATE')
  for (const row of rows) insert.run(row)
  db.exec('COMMIT')
}

function slices<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  )
}
