/** What triggers cost that wait, and how soon a crowd of them fires. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ledger } from '../index.js'
import type { Bench } from './bench.js'
import { cpuShareOver } from './cpu.js'
import type { Figure } from './figure.js'
import { figure } from './figure.js'
import type { Task } from './task.js'
import { noopJob, openBench, payloadOf } from './workload.js'

/** The instant (ms) of the next full second that is at least so far away, and the cron that has it as its next. */
function cronIn(ms: number): { readonly instant: number; readonly when: string } {
  const instant = Math.ceil((Date.now() + ms) / 1_000) * 1_000
  const date = new Date(instant)
  return { instant, when: `${date.getUTCSeconds()} ${date.getUTCMinutes()} ${date.getUTCHours()} * * *` }
}

async function addMany(ledger: Ledger, count: number, when: string): Promise<void> {
  const job = noopJob()
  const add = (index: number): Promise<unknown> =>
    ledger.triggers.add({ id: `t${index}`, kind: 'cron', when, job, payload: payloadOf(index) })
  await Promise.all(Array.from({ length: count }, (_, index) => add(index)))
}

type IdleArgs = { readonly path: string; readonly count: number; readonly settleMs: number; readonly ms: number }

/** The share of a started runtime with so many triggers, none of which is due. */
export const triggersIdle: Task<IdleArgs, { readonly share: number }> = {
  name: 'triggers-idle',
  async work({ path, count, settleMs, ms }) {
    await using ledger = await openBench(path, noopJob())
    await addMany(ledger, count, cronIn(12 * 3_600_000).when)
    await ledger.start()
    await sleep(settleMs)
    return { share: await cpuShareOver(ms) }
  },
}

export async function triggersIdleCase(bench: Bench): Promise<Figure[]> {
  const args = { settleMs: bench.size(15_000, 10), ms: bench.size(30_000, 200) }
  const none = await bench.run(triggersIdle, { ...args, path: bench.file('no-triggers'), count: 0 })
  const count = bench.size(1_000, 10)
  const some = await bench.run(triggersIdle, { ...args, path: bench.file('triggers-idle'), count })
  const extra = { triggers: count, 'without %': +(none.share * 100).toFixed(2) }
  const rate = some.share * 100
  return [figure({ name: 'triggers-idle', rate, unit: '% CPU', better: 'less', target: { rate: 1 }, extra })]
}

type DueArgs = { readonly path: string; readonly count: number; readonly aheadMs: number }

/** From the instant at which all are due to the last firing that is durable (ms). The jobs run meanwhile. */
export const triggersDue: Task<DueArgs, { readonly firstMs: number; readonly lastMs: number }> = {
  name: 'triggers-due',
  async work({ path, count, aheadMs }) {
    await using ledger = await openBench(path, noopJob())
    await ledger.start()
    const { instant, when } = cronIn(aheadMs)
    let fired = 0
    let firstMs = 0
    const all = new Promise<number>((resolve) => {
      ledger.events$.subscribe(({ type }) => {
        if (type !== 'TriggerFired') return
        fired += 1
        if (fired === 1) firstMs = Date.now() - instant
        if (fired === count) resolve(Date.now() - instant)
      })
    })
    await addMany(ledger, count, when)
    if (Date.now() >= instant) throw new Error('adding the triggers took longer than was left: they are late')
    return { lastMs: await all, firstMs }
  },
}

export async function triggersDueCase(bench: Bench): Promise<Figure[]> {
  const count = bench.size(10_000, 20)
  const args = { path: bench.file('triggers-due'), count, aheadMs: bench.size(20_000, 1_000) }
  const { firstMs, lastMs } = await bench.run(triggersDue, args)
  const extra = { triggers: count, 'first ms': firstMs }
  return [
    figure({
      name: 'triggers-due',
      rate: lastMs,
      unit: 'ms to the last',
      better: 'less',
      target: { rate: 2_000 },
      extra,
    }),
  ]
}
