/** What users give to triggers: where it goes, and that it is gone when it is not needed. */
import { expect } from 'vitest'
import { z } from 'zod'
import type { Json } from '../../domain/event.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { World } from '../engine/support.js'
import { scenario } from './scenario.js'
import { tick } from './trigger-acts.js'

const hook = { id: 'hook', kind: 'webhook', job: tick } as const

/** Contents of the bodies that a stream still has. */
async function contents(world: World, stream: string): Promise<Json[]> {
  const found: Json[] = []
  const store = await world.store()
  for await (const page of store.readStream(stream, { bodies: true }))
    for (const { body } of page) if (body !== undefined && 'content' in body) found.push(JSON.parse(`${body.content}`))
  return found
}

scenario(
  [65, 'C14'],
  'what a window has collected lies in its job only, and can be erased with that',
  async (world) => {
    const ledger = await world.open()
    await ledger.triggers.add({ ...hook, debounce: '10s' })
    for (const n of [1, 2, 3]) await ledger.triggers.receive('hook', { secret: n })
    expect(await contents(world, 'trigger-hook')).toEqual([{ secret: 1 }, { secret: 2 }, { secret: 3 }])
    await world.clock.advance('20s')
    const [job] = await ledger.triggers.jobs('hook')
    expect((await ledger.status(job?.id as string)).payload).toEqual([{ secret: 1 }, { secret: 2 }, { secret: 3 }])
    expect(await contents(world, 'trigger-hook')).toEqual([])
  },
)

scenario(
  [66],
  'a payload goes when another takes its place, or its trigger goes, and with that what a window has collected',
  async (world) => {
    const ledger = await world.open()
    await ledger.triggers.add({ ...hook, payload: 'own', debounce: { window: '10s', combine: 'first' } })
    await ledger.triggers.receive('hook', 'first')
    await ledger.triggers.update('hook', { payload: 'other' })
    expect(await contents(world, 'trigger-hook')).toEqual(['first', 'other'])
    await ledger.triggers.remove('hook')
    expect(await contents(world, 'trigger-hook')).toEqual([])
    const at = world.clock.now() + 1_000
    const once = { id: 'once', kind: 'at', when: at, job: tick, payload: 'once' } as const
    await ledger.triggers.add(once)
    await world.clock.advance('2s')
    expect(await contents(world, 'trigger-once')).toEqual([])
    expect(await ledger.triggers.add(once)).toMatchObject({ outcome: 'unchanged' })
  },
)

scenario([62], 'an event that replaces what waits gives the payload alone to the handler', async (world) => {
  const notes: unknown[] = []
  const schema = z.object({ p: z.number() })
  const job = defineJob({ type: 'noted', schema, handle: (payload) => void notes.push(payload) })
  const ledger = await world.open({ jobs: [job] })
  const options = { unique: { key: 'k', onDuplicate: 'replace' } } as const
  await ledger.triggers.add({ id: 'e', kind: 'event', when: 'orders', job, payload: { p: 1 }, options })
  await ledger.enqueue(job, { p: 0 }, options)
  const [first] = await ledger.publish({ type: 'orders', verb: 'CREATED', document: { d: 1 } })
  expect((await ledger.status(first?.jobId as string)).payload).toEqual({ p: 1 })
  await ledger.start()
  await ledger.result(first?.jobId as string)
  expect(notes).toEqual([{ p: 1 }])
})

scenario([59], 'the job of a key that was removed from the log is not made again', async (world) => {
  const job = defineJob({ type: 'tick', handle: () => null })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  await ledger.triggers.add({ id: 'e', kind: 'event', when: 'orders', job, payload: 1 })
  const event = { type: 'orders', verb: 'CREATED', key: 'k' }
  const [fired] = await ledger.publish(event)
  await ledger.result(fired?.jobId as string)
  await ledger.remove(fired?.jobId as string)
  expect(await ledger.publish(event)).toEqual([{ triggerId: 'e', outcome: 'missed', reason: 'duplicate' }])
  expect(await ledger.triggers.jobs('e')).toEqual([])
})
