/** A ledger with a long past is opened: first without views, which builds them, then from their checkpoint. */
import { statSync } from 'node:fs'
import type { Bench } from './bench.js'
import { removeDatabase, viewsOf } from './bench.js'
import type { Figure } from './figure.js'
import { figure } from './figure.js'
import { history, LIFE } from './history.js'
import type { Task } from './task.js'
import { verify } from './task.js'
import { collectGarbage, noopJob, openBench } from './workload.js'

const MB = 2 ** 20

type OpenArgs = { readonly path: string; readonly finished: number; readonly pending: number }
type Opened = {
  /** Of `openLedger()`, and of `close()`, which saves what the views lack. */
  readonly openSeconds: number
  readonly closeSeconds: number
  readonly rssMb: number
  readonly rssAfterGcMb: number
  readonly heapMb: number
  readonly peakRssMb: number
}

/** In a process that has done nothing else: what it holds is what opening costs. */
export const open: Task<OpenArgs, Opened> = {
  name: 'open',
  async work({ path, finished, pending }) {
    const began = performance.now()
    const ledger = await openBench(path, noopJob())
    const opened = performance.now()
    const rssMb = process.memoryUsage().rss / MB
    collectGarbage()
    const { rss, heapUsed } = process.memoryUsage()
    const memory = {
      rssMb,
      rssAfterGcMb: rss / MB,
      heapMb: heapUsed / MB,
      peakRssMb: process.resourceUsage().maxRSS / 1_024,
    }
    const { default: counts } = await ledger.queues.stats()
    const found = JSON.stringify(counts)
    verify(counts?.ready === pending && counts.succeeded === finished + 1, `the ledger counts ${found}`)
    const closing = performance.now()
    await ledger.close()
    const closeSeconds = (performance.now() - closing) / 1_000
    return { openSeconds: (opened - began) / 1_000, closeSeconds, ...memory }
  },
}

export async function openCase(bench: Bench): Promise<Figure[]> {
  const finished = bench.size(1_000_000, 1_000)
  const pending = bench.size(100_000, 100)
  const path = await bigLedger(bench, finished, pending)
  const events = finished * LIFE + pending
  const rebuilt = await bench.run(open, { path, finished, pending })
  const again = await bench.run(open, { path, finished, pending })
  return [
    figure({
      name: 'open',
      rate: again.openSeconds,
      unit: 's',
      better: 'less',
      target: { rate: 1 },
      extra: { finished, pending, logMb: statSync(path).size / MB },
    }),
    figure({
      name: 'open-rss',
      rate: again.rssMb,
      unit: 'MB',
      better: 'less',
      target: { rate: 400 },
      extra: { afterGcMb: again.rssAfterGcMb, heapMb: again.heapMb, peakMb: again.peakRssMb },
    }),
    figure({
      name: 'rebuild',
      rate: events / (rebuilt.openSeconds + rebuilt.closeSeconds),
      unit: 'events/s',
      extra: { openSeconds: rebuilt.openSeconds, closeSeconds: rebuilt.closeSeconds, peakMb: rebuilt.peakRssMb },
    }),
  ]
}

/** Without views. With `--keep` the log of an earlier run is good enough. */
async function bigLedger(bench: Bench, finished: number, pending: number): Promise<string> {
  const name = `open-${finished}-${pending}`
  const kept = bench.kept(name)
  if (kept !== undefined) {
    removeDatabase(viewsOf(kept))
    return kept
  }
  const path = bench.file(name)
  await bench.run(history, { path, finished, pending })
  removeDatabase(viewsOf(path))
  return path
}
