/** A run that takes too long, and how that differs from a lease that is lost. */
import { expect } from 'vitest'
import { Timeout } from '../../runtime/errors.js'
import type { JobContext } from '../../runtime/work/run/context.js'
import type { JobDefaults } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { factsOf, never, rejection, typesOf } from '../engine/support.js'
import { echo, ended, failing, loseLease, standing, waits } from './acts.js'
import { scenario } from './scenario.js'

/** A type whose runs never end. */
const stuck = (more: Partial<JobDefaults<unknown>> = {}) =>
  defineJob({ type: 'stuck', backoff: { min: '1s', jitter: 'none' }, ...more, handle: (_: unknown) => never() })

scenario(
  [38, 'C13', '002.4'],
  'a run past its timeout has failed, its signal says why, and it is tried again',
  async (world) => {
    const contexts: JobContext[] = []
    const slow = defineJob({
      type: 'slow',
      timeout: '10s',
      maxAttempts: 3,
      backoff: { min: '5s', jitter: 'none' },
      handle: (_: null, ctx) => {
        contexts.push(ctx)
        return ctx.run < 3 ? never() : 'in time'
      },
    })
    const ledger = await world.open({ jobs: [slow] })
    await ledger.start()
    const { id } = await ledger.enqueue(slow, null)
    await world.clock.settle()
    const { signal } = contexts[0] as JobContext
    await world.clock.advance(9_999)
    expect(signal.aborted).toBe(false)
    await world.clock.advance(1)
    expect(signal.reason).toBeInstanceOf(Timeout)
    expect(await ended(world, ledger, id)).toBe('in time')
    expect(await factsOf(ledger, id, 'Failed')).toMatchObject([
      {
        cause: 'timeout',
        error: 'Timeout',
        attempt: 1,
        retryable: true,
        body: { message: expect.stringContaining('10000') },
      },
      { cause: 'timeout', error: 'Timeout', attempt: 2, retryable: true },
    ])
    expect(await ledger.attempts(id)).toMatchObject([
      { outcome: 'failed', cause: 'timeout' },
      { outcome: 'failed', cause: 'timeout' },
      { outcome: 'succeeded' },
    ])
  },
)

scenario([38, 'C9'], 'the slot is free at once, and what the handler does later is not heard', async (world) => {
  const { job, started, finish } = standing('slow', { timeout: '10s', maxAttempts: 1 })
  const ledger = await world.open({ jobs: [job, echo] })
  await ledger.start({ concurrency: 1 })
  const { id } = await ledger.enqueue(job, null)
  const ctx = await started(0)
  const waiting = await ledger.enqueue(echo, 'next')
  await world.clock.advance('10s')
  expect(await waiting.result()).toBe('next')
  finish(0, 'too late')
  await world.clock.settle()
  expect(await rejection(ctx.heartbeat(1))).toMatchObject({ code: 'LEASE_LOST' })
  expect(await typesOf(ledger, id)).toEqual(['Queued', 'Leased', 'Failed', 'Finished'])
  expect(await ledger.status(id)).toMatchObject({ state: 'failed', error: 'Timeout' })
})

scenario([38], 'a handler that throws because its signal aborted has failed once', async (world) => {
  const obedient = defineJob({
    type: 'obedient',
    timeout: '10s',
    maxAttempts: 1,
    handle: (_: null, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true })
      }),
  })
  const ledger = await world.open({ jobs: [obedient] })
  await ledger.start()
  const { id } = await ledger.enqueue(obedient, null)
  await ended(world, ledger, id)
  expect(await factsOf(ledger, id, 'Failed')).toMatchObject([{ cause: 'timeout', error: 'Timeout' }])
})

scenario(
  [38],
  'the timeout of the job goes before that of its type, and that before that of its queue',
  async (world) => {
    const own = stuck({ type: 'own', timeout: '20s', maxAttempts: 1 })
    const plain = stuck({ type: 'plain', maxAttempts: 1 })
    const ledger = await world.open({ jobs: [own, plain], queues: { default: { timeout: '30s' } } })
    await ledger.start()
    const ids = [
      (await ledger.enqueue(own, null, { timeout: '10s' })).id,
      (await ledger.enqueue(own, null)).id,
      (await ledger.enqueue(plain, null)).id,
      (await ledger.enqueue(own, null, { timeout: null })).id,
    ]
    const start = world.clock.now()
    await world.clock.advance('5m')
    const ends = await Promise.all(ids.map(async (id) => (await ledger.status(id)).endedAt))
    expect(ends.map((at) => at && at - start)).toEqual([10_000, 20_000, 30_000, undefined])
    expect(await ledger.status(ids[3] as string)).toMatchObject({ state: 'running', run: 1 })
  },
)

scenario([38], 'a type may compute the timeout of each run', async (world) => {
  const asked: unknown[] = []
  const computed = stuck({
    maxAttempts: 3,
    timeout: ({ payload, id, attempt }) => {
      asked.push([payload, id, attempt])
      return attempt === 3 ? null : attempt * 10_000
    },
  })
  const ledger = await world.open({ jobs: [computed] })
  await ledger.start()
  const { id } = await ledger.enqueue(computed, { size: 1 })
  await world.clock.advance('5m')
  const leased = await factsOf(ledger, id, 'Leased')
  const failed = await factsOf(ledger, id, 'Failed')
  expect(failed.map(({ at }, index) => (at as number) - (leased[index]?.at as number))).toEqual([10_000, 20_000])
  expect((await ledger.status(id)).state).toBe('running')
  expect(asked).toEqual([1, 2, 3].map((attempt) => [{ size: 1 }, id, attempt]))
  const short = await ledger.enqueue(computed, null, { timeout: '3s', maxAttempts: 1 })
  expect(await ended(world, ledger, short.id)).toMatchObject({ error: 'Timeout' })
  expect(asked).toHaveLength(3)
})

scenario([38, 'C9'], 'a timeout that cannot be computed is a failed attempt', async (world) => {
  for (const timeout of [
    () => {
      throw new Error('no idea')
    },
    () => 'soon' as never,
    () => 0,
  ]) {
    const odd = stuck({ maxAttempts: 1, timeout })
    const ledger = await world.open({ jobs: [odd, echo] })
    await ledger.start({ concurrency: 1 })
    const { id } = await ledger.enqueue(odd, null)
    expect(await ended(world, ledger, id)).toMatchObject({ code: 'JOB_FAILED' })
    expect(await (await ledger.enqueue(echo, 1)).result()).toBe(1)
    await world.close(ledger)
  }
})

scenario([38, 27, 'C27'], 'a timeout is nothing recoverable, and not tried again after ctx.noRetry', async (world) => {
  const strict = stuck({ type: 'strict', timeout: '10s', retryOn: 'recoverable-only' })
  const last = defineJob({
    type: 'last',
    timeout: '10s',
    handle: (_: null, ctx) => {
      ctx.noRetry()
      return never()
    },
  })
  const ledger = await world.open({ jobs: [strict, last] })
  await ledger.start()
  for (const { id } of [await ledger.enqueue(strict, null), await ledger.enqueue(last, null)]) {
    expect(await ended(world, ledger, id)).toMatchObject({ code: 'JOB_FAILED', error: 'Timeout' })
    expect(await factsOf(ledger, id, 'Failed')).toMatchObject([{ cause: 'timeout', retryable: false }])
  }
})

scenario([38, 27], 'onError hears of a timeout too', async (world) => {
  const heard: unknown[] = []
  const slow = stuck({
    timeout: '10s',
    onError: (error) => {
      heard.push(error)
      return !(error instanceof Timeout)
    },
  })
  const ledger = await world.open({ jobs: [slow] })
  await ledger.start()
  const { id } = await ledger.enqueue(slow, null)
  expect(await ended(world, ledger, id)).toMatchObject({ code: 'JOB_FAILED', error: 'Timeout' })
  expect(heard).toEqual([expect.any(Timeout)])
  expect(await ledger.status(id)).toMatchObject({ state: 'failed', run: 1 })
})

scenario([38, 25], 'nextRun is asked about a timeout too', async (world) => {
  const slow = stuck({ timeout: '10s', maxAttempts: 2, nextRun: ({ error }) => (error instanceof Timeout ? '42s' : 0) })
  const ledger = await world.open({ jobs: [slow] })
  await ledger.start()
  const { id } = await ledger.enqueue(slow, null)
  await ended(world, ledger, id)
  expect(await waits(ledger, id)).toEqual([42_000])
})

scenario([38, 'C9'], 'an onError that does not end is waited for as long as the run was', async (world) => {
  const hanging = [
    stuck({ type: 'after a timeout', timeout: '10s', maxAttempts: 1, onError: () => never() }),
    failing(undefined, { type: 'after an error', timeout: '10s', maxAttempts: 1, onError: () => never() }),
  ]
  const ledger = await world.open({ jobs: [...hanging, echo] })
  await ledger.start({ concurrency: 1 })
  for (const [job, longest] of [
    [hanging[0], 20_000],
    [hanging[1], 10_000],
  ] as const) {
    const begun = world.clock.now()
    const { id } = await ledger.enqueue(job as NonNullable<typeof job>, null)
    expect(await ended(world, ledger, id)).toMatchObject({ code: 'JOB_FAILED', error: 'Timeout' })
    expect((await ledger.status(id)).endedAt).toBe(begun + longest)
    expect(await (await ledger.enqueue(echo, 1)).result()).toBe(1)
  }
})

scenario([38, 'C13'], 'a run may outlive its lease many times over as long as it is alive', async (world) => {
  const { job, started, finish } = standing('long', { timeout: '10m' })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start({ lease: '5s' })
  const { id } = await ledger.enqueue(job, null)
  const { signal } = await started(0)
  await world.clock.advance('9m')
  expect(signal.aborted).toBe(false)
  finish(0, 'at last')
  expect(await ledger.result(id)).toBe('at last')
  expect(await factsOf(ledger, id, 'Failed')).toEqual([])
})

scenario([38, 'C13'], 'a timeout spends an attempt, a lost lease does not', async (world) => {
  const ledger = await world.open()
  const { id } = await ledger.enqueue(stuck(), null, { timeout: '1m', maxAttempts: 2 })
  await loseLease(world, ledger, id)
  expect(await ledger.status(id)).toMatchObject({ state: 'ready', run: 1, attempt: 0, error: 'LeaseLost' })
  const runner = await world.open({ jobs: [stuck()] })
  await runner.start()
  await world.clock.advance('70s')
  expect(await runner.status(id)).toMatchObject({ run: 3, attempt: 1, error: 'Timeout' })
  expect(await runner.attempts(id)).toMatchObject([
    { outcome: 'lost', cause: 'lease-lost', attempt: 1 },
    { outcome: 'failed', cause: 'timeout', attempt: 1 },
    { run: 3, attempt: 2 },
  ])
})

scenario([38], 'a timeout that is none is refused where it is given', async (world) => {
  const ledger = await world.open()
  for (const timeout of [0, -1, '10 parsecs', Number.NaN, {}] as never[]) {
    expect(await rejection(ledger.enqueue(echo, 1, { timeout }))).toMatchObject({ option: 'enqueue.timeout' })
    expect(await rejection((async () => stuck({ timeout }))())).toMatchObject({ option: 'defineJob.timeout' })
  }
  expect((await ledger.list()).jobs).toEqual([])
})
