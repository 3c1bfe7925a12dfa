/** Triggers that fire by a cron expression, or at equal intervals. */
import { expect } from 'vitest'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import { scenario } from './scenario.js'
import { firings, noted, payloadsOf, shown, tick } from './trigger-acts.js'

const previewed = (instants: readonly number[]): string[] => instants.map(shown)

scenario(
  [56, 48, '001.20'],
  'a cron trigger makes a job at each of its instants, which is told for which one',
  async (world) => {
    const { job, notes } = noted()
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    await ledger.triggers.add({ id: 'half', kind: 'cron', when: '*/30 * * * *', job, payload: { report: 'brief' } })
    await world.clock.advance('29m')
    expect(notes).toEqual([])
    await world.clock.advance('61m')
    expect(await firings(world, 'half')).toEqual(['01-01 00:30:00', '01-01 01:00:00', '01-01 01:30:00'])
    const occurrences = [30, 60, 90].map((minutes) => Date.UTC(2026, 0, 1, 0, minutes))
    expect(notes).toEqual(
      occurrences.map((occurrence) => ({
        payload: { report: 'brief' },
        trigger: { id: 'half', occurrence },
        manual: false,
      })),
    )
    expect(await payloadsOf(ledger, 'half')).toEqual([1, 2, 3].map(() => ({ report: 'brief' })))
  },
)

scenario(
  [56, 'C18', '001.20'],
  'five fields, six with seconds first, and all eight macros fire when they say',
  async (world) => {
    // The first day of that year, of its month, and of its week.
    const clock = new VirtualClock(Date.UTC(2033, 11, 31, 23, 30))
    const ledger = await world.open({ clock })
    const midnight = ['01-01 00:00:00']
    const expected: Readonly<Record<string, readonly string[]>> = {
      '45 23 * * *': ['12-31 23:45:00'],
      '15 45 23 * * *': ['12-31 23:45:15'],
      '0,5 0 * JAN,mar ?': ['01-01 00:00:00', '01-01 00:05:00'],
      '2-8/3 0 1 1 SUN': ['01-01 00:02:00', '01-01 00:05:00', '01-01 00:08:00'],
      '50 23 * * 0': [],
      ...Object.fromEntries(['yearly', 'annually', 'monthly', 'weekly'].map((name) => [`@${name}`, midnight])),
      ...Object.fromEntries(['daily', 'midnight', 'hourly'].map((name) => [`@${name}`, midnight])),
      '@every 15m': ['12-31 23:45:00', '01-01 00:00:00'],
    }
    for (const when of Object.keys(expected))
      await ledger.triggers.add({ id: when, kind: 'cron', when, job: tick, payload: null })
    await clock.advance('40m')
    for (const [when, instants] of Object.entries(expected)) expect(await firings(world, when), when).toEqual(instants)
  },
)

scenario(
  [56, 'C18', '001.21'],
  '0 and 7 are Sunday; where both day fields are restricted, either of them is enough',
  async (world) => {
    const { triggers } = await world.open()
    const first = (when: string, count = 2): string[] => previewed(triggers.preview({ kind: 'cron', when }, count))
    const sundays = ['01-04 12:00:00', '01-11 12:00:00']
    for (const day of ['0', '7', 'SUN']) expect(first(`0 12 * * ${day}`)).toEqual(sundays)
    // The 10th, and each Friday.
    const either = ['01-02', '01-09', '01-10', '01-16']
    expect(first('0 12 10 * 5', 4)).toEqual(either.map((day) => `${day} 12:00:00`))
    expect(first('0 12 10 * *', 2)).toEqual(['01-10 12:00:00', '02-10 12:00:00'])
  },
)

scenario([56, 'C18'], 'an expression is in UTC unless a time zone is given, whose clocks may change', async (world) => {
  const clock = new VirtualClock(Date.UTC(2026, 2, 29, 0, 15))
  const ledger = await world.open({ clock })
  const berlin = { kind: 'cron', job: tick, payload: null, timezone: 'Europe/Berlin' } as const
  await ledger.triggers.add({ id: 'utc', kind: 'cron', when: '30 2 * * *', job: tick, payload: null })
  await ledger.triggers.add({ ...berlin, id: 'berlin', when: '30 2 * * *' })
  await ledger.triggers.add({ ...berlin, id: 'clock', when: '30 * * * *' })
  await clock.advance('140m')
  expect(await firings(world, 'utc')).toEqual(['03-29 02:30:00'])
  // There is no half past two in Berlin on that day: right after the gap.
  expect(await firings(world, 'berlin')).toEqual(['03-29 01:00:00'])
  expect(await firings(world, 'clock')).toEqual(['03-29 00:30:00', '03-29 01:30:00', '03-29 02:30:00'])
  expect((await ledger.triggers.get('berlin')).timezone).toBe('Europe/Berlin')
})

scenario([56, 'C18'], 'a time of day that comes twice fires the first time only', async (world) => {
  const clock = new VirtualClock(Date.UTC(2026, 9, 25, 0, 20))
  const ledger = await world.open({ clock })
  const berlin = { kind: 'cron', job: tick, payload: null, timezone: 'Europe/Berlin' } as const
  await ledger.triggers.add({ ...berlin, id: 'once', when: '30 2 * * *' })
  await ledger.triggers.add({ ...berlin, id: 'clock', when: '30 * * * *' })
  await clock.advance('80m')
  expect(await firings(world, 'once')).toEqual(['10-25 00:30:00'])
  expect(await firings(world, 'clock')).toEqual(['10-25 00:30:00', '10-25 01:30:00'])
})

scenario([57, '001.22'], 'an interval counts from when it was added, and no run delays it', async (world) => {
  const ledger = await world.open()
  await world.clock.advance('10s')
  await ledger.triggers.add({ id: 'every', kind: 'every', when: '90s', job: tick, payload: null })
  await world.clock.advance('5m')
  expect(await firings(world, 'every')).toEqual(['01-01 00:01:40', '01-01 00:03:10', '01-01 00:04:40'])
})

scenario([57, 'C18', '001.22'], 'an interval of less than a second is one of a second', async (world) => {
  const ledger = await world.open()
  const job = { job: tick, payload: null }
  await ledger.triggers.add({ id: 'number', kind: 'every', when: 250, ...job })
  await ledger.triggers.add({ id: 'text', kind: 'every', when: '300ms', ...job })
  await ledger.triggers.add({ id: 'macro', kind: 'cron', when: '@every 100ms', ...job })
  await world.clock.advance('3500ms')
  const seconds = ['01-01 00:00:01', '01-01 00:00:02', '01-01 00:00:03']
  for (const id of ['number', 'text', 'macro']) expect(await firings(world, id)).toEqual(seconds)
})
