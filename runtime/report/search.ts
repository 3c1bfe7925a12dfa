/** Search: jobs by what they are, when things happened to them, what their errors say and what their payloads say. */
import { checkKeys, toCount } from '../checks.js'
import type { QueryRow, ReadModels } from '../ports/read-models.js'
import type { JobSummary } from '../read/status.js'
import type { Models } from './models.js'
import type { FoundState, SearchFilter, Wanted } from './search-options.js'
import { cursorOf, toWanted } from './search-options.js'
import { SEARCH_FOLD } from './search-paths.js'
import type { SeqBounds, Source } from './search-sql.js'
import { boundsSql, countSql, pageSql, sourcesOf } from './search-sql.js'

/** A job as the tables have it. Times are ms since the epoch; absent where they do not apply. */
export interface FoundJob extends Omit<JobSummary, 'state'> {
  readonly state: FoundState
  /** Of its last run. */
  readonly waitMs?: number
  readonly runMs?: number
  readonly errorMessage?: string
  /** Why it was cancelled. */
  readonly reason?: string
  readonly user?: string
  readonly trigger?: string
  readonly manual?: true
  readonly workerId?: string
  /** The segment that its stream lies in. */
  readonly archived?: string
}

export interface SearchPage {
  readonly jobs: readonly FoundJob[]
  /** Give it to the next call for older ones; absent on the last page. */
  readonly cursor?: string
}

/** The newest jobs of one type that stand alike. */
export interface Newest {
  readonly type: string
  readonly state: FoundState
  readonly jobs: readonly FoundJob[]
}

type Tables = Pick<Models, 'caughtUp'>

/** What finds fewer jobs than this is rare: they are looked at one by one. */
const RARE = 1_000
/** Jobs at either edge of a span of `queued` among which clocks may have gone wrong. */
const EDGE = 2_000
/** Groups that `newest` shows. */
const GROUPS_MAX = 5_000
const NEWEST_KEYS = new Set(['limit'])
/** These have no end. */
const LIVE: ReadonlySet<string> = new Set(['held', 'waiting', 'running'])

/** Throws InvalidOption. */
export async function search(models: Tables, filter: SearchFilter = {}): Promise<SearchPage> {
  const tables = await models.caughtUp()
  const wanted = toWanted(filter, await declaredIn(tables))
  const { equal, ranges, limit, sort } = wanted
  if (ranges.ended_at !== undefined && LIVE.has(equal.state ?? '')) return { jobs: [] }
  const bounds = ranges.queued_at === undefined ? undefined : await boundsOf(tables, wanted)
  if (bounds === 'none') return { jobs: [] }
  const rare = await rarest(tables, wanted)
  if (rare === 'none') return { jobs: [] }
  const { sql, params } = pageSql(wanted, tables.dialect, rare, bounds)
  const { rows } = await tables.query(sql, params, { limit: limit + 1 })
  const jobs = rows.slice(0, limit)
  const last = jobs.at(-1)
  if (rows.length <= limit || last === undefined) return { jobs: jobs.map(foundJob) }
  return { jobs: jobs.map(foundJob), cursor: cursorOf(sort, { value: last[sort] as number, seq: last.seq as number }) }
}

/** All paths that were ever declared, by any process. */
async function declaredIn(tables: ReadModels): Promise<ReadonlySet<string>> {
  const text = (await tables.folds([SEARCH_FOLD])).get(SEARCH_FOLD)
  return new Set(Object.values(JSON.parse(text ?? '{}') as Record<string, readonly string[]>).flat())
}

async function boundsOf(tables: ReadModels, { ranges }: Wanted): Promise<SeqBounds | 'none'> {
  const { sql, params } = boundsSql(ranges.queued_at as NonNullable<Wanted['ranges']['queued_at']>, EDGE)
  const [row] = (await tables.query(sql, params, { limit: 1 })).rows
  if (row === undefined || row.low === null) return 'none'
  return { low: row.low as number, high: row.high as number }
}

/** Each pair of these has an index with the order. */
const PAIRED: ReadonlySet<string> = new Set(['type', 'queue', 'state', 'channel'])

/** What finds few jobs, if anything that is asked for does. One filter alone has an index with the order. */
async function rarest(tables: ReadModels, wanted: Wanted): Promise<Source | 'none' | undefined> {
  const sources = sourcesOf(wanted, tables.dialect)
  if (sources.length < 2 || (sources.length === 2 && sources.every(({ name }) => PAIRED.has(name)))) return undefined
  let best: { readonly source: Source; readonly found: number } | undefined
  for (const source of sources) {
    const { sql, params } = countSql(source, RARE)
    const [row] = (await tables.query(sql, params, { limit: 1 })).rows
    const found = row?.found as number
    if (found === 0) return 'none'
    if (best === undefined || found < best.found) best = { source, found }
  }
  return best !== undefined && best.found < RARE ? best.source : undefined
}

/** The newest jobs of each type in each state that it has jobs in. Throws InvalidOption. */
export async function newest(models: Tables, options: { readonly limit?: number } = {}): Promise<Newest[]> {
  checkKeys(options, NEWEST_KEYS, 'newest')
  const limit = toCount(options.limit ?? 5, 'newest.limit', 1, 100)
  const tables = await models.caughtUp()
  const found: Newest[] = []
  let group = await nextGroup(tables, '', '')
  while (group !== undefined && found.length < GROUPS_MAX) {
    const { type, state } = group
    // A server takes its time for each of them, not for both.
    const [{ rows }, next] = await Promise.all([
      tables.query(OF_GROUP, [type, state, limit], { limit }),
      nextGroup(tables, type, state),
    ])
    found.push({ type, state, jobs: rows.map(foundJob) })
    group = next
  }
  return found
}

/** From one to the next by its index, however many jobs there are in between. */
async function nextGroup(tables: ReadModels, type: string, state: string): Promise<Omit<Newest, 'jobs'> | undefined> {
  const [inType, inNext] = await Promise.all([
    tables.query(NEXT_STATE, [type, state], { limit: 1 }),
    tables.query(NEXT_TYPE, [type], { limit: 1 }),
  ])
  return (inType.rows[0] ?? inNext.rows[0]) as Omit<Newest, 'jobs'> | undefined
}

const NEXT_STATE = 'SELECT type, state FROM jobs WHERE type = $1 AND state > $2 ORDER BY state LIMIT 1'
const NEXT_TYPE = 'SELECT type, state FROM jobs WHERE type > $1 ORDER BY type, state LIMIT 1'
const OF_GROUP = 'SELECT * FROM jobs WHERE type = $1 AND state = $2 ORDER BY seq DESC LIMIT $3'

function foundJob(row: QueryRow): FoundJob {
  const job: Record<string, unknown> = { maxAttempts: row.max_attempts }
  for (const [name, column] of NAMES) if (row[column] !== null) job[name] = row[column]
  if (row.manual === 1) job.manual = true
  return job as unknown as FoundJob
}

const NAMES: readonly (readonly [keyof FoundJob, string])[] = [
  ['id', 'id'],
  ['state', 'state'],
  ['type', 'type'],
  ['queue', 'queue'],
  ['channel', 'channel'],
  ['name', 'name'],
  ['priority', 'priority'],
  ['run', 'run'],
  ['attempt', 'attempt'],
  ['queuedAt', 'queued_at'],
  ['runAt', 'run_at'],
  ['startedAt', 'started_at'],
  ['endedAt', 'ended_at'],
  ['waitMs', 'wait_ms'],
  ['runMs', 'run_ms'],
  ['error', 'error'],
  ['errorMessage', 'error_message'],
  ['reason', 'reason'],
  ['user', 'user_id'],
  ['trigger', 'trigger'],
  ['workerId', 'worker_id'],
  ['progress', 'progress'],
  ['archived', 'archived'],
]
