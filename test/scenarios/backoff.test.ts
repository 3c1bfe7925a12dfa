/** How long a failed attempt waits for the next one, and when there is no next one. */
import { expect } from 'vitest'
import type { BackoffOptions } from '../../domain/backoff.js'
import { backoffPresets } from '../../domain/backoff.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { factsOf, rejection } from '../engine/support.js'
import { drawing, ended, failing, waits } from './acts.js'
import { scenario } from './scenario.js'

const HOUR = 3_600_000

scenario([25, 'C6'], 'the delay grows by its factor up to its maximum', async (world) => {
  const job = failing(undefined, { backoff: { min: '1s', factor: 3, max: '20s', jitter: 'none' }, maxAttempts: 6 })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  const { id } = await ledger.enqueue(job, null)
  await ended(world, ledger, id)
  expect(await waits(ledger, id)).toEqual([1_000, 3_000, 9_000, 20_000, 20_000])
  const leased = await factsOf(ledger, id, 'Leased')
  const retried = await factsOf(ledger, id, 'Retried')
  expect(leased.slice(1).map(({ at }) => at)).toEqual(retried.map(({ runAt }) => runAt))
})

/** Jitter, draws, and the waits they give of a delay of 10 s. */
const JITTER: readonly (readonly [NonNullable<BackoffOptions['jitter']>, readonly number[], readonly number[]])[] = [
  ['none', [0, 0.5, 0.999_9], [10_000, 10_000, 10_000]],
  ['full', [0, 0.5, 0.999_9], [0, 5_000, 9_999]],
  ['min', [0, 0.5, 0.75], [4_000, 7_000, 8_500]],
  [0.2, [0, 0.5, 0.75], [8_000, 10_000, 11_000]],
  [1, [0, 0.5, 0.75], [0, 10_000, 15_000]],
]

scenario([25, 'C6'], 'jitter spreads the delay: all of it, from the minimum on, or by a fraction', async (world) => {
  const job = failing(undefined, { maxAttempts: 5 })
  for (const [jitter, draws, expected] of JITTER) {
    const ledger = await world.open({ jobs: [job], ids: drawing(world, 0.5, ...draws) })
    await ledger.start()
    // The first wait is the minimum itself.
    const { id } = await ledger.enqueue(job, null, { backoff: { min: '4s', max: '10s', factor: 10, jitter } })
    await ended(world, ledger, id)
    expect((await waits(ledger, id)).slice(1), `jitter ${jitter}`).toEqual(expected)
    await world.close(ledger)
  }
})

const PRESETS: readonly (readonly [keyof typeof backoffPresets, draw: number, readonly number[]])[] = [
  ['gue', 0.5, [1_600, 2_560, 4_096, 6_554, 10_486]],
  ['gue', 0, [1_280, 2_048, 3_277, 5_243, 8_389]],
  ['gue', 0.75, [1_760, 2_816, 4_506, 7_209, 11_534]],
  ['cozy', 0.5, [60, 120, 240, 480, 960]],
  ['cozy', 0, [54, 108, 216, 432, 864]],
  ['boltqueue', 0.3, [100, 200, 400, 800, 1_600]],
  ['immediate', 0.3, [0, 0, 0, 0, 0]],
]

scenario([25, 'C6'], 'the delays of other queues are at hand as presets', async (world) => {
  for (const [preset, draw, expected] of PRESETS) {
    const job = failing(undefined, { backoff: backoffPresets[preset], maxAttempts: 6 })
    const ledger = await world.open({ jobs: [job], ids: drawing(world, draw) })
    await ledger.start()
    const { id } = await ledger.enqueue(job, null)
    await ended(world, ledger, id)
    expect(await waits(ledger, id), `${preset}, ${draw}`).toEqual(expected)
    await world.close(ledger)
  }
})

scenario([25, 'C6'], 'presets stop growing where their models do', async (world) => {
  const ledger = await world.open({ ids: drawing(world, 0.5) })
  const workerId = await ledger.workers.register()
  const job = failing()
  for (const [preset, cap] of [
    ['gue', HOUR],
    ['boltqueue', 10_000],
  ] as const) {
    const { id } = await ledger.enqueue(job, null, { maxAttempts: null, backoff: backoffPresets[preset] })
    for (let n = 0; n < 20; n += 1) {
      const { token } = await ledger.leaseById(id, workerId)
      await ledger.fail(token, new Error('again'))
      await ledger.promote(id)
    }
    expect((await waits(ledger, id)).at(-1), preset).toBe(cap)
  }
})

scenario([25, 'C6'], 'the delay is recorded once and holds for whoever opens the log next', async (world) => {
  const job = failing(undefined, { backoff: { min: '10s' } })
  const before = await world.open({ jobs: [job], ids: drawing(world, 0.37) })
  await before.start()
  const { id } = await before.enqueue(job, null)
  await world.clock.settle()
  const runAt = world.clock.now() + 3_700
  expect(await factsOf(before, id, 'Retried')).toMatchObject([{ runAt, by: 'policy' }])
  await world.close(before)
  const after = await world.open({ jobs: [job], ids: drawing(world, 0.99) })
  expect(await after.status(id)).toMatchObject({ state: 'scheduled', runAt })
  await after.start()
  await world.clock.advance(runAt - world.clock.now() - 1)
  expect((await after.status(id)).run).toBe(1)
  await world.clock.advance(1)
  expect((await after.status(id)).run).toBe(2)
})

scenario([25, 'C6'], 'job, type and queue each say what they want to of the delay', async (world) => {
  const typed = failing(undefined, { type: 'typed', backoff: { factor: 2 }, maxAttempts: 4 })
  const queues = { default: { backoff: { min: '3s', factor: 10, max: '1m', jitter: 'none' as const } } }
  const ledger = await world.open({ jobs: [typed], queues })
  await ledger.start()
  const { id } = await ledger.enqueue(typed, null, { backoff: { max: '10s' } })
  await ended(world, ledger, id)
  expect(await waits(ledger, id)).toEqual([3_000, 6_000, 10_000])
})

scenario([24, 25, 26], 'a limit of tries tightens maxAttempts and never widens it', async (world) => {
  const job = failing()
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  const runs: number[] = []
  for (const [limit, maxAttempts] of [
    [2, 5],
    [5, 2],
    [3, null],
    [null, 4],
  ] as const) {
    const { id } = await ledger.enqueue(job, null, { maxAttempts, backoff: { limit } })
    await ended(world, ledger, id)
    const { state, run } = await ledger.status(id)
    expect(state).toBe('failed')
    runs.push(run)
  }
  expect(runs).toEqual([2, 2, 3, 4])
})

scenario([26, 'C6'], 'no retry begins once the expiration is over', async (world) => {
  const job = failing(undefined, { backoff: { min: '10s', factor: 1, jitter: 'none', expiration: '25s' } })
  const exact = failing(undefined, {
    ...{ type: 'exact' },
    backoff: { min: '10s', factor: 1, jitter: 'none', expiration: '20s' },
  })
  const ledger = await world.open({ jobs: [job, exact] })
  await ledger.start()
  const ids = [(await ledger.enqueue(job, null)).id, (await ledger.enqueue(exact, null)).id]
  const start = world.clock.now()
  for (const id of ids) {
    expect(await ended(world, ledger, id)).toMatchObject({ code: 'JOB_FAILED', error: 'Error' })
    const leased = await factsOf(ledger, id, 'Leased')
    expect(leased.map(({ at }) => (at as number) - start)).toEqual([0, 10_000, 20_000])
    expect(await ledger.status(id)).toMatchObject({ state: 'failed', attempt: 3, maxAttempts: 20 })
  }
})

scenario(
  [26, 28],
  'the expiration counts from the first run, not from the enqueue, and anew in a new round',
  async (world) => {
    const job = failing(undefined, { backoff: { min: '10s', factor: 1, jitter: 'none', expiration: '15s' } })
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    const { id } = await ledger.enqueue(job, null, { delay: '10m' })
    await ended(world, ledger, id)
    expect((await ledger.status(id)).run).toBe(2)
    await world.clock.advance('10m')
    await ledger.retry(id)
    await ended(world, ledger, id)
    expect(await ledger.status(id)).toMatchObject({ state: 'failed', run: 4, attempt: 2 })
  },
)

scenario([26, 27], 'a time that an error asks for is no way around the expiration', async (world) => {
  const ledger = await world.open()
  const workerId = await ledger.workers.register()
  const { id } = await ledger.enqueue(failing(), null, { backoff: { expiration: '1m' } })
  const first = await ledger.leaseById(id, workerId)
  await ledger.fail(first.token, new Error('later'), { retryAt: '59s' })
  expect(await ledger.status(id)).toMatchObject({ state: 'scheduled', runAt: world.clock.now() + 59_000 })
  await world.clock.advance('59s')
  const second = await ledger.leaseById(id, workerId)
  await ledger.fail(second.token, new Error('too late'), { retryAt: '2s' })
  expect(await ledger.status(id)).toMatchObject({ state: 'failed', errorMessage: 'too late' })
})

scenario([25, 26, 'C6'], 'a backoff that makes no sense is refused where it is given', async (world) => {
  const job = failing()
  const ledger = await world.open({ jobs: [job] })
  const wrong: readonly (readonly [string, BackoffOptions])[] = [
    ['min', { min: 'soon' as never }],
    ['max', { min: '2s', max: '1s' }],
    ['factor', { factor: 0.5 }],
    ['jitter', { jitter: 2 }],
    ['jitter', { jitter: 'some' as never }],
    ['limit', { limit: 0 }],
    ['expiration', { expiration: 0 }],
    ['maximum', { maximum: 1 } as BackoffOptions],
  ]
  for (const [field, backoff] of wrong) {
    const refused = { code: 'INVALID_OPTION', option: `enqueue.backoff.${field}` }
    expect(await rejection(ledger.enqueue(job, null, { backoff })), field).toMatchObject(refused)
    expect(await rejection((async () => defineJob({ type: 'wrong', backoff }))())).toMatchObject({
      code: 'INVALID_OPTION',
      option: `defineJob.backoff.${field}`,
    })
  }
  expect((await ledger.list()).jobs).toEqual([])
})
