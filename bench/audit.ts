/** What proof costs: beside a steady load, and over a long log. */
import { setTimeout as sleep } from 'node:timers/promises'
import { newKey } from '../adapters/audit-tools.js'
import type { JobDefinition } from '../index.js'
import { openLedger } from '../index.js'
import type { Bench } from './bench.js'
import { finishes } from './drain.js'
import type { Figure } from './figure.js'
import { figure, quantile } from './figure.js'
import { history, LIFE } from './history.js'
import type { Task } from './task.js'
import { verify } from './task.js'
import { batchOf, collectGarbage, noopJob } from './workload.js'

const PER_SECOND = 10_000
/** Jobs come in so many calls a second. */
const CALLS = 100
const WARM_MS = 2_000

type SteadyArgs = {
  readonly path: string
  readonly proof: boolean
  readonly seconds: number
  readonly perSecond: number
}
type Steady = {
  /** Processor time of a job from its enqueue until it is done and, with proof, under a checkpoint. */
  readonly cpuMicros: number
  readonly p50: number
  readonly p99: number
  readonly checkpoints: number
}

/** So many jobs a second, enqueued and run by this process, which signs what they leave once a second. */
export const auditSteady: Task<SteadyArgs, Steady> = {
  name: 'audit-steady',
  async work({ path, proof, seconds, perSecond }) {
    const called: number[] = []
    const waits: number[] = []
    const job = noopJob((index) => waits.push(performance.now() - (called[index] ?? Number.NaN)))
    const audit = { key: newKey('bench').secret, every: 1_000 }
    const jobs = [job as JobDefinition]
    const ledger = await openLedger({ url: `sqlite:${path}`, jobs, ...(proof && { audit }) })
    let checkpoints = 0
    ledger.events$.subscribe(({ type }) => {
      if (type === 'CheckpointSigned') checkpoints += 1
    })
    await ledger.start({ concurrency: 100 })
    const count = perSecond / CALLS
    /** All that it begins is done when it resolves: on a machine that cannot keep up nothing is left out. */
    const load = async (calls: number): Promise<void> => {
      const done = finishes(ledger, calls * count)
      const began = performance.now()
      for (let call = 0; call < calls; call += 1) {
        const wait = began + (call * 1_000) / CALLS - performance.now()
        if (wait > 0) await sleep(wait)
        const from = called.length
        for (let index = 0; index < count; index += 1) called.push(performance.now())
        void ledger.enqueueMany(batchOf(job, from, count))
      }
      await done
      if (proof) await ledger.audit.checkpoint()
    }
    await load((WARM_MS * CALLS) / 1_000)
    waits.length = 0
    checkpoints = 0
    collectGarbage()
    const before = process.cpuUsage()
    await load(seconds * CALLS)
    const { user, system } = process.cpuUsage(before)
    await ledger.close()
    const cpuMicros = (user + system) / (seconds * perSecond)
    return { cpuMicros, p50: quantile(waits, 0.5), p99: quantile(waits, 0.99), checkpoints }
  },
}

type Checked = { readonly events: number; readonly seconds: number; readonly cpuSeconds: number }
type Whole = { readonly signed: Checked; readonly checked: Checked; readonly proveMs: number }

/** One checkpoint over all of a long log, a proof by it, and the check of everything against it. */
export const auditWhole: Task<{ readonly path: string; readonly jobs: number }, Whole> = {
  name: 'audit-whole',
  async work({ path, jobs }) {
    const { secret, key } = newKey('bench')
    const ledger = await openLedger({ url: `sqlite:${path}`, audit: { key: secret, every: false }, scheduler: false })
    const signed = await timed(async () => (await ledger.audit.checkpoint()).size)
    const { note } = await ledger.audit.checkpoint()
    const checked = await timed(async () => {
      const report = await ledger.audit.verify({ held: [note], keys: [key] })
      verify(report.ok, `${report.found} differences were found`)
      return report.events + report.unsealed
    })
    verify(checked.events >= jobs * LIFE, `${checked.events} of ${jobs * LIFE} events were checked`)
    const [last] = (await ledger.list({ limit: 1 })).jobs
    const proving = performance.now()
    await ledger.audit.prove({ job: last?.id ?? '' })
    const proveMs = performance.now() - proving
    await ledger.close()
    return { signed, checked, proveMs }
  },
}

async function timed(work: () => Promise<number>): Promise<Checked> {
  collectGarbage()
  const [began, cpu] = [performance.now(), process.cpuUsage()]
  const events = await work()
  const { user, system } = process.cpuUsage(cpu)
  return { events, seconds: (performance.now() - began) / 1_000, cpuSeconds: (user + system) / 1e6 }
}

export async function auditCase(bench: Bench): Promise<Figure[]> {
  const load = { seconds: bench.size(15, 1), perSecond: bench.size(PER_SECOND, 500) }
  const steady = (proof: boolean): Promise<Steady> =>
    bench.run(auditSteady, { path: bench.file(`audit-steady-${proof}`), proof, ...load })
  const [without, proven] = [await steady(false), await steady(true)]
  const path = bench.file('audit')
  const jobs = bench.size(333_334, 1_000)
  await bench.run(history, { path, finished: jobs, pending: 0 })
  const { signed, checked, proveMs } = await bench.run(auditWhole, { path, jobs })
  const share = (proven.cpuMicros - without.cpuMicros) / without.cpuMicros
  return [
    figure({
      name: 'audit-share',
      rate: share * 100,
      unit: '% CPU',
      better: 'less',
      target: { rate: 10 },
      extra: {
        cpuMicros: proven.cpuMicros,
        cpuMicrosWithout: without.cpuMicros,
        p99: proven.p99,
        p99Without: without.p99,
        checkpoints: proven.checkpoints,
      },
    }),
    figure({
      name: 'audit-sign',
      rate: signed.events / signed.seconds,
      unit: 'events/s',
      extra: { cpuMicros: (signed.cpuSeconds * 1e6) / signed.events },
    }),
    figure({
      name: 'audit-verify',
      rate: checked.events / checked.seconds,
      unit: 'events/s',
      target: { rate: 200_000 },
      extra: { events: checked.events, cpuMicros: (checked.cpuSeconds * 1e6) / checked.events, proveMs },
    }),
  ]
}
