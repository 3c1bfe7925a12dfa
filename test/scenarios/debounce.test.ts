/** Windows: requests that come close together make one job, at the end. */
import { expect } from 'vitest'
import type { Ledger } from '../../runtime/ledger.js'
import { rejection } from '../engine/support.js'
import { scenario } from './scenario.js'
import { firings, kindsOf, misses, noted, payloadsOf, storyOf, tick, toldOf } from './trigger-acts.js'

const HOOK = { id: 'hook', kind: 'webhook', job: tick } as const
const EVENT = { id: 'event', kind: 'event', when: 'orders', job: tick, payload: 'own' } as const
const publish = (ledger: Ledger, n: number): Promise<unknown> =>
  ledger.publish({ type: 'orders', verb: 'CREATED', id: `o-${n}`, document: { n } })

scenario(
  [65, 'C14', '002.33'],
  'a window begins with the first request and is not extended: 24 in 4.8 seconds make three jobs of two seconds',
  async (world) => {
    const ledger = await world.open()
    await ledger.triggers.add({ ...EVENT, debounce: '2s' })
    for (let n = 0; n < 24; n += 1) {
      await publish(ledger, n)
      await world.clock.advance('200ms')
    }
    await world.clock.advance('5s')
    expect(await toldOf(world, 'event', 'TriggerFired')).toMatchObject([
      { occurrence: Date.UTC(2026, 0, 1, 0, 0, 2), collected: 10 },
      { occurrence: Date.UTC(2026, 0, 1, 0, 0, 4), collected: 10 },
      { occurrence: Date.UTC(2026, 0, 1, 0, 0, 6), collected: 4 },
    ])
    expect(await ledger.triggers.jobs('event')).toHaveLength(3)
  },
)

scenario([65, 'C14'], 'a lone request waits for the end of its window, too', async (world) => {
  const ledger = await world.open()
  await ledger.triggers.add({ ...HOOK, debounce: '10s' })
  expect(await ledger.triggers.receive('hook', 1)).toEqual({ outcome: 'debounced' })
  const until = world.clock.now() + 10_000
  expect(await ledger.triggers.get('hook')).toMatchObject({ window: { until, count: 1 } })
  await world.clock.advance('9s')
  expect(await ledger.triggers.jobs('hook')).toEqual([])
  await world.clock.advance('1s')
  const [job] = await ledger.triggers.jobs('hook')
  expect(await ledger.status(job?.id as string)).toMatchObject({
    ...{ debounced: true, payload: [1], trigger: { id: 'hook', occurrence: until } },
  })
  expect(await ledger.triggers.get('hook')).not.toHaveProperty('window')
})

scenario(
  [65, 'C14', '002.34'],
  'what the job is given: no event, all payloads in order, or the first',
  async (world) => {
    const { job, notes } = noted()
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    for (const combine of ['drop', 'append', 'first'] as const) {
      const debounce = { window: '5s', combine } as const
      await ledger.triggers.add({ ...HOOK, job, id: `hook ${combine}`, payload: 'own', debounce })
      await ledger.triggers.add({ ...EVENT, job, id: `event ${combine}`, debounce })
    }
    for (const n of [3, 1, 2]) {
      for (const combine of ['drop', 'append', 'first']) await ledger.triggers.receive(`hook ${combine}`, n)
      await publish(ledger, n)
      await world.clock.advance('1s')
    }
    await world.clock.advance('10s')
    const told = new Map(notes.map(({ payload, trigger }) => [trigger?.id, [payload, trigger?.event]]))
    const event = (n: number): object => ({ type: 'orders', verb: 'CREATED', id: `o-${n}`, document: { n } })
    expect(notes).toHaveLength(6)
    expect(told.get('hook drop')).toEqual(['own', undefined])
    expect(told.get('hook append')).toEqual([[3, 1, 2], undefined])
    expect(told.get('hook first')).toEqual([3, undefined])
    expect(told.get('event drop')).toEqual(['own', undefined])
    expect(told.get('event append')).toEqual(['own', [event(3), event(1), event(2)]])
    expect(told.get('event first')).toEqual(['own', event(3)])
  },
)

scenario(
  [65, 'C14', '002.34'],
  'left unsaid, it is none for events, all for a webhook, and the first for others',
  async (world) => {
    const ledger = await world.open()
    const debounce = '90s'
    await ledger.triggers.add({ ...EVENT, debounce })
    await ledger.triggers.add({ ...HOOK, debounce })
    await ledger.triggers.add({ id: 'every', kind: 'every', when: '1m', job: tick, payload: 'own', debounce })
    for (const [id, combine] of [
      ['event', 'drop'],
      ['hook', 'append'],
      ['every', 'first'],
    ] as const)
      expect((await ledger.triggers.get(id)).debounce).toEqual({ windowMs: 90_000, combine })
    await publish(ledger, 1)
    await ledger.triggers.receive('hook', 'a')
    await ledger.triggers.receive('hook')
    await ledger.triggers.receive('hook', ['b'])
    await world.clock.advance('5m')
    expect(await payloadsOf(ledger, 'event')).toEqual(['own'])
    expect(await payloadsOf(ledger, 'hook')).toEqual([['a', null, ['b']]])
    expect(await payloadsOf(ledger, 'every')).toEqual(['own', 'own'])
    expect(await firings(world, 'every')).toEqual(['01-01 00:02:30', '01-01 00:04:30'])
  },
)

scenario([65, 'C14'], 'a window outlives the process that has opened it', async (world) => {
  const first = await world.open()
  await first.triggers.add({ ...HOOK, debounce: '1m' })
  for (const n of [1, 2]) await first.triggers.receive('hook', n)
  await world.clock.advance('10s')
  await world.close(first)
  const second = await world.open()
  await second.triggers.receive('hook', 3)
  await world.clock.advance('10s')
  await world.close(second)
  expect(await firings(world, 'hook')).toEqual([])
  world.clock.step(world.clock.now() + 3_600_000)
  const third = await world.open()
  await world.clock.advance('1s')
  // Late, but for the instant that was promised.
  expect(await firings(world, 'hook')).toEqual(['01-01 00:01:00'])
  expect(await payloadsOf(third, 'hook')).toEqual([[1, 2, 3]])
  expect(await misses(world, 'hook')).toEqual([])
})

scenario([65, 59, 'C14'], 'several processes collect into one window, and end it once', async (world) => {
  const ledgers = [await world.open(), await world.open(), await world.open()] as const
  await ledgers[0].triggers.add({ ...HOOK, debounce: '5s' })
  for (let n = 0; n < 12; n += 1) await (ledgers[n % 3] as Ledger).triggers.receive('hook', n)
  await world.clock.advance('10s')
  expect(await payloadsOf(ledgers[0], 'hook')).toEqual([Array.from({ length: 12 }, (_, n) => n)])
  expect(kindsOf(await storyOf(world, 'hook')).filter((type) => type !== 'DebounceCollected')).toEqual([
    'TriggerAdded',
    'DebounceOpened',
    'TriggerFired',
  ])
})

scenario([65, 'C14'], 'a payload for which there is no room is refused, and what was taken is kept', async (world) => {
  const ledger = await world.open({ maxPayloadBytes: 1_024 })
  await ledger.triggers.add({ ...HOOK, debounce: '5s' })
  const large = 'x'.repeat(400)
  for (let n = 0; n < 2; n += 1) await ledger.triggers.receive('hook', large)
  const refused = await rejection(ledger.triggers.receive('hook', large))
  expect(refused).toMatchObject({ code: 'DEBOUNCE_FULL', family: 'trigger', triggerId: 'hook' })
  expect(await ledger.triggers.receive('hook', 'small')).toEqual({ outcome: 'debounced' })
  await world.clock.advance('10s')
  expect(await payloadsOf(ledger, 'hook')).toEqual([[large, large, 'small']])
  // The next window is empty again.
  expect(await ledger.triggers.receive('hook', large)).toEqual({ outcome: 'debounced' })
})

scenario([65, 62, 'C14'], 'events of the log for which there is no room wait for the next window', async (world) => {
  const ledger = await world.open({ maxPayloadBytes: 1_024 })
  const rule = { kind: 'event', when: 'job/tick:CREATED', job: tick, payload: null } as const
  await ledger.triggers.add({ id: 'all', ...rule, debounce: { window: '10s', combine: 'append' } })
  const ids = Array.from({ length: 12 }, (_, n) => `tick ${n}`)
  for (const id of ids) await ledger.enqueue(tick, null, { id })
  await world.clock.advance('2m')
  const windows = await toldOf(world, 'all', 'TriggerFired')
  expect(windows.length).toBeGreaterThan(1)
  expect(windows.reduce((sum, { collected }) => sum + (collected as number), 0)).toBe(12)
  expect((await misses(world, 'all')).every(([, , reason]) => reason === 'loop')).toBe(true)
})

scenario([65, 66], 'what is changed or fired by hand meanwhile leaves the window as it was promised', async (world) => {
  const ledger = await world.open()
  await ledger.triggers.add({ ...HOOK, debounce: '10s' })
  await ledger.triggers.receive('hook', 1)
  await ledger.triggers.update('hook', { debounce: { window: '1h', combine: 'first' } })
  const { jobId } = await ledger.triggers.fire('hook', { payload: 'by hand' })
  expect(await ledger.status(jobId)).not.toHaveProperty('debounced')
  await ledger.triggers.receive('hook', 2)
  await world.clock.advance('15s')
  expect(await payloadsOf(ledger, 'hook')).toEqual(['by hand', [1, 2]])
  await ledger.triggers.receive('hook', 3)
  await ledger.triggers.receive('hook', 4)
  await world.clock.advance('1h')
  expect(await payloadsOf(ledger, 'hook')).toEqual(['by hand', [1, 2], 3])
})

scenario([65, 66], 'paused, a window waits for the resume; removed, it is gone', async (world) => {
  const ledger = await world.open()
  for (const id of ['paused', 'removed']) {
    await ledger.triggers.add({ ...HOOK, id, debounce: '10s' })
    await ledger.triggers.receive(id, 1)
  }
  await ledger.triggers.pause('paused')
  await ledger.triggers.remove('removed')
  await world.clock.advance('1m')
  for (const id of ['paused', 'removed']) expect(await firings(world, id)).toEqual([])
  await ledger.triggers.resume('paused')
  await world.clock.advance('1s')
  expect(await firings(world, 'paused')).toEqual(['01-01 00:00:10'])
  expect(await payloadsOf(ledger, 'paused')).toEqual([[1]])
  // Added anew it begins without what was asked of the one before.
  await ledger.triggers.add({ ...HOOK, id: 'removed', debounce: '10s' })
  await ledger.triggers.receive('removed', 2)
  await world.clock.advance('20s')
  expect(await payloadsOf(ledger, 'removed')).toEqual([[2]])
})

scenario([65, 15], 'the job of a window into which a person has posted is one of a person', async (world) => {
  const ledger = await world.open()
  await ledger.triggers.add({ ...HOOK, debounce: '10s' })
  await ledger.triggers.receive('hook', 1)
  await ledger.triggers.receive('hook', 2, { manual: true })
  await world.clock.advance('10s')
  const [job] = await ledger.triggers.jobs('hook')
  expect(await ledger.status(job?.id as string)).toMatchObject({ manual: true, debounced: true, payload: [1, 2] })
})
