/** Many jobs that only wait: what it costs to keep their leases. */
import { setTimeout as sleep } from 'node:timers/promises'
import { openLog } from '../adapters/sqlite/open.js'
import type { JobDefinition } from '../index.js'
import { defineJob } from '../index.js'
import type { Bench } from './bench.js'
import { cpuShareOver } from './cpu.js'
import type { Figure } from './figure.js'
import { figure } from './figure.js'
import type { Task } from './task.js'
import { verify } from './task.js'
import type { Payload } from './workload.js'
import { batchOf, collectGarbage, openBench } from './workload.js'

/** The default, which beats every 10 s; and one so long that nothing beats. */
const LEASE_MS = 30_000
const LONG_LEASE_MS = 3_600_000

type HeartbeatArgs = {
  readonly path: string
  readonly jobs: number
  readonly leaseMs: number
  readonly settleMs: number
  readonly ms: number
}
type Beaten = {
  readonly share: number
  readonly beats: number
}

/** All jobs run at once; the share of a core that their process takes while they do. */
export const heartbeats: Task<HeartbeatArgs, Beaten> = {
  name: 'heartbeats',
  async work({ path, jobs, leaseMs, settleMs, ms }) {
    let release = (): void => {}
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    let running = 0
    let allRun = (): void => {}
    const full = new Promise<void>((resolve) => {
      allRun = resolve
    })
    const job: JobDefinition<Payload, void> = defineJob<Payload, void>({
      type: 'noop',
      handle() {
        running += 1
        if (running === jobs) allRun()
        return released
      },
    })
    const ledger = await openBench(path, job)
    await ledger.start({ concurrency: jobs, lease: leaseMs })
    await ledger.enqueueMany(batchOf(job, 0, jobs))
    await full
    collectGarbage()
    await sleep(settleMs)
    const share = await cpuShareOver(ms)
    release()
    await ledger.close()
    verify(running === jobs, `${running} runs of ${jobs} jobs`)
    return { share, beats: beatsIn(path) }
  },
}

function beatsIn(path: string): number {
  const { db } = openLog(path, { readonly: true })
  const beats = db.prepare("SELECT count(*) FROM jobledger_events WHERE type = 'Heartbeat'").pluck(true).get()
  db.close()
  return beats as number
}

export async function heartbeatsCase(bench: Bench): Promise<Figure[]> {
  const jobs = bench.size(1_000, 20)
  const times = { settleMs: bench.size(3_000, 10), ms: bench.size(60_000, 100) }
  const beating = await bench.run(heartbeats, { path: bench.file('heartbeats'), jobs, leaseMs: LEASE_MS, ...times })
  const path = bench.file('heartbeats-none')
  const still = await bench.run(heartbeats, { path, jobs, leaseMs: LONG_LEASE_MS, ...times })
  verify(still.beats === 0, `${still.beats} beats where there were to be none`)
  return [
    figure({
      name: 'heartbeats',
      rate: (beating.share - still.share) * 100,
      unit: '% CPU',
      better: 'less',
      target: { rate: 2 },
      extra: { jobs, beats: beating.beats, withoutBeats: still.share * 100 },
    }),
  ]
}
