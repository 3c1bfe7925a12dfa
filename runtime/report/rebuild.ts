/** The tables for SQL and the projections of the user, once more from the log, beside those that serve. */
import type { Position } from '../../domain/event.js'
import type { Cell, Row, RowChanges, Table } from '../../projections/read-models/tables.js'
import {
  ATTEMPTS,
  JOBS,
  NO_CHANGES,
  QUEUE_MINUTES,
  READ_MODELS_VERSION,
  TRIGGERS,
  WORKERS,
} from '../../projections/read-models/tables.js'
import type { Digest } from '../ports/digest.js'
import type { LogReader } from '../ports/event-store.js'
import { StoreUnavailable } from '../ports/event-store.js'
import type { QueryRow, ReadModels } from '../ports/read-models.js'
import type { Checkpoint } from '../ports/views.js'

/** Rows read at a time. */
const PAGE = 2_000

/** What one table says, kept and built again: hashes of all its rows in the order of their keys. */
export interface RebuiltTable {
  readonly name: string
  readonly version: number
  readonly position: Position
  readonly identical: boolean
  readonly live: string
  readonly rebuilt: string
  /** What was not compared, since jobs that it hangs on were removed from the log. */
  readonly apart?: string
}

const ARCHIVED = ['archived', 'text', 'null'] as const
const COMPARED: readonly Table[] = [
  { ...JOBS, columns: [...JOBS.columns, ARCHIVED] },
  ATTEMPTS,
  TRIGGERS,
  WORKERS,
  QUEUE_MINUTES,
  {
    name: 'payload_paths',
    columns: [
      ['path', 'text'],
      ['value', 'text'],
      ['job_id', 'text'],
      ['place', 'text'],
    ],
    key: ['path', 'value', 'job_id'],
  },
]

/** What hangs on jobs that may have been removed. */
const LOST: Readonly<Record<string, readonly string[]>> = {
  workers: ['last_seen_at', 'runs', 'busy_ms'],
  queue_minutes: QUEUE_MINUTES.columns.map(([name]) => name),
}

/** Whether the log has lost events for good: not those that lie in a segment. */
export async function hasRemoved(log: LogReader): Promise<boolean> {
  for await (const page of log.readAll({ types: ['JobsRemoved'] })) {
    if (page.some(({ data }) => !('segment' in data))) return true
  }
  return false
}

/** Both stand at `position`. Throws StoreUnavailable where somebody has gone on meanwhile. */
export async function compare(
  live: ReadModels,
  rebuilt: ReadModels,
  { digest, removed, position }: { readonly digest: Digest; readonly removed: boolean; readonly position: Position },
): Promise<RebuiltTable[]> {
  const told: RebuiltTable[] = []
  for (const table of COMPARED) {
    const lost = removed ? (LOST[table.name] ?? []) : []
    const compared = { ...table, columns: table.columns.filter(([name]) => !lost.includes(name)) }
    const hashes = {
      live: await hashOf(live, compared, digest),
      rebuilt: await hashOf(rebuilt, compared, digest),
    }
    told.push({
      ...{ name: table.name, version: READ_MODELS_VERSION, position },
      ...{ identical: hashes.live === hashes.rebuilt, ...hashes },
      ...(lost.length > 0 && { apart: `${lost.join(', ')}: jobs were removed from the log` }),
    })
  }
  if ((await live.checkpoint())?.position !== position) throw new StoreUnavailable('The tables have changed meanwhile.')
  return told
}

async function hashOf(models: ReadModels, table: Table, digest: Digest): Promise<string> {
  let hash = digest.sha256('')
  if (table.columns.length === 0) return hash
  for await (const page of pagesOf(models, table)) hash = digest.sha256(hash, JSON.stringify(page))
  return hash
}

/** All rows in the order of their keys, cells as the table names them. */
async function* pagesOf(models: ReadModels, { name, columns, key }: Table): AsyncGenerator<Cell[][], void, undefined> {
  const names = columns.map(([column]) => `"${column}"`).join(', ')
  const keys = key.map((column) => `"${column}"`).join(', ')
  for (let after: Cell[] = []; ; ) {
    const where = after.length === 0 ? '' : `WHERE (${keys}) > (${key.map((_, index) => `$${index + 1}`).join(', ')})`
    const sql = `SELECT ${names} FROM ${name} ${where} ORDER BY ${keys} LIMIT ${PAGE}`
    const { rows } = await models.query(sql, after, { limit: PAGE })
    if (rows.length > 0) yield rows.map((row) => columns.map(([column]) => row[column] ?? null))
    const last = rows.at(-1)
    if (last === undefined || rows.length < PAGE) return
    after = key.map((column) => last[column] ?? null)
  }
}

/** Puts rebuilt tables in the place of those that are kept. False: somebody has gone on meanwhile. */
export async function replaceBy(
  live: ReadModels,
  rebuilt: ReadModels,
  { at, keepMinutes }: { readonly at: Checkpoint; readonly keepMinutes: boolean },
): Promise<boolean> {
  return live.startOver(at, { checkpoint: at, changes: changesOf(rebuilt, keepMinutes), keepMinutes })
}

async function* changesOf(models: ReadModels, keepMinutes: boolean): AsyncGenerator<RowChanges, void, undefined> {
  yield* jobsOf(models)
  for await (const attempts of pagesOf(models, ATTEMPTS)) yield { ...NO_CHANGES, attempts }
  for await (const triggers of pagesOf(models, TRIGGERS)) yield { ...NO_CHANGES, triggers }
  for await (const workers of pagesOf(models, WORKERS)) yield { ...NO_CHANGES, workers }
  if (!keepMinutes) for await (const minutes of pagesOf(models, QUEUE_MINUTES)) yield { ...NO_CHANGES, minutes }
  const folds = models.dialect === 'sqlite' ? 'folds' : 'report_folds'
  const table: Table = {
    name: folds,
    columns: [
      ['stream', 'text'],
      ['text', 'text'],
    ],
    key: ['stream'],
  }
  for await (const page of pagesOf(models, table)) yield { ...NO_CHANGES, folds: new Map(page as [string, string][]) }
}

/** In the order of `seq`, with what stands beside them. */
async function* jobsOf(models: ReadModels): AsyncGenerator<RowChanges, void, undefined> {
  const columns = [['seq', 'integer'] as const, ...JOBS.columns, ARCHIVED]
  for await (const page of pagesOf(models, { name: 'jobs', columns, key: ['seq'] })) {
    const jobs = new Map<string, Row>()
    const archived = new Map<string, string>()
    for (const [, ...cells] of page) {
      const segment = cells.pop()
      const id = String(cells[0])
      jobs.set(id, cells)
      if (typeof segment === 'string') archived.set(id, segment)
    }
    const [first, last] = [page[0]?.[0] ?? 0, page.at(-1)?.[0] ?? 0]
    yield { ...NO_CHANGES, jobs, archived, paths: await pathsOf(models, first, last) }
  }
}

async function pathsOf(models: ReadModels, first: Cell, last: Cell): Promise<RowChanges['paths']> {
  const sql = `
    SELECT p.job_id, p.path, p.value FROM jobs j JOIN payload_paths p ON p.seq = j.seq AND p.job_id = j.id
    WHERE j.seq >= $1 AND j.seq <= $2`
  const { rows } = await models.query(sql, [first, last], { limit: 1_000_000 })
  const paths = new Map<string, { readonly path: string; readonly value: string }[]>()
  for (const row of rows as readonly (QueryRow & { readonly [name: string]: string })[]) {
    const { job_id: id = '', path = '', value = '' } = row
    paths.set(id, [...(paths.get(id) ?? []), { path, value }])
  }
  return paths
}
