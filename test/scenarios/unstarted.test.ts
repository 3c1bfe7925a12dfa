/** Jobs that are failed before anybody has begun with them. */
import { expect } from 'vitest'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { EnqueueOptions } from '../../runtime/write/contract.js'
import { factsOf, rejection, typesOf } from '../engine/support.js'
import { build, code, LONG, take, takeAll, test, watched } from './remote.js'
import { scenario } from './scenario.js'

scenario(
  [34, '000.19'],
  'a job failed before it started has failed, with a result, its times in order',
  async (world) => {
    const ledger = await world.open()
    const queued = world.clock.now()
    const payload = { image: 'f40' }
    await ledger.enqueue(build, payload, { id: 'a', channel: 'org', queue: 'q', name: 'n', priority: 3 })
    await world.clock.advance('1m')
    await ledger.failUnstarted('a', { error: 'manifest is broken \u0000' })
    const status = await ledger.status('a')
    expect(status).toMatchObject({
      ...{ state: 'failed', type: 'build', channel: 'org', queue: 'q', name: 'n', priority: 3, payload },
      ...{ result: { error: 'manifest is broken \u0000' }, error: 'NotStarted', run: 0, attempt: 0 },
      ...{ queuedAt: queued, startedAt: queued + 60_000, endedAt: queued + 60_000 },
    })
    expect(status).not.toHaveProperty('reason')
    expect(await typesOf(ledger, 'a')).toEqual(['Queued', 'Failed', 'Finished'])
    expect(await factsOf(ledger, 'a', 'Failed')).toMatchObject([{ cause: 'not-started', retryable: false, run: 0 }])
    expect((await ledger.list({ state: 'failed' })).jobs).toMatchObject([{ id: 'a', startedAt: queued + 60_000 }])
    expect((await ledger.queues.stats()).q).toMatchObject({ failed: 1, ready: 0, cancelled: 0 })
    expect(await rejection(ledger.result('a'))).toMatchObject({ code: 'JOB_FAILED', error: 'NotStarted' })
  },
)

scenario([34], 'it may wait for whatever it likes: it is nobody’s any more', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await ledger.enqueue(test, null, { id: 'base' })
  const ways: Readonly<Record<string, EnqueueOptions>> = {
    ready: {},
    held: { held: true },
    scheduled: { delay: '1m' },
    blocked: { dependsOn: ['base'] },
  }
  for (const [id, options] of Object.entries(ways)) await ledger.enqueue(build, null, { ...options, id })
  const waiting = watched(ledger.lease({ workerId: worker, types: 'build', queues: 'none' }))
  for (const id of Object.keys(ways)) await ledger.failUnstarted(id, id)
  const base = await take(ledger, worker)
  await ledger.finish(base.token)
  await world.clock.advance('2m')
  expect(await takeAll(ledger, worker)).toEqual([])
  expect(waiting.state).toBe('pending')
  for (const id of Object.keys(ways)) {
    expect(await ledger.status(id)).toMatchObject({ state: 'failed', result: id, run: 0 })
    expect(await code(ledger.leaseById(id, worker))).toBe('JOB_NOT_PENDING')
    expect(await code(ledger.promote(id))).toBe('JOB_ENDED')
  }
})

scenario([34], 'its end is an end for those that depend on it, and wakes who waits for them', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await ledger.enqueue(build, null, { id: 'a' })
  await ledger.enqueue(test, null, { id: 'any end', dependsOn: [{ id: 'a', on: 'finished' }] })
  await ledger.enqueue(test, null, { id: 'blocks', dependsOn: ['a'] })
  await ledger.enqueue(test, null, { id: 'cancels', dependsOn: [{ id: 'a', otherwise: 'cancel' }] })
  await ledger.enqueue(test, null, { id: 'runs', dependsOn: [{ id: 'a', otherwise: 'run' }] })
  const waiting = watched(ledger.lease({ workerId: worker, types: 'test', lease: LONG }))
  await ledger.failUnstarted('a', 'no result')
  const error = { name: 'NotStarted', message: '' }
  const dependencies = [{ id: 'a', outcome: 'failed', result: 'no result', error }]
  expect(await waiting.promise).toMatchObject({ id: 'any end', dependencies })
  expect(await takeAll(ledger, worker)).toEqual(['runs'])
  await world.clock.settle()
  expect((await ledger.status('blocks')).state).toBe('blocked')
  expect((await ledger.status('cancels')).state).toBe('cancelled')
})

scenario(
  [34, '000.20'],
  'it is refused for a job that runs, ran before, has ended or does not exist',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    for (const id of ['running', 'ended', 'failed', 'cancelled', 'ran']) await ledger.enqueue(build, null, { id })
    const leases = new Map<string, string>()
    for (const id of ['running', 'ended', 'ran']) leases.set(id, (await ledger.leaseById(id, worker)).token)
    await ledger.finish(leases.get('ended') as string, 'done')
    await ledger.requeueOrFinish(leases.get('ran') as string, 1)
    await ledger.cancel('cancelled')
    await ledger.failUnstarted('failed', 1)
    const refusals = {
      running: { code: 'JOB_RUNNING' },
      ended: { code: 'JOB_ENDED', outcome: 'succeeded' },
      failed: { code: 'JOB_ENDED', outcome: 'failed' },
      cancelled: { code: 'JOB_ENDED', outcome: 'cancelled' },
      ran: { code: 'JOB_NOT_PENDING' },
    }
    for (const [jobId, refusal] of Object.entries(refusals)) {
      const before = await ledger.history(jobId)
      expect(await rejection(ledger.failUnstarted(jobId, 'late'))).toMatchObject({ ...refusal, jobId })
      expect(await ledger.history(jobId)).toEqual(before)
    }
    expect(await code(ledger.failUnstarted('nobody'))).toBe('JOB_UNKNOWN')
    expect(await rejection(ledger.failUnstarted('' as never))).toMatchObject({ option: 'failUnstarted.id' })
    expect(await code(ledger.failUnstarted('ran', 1n))).toBe('INVALID_PAYLOAD')
    await ledger.finish(leases.get('running') as string, 'in peace')
    expect(await ledger.result('running')).toBe('in peace')
  },
)

scenario([34], 'a worker and who fails the job at once: one of them has it', async (world) => {
  const quick = defineJob({ type: 'quick', handle: (_: null) => 'ran' })
  const ledger = await world.open({ jobs: [quick] })
  const elsewhere = await world.open()
  await ledger.start()
  for (let n = 0; n < 10; n += 1) {
    const enqueued = ledger.enqueue(quick, null, { id: `${n}` })
    const failing = elsewhere.failUnstarted(`${n}`, 'failed').then(
      () => 'failed',
      (error: { code: string }) => error.code,
    )
    const result = await (await enqueued).result().catch(() => 'failed')
    expect(`${result}, ${await failing}`).toMatch(/^(failed, failed|ran, JOB_(UNKNOWN|RUNNING|ENDED))$/)
  }
})

scenario([34], 'it may be sent round again like any job that failed', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await ledger.enqueue(build, 1, { id: 'a' })
  await ledger.failUnstarted('a')
  expect(await ledger.status('a')).not.toHaveProperty('result')
  await ledger.retry('a')
  const lease = await take(ledger, worker)
  expect(lease).toMatchObject({ id: 'a', payload: 1, run: 1, attempt: 1 })
  await ledger.finish(lease.token, 'after all')
  expect(await ledger.status('a')).toMatchObject({ state: 'succeeded', result: 'after all' })
})
