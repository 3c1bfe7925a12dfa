/** Jobs come in at a server: many in each call, and one after the other. */
import type { Ledger } from '../../index.js'
import type { Task } from '../task.js'
import { verify } from '../task.js'
import { batchOf, collectGarbage, GROUP, noopJob, openBench, payloadOf } from '../workload.js'

type Args = { readonly url: string; readonly jobs: number }
type Enqueued = { readonly jobsPerSecond: number; readonly cpuUs: number }

export const storeBulk: Task<Args, Enqueued> = {
  name: 'store-bulk',
  async work({ url, jobs }) {
    const job = noopJob()
    await using ledger = await openBench(url, job)
    const enqueued = await measure(jobs, async () => {
      for (let from = 0; from < jobs; from += GROUP) await ledger.enqueueMany(batchOf(job, from, GROUP))
    })
    await verifyQueued(ledger, jobs)
    return enqueued
  },
}

export const storeSingle: Task<Args, Enqueued & { readonly p50: number; readonly p99: number }> = {
  name: 'store-single',
  async work({ url, jobs }) {
    const job = noopJob()
    await using ledger = await openBench(url, job)
    const took: number[] = []
    const enqueued = await measure(jobs, async () => {
      for (let index = 0; index < jobs; index += 1) {
        const began = performance.now()
        await ledger.enqueue(job, payloadOf(index))
        took.push(performance.now() - began)
      }
    })
    await verifyQueued(ledger, jobs)
    took.sort((a, b) => a - b)
    const at = (share: number): number => took[Math.floor(took.length * share)] ?? Number.NaN
    return { ...enqueued, p50: at(0.5), p99: at(0.99) }
  },
}

/** Rate, and what the calling process spends on a job, in us of processor time. */
async function measure(jobs: number, work: () => Promise<void>): Promise<Enqueued> {
  collectGarbage()
  const spent = process.cpuUsage()
  const began = performance.now()
  await work()
  const ms = performance.now() - began
  const { user, system } = process.cpuUsage(spent)
  return { jobsPerSecond: (jobs / ms) * 1_000, cpuUs: (user + system) / jobs }
}

async function verifyQueued(ledger: Ledger, jobs: number): Promise<void> {
  const ready = (await ledger.queues.stats()).default?.ready ?? 0
  verify(ready === jobs, `${ready} of ${jobs} jobs are ready`)
}
