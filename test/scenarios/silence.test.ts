/** Workers elsewhere that fall silent. */
import { expect } from 'vitest'
import { defineJob } from '../../runtime/work/run/definition.js'
import { factsOf, gate, next, rejection, typesOf } from '../engine/support.js'
import { build, code, LONG, take, takeAll, watched } from './remote.js'
import { scenario } from './scenario.js'

/** How long past its end a lease is left alone, and how often it is looked at. */
const GRACE = 5_000
const LOOK = 1_000

scenario([11, '000.23'], 'silent are those silent for strictly longer than asked, the longest first', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  for (const id of ['a', 'b', 'c', 'waiting', 'blocked']) {
    await ledger.enqueue(build, null, { id, ...(id === 'blocked' && { dependsOn: ['a'] }) })
  }
  const start = world.clock.now()
  const a = await take(ledger, worker, { lease: '1m' })
  await world.clock.advance(1_000)
  const b = await take(ledger, worker, { lease: '1m' })
  const c = await take(ledger, worker, { lease: '1m' })
  const silent = async (olderThan: number | string) => (await ledger.staleLeases(olderThan)).map(({ id }) => id)
  expect([await silent(1_000), await silent(999), await silent(0)]).toEqual([[], ['a'], ['a']])
  await world.clock.advance(1)
  expect([await silent(1_001), await silent('1s'), await silent(1), await silent(0)]).toEqual([
    ...[[], ['a'], ['a']],
    ['a', 'b', 'c'],
  ])
  await ledger.finish(c.token)
  await ledger.cancel('b')
  expect(await ledger.staleLeases(0)).toEqual([
    { token: a.token, id: 'a', workerId: worker, seenAt: start, expiresAt: start + 60_000 },
  ])
  expect(await code(ledger.jobOf(c.token))).toBe('LEASE_LOST')
  expect(await ledger.jobOf(b.token)).toMatchObject({ cancelled: true })
  // A late word of the cancelled one does not bring it back.
  expect(await code(ledger.heartbeat(b.token))).toBe('LEASE_LOST')
  expect(await silent(0)).toEqual(['a'])
})

scenario([11], 'a heartbeat is a sign of life: the lease lasts as long again, from now on', async (world) => {
  const [ledger, other] = [await world.open(), await world.open()]
  const worker = await ledger.workers.register()
  await ledger.enqueue(build, null, { id: 'a' })
  const { token, expiresAt } = await take(ledger, worker, { lease: '10s' })
  const start = world.clock.now()
  expect(expiresAt).toBe(start + 10_000)
  for (const beat of [1, 2, 3, 4]) {
    await world.clock.advance('9s')
    await (beat % 2 === 0 ? ledger : other).heartbeat(token)
    const at = start + beat * 9_000
    expect(await ledger.status('a')).toMatchObject({ state: 'running', lease: { expiresAt: at + 10_000 } })
    expect(await ledger.staleLeases(0)).toEqual([])
    await world.clock.advance(0)
    expect(await other.jobOf(token)).toEqual({ id: 'a', cancelled: false })
  }
  await world.clock.advance(1)
  const seenAt = start + 36_000
  expect(await other.staleLeases(0)).toEqual([{ token, id: 'a', workerId: worker, seenAt, expiresAt: seenAt + 10_000 }])
  expect(new Set(await typesOf(ledger, 'a'))).toEqual(new Set(['Queued', 'Leased', 'Heartbeat']))
})

scenario([11], 'leases outlive a restart, and so does what is known of their silence', async (world) => {
  const first = await world.open()
  const worker = await first.workers.register()
  await first.enqueue(build, null, { id: 'a' })
  const { token } = await take(first, worker, { lease: '1m' })
  await world.clock.advance('10s')
  await world.close(first)
  const second = await world.open()
  await world.clock.advance('20s')
  expect(await second.staleLeases('29s')).toMatchObject([{ id: 'a', token }])
  await second.heartbeat(token, { progress: 0.5 })
  expect(await second.staleLeases(0)).toEqual([])
  await second.finish(token, 'after all')
  expect(await second.result('a')).toBe('after all')
})

scenario([12], 'a silent lease is taken back, and its job goes to the next without an attempt spent', async (world) => {
  const ledger = await world.open()
  const [silent, lively] = [await ledger.workers.register(), await ledger.workers.register()]
  await ledger.enqueue(build, null, { id: 'a', maxAttempts: 1 })
  const { token } = await take(ledger, silent, { lease: '10s' })
  const waiting = watched(ledger.lease({ workerId: lively, lease: LONG }))
  await world.clock.advance(10_000 + GRACE)
  expect(waiting.state).toBe('pending')
  await world.clock.advance(LOOK)
  const again = await waiting.promise
  expect(again).toMatchObject({ id: 'a', run: 2, attempt: 1 })
  const [lost] = await factsOf(ledger, 'a', 'Failed')
  expect(lost).toMatchObject({ token, run: 1, cause: 'lease-lost', error: 'LeaseLost', retryable: true })
  await ledger.finish(again.token, 'done')
  expect(await rejection(ledger.finish(token, 'late'))).toMatchObject({ code: 'LEASE_LOST', jobId: '' })
  expect(await ledger.status('a')).toMatchObject({ state: 'succeeded', result: 'done', run: 2, attempt: 1 })
})

scenario(
  [12, 'C5', '000.32'],
  'after two lost leases a third ends the job, whatever attempts are left',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    await ledger.enqueue(build, null, { id: 'a', maxAttempts: null })
    await ledger.enqueue(build, null, { id: 'dependent', dependsOn: [{ id: 'a', on: 'finished' }] })
    for (const run of [1, 2, 3]) {
      expect(await take(ledger, worker, { lease: '1s' })).toMatchObject({ id: 'a', run, attempt: 1 })
      const lost = next(ledger, 'a', 'Failed')
      await world.pass(lost)
      await world.clock.settle()
    }
    const lostOnce = ['Leased', 'Failed', 'Retried']
    expect(await typesOf(ledger, 'a')).toEqual(['Queued', ...lostOnce, ...lostOnce, 'Leased', 'Failed', 'Finished'])
    expect(await ledger.status('a')).toMatchObject({ state: 'failed', error: 'LeaseLost', run: 3, attempt: 0 })
    expect(await rejection(ledger.result('a'))).toMatchObject({ code: 'JOB_FAILED', error: 'LeaseLost' })
    expect(await take(ledger, worker)).toMatchObject({
      id: 'dependent',
      dependencies: [{ id: 'a', outcome: 'failed' }],
    })
    // A new round, a new count.
    await ledger.retry('a')
    await take(ledger, worker, { lease: '1s' })
    const lost = next(ledger, 'a', 'Failed')
    await world.pass(lost)
    expect(await ledger.status('a')).toMatchObject({ state: 'ready' })
  },
)

scenario([12, 'C5'], 'lost leases and failed attempts are counted apart', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await ledger.enqueue(build, null, { id: 'a', maxAttempts: 2, backoff: { min: 0, max: 0 } })
  const lose = async () => {
    const { attempt } = await take(ledger, worker, { lease: '1s' })
    const lost = next(ledger, 'a', 'Failed')
    await world.pass(lost)
    await world.clock.settle()
    return attempt
  }
  expect(await lose()).toBe(1)
  const failed = await take(ledger, worker)
  expect(failed.attempt).toBe(1)
  await ledger.fail(failed.token, new Error('first'))
  expect(await lose()).toBe(2)
  const last = await take(ledger, worker)
  expect(last).toMatchObject({ run: 4, attempt: 2 })
  await ledger.fail(last.token, new Error('second'))
  expect(await ledger.status('a')).toMatchObject({ state: 'failed', error: 'Error', run: 4, attempt: 2 })
})

scenario([12, 13], 'what lost its lease goes before those that came after it', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await ledger.enqueue(build, null, { id: 'a' })
  await take(ledger, worker, { lease: '1s' })
  await world.clock.advance(1)
  await ledger.enqueue(build, null, { id: 'b' })
  await ledger.enqueue(build, null, { id: 'urgent', priority: -1 })
  const lost = next(ledger, 'a', 'Failed')
  await world.pass(lost)
  await world.clock.settle()
  expect(await takeAll(ledger, worker)).toEqual(['urgent', 'a', 'b'])
})

scenario([12], 'any ledger on the log takes a silent lease back, one of them and once', async (world) => {
  const ledgers = [await world.open(), await world.open(), await world.open()]
  const [ledger] = ledgers as [(typeof ledgers)[0]]
  const worker = await ledger.workers.register()
  for (let n = 0; n < 5; n += 1) await ledger.enqueue(build, null, { id: `${n}` })
  for (let n = 0; n < 5; n += 1) await take(ledger, worker, { lease: '2s' })
  const lost = Promise.all([0, 1, 2, 3, 4].map((n) => next(ledger, `${n}`, 'Failed')))
  await world.pass(lost)
  await world.clock.advance('5s')
  for (let n = 0; n < 5; n += 1) {
    expect(await typesOf(ledger, `${n}`)).toEqual(['Queued', 'Leased', 'Failed', 'Retried'])
  }
})

scenario([12, 11], 'a word at the last moment saves the lease, one a moment too late does not', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await ledger.enqueue(build, null, { id: 'a' })
  const { token } = await take(ledger, worker, { lease: '10s' })
  // Expired, and not yet taken back: still the only one.
  await world.clock.advance(10_000 + GRACE)
  await ledger.heartbeat(token)
  await world.clock.advance(10_000 + GRACE)
  expect(await ledger.jobOf(token)).toEqual({ id: 'a', cancelled: false })
  await world.clock.advance(LOOK)
  expect(await code(ledger.heartbeat(token))).toBe('LEASE_LOST')
  expect(await ledger.status('a')).toMatchObject({ state: 'ready', run: 1, attempt: 0 })
})

scenario([12], 'a handler here takes over from a worker elsewhere that is silent', async (world) => {
  const go = gate()
  const work = defineJob({
    type: 'build',
    handle: async (_: unknown, { run, attempt }) => {
      await go.promise
      return { run, attempt }
    },
  })
  const ledger = await world.open({ jobs: [work] })
  const worker = await ledger.workers.register()
  const { id, result } = await ledger.enqueue(work, null)
  await take(ledger, worker, { lease: '1s' })
  await ledger.start()
  go.open()
  expect(await world.pass(result())).toEqual({ run: 2, attempt: 1 })
  expect(await factsOf(ledger, id, 'Failed')).toMatchObject([{ cause: 'lease-lost' }])
})
