/** A ledger is asked what it was at moments of its past, with checkpoints that were kept as it was read. */
import type { Bench } from './bench.js'
import type { Figure } from './figure.js'
import { figure, quantile } from './figure.js'
import { history, LIFE } from './history.js'
import type { Task } from './task.js'
import { verify } from './task.js'
import { collectGarbage, noopJob, openBench } from './workload.js'

/** Moments at which the whole ledger is asked for, spread evenly, and jobs that are asked for alone. */
const MOMENTS = 20
const JOBS = 500

type Args = { readonly path: string; readonly events: number }
type Asked = {
  readonly wholeMs: number
  readonly wholeMaxMs: number
  readonly jobP50Ms: number
  readonly jobP99Ms: number
  readonly keptMb: number
  readonly kept: number
  readonly openSeconds: number
}

export const asOf: Task<Args, Asked> = {
  name: 'as-of',
  async work({ path, events }) {
    const began = performance.now()
    const ledger = await openBench(path, noopJob())
    const openSeconds = (performance.now() - began) / 1_000
    // The last checkpoint may still be being written.
    await ledger.close()
    const again = await openBench(path, noopJob())
    collectGarbage()
    const at = Date.now()
    const whole: number[] = []
    for (let index = 1; index <= MOMENTS; index += 1) {
      const position = String(Math.floor((events * index) / MOMENTS)).padStart(16, '0')
      const asked = performance.now()
      const { default: counts } = await again.asOf({ position, at }).queues()
      whole.push(performance.now() - asked)
      verify((counts?.ready ?? 0) + (counts?.running ?? 0) + (counts?.succeeded ?? 0) > 0, 'nothing was there')
    }
    const { jobs } = await again.list({ limit: JOBS })
    const single: number[] = []
    for (const { id } of jobs) {
      const asked = performance.now()
      const status = await again.asOf(at).job(id)
      single.push(performance.now() - asked)
      verify(status.id === id, 'another job came')
    }
    await again.close()
    return {
      ...{ wholeMs: quantile(whole, 0.5), wholeMaxMs: Math.max(...whole), openSeconds },
      ...{ jobP50Ms: quantile(single, 0.5), jobP99Ms: quantile(single, 0.99) },
      ...(await keptOf(path)),
    }
  },
}

async function keptOf(path: string): Promise<{ kept: number; keptMb: number }> {
  const { openSqliteViews } = await import('../adapters/sqlite/views.js')
  const views = await openSqliteViews(`${path}-views`)
  const all = await views.past.list()
  await views.close()
  return { kept: all.length, keptMb: all.reduce((sum, { bytes }) => sum + bytes, 0) / 2 ** 20 }
}

export async function asOfCase(bench: Bench): Promise<Figure[]> {
  const pending = bench.size(10_000, 100)
  const finished = bench.size(330_000, 1_000)
  const events = finished * LIFE + pending
  const path = bench.file('as-of')
  await bench.run(history, { path, finished, pending })
  const asked = await bench.run(asOf, { path, events })
  const { wholeMs, wholeMaxMs, jobP50Ms, jobP99Ms, kept, keptMb } = asked
  return [
    figure({
      ...{ name: 'as-of-ledger', rate: wholeMaxMs, unit: 'ms', better: 'less', target: { rate: 1_000 } },
      extra: { events, p50: wholeMs, kept, keptMb },
    }),
    figure({
      ...{ name: 'as-of-job', rate: jobP99Ms, unit: 'ms', better: 'less', target: { rate: 5 } },
      extra: { p50: jobP50Ms },
    }),
  ]
}
