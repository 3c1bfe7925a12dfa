/** Workers elsewhere that wait for a job. */
import { expect } from 'vitest'
import { defineJob } from '../../runtime/work/run/definition.js'
import { factsOf, next, rejection, typesOf } from '../engine/support.js'
import type { Watched } from './remote.js'
import { build, code, LONG, states, take, takeAll, test, watched } from './remote.js'
import { scenario } from './scenario.js'

scenario([8, '000.5'], 'a wait ends at its deadline, refused, and not before', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const waiting = watched(ledger.lease({ workerId: worker, timeout: '10s' }))
  const patient = watched(ledger.lease({ workerId: worker, types: 'build' }))
  await world.clock.advance(9_999)
  expect(waiting.state).toBe('pending')
  await world.clock.advance(1)
  expect(await rejection(waiting.promise)).toMatchObject({
    ...{ code: 'LEASE_TIMEOUT', name: 'LeaseTimeout', family: 'lease', message: 'No job to lease within 10000 ms.' },
  })
  await ledger.enqueue(test, null, { id: 'late' })
  await world.clock.settle()
  expect(await typesOf(ledger, 'late')).toEqual(['Queued'])
  expect(patient.state).toBe('pending')
})

scenario(
  [8, '000.5'],
  'with no time to wait, what is there is given, and nothing else is waited for',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    expect(await code(ledger.lease({ workerId: worker, timeout: 0 }))).toBe('LEASE_TIMEOUT')
    await ledger.enqueue(build, null, { id: 'a' })
    await ledger.enqueue(build, null, { id: 'b', delay: '1s' })
    const both = await Promise.allSettled([0, 1].map(() => ledger.lease({ workerId: worker, timeout: 0 })))
    expect(both).toMatchObject([{ value: { id: 'a' } }, { reason: { code: 'LEASE_TIMEOUT' } }])
    await world.clock.advance('1s')
    expect(await take(ledger, worker)).toMatchObject({ id: 'b' })
  },
)

scenario([8, '000.5'], 'an aborted wait ends with the reason of its signal, and takes nothing', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await ledger.enqueue(build, null, { id: 'a' })
  // Before the call.
  const reason = new Error('request gone')
  expect(await rejection(ledger.lease({ workerId: worker, signal: AbortSignal.abort(reason) }))).toBe(reason)
  expect(await rejection(ledger.lease({ workerId: 'nobody', signal: AbortSignal.abort(reason) }))).toBe(reason)
  // In the same tick, before it has begun to wait.
  const soon = new AbortController()
  const asking = watched(ledger.lease({ workerId: worker, signal: soon.signal }))
  soon.abort(reason)
  await world.clock.settle()
  expect(asking.state).toBe('rejected')
  expect(await rejection(asking.promise)).toBe(reason)
  await ledger.cancel('a')
  // While it waits.
  const later = new AbortController()
  const waiting = watched(ledger.lease({ workerId: worker, signal: later.signal }))
  await world.clock.advance('10s')
  later.abort()
  expect(await rejection(waiting.promise)).toMatchObject({ name: 'AbortError' })
  await ledger.enqueue(build, null, { id: 'b' })
  await world.clock.advance('10s')
  expect(await typesOf(ledger, 'a')).toEqual(['Queued', 'Cancelled'])
  expect(await typesOf(ledger, 'b')).toEqual(['Queued'])
  expect(await take(ledger, worker)).toMatchObject({ id: 'b', run: 1, attempt: 1 })
})

scenario([8, '000.5'], 'who gives up while the job is on its way leaves it to the next one', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  for (let steps = 0; steps < 30; steps += 1) {
    const id = `job ${steps}`
    const controller = new AbortController()
    const waiting = watched(ledger.lease({ workerId: worker, signal: controller.signal, lease: LONG }))
    await world.clock.settle()
    const leased = next(ledger, id, 'Leased')
    void ledger.enqueue(build, steps, { id })
    await leased
    // From the event to the answer it is a number of steps: give up at each of them.
    for (let step = 0; step < steps; step += 1) await Promise.resolve()
    controller.abort(new Error('gone'))
    await world.clock.settle()
    if (waiting.state === 'fulfilled') await ledger.finish((await waiting.promise).token)
    else expect((await take(ledger, worker)).id).toBe(id)
  }
})

scenario([8], 'a signal that is aborted after the job was given changes nothing', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const controller = new AbortController()
  const waiting = ledger.lease({ workerId: worker, signal: controller.signal, timeout: '1m', lease: LONG })
  await ledger.enqueue(build, null, { id: 'a' })
  const { token } = await waiting
  controller.abort()
  await world.clock.advance('2m')
  await ledger.finish(token)
  expect(await typesOf(ledger, 'a')).toEqual(['Queued', 'Leased', 'Finished'])
})

scenario([8], 'a ledger that closes tells those who wait, and leaves no job with them', async (world) => {
  for (let steps = 0; steps < 16; steps += 1) {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    const waiting = [0, 1].map(() => watched(ledger.lease({ workerId: worker, lease: LONG })))
    await world.clock.settle()
    const leased = steps > 0 ? next(ledger, `job ${steps}`, 'Leased') : undefined
    const enqueued = ledger.enqueue(build, steps, { id: `job ${steps}` })
    await leased
    for (let step = 1; step < steps; step += 1) await Promise.resolve()
    await world.close(ledger)
    await enqueued
    const ends = await Promise.allSettled(waiting.map(({ promise }) => promise))
    expect(ends[1]).toMatchObject({ reason: { code: 'LEDGER_CLOSED' } })
    expect(await code(ledger.lease({ workerId: worker }))).toBe('LEDGER_CLOSED')
    const other = await world.open()
    const { state } = await other.status(`job ${steps}`)
    expect(state, `${steps} steps`).toBe(ends[0]?.status === 'fulfilled' ? 'running' : 'ready')
    await other.cancel(`job ${steps}`)
    await world.close(other)
  }
})

scenario(
  [9, '000.7'],
  'one new job serves one of those who wait, the one who came first; the others wait on',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    const waiting = [0, 1, 2].map(() => watched(ledger.lease({ workerId: worker, lease: LONG })))
    await world.clock.settle()
    expect(states(waiting)).toEqual(['pending', 'pending', 'pending'])
    for (const [n, one] of waiting.entries()) {
      const { id } = await ledger.enqueue(build, n)
      expect((await one.promise).id).toBe(id)
      await world.clock.settle()
      expect(states(waiting)).toEqual(waiting.map((_, index) => (index <= n ? 'fulfilled' : 'pending')))
    }
  },
)

scenario([9], 'several jobs at once serve as many as they can, most urgent first', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const picky = watched(ledger.lease({ workerId: worker, types: 'test', lease: LONG }))
  const waiting = [0, 1, 2].map(() => watched(ledger.lease({ workerId: worker, lease: LONG })))
  await world.clock.settle()
  await ledger.enqueueMany([
    { job: build, payload: 1, options: { id: 'low', priority: 1 } },
    { job: build, payload: 2, options: { id: 'high', priority: -1 } },
  ])
  await world.clock.settle()
  expect([picky, ...waiting].map(({ state }) => state)).toEqual(['pending', 'fulfilled', 'fulfilled', 'pending'])
  expect(await Promise.all(waiting.slice(0, 2).map(async ({ promise }) => (await promise).id))).toEqual(['high', 'low'])
  await ledger.enqueue(test, 3, { id: 'picked' })
  expect((await picky.promise).id).toBe('picked')
  expect(waiting[2]?.state).toBe('pending')
})

scenario(
  [8, '000.6', '000.8'],
  'a hundred wait at once while other calls go on, and each is given one job of its own',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    const waiting: Watched<{ readonly id: string; readonly token: string }>[] = Array.from({ length: 100 }, (_, n) =>
      watched(ledger.lease({ workerId: worker, channels: `${n % 4}`, lease: LONG })),
    )
    await world.clock.settle()
    expect(new Set(states(waiting))).toEqual(new Set(['pending']))
    // Other calls go through.
    const other = await ledger.enqueue(test, 'other', { channel: 'other' })
    expect((await take(ledger, worker, { types: 'test' })).id).toBe(other.id)
    await ledger.cancel(other.id)
    expect((await ledger.list()).jobs).toHaveLength(1)
    expect(await ledger.staleLeases(0)).toEqual([])
    const ids: string[] = []
    for (let n = 0; n < 100; n += 1) ids.push((await ledger.enqueue(build, n, { channel: `${n % 4}` })).id)
    const leases = await Promise.all(waiting.map(({ promise }) => promise))
    expect(leases.map(({ id }) => id)).toEqual(ids)
    expect(new Set(leases.map(({ token }) => token)).size).toBe(100)
    await Promise.all(leases.map(({ token }) => ledger.finish(token)))
    expect((await ledger.queues.stats()).default).toMatchObject({ succeeded: 100, ready: 0, running: 0, cancelled: 1 })
  },
)

scenario([9, '000.7'], 'many who wait in two ledgers on one log never get the same job', async (world) => {
  const ledgers = [await world.open(), await world.open()] as const
  const worker = await ledgers[0].workers.register()
  const waiting = Array.from({ length: 20 }, (_, n) =>
    ledgers[n % 2 === 0 ? 0 : 1].lease({ workerId: worker, lease: LONG }),
  )
  await world.clock.settle()
  const batch = Array.from({ length: 20 }, (_, n) => ({ job: build, payload: n }))
  const jobs = await ledgers[0].enqueueMany(batch)
  const leases = await Promise.all(waiting)
  expect(leases.map(({ id }) => id).sort()).toEqual(jobs.map(({ id }) => id).sort())
  for (const { id, run } of leases) {
    expect(run).toBe(1)
    expect(await factsOf(ledgers[0], id, 'Leased')).toHaveLength(1)
  }
})

scenario([9], 'whatever makes a job ready wakes who waits, without any time going by', async (world) => {
  const ledger = await world.open()
  const elsewhere = await world.open()
  const worker = await ledger.workers.register()
  await ledger.enqueueMany([
    { job: test, payload: 1, options: { id: 'base', priority: -2 } },
    { job: test, payload: 1, options: { id: 'again', priority: -1 } },
    { job: build, payload: 1, options: { id: 'dependent', dependsOn: ['base'] } },
    { job: build, payload: 1, options: { id: 'held', held: true } },
    { job: build, payload: 1, options: { id: 'scheduled', delay: '1h' } },
    { job: build, payload: 1, options: { id: 'over' } },
  ])
  await ledger.cancel('over')
  const base = await take(ledger, worker, { types: 'test' })
  const again = await take(ledger, worker, { types: 'test' })
  const before = world.clock.now()
  const wakings: readonly (readonly [id: string, wake: () => Promise<unknown>])[] = [
    ['dependent', () => ledger.finish(base.token)],
    ['held', () => ledger.promote('held')],
    ['scheduled', () => ledger.reschedule('scheduled', { delay: 0 })],
    ['over', () => ledger.retry('over')],
    ['again', () => ledger.requeueOrFinish(again.token, 1)],
    ['here', () => ledger.enqueue(build, 1, { id: 'here' })],
    ['there', () => elsewhere.enqueue(build, 1, { id: 'there' })],
  ]
  for (const [id, wake] of wakings) {
    const waiting = watched(ledger.lease({ workerId: worker, lease: LONG }))
    await world.clock.settle()
    expect(waiting.state, id).toBe('pending')
    await wake()
    expect((await waiting.promise).id).toBe(id)
  }
  expect(world.clock.now()).toBe(before)
})

scenario([9, 25], 'a failed job comes to who waits at the time of its next attempt', async (world) => {
  const patient = defineJob<unknown, unknown>({ type: 'patient', backoff: { min: '20s', jitter: 'none' } })
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await ledger.enqueue(patient, null, { id: 'a' })
  const { token } = await take(ledger, worker)
  const waiting = watched(ledger.lease({ workerId: worker }))
  await ledger.fail(token, new Error('not yet'))
  await world.clock.advance(19_999)
  expect(waiting.state).toBe('pending')
  await world.clock.advance(1)
  expect(await waiting.promise).toMatchObject({ id: 'a', run: 2, attempt: 2 })
})

scenario([8], 'a worker here and one that waits share the jobs, each what it can run', async (world) => {
  const ran: unknown[] = []
  const here = defineJob({ type: 'here', handle: (n: number) => void ran.push(n) })
  const ledger = await world.open({ jobs: [here] })
  await ledger.start({ concurrency: 1 })
  const worker = await ledger.workers.register()
  const waiting = watched(ledger.lease({ workerId: worker, types: 'build', lease: LONG }))
  const own = next(ledger, 'mine', 'Finished')
  await ledger.enqueueMany([
    { job: build, payload: 1, options: { id: 'theirs' } },
    { job: here, payload: 2, options: { id: 'mine' } },
    { job: build, payload: 3, options: { id: 'left' } },
  ])
  expect((await waiting.promise).id).toBe('theirs')
  await own
  expect(ran).toEqual([2])
  expect(await takeAll(ledger, worker)).toEqual(['left'])
})
