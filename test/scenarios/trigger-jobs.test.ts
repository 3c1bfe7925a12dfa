/** The jobs of triggers: what is said of them, and why there is none. */
import { expect } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../runtime/work/run/definition.js'
import { rejection } from '../engine/support.js'
import { standing } from './acts.js'
import { code } from './remote.js'
import { scenario } from './scenario.js'
import { firings, misses, tick, toldOf } from './trigger-acts.js'

const MINUTELY = { kind: 'every', when: '1m', payload: null } as const
const EXPECTED = ['01-01 00:01:00', '01-01 00:02:00', '01-01 00:03:00']

scenario([66, 5, 14], 'they are enqueued with the options of their trigger', async (world) => {
  const ledger = await world.open()
  const place = { queue: 'slow', channel: 'acme', name: 'brief', priority: 'high', delay: '30s' } as const
  const options = { ...place, maxAttempts: 3, user: 'ada', concurrencyKey: 'k', retain: '1d' } as const
  await ledger.triggers.add({ ...MINUTELY, id: 'every', job: tick, options })
  await world.clock.advance('1m')
  const [job] = await ledger.triggers.jobs('every')
  expect(await ledger.status(job?.id as string)).toMatchObject({
    ...{ state: 'scheduled', queue: 'slow', channel: 'acme', name: 'brief', priority: -1, maxAttempts: 3, user: 'ada' },
    ...{ runAt: world.clock.now() + 30_000, concurrency: { key: 'k' } },
  })
  await ledger.triggers.update('every', { options: { held: true } })
  await world.clock.advance('1m')
  expect(await ledger.triggers.jobs('every')).toMatchObject([{ state: 'held', queue: 'default' }, { state: 'ready' }])
})

scenario([66], 'with a unique key there is no second job while the last one has not ended', async (world) => {
  const runs = standing()
  const ledger = await world.open({ jobs: [runs.job] })
  await ledger.start()
  await ledger.triggers.add({ ...MINUTELY, id: 'every', job: runs.job, options: { unique: { key: 'one' } } })
  await world.clock.advance('150s')
  const [job, ...more] = await ledger.triggers.jobs('every')
  expect(more).toEqual([])
  expect(await toldOf(world, 'every', 'TriggerMissed')).toMatchObject([{ reason: 'duplicate', jobId: job?.id }])
  expect(await ledger.triggers.state('every')).toMatchObject({ fired: 1, missed: 1, lastMissed: 'duplicate' })
  expect(await rejection(ledger.triggers.fire('every'))).toMatchObject({ code: 'FIRING_MISSED', reason: 'duplicate' })
  runs.finish(0)
  await ledger.result(job?.id as string)
  await world.clock.advance('1m')
  expect(await firings(world, 'every')).toEqual(['01-01 00:01:00', '01-01 00:03:00'])
})

scenario([66, 68], 'where a limit refuses it the occurrence is missed, and the trigger goes on', async (world) => {
  const mail = defineJob<unknown, unknown>({ type: 'mail', rateLimit: { limit: 2, per: '5m' } })
  const ledger = await world.open({ jobs: [mail] })
  await ledger.triggers.add({ ...MINUTELY, id: 'every', job: mail })
  await world.clock.advance('7m')
  const at = (minute: number): string => `01-01 00:0${minute}:00`
  expect(await firings(world, 'every')).toEqual([1, 2, 5, 6].map(at))
  expect(await misses(world, 'every')).toEqual([3, 4, 7].map((minute) => [at(minute), 1, 'rate-limited']))
  expect(await ledger.triggers.jobs('every')).toHaveLength(4)
  expect(await ledger.triggers.get('every')).toMatchObject({ nextAt: Date.UTC(2026, 0, 1, 0, 8) })
})

scenario([66, 47], 'a type that wants none, or throws, has its say each time', async (world) => {
  let answer: boolean | Error = false
  const asked = defineJob<unknown, unknown>({
    type: 'asked',
    before() {
      if (answer instanceof Error) throw answer
      return answer
    },
  })
  const ledger = await world.open({ jobs: [asked] })
  await ledger.triggers.add({ ...MINUTELY, id: 'every', job: asked })
  await world.clock.advance('1m')
  expect(await rejection(ledger.triggers.fire('every'))).toMatchObject({ code: 'FIRING_MISSED', reason: 'skipped' })
  answer = new Error('not today')
  await world.clock.advance('1m')
  expect(await code(ledger.triggers.fire('every'))).toBe('ENQUEUE_REFUSED')
  answer = true
  await world.clock.advance('1m')
  expect(await firings(world, 'every')).toEqual(['01-01 00:03:00'])
  const told = await toldOf(world, 'every', 'TriggerMissed')
  expect(told.filter(({ by }) => by === 'time')).toMatchObject([
    { reason: 'skipped', occurrence: Date.UTC(2026, 0, 1, 0, 1) },
    { reason: 'refused', occurrence: Date.UTC(2026, 0, 1, 0, 2), error: 'EnqueueRefused' },
  ])
})

scenario([66, 46], 'a process that does not know the type makes its jobs as the type says', async (world) => {
  const known = defineJob<unknown, unknown>({
    ...{ type: 'known', queue: 'own', priority: 'low', maxAttempts: 7, timeout: '3m', version: 2 },
    rateLimit: { limit: 3, per: '1h' },
  })
  const first = await world.open({ jobs: [known] })
  await first.triggers.add({ ...MINUTELY, id: 'every', job: known })
  await world.close(first)
  for (const strict of [false, true]) {
    const ignorant = await world.open({ strict })
    await world.clock.advance('1m')
    const [job] = await ignorant.triggers.jobs('every')
    expect(job).toMatchObject({ type: 'known', queue: 'own', priority: 1, maxAttempts: 7 })
    await world.close(ignorant)
  }
  expect(await firings(world, 'every')).toEqual(EXPECTED.slice(0, 2))
})

scenario([66, 69], 'a reserved type is for those with its role, and for time', async (world) => {
  const reserved = defineJob<unknown, unknown>({ type: 'reserved', requiredRole: 'admin' })
  const ledger = await world.open({ jobs: [reserved] })
  const [user, admin] = [ledger.as({ user: 'ann' }), ledger.as({ user: 'bob', roles: ['admin'] })]
  const trigger = { ...MINUTELY, id: 'every', job: reserved }
  expect(await code(user.triggers.add(trigger))).toBe('ROLE_REQUIRED')
  expect(await ledger.triggers.list()).toEqual([])
  await admin.triggers.add(trigger)
  expect(await code(user.triggers.fire('every'))).toBe('ROLE_REQUIRED')
  expect(await code(user.triggers.update('every', { payload: 1 }))).toBe('ROLE_REQUIRED')
  expect((await admin.triggers.fire('every')).jobId).toBeTypeOf('string')
  await world.clock.advance('1m')
  expect(await ledger.triggers.jobs('every')).toHaveLength(2)
})

scenario([66, 1], 'the payload is checked when it is given, as an enqueue would', async (world) => {
  const mail = defineJob({ type: 'mail', schema: z.object({ to: z.string() }), handle: () => {} })
  const ledger = await world.open({ jobs: [mail] })
  const { triggers } = ledger
  const trigger = { id: 'mail', kind: 'every', when: '1m', job: mail, payload: { to: 'ann' } } as const
  const wrong = { to: 5 } as never
  const refused = (verb: string): object => ({ code: 'INVALID_PAYLOAD', option: `triggers.${verb}.payload.to` })
  expect(await rejection(triggers.add({ ...trigger, payload: wrong }))).toMatchObject(refused('add'))
  expect(await triggers.list()).toEqual([])
  await triggers.add(trigger)
  expect(await rejection(triggers.update('mail', { payload: wrong }))).toMatchObject(refused('update'))
  expect(await rejection(triggers.fire('mail', { payload: wrong }))).toMatchObject(refused('fire'))
  expect(await triggers.get('mail')).toMatchObject({ payload: { to: 'ann' } })
})
