/** Read models and checkpoints beside the log: see ADR 0023. */
import type { Outcome } from '../../domain/job/evolve.js'
import { StoreClosed, StoreRefused, StoreUnavailable, StoreUnusable } from '../../runtime/ports/event-store.js'
import type {
  ArchivedFilter,
  ArchivedRow,
  Checkpoint,
  EndedFilter,
  JobRow,
  JobRowFilter,
  Kept,
  Views,
} from '../../runtime/ports/views.js'
import { PAGE_SIZE } from '../shared/pages.js'
import { verdict } from '../shared/view-checkpoints.js'
import { type Row, run } from './connections.js'
import type { Client, Value } from './driver.js'
import { isLockTimeout, sqlState } from './errors.js'
import { PostgresKeptCheckpoints } from './kept-checkpoints.js'
import type { Log } from './open.js'
import type { RunQuery } from './reader.js'
import { fromText, toText } from './rows.js'
import { quoted } from './schema.js'
import { CHECKPOINT, COLUMNS, conditionsOf, toCheckpoint, toJobRow } from './view-rows.js'
import { prepareViews, VIEWS_VERSION } from './views-schema.js'
import { ViewsWriter } from './views-writer.js'

type Changes = Parameters<Views['save']>[0]

/** Jobs that one statement looks through at most: a filter that hardly any job passes may have to see all there are. */
const WINDOW = 20_000
/** The last of all code points: beyond every place. */
const AFTER_ALL = '\u{10FFFF}'

/**
 * Pages are walked along an index, in its order. Where statistics are missing, or are of a day on which nearly all jobs waited,
 * the planner would rather take all that a page might be of, and sort it.
 */
const READING = `
  SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
  SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off`

/**
 * Whoever saves waits for who saves, no longer than this, and nobody else does. What is lost with the server is saved again:
 * its disk need not be waited for.
 */
const SAVING = `
  SET LOCAL lock_timeout = '20s'; SET LOCAL statement_timeout = '25s'; SET LOCAL synchronous_commit = off;
  SET LOCAL idle_in_transaction_session_timeout = '60s'`

const BAD: ReadonlySet<string> = new Set(['failed', 'cancelled'])
const LIVE: ReadonlySet<string> = new Set(['waiting', 'leased'])

/** Makes the tables that are not there, or of another version. Rejects with StoreUnusable for another program's tables. */
export async function openPostgresViews(log: Log): Promise<PostgresViews> {
  await prepareViews(log.connections, log.schema)
  return new PostgresViews(log)
}

/** On the connections of the log, which stay open when the views are closed. */
export class PostgresViews implements Views {
  readonly past: PostgresKeptCheckpoints
  readonly #log: Log
  readonly #s: string
  /** One save at a time. */
  #saving: Promise<unknown> = Promise.resolve()
  /** What `checkpoint` said last. */
  #seen: Checkpoint | undefined
  #closed = false

  constructor(log: Log) {
    this.#log = log
    this.#s = quoted(log.schema)
    this.past = new PostgresKeptCheckpoints(this.#s, {
      read: (sql, values) => this.#query(sql, values),
      write: (work) =>
        this.#repaired(() =>
          this.#log.connections.transaction(async (client) => {
            await run(client, SAVING)
            await work(client)
          }),
        ),
    })
  }

  async checkpoint(): Promise<Checkpoint | undefined> {
    return this.#kept((sql, values) => this.#query(sql, values)).checkpoint()
  }

  live(): AsyncIterable<string[]> {
    return this.#kept((sql, values) => this.#ordered((query) => query(sql, values))).live()
  }

  async texts(): Promise<ReadonlyMap<string, string>> {
    return this.#kept((sql, values) => this.#query(sql, values)).texts()
  }

  async atOneMoment<Result>(read: (kept: Kept) => Promise<Result>): Promise<Result> {
    // Looks whether the tables are there, and makes them if not.
    await this.#query(`SELECT FROM ${this.#s}.view_state`)
    return this.#reading((query) => read(this.#kept(query)))
  }

  #kept(query: RunQuery): Kept {
    return {
      checkpoint: async () => {
        this.#seen = toCheckpoint((await query(`SELECT ${CHECKPOINT} FROM ${this.#s}.view_state`))[0])
        return this.#seen
      },
      live: () => livePages(query, `${this.#s}.view_jobs`),
      texts: async () => {
        const rows = await query(`SELECT name, text FROM ${this.#s}.view_texts`)
        return new Map(rows.map(([name, text]) => [fromText(name ?? ''), fromText(text ?? '')]))
      },
    }
  }

  save(changes: Changes): Promise<boolean> {
    const saved = this.#saving.then(() => this.#save(changes))
    this.#saving = saved.catch(() => {})
    return saved
  }

  async list(filter: JobRowFilter): Promise<JobRow[]> {
    const { triggers, limit } = filter
    if (triggers === undefined) return this.#jobs(phasesIn(filter), 'place', filter)
    // One after the other: looked for all at once, the jobs of all of them would have to be sorted for each page.
    const found: JobRow[] = []
    for (const id of new Set(triggers)) {
      found.push(...(await this.#jobs(`trigger = $2${id === '' ? '' : " AND trigger <> ''"}`, 'place', filter, [id])))
    }
    return found.sort((a, b) => (a.place < b.place ? 1 : -1)).slice(0, limit)
  }

  ended(filter: EndedFilter): Promise<JobRow[]> {
    const kept = filter.keep === 'rules' ? 'keep_until IS NULL' : 'keep_until IS NOT NULL'
    return this.#jobs(`end_place <> '' AND ${kept}`, 'end_place', filter)
  }

  archived({ segment, ...filter }: ArchivedFilter): Promise<ArchivedRow[]> {
    const base = segment === undefined ? 'true' : 'segment = $2'
    const walked = { table: 'view_archived', columns: 'id, end_place, segment', base, order: 'end_place' } as const
    return this.#pages(walked, filter, segment === undefined ? [] : [segment], ([id, endPlace, of]) => ({
      ...{ id: fromText(id ?? ''), endPlace: fromText(endPlace ?? ''), segment: of ?? '' },
    }))
  }

  async dependents(id: string): Promise<string[]> {
    const named = (table: string): string =>
      `SELECT id FROM ${this.#s}.${table} WHERE depends_on <> '{}' AND depends_on @> ARRAY[$1::text COLLATE "C"]`
    const sql = `${named('view_jobs')} UNION ALL ${named('view_archived')}`
    return (await this.#query(sql, [toText(id)])).map(([dependent]) => fromText(dependent ?? ''))
  }

  removed(ids: readonly string[]): Promise<ReadonlyMap<string, Outcome>> {
    return this.#ofTombstones<Outcome>('outcome', ids)
  }

  segments(ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
    return this.#ofTombstones('segment', ids)
  }

  async #ofTombstones<Fact extends string>(
    column: 'outcome' | 'segment',
    ids: readonly string[],
  ): Promise<ReadonlyMap<string, Fact>> {
    const found = new Map<string, Fact>()
    // At least once, so that closed views say so.
    for (let start = 0; start === 0 || start < ids.length; start += PAGE_SIZE) {
      const page = ids.slice(start, start + PAGE_SIZE).map(toText)
      const sql = `SELECT id, ${column} FROM ${this.#s}.view_tombstones WHERE id = ANY ($1::text[]) AND ${column} IS NOT NULL`
      for (const [id, fact] of await this.#query(sql, [page])) found.set(fromText(id ?? ''), fact as Fact)
    }
    return found
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#saving
  }

  #jobs(base: string, order: Walked['order'], filter: JobRowFilter, given: readonly string[] = []): Promise<JobRow[]> {
    return this.#pages({ table: 'view_jobs', columns: COLUMNS, base, order }, filter, given, toJobRow)
  }

  /** `base` may use the parameters from $2, which are `given`; its rows are walked from the greatest of `order` down. */
  #pages<Found>(
    { table, columns, base, order }: Walked,
    filter: JobRowFilter,
    given: readonly string[],
    toFound: (row: Row) => Found,
  ): Promise<Found[]> {
    const { sql, values } = conditionsOf(filter, 2 + given.length)
    const walk = (column: string, more: string): string =>
      `SELECT ${column} FROM ${this.#s}.${table} WHERE ${base} AND ${order} < $1 ORDER BY ${order} DESC ${more}`
    const page = `
      SELECT ${columns} FROM (${walk('*', `LIMIT ${WINDOW}`)}) w WHERE true${sql}
      ORDER BY ${order} DESC LIMIT $${2 + given.length + values.length}`
    const end = walk(order, `OFFSET ${WINDOW - 1} LIMIT 1`)
    return this.#ordered(async (query) => {
      const found: Found[] = []
      for (let before = toText(filter.before ?? AFTER_ALL); ; ) {
        const from = [before, ...given.map(toText)]
        found.push(...(await query(page, [...from, ...values, filter.limit - found.length])).map(toFound))
        if (found.length >= filter.limit) return found
        const last = (await query(end, from))[0]?.[0]
        if (typeof last !== 'string') return found
        before = last
      }
    })
  }

  #query(sql: string, values: readonly Value[] = []): Promise<Row[]> {
    return this.#repaired(() => this.#log.connections.query(sql, values))
  }

  #ordered<Result>(read: (query: RunQuery) => Promise<Result>): Promise<Result> {
    return this.#repaired(() => this.#reading(read))
  }

  #reading<Result>(read: (query: RunQuery) => Promise<Result>): Promise<Result> {
    return this.#log.connections.transaction(async (client) => {
      await run(client, READING)
      return read((sql, values) => run(client, sql, values))
    })
  }

  /** Tables that somebody has dropped are made anew, and are then empty. */
  async #repaired<Result>(read: () => Promise<Result>): Promise<Result> {
    if (this.#closed) throw new StoreClosed()
    try {
      return await read()
    } catch (error) {
      if (!isMissing(error)) throw error
      await prepareViews(this.#log.connections, this.#log.schema)
      return read()
    }
  }

  async #save(changes: Changes): Promise<boolean> {
    if (this.#closed) throw new StoreClosed()
    const rows = new Given(changes.rows)
    try {
      return await this.#log.connections.transaction((client) => this.#write(client, { ...changes, rows }))
    } catch (error) {
      if (error === rows.end) throw rows.failure
      if (!isMissing(error)) throw error
      await prepareViews(this.#log.connections, this.#log.schema)
      return false
    }
  }

  async #write(client: Client, changes: Changes): Promise<boolean> {
    await run(client, SAVING)
    const row = await this.#hold(client)
    if (row?.[0] !== String(VIEWS_VERSION)) {
      throw new StoreUnusable(
        `Expected views of version ${VIEWS_VERSION}, found ${row?.[0]}: another jobledger made them.`,
      )
    }
    const answer = verdict(toCheckpoint(row), { ...changes, seen: this.#seen })
    if (answer === 'write') await new ViewsWriter(client, this.#log.schema).write(changes)
    return answer !== 'gap'
  }

  async #hold(client: Client): Promise<Row | undefined> {
    try {
      return (await run(client, `SELECT ${CHECKPOINT} FROM ${this.#s}.view_state FOR UPDATE`))[0]
    } catch (cause) {
      // Nobody is kept from writing the log.
      if (!isLockTimeout(cause)) throw cause
      throw new StoreUnavailable('The views are being saved by somebody else, and for too long.', { cause })
    }
  }
}

/** Rows of a page, and the order they are walked in. */
interface Walked {
  readonly table: string
  readonly columns: string
  readonly base: string
  readonly order: 'place' | 'end_place'
}

/** Rows as they are given, and what giving them failed of: nothing that the connection is to be blamed for. */
class Given implements AsyncIterable<JobRow> {
  readonly end: StoreRefused = new StoreRefused('There are no more rows.')
  failure: unknown
  readonly #rows: Changes['rows']

  constructor(rows: Changes['rows']) {
    this.#rows = rows
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<JobRow, void, undefined> {
    const rows = Symbol.asyncIterator in this.#rows ? this.#rows[Symbol.asyncIterator]() : this.#rows[Symbol.iterator]()
    for (;;) {
      const { done, value } = await this.#next(rows)
      if (done === true) return
      yield value
    }
  }

  async #next(rows: Iterator<JobRow> | AsyncIterator<JobRow>): Promise<IteratorResult<JobRow>> {
    try {
      return await rows.next()
    } catch (error) {
      this.failure = error
      throw this.end
    }
  }
}

async function* livePages(query: RunQuery, jobs: string): AsyncGenerator<string[], void, undefined> {
  const sql = `
    SELECT place, state FROM ${jobs} WHERE phase IN ('waiting', 'leased') AND place > $1 ORDER BY place LIMIT ${PAGE_SIZE}`
  for (let after = ''; ; ) {
    const rows = await query(sql, [after])
    if (rows.length > 0) yield rows.map((row) => row[1] ?? '')
    if (rows.length < PAGE_SIZE) return
    after = rows.at(-1)?.[0] ?? after
  }
}

/** As a condition that names what an index is restricted to, if there is one for them. */
function phasesIn({ phases = [] }: JobRowFilter): string {
  const all = (index: ReadonlySet<string>): boolean => phases.length > 0 && phases.every((phase) => index.has(phase))
  if (all(BAD)) return "phase IN ('failed', 'cancelled')"
  return all(LIVE) ? "phase IN ('waiting', 'leased')" : 'true'
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && sqlState(error.cause) === '42P01'
}
