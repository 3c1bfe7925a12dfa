/** The end of work: no more leases, time for what runs, abort, a deadline, and everything given back unspent. */
import { expect } from 'vitest'
import type { Ledger } from '../../runtime/ledger.js'
import type { CloseOptions } from '../../runtime/options.js'
import type { JobContext } from '../../runtime/work/run/context.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { World } from '../engine/support.js'
import { never, typesOf } from '../engine/support.js'
import { echo, standing } from './acts.js'
import { watched } from './remote.js'
import { scenario } from './scenario.js'

const WAYS: readonly (readonly [string, (ledger: Ledger, options: CloseOptions) => Promise<unknown>])[] = [
  ['stop', (ledger, options) => ledger.stop(options)],
  ['close', (ledger, options) => ledger.close(options)],
]

/** A type that hears of the abort, and ends as `onAbort` says. */
function hearing(type: string, onAbort: (ctx: JobContext) => unknown): JobDefinition<null, unknown> {
  return defineJob({
    type,
    maxAttempts: 1,
    handle: (_: null, ctx) =>
      new Promise((resolve, reject) => {
        ctx.signal.addEventListener('abort', () => {
          Promise.resolve(ctx).then(onAbort).then(resolve, reject)
        })
      }),
  })
}

/** A ledger in which one job of each of these types runs, called after its type, in all its slots. */
async function busy(world: World, jobs: readonly JobDefinition<null, unknown>[]): Promise<Ledger> {
  const ledger = await world.open({ jobs: [...jobs, echo] as readonly JobDefinition[] })
  await ledger.start({ concurrency: jobs.length, lease: '1h' })
  for (const job of jobs) await ledger.enqueue(job, null, { id: job.type })
  await world.clock.settle()
  return ledger
}

scenario(
  [78, 'C20', '002.84'],
  'at the drain deadline what runs is aborted; until the last deadline it may still end in its own way',
  async (world) => {
    for (const [way, end] of WAYS) {
      const ledger = await busy(world, [
        hearing(`finishes ${way}`, () => 'cleaned up'),
        hearing(`throws ${way}`, ({ signal }) => Promise.reject(signal.reason)),
        hearing(`fails ${way}`, () => Promise.reject(new Error('of its own'))),
        hearing(`never ends ${way}`, () => never()),
      ])
      const next = await ledger.enqueue(echo, 'next')
      const ending = watched(end(ledger, { drain: '10s', timeout: '15s' }))
      await world.clock.advance(9_999)
      const reader = await world.open()
      for (const what of ['finishes', 'throws', 'fails', 'never ends']) {
        expect(await reader.status(`${what} ${way}`)).toMatchObject({ state: 'running' })
      }
      await world.clock.advance(1)
      expect(await typesOf(reader, `finishes ${way}`)).toEqual(['Queued', 'Leased', 'Finished'])
      expect(await reader.result(`finishes ${way}`)).toBe('cleaned up')
      // Interrupted, whatever it throws then: that is no failure.
      for (const what of ['throws', 'fails']) {
        expect(await typesOf(reader, `${what} ${way}`)).toEqual(['Queued', 'Leased', 'Released'])
      }
      await world.clock.advance(4_999)
      expect(await typesOf(reader, `never ends ${way}`)).toEqual(['Queued', 'Leased'])
      expect(ending.state).toBe('pending')
      await world.clock.advance('5s')
      expect(ending.state).toBe('fulfilled')
      expect(await typesOf(reader, `never ends ${way}`)).toEqual(['Queued', 'Leased', 'Released'])
      for (const what of ['throws', 'fails', 'never ends']) {
        expect(await reader.status(`${what} ${way}`)).toMatchObject({ state: 'ready', run: 1, attempt: 0 })
        await reader.cancel(`${what} ${way}`)
      }
      expect(await reader.status(next.id)).toMatchObject({ state: 'ready', run: 0 })
      await reader.remove(next.id)
    }
  },
)

scenario([78, 'C20'], 'it ends as soon as nothing runs, and begins nothing that comes meanwhile', async (world) => {
  const still = standing()
  const ledger = await world.open({ jobs: [still.job, echo] as readonly JobDefinition[] })
  await ledger.start({ concurrency: 5 })
  const { id } = await ledger.enqueue(still.job, null)
  await still.started(0)
  const stopping = watched(ledger.stop({ drain: '1h', timeout: '2h' }))
  await world.clock.settle()
  expect(await ledger.workers.list()).toMatchObject([{ status: 'draining', slotsInUse: 1 }])
  const late = await ledger.enqueue(echo, 'late')
  await world.clock.advance('10m')
  expect(stopping.state).toBe('pending')
  still.finish(0, 'done')
  expect(await stopping.promise).toBe(true)
  expect(await ledger.result(id)).toBe('done')
  expect(await ledger.status(late.id)).toMatchObject({ state: 'ready', run: 0 })
  await ledger.start()
  expect(await late.result()).toBe('late')
})

scenario(
  [78, 'C20', 'C5'],
  'deploy after deploy spends no attempts: a job that may be tried once is still run to its end',
  async (world) => {
    const until = 12
    const long = hearing('long', () => Promise.reject(new Error('interrupted')))
    const last = defineJob({ type: 'long', maxAttempts: 1, handle: (_: null, { run, attempt }) => [run, attempt] })
    const first = await world.open()
    await first.enqueue(long, null, { id: 'a' })
    await world.close(first)
    for (let deploy = 0; deploy < until; deploy += 1) {
      const ledger = await world.open({ jobs: [long] as readonly JobDefinition[], autoStart: true })
      await world.clock.advance('1m')
      await world.close(ledger, deploy % 2 === 0 ? {} : { drain: 0, timeout: 0 })
    }
    const ledger = await world.open({ jobs: [last] as readonly JobDefinition[], autoStart: true })
    expect(await ledger.result('a')).toEqual([until + 1, 1])
    const types = await typesOf(ledger, 'a')
    expect(types.filter((type) => type === 'Released')).toHaveLength(until)
    expect(types).not.toContain('Failed')
  },
)

scenario(
  [78, '001.64'],
  'what was never started is stopped at once; what was, waits for its handlers and is gone from the list',
  async (world) => {
    const ledger = await world.open({ jobs: [echo] })
    const now = world.clock.now()
    expect(await ledger.stop()).toBe(false)
    await ledger.close()
    expect(world.clock.now()).toBe(now)
    const still = standing()
    const other = await world.open({ jobs: [still.job] as readonly JobDefinition[] })
    await other.start({ pools: [{ name: 'a' }, { name: 'b' }] })
    const { id } = await other.enqueue(still.job, null)
    await still.started(0)
    const stopping = watched(other.stop({ drain: '1h', timeout: '1h' }))
    await world.clock.advance('10m')
    expect(stopping.state).toBe('pending')
    expect((await other.workers.list()).map(({ pool, slotsInUse }) => [pool, slotsInUse])).toContainEqual(['a', 1])
    still.finish(0)
    await stopping.promise
    expect(await other.workers.list()).toEqual([])
    expect(await other.status(id)).toMatchObject({ state: 'succeeded' })
  },
)

scenario([78, 12], 'all pools are stopped at once, each run in its own way', async (world) => {
  const good = hearing('good', () => 'in time')
  const deaf = hearing('deaf', () => never())
  const ledger = await world.open({ jobs: [good, deaf] as readonly JobDefinition[] })
  await ledger.start({
    pools: [
      { name: 'a', types: ['good'] },
      { name: 'b', types: ['deaf'] },
    ],
  })
  for (const job of [good, deaf]) await ledger.enqueue(job, null, { id: job.type })
  await world.clock.settle()
  const began = world.clock.now()
  const stopping = watched(ledger.stop({ drain: '4s', timeout: '6s' }))
  await world.clock.advance('6s')
  await world.clock.settle()
  expect([await typesOf(ledger, 'good'), await typesOf(ledger, 'deaf')]).toEqual([
    ['Queued', 'Leased', 'Finished'],
    ['Queued', 'Leased', 'Released'],
  ])
  await world.pass(stopping.promise)
  expect(world.clock.now() - began).toBeLessThan(10_000)
})
