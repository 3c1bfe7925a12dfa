/** Triggers that say how often, and leave it to the ledger when exactly: not all at the same minute, each always at its own. */
import { expect } from 'vitest'
import type { TriggerKind } from '../../domain/trigger/schedule.js'
import type { Ledger } from '../../runtime/ledger.js'
import { rejection } from '../engine/support.js'
import { scenario } from './scenario.js'
import { firings, shown, tick } from './trigger-acts.js'

type Spread = Extract<TriggerKind, 'hourly' | 'daily' | 'weekly' | 'monthly'>

/** The first instants of many triggers that differ in their payload. */
function many({ triggers }: Ledger, kind: Spread, when?: string, count = 70): Date[] {
  const times = { kind, job: tick, ...(when !== undefined && { when }) }
  return Array.from(
    { length: count },
    (_, n) => new Date(triggers.preview({ ...times, payload: { n } }, 1)[0] as number),
  )
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)
const seen = (values: readonly number[]): number[] => [...new Set(values)].sort((a, b) => a - b)
const hours = (dates: readonly Date[]): number[] => seen(dates.map((date) => date.getUTCHours()))
const weekdays = (dates: readonly Date[]): number[] => seen(dates.map((date) => date.getUTCDay()))
const dates = (instants: readonly Date[]): number[] => seen(instants.map((date) => date.getUTCDate()))

scenario([58, 'C18', '002.22'], 'triggers are spread over all that their phrase allows', async (world) => {
  const ledger = await world.open()
  const hourly = many(ledger, 'hourly', '', 400)
  expect(seen(hourly.map((date) => date.getUTCMinutes()))).toHaveLength(60)
  expect(seen(hourly.map((date) => date.getUTCSeconds()))).toHaveLength(60)
  expect(hours(many(ledger, 'hourly', 'before 5am')).every((hour) => hour < 5)).toBe(true)
  expect(hours(many(ledger, 'daily', '', 200))).toEqual(range(0, 23))
  expect(hours(many(ledger, 'daily', 'before 5am'))).toEqual(range(0, 4))
  expect(hours(many(ledger, 'daily', 'after 10pm'))).toEqual([22, 23])
  expect(hours(many(ledger, 'daily', 'between 8am and 6pm'))).toEqual(range(8, 17))
  expect(weekdays(many(ledger, 'weekly'))).toEqual(range(0, 6))
  expect(weekdays(many(ledger, 'weekly', 'on mon,wed-fri'))).toEqual([1, 3, 4, 5])
  expect(weekdays(many(ledger, 'weekly', 'on weekday,saturday'))).toEqual(range(1, 6))
  expect(weekdays(many(ledger, 'weekly', 'on weekend'))).toEqual([0, 6])
  expect(weekdays(many(ledger, 'weekly', 'on fri-mon'))).toEqual([0, 1, 5, 6])
  expect(dates(many(ledger, 'monthly', '', 200))).toEqual(range(1, 28))
  const both = many(ledger, 'monthly', 'on the 1,5-7 between 8am and 4pm')
  expect(dates(both)).toEqual([1, 5, 6, 7])
  expect(hours(both)).toEqual(range(8, 15))
})

scenario([58, 'C18', '002.23'], 'a slot stays: for a second ledger, after a restart, and said again', async (world) => {
  const first = await world.open()
  const spread = { kind: 'daily', when: 'before 5am', job: tick, payload: { account: 7 } } as const
  await first.triggers.add({ id: 'mine', ...spread })
  const slots = first.triggers.preview(spread)
  expect(await first.triggers.next('mine')).toEqual(slots)
  // A day apart.
  expect(slots.map((at, index) => at - (slots[0] as number) - index * 86_400_000)).toEqual([0, 0, 0, 0, 0])
  const second = await world.open()
  expect(await second.triggers.next('mine')).toEqual(slots)
  await world.close(first)
  await world.close(second)
  const third = await world.open()
  expect(await third.triggers.add({ id: 'mine', ...spread })).toEqual({ id: 'mine', outcome: 'unchanged' })
  expect(await third.triggers.next('mine')).toEqual(slots)
  const { slot } = await third.triggers.get('mine')
  expect(third.triggers.preview({ kind: 'cron', when: slot as string })).toEqual(slots)
})

scenario([58, '002.23'], 'type, channel and payload tell the slots apart', async (world) => {
  const { triggers } = await world.open()
  const spread = { kind: 'monthly', job: tick, payload: 1 } as const
  const slots = [
    spread,
    { ...spread, payload: 2 },
    { ...spread, job: { ...tick, type: 'tock' } },
    { ...spread, options: { channel: 'acme' } },
  ].map((times) => shown(triggers.preview(times, 1)[0] as number))
  expect(new Set(slots).size).toBe(4)
})

scenario([58, 'C18', '002.23'], 'the order in which a payload is written tells nothing', async (world) => {
  const { triggers } = await world.open()
  const spread = { id: 'mine', kind: 'monthly', job: tick } as const
  const payload = { a: 1, b: [{ c: 'x', d: null }], __proto__: null }
  await triggers.add({ ...spread, payload })
  const { slot } = await triggers.get('mine')
  const turned = { ...spread, payload: { b: [{ d: null, c: 'x' }], a: 1 } }
  expect(await triggers.add(turned)).toEqual({ id: 'mine', outcome: 'unchanged' })
  expect(await triggers.get('mine')).toMatchObject({ slot })
  expect(await triggers.add({ ...turned, payload: { ...payload, b: [] } })).toMatchObject({ outcome: 'updated' })
  expect(await triggers.get('mine')).not.toMatchObject({ slot })
})

scenario(
  [58, 'C18'],
  'as a kind it is spread, inside a cron expression the same word means midnight',
  async (world) => {
    const ledger = await world.open()
    const { triggers } = ledger
    expect(triggers.preview({ kind: 'cron', when: '@daily' }, 2).map(shown)).toEqual([
      '01-02 00:00:00',
      '01-03 00:00:00',
    ])
    const midnights = many(ledger, 'daily').filter((date) => date.getUTCHours() + date.getUTCMinutes() === 0)
    expect(midnights.length).toBeLessThan(5)
  },
)

scenario([58], 'it fires at its slot, in the time zone it was given', async (world) => {
  const ledger = await world.open()
  await ledger.triggers.add({ id: 'hourly', kind: 'hourly', job: tick, payload: null })
  const slots = (await ledger.triggers.next('hourly', 3)).map(shown)
  await world.clock.advance('3h')
  expect(await firings(world, 'hourly')).toEqual(slots)
  const zoned = { kind: 'daily', when: 'before 1am', timezone: 'Asia/Tokyo', job: tick, payload: null } as const
  await ledger.triggers.add({ id: 'tokyo', ...zoned })
  const next = await ledger.triggers.next('tokyo', 3)
  expect(next.map((at) => new Date(at).getUTCHours())).toEqual([15, 15, 15])
})

const WRONG: readonly (readonly [Spread, string])[] = [
  ['weekly', 'xyz'],
  ['weekly', 'on'],
  ['weekly', 'on xyz'],
  ['weekly', 'on mon,'],
  ['weekly', 'on mon-'],
  ['weekly', 'on -mon'],
  ['weekly', 'on mon-mon'],
  ['weekly', 'on mon-weekend'],
  ['weekly', 'on the monday'],
  ['weekly', 'on the 1-15'],
  ['weekly', 'after'],
  ['weekly', 'before xyz'],
  ['daily', 'between 8am and 8am'],
  ['daily', 'between 6pm and 8am'],
  ['daily', 'between 9pm and 3am'],
  ['daily', 'after 25pm'],
  ['daily', 'before 0am'],
  ['daily', 'on monday'],
  ['hourly', 'on monday'],
  ['hourly', 'on the 1'],
  ['monthly', 'on monday'],
  ['monthly', 'on 1-5'],
  ['monthly', 'on the'],
  ['monthly', 'on the xyz'],
  ['monthly', 'on the 5-1'],
  ['monthly', 'on the 5-5'],
  ['monthly', 'on the 0'],
  ['monthly', 'on the 32'],
]

scenario([58, '002.24'], 'a phrase that leaves no room, or means nothing for its kind, is refused', async (world) => {
  const { triggers } = await world.open()
  for (const [kind, when] of WRONG) {
    const error = await rejection(triggers.add({ kind, when, job: tick, payload: null }))
    const fault = { code: 'INVALID_OPTION', option: 'triggers.add.when', received: JSON.stringify(when) }
    expect(error, `${kind} ${when}`).toMatchObject({ ...fault, expected: expect.stringMatching(/^a phrase such as /) })
  }
  expect(await triggers.list()).toEqual([])
})
