/** Jobs that wait in a ledger are run by one process. */
import { openLog } from '../adapters/sqlite/open.js'
import type { Ledger } from '../index.js'
import type { Bench } from './bench.js'
import type { Figure } from './figure.js'
import { figure } from './figure.js'
import { floor } from './floor.js'
import { PulseTimer } from './pulse-timer.js'
import type { Task } from './task.js'
import { verify } from './task.js'
import { collectGarbage, noopJob, openBench, prepare } from './workload.js'

const CONCURRENCY = 100

type DrainArgs = {
  readonly path: string
  /** Jobs ever enqueued into the file, and how many of them to wait for. */
  readonly jobs: number
  readonly count: number
}
type Drained = {
  readonly jobsPerSecond: number
  readonly timerBeats: number
  readonly longestGapMs: number
  readonly rssMb: number
}

/** The clock runs from `start()` until the last `Finished` is durable and folded. */
export const drain: Task<DrainArgs, Drained> = {
  name: 'drain',
  async work({ path, jobs, count }) {
    const runs = new Uint8Array(jobs)
    const ledger = await openBench(
      path,
      noopJob((index) => {
        runs[index] = (runs[index] ?? 0) + 1
      }),
    )
    const finished = finishes(ledger, count)
    collectGarbage()
    const pulse = new PulseTimer()
    const began = performance.now()
    await ledger.start({ concurrency: CONCURRENCY })
    await finished
    const ms = performance.now() - began
    const beats = pulse.stop()
    const rssMb = process.memoryUsage().rss / 2 ** 20
    await ledger.close()
    verifyRuns(path, runs, count)
    return { jobsPerSecond: (count / ms) * 1_000, ...beats, rssMb }
  },
}

/** Resolves when so many jobs have ended with success from now on, whoever runs them. */
export function finishes(ledger: Ledger, count: number): Promise<void> {
  let left = count
  return new Promise((resolve) => {
    ledger.events$.subscribe(({ type }) => {
      if (type !== 'Finished') return
      left -= 1
      if (left === 0) resolve()
    })
  })
}

/** No job ran twice, and the log has exactly one `Finished` of each job that ran. */
function verifyRuns(path: string, runs: Uint8Array, count: number): void {
  const ran = runs.reduce((sum, times) => sum + times, 0)
  verify(
    runs.every((times) => times <= 1),
    'a job ran more than once',
  )
  verify(ran >= count, `${ran} of ${count} jobs ran`)
  const { db } = openLog(path, { readonly: true })
  const tally = db
    .prepare("SELECT count(*), count(DISTINCT stream) FROM jobledger_events WHERE type = 'Finished'")
    .raw(true)
  const [ends, ended] = tally.get() as [number, number]
  db.close()
  verify(ends === ended, `${ended} jobs have ${ends} Finished`)
  verify(count < runs.length || (ended === runs.length && ran === ended), `${ended} of ${runs.length} jobs finished`)
}

export async function drainCase(bench: Bench): Promise<Figure[]> {
  const jobs = bench.size(100_000, 1_000)
  const path = bench.file('drain')
  await bench.run(prepare, { path, jobs })
  const { jobsPerSecond, ...extra } = await bench.run(drain, { path, jobs, count: jobs })
  const raw = await bench.run(floor, {
    from: path,
    to: bench.file('drain-floor'),
    given: "type = 'Queued'",
    timed: "type IN ('Leased', 'Finished')",
    rowsPerJob: 2,
  })
  return [
    figure({
      name: 'drain',
      rate: jobsPerSecond,
      unit: 'jobs/s',
      floor: raw.jobsPerSecond,
      target: { rate: 30_000, ratio: 0.4, timerBeats: 0.8 },
      goal: { rate: 60_000, ratio: 0.75, timerBeats: 0.8 },
      extra,
    }),
  ]
}
