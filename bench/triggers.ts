/** What triggers cost that wait, how soon a crowd of them fires, and what stands still while many of them are late. */
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../adapters/node/clock.js'
import type { Clock, Ledger } from '../index.js'
import type { Bench } from './bench.js'
import { cpuShareOver } from './cpu.js'
import type { Figure } from './figure.js'
import { figure } from './figure.js'
import { PulseTimer } from './pulse-timer.js'
import type { Task } from './task.js'
import { noopJob, openBench, payloadOf } from './workload.js'

const ZONES = ['UTC', 'Europe/Berlin'] as const
const DAYS = ['*', '1-31', '*/1', '1-15,16-31', '1-28,29-31']
const DAY = 86_400_000

type Cron = { readonly when: string; readonly timezone: string }

/** The instant (ms) of the next full second that is at least so far away, and 240 crons that have it as their next. */
function cronsIn(ms: number): { readonly instant: number; readonly crons: readonly Cron[] } {
  const instant = Math.ceil((Date.now() + ms) / 1_000) * 1_000
  const crons = ZONES.flatMap((timezone) =>
    Array.from({ length: 24 }, (_, more) => DAYS.map((days) => cronAt(instant, timezone, more, days))).flat(),
  )
  return { instant, crons }
}

/** One that also comes so many hours later. */
function cronAt(instant: number, timezone: string, more: number, days: string): Cron {
  const date = new Date(instant)
  const hour = Number(new Intl.DateTimeFormat('en-GB', { timeZone: timezone, hour: '2-digit' }).format(date))
  const hours = more === 0 ? hour : `${hour},${(hour + more) % 24}`
  return { when: `${date.getUTCSeconds()} ${date.getUTCMinutes()} ${hours} ${days} * *`, timezone }
}

async function addMany(ledger: Ledger, count: number, crons: readonly Cron[]): Promise<void> {
  const job = noopJob()
  const add = (index: number): Promise<unknown> => {
    const cron = crons[index % crons.length] as Cron
    return ledger.triggers.add({ id: `t${index}`, kind: 'cron', ...cron, job, payload: payloadOf(index) })
  }
  await Promise.all(Array.from({ length: count }, (_, index) => add(index)))
}

type IdleArgs = { readonly path: string; readonly count: number; readonly settleMs: number; readonly ms: number }

/** The share of a started runtime with so many triggers, none of which is due. */
export const triggersIdle: Task<IdleArgs, { readonly share: number }> = {
  name: 'triggers-idle',
  async work({ path, count, settleMs, ms }) {
    await using ledger = await openBench(path, noopJob())
    await addMany(ledger, count, cronsIn(12 * 3_600_000).crons.slice(0, 1))
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
    const { instant, crons } = cronsIn(aheadMs)
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
    await addMany(ledger, count, crons)
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

type LateArgs = { readonly path: string; readonly count: number }

/** Leaves so many triggers that fire each minute. */
export const triggersAdd: Task<LateArgs, Record<never, never>> = {
  name: 'triggers-add',
  async work({ path, count }) {
    await using ledger = await openBench(path, noopJob())
    await addMany(ledger, count, [{ when: '* * * * *', timezone: 'Europe/Berlin' }])
    return {}
  },
}

const nextDay: Clock = {
  ...systemClock,
  now: () => systemClock.now() + DAY,
  at: (instant, call) => systemClock.at(instant - DAY, call),
}

/** A day later: until the last of them has fired (ms), and the longest time in which nothing else could happen. */
export const triggersLate: Task<LateArgs, { readonly stallMs: number; readonly lastMs: number }> = {
  name: 'triggers-late',
  async work({ path, count }) {
    await using ledger = await openBench(path, noopJob(), nextDay)
    const began = performance.now()
    const pulse = new PulseTimer()
    const fired = new Set<string>()
    const lastMs = await new Promise<number>((resolve) => {
      ledger.events$.subscribe(({ type, stream }) => {
        if (type !== 'TriggerFired') return
        fired.add(stream)
        if (fired.size === count) resolve(performance.now() - began)
      })
    })
    return { stallMs: pulse.stop().longestGapMs, lastMs }
  },
}

export async function triggersLateCase(bench: Bench): Promise<Figure[]> {
  const args = { path: bench.file('triggers-late'), count: bench.size(1_000, 10) }
  await bench.run(triggersAdd, args)
  const { stallMs, lastMs } = await bench.run(triggersLate, args)
  const extra = { triggers: args.count, 'all ms': Math.round(lastMs) }
  return [
    figure({ name: 'triggers-late', rate: stallMs, unit: 'ms stall', better: 'less', target: { rate: 250 }, extra }),
  ]
}
