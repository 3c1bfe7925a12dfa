/** Which job goes next, and when. */
import { expect } from 'vitest'
import type { Ledger } from '../../runtime/ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { EnqueueOptions } from '../../runtime/write/contract.js'
import { factsOf, gate, next, rejection, typesOf } from '../engine/support.js'
import { build, code, LONG, take, takeAll, test, watched } from './remote.js'
import { scenario } from './scenario.js'

/** Enqueues one after the other within one millisecond; ids are the given names. */
async function enqueueAll(ledger: Ledger, jobs: Readonly<Record<string, EnqueueOptions>>): Promise<void> {
  for (const [id, options] of Object.entries(jobs)) await ledger.enqueue(build, null, { id, ...options })
}

scenario([13], 'equals go in the order in which they came, over all types, channels and queues', async (world) => {
  const ledger = await world.open()
  const ids: string[] = []
  for (let n = 0; n < 12; n += 1) {
    const options = { channel: `${n % 3}`, queue: `${n % 2}`, id: `${(n * 7) % 12}` }
    ids.push((await ledger.enqueue(n % 5 === 0 ? build : test, n, options)).id)
    if (n % 4 === 3) await world.clock.advance(1)
  }
  const other = await world.open()
  const worker = await other.workers.register()
  expect(await takeAll(other, worker)).toEqual(ids)
})

scenario([13, 10], 'a job that comes back keeps its place before those that came after it', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await enqueueAll(ledger, { a: {}, b: {}, c: {} })
  const [a, b] = [await take(ledger, worker), await take(ledger, worker)]
  await world.clock.advance('1s')
  await ledger.enqueue(build, null, { id: 'd' })
  expect(await ledger.requeueOrFinish(b.token, 1)).toBe(true)
  expect(await ledger.requeueOrFinish(a.token, 1)).toBe(true)
  expect(await takeAll(ledger, worker)).toEqual(['a', 'b', 'c', 'd'])
})

const PRIORITIES: Readonly<Record<string, EnqueueOptions>> = {
  nought: {},
  low: { priority: 'low' },
  last: { priority: Number.MAX_SAFE_INTEGER },
  minus: { priority: -1 },
  high: { priority: 'high' },
  first: { priority: Number.MIN_SAFE_INTEGER },
  medium: { priority: 'medium' },
  critical: { priority: 'critical' },
  two: { priority: 2 },
  zero: { priority: -0 },
}

scenario([14, 'C1'], 'the lower number goes first, negative ones too; the usual ones have names', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await enqueueAll(ledger, PRIORITIES)
  const numbers = await Promise.all(['critical', 'high', 'medium', 'low', 'zero'].map((id) => ledger.status(id)))
  expect(numbers.map(({ priority }) => priority)).toEqual([-2, -1, 0, 1, 0])
  const order = ['first', 'critical', 'minus', 'high', 'nought', 'medium', 'zero', 'low', 'two', 'last']
  expect(await takeAll(ledger, worker)).toEqual(order)
})

scenario([14, 'C1'], 'a type may have a priority of its own, and a job another one', async (world) => {
  const urgent = defineJob<unknown, unknown>({ type: 'urgent', priority: 'critical' })
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await ledger.enqueue(build, null, { id: 'plain' })
  await ledger.enqueue(urgent, null, { id: 'not now', priority: 0 })
  await ledger.enqueue(urgent, null, { id: 'now' })
  expect(await takeAll(ledger, worker)).toEqual(['now', 'plain', 'not now'])
})

scenario([14], 'priority decides among the due, not who has waited longest', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await enqueueAll(ledger, {
    old: {},
    'urgent later': { priority: -5, delay: '1m' },
    'urgent blocked': { priority: -5, dependsOn: ['old'] },
    'urgent held': { priority: -5, held: true },
    lazy: { priority: 5 },
  })
  await world.clock.advance('59s')
  await ledger.enqueue(build, null, { id: 'new', priority: -1 })
  expect((await take(ledger, worker)).id).toBe('new')
  await world.clock.advance('1s')
  expect(await takeAll(ledger, worker)).toEqual(['urgent later', 'old', 'lazy'])
})

scenario([17], 'nothing goes before its time, and at its time it goes', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const now = world.clock.now()
  await enqueueAll(ledger, {
    delay: { delay: '1m' },
    number: { runAt: now + 120_000 },
    date: { runAt: new Date(now + 180_000) },
    zoned: { runAt: new Date(now + 240_000).toISOString().replace('Z', '+00:00') },
    past: { runAt: now - 1 },
    present: { runAt: now },
    'no delay': { delay: 0 },
    never: { runAt: 8.64e15 },
  })
  expect(await ledger.status('delay')).toMatchObject({ state: 'scheduled', runAt: now + 60_000 })
  expect(await ledger.status('past')).not.toHaveProperty('runAt')
  expect(await code(ledger.leaseById('delay', worker))).toBe('JOB_NOT_PENDING')
  expect(await takeAll(ledger, worker)).toEqual(['past', 'present', 'no delay'])
  for (const id of ['delay', 'number', 'date', 'zoned']) {
    await world.clock.advance(59_999)
    expect(await takeAll(ledger, worker)).toEqual([])
    await world.clock.advance(1)
    expect(await takeAll(ledger, worker)).toEqual([id])
  }
  expect(await code(take(ledger, worker))).toBe('LEASE_TIMEOUT')
})

scenario([17, 9], 'whoever waits is given a job the moment it becomes due', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const waiting = () => watched(ledger.lease({ workerId: worker, lease: LONG }))
  const [first, second] = [waiting(), waiting()]
  await enqueueAll(ledger, { later: { delay: '2m' }, sooner: { delay: '1m' } })
  await world.clock.advance(59_999)
  expect(first.state).toBe('pending')
  await world.clock.advance(1)
  expect(await first.promise).toMatchObject({ id: 'sooner' })
  expect((await ledger.status('sooner')).startedAt).toBe(world.clock.now())
  expect(second.state).toBe('pending')
  await world.clock.advance('1m')
  expect(await second.promise).toMatchObject({ id: 'later' })
  expect((await ledger.status('later')).startedAt).toBe(world.clock.now())
})

scenario([17], 'a time that was waited for outlives the ledger that was told of it', async (world) => {
  const first = await world.open()
  await enqueueAll(first, { later: { delay: '3m' }, sooner: { delay: '2m' } })
  await world.close(first)
  const second = await world.open()
  const worker = await second.workers.register()
  await world.clock.advance('1m')
  expect(await takeAll(second, worker)).toEqual([])
  await world.clock.advance('3m')
  expect(await takeAll(second, worker)).toEqual(['sooner', 'later'])
})

scenario([18], 'a held job waits for ever, until it is promoted', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const waiting = watched(ledger.lease({ workerId: worker, lease: LONG }))
  await enqueueAll(ledger, { held: { held: true }, timed: { held: true, delay: '1m' } })
  await world.clock.advance('5m')
  expect(waiting.state).toBe('pending')
  expect((await ledger.status('timed')).state).toBe('held')
  expect(await rejection(ledger.leaseById('held', worker))).toMatchObject({
    ...{ code: 'JOB_NOT_PENDING', jobId: 'held', message: expect.stringContaining('held') },
  })
  await ledger.promote('held')
  expect((await waiting.promise).id).toBe('held')
  expect(await takeAll(ledger, worker)).toEqual([])
  await ledger.promote('timed')
  expect(await takeAll(ledger, worker)).toEqual(['timed'])
  expect(await typesOf(ledger, 'timed')).toEqual(['Queued', 'Rescheduled', 'Leased'])
})

scenario([18], 'promotion takes a job before its time, but never past its dependencies', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await enqueueAll(ledger, {
    base: {},
    scheduled: { delay: '1h' },
    blocked: { held: true, delay: '1h', dependsOn: ['base'] },
    due: {},
  })
  await world.clock.advance(1)
  await ledger.promote('scheduled')
  await ledger.promote('blocked')
  await ledger.promote('due')
  expect(await typesOf(ledger, 'due')).toEqual(['Queued'])
  expect((await ledger.status('blocked')).state).toBe('blocked')
  const { token } = await take(ledger, worker)
  expect(await takeAll(ledger, worker)).toEqual(['due', 'scheduled'])
  await ledger.finish(token)
  expect(await takeAll(ledger, worker)).toEqual(['blocked'])
})

scenario([18, 36], 'what runs or has ended is neither promoted nor rescheduled', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await enqueueAll(ledger, { running: {}, ended: { priority: -1 } })
  await ledger.finish((await take(ledger, worker)).token)
  await take(ledger, worker)
  for (const change of [(id: string) => ledger.promote(id), (id: string) => ledger.reschedule(id, { delay: '1h' })]) {
    expect(await rejection(change('running'))).toMatchObject({ code: 'JOB_RUNNING', jobId: 'running' })
    expect(await rejection(change('ended'))).toMatchObject({ code: 'JOB_ENDED', outcome: 'succeeded' })
    expect(await rejection(change('nobody'))).toMatchObject({ code: 'JOB_UNKNOWN', jobId: 'nobody' })
  }
  expect(await typesOf(ledger, 'ended')).toEqual(['Queued', 'Leased', 'Finished'])
})

scenario([36], 'a waiting job gets another time, another priority, or is held back', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const now = world.clock.now()
  await enqueueAll(ledger, { a: {}, b: {}, c: {}, d: { delay: '1d' }, e: { held: true } })
  await ledger.reschedule('a', { delay: '2m' })
  await ledger.reschedule('b', { held: true })
  await ledger.reschedule('c', { priority: 'high' })
  await ledger.reschedule('d', { runAt: new Date(now), priority: -2 })
  await ledger.reschedule('e', { held: false, delay: '1m' })
  expect(await factsOf(ledger, 'd', 'Rescheduled')).toEqual([{ at: now, runAt: now, priority: -2, body: undefined }])
  const listed = async () => (await ledger.list()).jobs.map(({ id, state }) => `${id} ${state}`).sort()
  expect(await listed()).toEqual(['a scheduled', 'b held', 'c ready', 'd ready', 'e scheduled'])
  expect(await takeAll(ledger, worker)).toEqual(['d', 'c'])
  await world.clock.advance('1m')
  expect(await takeAll(ledger, worker)).toEqual(['e'])
  await world.clock.advance('1m')
  expect(await takeAll(ledger, worker)).toEqual(['a'])
  expect(await ledger.status('a')).toMatchObject({ run: 1, attempt: 0 })
})

scenario([36, 9], 'whoever waits is given a job at its new time, sooner or later than the old one', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const options = { workerId: worker, types: 'build', lease: LONG } as const
  const waiting = watched(ledger.lease(options))
  await enqueueAll(ledger, { sooner: { delay: '1d' }, later: { delay: '1m' } })
  await ledger.reschedule('later', { delay: '3m' })
  await ledger.reschedule('sooner', { delay: '2m' })
  await world.clock.advance(119_999)
  expect(waiting.state).toBe('pending')
  await world.clock.advance(1)
  expect((await waiting.promise).id).toBe('sooner')
  const second = watched(ledger.lease(options))
  await ledger.reschedule('later', { runAt: world.clock.now() })
  expect((await second.promise).id).toBe('later')
})

scenario([36], 'what is put off while its worker is busy does not run when the worker is free', async (world) => {
  const go = gate()
  const busy = defineJob({ type: 'busy', handle: () => go.promise })
  const note = defineJob({ type: 'note', handle: (text: string) => text })
  const ledger = await world.open({ jobs: [busy, note] })
  await ledger.start({ concurrency: 1 })
  const first = await ledger.enqueue(busy, null)
  const second = await ledger.enqueue(note, 'second')
  const third = await ledger.enqueue(note, 'third')
  await ledger.reschedule(second.id, { delay: '1m' })
  const leased = next(ledger, second.id, 'Leased')
  go.open()
  await first.result()
  expect(await third.result()).toBe('third')
  expect((await ledger.status(second.id)).state).toBe('scheduled')
  await world.clock.advance('1m')
  expect((await leased).at).toBe(world.clock.now())
  expect(await second.result()).toBe('second')
})

scenario([36], 'a blocked job may be rescheduled, and then waits for both', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await enqueueAll(ledger, { base: {}, early: { dependsOn: ['base'] }, late: { dependsOn: ['base'], delay: '2m' } })
  await ledger.reschedule('early', { delay: '1m' })
  await ledger.reschedule('late', { delay: 0 })
  const { token } = await take(ledger, worker)
  expect(await takeAll(ledger, worker)).toEqual([])
  await ledger.finish(token)
  expect(await takeAll(ledger, worker)).toEqual(['late'])
  await world.clock.advance('1m')
  expect(await takeAll(ledger, worker)).toEqual(['early'])
})
