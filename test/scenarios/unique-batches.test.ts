/** Unique jobs in batches. */
import { expect } from 'vitest'
import type { EnqueueOptions, JobHandle } from '../../runtime/write/contract.js'
import { isEmpty, rejection, typesOf } from '../engine/support.js'
import { build, take, test } from './remote.js'
import { scenario } from './scenario.js'

const told = (jobs: readonly JobHandle[]): string[] => jobs.map(({ id, outcome }) => `${id} ${outcome}`)

const element = (payload: unknown, options: EnqueueOptions) => ({ job: build, payload, options })

scenario(
  [2],
  'in a batch, too, the first job of a key is the one, whether it was there before or not',
  async (world) => {
    const ledger = await world.open()
    await ledger.enqueue(build, 0, { id: 'there', unique: { key: 'old' } })
    const jobs = await ledger.enqueueMany([
      element(1, { id: 'a', unique: { key: 'new' } }),
      element(2, { id: 'b', unique: { key: 'old' } }),
      element(3, { id: 'c', unique: { key: 'new' } }),
      element(4, { id: 'd' }),
      element(5, { id: 'e', unique: { key: 'new', scope: 'ledger' } }),
    ])
    expect(told(jobs)).toEqual(['a created', 'there duplicate', 'a duplicate', 'd created', 'e created'])
    expect((await ledger.list()).jobs.map(({ id }) => id).sort()).toEqual(['a', 'd', 'e', 'there'])
    expect(await ledger.status('a')).toMatchObject({ payload: 1 })
  },
)

scenario([2], 'in a batch a later job replaces an earlier one of its key', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const unique = { key: 'k', onDuplicate: 'replace' } as const
  const jobs = await ledger.enqueueMany([
    element(1, { id: 'a', unique, delay: '1h', priority: 1 }),
    element(2, { id: 'b', unique }),
    element(3, { id: 'c', unique, delay: 0 }),
  ])
  expect(told(jobs)).toEqual(['a created', 'a replaced', 'a replaced'])
  expect(await ledger.status('a')).toMatchObject({ payload: 3, priority: 1, state: 'ready' })
  expect(await take(ledger, worker)).toMatchObject({ id: 'a', payload: 3 })
})

scenario([2], 'in a batch a job that replaces one from before replaces it again and again', async (world) => {
  const ledger = await world.open()
  const unique = { key: 'k', onDuplicate: 'replace' } as const
  await ledger.enqueue(build, 0, { id: 'there', held: true, unique })
  const jobs = await ledger.enqueueMany([1, 2, 3].map((n) => element(n, { priority: n, unique })))
  expect(told(jobs)).toEqual(['there replaced', 'there replaced', 'there replaced'])
  expect(await ledger.status('there')).toMatchObject({ payload: 3, priority: 3, state: 'held' })
})

scenario(
  [2],
  'in a batch a job that waits for one that was not made is refused, with all the others',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    const unique = { key: 'k' }
    const batches = [
      [element(1, { id: 'a', unique }), element(2, { id: 'b', unique }), element(3, { id: 'c', dependsOn: ['b'] })],
      [element(3, { id: 'c', dependsOn: ['b'] }), element(1, { id: 'a', unique }), element(2, { id: 'b', unique })],
    ]
    for (const batch of batches) {
      expect(await rejection(ledger.enqueueMany(batch))).toMatchObject({
        ...{ code: 'DEPENDENCY_UNKNOWN', jobId: 'c', dependency: 'b' },
      })
      expect(await isEmpty(ledger)).toBe(true)
    }
    await ledger.enqueueMany([
      element(1, { id: 'a', unique }),
      element(2, { id: 'b', unique }),
      { job: test, payload: 3, options: { id: 'c', dependsOn: ['a'] } },
    ])
    await ledger.finish((await take(ledger, worker)).token)
    expect((await take(ledger, worker)).id).toBe('c')
  },
)

scenario([2], 'a job that is cancelled as it is enqueued keeps nobody from its key', async (world) => {
  const ledger = await world.open()
  const unique = { key: 'k' }
  await ledger.enqueue(build, 0, { id: 'failed' })
  await ledger.failUnstarted('failed')
  const doomed = { dependsOn: [{ id: 'failed', otherwise: 'cancel' }] } as const
  const jobs = await ledger.enqueueMany([
    element(1, { id: 'a', unique, ...doomed }),
    element(2, { id: 'b', unique }),
    element(3, { id: 'c', unique }),
  ])
  expect(told(jobs)).toEqual(['a created', 'b created', 'b duplicate'])
  expect(await typesOf(ledger, 'a')).toEqual(['Queued', 'Cancelled'])
  const [d] = await ledger.enqueueMany([element(4, { id: 'd', unique: { key: 'k', window: '1m' }, ...doomed })])
  expect([d?.id, d?.outcome]).toEqual(['b', 'duplicate'])
})

scenario([2], 'batches that share keys, sent at once from two ledgers, make one job of each key', async (world) => {
  const ledgers = [await world.open(), await world.open()]
  const keys = ['k1', 'k2', 'k3', 'k4']
  const sent = Array.from({ length: 6 }, (_, n) => {
    const order = n % 2 === 0 ? keys : keys.toReversed()
    return (ledgers[n % 2] as (typeof ledgers)[0]).enqueueMany(order.map((key) => element(n, { unique: { key } })))
  })
  const jobs = (await Promise.all(sent)).flat()
  expect(jobs.filter(({ outcome }) => outcome === 'created')).toHaveLength(4)
  expect(new Set(jobs.map(({ id }) => id)).size).toBe(4)
})
