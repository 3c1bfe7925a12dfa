/** Jobs come in: many at once, one after the other, and from many callers at the same time. */
import { openLog } from '../adapters/sqlite/open.js'
import type { Bench } from './bench.js'
import type { Figure } from './figure.js'
import { figure } from './figure.js'
import { floor, insertOf, rowsOf, transaction } from './floor.js'
import type { Task } from './task.js'
import { verify } from './task.js'
import { batchOf, collectGarbage, GROUP, noopJob, openBench, payloadOf, prepare } from './workload.js'

const CALLERS = 100
/** Single commits of engine and floor take turns in blocks of this many, so that both meet the same disk. */
const BLOCK = 250

type EnqueueArgs = { readonly path: string; readonly jobs: number }
type Rate = { readonly jobsPerSecond: number }

export const enqueueBulk: Task<EnqueueArgs, Rate> = {
  name: 'enqueue-bulk',
  async work({ path, jobs }) {
    const job = noopJob()
    const ledger = await openBench(path, job)
    const seconds = await secondsOf(async () => {
      for (let from = 0; from < jobs; from += GROUP) await ledger.enqueueMany(batchOf(job, from, GROUP))
    })
    await ledger.close()
    verifyQueued(path, jobs)
    return { jobsPerSecond: jobs / seconds }
  },
}

/** Each caller enqueues its share one by one, awaiting each. */
export const enqueueConcurrent: Task<EnqueueArgs, Rate> = {
  name: 'enqueue-concurrent',
  async work({ path, jobs }) {
    const job = noopJob()
    const ledger = await openBench(path, job)
    const call = async (caller: number): Promise<void> => {
      for (let index = caller; index < jobs; index += CALLERS) await ledger.enqueue(job, payloadOf(index))
    }
    const seconds = await secondsOf(() => Promise.all(Array.from({ length: CALLERS }, (_, caller) => call(caller))))
    await ledger.close()
    verifyQueued(path, jobs)
    return { jobsPerSecond: jobs / seconds }
  },
}

type SingleArgs = EnqueueArgs & {
  /** A file with `jobs` rows of `Queued` for the floor to write, and the floor's own file. */
  readonly rowsFrom: string
  readonly floorPath: string
}

export const enqueueSingle: Task<SingleArgs, Rate & { readonly commitsPerSecond: number }> = {
  name: 'enqueue-single',
  async work({ path, jobs, rowsFrom, floorPath }) {
    const job = noopJob()
    const ledger = await openBench(path, job)
    const rows = queuedRows(rowsFrom)
    const { db } = openLog(floorPath)
    const insert = insertOf(db)
    let engine = 0
    let raw = 0
    for (let from = 0; from < jobs; from += BLOCK) {
      engine += await secondsOf(async () => {
        for (let index = from; index < from + BLOCK; index += 1) await ledger.enqueue(job, payloadOf(index))
      })
      raw += await secondsOf(async () => {
        for (const row of rows.slice(from, from + BLOCK)) transaction(db, insert, [row])
      })
    }
    db.close()
    await ledger.close()
    verifyQueued(path, jobs)
    return { jobsPerSecond: jobs / engine, commitsPerSecond: jobs / raw }
  },
}

/** The rows of `Queued` in a file that the engine wrote. */
export function queuedRows(path: string): ReturnType<typeof rowsOf> {
  const { db } = openLog(path, { readonly: true })
  const rows = rowsOf(db, "type = 'Queued'")
  db.close()
  return rows
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  collectGarbage()
  const began = performance.now()
  await work()
  return (performance.now() - began) / 1_000
}

function verifyQueued(path: string, jobs: number): void {
  const { db } = openLog(path, { readonly: true })
  const found = db.prepare("SELECT count(*) FROM jobledger_events WHERE type = 'Queued'").pluck(true).get()
  db.close()
  verify(found === jobs, `${found} of ${jobs} jobs are in the log`)
}

async function groupedCase(
  bench: Bench,
  task: typeof enqueueBulk,
  jobs: number,
): Promise<Omit<Figure, 'target' | 'goal'>> {
  const path = bench.file(task.name)
  const { jobsPerSecond } = await bench.run(task, { path, jobs })
  const to = bench.file(`${task.name}-floor`)
  const raw = await bench.run(floor, { from: path, to, timed: "type = 'Queued'", rowsPerJob: 1 })
  return figure({ name: task.name, rate: jobsPerSecond, unit: 'jobs/s', floor: raw.jobsPerSecond })
}

export async function enqueueBulkCase(bench: Bench): Promise<Figure[]> {
  const measured = await groupedCase(bench, enqueueBulk, bench.size(100_000, 1_000))
  return [{ ...measured, target: { rate: 80_000 }, goal: { rate: 150_000 } }]
}

export async function enqueueConcurrentCase(bench: Bench): Promise<Figure[]> {
  const measured = await groupedCase(bench, enqueueConcurrent, bench.size(100_000, 1_000))
  return [{ ...measured, target: { rate: 40_000 }, goal: { rate: 60_000 } }]
}

export async function enqueueSingleCase(bench: Bench): Promise<Figure[]> {
  const jobs = bench.size(5_000, BLOCK)
  const rowsFrom = bench.file('enqueue-single-rows')
  await bench.run(prepare, { path: rowsFrom, jobs })
  const { jobsPerSecond, commitsPerSecond } = await bench.run(enqueueSingle, {
    path: bench.file('enqueue-single'),
    jobs,
    rowsFrom,
    floorPath: bench.file('enqueue-single-floor'),
  })
  const target = { ratio: 0.8 }
  return [figure({ name: 'enqueue-single', rate: jobsPerSecond, unit: 'jobs/s', floor: commitsPerSecond, target })]
}
