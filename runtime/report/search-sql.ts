/**
 * A search in SQL. What is asked for is either rare, and then found by an index of its own and sorted; or it is frequent, and then
 * the index that has the order is walked until a page is full.
 */
import type { SqlDialect } from '../ports/read-models.js'
import { Conditions } from './report-options.js'
import type { Range, Wanted } from './search-options.js'

/** One of the filters, as something that finds jobs by itself: `SELECT seq ...` */
export interface Source {
  readonly name: string
  /** Appends what it binds. */
  sql(conditions: Conditions): string
}

/** `seq` of jobs queued in a range: at the edges clocks of two hosts may differ. */
export interface SeqBounds {
  readonly low: number
  readonly high: number
}

const COLUMNS = [
  ...[
    'seq',
    'id',
    'type',
    'queue',
    'channel',
    'name',
    'priority',
    'state',
    'error',
    'error_message',
    'reason',
    'user_id',
  ],
  ...['trigger', 'manual', 'queued_at', 'run_at', 'started_at', 'ended_at', 'wait_ms', 'run_ms', 'run', 'attempt'],
  ...['max_attempts', 'worker_id', 'progress', 'archived'],
]
const columns = COLUMNS.map((name) => `jobs."${name}"`).join(', ')

const RANGES: Readonly<Record<keyof Wanted['ranges'], string>> = {
  queued_at: 'jobs.queued_at',
  started_at: 'jobs.started_at',
  ended_at: 'jobs.ended_at',
}

/** Full text: the words as they are, one beside the other. */
const matchOf = (words: readonly string[], dialect: SqlDialect): string =>
  dialect === 'sqlite' ? words.map((word) => `"${word}"`).join(' ') : words.join(' ')

function fullText(words: readonly string[], dialect: SqlDialect, conditions: Conditions): string {
  const match = conditions.param(matchOf(words, dialect))
  return dialect === 'sqlite'
    ? `SELECT rowid AS seq FROM error_texts WHERE error_texts MATCH ${match}`
    : `SELECT seq FROM jobs WHERE error IS NOT NULL AND error_text @@ plainto_tsquery('simple', ${match})`
}

/** All that may find jobs by itself, but for what follows from the order. */
export function sourcesOf({ equal, ranges, words, payload }: Wanted, dialect: SqlDialect): Source[] {
  const sources: Source[] = []
  const jobs = (name: string, where: (conditions: Conditions) => string): void =>
    void sources.push({ name, sql: (conditions) => `SELECT seq FROM jobs WHERE ${where(conditions)}` })
  for (const [column, value] of Object.entries(equal))
    if (value !== '')
      jobs(
        column,
        (conditions) => `${column} = ${conditions.param(value)}${column === 'channel' ? " AND channel <> ''" : ''}`,
      )
  for (const [column, range] of Object.entries(ranges)) jobs(column, (conditions) => between(column, range, conditions))
  if (words.length > 0) sources.push({ name: 'error', sql: (conditions) => fullText(words, dialect, conditions) })
  for (const [path, value] of payload) {
    const sql = (conditions: Conditions): string =>
      `SELECT seq FROM payload_paths WHERE path = ${conditions.param(path)} AND value = ${conditions.param(value)}`
    sources.push({ name: `payload ${path}`, sql })
  }
  return sources
}

const between = (column: string, { from, until }: Range, conditions: Conditions): string =>
  `${column} >= ${conditions.param(from)} AND ${column} <= ${conditions.param(until)}`

interface Query {
  readonly sql: string
  readonly params: Conditions['params']
}

/** How many jobs a source finds, `most` or more being the same. */
export function countSql(source: Source, most: number): Query {
  const conditions = new Conditions()
  return {
    sql: `SELECT count(*) AS found FROM (${source.sql(conditions)} LIMIT ${most}) AS found_by_it`,
    params: conditions.params,
  }
}

/** The page: found by `rare`, or where there is none by walking what has the order. */
export function pageSql(
  wanted: Wanted,
  dialect: SqlDialect,
  rare: Source | undefined,
  bounds: SeqBounds | undefined,
): Query {
  const conditions = new Conditions()
  const { from, seq, has } = rare === undefined ? walked(wanted, dialect, conditions) : picked(rare, conditions)
  narrow(wanted, { dialect, has, isFew: rare !== undefined }, conditions)
  if (bounds !== undefined) conditions.and(`${seq} >= ?`, bounds.low).and(`${seq} <= ?`, bounds.high)
  goOn(wanted, seq, conditions)
  const sorted = wanted.sort === 'seq' ? `${seq} DESC` : `jobs.${wanted.sort} DESC, ${seq} DESC`
  const sql = `SELECT ${columns} FROM ${from} ${conditions.where} ORDER BY ${sorted} LIMIT ${wanted.limit + 1}`
  return { sql, params: conditions.params }
}

interface Walk {
  readonly from: string
  /** What is in the order of `seq` there. */
  readonly seq: string
  /** The filter that is in it already. */
  readonly has?: 'words' | 'payload'
}

/** Found in whatever order, then sorted. The order of the tables is kept: nobody is asked for statistics. */
function picked(rare: Source, conditions: Conditions): Walk {
  const from = `(${rare.sql(conditions)}) AS found CROSS JOIN jobs`
  conditions.and('jobs.seq = found.seq')
  return { from, seq: 'jobs.seq' }
}

/** Most jobs in these states have never begun: those that have are an index of their own (`jobs_tried`). */
const SELDOM_STARTED: readonly string[] = ['waiting', 'held', 'cancelled']

/** Which table is walked, newest first. Full text of PostgreSQL has no order of its own. */
function walked({ sort, words, payload, equal }: Wanted, dialect: SqlDialect, conditions: Conditions): Walk {
  if (sort !== 'seq') {
    const isTried = sort === 'started_at' && SELDOM_STARTED.includes(equal.state ?? '')
    // The index is used only where its very condition is asked for.
    if (isTried) conditions.and(`jobs.state IN ('${SELDOM_STARTED.join("', '")}')`)
    const index = isTried ? 'jobs_tried' : sort === 'ended_at' ? 'jobs_ended' : 'jobs_started'
    return { from: dialect === 'sqlite' ? `jobs INDEXED BY ${index}` : 'jobs', seq: 'jobs.seq' }
  }
  const [pair] = payload
  if (pair !== undefined) {
    const [path, value] = pair
    conditions.and('p.path = ?', path).and('p.value = ?', value).and('jobs.seq = p.seq')
    return { from: 'payload_paths AS p CROSS JOIN jobs', seq: 'p.seq', has: 'payload' }
  }
  if (words.length === 0 || dialect !== 'sqlite') return { from: 'jobs', seq: 'jobs.seq' }
  conditions.and('error_texts MATCH ?', matchOf(words, dialect)).and('jobs.seq = error_texts.rowid')
  return { from: 'error_texts CROSS JOIN jobs', seq: 'error_texts.rowid', has: 'words' }
}

interface Narrowing {
  readonly dialect: SqlDialect
  readonly has: Walk['has']
  /** Few jobs are looked at. */
  readonly isFew: boolean
}

/** All that is asked for. */
function narrow(wanted: Wanted, { dialect, has, isFew }: Narrowing, conditions: Conditions): void {
  const { equal, ranges, words, payload } = wanted
  for (const [column, value] of Object.entries(equal)) {
    conditions.and(`jobs.${column} = ?`, value)
    // Only then SQLite may use the indexes of jobs with a channel.
    if (column === 'channel' && value !== '') conditions.and("jobs.channel <> ''")
  }
  for (const [column, range] of Object.entries(ranges) as [keyof Wanted['ranges'], Range][])
    conditions.and(between(RANGES[column], range, conditions))
  for (const [path, value] of has === 'payload' ? payload.slice(1) : payload)
    conditions.and('EXISTS (SELECT 1 FROM payload_paths WHERE path = ? AND value = ? AND seq = jobs.seq)', path, value)
  if (words.length > 0 && has !== 'words') hasWords(words, { dialect, isFew }, conditions)
}

/** After the place where the page before has ended. */
function goOn({ sort, after }: Wanted, seq: string, conditions: Conditions): void {
  if (after === undefined) return
  if (sort === 'seq') return void conditions.and(`${seq} < ?`, after.seq)
  const column = `jobs.${sort}`
  conditions.and(`${column} <= ?`, after.value).and(`(${column} < ? OR ${seq} < ?)`, after.value, after.seq)
}

function hasWords(words: readonly string[], { dialect, isFew }: Omit<Narrowing, 'has'>, conditions: Conditions): void {
  if (dialect === 'postgres') {
    conditions.and(
      "jobs.error IS NOT NULL AND jobs.error_text @@ plainto_tsquery('simple', ?)",
      matchOf(words, dialect),
    )
    return
  }
  // Asked for each job, or all of it read once.
  const term = isFew
    ? 'EXISTS (SELECT 1 FROM error_texts WHERE error_texts MATCH ? AND error_texts.rowid = jobs.seq)'
    : 'jobs.seq IN (SELECT rowid FROM error_texts WHERE error_texts MATCH ?)'
  conditions.and('jobs.error IS NOT NULL').and(term, matchOf(words, dialect))
}

/** `seq` at the edges of a range of `queued_at`: exact within so many jobs of either edge. */
export function boundsSql({ from, until }: Range, edge: number): Query {
  const conditions = new Conditions()
  const range = between('queued_at', { from, until }, conditions)
  const piece = (order: string): string =>
    `(SELECT seq FROM jobs WHERE ${range} ORDER BY queued_at ${order} LIMIT ${edge}) AS edge`
  const sql = `SELECT (SELECT min(seq) FROM ${piece('ASC')}) AS low, (SELECT max(seq) FROM ${piece('DESC')}) AS high`
  return { sql, params: conditions.params }
}
