/** Clocks that somebody sets, forward and back, while triggers wait. */
import { expect } from 'vitest'
import { scenario } from './scenario.js'
import { firings, misses, SetClock, shown, tick, toldOf } from './trigger-acts.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const at = (minutes: number): string => shown(Date.UTC(2026, 0, 1, 0, minutes))

scenario([60, 'C17'], 'put forward, what was leapt over is missed, as after a downtime', async (world) => {
  const clock = new SetClock()
  const ledger = await world.open({ clock })
  await ledger.triggers.add({ id: 'cron', kind: 'cron', when: '* * * * *', job: tick, payload: null })
  await ledger.triggers.add({ id: 'every', kind: 'every', when: '1m', misfire: 'all', job: tick, payload: null })
  await ledger.triggers.add({ id: 'in', kind: 'in', when: '30m', job: tick, payload: null })
  await ledger.triggers.add({ id: 'too late', kind: 'in', when: '30m', late: '10m', job: tick, payload: null })
  await clock.advance('150s')
  clock.set(HOUR)
  await clock.advance('1m')
  expect(await firings(world, 'cron')).toEqual([at(1), at(2), at(3)])
  expect(await misses(world, 'cron')).toEqual([[at(4), 60, 'late']])
  expect(await firings(world, 'every')).toEqual(Array.from({ length: 63 }, (_, n) => at(n + 1)))
  expect(await firings(world, 'in')).toEqual([at(30)])
  expect(await misses(world, 'too late')).toEqual([[at(30), 1, 'late']])
  await clock.advance('1m')
  expect((await firings(world, 'cron')).at(-1)).toBe(at(64))
})

scenario([60, 'C17'], 'put back, nothing fires a second time for the same instant', async (world) => {
  const clock = new SetClock()
  const ledger = await world.open({ clock })
  await ledger.triggers.add({ id: 'cron', kind: 'cron', when: '* * * * *', job: tick, payload: null })
  await ledger.triggers.add({ id: 'every', kind: 'every', when: '1m', job: tick, payload: null })
  await clock.advance('150s')
  clock.set(-10 * MINUTE)
  await clock.advance('10m')
  // These minutes come a second time.
  for (const id of ['cron', 'every']) expect(await firings(world, id)).toEqual([at(1), at(2)])
  await clock.advance('2m')
  for (const id of ['cron', 'every']) {
    expect(await firings(world, id)).toEqual([at(1), at(2), at(3), at(4)])
    expect(await misses(world, id)).toEqual([])
  }
})

scenario([60, 65], 'a window ends when the clock says so, wherever that has been put', async (world) => {
  const clock = new SetClock()
  const ledger = await world.open({ clock })
  const hook = { kind: 'webhook', job: tick, debounce: '10m' } as const
  for (const id of ['forward', 'back']) await ledger.triggers.add({ id, ...hook })
  await ledger.triggers.receive('forward', 1)
  await clock.advance('1m')
  clock.set(HOUR)
  await clock.advance('10m')
  expect(await toldOf(world, 'forward', 'TriggerFired')).toMatchObject([{ occurrence: Date.UTC(2026, 0, 1, 0, 10) }])
  await ledger.triggers.receive('back', 1)
  clock.set(-5 * MINUTE)
  await clock.advance('14m')
  expect(await firings(world, 'back')).toEqual([])
  await clock.advance('2m')
  expect(await firings(world, 'back')).toEqual([at(81)])
})

scenario([60, 59], 'a process whose clock is behind fires nothing that another one has fired', async (world) => {
  const behind = new SetClock(Date.UTC(2026, 0, 1) - 90_000)
  const [right, late] = [await world.open(), await world.open({ clock: behind })]
  await right.triggers.add({ id: 'every', kind: 'every', when: '1m', job: tick, payload: null })
  for (let minute = 0; minute < 6; minute += 1) {
    await world.clock.advance('1m')
    await behind.advance('1m')
  }
  expect(await firings(world, 'every')).toEqual([1, 2, 3, 4, 5, 6].map(at))
  expect(await late.triggers.jobs('every')).toHaveLength(6)
})
