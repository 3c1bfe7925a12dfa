/** Jobs that wait for other jobs: what meets an edge, what happens when it cannot be met, and what the handler is told. */
import { expect } from 'vitest'
import type { EdgeCondition, EdgeFallback } from '../../domain/job/events.js'
import type { Ledger } from '../../runtime/ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { factsOf, next, rejection, typesOf, type World } from '../engine/support.js'
import { echo, ended } from './acts.js'
import { scenario } from './scenario.js'

type Outcome = 'succeeded' | 'failed' | 'cancelled'

/** Ends as its payload says, but for a cancel: that is for others to give. */
const base = defineJob({
  type: 'base',
  maxAttempts: 1,
  handle: (outcome: Outcome) => {
    if (outcome === 'failed') throw new RangeError('as told')
    return `was ${outcome}`
  },
})
const after = defineJob({ type: 'after', handle: (_: unknown, ctx) => ctx.dependencies() })

interface Case {
  readonly id: string
  readonly on: EdgeCondition
  readonly otherwise: EdgeFallback
  readonly outcome: Outcome
  readonly state: 'succeeded' | 'blocked' | 'cancelled'
}

/** What becomes of a job with one edge, by edge and by outcome of the dependency. */
const FATES = {
  'succeeded block': { succeeded: 'succeeded', failed: 'blocked', cancelled: 'blocked' },
  'succeeded cancel': { succeeded: 'succeeded', failed: 'cancelled', cancelled: 'cancelled' },
  'succeeded run': { succeeded: 'succeeded', failed: 'succeeded', cancelled: 'succeeded' },
  'finished block': { succeeded: 'succeeded', failed: 'succeeded', cancelled: 'blocked' },
  'finished cancel': { succeeded: 'succeeded', failed: 'succeeded', cancelled: 'cancelled' },
  'finished run': { succeeded: 'succeeded', failed: 'succeeded', cancelled: 'succeeded' },
} as const
const CASES: readonly Case[] = Object.entries(FATES).flatMap(([edge, fates]) => {
  const [on, otherwise] = edge.split(' ') as [EdgeCondition, EdgeFallback]
  return Object.entries(fates).map(([outcome, state]) => ({
    ...{ id: `${edge} ${outcome}`, on, otherwise, state },
    outcome: outcome as Outcome,
  }))
})

const enqueueBase = ({ id, outcome }: Case) => ({ job: base, payload: outcome, options: { id: `base ${id}` } })
const enqueueAfter = ({ id, on, otherwise }: Case) => ({
  job: after,
  payload: null,
  options: { id: `after ${id}`, dependsOn: [{ id: `base ${id}`, on, otherwise }] },
})

async function endAll(world: World, ledger: Ledger): Promise<void> {
  for (const { id, outcome } of CASES) {
    if (outcome === 'cancelled') await ledger.cancel(`base ${id}`, { reason: 'as told' })
  }
  await ledger.start()
  for (const { id } of CASES) await ended(world, ledger, `base ${id}`)
  await world.clock.settle()
}

async function expectFates(ledger: Ledger): Promise<void> {
  for (const { id, state, outcome } of CASES) {
    const status = await ledger.status(`after ${id}`)
    expect(status, id).toMatchObject({ state, run: state === 'succeeded' ? 1 : 0 })
    if (state === 'succeeded') {
      const more = {
        succeeded: { result: 'was succeeded' },
        failed: { error: { name: 'RangeError', message: 'as told' } },
        cancelled: {},
      }
      expect(status.result).toEqual([{ id: `base ${id}`, outcome, ...more[outcome] }])
    } else if (state === 'blocked') expect(status.blockedBy).toEqual([`base ${id}`])
    else {
      expect(status.reason).toContain(`base ${id}`)
      expect(await factsOf(ledger, `after ${id}`, 'Cancelled')).toMatchObject([{ by: 'dependency' }])
    }
  }
  const count = (wanted: string) => CASES.filter(({ state }) => state === wanted).length
  expect((await ledger.queues.stats()).default).toMatchObject({ blocked: count('blocked'), ready: 0, running: 0 })
}

scenario([19, 20, 'C2'], 'every edge with every outcome of a dependency that ends later', async (world) => {
  const ledger = await world.open({ jobs: [base, after] })
  await ledger.enqueueMany(CASES.map(enqueueBase))
  await ledger.enqueueMany(CASES.map(enqueueAfter))
  for (const { id } of CASES) {
    expect(await ledger.status(`after ${id}`)).toMatchObject({ state: 'blocked', blockedBy: [`base ${id}`] })
  }
  await endAll(world, ledger)
  await expectFates(ledger)
})

scenario([19, 20, 'C2'], 'every edge with every outcome of a dependency that has ended before', async (world) => {
  const ledger = await world.open({ jobs: [base, after] })
  await ledger.enqueueMany(CASES.map(enqueueBase))
  await endAll(world, ledger)
  for (const element of CASES.map(enqueueAfter)) await ledger.enqueue(element.job, element.payload, element.options)
  await world.clock.settle()
  await expectFates(ledger)
})

scenario([19, 'C2'], 'every edge with every outcome, folded by a ledger that is opened afterwards', async (world) => {
  const before = await world.open({ jobs: [base] })
  await before.enqueueMany([...CASES.map(enqueueBase), ...CASES.map(enqueueAfter)])
  await endAll(world, before)
  await world.close(before)
  const ledger = await world.open({ jobs: [base, after] })
  await ledger.start()
  await world.clock.settle()
  await expectFates(ledger)
})

scenario(
  [19, 'C2'],
  'a job runs when the last of its edges is met, and its results come in the order they were named',
  async (world) => {
    const ledger = await world.open({ jobs: [base, after] })
    const ids = ['c', 'a', 'b']
    for (const [n, id] of ids.entries()) await ledger.enqueue(base, 'succeeded', { id, delay: `${3 - n}m` })
    const { id, result } = await ledger.enqueue(after, null, { dependsOn: ids })
    await ledger.start()
    for (const open of [['c', 'a', 'b'], ['c', 'a'], ['c']]) {
      expect(await ledger.status(id)).toMatchObject({ state: 'blocked', blockedBy: open })
      await world.clock.advance('1m')
    }
    expect(await result()).toEqual(ids.map((dep) => ({ id: dep, outcome: 'succeeded', result: 'was succeeded' })))
  },
)

scenario([19], 'edges are one condition among others: held and scheduled jobs wait for them, too', async (world) => {
  const ledger = await world.open({ jobs: [base, after] })
  await ledger.enqueue(base, 'succeeded', { id: 'first' })
  const held = await ledger.enqueue(after, null, { held: true, dependsOn: ['first'] })
  const later = await ledger.enqueue(after, null, { delay: '5m', dependsOn: ['first'] })
  const promoted = await ledger.enqueue(after, null, { held: true, dependsOn: ['first'] })
  await ledger.promote(promoted.id)
  expect((await ledger.status(promoted.id)).state).toBe('blocked')
  await ledger.start()
  await promoted.result()
  expect((await ledger.status(held.id)).state).toBe('held')
  expect((await ledger.status(later.id)).state).toBe('scheduled')
  await ledger.promote(held.id)
  await held.result()
  await world.clock.advance('5m')
  expect((await ledger.status(later.id)).state).toBe('succeeded')
})

scenario([20], 'a job names its dependents, ended ones too', async (world) => {
  const ledger = await world.open({ jobs: [base, after] })
  await ledger.enqueue(base, 'succeeded', { id: 'root' })
  await ledger.enqueue(after, null, { id: 'x', dependsOn: ['root'] })
  await ledger.enqueue(after, null, { id: 'y', dependsOn: [{ id: 'root', on: 'finished' }] })
  await ledger.enqueue(after, null, { id: 'z', dependsOn: ['y'] })
  expect((await ledger.status('root')).dependents).toEqual(['x', 'y'])
  await ledger.cancel('x')
  await ledger.start()
  await ledger.result('z')
  expect((await ledger.status('root')).dependents).toEqual(['x', 'y'])
  const { dependsOn, dependents } = await ledger.status('y')
  expect(dependsOn).toMatchObject([{ id: 'root', on: 'finished', otherwise: 'block' }])
  expect(dependents).toEqual(['z'])
  const other = await world.open()
  expect((await other.status('root')).dependents).toEqual(['x', 'y'])
})

scenario(
  [19, 'C2'],
  'what no job is, oneself, a circle, and an edge named twice are refused, and nothing is stored',
  async (world) => {
    const ledger = await world.open()
    const element = (id: string, ...dependsOn: string[]) => ({ job: echo, payload: id, options: { id, dependsOn } })
    const one = (id: string, ...dependsOn: string[]) => rejection(ledger.enqueue(echo, id, { id, dependsOn }))
    const many = (...elements: ReturnType<typeof element>[]) => rejection(ledger.enqueueMany(elements))
    expect(await one('a', 'nobody')).toMatchObject({ code: 'DEPENDENCY_UNKNOWN', jobId: 'a', dependency: 'nobody' })
    expect(await one('a', 'a')).toMatchObject({ code: 'DEPENDENCY_CYCLE', path: ['a', 'a'] })
    expect(await many(element('a', 'b'), element('b', 'c'), element('c', 'a'))).toMatchObject({
      code: 'DEPENDENCY_CYCLE',
      path: expect.arrayContaining(['a', 'b', 'c']),
    })
    expect(await many(element('ok'), element('a', 'ok', 'nobody'))).toMatchObject({ code: 'DEPENDENCY_UNKNOWN' })
    expect(await one('a', 'b', 'b')).toMatchObject({ option: 'enqueue.dependsOn[1].id' })
    for (const wrong of [{ on: 'ended' }, { otherwise: 'ignore' }, { when: 'later' }, { id: '' }]) {
      const dependsOn = [{ id: 'b', ...wrong }] as never
      expect(await rejection(ledger.enqueue(echo, 1, { dependsOn }))).toMatchObject({ code: 'INVALID_OPTION' })
    }
    expect((await ledger.list()).jobs).toEqual([])
    expect(await ledger.enqueueMany([element('late', 'early'), element('early')])).toHaveLength(2)
  },
)

scenario([19], 'a dependency that only another process has seen so far is no stranger', async (world) => {
  const [one, two] = [await world.open({ jobs: [base, after] }), await world.open()]
  await one.start()
  for (let n = 0; n < 10; n += 1) {
    const first = await two.enqueue(base, 'succeeded', { id: `first ${n}` })
    const second = await one.enqueue(after, null, { dependsOn: [first.id] })
    expect(await second.result()).toMatchObject([{ id: first.id, outcome: 'succeeded' }])
  }
})

scenario(
  [19, 28, 'C2'],
  'a failed dependency that is sent round again frees those that were blocked',
  async (world) => {
    let broken = true
    const fixable = defineJob({
      type: 'fixable',
      maxAttempts: 1,
      handle: (_: null) => {
        if (broken) throw new Error('broken')
        return 'fixed'
      },
    })
    const first = await world.open({ jobs: [fixable] })
    await first.enqueue(fixable, null, { id: 'dep' })
    await first.start()
    await ended(world, first, 'dep')
    const edges = ['block', 'cancel', 'run'] as const
    for (const otherwise of edges)
      await first.enqueue(after, null, { id: otherwise, dependsOn: [{ id: 'dep', otherwise }] })
    await world.close(first)
    const ledger = await world.open({ jobs: [fixable, after] })
    await ledger.start()
    await world.clock.settle()
    const states = async () => Promise.all(edges.map(async (id) => (await ledger.status(id)).state))
    expect(await states()).toEqual(['blocked', 'cancelled', 'succeeded'])
    await ledger.retry('dep')
    await ended(world, ledger, 'dep')
    expect((await ledger.status('block')).state).toBe('blocked')
    broken = false
    await ledger.retry('dep')
    await world.clock.settle()
    expect(await states()).toEqual(['succeeded', 'cancelled', 'succeeded'])
    expect(await ledger.result('block')).toEqual([{ id: 'dep', outcome: 'succeeded', result: 'fixed' }])
    expect(await ledger.result('run')).toMatchObject([{ id: 'dep', outcome: 'failed' }])
  },
)

scenario([19, 28, 'C2'], 'a met edge stays met, whatever becomes of the dependency later', async (world) => {
  const fading = defineJob({
    type: 'fading',
    maxAttempts: 1,
    handle: (_: null, { run }) => {
      if (run > 1) throw new Error('not again')
      return 'once'
    },
  })
  const ledger = await world.open({ jobs: [fading, after] })
  await ledger.enqueue(fading, null, { id: 'dep' })
  const options = { held: true, dependsOn: [{ id: 'dep', otherwise: 'cancel' as const }] }
  await ledger.enqueue(after, null, { id: 'early', ...options })
  await ledger.start()
  await ended(world, ledger, 'dep')
  await ledger.enqueue(after, null, { id: 'late', ...options })
  await ledger.retry('dep')
  await ended(world, ledger, 'dep')
  expect((await ledger.status('dep')).state).toBe('failed')
  for (const id of ['early', 'late']) {
    await ledger.promote(id)
    expect(await ledger.result(id)).toMatchObject([{ id: 'dep', outcome: 'failed' }])
  }
  await ledger.retry('late')
  expect(await ended(world, ledger, 'late')).toMatchObject([{ id: 'dep' }])
  expect(await ledger.status('late')).toMatchObject({ run: 2 })
})

scenario(
  [19, 28, 'C2'],
  'a job cancelled with its dependency waits for it again when both are sent round again',
  async (world) => {
    const ledger = await world.open({ jobs: [base, after] })
    await ledger.enqueue(base, 'succeeded', { id: 'dep' })
    await ledger.enqueue(after, null, { id: 'child', dependsOn: [{ id: 'dep', otherwise: 'cancel' }] })
    const doomed = next(ledger, 'child', 'Cancelled')
    await ledger.cancel('dep')
    await doomed
    await ledger.retry('child')
    expect(await ledger.status('child')).toMatchObject({ state: 'blocked', blockedBy: ['dep'] })
    await ledger.retry('dep')
    await ledger.start()
    expect(await ledger.result('child')).toMatchObject([{ id: 'dep', outcome: 'succeeded' }])
  },
)

scenario([19, 'C2'], 'a chain is cancelled to its end, and nobody is in the way of it', async (world) => {
  const ledger = await world.open({ jobs: [base, after] })
  const ids = Array.from({ length: 60 }, (_, n) => `job ${n}`)
  const dependsOn = (n: number) => (n === 0 ? [] : [{ id: `job ${n - 1}`, otherwise: 'cancel' as const }])
  await ledger.enqueueMany(
    ids.map((id, n) => ({ job: base, payload: 'failed' as const, options: { id, dependsOn: dependsOn(n) } })),
  )
  const last = next(ledger, 'job 59', 'Cancelled')
  await ledger.start()
  await last
  expect((await ledger.queues.stats()).default).toMatchObject({ failed: 1, cancelled: 59, blocked: 0 })
  expect(await typesOf(ledger, 'job 30')).toEqual(['Queued', 'Cancelled'])
})

scenario(
  [19, 'C2'],
  'jobs doomed by a process that died before it could cancel them are cancelled by the next one',
  async (world) => {
    const before = await world.open()
    await before.enqueue(base, 'failed', { id: 'dep' })
    await before.enqueue(after, null, { id: 'child', dependsOn: [{ id: 'dep', otherwise: 'cancel' }] })
    await world.close(before)
    const event = {
      stream: 'job-dep',
      id: crypto.randomUUID(),
      type: 'Cancelled',
      at: world.clock.now(),
      data: { by: 'operator' },
    }
    const [stored] = await (await world.store()).append([{ expect: new Map([['job-dep', 0]]), events: [event] }])
    expect(stored?.kind).toBe('ok')
    const ledger = await world.open()
    await world.clock.settle()
    expect(await ledger.status('child')).toMatchObject({ state: 'cancelled', reason: 'dependency dep failed' })
  },
)

scenario([19, 20], 'one end frees all that wait for it', async (world) => {
  const ledger = await world.open({ jobs: [base, after] })
  await ledger.enqueue(base, 'succeeded', { id: 'dep' })
  const batch = Array.from({ length: 300 }, () => ({ job: after, payload: null, options: { dependsOn: ['dep'] } }))
  const jobs = await ledger.enqueueMany(batch)
  expect((await ledger.queues.stats()).default).toMatchObject({ blocked: 300, ready: 1 })
  await ledger.start({ concurrency: 50 })
  for (const { result } of jobs) expect(await result()).toMatchObject([{ outcome: 'succeeded' }])
  expect((await ledger.status('dep')).dependents).toHaveLength(300)
})

scenario([20], 'a worker elsewhere is handed the results of the dependencies with its lease', async (world) => {
  const ledger = await world.open({ jobs: [base] })
  await ledger.start()
  const outcomes = ['failed', 'succeeded'] as const
  for (const id of outcomes) await ledger.enqueue(base, id, { id })
  for (const id of outcomes) await ended(world, ledger, id)
  const dependsOn = outcomes.map((id) => ({ id, on: 'finished' as const }))
  const { id } = await ledger.enqueue(after, null, { dependsOn })
  const lease = await ledger.leaseById(id, await ledger.workers.register())
  expect(lease.dependencies).toEqual([
    { id: 'failed', outcome: 'failed', error: { name: 'RangeError', message: 'as told' } },
    { id: 'succeeded', outcome: 'succeeded', result: 'was succeeded' },
  ])
})
