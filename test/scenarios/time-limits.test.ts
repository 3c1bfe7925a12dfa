/** What a run is told about its own time, and steps of it that have less. */
import { expect } from 'vitest'
import { currentJob } from '../../adapters/node/current-job.js'
import { Timeout } from '../../runtime/errors.js'
import type { JobContext } from '../../runtime/work/run/context.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { World } from '../engine/support.js'
import { gate, never, rejection } from '../engine/support.js'
import { ended } from './acts.js'
import { scenario } from './scenario.js'

/** In a run that stands still until told to end: its context, and the end. */
async function inRun(world: World, timeout: string | null = null): Promise<{ ctx: JobContext; end(): Promise<void> }> {
  const began = gate<JobContext>()
  const over = gate()
  const job = defineJob({
    ...{ type: 'standing', timeout, maxAttempts: 1 },
    handle: async (_: null, ctx: JobContext) => {
      began.open(ctx)
      await over.promise
    },
  })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  const { id } = await ledger.enqueue(job, null, { id: 'standing' })
  return {
    ctx: await began.promise,
    async end() {
      over.open()
      await ended(world, ledger, id)
    },
  }
}

scenario(
  [48, '002.46'],
  'a run knows when its time is up, whoever has set it; without a timeout never',
  async (world) => {
    const seen: unknown[] = []
    const look = (ctx: JobContext) => seen.push(ctx.deadline?.getTime())
    const fixed = defineJob({ type: 'fixed', timeout: '5m', handle: (_: null, ctx) => look(ctx) })
    const asked = defineJob({
      type: 'asked',
      timeout: ({ attempt }) => attempt * 60_000,
      start: (_: null, ctx) => look(ctx),
      handle: () => {},
    })
    const ledger = await world.open({ jobs: [fixed, asked] })
    await ledger.start()
    const now = world.clock.now()
    await (await ledger.enqueue(fixed, null)).result()
    await (await ledger.enqueue(fixed, null, { timeout: '2s' })).result()
    await (await ledger.enqueue(fixed, null, { timeout: null })).result()
    await (await ledger.enqueue(asked, null)).result()
    expect(seen).toEqual([now + 300_000, now + 2_000, undefined, now + 60_000])
  },
)

scenario(
  [48, '002.46'],
  'that no further attempt is wanted can be read by all who are given the context',
  async (world) => {
    const seen: [string, boolean][] = []
    const job = defineJob({
      type: 'last',
      start: (_: null, ctx) => {
        seen.push(['start', ctx.retries])
        ctx.noRetry()
      },
      commit: ({ final }, ctx) => void seen.push([`commit ${final}`, ctx.retries]),
      handle: (_, ctx): never => {
        seen.push(['handle', ctx.retries])
        throw new Error('over')
      },
    })
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    const { id } = await ledger.enqueue(job, null)
    expect(await ended(world, ledger, id)).toMatchObject({ code: 'JOB_FAILED' })
    await world.clock.settle()
    expect(seen).toEqual([
      ['start', true],
      ['handle', false],
      ['commit true', false],
    ])
  },
)

scenario([48], 'a step that is done in time is what it comes to, and its timer is gone', async (world) => {
  const { ctx, end } = await inRun(world)
  const seen: unknown[] = []
  const step = async (signal: AbortSignal) => {
    await world.clock.settle()
    seen.push(signal.aborted, currentJob()?.id)
    signal.addEventListener('abort', () => seen.push('aborted'))
    return 'done'
  }
  expect(await ctx.withTimeout('1m', step)).toBe('done')
  expect(await ctx.withTimeout(60_000, () => 'at once')).toBe('at once')
  const fault = new Error('its own')
  const throwing = (): never => {
    throw fault
  }
  expect(await rejection(ctx.withTimeout('1m', throwing))).toBe(fault)
  expect(await rejection(ctx.withTimeout('1m', () => Promise.reject(fault)))).toBe(fault)
  await world.clock.advance('2m')
  await end()
  expect(seen).toEqual([false, undefined])
})

scenario([48], 'a step that takes too long is told, and not waited for', async (world) => {
  const { ctx, end } = await inRun(world)
  const signals: AbortSignal[] = []
  const late = gate()
  const waiting = rejection(
    ctx.withTimeout('30s', async (signal) => {
      signals.push(signal)
      await late.promise
      throw new Error('nobody hears this')
    }),
  )
  await world.clock.advance(29_999)
  expect(signals[0]?.aborted).toBe(false)
  await world.clock.advance(1)
  const timeout = await waiting
  expect(timeout).toBeInstanceOf(Timeout)
  expect(timeout).toMatchObject({
    code: 'TIMEOUT',
    message: expect.stringMatching(/^A step of job standing .* 30000 ms/),
  })
  expect(signals[0]?.reason).toBe(timeout)
  expect(ctx.signal.aborted).toBe(false)
  late.open()
  await world.clock.settle()
  await end()
})

scenario([48], 'a step that overruns is a failed attempt, if the handler lets its error pass', async (world) => {
  const job = defineJob({
    type: 'hasty',
    maxAttempts: 2,
    backoff: { min: '1s', factor: 1, jitter: 'none' },
    handle: (_: null, ctx) => (ctx.attempt === 1 ? ctx.withTimeout('10s', never) : 'second try'),
  })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  const { id } = await ledger.enqueue(job, null)
  expect(await ended(world, ledger, id)).toBe('second try')
  expect(await ledger.attempts(id)).toMatchObject([
    { outcome: 'failed', error: { name: 'Timeout' } },
    { outcome: 'succeeded' },
  ])
})

scenario([48], 'a run that is stopped stops its steps, and begins no new ones', async (world) => {
  const { ctx, end } = await inRun(world, '20s')
  const signals: AbortSignal[] = []
  const step = (signal: AbortSignal): Promise<never> => {
    signals.push(signal)
    return never()
  }
  const waiting = rejection(ctx.withTimeout('1h', step))
  await world.clock.advance('21s')
  const reason = await waiting
  expect(reason).toMatchObject({ code: 'TIMEOUT', message: expect.stringMatching(/^Job standing .* 20000 ms/) })
  expect([ctx.signal.reason, signals[0]?.reason]).toEqual([reason, reason])
  expect(await rejection(ctx.withTimeout('1h', step))).toBe(reason)
  expect(signals).toHaveLength(1)
  await end()
})

scenario([48], 'a limit that is none, and a step that cannot be called, are refused', async (world) => {
  const { ctx, end } = await inRun(world)
  const wrong: readonly (readonly [string, unknown, unknown])[] = [
    ['limit', 0, never],
    ['limit', 'soon', never],
    ['limit', undefined, never],
    ['limit', null, never],
    ['step', '1s', undefined],
    ['step', '1s', 'run'],
  ]
  for (const [field, limit, step] of wrong) {
    const refused = { code: 'INVALID_OPTION', option: `withTimeout.${field}` }
    expect(await rejection(ctx.withTimeout(limit as never, step as never)), field).toMatchObject(refused)
  }
  await end()
})
