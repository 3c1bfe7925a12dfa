/** What those who run a job learn of the trigger that made it, and what is handed on to the jobs that come of it. */
import { expect } from 'vitest'
import type { JobContext } from '../../runtime/work/run/context.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { factsOf, type World } from '../engine/support.js'
import { fire } from './fired.js'
import { take } from './remote.js'
import { scenario } from './scenario.js'

const NIGHTLY = { id: 'nightly', occurrence: 5 }
const ON_ORDER = { id: 'on-order', occurrence: 7, event: true } as const

/** Jobs that say what they were told. */
function telling(seen: unknown[]) {
  return defineJob({
    type: 'fired',
    handle: (payload: unknown, { trigger, triggers }: JobContext) => void seen.push({ payload, trigger, triggers }),
  })
}

async function put(world: World, ...jobs: readonly Omit<Parameters<typeof fire>[1], 'at'>[]): Promise<void> {
  const store = await world.store()
  for (const job of jobs) await fire(store, { ...job, at: world.clock.now() })
}

scenario([48], 'a job that a trigger made names it, and for which occurrence', async (world) => {
  const seen: unknown[] = []
  await put(world, { id: 'a', payload: { n: 1 }, trigger: NIGHTLY, debounced: true })
  const ledger = await world.open({ jobs: [telling(seen)] })
  await ledger.start()
  await ledger.result('a')
  expect(seen).toEqual([{ payload: { n: 1 }, trigger: NIGHTLY, triggers: ['nightly'] }])
  expect(await ledger.status('a')).toMatchObject({ trigger: NIGHTLY, debounced: true, payload: { n: 1 } })
  await ledger.retry('a')
  await ledger.result('a')
  expect(seen[1]).toEqual(seen[0])
})

scenario([48], 'the document that was published comes beside the payload, not in its place', async (world) => {
  const seen: unknown[] = []
  const document = { order: 'o-1', lines: [{ payload: 'not ours' }] }
  await put(
    world,
    { id: 'object', payload: { n: 1 }, document, trigger: ON_ORDER },
    { id: 'null', payload: null, document: null, trigger: ON_ORDER },
    // Nobody has put anything beside it, whatever it looks like.
    { id: 'plain', payload: { payload: 1, event: 2 }, trigger: NIGHTLY },
  )
  const ledger = await world.open({ jobs: [telling(seen)] })
  for (const [id, payload] of [
    ['object', { n: 1 }],
    ['null', null],
    ['plain', { payload: 1, event: 2 }],
  ] as const)
    expect((await ledger.status(id)).payload).toEqual(payload)
  await ledger.start()
  for (const id of ['object', 'null', 'plain']) await ledger.result(id)
  const trigger = { id: 'on-order', occurrence: 7 }
  expect(seen).toEqual([
    { payload: { n: 1 }, trigger: { ...trigger, event: document }, triggers: ['on-order'] },
    { payload: null, trigger: { ...trigger, event: null }, triggers: ['on-order'] },
    { payload: { payload: 1, event: 2 }, trigger: NIGHTLY, triggers: ['nightly'] },
  ])
})

scenario([48, 7], 'a worker elsewhere is told the same, with the lease', async (world) => {
  await put(
    world,
    { id: 'a', payload: { n: 1 }, document: { order: 'o-1' }, trigger: ON_ORDER, priority: 1 },
    { id: 'b', payload: 2, priority: 2 },
  )
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const lease = await take(ledger, worker)
  const trigger = { id: 'on-order', occurrence: 7 }
  expect(lease).toMatchObject({ id: 'a', payload: { n: 1 }, trigger: { ...trigger, event: { order: 'o-1' } } })
  expect(await ledger.jobOf(lease.token)).toEqual({ id: 'a', cancelled: false, trigger })
  const other = await take(ledger, worker)
  expect(other).not.toHaveProperty('trigger')
  expect(await ledger.jobOf(other.token)).toEqual({ id: 'b', cancelled: false })
})

scenario([48], 'a payload that took the place of the first has no document beside it', async (world) => {
  const seen: unknown[] = []
  await put(world, { id: 'b', payload: { n: 2 }, document: { order: 'o-1' }, trigger: ON_ORDER, held: true })
  const store = await world.store()
  const data = { payload: true, held: false }
  const body = { salt: new Uint8Array(16), content: '{"event":"new","n":3}' }
  const event = { stream: 'job-b', id: crypto.randomUUID(), type: 'Rescheduled', at: world.clock.now(), data, body }
  await store.append([{ expect: new Map([['job-b', 0]]), events: [event] }])
  const ledger = await world.open({ jobs: [telling(seen)] })
  await ledger.start()
  await ledger.result('b')
  const trigger = { id: 'on-order', occurrence: 7 }
  expect(seen).toEqual([{ payload: { event: 'new', n: 3 }, trigger, triggers: ['on-order'] }])
  expect((await ledger.status('b')).payload).toEqual({ event: 'new', n: 3 })
})

scenario([48], 'what comes of a job is in the course of the triggers that the job is in', async (world) => {
  const courses = new Map<string, readonly string[]>()
  const leaf = defineJob({ type: 'leaf', handle: (_: null, ctx) => void courses.set(ctx.id, ctx.triggers) })
  const job = defineJob({
    type: 'fired',
    async handle(_: null, { id, ledger: own }) {
      await own.enqueue(leaf, null, { id: `${id}-leaf` })
      await ledger.as({ user: 'ann' }).enqueue(leaf, null, { id: `${id}-hers` })
      await own.enqueueMany([{ job: leaf, payload: null, options: { id: `${id}-one-of-many` } }])
    },
  })
  await put(world, { id: 'a', trigger: NIGHTLY, chain: ['first'] }, { id: 'b' })
  const ledger = await world.open({ jobs: [job, leaf] })
  await ledger.start()
  for (const id of ['a', 'b']) {
    await ledger.result(id)
    for (const name of ['leaf', 'hers', 'one-of-many']) {
      await ledger.result(`${id}-${name}`)
      const [queued] = await factsOf(ledger, `${id}-${name}`, 'Queued')
      expect(queued?.chain).toEqual(id === 'a' ? ['first', 'nightly'] : undefined)
      expect(queued).not.toHaveProperty('trigger')
      expect(courses.get(`${id}-${name}`)).toEqual(id === 'a' ? ['first', 'nightly'] : [])
    }
  }
  await ledger.enqueue(leaf, null, { id: 'aside' })
  expect((await factsOf(ledger, 'aside', 'Queued'))[0]).not.toHaveProperty('chain')
})
