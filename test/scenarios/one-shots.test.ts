/** Triggers that fire once, at an instant or after a time, and are gone. */
import { expect } from 'vitest'
import { rejection } from '../engine/support.js'
import { scenario } from './scenario.js'
import { firings, kindsOf, misses, noted, storyOf, tick } from './trigger-acts.js'

const SOON = '2026-01-01T00:10:00Z'
const HOUR = 3_600_000
const DAY = 24 * HOUR

scenario([61, '002.20'], 'a trigger at an instant, and one after a time, fire once and are removed', async (world) => {
  const { job, notes } = noted()
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  await ledger.triggers.add({ id: 'at', kind: 'at', when: SOON, job, payload: 'at' })
  await ledger.triggers.add({ id: 'date', kind: 'at', when: new Date(SOON), job, payload: 'date' })
  await ledger.triggers.add({ id: 'in', kind: 'in', when: '20m', job, payload: 'in' })
  await world.clock.advance('9m')
  expect(notes).toEqual([])
  await world.clock.advance('1h')
  expect(notes.map(({ payload }) => payload)).toEqual(['at', 'date', 'in'])
  expect(await ledger.triggers.list()).toEqual([])
  for (const [id, time] of [
    ['at', '01-01 00:10:00'],
    ['date', '01-01 00:10:00'],
    ['in', '01-01 00:20:00'],
  ] as const) {
    expect(kindsOf(await storyOf(world, id))).toEqual(['TriggerAdded', 'TriggerFired', 'TriggerRemoved'])
    expect(await firings(world, id)).toEqual([time])
    expect(await rejection(ledger.triggers.get(id))).toMatchObject({ code: 'TRIGGER_UNKNOWN', triggerId: id })
    expect(await ledger.triggers.jobs(id)).toMatchObject([{ state: 'succeeded' }])
  }
})

scenario([61, 'C15'], 'what fires after a time keeps its instant across a restart', async (world) => {
  const first = await world.open()
  await first.triggers.add({ id: 'in', kind: 'in', when: '1h', job: tick, payload: null })
  const nextAt = world.clock.now() + HOUR
  await world.clock.advance('40m')
  await world.close(first)
  await world.clock.advance('10m')
  const second = await world.open()
  expect(await second.triggers.get('in')).toMatchObject({ nextAt, when: '2026-01-01T01:00:00.000Z' })
  // Said again at the start, as a service does.
  const again = { id: 'in', kind: 'in', when: '1h', job: tick, payload: null } as const
  expect(await second.triggers.add(again)).toEqual({ id: 'in', outcome: 'unchanged' })
  await world.clock.advance('15m')
  expect(await firings(world, 'in')).toEqual(['01-01 01:00:00'])
})

scenario(
  [61, 'C16', '002.21'],
  'an instant that has passed fires at once, if it is at most a day ago',
  async (world) => {
    const ledger = await world.open()
    const at = (id: string, ago: number): Promise<unknown> =>
      ledger.triggers.add({ id, kind: 'at', when: world.clock.now() - ago, job: tick, payload: null })
    await at('just now', 1)
    await at('a day ago', DAY)
    await at('more', DAY + 1_000)
    await world.clock.advance('1s')
    expect(await firings(world, 'just now')).toHaveLength(1)
    expect(await firings(world, 'a day ago')).toEqual(['12-31 00:00:00'])
    expect(await firings(world, 'more')).toEqual([])
    expect(await misses(world, 'more')).toEqual([['12-30 23:59:59', 1, 'late']])
    expect(kindsOf(await storyOf(world, 'more'))).toEqual(['TriggerAdded', 'TriggerMissed', 'TriggerRemoved'])
    expect(await ledger.triggers.list()).toEqual([])
    expect(await ledger.triggers.jobs('more')).toEqual([])
  },
)

scenario(
  [61, 'C16', '002.21'],
  'how late it may be is its own to say, and one that always fires does so however late',
  async (world) => {
    const first = await world.open({ scheduler: false })
    const add = (id: string, late?: '2h' | '2d' | 'always'): Promise<unknown> =>
      first.triggers.add({ id, kind: 'at', when: SOON, job: tick, payload: null, ...(late && { late }) })
    await add('default')
    await add('two hours', '2h')
    await add('two days', '2d')
    await add('always', 'always')
    await first.triggers.add({ id: 'in', kind: 'in', when: '10m', late: 0, job: tick, payload: null })
    expect(
      await Promise.all(['default', 'two hours', 'always'].map(async (id) => (await first.triggers.get(id)).lateMs)),
    ).toEqual([DAY, 2 * HOUR, null])
    await world.close(first)
    world.clock.step(world.clock.now() + 3 * HOUR)
    const second = await world.open()
    await world.clock.advance('1s')
    for (const id of ['default', 'two days', 'always']) expect(await firings(world, id)).toEqual(['01-01 00:10:00'])
    for (const id of ['two hours', 'in']) expect(await misses(world, id)).toEqual([['01-01 00:10:00', 1, 'late']])
    expect(await second.triggers.list()).toEqual([])
  },
)

scenario([61, 'C16'], 'after a year there is only what always fires', async (world) => {
  const first = await world.open({ scheduler: false })
  for (const late of ['1h', '30d', 'always'] as const)
    await first.triggers.add({ id: late, kind: 'at', when: SOON, late, job: tick, payload: null })
  await world.close(first)
  world.clock.step(world.clock.now() + 365 * DAY)
  await world.open()
  await world.clock.advance('1s')
  expect(await firings(world, 'always')).toEqual(['01-01 00:10:00'])
  for (const id of ['1h', '30d']) expect(await misses(world, id)).toEqual([['01-01 00:10:00', 1, 'late']])
})

scenario([61, 'C15', 'C16'], 'one that is done is not done again where it is declared at each start', async (world) => {
  const first = await world.open()
  const once = { id: 'once', kind: 'at', when: SOON, job: tick, payload: null } as const
  expect(await first.triggers.add(once)).toEqual({ id: 'once', outcome: 'created' })
  await world.clock.advance('20m')
  await world.close(first)
  const second = await world.open()
  expect(await second.triggers.add(once)).toEqual({ id: 'once', outcome: 'unchanged' })
  await world.clock.advance('5m')
  expect(await firings(world, 'once')).toHaveLength(1)
  // Another instant is another thing to do.
  const other = { ...once, when: '2026-01-01T01:00:00Z' }
  expect(await second.triggers.add(other)).toEqual({ id: 'once', outcome: 'created' })
  await world.clock.advance('1h')
  expect(await firings(world, 'once')).toEqual(['01-01 00:10:00', '01-01 01:00:00'])
})

scenario([61, 66], 'one that is removed, or paused, before its instant does not fire', async (world) => {
  const ledger = await world.open()
  for (const id of ['removed', 'paused'])
    await ledger.triggers.add({ id, kind: 'in', when: '10m', job: tick, payload: null })
  await ledger.triggers.remove('removed')
  await ledger.triggers.pause('paused')
  await world.clock.advance('15m')
  for (const id of ['removed', 'paused']) expect(await firings(world, id)).toEqual([])
  // It keeps its instant, and is late.
  await ledger.triggers.resume('paused')
  await world.clock.advance('1s')
  expect(await firings(world, 'paused')).toEqual(['01-01 00:10:00'])
  expect(await ledger.triggers.list()).toEqual([])
})
