/** How long a search takes among many jobs: each filter alone, and each pair of them. */
import { openPostgresStorage } from '../adapters/postgres/storage.js'
import { openSqliteReadModels } from '../adapters/sqlite/read-models.js'
import type { Row, RowChanges } from '../projections/read-models/tables.js'
import { JOBS } from '../projections/read-models/tables.js'
import type { ReadModels } from '../runtime/ports/read-models.js'
import { newest, search } from '../runtime/report/search.js'
import type { SearchFilter } from '../runtime/report/search-options.js'
import { SEARCH_FOLD } from '../runtime/report/search-paths.js'
import type { Bench } from './bench.js'
import type { Figure } from './figure.js'
import { figure, quantile } from './figure.js'
import { onPostgres, schemaOf } from './stores/postgres.js'
import type { Task } from './task.js'
import { verify } from './task.js'

const SLICE = 10_000
const BEGIN = Date.UTC(2026, 0, 1)
/** One job each 10 s, so that 1,000,000 of them are four months. */
const STEP = 10_000
const DAY = 86_400_000

type Cells = Readonly<Record<string, string | number | null>>

/** Always the same draws: a generator of 32 bits (xorshift). */
class Draws {
  #state = 2_463_534_242

  below(limit: number): number {
    this.#state ^= this.#state << 13
    this.#state ^= this.#state >>> 17
    this.#state ^= this.#state << 5
    return (this.#state >>> 0) % limit
  }

  /** The first names are the most frequent: each is half as frequent as the one before. */
  name(prefix: string, most: number): string {
    const draw = this.below(2 ** most)
    let rank = 0
    while (rank < most - 1 && draw < 2 ** (most - 1 - rank)) rank += 1
    return `${prefix}-${rank}`
  }
}

const idOf = (n: number): string => `job-${String(n).padStart(8, '0')}`
const typeOf = (draws: Draws): string => draws.name('type', 12)
const customerOf = (draws: Draws): string => `c${draws.below(20_000)}`
const ERRORS = ['connect ECONNREFUSED', 'socket hang up', 'no such address', 'quota exceeded']
const STATES = ['succeeded', 'failed', 'cancelled', 'waiting', 'held', 'running'] as const

function stateOf(draws: Draws): (typeof STATES)[number] {
  const draw = draws.below(1_000)
  return draw < 880
    ? 'succeeded'
    : draw < 930
      ? 'failed'
      : draw < 945
        ? 'cancelled'
        : draw < 995
          ? 'waiting'
          : draw < 999
            ? 'held'
            : 'running'
}

function jobCells(n: number, draws: Draws): Cells {
  const state = stateOf(draws)
  const queued = BEGIN + n * STEP
  const isLive = state === 'waiting' || state === 'held'
  const started = isLive || state === 'cancelled' ? null : queued + draws.below(60_000)
  const ended = isLive || state === 'running' ? null : (started ?? queued) + draws.below(600_000)
  const failure =
    state === 'failed'
      ? {
          error: 'Error',
          error_message: `${ERRORS[draws.below(4)]} host${draws.below(5_000)} port ${draws.below(100)}`,
        }
      : {}
  return {
    ...{ id: idOf(n), place: idOf(n), type: typeOf(draws), queue: draws.name('queue', 6), state },
    channel: draws.below(10) === 0 ? `channel-${draws.below(500)}` : '',
    ...{ queued_at: queued, started_at: started, ended_at: ended, run: started === null ? 0 : 1, max_attempts: 20 },
    ...failure,
  }
}

const rowOf = (cells: Cells): Row =>
  JOBS.columns.map(([name, type, absent]) => cells[name] ?? (absent ? null : type === 'text' ? '' : 0))

/** So many jobs in the tables. */
async function fill(models: ReadModels, jobs: number): Promise<void> {
  const draws = new Draws()
  const positionOf = (n: number): string => (n === 0 ? '' : String(n).padStart(16, '0'))
  const folds = new Map([[SEARCH_FOLD, JSON.stringify({ 'type-0': ['customer.id'] })]])
  const none = { attempts: [], triggers: [], workers: [], minutes: [], expunged: [], archived: new Map(), removed: [] }
  for (let from = 0; from < jobs; from += SLICE) {
    const rows = new Map<string, Row>()
    const paths = new Map<string, readonly { path: string; value: string }[]>()
    const to = Math.min(jobs, from + SLICE)
    for (let n = from; n < to; n += 1) {
      rows.set(idOf(n), rowOf(jobCells(n, draws)))
      paths.set(idOf(n), [{ path: 'customer.id', value: customerOf(draws) }])
    }
    const changes: RowChanges = { ...none, jobs: rows, paths, folds }
    const checkpoint = {
      logId: 'bench',
      position: positionOf(to),
      stream: 's',
      revision: to,
      eventId: `${to}`,
      version: 1,
    }
    verify(await models.save({ since: positionOf(from), checkpoint, changes }), 'a slice was refused')
  }
}

const FILTERS: Readonly<Record<string, (draws: Draws, jobs: number) => SearchFilter>> = {
  id: (draws, jobs) => ({ id: idOf(draws.below(jobs)) }),
  type: (draws) => ({ type: typeOf(draws) }),
  'rare type': () => ({ type: 'type-11' }),
  queue: (draws) => ({ queue: draws.name('queue', 6) }),
  channel: (draws) => ({ channel: `channel-${draws.below(500)}` }),
  'no channel': () => ({ channel: '' }),
  state: (draws) => ({ state: STATES[draws.below(STATES.length)] as (typeof STATES)[number] }),
  queued: (draws, jobs) => ({ queued: spanOf(draws, jobs) }),
  started: (draws, jobs) => ({ started: spanOf(draws, jobs) }),
  ended: (draws, jobs) => ({ ended: spanOf(draws, jobs) }),
  error: (draws) => ({ error: ERRORS[draws.below(4)] as string }),
  'rare error': (draws) => ({ error: `host${draws.below(5_000)}` }),
  payload: (draws) => ({ payload: { 'customer.id': customerOf(draws) } }),
}

/** An hour, a day, a month, or all there is. */
function spanOf(draws: Draws, jobs: number): { from: number; until: number } {
  const length = [DAY / 24, DAY, 30 * DAY, jobs * STEP][draws.below(4)] as number
  const from = BEGIN + draws.below(jobs) * STEP
  return { from, until: from + length }
}

const SAME: readonly (readonly string[])[] = [
  ['type', 'rare type'],
  ['channel', 'no channel'],
  ['error', 'rare error'],
]

function pairs(): (readonly [string, string])[] {
  const names = Object.keys(FILTERS)
  const all = names.flatMap((a, index) => names.slice(index + 1).map((b) => [a, b] as const))
  return all.filter(([a, b]) => !SAME.some((same) => same.includes(a) && same.includes(b)))
}

interface Times {
  readonly name: string
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** First and second page of each filter and each pair, so many times (ms); slowest first. */
async function searchTimes(models: ReadModels, jobs: number, rounds: number): Promise<Times[]> {
  const tables = { caughtUp: async () => models }
  const draws = new Draws()
  const measured: Times[] = []
  const measure = async (name: string, made: () => SearchFilter): Promise<void> => {
    const times: number[] = []
    for (let round = 0; round < rounds; round += 1) {
      const filter = made()
      let began = performance.now()
      const { cursor } = await search(tables, filter)
      times.push(performance.now() - began)
      if (cursor === undefined) continue
      began = performance.now()
      await search(tables, { ...filter, cursor })
      times.push(performance.now() - began)
    }
    measured.push({ name, p50: quantile(times, 0.5), p99: quantile(times, 0.99), max: Math.max(...times) })
  }
  for (const [name, made] of Object.entries(FILTERS)) await measure(name, () => made(draws, jobs))
  for (const [a, b] of pairs())
    await measure(`${a} + ${b}`, () => ({ ...FILTERS[a]?.(draws, jobs), ...FILTERS[b]?.(draws, jobs) }))
  const times: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const began = performance.now()
    await newest(tables)
    times.push(performance.now() - began)
  }
  measured.push({ name: 'newest', p50: quantile(times, 0.5), p99: quantile(times, 0.99), max: Math.max(...times) })
  return measured.sort((a, b) => b.p99 - a.p99)
}

interface Opened {
  readonly models: ReadModels
  /** What a server does by itself some time after so much was written, while which everything takes longer. */
  settle(): Promise<void>
  close(): Promise<void>
}

/** A file, or the tables of a ledger on a server. */
async function open(path: string): Promise<Opened> {
  if (!path.includes('://')) {
    const models = await openSqliteReadModels(path)
    return { models, settle: async () => {}, close: () => models.close() }
  }
  const { store, readModels } = await openPostgresStorage(path)
  const models = await readModels()
  return {
    models,
    settle: () =>
      onPostgres(path, async (client) => void (await client.query(`VACUUM ANALYZE ${schemaOf(path)}.jobs`))),
    async close() {
      await models.close()
      await store.close()
    },
  }
}

type Args = { readonly path: string; readonly jobs: number; readonly rounds: number }

export const searches: Task<Args, { readonly times: Times[]; readonly seconds: number }> = {
  name: 'searches',
  async work({ path, jobs, rounds }) {
    const { models, settle, close } = await open(path)
    const began = performance.now()
    if ((await models.checkpoint()) === undefined) await fill(models, jobs)
    const seconds = (performance.now() - began) / 1_000
    await settle()
    const times = await searchTimes(models, jobs, rounds)
    await close()
    return { times, seconds }
  },
}

export const searchCase = (bench: Bench): Promise<Figure[]> =>
  searchFigures(bench, bench.kept('search') ?? bench.file('search'))

/** p99 of the slowest of all. `path`: a file, or the URL of a ledger on a server. */
export async function searchFigures(bench: Bench, path: string): Promise<Figure[]> {
  const jobs = bench.size(1_000_000, 2_000)
  const { times } = await bench.run(searches, { path, jobs, rounds: bench.size(60, 1) })
  const [slowest] = times as [Times]
  const extra = {
    slowest: slowest.name,
    'p50 of it ms': slowest.p50,
    'max ms': Math.max(...times.map(({ max }) => max)),
  }
  return [
    figure({
      name: `search ${jobs} jobs, p99 of the slowest filter`,
      rate: slowest.p99,
      unit: 'ms',
      better: 'less',
      target: { rate: 50 },
      extra,
    }),
  ]
}
