/** How often a job is tried, what counts as a try, and where it stands in the queue afterwards. */
import { expect } from 'vitest'
import { defineJob } from '../../runtime/work/run/definition.js'
import { factsOf, next, rejection, typesOf } from '../engine/support.js'
import { echo, ended, failing, loseLease, standing, waits } from './acts.js'
import { scenario } from './scenario.js'

scenario(
  [24, 'C5', 'C7'],
  'maxAttempts counts the first attempt, and the last failure ends the job as failed',
  async (world) => {
    const once = failing()
    const ledger = await world.open({ jobs: [once] })
    await ledger.start()
    for (const maxAttempts of [1, 2, 5]) {
      const { id } = await ledger.enqueue(once, null, { maxAttempts })
      expect(await ended(world, ledger, id)).toMatchObject({ code: 'JOB_FAILED', error: 'Error' })
      expect(await ledger.status(id)).toMatchObject({
        state: 'failed',
        run: maxAttempts,
        attempt: maxAttempts,
        maxAttempts,
      })
      expect(await factsOf(ledger, id, 'Failed')).toHaveLength(maxAttempts)
      expect(await factsOf(ledger, id, 'Retried')).toHaveLength(maxAttempts - 1)
      expect(await factsOf(ledger, id, 'Finished')).toMatchObject([{ outcome: 'failed', error: 'Error' }])
      expect(await factsOf(ledger, id, 'Cancelled')).toEqual([])
    }
    expect(await ledger.queues.stats()).toMatchObject({ default: { failed: 3, cancelled: 0 } })
  },
)

scenario([24, 'C5'], 'without a maximum a job is tried until it succeeds', async (world) => {
  const stubborn = defineJob({
    type: 'stubborn',
    maxAttempts: null,
    backoff: { min: '1s', max: '1s', jitter: 'none' },
    handle: (_: null, { attempt }) => {
      if (attempt < 50) throw new Error('not yet')
      return attempt
    },
  })
  const ledger = await world.open({ jobs: [stubborn] })
  await ledger.start()
  const { id } = await ledger.enqueue(stubborn, null)
  expect(await ended(world, ledger, id)).toBe(50)
  expect(await ledger.status(id)).toMatchObject({ state: 'succeeded', run: 50, maxAttempts: null })
})

scenario(
  [24, 'C5'],
  'what an enqueue says of attempts goes before its type, and that before its queue',
  async (world) => {
    const own = failing(undefined, { type: 'own', maxAttempts: 2 })
    const plain = failing(undefined, { type: 'plain' })
    const ledger = await world.open({ jobs: [own, plain], queues: { default: { maxAttempts: 3 } } })
    await ledger.start()
    const jobs = await Promise.all([
      ledger.enqueue(own, null, { maxAttempts: 4 }),
      ledger.enqueue(own, null),
      ledger.enqueue(plain, null),
    ])
    for (const { id } of jobs) await ended(world, ledger, id)
    const runs = await Promise.all(jobs.map(async ({ id }) => (await ledger.status(id)).run))
    expect(runs).toEqual([4, 2, 3])
  },
)

scenario([24, 'C5'], 'a lost lease spends no attempt; the third one in a round ends the job', async (world) => {
  const ledger = await world.open()
  const { id } = await ledger.enqueue(echo, 1, { maxAttempts: 1 })
  for (const lost of [1, 2]) {
    await loseLease(world, ledger, id)
    expect(await ledger.status(id)).toMatchObject({ state: 'ready', run: lost, attempt: 0, error: 'LeaseLost' })
  }
  await loseLease(world, ledger, id)
  expect(await ledger.status(id)).toMatchObject({ state: 'failed', run: 3, attempt: 0, error: 'LeaseLost' })
  const failed = await factsOf(ledger, id, 'Failed')
  expect(failed.map(({ cause, attempt, retryable }) => [cause, attempt, retryable])).toEqual([
    ['lease-lost', 1, true],
    ['lease-lost', 1, true],
    ['lease-lost', 1, false],
  ])
})

scenario([24, 'C5'], 'lost leases and failed attempts are counted side by side', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const { id } = await ledger.enqueue(echo, 1, { maxAttempts: 2, backoff: { min: 0, max: 0 } })
  const failOnce = async (): Promise<number> => {
    const { token, attempt } = await ledger.leaseById(id, worker)
    await ledger.fail(token, new Error('no'))
    return attempt
  }
  await loseLease(world, ledger, id)
  expect(await failOnce()).toBe(1)
  await loseLease(world, ledger, id)
  expect(await ledger.status(id)).toMatchObject({ state: 'ready', run: 3, attempt: 1 })
  expect(await failOnce()).toBe(2)
  expect(await ledger.status(id)).toMatchObject({ state: 'failed', run: 4, attempt: 2, error: 'Error' })
})

scenario([24, 'C5', 28], 'a new round may lose as many leases again', async (world) => {
  const ledger = await world.open()
  const { id } = await ledger.enqueue(echo, 1)
  for (let n = 0; n < 3; n += 1) await loseLease(world, ledger, id)
  await ledger.retry(id)
  for (let n = 0; n < 2; n += 1) await loseLease(world, ledger, id)
  expect(await ledger.status(id)).toMatchObject({ state: 'ready', run: 5, attempt: 0 })
  await loseLease(world, ledger, id)
  expect(await ledger.status(id)).toMatchObject({ state: 'failed', run: 6 })
})

scenario([24, 'C6'], 'who waits for the next attempt holds no slot', async (world) => {
  const failed = failing(undefined, { backoff: { min: '10m', jitter: 'none' } })
  const ledger = await world.open({ jobs: [failed, echo] })
  await ledger.start({ concurrency: 1 })
  const { id } = await ledger.enqueue(failed, null, { maxAttempts: 2 })
  await world.clock.settle()
  expect(await ledger.status(id)).toMatchObject({ state: 'scheduled', runAt: world.clock.now() + 600_000 })
  expect(await (await ledger.enqueue(echo, 'meanwhile')).result()).toBe('meanwhile')
  expect(await ended(world, ledger, id)).toMatchObject({ code: 'JOB_FAILED' })
  expect(await waits(ledger, id)).toEqual([600_000])
})

scenario(
  [24, 'C8'],
  'requeueOrFinish sends a job back to its place, and counts every earlier re-run',
  async (world) => {
    const ledger = await world.open()
    const workerId = await ledger.workers.register()
    const ids = ['first', 'second', 'third']
    for (const id of ids) {
      await ledger.enqueue(echo, id, { id, backoff: { min: 0, max: 0 } })
      await world.clock.advance('1s')
    }
    const lease = () => ledger.lease({ workerId, timeout: 0 })
    const one = await lease()
    expect(await ledger.requeueOrFinish(one.token, 3, 'unused')).toBe(true)
    expect((await ledger.status('first')).result).toBeUndefined()
    const two = await lease()
    expect([one.id, two.id, two.run, two.attempt]).toEqual(['first', 'first', 2, 1])
    await ledger.fail(two.token, new Error('a re-run as well'))
    await loseLease(world, ledger, 'first')
    const four = await ledger.leaseById('first', workerId)
    expect(await ledger.requeueOrFinish(four.token, 3, 'the end')).toBe(false)
    expect(await ledger.status('first')).toMatchObject({ state: 'succeeded', result: 'the end', run: 4 })
    expect(await rejection(ledger.requeueOrFinish(four.token, 3))).toMatchObject({ code: 'LEASE_LOST' })
  },
)

scenario([24, 'C8'], 'a requeue with no retries left is a plain finish', async (world) => {
  const ledger = await world.open()
  const workerId = await ledger.workers.register()
  const { id } = await ledger.enqueue(echo, 1)
  const { token } = await ledger.leaseById(id, workerId)
  expect(await ledger.requeueOrFinish(token, 0, { done: true })).toBe(false)
  expect(await ledger.status(id)).toMatchObject({ state: 'succeeded', result: { done: true } })
})

scenario(
  ['C8', '003.5'],
  'a lost lease keeps its place, a failed attempt comes in by its new run time',
  async (world) => {
    const ledger = await world.open()
    const workerId = await ledger.workers.register()
    const enqueue = async (id: string) => {
      await ledger.enqueue(echo, id, { id, backoff: { min: 0, max: 0 } })
      await world.clock.advance('1s')
    }
    for (const id of ['a', 'b', 'c']) await enqueue(id)
    await loseLease(world, ledger, 'a')
    const again = await ledger.lease({ workerId, timeout: 0 })
    expect(again).toMatchObject({ id: 'a', run: 2 })
    await ledger.fail(again.token, new Error('to the end of the line'))
    const order: string[] = []
    for (let n = 0; n < 3; n += 1) order.push((await ledger.lease({ workerId, timeout: 0 })).id)
    expect(order).toEqual(['b', 'c', 'a'])
  },
)

scenario(['C8', '003.5'], 'a requeued job keeps its age, also at another priority', async (world) => {
  const ledger = await world.open()
  const workerId = await ledger.workers.register()
  for (const id of ['a', 'b', 'c']) {
    await ledger.enqueue(echo, id, { id, priority: id === 'a' ? 5 : 1 })
    await world.clock.advance('1s')
  }
  const { token } = await ledger.leaseById('a', workerId)
  await ledger.requeueOrFinish(token, 9)
  await ledger.reschedule('a', { priority: 1 })
  const order: string[] = []
  for (let n = 0; n < 3; n += 1) order.push((await ledger.lease({ workerId, timeout: 0 })).id)
  expect(order).toEqual(['a', 'b', 'c'])
})

scenario([27, 'C5'], 'a snoozed run spends no attempt, and holds no slot until it goes on', async (world) => {
  const runs: [run: number, attempt: number][] = []
  const patient = defineJob({
    type: 'patient',
    maxAttempts: 1,
    handle: (_: null, ctx) => {
      runs.push([ctx.run, ctx.attempt])
      if (ctx.run < 4) ctx.snooze('5m')
      return `run ${ctx.run}`
    },
  })
  const ledger = await world.open({ jobs: [patient, echo] })
  await ledger.start({ concurrency: 1 })
  const { id } = await ledger.enqueue(patient, null)
  await world.clock.settle()
  expect(await ledger.status(id)).toMatchObject({
    state: 'scheduled',
    runAt: world.clock.now() + 300_000,
    attempt: 0,
  })
  expect(await (await ledger.enqueue(echo, 1)).result()).toBe(1)
  expect(await ended(world, ledger, id)).toBe('run 4')
  expect(runs).toEqual([
    [1, 1],
    [2, 1],
    [3, 1],
    [4, 1],
  ])
  const snoozed = ['Leased', 'Released']
  expect(await typesOf(ledger, id)).toEqual(['Queued', ...snoozed, ...snoozed, ...snoozed, 'Leased', 'Finished'])
  expect(await factsOf(ledger, id, 'Released')).toMatchObject([{ by: 'snooze' }, { by: 'snooze' }, { by: 'snooze' }])
})

scenario([27], 'a snooze names an instant or a wait, and nothing else', async (world) => {
  const until = new Date(world.clock.now() + 90_000)
  const refused: unknown[] = []
  const picky = defineJob({
    type: 'picky',
    handle: async (_: null, ctx) => {
      if (ctx.run > 1) return world.clock.now()
      for (const wrong of ['soon', Number.NaN, new Date(Number.NaN)]) {
        refused.push(await rejection((async () => ctx.snooze(wrong as Date))()))
      }
      ctx.snooze(until)
      return undefined
    },
  })
  const ledger = await world.open({ jobs: [picky] })
  await ledger.start()
  const { id } = await ledger.enqueue(picky, null)
  expect(await ended(world, ledger, id)).toBe(until.getTime())
  for (const error of refused) expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'snooze' })
  expect(refused).toHaveLength(3)
})

scenario([27, 'C5'], 'a run that snoozes and then throws has failed', async (world) => {
  const torn = defineJob({
    type: 'torn',
    maxAttempts: 1,
    handle: (_: null, ctx): never => {
      ctx.snooze('1h')
      throw new Error('and yet')
    },
  })
  const ledger = await world.open({ jobs: [torn] })
  await ledger.start()
  const { id } = await ledger.enqueue(torn, null)
  expect(await ended(world, ledger, id)).toMatchObject({ code: 'JOB_FAILED', error: 'Error' })
})

scenario([24, 'C5'], 'a run given back when its process shuts down spends no attempt', async (world) => {
  const { job, started } = standing()
  const before = await world.open({ jobs: [job] })
  await before.start()
  const { id } = await before.enqueue(job, null, { maxAttempts: 1 })
  await started(0)
  await world.close(before, { drain: '1s', timeout: '2s' })
  const after = await world.open({ jobs: [job] })
  expect(await after.status(id)).toMatchObject({ state: 'ready', run: 1, attempt: 0 })
  const leased = next(after, id, 'Leased')
  await after.start()
  expect((await leased).data).toMatchObject({ run: 2, attempt: 1 })
})
