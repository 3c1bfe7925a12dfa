/** Occurrences that nobody was there to fire. */
import { expect } from 'vitest'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import type { Misfire } from '../../domain/trigger/events.js'
import type { World } from '../engine/support.js'
import { scenario } from './scenario.js'
import { firings, kindsOf, misses, SetClock, shown, storyOf, tick } from './trigger-acts.js'

const HOUR = 3_600_000
const POLICIES: readonly Misfire[] = ['coalesce', 'all', 'skip']

/** No ledger is there for so long. */
const gone = (world: World, ms: number): boolean => world.clock.step(world.clock.now() + ms)

const at = (hours: number, minutes = 0): string => shown(Date.UTC(2026, 0, 1, hours, minutes))
const times = (from: number, count: number): string[] => Array.from({ length: count }, (_, n) => at(0, from + 10 * n))

scenario([60, 'C17', '002.25'], 'after three hours without anybody each policy does as it says', async (world) => {
  const first = await world.open()
  for (const misfire of POLICIES) {
    const trigger = { when: '*/10 * * * *', job: tick, payload: null, misfire } as const
    await first.triggers.add({ id: misfire, kind: 'cron', ...trigger })
    await first.triggers.add({ id: `every ${misfire}`, kind: 'every', ...trigger, when: '10m' })
  }
  await world.clock.advance('15m')
  await world.close(first)
  gone(world, 3 * HOUR)
  const second = await world.open()
  await world.clock.advance('30s')
  const next = Date.UTC(2026, 0, 1, 3, 20)
  for (const kind of ['', 'every ']) {
    expect(await firings(world, `${kind}coalesce`)).toEqual([at(0, 10), at(0, 20)])
    expect(await misses(world, `${kind}coalesce`)).toEqual([[at(0, 30), 17, 'late']])
    expect(await firings(world, `${kind}all`)).toEqual(times(10, 19))
    expect(await misses(world, `${kind}all`)).toEqual([])
    expect(await firings(world, `${kind}skip`)).toEqual([at(0, 10)])
    expect(await misses(world, `${kind}skip`)).toEqual([[at(0, 20), 18, 'late']])
    for (const misfire of POLICIES)
      expect((await second.triggers.get(`${kind}${misfire}`)).nextAt, kind + misfire).toBe(next)
  }
  await world.clock.advance('6m')
  for (const misfire of POLICIES) expect((await firings(world, misfire)).at(-1)).toBe(at(3, 20))
  expect(await second.triggers.state('skip')).toMatchObject({ fired: 2, missed: 18 })
})

scenario([60, 'C17'], 'one that was added without a policy fires once for all that it has missed', async (world) => {
  const first = await world.open()
  await first.triggers.add({ id: 'plain', kind: 'cron', when: '0 * * * *', job: tick, payload: null })
  expect(await first.triggers.get('plain')).toMatchObject({ misfire: 'coalesce' })
  await world.close(first)
  gone(world, 10.5 * HOUR)
  const second = await world.open()
  await world.clock.advance('1s')
  expect(await firings(world, 'plain')).toEqual([at(1)])
  expect(await misses(world, 'plain')).toEqual([[at(2), 9, 'late']])
  expect(kindsOf(await storyOf(world, 'plain'))).toEqual(['TriggerAdded', 'TriggerMissed', 'TriggerFired'])
  expect(await second.triggers.jobs('plain')).toHaveLength(1)
})

scenario(
  [60, 'C17'],
  'what is missed in one downtime is counted: of an interval all, of a cron 10,000',
  async (world) => {
    const first = await world.open()
    await first.triggers.add({ id: 'every', kind: 'every', when: '1s', job: tick, payload: null })
    await first.triggers.add({ id: 'cron', kind: 'cron', when: '* * * * * *', job: tick, payload: null })
    await world.close(first)
    gone(world, 5 * HOUR)
    const second = await world.open()
    await world.clock.advance('5s')
    const missesOf = async (id: string): Promise<unknown> =>
      (await storyOf(world, id)).find(({ type }) => type === 'TriggerMissed')?.data
    expect(await missesOf('every')).toMatchObject({ reason: 'late', count: 18_000 })
    expect(await missesOf('cron')).toMatchObject({ reason: 'late', count: 10_000, more: true })
    const [every, cron] = [await second.triggers.state('every'), await second.triggers.state('cron')]
    expect(every).toMatchObject({ missed: 18_000, lastMissed: 'late' })
    expect(every).not.toHaveProperty('missedMore')
    expect(cron).toMatchObject({ missed: 10_000, missedMore: true, lastMissed: 'late' })
  },
)

scenario([60, 'C17'], 'a hiccup of less than five seconds loses nothing, whatever the policy', async (world) => {
  const clock = new SetClock()
  const ledger = await world.open({ clock })
  for (const misfire of POLICIES)
    await ledger.triggers.add({ id: misfire, kind: 'cron', when: '* * * * * *', job: tick, payload: null, misfire })
  await clock.advance('3500ms')
  // The process stands still meanwhile.
  clock.set(4_000)
  await clock.advance('3s')
  const seconds = Array.from({ length: 10 }, (_, n) => shown(Date.UTC(2026, 0, 1) + (n + 1) * 1_000))
  for (const misfire of POLICIES) {
    expect(await firings(world, misfire), misfire).toEqual(seconds)
    expect(await misses(world, misfire), misfire).toEqual([])
  }
})

scenario([60, 'C17'], 'in a longer one what is late already is missed, and the rest still fires', async (world) => {
  const clock = new SetClock()
  const ledger = await world.open({ clock })
  for (const misfire of POLICIES)
    await ledger.triggers.add({ id: misfire, kind: 'cron', when: '* * * * * *', job: tick, payload: null, misfire })
  await clock.advance('3500ms')
  clock.set(60_000)
  await clock.advance('3s')
  const all = Array.from({ length: 66 }, (_, n) => shown(Date.UTC(2026, 0, 1) + (n + 1) * 1_000))
  expect(await firings(world, 'all')).toEqual(all)
  // Woken at 1:04: one firing for what was due, and from then on each.
  expect(await firings(world, 'coalesce')).toEqual([...all.slice(0, 4), ...all.slice(64)])
  expect(await misses(world, 'coalesce')).toEqual([['01-01 00:00:05', 60, 'late']])
  // Up to five seconds are not late.
  expect(await firings(world, 'skip')).toEqual([...all.slice(0, 3), ...all.slice(58)])
  expect(await misses(world, 'skip')).toEqual([['01-01 00:00:04', 55, 'late']])
})

scenario([60, 59], 'a downtime of one process is none where another one works', async (world) => {
  const [first, second] = [await world.open(), await world.open()]
  await first.triggers.add({ id: 'often', kind: 'every', when: '10s', job: tick, payload: null, misfire: 'skip' })
  await world.clock.advance('25s')
  await world.close(first)
  await world.clock.advance('1m')
  expect(await misses(world, 'often')).toEqual([])
  expect((await firings(world, 'often')).slice(0, 7)).toEqual(
    Array.from({ length: 7 }, (_, n) => shown(Date.UTC(2026, 0, 1) + (n + 1) * 10_000)),
  )
  expect(await second.triggers.jobs('often')).not.toHaveLength(0)
})

scenario([60, 66], 'what falls into a pause has not been missed', async (world) => {
  const clock = new VirtualClock()
  const ledger = await world.open({ clock })
  await ledger.triggers.add({ id: 'all', kind: 'every', when: '1m', job: tick, payload: null, misfire: 'all' })
  await clock.advance('90s')
  await ledger.triggers.pause('all')
  await clock.advance('5m')
  await ledger.triggers.resume('all')
  await clock.advance('1m')
  expect(await firings(world, 'all')).toEqual([at(0, 1), at(0, 7)])
  expect(await misses(world, 'all')).toEqual([])
})

scenario(
  [60, 65, 'C17'],
  'a window takes one of those that were missed, and only what its policy leaves',
  async (world) => {
    const first = await world.open()
    for (const misfire of POLICIES) {
      const trigger = { when: '*/10 * * * *', job: tick, payload: null, debounce: '1m', misfire } as const
      await first.triggers.add({ id: misfire, kind: 'cron', ...trigger })
    }
    await world.close(first)
    gone(world, HOUR + 1)
    const second = await world.open()
    await world.clock.advance('1s')
    expect(await second.triggers.get('coalesce')).toMatchObject({ window: { count: 1 } })
    expect(await second.triggers.get('all')).toMatchObject({ window: { count: 6 } })
    // The last one is not late yet.
    expect(await second.triggers.get('skip')).toMatchObject({ window: { count: 1 } })
    await world.clock.advance('2m')
    for (const misfire of POLICIES) expect(await second.triggers.jobs(misfire)).toHaveLength(1)
    expect(await misses(world, 'coalesce')).toEqual([[at(0, 20), 5, 'late']])
    expect(await misses(world, 'all')).toEqual([])
    expect(await misses(world, 'skip')).toEqual([[at(0, 10), 5, 'late']])
  },
)
