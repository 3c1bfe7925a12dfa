/** Ledgers on a server: jobs come in, are drained by one and by several processes, and how soon they begin. */
import { loadavg } from 'node:os'
import type { Bench } from '../bench.js'
import type { Figure, Measured } from '../figure.js'
import { figure, quantile } from '../figure.js'
import type { Shared } from '../fleet-drain.js'
import { drainTogether, rateOf, shareOf, sum } from '../fleet-drain.js'
import { wakeCaller, wakeListener } from '../fleet-wake.js'
import type { Meeting } from '../meeting.js'
import { tickets } from '../meeting.js'
import { searchFigures } from '../search.js'
import { verify } from '../task.js'
import { GROUP, prepare } from '../workload.js'
import { storeBulk, storeSingle } from './enqueue.js'
import { eventStoreFloor, postgresFloor } from './floors.js'
import type { Place } from './places.js'
import { onPostgres, schemaOf } from './postgres.js'

/** Runs at once in each process. A commit takes milliseconds: more of them wait for it than on a file. */
const SLOTS = 200
/** Appends that the client of EventStoreDB has under way, in the engine and in its floor. */
const AT_ONCE = 256

/** A kind of server: how many jobs it is given, and what it does without the engine. */
interface Kind {
  readonly jobs: number
  readonly singles: number
  readonly wakes: number
  readonly drainTarget: number | undefined
  /** Jobs a second: `Queued` of a ledger in large commits, one by one, and the two records of a run in large commits. */
  floors(bench: Bench, url: string): { bulk(): Promise<number>; single(): Promise<number>; drain(): Promise<number> }
}

const KINDS: Readonly<Record<string, Kind>> = {
  postgres: {
    ...{ jobs: 50_000, singles: 2_000, wakes: 200, drainTarget: 15_000 },
    floors: (bench, url) => {
      const queued = { url, given: 'false', timed: "type = 'Queued'", rowsPerJob: 1 }
      const run = { url, given: "type = 'Queued'", timed: "type IN ('Leased', 'Finished')", rowsPerJob: 2 }
      const rate = async (args: typeof queued & { group: number }): Promise<number> =>
        (await bench.run(postgresFloor, args)).jobsPerSecond
      return {
        bulk: () => rate({ ...queued, group: GROUP }),
        single: () => rate({ ...queued, group: 1 }),
        drain: () => rate({ ...run, group: GROUP }),
      }
    },
  },
  eventstore: {
    ...{ jobs: 10_000, singles: 1_000, wakes: 200, drainTarget: undefined },
    floors: (bench, url) => {
      const rate = async (appends: number, atOnce: number): Promise<number> =>
        (await bench.run(eventStoreFloor, { url, appends: bench.size(appends, 50), atOnce })).appendsPerSecond
      return {
        bulk: () => rate(10_000, AT_ONCE),
        single: () => rate(1_000, 1),
        drain: async () => (await rate(20_000, AT_ONCE)) / 2,
      }
    },
  },
}

export type StoreCase = (bench: Bench, place: Place) => Promise<Figure[]>

/** Every case of a store by name. */
export function storeCases(store: string): ReadonlyMap<string, StoreCase> {
  const kind = KINDS[store] as Kind
  const cases: [string, StoreCase][] = [
    ['enqueue-bulk', (bench, place) => bulkCase(bench, place, kind)],
    ['enqueue-single', (bench, place) => singleCase(bench, place, kind)],
    ['drain-1', (bench, place) => drainCase(bench, place, kind, 1)],
    ['drain-2', (bench, place) => drainCase(bench, place, kind, 2)],
    ['drain-4', (bench, place) => drainCase(bench, place, kind, 4)],
    ['latency', (bench, place) => latencyCase(bench, place, kind)],
  ]
  if (store === 'postgres') {
    cases.splice(3, 0, ['drain-analyzed', (bench, place) => drainCase(bench, place, kind, 1, analyze)])
    cases.push(['search', (bench, place) => searchFigures(bench, place.fresh())])
  }
  return new Map(cases.map(([name, run]) => [`${store}/${name}`, run]))
}

/** Others on the machine make every figure worse: how many there were is part of it. */
const measured = (given: Measured): Figure =>
  figure({ ...given, extra: { ...given.extra, load: loadavg()[0] ?? Number.NaN } })

async function bulkCase(bench: Bench, place: Place, kind: Kind): Promise<Figure[]> {
  const url = place.fresh()
  const { jobsPerSecond, cpuUs } = await bench.run(storeBulk, { url, jobs: bench.size(kind.jobs, GROUP) })
  const floor = await kind.floors(bench, url).bulk()
  return [measured({ name: 'enqueue-bulk', rate: jobsPerSecond, unit: 'jobs/s', floor, extra: { cpuUs } })]
}

async function singleCase(bench: Bench, place: Place, kind: Kind): Promise<Figure[]> {
  const url = place.fresh()
  const { jobsPerSecond, ...extra } = await bench.run(storeSingle, { url, jobs: bench.size(kind.singles, 20) })
  const floor = await kind.floors(bench, url).single()
  return [measured({ name: 'enqueue-single', rate: jobsPerSecond, unit: 'jobs/s', floor, extra })]
}

const analyze = (url: string): Promise<unknown> =>
  onPostgres(url, (client) => client.query(`ANALYZE ${schemaOf(url)}.events`))

/** `ready`: what is done to a ledger that was filled a moment ago. */
async function drainCase(
  bench: Bench,
  place: Place,
  kind: Kind,
  processes: number,
  ready?: (url: string) => Promise<unknown>,
): Promise<Figure[]> {
  const url = place.fresh()
  const jobs = bench.size(kind.jobs, 300)
  await bench.run(prepare, { path: url, jobs })
  await ready?.(url)
  const shares = await drainTogether(bench, { path: url, count: jobs, processes, slots: SLOTS, counted: true })
  verifyShares(shares, jobs)
  const floor = await kind.floors(bench, url).drain()
  const hasTarget = processes === 1 && kind.drainTarget !== undefined
  return [
    measured({
      name: ready === undefined ? `drain-${processes}` : 'drain-analyzed',
      rate: rateOf(shares, jobs),
      unit: 'jobs/s',
      floor,
      ...(hasTarget && { target: { rate: kind.drainTarget ?? 0 }, goal: { rate: 30_000 } }),
      extra: { processes, slots: SLOTS, cpuUs: sum(shares.map(({ cpuUs }) => cpuUs)) / jobs, ...contest(shares) },
    }),
  ]
}

function contest(shares: readonly Shared[]): Readonly<Record<string, number>> {
  if (shares.length === 1) return {}
  const leases = sum(shares.map((share) => share.leases))
  const conflicts = sum(shares.map((share) => share.conflicts))
  return { conflictsPerLease: conflicts / leases, largestShare: shareOf(shares) }
}

/** Every process has folded the end of every job: if each ran once, each ended once. */
function verifyShares(shares: readonly Shared[], jobs: number): void {
  const ran = sum(shares.map((share) => share.ran))
  verify(ran === jobs, `${jobs} jobs finished in ${ran} runs`)
}

/** From the call of `enqueue` in one process to the handler in another that has nothing else to do. */
async function latencyCase(bench: Bench, place: Place, kind: Kind): Promise<Figure[]> {
  const path = place.fresh()
  const commits = bench.size(kind.wakes, 3)
  const [calling, listening] = tickets(bench.folder('meeting'), 2) as [Meeting, Meeting]
  const [called, heard] = await Promise.all([
    bench.run(wakeCaller, { path, commits, meeting: calling }),
    bench.run(wakeListener, { path, commits, meeting: listening }),
  ])
  const between = (to: readonly number[], from: readonly number[]): number[] =>
    to.map((instant, index) => Math.max(0, instant - (from[index] ?? Number.NaN)))
  const whole = between(heard.began, called.at)
  const own = between(called.answered, called.at)
  const seen = between(heard.at, called.answered)
  const common = { unit: 'ms', better: 'less' } as const
  const extra = { commits, enqueueP50: quantile(own, 0.5), seenP50: quantile(seen, 0.5) }
  return [
    measured({ ...common, name: 'latency-p50', rate: quantile(whole, 0.5), extra }),
    measured({
      ...common,
      name: 'latency-p99',
      rate: quantile(whole, 0.99),
      extra: { enqueueP99: quantile(own, 0.99), seenP99: quantile(seen, 0.99) },
    }),
  ]
}
