/** Triggers that several processes look after. */
import { expect } from 'vitest'
import type { Ledger } from '../../runtime/ledger.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { World } from '../engine/support.js'
import { scenario } from './scenario.js'
import { firings, misses, noted, SetClock, shown, tick, toldOf } from './trigger-acts.js'

const START = Date.UTC(2026, 0, 1)
const seconds = (count: number): string[] => Array.from({ length: count }, (_, n) => shown(START + (n + 1) * 1_000))

/** Each occurrence has fired, once, and has one job. */
async function firedOnce(world: World, ledger: Ledger, id: string, expected: readonly string[]): Promise<void> {
  expect(await firings(world, id), id).toEqual(expected)
  expect(await misses(world, id), id).toEqual([])
  const jobs = await ledger.triggers.jobs(id, 1_000)
  expect(new Set(jobs.map((job) => job.id)).size).toBe(expected.length)
  const fired = (await toldOf(world, id, 'TriggerFired')).map(({ jobId }) => jobId)
  expect(jobs.map((job) => job.id).sort()).toEqual(fired.sort())
}

for (const count of [2, 4]) {
  scenario(
    [59, '001.24', '002.51'],
    `each occurrence fires exactly once, though ${count} processes look after it`,
    async (world) => {
      const { job, notes } = noted()
      const ledgers = await Promise.all(Array.from({ length: count }, () => world.open({ jobs: [job] })))
      const [first, second] = ledgers as [Ledger, Ledger]
      for (const ledger of ledgers) await ledger.start()
      await first.triggers.add({ id: 'cron', kind: 'cron', when: '* * * * * *', job, payload: 'cron' })
      await second.triggers.add({ id: 'every', kind: 'every', when: '1s', job, payload: 'every' })
      await second.triggers.add({ id: 'once', kind: 'in', when: '10s', job, payload: 'once' })
      await world.clock.advance('20s')
      await world.clock.settle()
      for (const id of ['cron', 'every']) await firedOnce(world, first, id, seconds(20))
      await firedOnce(world, second, 'once', [shown(START + 10_000)])
      await world.clock.advance('900ms')
      expect(notes).toHaveLength(41)
    },
  )
}

scenario([59], 'processes come and go, one is always there, and no occurrence is lost', async (world) => {
  let ledger = await world.open()
  await ledger.triggers.add({ id: 'cron', kind: 'cron', when: '* * * * * *', job: tick, payload: null, misfire: 'all' })
  for (let turn = 0; turn < 5; turn += 1) {
    const other = await world.open()
    await world.clock.advance('2500ms')
    await ledger.close({ drain: 0, timeout: 0 })
    ledger = other
    await world.clock.advance('1500ms')
  }
  const fired = await firings(world, 'cron')
  expect(fired).toEqual(seconds(fired.length))
  expect(fired.length).toBeGreaterThanOrEqual(20)
  await firedOnce(world, ledger, 'cron', fired)
})

scenario([59, 79], 'a process that is told not to fire leaves it to the others', async (world) => {
  const [quiet, other] = [await world.open({ scheduler: false }), await world.open({ scheduler: false })]
  await quiet.triggers.add({ id: 'every', kind: 'every', when: '1s', job: tick, payload: null, misfire: 'all' })
  await quiet.triggers.add({ id: 'hook', kind: 'webhook', job: tick })
  await world.clock.advance('5s')
  expect(await firings(world, 'every')).toEqual([])
  // Asked, it does.
  expect(await quiet.triggers.receive('hook', 1)).toMatchObject({ outcome: 'fired' })
  await other.triggers.fire('every')
  await world.open()
  await world.clock.advance('1s')
  const byTime = (await toldOf(world, 'every', 'TriggerFired')).filter(({ by }) => by === 'time')
  expect(byTime.slice(0, 5).map(({ occurrence }) => shown(occurrence as number))).toEqual(seconds(5))
})

scenario([59], 'clocks that do not agree make no occurrence twice', async (world) => {
  const clocks = [-800, 0, 700].map((off) => new SetClock(START + off))
  const ledgers: Ledger[] = []
  for (const clock of clocks) ledgers.push(await world.open({ clock }))
  const [ledger] = ledgers as [Ledger]
  await ledger.triggers.add({ id: 'cron', kind: 'cron', when: '* * * * * *', job: tick, payload: null })
  for (let step = 0; step < 100; step += 1) for (const clock of clocks) await clock.advance('100ms')
  const fired = await firings(world, 'cron')
  expect(fired.length).toBeGreaterThanOrEqual(10)
  // It was added by the one that is behind.
  expect(fired).toEqual([shown(START), ...seconds(fired.length - 1)])
  await firedOnce(world, ledger, 'cron', fired)
})

scenario([59, 66], 'what one process adds, changes or removes the others act on', async (world) => {
  const [ledger, quiet] = [await world.open(), await world.open({ scheduler: false })]
  await quiet.triggers.add({ id: 'cron', kind: 'cron', when: '*/5 * * * * *', job: tick, payload: null })
  await world.clock.advance('11s')
  await quiet.triggers.update('cron', { when: '*/2 * * * * *' })
  await world.clock.advance('4s')
  await quiet.triggers.remove('cron')
  await world.clock.advance('20s')
  await firedOnce(
    world,
    ledger,
    'cron',
    [5, 10, 12, 14].map((second) => shown(START + second * 1_000)),
  )
})

scenario(
  [59, 79],
  'a process that does not know the code of a type leaves its triggers to one that does',
  async (world) => {
    const job = defineJob<unknown, unknown>({ type: 'coded', concurrencyKey: () => 'by code' })
    const other = defineJob<unknown, unknown>({ type: 'other' })
    const strangers = [await world.open(), await world.open()] as const
    const knowing = await world.open({ jobs: [job] })
    await knowing.triggers.add({ id: 'every', kind: 'every', when: '1s', job, payload: null })
    await knowing.triggers.add({ id: 'slow', kind: 'every', when: '5s', job, payload: null, debounce: '1s' })
    await knowing.triggers.add({ id: 'event', kind: 'event', when: 'job/other:CREATED', job, payload: null })
    const keysOf = async (id: string): Promise<unknown[]> => {
      const jobs = await strangers[0].triggers.jobs(id)
      return Promise.all(jobs.map(async (each) => (await strangers[0].status(each.id)).concurrency?.key))
    }
    for (let second = 0; second < 12; second += 1) {
      await strangers[0].enqueue(other, null)
      await world.clock.advance('1s')
    }
    await world.clock.settle()
    const count = { every: 12, event: 12, slow: 2 }
    for (const [id, times] of Object.entries(count)) expect(await keysOf(id), id).toEqual(Array(times).fill('by code'))
    // Gone, it is not waited for much longer.
    await world.close(knowing, { drain: 0, timeout: 0 })
    const before = (await keysOf('every')).length
    await world.clock.advance('10s')
    expect(await firings(world, 'every')).toEqual(seconds((await keysOf('every')).length))
    expect((await keysOf('every')).length).toBeGreaterThanOrEqual(before + 8)
    expect(await misses(world, 'every')).toEqual([])
  },
)

scenario([59, 79], 'those whose workers take the jobs of a trigger come first', async (world) => {
  const asked: string[] = []
  const jobsOf = (name: string): JobDefinition<unknown, unknown>[] =>
    ['mine', 'other'].map((type) =>
      defineJob<unknown, unknown>({ type, before: () => void asked.push(name), handle: () => null }),
    )
  const [first, ...others] = [
    await world.open({ jobs: jobsOf('other type') }),
    await world.open({ jobs: jobsOf('other queue') }),
    await world.open({ jobs: jobsOf('mine') }),
  ] as const
  await first.start({ types: ['other'] })
  await others[0].start({ queues: ['other'] })
  await others[1].start({ types: ['mine'] })
  const job = defineJob<unknown, unknown>({ type: 'mine' })
  for (let n = 0; n < 10; n += 1)
    await first.triggers.add({ id: `every-${n}`, kind: 'every', when: '1s', job, payload: null })
  await world.clock.advance('5s')
  await world.clock.settle()
  expect(asked).toEqual(Array(50).fill('mine'))
})
