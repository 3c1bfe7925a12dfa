/** One process commits, another one has nothing to do: how long until that one knows. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from './bench.js'
import type { Figure } from './figure.js'
import { figure, quantile } from './figure.js'
import type { Meeting } from './meeting.js'
import { meet, tickets } from './meeting.js'
import type { Task } from './task.js'
import { verify } from './task.js'
import { noopJob, openBench, payloadOf } from './workload.js'

/** Commits are so far apart (ms), at random. */
const LEAST_GAP = 5
const MOST_GAP = 400

type WakeArgs = { readonly path: string; readonly commits: number; readonly meeting: Meeting }
/** Instants (ms since the epoch), by index. */
type Instants = { readonly at: number[] }

const now = (): number => performance.timeOrigin + performance.now()

/** Just before each call of `enqueue()`, and when it was answered: the commit lies in between. */
export const wakeCaller: Task<WakeArgs, Instants & { readonly answered: number[] }> = {
  name: 'wake-caller',
  async work({ path, commits, meeting }) {
    const job = noopJob()
    await using ledger = await openBench(path, job)
    await meet(meeting)
    const at: number[] = []
    const answered: number[] = []
    for (let index = 0; index < commits; index += 1) {
      await sleep(LEAST_GAP + Math.random() * (MOST_GAP - LEAST_GAP))
      at.push(now())
      await ledger.enqueue(job, payloadOf(index))
      answered.push(now())
    }
    return { at, answered }
  },
}

/** When each job was seen, and when its handler began, in a process with a started worker and nothing to do in between. */
export const wakeListener: Task<WakeArgs, Instants & { readonly began: number[] }> = {
  name: 'wake-listener',
  async work({ path, commits, meeting }) {
    const began: number[] = []
    await using ledger = await openBench(
      path,
      noopJob((index) => {
        began[index] = now()
      }),
    )
    await ledger.start()
    const at: number[] = []
    const seen = new Promise<void>((resolve) => {
      let finished = 0
      ledger.events$.subscribe(({ type }) => {
        if (type === 'Queued') at.push(now())
        if (type === 'Finished') finished += 1
        if (finished === commits) resolve()
      })
    })
    await meet(meeting)
    await seen
    return { at, began }
  },
}

export async function fleetWakeCase(bench: Bench): Promise<Figure[]> {
  const commits = bench.size(300, 5)
  const path = bench.file('fleet-wake')
  const [calling, listening] = tickets(bench.folder('meeting'), 2) as [Meeting, Meeting]
  const [called, heard] = await Promise.all([
    bench.run(wakeCaller, { path, commits, meeting: calling }),
    bench.run(wakeListener, { path, commits, meeting: listening }),
  ])
  verify(heard.at.length === commits, `${heard.at.length} of ${commits} commits were seen`)
  // Whoever is faster than the answer has not waited at all.
  const since = (instants: readonly number[], from: readonly number[]): number[] =>
    instants.map((instant, index) => Math.max(0, instant - (from[index] ?? Number.NaN)))
  const seen = since(heard.at, called.answered)
  return [
    figure({
      name: 'fleet-wake-p99',
      rate: quantile(seen, 0.99),
      unit: 'ms',
      better: 'less',
      target: { rate: 50, maxMs: 1_100 },
      extra: {
        commits,
        p50: quantile(seen, 0.5),
        maxMs: Math.max(...seen),
        commitP99: quantile(since(called.answered, called.at), 0.99),
        callToHandlerP50: quantile(since(heard.began, called.at), 0.5),
        callToHandlerP99: quantile(since(heard.began, called.at), 0.99),
      },
    }),
  ]
}
