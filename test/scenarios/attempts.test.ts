/** What is kept of every run, and of what it threw. */
import { expect } from 'vitest'
import type { JobContext } from '../../runtime/work/run/context.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { rejection } from '../engine/support.js'
import { echo, ended, failing, loseLease, standing } from './acts.js'
import { scenario } from './scenario.js'

class CardDeclined extends Error {
  override name = 'CardDeclined'
}

scenario([30, '001.10'], 'each run is an entry with times, worker, outcome, error and both versions', async (world) => {
  const flaky = defineJob({
    type: 'flaky',
    backoff: { min: '10s', jitter: 'none' },
    handle: async (_: null, ctx) => {
      await ctx.heartbeat(ctx.run * 10)
      if (ctx.run < 3) throw new CardDeclined(`run ${ctx.run}`)
      return 'paid'
    },
  })
  const client = await world.open({ codeVersion: 'enqueuer-1' })
  const ledger = await world.open({ jobs: [flaky], codeVersion: 'runner-2' })
  const start = world.clock.now()
  const { id } = await client.enqueue(flaky, null)
  await ledger.start()
  await ended(world, ledger, id)
  const attempts = await ledger.attempts(id)
  const all = { round: 1, workerId: expect.any(String), codeVersion: 'runner-2', enqueuedVersion: 'enqueuer-1' }
  const failure = (run: number) => ({
    outcome: 'failed',
    cause: 'error',
    error: { name: 'CardDeclined', message: `run ${run}`, stack: expect.stringContaining('attempts.test.ts') },
  })
  const at = (seconds: number) => start + seconds * 1_000
  expect(attempts).toEqual([
    { ...all, ...failure(1), run: 1, attempt: 1, startedAt: at(0), endedAt: at(0), retryAt: at(10), progress: 10 },
    { ...all, ...failure(2), run: 2, attempt: 2, startedAt: at(10), endedAt: at(10), retryAt: at(30), progress: 20 },
    { ...all, run: 3, attempt: 3, startedAt: at(30), endedAt: at(30), outcome: 'succeeded', progress: 30 },
  ])
  expect((await ledger.queues.stats()).default).toMatchObject({ ready: 0, scheduled: 0, running: 0, succeeded: 1 })
})

scenario([30], 'a run in progress has no end yet, and one that never was has no worker', async (world) => {
  const { job, started } = standing()
  const ledger = await world.open({ jobs: [job] })
  const running = await ledger.enqueue(job, null)
  const unstarted = await ledger.enqueue(echo, 1)
  expect(await ledger.attempts(running.id)).toEqual([])
  await ledger.start()
  const { workerId } = await started(0)
  const startedAt = world.clock.now()
  expect(await ledger.attempts(running.id)).toEqual([{ run: 1, attempt: 1, round: 1, workerId, startedAt }])
  await ledger.failUnstarted(unstarted.id)
  expect(await ledger.attempts(unstarted.id)).toMatchObject([
    { run: 0, attempt: 0, workerId: undefined, outcome: 'failed', cause: 'not-started' },
  ])
})

scenario(
  [30, 'C5'],
  'runs that were lost, given back, snoozed, cancelled or timed out are told apart',
  async (world) => {
    const { job, started } = standing('standing', { timeout: '1m', backoff: { min: 0, max: 0 } })
    const snoozing = defineJob({ type: 'snoozing', handle: (_: null, ctx: JobContext) => ctx.snooze('1h') })
    const ledger = await world.open({ jobs: [job, snoozing] })
    const workerId = await ledger.workers.register()
    const { id } = await ledger.enqueue(job, null)
    await loseLease(world, ledger, id)
    const { token } = await ledger.leaseById(id, workerId)
    await ledger.requeueOrFinish(token, 9)
    await ledger.start()
    await started(0)
    await world.clock.advance('1m')
    await started(1)
    await ledger.cancel(id)
    const attempts = await ledger.attempts(id)
    expect(attempts.map(({ run, attempt, outcome, cause }) => [run, attempt, outcome, cause])).toEqual([
      [1, 1, 'lost', 'lease-lost'],
      [2, 1, 'released', undefined],
      [3, 1, 'failed', 'timeout'],
      [4, 2, 'cancelled', undefined],
    ])
    expect(attempts[1]?.workerId).toBe(workerId)
    const snoozed = await ledger.enqueue(snoozing, null)
    await world.clock.settle()
    expect(await ledger.attempts(snoozed.id)).toMatchObject([
      { outcome: 'released', retryAt: world.clock.now() + 3_600_000 },
    ])
  },
)

scenario([30, 28], 'errors of earlier rounds stay, whoever opens the log', async (world) => {
  const job = failing(undefined, { maxAttempts: 2 })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  const { id } = await ledger.enqueue(job, null)
  for (const round of [1, 2, 3]) {
    if (round > 1) await ledger.retry(id)
    await ended(world, ledger, id)
  }
  await world.close(ledger)
  const reader = await world.open()
  const attempts = await reader.attempts(id)
  expect(attempts.map(({ run, attempt, round, error }) => [run, attempt, round, error?.message])).toEqual([
    [1, 1, 1, 'run 1'],
    [2, 2, 1, 'run 2'],
    [3, 1, 2, 'run 3'],
    [4, 2, 2, 'run 4'],
    [5, 1, 3, 'run 5'],
    [6, 2, 3, 'run 6'],
  ])
  expect(attempts.map(({ retryAt }) => retryAt !== undefined)).toEqual([true, false, true, false, true, false])
})

scenario([30], 'attempts of no job are refused, those of an expunged one keep their names', async (world) => {
  const job = failing(() => new CardDeclined('secret number'), { maxAttempts: 1 })
  const ledger = await world.open({ jobs: [job] })
  expect(await rejection(ledger.attempts('nobody'))).toMatchObject({ code: 'JOB_UNKNOWN' })
  await ledger.start()
  const { id } = await ledger.enqueue(job, null)
  await ended(world, ledger, id)
  await ledger.expunge(id)
  const [attempt] = await ledger.attempts(id)
  expect(attempt).toMatchObject({ outcome: 'failed', error: { name: 'CardDeclined', message: '' } })
  expect(JSON.stringify(await ledger.history(id))).not.toContain('secret')
})

const hostile = {
  toString(): string {
    throw new Error('no text for you')
  },
}
/** What is thrown, and what is kept of it. */
const THROWN: readonly (readonly [unknown, string, unknown])[] = [
  [undefined, 'NonError', 'undefined'],
  [null, 'NonError', 'null'],
  [0, 'NonError', '0'],
  ['out of paper', 'NonError', 'out of paper'],
  [10n, 'NonError', '10'],
  [{ status: 500 }, 'NonError', '[object Object]'],
  [Symbol('s'), 'NonError', expect.any(String)],
  [hostile, 'NonError', expect.any(String)],
  [new CardDeclined('no funds'), 'CardDeclined', 'no funds'],
  [new AggregateError([new Error('a')], 'all of them'), 'AggregateError', 'all of them'],
  [Object.assign(new Error('m'), { name: '' }), 'Error', 'm'],
]

scenario(
  [31, 'C9', '001.9', '002.3'],
  'whatever is thrown is a failed attempt, tried again, and its slot is free',
  async (world) => {
    const throwing = defineJob({
      type: 'throwing',
      backoff: { min: 1, jitter: 'none' },
      handle: ({ which, late }: { which: number; late: boolean }, { run }) => {
        if (run === 2) return 'recovered'
        const thrown = THROWN[which]?.[0]
        if (late) return Promise.reject(thrown)
        throw thrown
      },
    })
    const ledger = await world.open({ jobs: [throwing, echo] })
    await ledger.start({ concurrency: 1 })
    for (const [which, [, name, message]] of THROWN.entries()) {
      for (const late of [false, true]) {
        const { id } = await ledger.enqueue(throwing, { which, late })
        expect(await ended(world, ledger, id)).toBe('recovered')
        const [first, second] = await ledger.attempts(id)
        expect(first).toMatchObject({ outcome: 'failed', cause: 'error', error: { name, message } })
        expect(second).toMatchObject({ outcome: 'succeeded', attempt: 2 })
      }
    }
    expect(await (await ledger.enqueue(echo, 'free')).result()).toBe('free')
  },
)

scenario([31, 'C9'], 'the stack says where, however deep and however late it was thrown', async (world) => {
  function thrower(): never {
    throw new TypeError('deep down')
  }
  const deep = defineJob({
    type: 'deep',
    maxAttempts: 1,
    handle: async (_: null) => {
      await Promise.resolve()
      thrower()
    },
  })
  const slip = defineJob({
    type: 'slip',
    maxAttempts: 1,
    handle: (payload: unknown) => (payload as { missing: { field: string } }).missing.field,
  })
  const ledger = await world.open({ jobs: [deep, slip] })
  await ledger.start()
  const jobs = [await ledger.enqueue(deep, null), await ledger.enqueue(slip, {})]
  for (const { id } of jobs) expect(await ended(world, ledger, id)).toMatchObject({ error: 'TypeError' })
  const [thrown, slipped] = await Promise.all(jobs.map(async ({ id }) => (await ledger.attempts(id))[0]?.error))
  expect(thrown?.stack).toContain('thrower')
  expect(slipped?.stack).toContain('attempts.test.ts')
})

scenario([31, 'C9'], 'a result that cannot be stored is a failed attempt too', async (world) => {
  const odd = defineJob({ type: 'odd', maxAttempts: 1, handle: (_: null): unknown => ({ deep: [1n] }) })
  const ledger = await world.open({ jobs: [odd, echo] })
  await ledger.start({ concurrency: 1 })
  const { id } = await ledger.enqueue(odd, null)
  expect(await ended(world, ledger, id)).toMatchObject({ code: 'JOB_FAILED', error: 'InvalidPayload' })
  expect(await ledger.attempts(id)).toMatchObject([
    { outcome: 'failed', error: { message: expect.stringContaining('result') } },
  ])
  expect(await (await ledger.enqueue(echo, 1)).result()).toBe(1)
})

scenario([31, 'C9'], 'an error of monstrous size is kept in a size that one can keep', async (world) => {
  const job = failing(() => new Error('x'.repeat(5_000_000)), { maxAttempts: 1 })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  const { id } = await ledger.enqueue(job, null)
  await ended(world, ledger, id)
  const [attempt] = await ledger.attempts(id)
  expect(attempt?.error?.message).toMatch(/^x{1000}/)
  expect(JSON.stringify(attempt).length).toBeLessThan(200_000)
})
