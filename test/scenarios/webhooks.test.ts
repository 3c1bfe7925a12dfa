/** Triggers that are posted to. */
import { expect } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../runtime/work/run/definition.js'
import { rejection } from '../engine/support.js'
import { code } from './remote.js'
import { scenario } from './scenario.js'
import { noted, storyOf, tick } from './trigger-acts.js'

scenario([63, '002.31'], 'what is posted is the payload of its job', async (world) => {
  const { job, notes } = noted()
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  await ledger.triggers.add({ id: 'hook', kind: 'webhook', job })
  const at = world.clock.now()
  const fired = await ledger.triggers.receive('hook', { action: 'push', commits: [1, 2] })
  expect(fired).toEqual({ outcome: 'fired', jobId: expect.any(String) })
  await ledger.result(fired.jobId as string)
  expect(notes).toEqual([
    { payload: { action: 'push', commits: [1, 2] }, trigger: { id: 'hook', occurrence: at }, manual: false },
  ])
  expect(await ledger.triggers.jobs('hook')).toMatchObject([{ id: fired.jobId, state: 'succeeded' }])
})

scenario([63], 'an empty post leaves it to the trigger, which may have no payload either', async (world) => {
  const { job, notes } = noted()
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  await ledger.triggers.add({ id: 'own', kind: 'webhook', job, payload: 'its own' })
  await ledger.triggers.add({ id: 'none', kind: 'webhook', job })
  for (const [id, posted] of [
    ['own', undefined],
    ['own', 'posted'],
    ['own', null],
    ['none', undefined],
  ] as const) {
    const { jobId } = await ledger.triggers.receive(id, posted)
    await ledger.result(jobId as string)
  }
  expect(notes.map(({ payload }) => payload)).toEqual(['its own', 'posted', null, null])
})

scenario([63, 15, '002.31'], 'a post of a person goes to the lane of such jobs', async (world) => {
  const ledger = await world.open()
  await ledger.triggers.add({ id: 'hook', kind: 'webhook', job: tick })
  const plain = await ledger.triggers.receive('hook', 1)
  const manual = await ledger.triggers.receive('hook', 2, { manual: true })
  expect(await ledger.status(plain.jobId as string)).not.toHaveProperty('manual')
  expect(await ledger.status(manual.jobId as string)).toMatchObject({ manual: true, payload: 2 })
  expect(await ledger.triggers.state('hook')).toMatchObject({ lastManual: { jobId: manual.jobId } })
})

scenario([63, '002.31'], 'only a webhook that is there and is not paused can be posted to', async (world) => {
  const { triggers } = await world.open()
  await triggers.add({ id: 'cron', kind: 'cron', when: '@daily', job: tick, payload: null })
  await triggers.add({ id: 'client', kind: 'client', job: tick, payload: null })
  await triggers.add({ id: 'hook', kind: 'webhook', job: tick })
  for (const kind of ['cron', 'client'])
    expect(await rejection(triggers.receive(kind, 1))).toMatchObject({
      code: 'TRIGGER_KIND_MISMATCH',
      triggerId: kind,
      kind,
    })
  expect(await code(triggers.receive('nobody', 1))).toBe('TRIGGER_UNKNOWN')
  await triggers.pause('hook')
  expect(await rejection(triggers.receive('hook', 1))).toMatchObject({ code: 'TRIGGER_NOT_ACTIVE', triggerId: 'hook' })
  await triggers.resume('hook')
  expect(await triggers.receive('hook', 1)).toMatchObject({ outcome: 'fired' })
  await triggers.remove('hook')
  expect(await code(triggers.receive('hook', 1))).toBe('TRIGGER_UNKNOWN')
  for (const id of ['cron', 'client']) expect(await storyOf(world, id)).toHaveLength(1)
})

scenario([63, 68], 'a post that is refused makes no job and says why', async (world) => {
  const push = defineJob({
    type: 'push',
    schema: z.object({ action: z.string() }),
    rateLimit: { limit: 30, per: '1h' },
    handle: () => {},
  })
  const ledger = await world.open({ jobs: [push] })
  const { triggers } = ledger
  await triggers.add({ id: 'hook', kind: 'webhook', job: push })
  for (const [posted, option] of [
    [{ action: 5 }, 'triggers.receive.payload.action'],
    [{ action: 'x', more: 1n }, 'triggers.receive.payload'],
    [() => {}, 'triggers.receive.payload'],
  ] as const)
    expect(await rejection(triggers.receive('hook', posted))).toMatchObject({ code: 'INVALID_PAYLOAD', option })
  for (let n = 0; n < 30; n += 1) await triggers.receive('hook', { action: `${n}` })
  expect(await rejection(triggers.receive('hook', { action: 'x' }))).toMatchObject({
    code: 'RATE_LIMITED',
    reason: 'reached',
  })
  expect(await rejection(triggers.receive('hook', { action: 'x' }))).toMatchObject({
    code: 'RATE_LIMITED',
    reason: 'exceeded',
  })
  expect(await triggers.jobs('hook')).toHaveLength(30)
  expect(await triggers.state('hook')).toMatchObject({ fired: 30, missed: 0 })
  await world.clock.advance('1h')
  expect(await triggers.receive('hook', { action: 'x' })).toMatchObject({ outcome: 'fired' })
})
