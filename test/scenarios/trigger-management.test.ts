/** Triggers looked at, changed, stopped and taken away. */
import { expect } from 'vitest'
import { defineJob } from '../../runtime/work/run/definition.js'
import { rejection } from '../engine/support.js'
import { scenario } from './scenario.js'
import { firings, kindsOf, misses, shown, storyOf, tick, toldOf } from './trigger-acts.js'

const TENS = { id: 'tens', kind: 'cron', when: '*/10 * * * *', job: tick, payload: { n: 1 } } as const

scenario([66, '002.35'], 'a trigger is shown as it was added', async (world) => {
  const ledger = await world.open()
  const addedAt = world.clock.now()
  const added = await ledger.triggers.add({
    ...{ ...TENS, timezone: 'Europe/Paris', misfire: 'all', debounce: { window: '5s', combine: 'first' } },
    options: { queue: 'reports', channel: 'acme', priority: 'low', name: 'report in brief' },
  })
  expect(added).toEqual({ id: 'tens', outcome: 'created' })
  expect(await ledger.triggers.get('tens')).toEqual({
    ...{ id: 'tens', status: 'active', kind: 'cron', when: '*/10 * * * *', timezone: 'Europe/Paris' },
    ...{ type: 'tick', queue: 'reports', channel: 'acme', misfire: 'all' },
    options: { queue: 'reports', channel: 'acme', priority: 'low', name: 'report in brief' },
    debounce: { windowMs: 5_000, combine: 'first' },
    ...{ nextAt: addedAt + 600_000, addedAt, updatedAt: addedAt, payload: { n: 1 } },
  })
  const other = await ledger.triggers.add({ kind: 'in', when: '5m', job: tick, payload: null })
  expect(other.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/)
  expect(await ledger.triggers.get(other.id)).toMatchObject({
    ...{
      kind: 'in',
      when: '2026-01-01T00:05:00.000Z',
      lateMs: 86_400_000,
      queue: 'default',
      channel: '',
      payload: null,
    },
  })
})

scenario([66, '002.35'], 'added again as it is it stays; otherwise the new one takes its place', async (world) => {
  const [ledger, other] = [await world.open(), await world.open()]
  const outcome = async (more: object = {}, by = ledger): Promise<string> =>
    (await by.triggers.add({ ...TENS, ...more })).outcome
  expect(await outcome()).toBe('created')
  expect(await outcome()).toBe('unchanged')
  expect(await outcome({}, other)).toBe('unchanged')
  expect(await outcome({ payload: { n: 2 } })).toBe('updated')
  expect(await outcome({ payload: { n: 2 }, when: '5-59/10 * * * *' }, other)).toBe('updated')
  expect(await ledger.triggers.get('tens')).toMatchObject({ when: '5-59/10 * * * *', payload: { n: 2 } })
  expect(await outcome({ payload: { n: 2 }, when: '5-59/10 * * * *', options: { channel: 'a' } })).toBe('updated')
  expect(await outcome()).toBe('updated')
  await ledger.triggers.remove('tens')
  expect(await outcome()).toBe('created')
  const settled = await Promise.all(
    Array.from({ length: 6 }, (_, n) => outcome({ id: 'race' }, n % 2 ? ledger : other)),
  )
  expect(settled.sort()).toEqual(['created', ...Array.from({ length: 5 }, () => 'unchanged')])
})

scenario([66, '001.26', '002.35'], 'lists are in order of age, and by kind, type, channel and state', async (world) => {
  const ledger = await world.open()
  const tock = defineJob<unknown, unknown>({ type: 'tock' })
  const { triggers } = ledger
  const base = { job: tick, payload: null } as const
  await triggers.add({ ...base, id: 'z', kind: 'cron', when: '@daily', options: { channel: 'acme' } })
  await world.clock.advance('1s')
  await triggers.add({ ...base, id: 'y', kind: 'every', when: '1h', job: tock })
  await world.clock.advance('1s')
  await triggers.add({ ...base, id: 'x', kind: 'webhook', options: { channel: 'acme' } })
  await triggers.pause('y')
  const ids = async (filter?: Parameters<typeof triggers.list>[0]): Promise<string[]> =>
    (await triggers.list(filter)).map(({ id }) => id)
  expect(await ids()).toEqual(['z', 'y', 'x'])
  expect(await ids({ kind: 'cron' })).toEqual(['z'])
  expect(await ids({ kind: ['cron', 'every'] })).toEqual(['z', 'y'])
  expect(await ids({ type: 'tick' })).toEqual(['z', 'x'])
  expect(await ids({ type: ['tick', 'tock'], kind: 'every' })).toEqual(['y'])
  expect(await ids({ channel: 'acme' })).toEqual(['z', 'x'])
  expect(await ids({ channel: '' })).toEqual(['y'])
  expect(await ids({ status: 'active' })).toEqual(['z', 'x'])
  expect(await ids({ status: 'paused' })).toEqual(['y'])
  expect(await ids({ type: 'none' })).toEqual([])
  await triggers.remove('z')
  expect(await (await world.open()).triggers.list()).toMatchObject([{ id: 'y' }, { id: 'x' }])
})

scenario([66], 'paused it waits for somebody to resume it, in every process and over restarts', async (world) => {
  const [ledger, other] = [await world.open(), await world.open()]
  await ledger.triggers.add({ ...TENS, when: '* * * * *' })
  await ledger.as({ user: 'ada' }).triggers.pause('tens', { reason: 'too loud' })
  await other.triggers.pause('tens', { reason: 'again' })
  const pausedAt = world.clock.now()
  expect(await other.triggers.get('tens')).toMatchObject({ status: 'paused', pausedAt, pauseReason: 'too loud' })
  await world.clock.advance('5m')
  await world.close(ledger)
  await world.close(other)
  const third = await world.open()
  await world.clock.advance('90s')
  expect(await firings(world, 'tens')).toEqual([])
  expect(await third.triggers.state('tens')).toMatchObject({ next: [] })
  await third.triggers.resume('tens')
  await third.triggers.resume('tens')
  const { nextAt } = await third.triggers.get('tens')
  await world.clock.advance('1m')
  expect(await firings(world, 'tens')).toEqual([shown(nextAt as number)])
  expect(await misses(world, 'tens')).toEqual([])
  expect(kindsOf(await storyOf(world, 'tens'))).toEqual([
    'TriggerAdded',
    'TriggerPaused',
    'TriggerResumed',
    'TriggerFired',
  ])
})

scenario([66], 'removed it fires no more; its jobs stay, and can be found', async (world) => {
  const ledger = await world.open()
  await ledger.triggers.add(TENS)
  await world.clock.advance('11m')
  await ledger.as({ user: 'ada' }).triggers.remove('tens')
  await world.clock.advance('20m')
  expect(await firings(world, 'tens')).toHaveLength(1)
  expect(await ledger.triggers.jobs('tens')).toMatchObject([{ state: 'ready' }])
  expect(await toldOf(world, 'tens', 'TriggerRemoved')).toEqual([{ by: 'operator' }])
  expect((await storyOf(world, 'tens')).at(-1)?.metadata).toMatchObject({ actor: 'ada' })
})

scenario([66, '002.37'], 'what nobody has added, or somebody has removed, is unknown to every verb', async (world) => {
  const ledger = await world.open()
  const { triggers } = ledger
  const workerId = await ledger.workers.register()
  await triggers.add({ ...TENS, id: 'removed' })
  await triggers.remove('removed')
  for (const id of ['removed', 'never']) {
    for (const verb of [
      () => triggers.get(id),
      () => triggers.update(id, { payload: 1 }),
      () => triggers.pause(id),
      () => triggers.resume(id),
      () => triggers.remove(id),
      () => triggers.fire(id),
      () => triggers.receive(id, 1),
      () => triggers.launch(id, { workerId }),
      () => triggers.next(id),
      () => triggers.state(id),
    ]) {
      const error = await rejection(verb())
      expect(error, String(verb)).toMatchObject({ code: 'TRIGGER_UNKNOWN', family: 'trigger', triggerId: id })
    }
    expect(await triggers.jobs(id)).toEqual([])
  }
})
