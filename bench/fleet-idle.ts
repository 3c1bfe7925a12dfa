/** What processes cost that have nothing to do. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from './bench.js'
import { cpuShareOver } from './cpu.js'
import type { Figure } from './figure.js'
import { figure } from './figure.js'
import type { Meeting } from './meeting.js'
import { meet, tickets } from './meeting.js'
import type { Task } from './task.js'
import { noopJob, openBench } from './workload.js'

const FLEET = 4

type IdleArgs = {
  readonly path: string
  readonly meeting: Meeting
  /** Left out, with the first sign of life: starting up is not idling, and neither is compiling. So no garbage is collected. */
  readonly settleMs: number
  readonly ms: number
}

/** A started worker without a job. */
export const fleetIdle: Task<IdleArgs, { readonly share: number }> = {
  name: 'fleet-idle',
  async work({ path, meeting, settleMs, ms }) {
    await using ledger = await openBench(path, noopJob())
    await ledger.start()
    await meet(meeting)
    await sleep(settleMs)
    return { share: await cpuShareOver(ms) }
  },
}

export async function fleetIdleCase(bench: Bench): Promise<Figure[]> {
  const path = bench.file('fleet-idle')
  const args = { path, settleMs: bench.size(15_000, 10), ms: bench.size(30_000, 200) }
  const meetings = tickets(bench.folder('meeting'), FLEET)
  const shares = await Promise.all(meetings.map((meeting) => bench.run(fleetIdle, { ...args, meeting })))
  const percent = shares.reduce((total, { share }) => total + share, 0) * 100
  const extra = { processes: FLEET, seconds: args.ms / 1_000 }
  return [figure({ name: 'fleet-idle', rate: percent, unit: '% CPU', better: 'less', target: { rate: 1 }, extra })]
}
