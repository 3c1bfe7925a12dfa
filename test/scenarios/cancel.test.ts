/** Jobs that are called off: before they run, while they run, and too late. */
import { expect } from 'vitest'
import { JobCancelled } from '../../runtime/errors.js'
import { factsOf, rejection, typesOf } from '../engine/support.js'
import { echo, ended, failing, standing } from './acts.js'
import { scenario } from './scenario.js'

scenario([32, 'C3'], 'a job that waits for whatever reason is cancelled, and never runs', async (world) => {
  const later = failing(undefined, { backoff: { min: '5m', jitter: 'none' } })
  const ledger = await world.open({ jobs: [echo, later] })
  const ready = await ledger.enqueue(echo, 1)
  const scheduled = await ledger.enqueue(echo, 1, { delay: '1m' })
  const held = await ledger.enqueue(echo, 1, { held: true })
  const blocked = await ledger.enqueue(echo, 1, { dependsOn: [held.id] })
  const cancelled = [ready, scheduled, blocked, held]
  for (const [n, { id }] of cancelled.entries()) {
    const result = rejection(ledger.result(id))
    expect(await ledger.cancel(id, { reason: `reason ${n}` })).toBe(true)
    expect(await result).toMatchObject({ code: 'JOB_CANCELLED', jobId: id, reason: `reason ${n}` })
  }
  await ledger.start()
  const failed = await ledger.enqueue(later, null)
  await world.clock.advance('1m')
  expect((await ledger.status(failed.id)).state).toBe('scheduled')
  expect(await ledger.cancel(failed.id)).toBe(true)
  await world.clock.advance('10m')
  for (const { id } of cancelled) {
    expect(await ledger.status(id)).toMatchObject({ state: 'cancelled', run: 0 })
    expect(await typesOf(ledger, id)).toEqual(['Queued', 'Cancelled'])
  }
  expect(await ledger.status(failed.id)).toMatchObject({ state: 'cancelled', run: 1, attempt: 1 })
  expect((await ledger.queues.stats()).default).toMatchObject({
    cancelled: 5,
    ready: 0,
    held: 0,
    blocked: 0,
    scheduled: 0,
  })
})

scenario(
  [32, 'C3', 'C9'],
  'a running job hears of it through its signal, its slot is free and its result is refused',
  async (world) => {
    const { job, started, finish } = standing()
    const ledger = await world.open({ jobs: [job, echo] })
    await ledger.start({ concurrency: 1 })
    const { id } = await ledger.enqueue(job, null)
    const ctx = await started(0)
    const { signal } = ctx
    const result = rejection(ledger.result(id))
    const next = await ledger.enqueue(echo, 'next')
    expect(await ledger.cancel(id, { reason: 'enough' })).toBe(true)
    expect(signal.reason).toBeInstanceOf(JobCancelled)
    expect(signal.reason).toMatchObject({ jobId: id, reason: 'enough' })
    expect(await result).toMatchObject({ code: 'JOB_CANCELLED', reason: 'enough' })
    expect(await next.result()).toBe('next')
    expect(await rejection(ctx.heartbeat(1))).toMatchObject({ code: 'LEASE_LOST' })
    finish(0, 'too late')
    await world.clock.settle()
    expect(await typesOf(ledger, id)).toEqual(['Queued', 'Leased', 'Cancelled'])
    expect(await ledger.status(id)).toMatchObject({ state: 'cancelled', reason: 'enough', run: 1, attempt: 0 })
    expect((await ledger.status(id)).result).toBeUndefined()
  },
)

scenario([32, 'C3'], 'whoever holds the lease has its result refused', async (world) => {
  const ledger = await world.open()
  const workerId = await ledger.workers.register()
  const { id } = await ledger.enqueue(echo, 1)
  const { token } = await ledger.leaseById(id, workerId)
  await ledger.cancel(id)
  for (const late of [
    () => ledger.finish(token, 'late'),
    () => ledger.fail(token, new Error('late')),
    () => ledger.requeueOrFinish(token, 5),
    () => ledger.heartbeat(token),
  ]) {
    expect(await rejection(late())).toMatchObject({ code: 'LEASE_LOST' })
  }
  expect(await typesOf(ledger, id)).toEqual(['Queued', 'Leased', 'Cancelled'])
})

scenario(
  [32, 'C3'],
  'a handler that stops with an error because of the cancel adds nothing to the history',
  async (world) => {
    const { job, started, finish } = standing()
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    const { id } = await ledger.enqueue(job, null)
    const { signal } = await started(0)
    signal.addEventListener('abort', () => finish(0, Promise.reject(signal.reason)), { once: true })
    await ledger.cancel(id)
    await world.clock.settle()
    expect(await typesOf(ledger, id)).toEqual(['Queued', 'Leased', 'Cancelled'])
    expect((await ledger.attempts(id)).map(({ outcome }) => outcome)).toEqual(['cancelled'])
  },
)

scenario([32, 'C3'], 'a run in another process is cancelled like one’s own', async (world) => {
  const { job, started } = standing()
  const runner = await world.open({ jobs: [job] })
  const other = await world.open()
  await runner.start()
  const { id } = await other.enqueue(job, null)
  const { signal } = await started(0)
  const told = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  await other.cancel(id)
  await told
  expect(signal.reason).toBeInstanceOf(JobCancelled)
})

scenario([32, 'C3'], 'ifIdle leaves a running job alone and cancels one that waits', async (world) => {
  const { job, started, finish } = standing()
  const ledger = await world.open({ jobs: [job] })
  await ledger.start({ concurrency: 1 })
  const running = await ledger.enqueue(job, null)
  const waiting = await ledger.enqueue(job, null)
  const { signal } = await started(0)
  expect(await rejection(ledger.cancel(running.id, { ifIdle: true }))).toMatchObject({
    code: 'JOB_RUNNING',
    jobId: running.id,
  })
  expect(await ledger.cancel(waiting.id, { ifIdle: true })).toBe(true)
  expect(signal.aborted).toBe(false)
  finish(0, 'done')
  expect(await ended(world, ledger, running.id)).toBe('done')
  expect(await ledger.cancel(running.id, { ifIdle: true, ifEnded: 'ignore' })).toBe(false)
})

scenario([32, 'C4'], 'a cancel that comes too late is refused, or tolerated, and changes nothing', async (world) => {
  const bad = failing(undefined, { maxAttempts: 1 })
  const ledger = await world.open({ jobs: [echo, bad] })
  await ledger.start()
  const ends = {
    succeeded: (await ledger.enqueue(echo, 1)).id,
    failed: (await ledger.enqueue(bad, null)).id,
    cancelled: (await ledger.enqueue(echo, 1, { delay: '1h' })).id,
  }
  await ended(world, ledger, ends.succeeded)
  await ended(world, ledger, ends.failed)
  await ledger.cancel(ends.cancelled, { reason: 'first' })
  for (const [outcome, id] of Object.entries(ends)) {
    const before = await ledger.history(id)
    expect(await rejection(ledger.cancel(id))).toMatchObject({ code: 'JOB_ENDED', jobId: id, outcome })
    expect(await ledger.cancel(id, { ifEnded: 'ignore', reason: 'second' })).toBe(false)
    expect(await ledger.history(id)).toEqual(before)
  }
  expect((await ledger.status(ends.cancelled)).reason).toBe('first')
})

scenario([32, 'C4'], 'a cancel of no job is refused, whatever is tolerated', async (world) => {
  const ledger = await world.open()
  for (const id of ['nobody', '', 'x'.repeat(500)]) {
    expect(await rejection(ledger.cancel(id))).toMatchObject({ code: 'JOB_UNKNOWN', jobId: id })
    expect(await rejection(ledger.cancel(id, { ifEnded: 'ignore' }))).toMatchObject({ code: 'JOB_UNKNOWN' })
  }
  expect(await rejection(ledger.cancel('nobody', { ifIdel: true } as never))).toMatchObject({
    code: 'INVALID_OPTION',
    option: 'cancel.ifIdel',
  })
})

scenario([32, 'C4'], 'of two who cancel at the same time one has done it', async (world) => {
  const [one, two] = [await world.open(), await world.open()]
  const { id } = await one.enqueue(echo, 1)
  const answers = await Promise.all([
    one.cancel(id, { ifEnded: 'ignore', reason: 'one' }),
    two.cancel(id, { ifEnded: 'ignore', reason: 'two' }),
  ])
  expect([...answers].sort()).toEqual([false, true])
  expect((await one.status(id)).reason).toBe(answers[0] ? 'one' : 'two')
  expect(await typesOf(one, id)).toEqual(['Queued', 'Cancelled'])
})

scenario([32, 'C3'], 'who cancelled, and why, is in the history', async (world) => {
  const ledger = await world.open()
  const bob = ledger.as({ user: 'bob', reason: 'cleaning up' })
  const [first, second] = [await ledger.enqueue(echo, 1), await ledger.enqueue(echo, 2)]
  await bob.cancel(first.id)
  await bob.cancel(second.id, { reason: 'duplicate order' })
  expect(await factsOf(ledger, first.id, 'Cancelled')).toMatchObject([{ by: 'operator', reason: 'cleaning up' }])
  expect(await ledger.status(second.id)).toMatchObject({ reason: 'duplicate order' })
  expect((await ledger.history(second.id)).at(-1)?.metadata).toMatchObject({ actor: 'bob' })
})

scenario([32, 'C3'], 'a cancel and a finish at the same time: one of them is true', async (world) => {
  const ledger = await world.open()
  const workerId = await ledger.workers.register()
  for (let n = 0; n < 8; n += 1) {
    const { id } = await ledger.enqueue(echo, n)
    const { token } = await ledger.leaseById(id, workerId)
    const finishing = ledger.finish(token, 'done')
    for (let turn = 0; turn < n; turn += 1) await Promise.resolve()
    const [finished, cancelled] = await Promise.allSettled([finishing, ledger.cancel(id)])
    expect([finished.status, cancelled.status].sort()).toEqual(['fulfilled', 'rejected'])
    expect((await ledger.status(id)).state).toBe(finished.status === 'fulfilled' ? 'succeeded' : 'cancelled')
  }
})

scenario([32, 'C3'], 'a handler may cancel its own job', async (world) => {
  const { job, started, finish } = standing()
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  const { id } = await ledger.enqueue(job, null)
  const { signal } = await started(0)
  finish(
    0,
    ledger.cancel(id, { reason: 'of no use' }).then(() => 'unheard'),
  )
  expect(await ended(world, ledger, id)).toMatchObject({ code: 'JOB_CANCELLED', reason: 'of no use' })
  expect(signal.aborted).toBe(true)
  expect(await typesOf(ledger, id)).toEqual(['Queued', 'Leased', 'Cancelled'])
})
