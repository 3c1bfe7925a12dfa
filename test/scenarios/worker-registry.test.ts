/** Who works, what they say of themselves, and when they were last heard of. */
import { expect } from 'vitest'
import type { WorkerInfo } from '../../runtime/work/desk/worker-desk.js'
import { build, take, takeAll } from './remote.js'
import { scenario } from './scenario.js'

scenario([53, '001.50'], 'the list says of each worker what it told of itself, and what it holds', async (world) => {
  const ledger = await world.open()
  const told = {
    ...{ name: 'builder 1', pool: 'builders', arch: 'x86_64', codeVersion: 'v7', concurrency: 3 },
    ...{ types: ['build'], queues: ['default', ''], channels: ['org'] },
  }
  const start = world.clock.now()
  const id = await ledger.workers.register(told)
  const known = { id, status: 'active', ...told, slotsInUse: 0, registeredAt: start, lastSeenAt: start }
  expect(await ledger.workers.list()).toEqual([known])
  for (const n of [1, 2]) await ledger.enqueue(build, null, { id: `${n}` })
  const lease = await take(ledger, id)
  await take(ledger, id)
  // The same from any ledger, and after all of them were closed.
  const other = await world.open()
  expect(await other.workers.list()).toEqual([{ ...known, slotsInUse: 2 }])
  await ledger.finish(lease.token)
  for (const opened of [ledger, other]) await world.close(opened)
  const later = await world.open()
  const lastSeenAt = start
  expect(await later.workers.list()).toEqual([{ ...known, slotsInUse: 1, lastSeenAt }])
  const plain = await later.workers.register()
  const of = (all: readonly WorkerInfo[]) => all.find((worker) => worker.id === plain)
  expect(of(await later.workers.list())).toEqual({
    ...{ id: plain, status: 'active', types: [], concurrency: 1, slotsInUse: 0 },
    ...{ registeredAt: world.clock.now(), lastSeenAt: world.clock.now() },
  })
})

scenario(
  [53, 11],
  'whatever a worker does with a token of its own is a sign of its life; what others do is none',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    for (const n of [1, 2, 3, 4, 5, 6]) await ledger.enqueue(build, null, { id: `${n}`, maxAttempts: 1 })
    const quietFor = async (): Promise<number> => {
      const [info] = await ledger.workers.list()
      return world.clock.now() - (info as WorkerInfo).lastSeenAt
    }
    const lease = async () => (await take(ledger, worker)).token
    const [first, second] = [await lease(), await lease()]
    const signs: readonly (() => Promise<unknown>)[] = [
      lease,
      () => ledger.heartbeat(first),
      () => ledger.finish(first),
      () => ledger.fail(second, new Error('no')),
      async () => ledger.requeueOrFinish(await lease(), 3),
      () => ledger.workers.touch(worker),
    ]
    for (const sign of signs) {
      await world.clock.advance('10s')
      expect(await quietFor()).toBe(10_000)
      await sign()
      expect(await quietFor()).toBe(0)
    }
    const [held] = (await ledger.list({ state: 'running' })).jobs
    await world.clock.advance('10s')
    await ledger.cancel(held?.id as string)
    await ledger.enqueue(build, null)
    expect(await quietFor()).toBe(10_000)
    // Known still when the ledger is opened again.
    const seenAt = world.clock.now() - 10_000
    await world.close(ledger)
    const later = await world.open()
    const [info] = await later.workers.list()
    expect(info?.lastSeenAt).toBe(seenAt)
  },
)

scenario([53], 'a job says which workers have had it, each once, in the order in which they came', async (world) => {
  const ledger = await world.open()
  const [a, b] = [await ledger.workers.register(), await ledger.workers.register()]
  await ledger.enqueue(build, null, { id: 'a', backoff: { min: 0, max: 0 } })
  const by = async () => (await ledger.status('a')).attemptedBy
  expect(await by()).toEqual([])
  for (const worker of [b, a, b]) await ledger.fail((await take(ledger, worker)).token, new Error('again'))
  expect(await by()).toEqual([b, a])
  await ledger.finish((await take(ledger, a)).token)
  await ledger.retry('a')
  expect(await by()).toEqual([b, a])
  // Also when it is taken out of the pending index by id, and when the worker is gone.
  const late = await ledger.workers.register()
  await ledger.finish((await ledger.leaseById('a', late)).token)
  await ledger.workers.remove(late)
  expect(await by()).toEqual([b, a, late])
})

scenario([53], 'one that only ever leases is among the silent when its leases are old', async (world) => {
  const ledger = await world.open()
  const [busy, idle] = [await ledger.workers.register(), await ledger.workers.register()]
  await ledger.enqueue(build, null)
  await world.clock.advance('1m')
  await takeAll(ledger, busy)
  const idsOf = async (olderThan: number) => (await ledger.workers.list({ olderThan })).map(({ id }) => id)
  expect(await idsOf(59_999)).toEqual([idle])
  expect(await idsOf(60_000)).toEqual([])
  await world.clock.advance('1m')
  expect(await idsOf(60_000)).toEqual([idle])
  expect(await idsOf(59_999)).toEqual([idle, busy])
})
