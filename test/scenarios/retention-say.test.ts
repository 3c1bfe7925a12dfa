/** Who else has a say in what retention takes: the job itself, those that depend on it, the clock, and whoever asked. */
import { expect } from 'vitest'
import type { RetentionCounts, RetentionRule } from '../../runtime/upkeep/retention.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { gate, rejection } from '../engine/support.js'
import { end, endAll, idsIn, running, TYPES, work } from './ends.js'
import { scenario } from './scenario.js'

const ALL: readonly RetentionRule[] = [{ name: 'all', maxCount: 0 }]
const OLD: readonly RetentionRule[] = [{ name: 'old', olderThan: '1m' }]

scenario(
  [75, 'C21'],
  'a job that is to be kept for longer than the rules say is kept, and goes by itself then',
  async (world) => {
    const ledger = await running(world)
    await end(ledger, 'plain')
    await end(ledger, 'long', 'succeeded', { retain: '10m' })
    await world.clock.advance('2m')
    expect(await ledger.retention.run({ rules: OLD })).toMatchObject({ rules: { old: { removed: 1 } } })
    expect(await ledger.retention.run({ rules: ALL })).toMatchObject({ removed: 0 })
    await world.clock.advance('8m')
    expect(await ledger.retention.run({ rules: ALL })).toMatchObject({ removed: 0 })
    await world.clock.advance(1)
    const counts = { removed: 1, expunged: 0, kept: 0 }
    expect(await ledger.retention.run({ rules: ALL })).toEqual({ ...counts, rules: { retain: counts } })
    expect(await idsIn(ledger)).toEqual([])
  },
)

scenario(
  [75, 'C21'],
  'a job that is to be kept for less long goes before the rules would take it, without any rule',
  async (world) => {
    const ledger = await running(world)
    await end(ledger, 'plain')
    await end(ledger, 'short', 'failed', { retain: '10s' })
    await world.clock.advance('11s')
    expect(await ledger.retention.run()).toMatchObject({ removed: 1, rules: { retain: { removed: 1 } } })
    expect(await idsIn(ledger)).toEqual(['plain'])
  },
)

scenario([75, 'C21'], 'a job that is to be kept for ever is, and takes nobody else’s place', async (world) => {
  const ledger = await running(world)
  await endAll(world, ledger, ['a', 'b'], '1s')
  await end(ledger, 'for ever', 'succeeded', { retain: null })
  await world.clock.advance('5m')
  // It does not count: one more than itself stays.
  expect(await ledger.retention.run({ rules: [{ maxCount: 1 }] })).toMatchObject({ removed: 1 })
  expect(await idsIn(ledger)).toEqual(['b', 'for ever'])
  expect(await ledger.retention.run({ rules: [...ALL, { name: 'big', maxBytes: 0 }] })).toMatchObject({ removed: 1 })
  expect(await idsIn(ledger)).toEqual(['for ever'])
  expect(await ledger.retention.run({ rules: [{ action: 'expunge', maxCount: 0 }] })).toMatchObject({ expunged: 0 })
})

scenario(
  [75, 'C21'],
  'what a type says of its jobs holds, unless the enqueue says otherwise; a new round begins it anew',
  async (world) => {
    const job = defineJob({ type: 'brief', retain: '1m', handle: (_: null) => {} })
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    for (const [id, retain] of [['typed'], ['longer', '5m'], ['again']] as const) {
      await ledger.enqueue(job, null, { id, ...(retain !== undefined && { retain }) })
      await ledger.result(id)
    }
    await world.clock.advance('50s')
    await ledger.retry('again')
    await ledger.result('again')
    await world.clock.advance('20s')
    await ledger.retention.run()
    expect(await idsIn(ledger)).toEqual(['again', 'longer'])
    await world.clock.advance('1m')
    await ledger.retention.run()
    expect(await idsIn(ledger)).toEqual(['longer'])
  },
)

scenario([75, 'C21'], 'a retain that is no time is refused', async (world) => {
  const ledger = await running(world)
  for (const retain of [0, -1, 'long', Number.NaN]) {
    const error = await rejection(ledger.enqueue(work, 'x', { retain: retain as number }))
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'enqueue.retain' })
  }
  expect(() => defineJob({ type: 'x', retain: 0 })).toThrow(expect.objectContaining({ option: 'defineJob.retain' }))
})

scenario([75, 19, 'C21'], 'what a waiting job depends on stays, and goes once that job has ended', async (world) => {
  const ledger = await running(world)
  await end(ledger, 'base')
  await end(ledger, 'failed base', 'failed')
  await end(ledger, 'nobody’s')
  await ledger.enqueue(work, 'x', { id: 'held', held: true, dependsOn: ['base'] })
  await ledger.enqueue(work, 'x', { id: 'blocked', dependsOn: ['failed base', { id: 'base', on: 'finished' }] })
  const kept = { removed: 1, expunged: 0, kept: 2 }
  expect(await ledger.retention.run({ rules: ALL, dryRun: true })).toMatchObject(kept)
  expect(await ledger.retention.run({ rules: ALL })).toMatchObject(kept)
  expect(await idsIn(ledger)).toEqual(['base', 'blocked', 'failed base', 'held'])
  // Condemned it was not, and it can still be depended on, sent round again, and seen.
  expect(await ledger.status('blocked')).toMatchObject({ state: 'blocked', blockedBy: ['failed base'] })
  await ledger.promote('held')
  await ledger.result('held')
  expect(await ledger.retention.run({ rules: ALL })).toMatchObject({ removed: 1, kept: 2 })
  await ledger.cancel('blocked')
  expect(await ledger.retention.run({ rules: ALL })).toMatchObject({ removed: 3, kept: 0 })
  expect(await idsIn(ledger)).toEqual([])
})

scenario(
  [75, 19, 'C21'],
  'a running job keeps what it depends on, though all of its edges are long met',
  async (world) => {
    const began = gate()
    const go = gate()
    const job = defineJob({
      type: 'asking',
      handle: async (_: null, ctx) => {
        began.open()
        await go.promise
        return ctx.dependencies()
      },
    })
    const ledger = await world.open({ jobs: [...TYPES, job] })
    await ledger.start()
    await ledger.enqueue(work, 'good', { id: 'base' })
    const asking = await ledger.enqueue(job, null, { id: 'asking', dependsOn: ['base'] })
    await began.promise
    expect(await ledger.retention.run({ rules: ALL })).toMatchObject({ removed: 0, kept: 1 })
    go.open()
    expect(await asking.result()).toEqual([{ id: 'base', outcome: 'succeeded', result: 'good' }])
    expect(await ledger.retention.run({ rules: ALL })).toMatchObject({ removed: 2, kept: 0 })
  },
)

scenario(
  [75, 19, 'C21'],
  'what a job depends on that was sent round again stays until it has ended once more',
  async (world) => {
    const ledger = await running(world)
    await end(ledger, 'base')
    await end(ledger, 'next', 'failed', { dependsOn: ['base'] })
    await ledger.retry('next')
    await ledger.result('next').catch(() => {})
    await ledger.enqueue(work, 'x', { id: 'later', dependsOn: ['next'] })
    await ledger.cancel('later')
    await ledger.retry('later')
    expect(await ledger.status('later')).toMatchObject({ state: 'blocked' })
    expect(await ledger.retention.run({ rules: ALL })).toMatchObject({ removed: 1, kept: 1 })
    expect(await idsIn(ledger)).toEqual(['later', 'next'])
  },
)

scenario([75, 19, 'C21'], 'who depends on a removed job goes by how it had ended', async (world) => {
  const ledger = await running(world)
  for (const outcome of ['succeeded', 'failed', 'cancelled'] as const) await end(ledger, outcome, outcome)
  await ledger.retention.run({ rules: ALL })
  await ledger.enqueue(work, 'x', { id: 'met', dependsOn: ['succeeded', { id: 'failed', on: 'finished' }] })
  expect(await ledger.result('met')).toBe('x')
  await ledger.enqueue(work, 'x', { id: 'blocked', dependsOn: ['failed'] })
  await ledger.enqueue(work, 'x', { id: 'doomed', dependsOn: [{ id: 'cancelled', otherwise: 'cancel' }] })
  await ledger.enqueue(work, 'x', { id: 'eager', dependsOn: [{ id: 'failed', otherwise: 'run' }] })
  expect(await ledger.status('blocked')).toMatchObject({ state: 'blocked', blockedBy: ['failed'] })
  expect(await ledger.status('doomed')).toMatchObject({ state: 'cancelled' })
  expect(await ledger.result('eager')).toBe('x')
  expect(await ledger.dependencyErrors('blocked')).toEqual([{ id: 'failed', outcome: 'failed', dependencies: [] }])
})

scenario([75], 'a dry run says what a run would do, and does nothing', async (world) => {
  const ledger = await running(world)
  await endAll(world, ledger, ['a', 'b', 'c'], '1s')
  await ledger.enqueue(work, 'x', { id: 'waits', held: true, dependsOn: ['a'] })
  await end(ledger, 'own', 'succeeded', { retain: '1s' })
  await world.clock.advance('2s')
  const rules: RetentionRule[] = [
    { name: 'blank', action: 'expunge', maxCount: 2 },
    { name: 'blank again', action: 'expunge', maxCount: 1 },
    { name: 'gone', maxCount: 1 },
  ]
  // `a` is needed by `waits`: neither its result nor itself goes.
  const types: string[] = []
  ledger.events$.subscribe(({ type }) => void types.push(type))
  const pretended = await ledger.retention.run({ rules, dryRun: true })
  expect(types).toEqual([])
  expect(pretended).toEqual({
    ...{ removed: 2, expunged: 1, kept: 3 },
    rules: {
      retain: { removed: 1, expunged: 0, kept: 0 },
      blank: { removed: 0, expunged: 0, kept: 1 },
      'blank again': { removed: 0, expunged: 1, kept: 1 },
      gone: { removed: 1, expunged: 0, kept: 1 },
    },
  })
  expect(await ledger.retention.run({ rules })).toEqual(pretended)
})

scenario([75], 'progress is told page by page, and a run that is called off keeps what it has done', async (world) => {
  const ledger = await running(world)
  const jobs = Array.from({ length: 600 }, (_, n) => ({ job: work, payload: 'x', options: { id: `${n}` } }))
  await ledger.enqueueMany(jobs)
  await Promise.all(jobs.map(({ options }) => ledger.result(options.id)))
  const stop = new AbortController()
  const progress: RetentionCounts[] = []
  const onProgress = (so: RetentionCounts): void => {
    progress.push(so)
    stop.abort(new Error('enough'))
  }
  const error = await rejection(ledger.retention.run({ rules: ALL, signal: stop.signal, onProgress }))
  expect(error).toMatchObject({ message: 'enough' })
  expect(progress).toEqual([{ removed: 500, expunged: 0, kept: 0 }])
  expect(await idsIn(ledger)).toHaveLength(100)
  expect(await rejection(ledger.retention.run({ rules: ALL, signal: stop.signal }))).toMatchObject({
    message: 'enough',
  })
  expect(await ledger.retention.run({ rules: ALL })).toMatchObject({ removed: 100 })
})

scenario(
  [75],
  'the rules a ledger was opened with are applied by themselves, first after one interval',
  async (world) => {
    const ledger = await running(world, { retention: { rules: [{ name: 'old', olderThan: '30s' }], every: '2m' } })
    await end(ledger, 'a')
    await world.clock.advance('119s')
    expect(await idsIn(ledger)).toEqual(['a'])
    await world.clock.advance('1s')
    expect(await idsIn(ledger)).toEqual([])
    await end(ledger, 'b')
    await world.clock.advance('119s')
    expect(await idsIn(ledger)).toEqual(['b'])
    await world.clock.advance('1s')
    expect(await idsIn(ledger)).toEqual([])
    const told = world.log.filter(({ message }) => message === 'retention has run')
    expect(told.map(({ facts }) => facts.removed)).toEqual([1, 1])
    await end(ledger, 'c')
    await world.clock.advance('40s')
    expect(await ledger.retention.run()).toMatchObject({ rules: { old: { removed: 1 } } })
  },
)

scenario([75], 'a job’s own time is looked at by the schedule too, by default every hour', async (world) => {
  const ledger = await running(world)
  await end(ledger, 'a', 'succeeded', { retain: '1m' })
  await world.clock.advance('59m')
  expect(await idsIn(ledger)).toEqual(['a'])
  await world.clock.advance('1m')
  expect(await idsIn(ledger)).toEqual([])
})
