/** Jobs that share a key run only so many at once, and the keys take turns. */
import { expect } from 'vitest'
import type { Ledger } from '../../runtime/ledger.js'
import type { JobContext } from '../../runtime/work/run/context.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { EnqueueOptions } from '../../runtime/write/contract.js'
import { next, rejection, typesOf, type World } from '../engine/support.js'
import { failing, loseLease, standing } from './acts.js'
import { scenario } from './scenario.js'

/** Run by nobody here. */
const remote = defineJob<unknown, unknown>({ type: 'remote', concurrencyKey: 'k' })
const keyed = (key: string, limit?: number): EnqueueOptions => ({
  concurrencyKey: key,
  ...(limit !== undefined && { concurrencyLimit: limit }),
})

async function enqueueAll(ledger: Ledger, ids: readonly string[], job: JobDefinition = remote): Promise<void> {
  await ledger.enqueueMany(ids.map((id) => ({ job, payload: null, options: { id } })))
}

/** Lets everything go on that can without any time passing. */
const settled = (world: World): Promise<void> => world.clock.settle()

scenario(
  [],
  'a lease by id is refused while the key is full, stores nothing, and is had when it is not',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    await enqueueAll(ledger, ['a', 'b'])
    const { token } = await ledger.leaseById('a', worker)
    const refused = { code: 'KEY_AT_LIMIT', jobId: 'b', key: 'k', limit: 1 }
    for (const _ of [1, 2]) expect(await rejection(ledger.leaseById('b', worker))).toMatchObject(refused)
    expect(await typesOf(ledger, 'b')).toEqual(['Queued'])
    await ledger.heartbeat(token)
    await ledger.finish(token)
    const second = await ledger.leaseById('b', worker)
    expect(second.id).toBe('b')
  },
)

scenario(
  [],
  'whoever waits for a job is given one of another key, and of this one as soon as it is free',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    await enqueueAll(ledger, ['a', 'b', 'c'])
    await ledger.enqueue(remote, 1, { id: 'other', ...keyed('o') })
    const first = await ledger.lease({ workerId: worker, timeout: 0 })
    expect(first.id).toBe('a')
    expect((await ledger.lease({ workerId: worker, timeout: 0 })).id).toBe('other')
    expect(await rejection(ledger.lease({ workerId: worker, timeout: 0 }))).toMatchObject({ code: 'LEASE_TIMEOUT' })
    const waiting = ledger.lease({ workerId: worker })
    await settled(world)
    await ledger.finish(first.token)
    expect((await waiting).id).toBe('b')
  },
)

scenario([], 'handlers run as many of a key as may, and the next begins when one has ended', async (world) => {
  const { job, started, finish } = standing('work', { concurrencyKey: 'k', concurrencyLimit: 2 })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  for (const id of ['a', 'b', 'c', 'd']) await ledger.enqueue(job, null, { id })
  await Promise.all([started(0), started(1)])
  await settled(world)
  expect((await ledger.queues.stats()).default).toMatchObject({ running: 2, ready: 2 })
  finish(0)
  expect((await started(2)).id).toBe('c')
  await settled(world)
  expect((await ledger.queues.stats()).default).toMatchObject({ running: 2, ready: 1 })
  finish(1)
  expect((await started(3)).id).toBe('d')
})

scenario(
  [],
  'the keys take turns: a thousand jobs of one tenant do not hold up the single one of another',
  async (world) => {
    const order: string[] = []
    const work = defineJob({
      type: 'work',
      concurrencyKey: ({ tenant }: { tenant: string }) => tenant,
      concurrencyLimit: 5,
      handle: ({ tenant }) => void order.push(tenant),
    })
    const ledger = await world.open({ jobs: [work] })
    await ledger.enqueueMany(
      Array.from({ length: 1_000 }, () => ({ job: work as JobDefinition, payload: { tenant: 'big' } })),
    )
    const small = await ledger.enqueue(work, { tenant: 'small' })
    await ledger.start({ concurrency: 1 })
    await small.result()
    expect(order.indexOf('small')).toBeLessThanOrEqual(1)
  },
)

scenario(
  [],
  'the limit is that of the log: what other ledgers run counts, also for one that opens later',
  async (world) => {
    const { job, started, finish } = standing('work', { concurrencyKey: 'k', concurrencyLimit: 2 })
    const first = await world.open({ jobs: [job] })
    const second = await world.open({ jobs: [job] })
    await first.start({ concurrency: 5 })
    await second.start({ concurrency: 5 })
    for (const id of ['a', 'b', 'c', 'd']) await first.enqueue(job, null, { id })
    await Promise.all([started(0), started(1)])
    const third = await world.open({ jobs: [job] })
    await third.start({ concurrency: 5 })
    await world.clock.advance('10s')
    expect((await third.queues.stats()).default).toMatchObject({ running: 2, ready: 2 })
    for (const n of [0, 1, 2, 3]) {
      finish(n)
      if (n < 2) await world.pass(started(n + 2))
    }
    for (const id of ['a', 'b', 'c', 'd']) await world.pass(first.result(id))
  },
)

type Held = { readonly id: string; readonly token: string }
type End = readonly [how: string, end: (ledger: Ledger, held: Held, world: World) => Promise<unknown>]
const ENDS: readonly End[] = [
  ['finished', (ledger, { token }) => ledger.finish(token, 1)],
  ['failed for good', (ledger, { token }) => ledger.fail(token, new Error('no'), { retryable: false })],
  ['failed, to be tried again', (ledger, { token }) => ledger.fail(token, new Error('no'), { retryAt: '1h' })],
  ['requeued', (ledger, { token }) => ledger.requeueOrFinish(token, 3)],
  ['cancelled', (ledger, { id }) => ledger.cancel(id)],
  ['removed by force', (ledger, { id }) => ledger.remove(id, { force: true })],
  ['silent', (ledger, { id }, world) => world.pass(next(ledger, id, 'Failed'))],
]

scenario([], 'however a run ends, its place is free', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  for (const [how, end] of ENDS) {
    await ledger.enqueue(remote, 1, { id: how, ...keyed(how) })
    const { id } = await ledger.enqueue(remote, 1, keyed(how))
    const held = await ledger.leaseById(how, worker)
    expect([how, await rejection(ledger.leaseById(id, worker))]).toMatchObject([how, { code: 'KEY_AT_LIMIT' }])
    await end(ledger, held, world)
    expect([how, (await ledger.leaseById(id, worker)).id]).toEqual([how, id])
  }
})

scenario([], 'a run that throws, snoozes or takes too long lets the next one of its key go', async (world) => {
  const ran: string[] = []
  const work = defineJob({
    type: 'work',
    concurrencyKey: 'k',
    timeout: '10s',
    maxAttempts: 1,
    handle: async (how: string, ctx: JobContext) => {
      ran.push(how)
      if (how === 'throws') throw new Error('bad')
      if (how === 'snoozes' && ctx.run === 1) return ctx.snooze('1h')
      if (how === 'hangs') return new Promise(() => {})
      return undefined
    },
  })
  const ledger = await world.open({ jobs: [work] })
  await ledger.enqueueMany(['throws', 'snoozes', 'hangs', 'ends'].map((payload) => ({ job: work, payload })))
  const last = await ledger.enqueue(work, 'last')
  await ledger.start()
  await world.pass(last.result())
  expect(ran).toEqual(['throws', 'snoozes', 'hangs', 'ends', 'last'])
})

scenario([], 'a lost lease frees its key, and the job waits for its turn like any other', async (world) => {
  const ledger = await world.open()
  await enqueueAll(ledger, ['a', 'b'])
  await loseLease(world, ledger, 'a')
  const worker = await ledger.workers.register()
  const again = await ledger.leaseById('a', worker)
  expect(await rejection(ledger.leaseById('b', worker))).toMatchObject({ code: 'KEY_AT_LIMIT' })
  await ledger.fail(again.token, new Error('no'), { retryable: false })
  await ledger.leaseById('b', worker)
  await ledger.retry('a')
  expect(await rejection(ledger.leaseById('a', worker))).toMatchObject({ code: 'KEY_AT_LIMIT' })
})

scenario([], 'a shutdown gives the places back', async (world) => {
  const { job, started, finish } = standing('work', { concurrencyKey: 'k' })
  const first = await world.open({ jobs: [job] })
  await first.start()
  const held = await first.enqueue(job, null)
  await started(0)
  await first.enqueue(job, null)
  await world.close(first, { drain: 0, timeout: 0 })
  const second = await world.open({ jobs: [job] })
  await second.start()
  expect((await started(1)).id).toBe(held.id)
  finish(1)
  await started(2)
})

scenario([], 'the job’s own key and limit win over its type, and no key is no limit', async (world) => {
  const byTenant = defineJob({
    type: 'work',
    concurrencyKey: (payload: { tenant?: string }) => payload.tenant,
    concurrencyLimit: 3,
    handle: () => {},
  })
  const bare = defineJob<{ tenant?: string }, unknown>({ type: 'work' })
  const fixed = defineJob<null, unknown>({ type: 'fixed', concurrencyKey: 'f' })
  const ledger = await world.open({ jobs: [byTenant] })
  const keyOf = async <P>(job: JobDefinition<P, unknown>, payload: P, options?: EnqueueOptions): Promise<unknown> =>
    (await ledger.status((await ledger.enqueue(job, payload, options)).id)).concurrency
  expect(await keyOf(byTenant, { tenant: 'a' })).toEqual({ key: 'a', limit: 3 })
  expect(await keyOf(byTenant, {})).toBeUndefined()
  expect(await keyOf(byTenant, {}, keyed('own'))).toEqual({ key: 'own', limit: 3 })
  expect(await keyOf(byTenant, { tenant: 'a' }, { concurrencyLimit: 7 })).toEqual({ key: 'a', limit: 7 })
  expect(await keyOf(fixed, null)).toEqual({ key: 'f', limit: 1 })
  expect(await keyOf(bare, { tenant: 'a' })).toEqual({ key: 'a', limit: 3 })
  expect(await rejection(keyOf(byTenant, {}, { concurrencyLimit: 2 }))).toMatchObject({
    option: 'enqueue.concurrencyLimit',
    expected: 'absent where there is no `concurrencyKey`',
  })
  const broken = defineJob({ type: 'broken', concurrencyKey: () => 5 as never, handle: () => {} })
  expect(await rejection(keyOf(broken, null))).toMatchObject({ option: 'defineJob.concurrencyKey()', received: '5' })
})

scenario([], 'a type that cannot say the key refuses the enqueue, and says of which job', async (world) => {
  const fault = new TypeError('no tenant')
  const careless = defineJob<{ tenant?: string }, unknown>({
    type: 'careless',
    concurrencyKey: ({ tenant }) => {
      if (tenant === undefined) throw fault
      return tenant
    },
  })
  const ledger = await world.open({ jobs: [careless] })
  const refused = { code: 'ENQUEUE_REFUSED', type: 'careless', cause: fault }
  const batch = [{ tenant: 'a' }, {}].map((payload) => ({ job: careless as JobDefinition, payload }))
  for (const [enqueuing, path] of [
    [ledger.enqueue(careless, {}), 'enqueue'],
    [ledger.enqueueMany(batch), 'enqueueMany[1]'],
  ] as const) {
    const message = `\`concurrencyKey\` of type "careless" refuses \`${path}\`: no tenant`
    expect(await rejection(enqueuing)).toMatchObject({ ...refused, message })
  }
  expect((await ledger.list()).jobs).toEqual([])
  expect((await ledger.enqueue(careless, {}, keyed('own'))).outcome).toBe('created')
})

scenario([], 'jobs of one key with different limits each go by their own', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  for (const [id, limit] of [
    ['one', 1],
    ['two', 2],
    ['three', 3],
  ] as const)
    await ledger.enqueue(remote, 1, { id, ...keyed('k', limit) })
  const first = await ledger.leaseById('two', worker)
  expect(await rejection(ledger.leaseById('one', worker))).toMatchObject({ code: 'KEY_AT_LIMIT', limit: 1 })
  await ledger.leaseById('three', worker)
  await ledger.finish(first.token)
  expect(await rejection(ledger.leaseById('one', worker))).toMatchObject({ code: 'KEY_AT_LIMIT' })
})

scenario([], 'a more urgent job whose own limit leaves room does not wait behind a full key', async (world) => {
  const { job, started, finish } = standing('work', { concurrencyKey: 'k' })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  await enqueueAll(ledger, ['runs', 'waits'], job)
  await started(0)
  await settled(world)
  await ledger.enqueue(job, null, { id: 'urgent', priority: 'high', concurrencyLimit: 5 })
  expect((await started(1)).id).toBe('urgent')
  await settled(world)
  expect(await ledger.status('waits')).toMatchObject({ state: 'ready' })
  finish(0)
  finish(1)
  expect((await started(2)).id).toBe('waits')
})

scenario([], 'the limits of a type are told with it', async (world) => {
  const jobs = [
    defineJob({ type: 'plain', handle: () => {} }),
    defineJob({ type: 'keyed', concurrencyKey: 'k', handle: () => {} }),
    defineJob({ type: 'held', requiredRole: 'admin', rateLimit: { limit: 9, per: '1m' }, handle: () => {} }),
  ]
  const told = (await world.open({ jobs })).types()
  const limits = told.map(({ requiredRoles, rateLimit, concurrencyLimit }) => [
    requiredRoles,
    rateLimit,
    concurrencyLimit,
  ])
  expect(limits).toEqual([
    [undefined, undefined, undefined],
    [undefined, undefined, 1],
    [['admin'], { limit: 9, perMs: 60_000 }, undefined],
  ])
})

scenario([], 'a retried attempt of a keyed job needs a place again', async (world) => {
  const job = failing(undefined, { maxAttempts: 3 })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  const jobs = [await ledger.enqueue(job, null, keyed('k')), await ledger.enqueue(job, null, keyed('k'))]
  for (const { id } of jobs) await world.pass(ledger.result(id).catch(() => {}))
  for (const { id } of jobs) expect(await ledger.attempts(id)).toHaveLength(3)
})
