/** What it costs to keep the tables for SQL up, and how far they are behind. */
import { setTimeout as sleep } from 'node:timers/promises'
import { openLog } from '../adapters/sqlite/open.js'
import { connectReader } from '../adapters/sqlite/read-models-schema.js'
import type { JobDefinition, Ledger } from '../index.js'
import { openLedger } from '../index.js'
import type { Bench } from './bench.js'
import { finishes } from './drain.js'
import type { Figure } from './figure.js'
import { figure, quantile } from './figure.js'
import type { Task } from './task.js'
import { verify } from './task.js'
import { batchOf, collectGarbage, noopJob, prepare } from './workload.js'

const PER_SECOND = 5_000
/** Jobs come in so many calls a second. */
const CALLS = 100
const WARM_MS = 2_000
const LOOK_MS = 50

type Args = { readonly path: string; readonly reports: boolean }
type SteadyArgs = Args & { readonly seconds: number; readonly perSecond: number }
type Steady = {
  /** From the call to the start of the handler (ms). */
  readonly p50: number
  readonly p99: number
  /** Share of its time in which the engine's thread had something to do. */
  readonly busy: number
  /** Cores, all threads together. */
  readonly cpu: number
  readonly lagP50: number
  readonly lagP99: number
  readonly lagMax: number
}

function open({ path, reports }: Args, job: ReturnType<typeof noopJob>): Promise<Ledger> {
  return openLedger({ url: `sqlite:${path}`, jobs: [job as JobDefinition], reports })
}

/** So many jobs a second, enqueued and run by this process. */
export const reportsSteady: Task<SteadyArgs, Steady> = {
  name: 'reports-steady',
  async work({ path, reports, seconds, perSecond }) {
    const called: number[] = []
    const waits: number[] = []
    const job = noopJob((index) => waits.push(performance.now() - (called[index] ?? Number.NaN)))
    const ledger = await open({ path, reports }, job)
    await ledger.query('SELECT 1')
    await ledger.start({ concurrency: 100 })
    const lags = reports ? lagsOf(path) : undefined
    let at = { cpu: process.cpuUsage(), loop: performance.eventLoopUtilization(), began: performance.now() }
    const calls: Promise<unknown>[] = []
    const warm = (WARM_MS * CALLS) / 1_000
    const began = performance.now()
    for (let call = 0; call < warm + seconds * CALLS; call += 1) {
      if (call === warm) {
        waits.length = 0
        lags?.reset()
        at = { cpu: process.cpuUsage(), loop: performance.eventLoopUtilization(), began: performance.now() }
      }
      const wait = began + (call * 1_000) / CALLS - performance.now()
      if (wait > 0) await sleep(wait)
      const count = perSecond / CALLS
      const from = called.length
      for (let index = 0; index < count; index += 1) called.push(performance.now())
      calls.push(ledger.enqueueMany(batchOf(job, from, count)))
    }
    const { user, system } = process.cpuUsage(at.cpu)
    const busy = performance.eventLoopUtilization(at.loop).utilization
    const cpu = (user + system) / 1_000 / (performance.now() - at.began)
    const seen = (await lags?.stop()) ?? []
    await Promise.all(calls)
    if (reports) await verifyAll(ledger, called.length)
    await ledger.close()
    const lag = { lagP50: quantile(seen, 0.5), lagP99: quantile(seen, 0.99), lagMax: Math.max(0, ...seen) }
    return { p50: quantile(waits, 0.5), p99: quantile(waits, 0.99), busy, cpu, ...lag }
  },
}

async function verifyAll(ledger: Ledger, jobs: number): Promise<void> {
  const [sums] = await ledger.query(
    'SELECT sum(queued) AS queued, (SELECT count(*) FROM jobs) AS rows FROM queue_minutes',
  )
  verify(sums?.queued === jobs && sums.rows === jobs, `${jobs} jobs, in the tables ${JSON.stringify(sums)}`)
}

/** How old the last event is that is in the tables, looked at again and again (ms). */
function lagsOf(path: string): { reset(): void; stop(): Promise<number[]> } {
  const log = openLog(path, { readonly: true }).db
  const reports = connectReader(`${path}-reports`)
  const position = reports.prepare('SELECT position FROM checkpoint').pluck(true)
  const at = log.prepare('SELECT at FROM jobledger_events WHERE position = ?').pluck(true)
  const lags: number[] = []
  let on = true
  const looking = (async () => {
    while (on) {
      const seen = at.get(Number(position.get() ?? 0))
      if (typeof seen === 'number') lags.push(Date.now() - seen)
      await sleep(LOOK_MS)
    }
    reports.close()
    log.close()
  })()
  return {
    reset: () => {
      lags.length = 0
    },
    stop: async () => {
      on = false
      await looking
      return lags
    },
  }
}

/** Jobs that wait are run as fast as can be. */
export const reportsDrain: Task<Args & { readonly jobs: number }, { readonly jobsPerSecond: number }> = {
  name: 'reports-drain',
  async work({ jobs, ...args }) {
    const ledger = await open(args, noopJob())
    if (args.reports) await ledger.query('SELECT 1')
    const finished = finishes(ledger, jobs)
    collectGarbage()
    const began = performance.now()
    await ledger.start({ concurrency: 100 })
    await finished
    const ms = performance.now() - began
    if (args.reports) await verifyAll(ledger, jobs)
    await ledger.close()
    return { jobsPerSecond: (jobs / ms) * 1_000 }
  },
}

export async function reportsCase(bench: Bench): Promise<Figure[]> {
  const load = { seconds: bench.size(15, 1), perSecond: bench.size(PER_SECOND, 500) }
  const steady = (reports: boolean): Promise<Steady> =>
    bench.run(reportsSteady, { path: bench.file(`reports-steady-${reports}`), reports, ...load })
  const jobs = bench.size(60_000, 500)
  const drained = async (reports: boolean): Promise<number> => {
    const path = bench.file(`reports-drain-${reports}`)
    await bench.run(prepare, { path, jobs })
    return (await bench.run(reportsDrain, { path, reports, jobs })).jobsPerSecond
  }
  const [without, kept] = [await steady(false), await steady(true)]
  const [slow, fast] = [await drained(true), await drained(false)]
  return [
    figure({
      name: 'reports-lag-p99',
      rate: kept.lagP99,
      unit: 'ms',
      better: 'less',
      target: { rate: 1_000 },
      extra: { p50: kept.lagP50, max: kept.lagMax, cpu: kept.cpu, cpuWithout: without.cpu },
    }),
    figure({
      name: 'reports-wait-p99',
      rate: kept.p99,
      floor: without.p99,
      unit: 'ms',
      better: 'less',
      extra: { p50: kept.p50, p50Without: without.p50, busy: kept.busy, busyWithout: without.busy },
    }),
    figure({ name: 'reports-drain', rate: slow, floor: fast, unit: 'jobs/s', target: { ratio: 0.9 } }),
  ]
}
