/** What a handler is told about its run, and what follows it through all that it awaits. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect } from 'vitest'
import { currentJob } from '../../adapters/node/current-job.js'
import type { JobContext } from '../../runtime/work/run/context.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { gate, next } from '../engine/support.js'
import { scenario } from './scenario.js'

const TRACE = {
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  tracestate: 'vendor=1',
  baggage: 'tenant=blue',
}

/** All that a handler is told, as plain facts. */
function told(ctx: JobContext) {
  const { id, type, name, queue, channel, run, attempt, workerId, user, trace, manual, trigger } = ctx
  const { correlationId, causationId, retries } = ctx
  return {
    ...{ id, type, name, queue, channel, run, attempt, workerId, user, trace, manual, trigger },
    ...{ correlationId, causationId, retries, aborted: ctx.signal.aborted },
  }
}

function telling(seen: ReturnType<typeof told>[]) {
  return defineJob({
    type: 'telling',
    backoff: { min: '10s', factor: 1, jitter: 'none' },
    handle: (failures: number, ctx: JobContext) => {
      seen.push(told(ctx))
      if (ctx.attempt <= failures) throw new Error('not yet')
    },
  })
}

scenario([48], 'a handler is told all that was said of its job, and of the run that it is', async (world) => {
  const seen: ReturnType<typeof told>[] = []
  const job = telling(seen)
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  await ledger.enqueue(job, 1, {
    ...{ id: 'full', name: 'a name', queue: 'q', channel: 'blue', user: 'ann', trace: TRACE, manual: true },
  })
  await world.pass(ledger.result('full'))
  const leases = (await ledger.history('full')).filter(({ type }) => type === 'Leased')
  const workers = leases.map(({ data }) => (data as { workerId: string }).workerId)
  const common = {
    ...{ id: 'full', type: 'telling', name: 'a name', queue: 'q', channel: 'blue', user: 'ann', trace: TRACE },
    ...{
      manual: true,
      trigger: undefined,
      correlationId: 'full',
      causationId: undefined,
      retries: true,
      aborted: false,
    },
  }
  expect(seen).toEqual([
    { ...common, run: 1, attempt: 1, workerId: workers[0] },
    { ...common, run: 2, attempt: 2, workerId: workers[1] },
  ])
})

scenario(
  [48, 49, 50],
  'what was not said is absent: no user, no trace, no name, and nothing empty in its place',
  async (world) => {
    const seen: ReturnType<typeof told>[] = []
    const job = telling(seen)
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    await (await ledger.enqueue(job, 0, { id: 'bare' })).result()
    expect(seen).toMatchObject([{ user: undefined, trace: undefined, name: undefined, manual: false, channel: '' }])
    const { user, name, correlationId } = await ledger.status('bare')
    expect([user, name, correlationId]).toEqual([undefined, undefined, 'bare'])
    const [queued] = await ledger.history('bare')
    for (const key of ['context', 'name', 'channel', 'manual', 'trigger', 'chain', 'codeVersion']) {
      expect(queued?.data).not.toHaveProperty(key)
    }
    expect(queued).not.toHaveProperty('metadata')
  },
)

scenario(
  [48],
  'runs count for life, attempts by round: a retry by hand begins at the first attempt again',
  async (world) => {
    const seen: ReturnType<typeof told>[] = []
    const job = telling(seen)
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    await ledger.enqueue(job, 1, { id: 'twice' })
    await world.pass(ledger.result('twice'))
    await ledger.retry('twice')
    await world.pass(ledger.result('twice'))
    expect(seen.map(({ run, attempt }) => [run, attempt])).toEqual([
      [1, 1],
      [2, 2],
      [3, 1],
      [4, 2],
    ])
  },
)

scenario([48], 'a handler that wants no further attempt can see that it has said so', async (world) => {
  const seen: boolean[] = []
  const job = defineJob({
    type: 'last',
    handle: (_: null, ctx) => {
      seen.push(ctx.retries)
      ctx.noRetry()
      seen.push(ctx.retries)
      throw new Error('for good')
    },
  })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  await ledger.enqueue(job, null, { id: 'last' })
  await expect(ledger.result('last')).rejects.toMatchObject({ code: 'JOB_FAILED' })
  expect(seen).toEqual([true, false])
  expect(await ledger.status('last')).toMatchObject({ run: 1 })
})

scenario([48], 'the context enqueues, shows progress and hands over what the dependencies returned', async (world) => {
  const seen: unknown[] = []
  const base = defineJob({ type: 'base', maxAttempts: 1, handle: (good: boolean) => (good ? 'fine' : fail()) })
  const child = defineJob({ type: 'child', handle: () => 'child' })
  const job = defineJob({
    type: 'all',
    handle: async (_: null, ctx) => {
      await ctx.heartbeat(7, { rows: 7 })
      seen.push(await ctx.dependencies(), await ctx.dependencyErrors())
      const [one, two] = await ctx.ledger.enqueueMany([
        { job: child, payload: null },
        { job: child, payload: 'x' },
      ])
      return [(await ctx.ledger.enqueue(child, null)).outcome, await one?.result(), two?.outcome]
    },
  })
  const ledger = await world.open({ jobs: [base, child, job] })
  await ledger.start()
  await ledger.enqueue(base, true, { id: 'good' })
  await ledger.enqueue(base, false, { id: 'bad' })
  const dependsOn = [{ id: 'bad', on: 'finished' as const }, 'good']
  expect(await (await ledger.enqueue(job, null, { id: 'all', dependsOn })).result()).toEqual([
    'created',
    'child',
    'created',
  ])
  const error = { name: 'Error', message: 'bad' }
  expect(seen).toEqual([
    [
      { id: 'bad', outcome: 'failed', error },
      { id: 'good', outcome: 'succeeded', result: 'fine' },
    ],
    [{ id: 'bad', type: 'base', outcome: 'failed', error, dependencies: [] }],
  ])
  const beats = (await ledger.history('all')).filter(({ type }) => type === 'Heartbeat')
  expect(beats).toMatchObject([{ data: { progress: 7 }, body: { rows: 7 } }])
})

function fail(): never {
  throw new Error('bad')
}

scenario(
  [48],
  'currentJob() is the run in whose course it is asked, through all awaits, and nothing outside',
  async (world) => {
    const seen: Record<string, (string | undefined)[]> = {}
    const meeting = gate()
    let inside = 0
    const ask = (label: string): void => {
      seen[label] = [...(seen[label] ?? []), currentJob()?.id]
    }
    const job = defineJob({
      type: 'asking',
      handle: async (label: string, ctx) => {
        ask(label)
        await nextTurn()
        ask(label)
        // Both are in the middle of their runs.
        inside += 1
        if (inside === 2) meeting.open()
        await meeting.promise
        ask(label)
        await ctx.heartbeat()
        await new Promise<void>((resolve) => world.clock.at(world.clock.now() + 1_000, resolve))
        ask(label)
        return currentJob() === ctx
      },
    })
    expect(currentJob()).toBeUndefined()
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    const jobs = [await ledger.enqueue(job, 'a', { id: 'a' }), await ledger.enqueue(job, 'b', { id: 'b' })]
    expect(currentJob()).toBeUndefined()
    expect(await world.pass(Promise.all(jobs.map((each) => each.result())))).toEqual([true, true])
    expect(currentJob()).toBeUndefined()
    expect(seen).toEqual({ a: ['a', 'a', 'a', 'a'], b: ['b', 'b', 'b', 'b'] })
  },
)

scenario([48], 'who follows the events is in the course of no run, whatever set the events off', async (world) => {
  const seen = new Set<string | undefined>()
  const leaf = defineJob({ type: 'leaf', handle: () => {} })
  const job = defineJob({
    type: 'busy',
    handle: async (_: null, ctx) => {
      await ctx.ledger.enqueue(leaf, null)
      await ctx.heartbeat(1)
    },
  })
  const ledger = await world.open({ jobs: [job, leaf] })
  const end = next(ledger, 'busy', 'Finished')
  ledger.events$.subscribe(() => void seen.add(currentJob()?.id))
  await ledger.start()
  await ledger.enqueue(job, null, { id: 'busy' })
  await end
  expect([...seen]).toEqual([undefined])
})

scenario(
  [48],
  'what a run begins is not in its course once its own run is over and another one begins',
  async (world) => {
    const seen: [string, string | undefined][] = []
    const second = defineJob({ type: 'second', handle: (_: null, ctx) => void seen.push([ctx.id, currentJob()?.id]) })
    const first = defineJob({
      type: 'first',
      onError: () => void seen.push(['onError', currentJob()?.id]),
      maxAttempts: 1,
      handle: async (_: null, ctx) => {
        // Begun in the same turn of the event loop as this run's own commit.
        void ctx.ledger.enqueue(second, null, { id: 'second' })
        throw new Error('over')
      },
    })
    const ledger = await world.open({ jobs: [first, second] })
    await ledger.start()
    await ledger.enqueue(first, null, { id: 'first' })
    await expect(ledger.result('first')).rejects.toMatchObject({ code: 'JOB_FAILED' })
    await ledger.result('second')
    expect(seen).toEqual([
      ['onError', 'first'],
      ['second', 'second'],
    ])
  },
)

scenario([48], 'the signal of a run says why nobody wants its result any more', async (world) => {
  const reasons: unknown[] = []
  const began = gate<JobContext>()
  const job = defineJob({
    type: 'waiting',
    handle: async (_: null, ctx) => {
      began.open(ctx)
      await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve))
      reasons.push(ctx.signal.reason)
    },
  })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  await ledger.enqueue(job, null, { id: 'waiting' })
  const ctx = await began.promise
  await ledger.as({ user: 'op', reason: 'enough' }).cancel('waiting')
  await world.clock.settle()
  expect(reasons).toMatchObject([{ code: 'JOB_CANCELLED', jobId: 'waiting', reason: 'enough' }])
  await expect(ctx.heartbeat()).rejects.toMatchObject({ code: 'LEASE_LOST' })
  await expect(ledger.result('waiting')).rejects.toMatchObject({ code: 'JOB_CANCELLED' })
})
