/** Reports: what the tables for SQL say of a span of time, and how things stand now. */
import { InvalidOption } from '../../domain/errors.js'
import type { Cell } from '../../projections/read-models/tables.js'
import { LIVE_MS } from '../../projections/worker-registry.js'
import { checkKeys, toCount } from '../checks.js'
import type { Engine } from '../engine.js'
import type { QueryRow } from '../ports/read-models.js'
import type { WorkerInfo } from '../work/desk/worker-desk.js'
import type {
  CauseRetries,
  Flow,
  Kpis,
  PendingJob,
  Punctuality,
  Throughput,
  Times,
  TypeFailures,
  WorkerUse,
} from './answers.js'
import type {
  LaneFilter,
  OldestOptions,
  ReportOptions,
  ThroughputOptions,
  TimesOptions,
  Window,
} from './report-options.js'
import { Conditions, LANES, MINUTE, toAsked, toLane, toLaneFilter, toStep } from './report-options.js'
import type { Spread } from './spread.js'
import { spreadOf, spreadSql } from './spread.js'

type Query = (sql: string, params: readonly Cell[]) => Promise<QueryRow[]>

/** Rows that an answer may have. */
const MOST = 100_000
const LANE_KEYS = new Set<string>(LANES)
const SUMS = [
  'queued',
  'started',
  'succeeded',
  'failed',
  'cancelled',
  'retried',
  'lost',
  'ended',
  'wait_ms_sum',
  'run_ms_sum',
]
const sums = SUMS.map((name) => `CAST(coalesce(sum(${name}), 0) AS BIGINT) AS ${name}`).join(', ')

export class Reports {
  readonly #engine: () => Engine

  constructor(engine: () => Engine) {
    this.#engine = engine
  }

  get #now(): number {
    return this.#engine().ports.clock.now()
  }

  /** Of the tables with all that was in the log when it was asked for. */
  async #tables(): Promise<Query> {
    const models = await this.#engine().models.caughtUp()
    return async (sql, params) => (await models.query(sql, params, { limit: MOST, mayLast: true })).rows
  }

  /** What was done, step by step. To the minute: the window is widened to whole ones. Throws InvalidOption. */
  async throughput(options: ThroughputOptions = {}): Promise<Throughput> {
    const { window: given, lane } = toAsked(options, this.#now, 'reports.throughput', ['step'])
    const query = await this.#tables()
    const window = await this.#whole(given, query)
    const stepMs = toStep(options.step, window, 'reports.throughput.step')
    const where = within('minute', window, lane)
    const [from, step] = [where.param(window.from), where.param(stepMs)]
    const begin = `minute - (minute - CAST(${from} AS BIGINT)) % CAST(${step} AS BIGINT)`
    const rows = await query(
      `SELECT ${begin} AS step, ${sums} FROM queue_minutes ${where.where} GROUP BY 1`,
      where.params,
    )
    const found = new Map(rows.map((row) => [row.step as number, row]))
    const steps = []
    for (let at = window.from; at < window.until; at += stepMs) steps.push({ from: at, ...flowOf([found.get(at)]) })
    return { window, stepMs, steps, total: flowOf(rows) }
  }

  /** Whole minutes. A window without a beginning begins with the log. */
  async #whole({ from, until }: Window, query: Query): Promise<Window> {
    const end = Math.ceil(until / MINUTE) * MINUTE
    if (from > 0) return { from: from - (from % MINUTE), until: end }
    const [first] = await query('SELECT min(minute) AS minute FROM queue_minutes', [])
    return { from: Math.min((first?.minute as number | null) ?? end - MINUTE, end - MINUTE), until: end }
  }

  /** How long runs were waited for and how long they took: percentiles by nearest rank. Throws InvalidOption. */
  async times(options: TimesOptions = {}): Promise<Times> {
    const { window, lane } = toAsked(options, this.#now, 'reports.times', ['by'])
    const by = toLane(options.by, 'reports.times.by')
    const query = await this.#tables()
    const where = within('started_at', window, lane)
    const rowsOf = (column: string): Promise<QueryRow[]> => query(spreadSql(column, by, where.where), where.params)
    const [waits, runs] = [await rowsOf('wait_ms'), await rowsOf('run_ms')]
    const names = [...new Set([...waits, ...runs].map(({ name }) => name as string))].sort()
    const find = (rows: readonly QueryRow[], name: string): Spread => spreadOf(rows.find((row) => row.name === name))
    return { window, lines: names.map((name) => ({ name, wait: find(waits, name), run: find(runs, name) })) }
  }

  /** How jobs ended, by type; those that fail most often first. Throws InvalidOption. */
  async failures(options: ReportOptions = {}): Promise<readonly TypeFailures[]> {
    const { window: given, lane } = toAsked(options, this.#now, 'reports.failures')
    const query = await this.#tables()
    const where = within('minute', await this.#whole(given, query), lane)
    const rows = await query(`SELECT type, ${sums} FROM queue_minutes ${where.where} GROUP BY type`, where.params)
    const lines = rows.map((row) => {
      const { succeeded, failed, cancelled } = flowOf([row])
      const rate = succeeded + failed > 0 ? { rate: failed / (succeeded + failed) } : {}
      return { type: row.type as string, succeeded, failed, cancelled, ...rate }
    })
    return lines.sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0) || b.failed - a.failed || (a.type < b.type ? -1 : 1))
  }

  /** Why runs that ended in the window failed, and how many were tried again; most frequent first. Throws InvalidOption. */
  async retries(options: ReportOptions = {}): Promise<readonly CauseRetries[]> {
    const { window, lane } = toAsked(options, this.#now, 'reports.retries')
    const query = await this.#tables()
    const where = within('ended_at', window, lane).and('cause IS NOT NULL')
    const rows = await query(
      `SELECT cause, coalesce(error, '') AS error, count(*) AS runs, count(retry_at) AS retried FROM attempts ${where.where}
       GROUP BY 1, 2 ORDER BY runs DESC, cause, error LIMIT 1000`,
      where.params,
    )
    return rows as unknown as readonly CauseRetries[]
  }

  /** What has waited for longest. Throws InvalidOption. */
  async oldest(options: OldestOptions = {}): Promise<readonly PendingJob[]> {
    checkKeys(options, new Set([...LANE_KEYS, 'limit']), 'reports.oldest')
    const lane = toLaneFilter(options, 'reports.oldest')
    const limit = toCount(options.limit ?? 10, 'reports.oldest.limit', 1, 1_000)
    const query = await this.#tables()
    const found: QueryRow[] = []
    // State by state, in the order of an index of its own.
    for (const state of ['waiting', 'held']) {
      const where = new Conditions(lane).and('state = ?', state)
      const columns = 'id, type, queue, channel, state, queued_at, run_at, seq'
      const sql = `SELECT ${columns} FROM jobs ${where.where} ORDER BY seq LIMIT ${where.param(limit)}`
      found.push(...(await query(sql, where.params)))
    }
    const now = this.#now
    return found
      .sort((a, b) => (a.seq as number) - (b.seq as number))
      .slice(0, limit)
      .map((row) => pendingOf(row, now))
  }

  /** How busy each worker was that was there in the window; busiest first. Throws InvalidOption. */
  async workers(options: Pick<ReportOptions, 'window' | 'last'> = {}): Promise<readonly WorkerUse[]> {
    for (const lane of LANES)
      if (lane in options)
        throw new InvalidOption(`reports.workers.${lane}`, 'left out: a worker is one as a whole', lane)
    const { window } = toAsked(options, this.#now, 'reports.workers')
    const query = await this.#tables()
    const now = Math.min(this.#now, window.until)
    const rows = await query(WORKER_USE, [window.from, window.until, now])
    const use = rows.map((row) => useOf(row, window, now)).filter(({ presentMs }) => presentMs > 0)
    return use.sort((a, b) => b.utilisation - a.utilisation || (a.id < b.id ? -1 : 1))
  }

  /** How late triggers have fired; latest first. Throws InvalidOption. */
  async triggers(options: LaneFilter = {}): Promise<readonly Punctuality[]> {
    checkKeys(options, LANE_KEYS, 'reports.triggers')
    const where = new Conditions(toLaneFilter(options, 'reports.triggers'))
    const query = await this.#tables()
    const rows = await query(`SELECT * FROM triggers ${where.where} ORDER BY late_ms_max DESC, id`, where.params)
    return rows.map(punctualityOf)
  }

  /** How things stand. Throws InvalidOption. */
  async kpis(options: LaneFilter = {}): Promise<Kpis> {
    checkKeys(options, LANE_KEYS, 'reports.kpis')
    const lane = toLaneFilter(options, 'reports.kpis')
    const query = await this.#tables()
    const where = new Conditions(lane)
    const counts = await query(
      `SELECT type, state, count(*) AS jobs FROM jobs ${where.where} GROUP BY type, state`,
      where.params,
    )
    const live = new Conditions(lane).and("state IN ('waiting', 'held', 'running')").and('error IS NOT NULL')
    const [failing] = await query(`SELECT count(*) AS jobs FROM jobs ${live.where}`, live.params)
    const all = flowOf(await query(`SELECT ${sums} FROM queue_minutes ${where.where}`, where.params))
    const of = (...states: readonly string[]): readonly QueryRow[] =>
      counts.filter(({ state }) => states.includes(state as string))
    const pending = of('waiting', 'held')
    return {
      pending: total(pending),
      pendingByType: byType(pending),
      running: total(of('running')),
      failing: (failing?.jobs as number | undefined) ?? 0,
      failed: total(of('failed')),
      processed: all.succeeded,
      ...(all.meanRunMs !== undefined && { meanRunMs: all.meanRunMs }),
      availableWorkers: await this.#available(lane),
    }
  }

  async #available(lane: LaneFilter): Promise<number> {
    return availableOf(await this.#engine().workers.list(), this.#now, lane)
  }
}

/** How many of these workers would take a job of this lane at once. */
export function availableOf(list: readonly WorkerInfo[], now: number, { queue, type, channel }: LaneFilter): number {
  const fits = (names: readonly string[] | undefined, name: string | undefined): boolean =>
    name === undefined || names === undefined || names.length === 0 || names.includes(name)
  return list.filter(
    (worker) =>
      worker.lastSeenAt >= now - LIVE_MS &&
      worker.status === 'active' &&
      worker.slotsInUse < worker.concurrency &&
      fits(worker.types, type) &&
      fits(worker.queues, queue) &&
      fits(worker.channels, channel),
  ).length
}

const within = (column: string, { from, until }: Window, lane: LaneFilter): Conditions =>
  new Conditions(lane).and(`${column} >= ?`, from).and(`${column} < ?`, until)

const total = (rows: readonly QueryRow[]): number => rows.reduce((sum, { jobs }) => sum + (jobs as number), 0)

function byType(rows: readonly QueryRow[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { type, jobs } of rows) counts[type as string] = (counts[type as string] ?? 0) + (jobs as number)
  return counts
}

function flowOf(rows: readonly (QueryRow | undefined)[]): Flow {
  const of = (column: string): number =>
    rows.reduce((sum, row) => sum + ((row?.[column] as number | undefined) ?? 0), 0)
  const [queued, started, succeeded, failed] = [of('queued'), of('started'), of('succeeded'), of('failed')]
  const [cancelled, retried, lost, ended] = [of('cancelled'), of('retried'), of('lost'), of('ended')]
  return {
    ...{ queued, started, succeeded, failed, cancelled, retried, lost },
    ...(started > 0 && { meanWaitMs: of('wait_ms_sum') / started }),
    ...(ended > 0 && { meanRunMs: of('run_ms_sum') / ended }),
  }
}

function pendingOf(row: QueryRow, now: number): PendingJob {
  const { id, type, queue, channel, state, queued_at: queuedAt, run_at: runAt } = row
  const job = { id, type, queue, channel, state, queuedAt, ageMs: Math.max(0, now - (queuedAt as number)) }
  return { ...job, ...(runAt !== null && { runAt }) } as PendingJob
}

/** Runs that ended in the window, and those that go on: $1 from, $2 until, $3 the present, or the end of the window. */
const WORKER_USE = `
  WITH spans AS (
    SELECT worker_id, started_at, ended_at FROM attempts WHERE ended_at >= $1 AND started_at < $2 AND worker_id IS NOT NULL
    UNION ALL
    SELECT attempts.worker_id, attempts.started_at, CAST($3 AS BIGINT) FROM jobs
      JOIN attempts ON attempts.job_id = jobs.id AND attempts.run = jobs.run
      WHERE jobs.state = 'running' AND attempts.ended_at IS NULL AND attempts.started_at < $2
  ), uses AS (
    SELECT worker_id, count(*) AS runs, CAST(sum(
      CASE WHEN ended_at < $2 THEN ended_at ELSE CAST($2 AS BIGINT) END -
      CASE WHEN started_at > $1 THEN started_at ELSE CAST($1 AS BIGINT) END) AS BIGINT) AS busy
    FROM spans GROUP BY worker_id
  )
  SELECT id, state, host, pid, slots, registered_at, stopped_at, last_seen_at, uses.runs AS ended, busy
  FROM workers LEFT JOIN uses ON uses.worker_id = workers.id
  WHERE registered_at < $2 AND (stopped_at IS NULL OR stopped_at > $1)`

function useOf(row: QueryRow, { from, until }: Window, now: number): WorkerUse {
  const end = Math.min(until, now, (row.stopped_at as number | null) ?? now)
  const presentMs = Math.max(0, end - Math.max(from, row.registered_at as number))
  const [slots, busyMs] = [row.slots as number, Math.max(0, (row.busy as number | null) ?? 0)]
  const { host, pid } = row
  return {
    ...{ id: row.id as string, state: row.state as string },
    ...(host !== null && { host: host as string }),
    ...(pid !== null && { pid: pid as number }),
    ...{ slots, runs: (row.ended as number | null) ?? 0, busyMs, presentMs },
    utilisation: presentMs === 0 ? 0 : Math.min(1, busyMs / (presentMs * slots)),
  }
}

function punctualityOf(row: QueryRow): Punctuality {
  const { next_at: nextAt, last_fired_at: lastFiredAt, last_late_ms: lastLateMs } = row as Record<string, number | null>
  const [fired, timed] = [row.fired as number, row.timed as number]
  return {
    ...{ id: row.id as string, kind: row.kind as string, type: row.type as string, state: row.state as string },
    ...{ fired, missed: row.missed as number },
    ...(nextAt !== null && nextAt !== undefined && { nextAt }),
    ...(lastFiredAt !== null && lastFiredAt !== undefined && { lastFiredAt }),
    ...(lastLateMs !== null && lastLateMs !== undefined && { lastLateMs }),
    ...(timed > 0 && { meanLateMs: (row.late_ms_sum as number) / timed }),
    maxLateMs: row.late_ms_max as number,
  }
}
