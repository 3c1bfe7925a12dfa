/** Jobs that wait in one file are run by several processes: how much that costs, and how often they get in each other's way. */
import { openLog } from '../adapters/sqlite/open.js'
import type { Bench } from './bench.js'
import { finishes } from './drain.js'
import type { Figure } from './figure.js'
import { figure } from './figure.js'
import { countLeases } from './lease-counts.js'
import type { Meeting } from './meeting.js'
import { meet, tickets } from './meeting.js'
import type { Task } from './task.js'
import { verify } from './task.js'
import { collectGarbage, noopJob, openBench, prepare } from './workload.js'

type ShareArgs = {
  readonly path: string
  /** Jobs of the file that are waited for, whoever runs them. */
  readonly count: number
  readonly meeting: Meeting
  /** Runs at once. */
  readonly slots: number
  /** Count conflicts, too. */
  readonly counted: boolean
}
export type Shared = {
  readonly beganAt: number
  readonly endedAt: number
  /** By this process. */
  readonly ran: number
  readonly leases: number
  readonly conflicts: number
  /** Processor time of this process (us). */
  readonly cpuUs: number
}

/** One of several processes that drain a file together: from their meeting until this one has folded the last end. */
export const fleetDrain: Task<ShareArgs, Shared> = {
  name: 'fleet-drain',
  async work({ path, count, meeting, slots, counted }) {
    let ran = 0
    const counts = counted ? await countLeases(path) : { leases: 0, conflicts: 0 }
    const job = noopJob(() => {
      ran += 1
    })
    const ledger = await openBench(path, job)
    const finished = finishes(ledger, count)
    collectGarbage()
    await meet(meeting)
    const spent = process.cpuUsage()
    const beganAt = Date.now()
    await ledger.start({ concurrency: slots })
    await finished
    const endedAt = Date.now()
    const { user, system } = process.cpuUsage(spent)
    await ledger.close()
    return { beganAt, endedAt, ran, ...counts, cpuUs: user + system }
  },
}

interface Together extends Pick<ShareArgs, 'path' | 'count' | 'counted'> {
  readonly processes: number
  readonly slots?: number
}

export async function drainTogether(bench: Bench, { processes, slots = 100, ...given }: Together): Promise<Shared[]> {
  const meetings = tickets(bench.folder('meeting'), processes)
  return Promise.all(meetings.map((meeting) => bench.run(fleetDrain, { ...given, slots, meeting })))
}

export function rateOf(shares: readonly Shared[], count: number): number {
  const ms = Math.max(...shares.map(({ endedAt }) => endedAt)) - Math.min(...shares.map(({ beganAt }) => beganAt))
  return (count / ms) * 1_000
}

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

/** Each job that has an end has one, and was run once. */
function verifyEnds(path: string, shares: readonly Shared[]): void {
  const { db } = openLog(path, { readonly: true })
  const tally = "SELECT count(*), count(DISTINCT stream) FROM jobledger_events WHERE type = 'Finished'"
  const [ends, ended] = db.prepare(tally).raw(true).get() as [number, number]
  db.close()
  const ran = sum(shares.map((share) => share.ran))
  verify(ends === ended, `${ended} jobs have ${ends} Finished`)
  verify(ran === ended, `${ended} jobs finished in ${ran} runs`)
}

/** Share of the jobs that the busiest process had. */
export const shareOf = (shares: readonly Shared[]): number =>
  Math.max(...shares.map(({ ran }) => ran)) / sum(shares.map(({ ran }) => ran))

export async function fleetDrainCase(bench: Bench): Promise<Figure[]> {
  const jobs = bench.size(100_000, 1_000)
  const rate = async (name: string, processes: number): Promise<{ rate: number; share: number }> => {
    const path = bench.file(name)
    await bench.run(prepare, { path, jobs })
    const shares = await drainTogether(bench, { path, count: jobs, processes, counted: false })
    verifyEnds(path, shares)
    return { rate: rateOf(shares, jobs), share: shareOf(shares) }
  }
  const one = await rate('fleet-drain-1', 1)
  const two = await rate('fleet-drain-2', 2)
  const extra = { processes: 2, largestShare: two.share }
  return [
    figure({ name: 'fleet-drain', rate: two.rate, unit: 'jobs/s', floor: one.rate, target: { ratio: 0.8 }, extra }),
  ]
}

const FLEET = 4

export async function fleetConflictsCase(bench: Bench): Promise<Figure[]> {
  const jobs = bench.size(100_000, 1_000)
  const count = bench.size(30_000, 300)
  const path = bench.file('fleet-conflicts')
  await bench.run(prepare, { path, jobs })
  const shares = await drainTogether(bench, { path, count, processes: FLEET, counted: true })
  const leases = sum(shares.map((share) => share.leases))
  const conflicts = sum(shares.map((share) => share.conflicts))
  verifyEnds(path, shares)
  return [
    figure({
      name: 'fleet-conflicts',
      rate: conflicts / leases,
      unit: 'per lease',
      better: 'less',
      target: { rate: 0.1 },
      extra: { processes: FLEET, backlog: jobs, leases, largestShare: shareOf(shares) },
    }),
  ]
}
