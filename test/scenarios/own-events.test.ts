/** Triggers that fire for what becomes of the ledger's own jobs. */
import { expect } from 'vitest'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { World } from '../engine/support.js'
import { work } from './ends.js'
import { scenario } from './scenario.js'
import { misses, noted, tick, toldOf } from './trigger-acts.js'

const DONE = 'job/work:UPDATED:succeeded:state'

scenario([62, 72], 'the end of a job is an event that makes another one', async (world) => {
  const { job, notes } = noted('after')
  const ledger = await world.open({ jobs: [work, job] as readonly JobDefinition[] })
  await ledger.start()
  await ledger.triggers.add({ id: 'done', kind: 'event', when: DONE, job, payload: 'done' })
  await ledger.triggers.add({
    id: 'failed',
    kind: 'event',
    when: 'job/work:UPDATED:failed:state',
    job,
    payload: 'failed',
  })
  await ledger.triggers.add({ id: 'new', kind: 'event', when: 'job/work:CREATED', job, payload: 'new' })
  await ledger.enqueue(work, 'fine', { id: 'a', channel: 'acme', name: 'first' })
  await world.clock.advance('5s')
  const document = { id: 'a', type: 'work', queue: 'default', channel: 'acme', priority: 0, name: 'first' }
  expect(notes).toEqual([
    { payload: 'new', manual: false, trigger: expect.objectContaining({ id: 'new' }) },
    { payload: 'done', manual: false, trigger: expect.objectContaining({ id: 'done' }) },
  ])
  const [created, done] = notes.map(({ trigger }) => trigger?.event)
  expect(created).toEqual({
    type: 'job/work',
    verb: 'CREATED',
    id: 'a',
    document: { ...document, run: 0, attempt: 0, state: 'waiting' },
  })
  expect(done).toMatchObject({
    ...{ type: 'job/work', verb: 'UPDATED', id: 'a' },
    document: { ...document, run: 1, state: 'succeeded' },
    old: { state: 'running' },
  })
  await ledger.enqueue(work, 'failed', { id: 'b' })
  await world.clock.advance('5s')
  expect(notes.slice(2)).toMatchObject([
    { payload: 'new' },
    { payload: 'failed', trigger: { event: { document: { id: 'b', state: 'failed', error: 'Error' } } } },
  ])
})

scenario([62], 'a rule for all that begins alike, and one for each change of state', async (world) => {
  const ledger = await world.open({ jobs: [work] as readonly JobDefinition[] })
  await ledger.triggers.add({ id: 'all', kind: 'event', when: 'job/wo*', job: tick, payload: null })
  await ledger.triggers.add({
    id: 'states',
    kind: 'event',
    when: 'job/work:UPDATED:!=:state',
    job: tick,
    payload: null,
  })
  await ledger.triggers.add({ id: 'any', kind: 'event', when: '*', job: tick, payload: null })
  await ledger.triggers.add({ id: 'id', kind: 'event', when: 'job/work:UPDATED:a', job: tick, payload: null })
  await ledger.start()
  for (const id of ['a', 'b']) await ledger.enqueue(work, 'fine', { id })
  await world.clock.advance('5s')
  expect(await ledger.triggers.jobs('all')).toHaveLength(6)
  // Whatever is published, that is: not what the ledger does itself.
  expect(await ledger.triggers.jobs('any')).toEqual([])
  expect(await ledger.triggers.jobs('states')).toHaveLength(4)
  expect(await ledger.triggers.jobs('id')).toHaveLength(2)
})

scenario([62, 59], 'two processes that see the same end make one job of it', async (world) => {
  const ledgers = [
    await world.open({ jobs: [work] as readonly JobDefinition[] }),
    await world.open(),
    await world.open(),
  ] as const
  const [ledger] = ledgers
  await ledger.triggers.add({ id: 'done', kind: 'event', when: DONE, job: tick, payload: null })
  await ledger.start()
  for (let n = 0; n < 20; n += 1) await ledger.enqueue(work, 'fine', { id: `w${n}` })
  await world.clock.advance('30s')
  expect(await ledger.triggers.jobs('done')).toHaveLength(20)
  const sources = (await toldOf(world, 'done', 'TriggerFired')).map(({ source }) => source)
  expect(new Set(sources).size).toBe(20)
  expect(await misses(world, 'done')).toEqual([])
})

scenario([62, 59, '002.30'], 'what a process has left unanswered is answered by the next one, once', async (world) => {
  const first = await world.open({ jobs: [work] as readonly JobDefinition[], scheduler: false })
  await first.start()
  await first.triggers.add({ id: 'done', kind: 'event', when: DONE, job: tick, payload: null })
  await first.enqueue(work, 'fine', { id: 'a' })
  await first.result('a')
  await world.clock.advance('10s')
  expect(await first.triggers.jobs('done')).toEqual([])
  await world.close(first)
  const second = await world.open()
  await world.clock.advance('10s')
  expect(await second.triggers.jobs('done')).toHaveLength(1)
  await world.close(second)
  const third = await world.open()
  await world.clock.advance('10s')
  expect(await third.triggers.jobs('done')).toHaveLength(1)
})

scenario(
  [62],
  'what was over before the trigger was there, or while it was paused, is none of its business',
  async (world) => {
    const ledger = await world.open({ jobs: [work] as readonly JobDefinition[] })
    await ledger.start()
    const runs = async (id: string): Promise<void> => {
      await ledger.enqueue(work, 'fine', { id })
      await ledger.result(id)
      await world.clock.advance('2s')
    }
    await runs('before')
    await ledger.triggers.add({ id: 'done', kind: 'event', when: DONE, job: tick, payload: null })
    await world.clock.advance('2s')
    await ledger.triggers.pause('done')
    await runs('meanwhile')
    await ledger.triggers.resume('done')
    await world.clock.advance('2s')
    expect(await ledger.triggers.jobs('done')).toEqual([])
    await runs('after')
    expect(await ledger.triggers.jobs('done')).toHaveLength(1)
  },
)

const stopped = (world: World): object[] =>
  world.log
    .filter(({ message }) => message.startsWith('trigger not fired'))
    .map(({ level, facts }) => ({ level, ...facts }))

scenario([62], 'a trigger does not fire for what its own job does', async (world) => {
  const ledger = await world.open({ jobs: [work] as readonly JobDefinition[] })
  await ledger.start()
  await ledger.triggers.add({ id: 'again', kind: 'event', when: DONE, job: work, payload: 'fine' })
  await ledger.enqueue(work, 'fine')
  await world.clock.advance('10s')
  expect(await ledger.triggers.jobs('again')).toHaveLength(1)
  expect(await toldOf(world, 'again', 'TriggerMissed')).toMatchObject([{ reason: 'loop', chain: ['again'] }])
  expect(await ledger.triggers.state('again')).toMatchObject({ fired: 1, missed: 1, lastMissed: 'loop' })
  expect(stopped(world)).toMatchObject([{ level: 'warn', triggerId: 'again', chain: ['again'] }])
})

scenario([62], 'nor for what the jobs do that its own job has enqueued', async (world) => {
  const child = defineJob<unknown, unknown>({ type: 'child', handle: () => {} })
  const parent = defineJob<unknown, unknown>({
    type: 'parent',
    handle: async (_, ctx) => void (await ctx.ledger.enqueue(child, null)),
  })
  const ledger = await world.open({ jobs: [parent, child] })
  await ledger.start()
  const when = 'job/child:UPDATED:succeeded:state'
  await ledger.triggers.add({ id: 'own', kind: 'event', when, job: parent, payload: null })
  await ledger.enqueue(child, null)
  await world.clock.advance('10s')
  expect(await ledger.triggers.jobs('own')).toHaveLength(1)
  expect(await misses(world, 'own')).toEqual([['01-01 00:00:00', 1, 'loop']])
})

scenario([62], 'nor do two go round in a circle, through jobs or through what these publish', async (world) => {
  const ping = defineJob<unknown, unknown>({ type: 'ping', handle: () => {} })
  const pong = defineJob<unknown, unknown>({
    type: 'pong',
    handle: async () => ledger.publish({ type: 'balls', verb: 'CREATED' }),
  })
  const ledger = await world.open({ jobs: [ping, pong] })
  await ledger.start()
  await ledger.triggers.add({
    id: 'to pong',
    kind: 'event',
    when: 'job/ping:UPDATED:succeeded:state',
    job: pong,
    payload: 0,
  })
  await ledger.triggers.add({ id: 'to ping', kind: 'event', when: 'balls', job: ping, payload: 0 })
  await ledger.enqueue(ping, 0, { id: 'a' })
  await world.clock.advance('20s')
  expect(await ledger.triggers.jobs('to pong')).toHaveLength(1)
  expect(await ledger.triggers.jobs('to ping')).toHaveLength(1)
  expect(await toldOf(world, 'to pong', 'TriggerMissed')).toMatchObject([
    { reason: 'loop', chain: ['to pong', 'to ping'] },
  ])
  // Another job is another course.
  await ledger.enqueue(ping, 0, { id: 'b' })
  await world.clock.advance('20s')
  expect(await ledger.triggers.jobs('to pong')).toHaveLength(2)
  expect(stopped(world)).toHaveLength(2)
})

scenario([62], 'who publishes what would set off itself is told so', async (world) => {
  const told: unknown[] = []
  const echoing = defineJob<unknown, unknown>({
    type: 'echoing',
    handle: async () => void told.push(...(await ledger.publish({ type: 'sounds', verb: 'CREATED' }))),
  })
  const ledger = await world.open({ jobs: [echoing] })
  await ledger.start()
  await ledger.triggers.add({ id: 'echo', kind: 'event', when: 'sounds', job: echoing, payload: 0 })
  const [fired] = await ledger.publish({ type: 'sounds', verb: 'CREATED' })
  await ledger.result(fired?.jobId as string)
  expect(told).toEqual([{ triggerId: 'echo', outcome: 'missed', reason: 'loop' }])
})

scenario([62], 'a dead letter that is sent round again has not failed again', async (world) => {
  const ledger = await world.open({ jobs: [work] as readonly JobDefinition[] })
  await ledger.start()
  const when = 'job/work:UPDATED:failed:state'
  await ledger.triggers.add({ id: 'alarm', kind: 'event', when, job: tick, payload: null })
  await ledger.enqueue(work, 'failed', { id: 'a' })
  await world.clock.advance('5s')
  expect(await ledger.triggers.jobs('alarm')).toHaveLength(1)
  await ledger.retry('a')
  await world.clock.advance('5s')
  // The second round has failed, too.
  expect(await ledger.triggers.jobs('alarm')).toHaveLength(2)
})
