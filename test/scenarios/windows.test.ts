/** Windows that are asked for much, or for what they cannot take. */
import { expect } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../runtime/work/run/definition.js'
import { rejection } from '../engine/support.js'
import { scenario } from './scenario.js'
import { tick, toldOf } from './trigger-acts.js'

scenario([65, 'C14'], 'a window closes when its time is up, however many keep coming', async (world) => {
  const ledger = await world.open()
  await ledger.triggers.add({ id: 'hook', kind: 'webhook', job: tick, debounce: '1s' })
  for (let n = 0; n < 400; n += 1) {
    await Promise.all([ledger.triggers.receive('hook', n), ledger.triggers.receive('hook', -n)])
    await world.clock.advance('25ms')
  }
  await world.clock.advance('5s')
  const fired = await toldOf(world, 'hook', 'TriggerFired')
  const collected = fired.map((facts) => (facts as { collected: number }).collected)
  expect(collected.reduce((all, count) => all + count, 0)).toBe(800)
  // 10 seconds of it.
  expect(fired.length).toBeGreaterThanOrEqual(9)
  expect(Math.max(...collected)).toBeLessThanOrEqual(90)
})

scenario([65], 'whoever posts when the time of a window is up opens the next one', async (world) => {
  const ledger = await world.open({ scheduler: false })
  await ledger.triggers.add({ id: 'hook', kind: 'webhook', job: tick, debounce: '1s' })
  await ledger.triggers.receive('hook', 1)
  await world.clock.advance('5s')
  await ledger.triggers.receive('hook', 2)
  const [job] = await ledger.triggers.jobs('hook')
  expect((await ledger.status(job?.id as string)).payload).toEqual([1])
  expect((await ledger.triggers.get('hook')).window).toMatchObject({ count: 1 })
})

scenario([65], 'the schema of a type sees the list that its job is given', async (world) => {
  const job = defineJob({ type: 'list', schema: z.array(z.object({ n: z.number() })), handle: (all) => all.length })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  await ledger.triggers.add({ id: 'hook', kind: 'webhook', job, debounce: '1s' })
  expect(await rejection(ledger.triggers.receive('hook', { n: 'one' }))).toMatchObject({ code: 'INVALID_PAYLOAD' })
  for (const n of [1, 2]) await ledger.triggers.receive('hook', { n })
  await world.clock.advance('3s')
  const [made] = await ledger.triggers.jobs('hook')
  expect(await ledger.result(made?.id as string)).toBe(2)
})

scenario([65], 'a window that is full is no fault of who publishes', async (world) => {
  const ledger = await world.open({ maxPayloadBytes: 300 })
  const debounce = { window: '1m', combine: 'append' } as const
  await ledger.triggers.add({ id: 'full', kind: 'event', when: 'orders', job: tick, payload: 1, debounce })
  await ledger.triggers.add({ id: 'plain', kind: 'event', when: 'orders', job: tick, payload: 1 })
  const event = { type: 'orders', verb: 'CREATED', document: 'x'.repeat(120) }
  expect(await ledger.publish(event)).toMatchObject([{ outcome: 'debounced' }, { outcome: 'fired' }])
  expect(await ledger.publish(event)).toMatchObject([
    { triggerId: 'full', outcome: 'missed', reason: 'full' },
    { triggerId: 'plain', outcome: 'fired' },
  ])
})
