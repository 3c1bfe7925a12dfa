/** The last word on a run: its type is told once the log has it, whatever became of the run. */
import { expect } from 'vitest'
import type { JobContext } from '../../runtime/work/run/context.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { RunEnd } from '../../runtime/work/run/hooks.js'
import { factsOf, gate, never, next, typesOf } from '../engine/support.js'
import { echo, ended, loseLease, noting, runToEnd, standing } from './acts.js'
import { SQL, scenario } from './scenario.js'

scenario([47], 'a run that is cancelled, times out or loses its lease has its commit, too', async (world) => {
  const ends: RunEnd[] = []
  const { job, started } = standing('standing', {
    ...{ timeout: '10m', maxAttempts: 1 },
    commit: (end) => void ends.push(end),
  })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  const { id } = await ledger.enqueue(job, null)
  await started(0)
  await ledger.cancel(id, { reason: 'enough' })
  await world.clock.settle()
  expect(ends.splice(0)).toMatchObject([{ outcome: 'cancelled', final: true, error: { reason: 'enough', jobId: id } }])

  const late = await ledger.enqueue(job, null)
  await started(1)
  await world.clock.advance('11m')
  expect(await ledger.status(late.id)).toMatchObject({ state: 'failed' })
  expect(ends.splice(0)).toMatchObject([{ outcome: 'failed', final: true, error: { code: 'TIMEOUT' } }])

  const lost = await ledger.enqueue(job, null, { timeout: null })
  await started(2)
  const [{ token } = {}] = await factsOf(ledger, lost.id, 'Leased')
  // By its token anybody can say that it is over.
  await ledger.requeueOrFinish(token as string, 0, 'elsewhere')
  await world.clock.settle()
  expect(ends).toMatchObject([{ outcome: 'lost', final: true, error: { code: 'LEASE_LOST' } }])
})

scenario([47], 'a run whose outcome came too late is told what became of its job instead', async (world) => {
  const ends: [string, RunEnd][] = []
  const { job, started, finish } = standing('standing', { commit: (end, { id }) => void ends.push([id, end]) })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  for (const [n, id] of ['cancelled', 'finished'].entries()) {
    await ledger.enqueue(job, null, { id })
    await started(n)
  }
  const [{ token } = {}] = await factsOf(ledger, 'finished', 'Leased')
  // All in one turn of the event loop, the other's deeds first.
  const deeds = [ledger.cancel('cancelled'), ledger.finish(token as string)]
  finish(0, 'too late')
  finish(1, 'too late')
  await Promise.all(deeds)
  await world.clock.settle()
  expect(world.log.filter(({ message }) => message === 'outcome not recorded')).toHaveLength(2)
  expect(ends.toSorted()).toMatchObject([
    ['cancelled', { outcome: 'cancelled', final: true, error: { code: 'JOB_CANCELLED' } }],
    ['finished', { outcome: 'lost', final: true, error: { code: 'LEASE_LOST' } }],
  ])
})

scenario(
  [47, '002.43'],
  'a commit that throws changes nothing: it is logged, and the job is what it was',
  async (world) => {
    const job = noting([], {
      commit: async () => {
        throw new Error('hook fault')
      },
    })
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    const { id } = await ledger.enqueue(job, 0)
    expect(await ended(world, ledger, id)).toBe('done')
    await world.clock.settle()
    expect(await typesOf(ledger, id)).toEqual(['Queued', 'Leased', 'Finished'])
    const logged = world.log.filter(({ message }) => message === 'commit failed')
    expect(logged).toMatchObject([{ level: 'error', facts: { jobId: id, err: { message: 'hook fault' } } }])
    expect(await runToEnd(world, ledger, job, 0)).toBe('done')
  },
)

scenario([47], 'a run keeps its slot until its commit is done, and not for ever', async (world) => {
  const committing = gate<JobContext>()
  const go = gate()
  const job = defineJob({
    type: 'careful',
    timeout: '1m',
    commit: async (_, ctx) => {
      committing.open(ctx)
      await (ctx.id === 'first' ? go.promise : never())
    },
    handle: () => 'done',
  })
  const ledger = await world.open({ jobs: [job, echo] })
  await ledger.start({ concurrency: 1 })
  await ledger.enqueue(job, null, { id: 'first' })
  await committing.promise
  await ledger.enqueue(echo, 'behind', { id: 'behind' })
  await world.clock.settle()
  expect(await ledger.result('first')).toBe('done')
  expect(await ledger.status('behind')).toMatchObject({ state: 'ready' })
  go.open()
  await world.clock.settle()
  expect(await ledger.result('behind')).toBe('behind')

  await ledger.enqueue(job, null, { id: 'second' })
  await ledger.enqueue(echo, 'later', { id: 'later' })
  await world.clock.advance(59_999)
  expect(await ledger.status('later')).toMatchObject({ state: 'ready' })
  await world.clock.advance(1)
  expect(await ledger.result('later')).toBe('later')
  expect(world.log).toContainEqual(expect.objectContaining({ level: 'error', message: 'commit did not end in time' }))
})

scenario(
  [47],
  'a start that comes through after its run is over calls no handler, but still its commit',
  async (world) => {
    const calls: string[] = []
    const connection = gate<string>()
    const job = noting(calls, {
      ...{ timeout: '1m', maxAttempts: 1 },
      start: () => connection.promise,
    })
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    expect(await runToEnd(world, ledger, job, 0)).toMatchObject({ code: 'JOB_FAILED', error: 'Timeout' })
    expect(calls).toEqual(['init', expect.stringMatching(/^onError 1: Job .* ran longer than its timeout of 60000 ms/)])
    connection.open('late')
    await world.clock.settle()
    expect(calls.slice(2)).toEqual(['commit 1: failed true late'])
  },
)

scenario([47], 'a shutdown waits for commits, and runs that are given back have theirs', async (world) => {
  const ends: [string, string][] = []
  const go = gate()
  const began = gate()
  const { job, started } = standing('standing', {
    commit: async (end, { id }) => {
      await new Promise<void>((resolve) => world.clock.at(world.clock.now() + 1_500, resolve))
      ends.push([id, end.outcome])
    },
  })
  const slow = defineJob({
    type: 'slow',
    commit: async (end, { id }) => {
      began.open()
      await go.promise
      ends.push([id, end.outcome])
    },
    handle: () => 'done',
  })
  const ledger = await world.open({ jobs: [job, slow] })
  await ledger.start()
  await ledger.enqueue(slow, null, { id: 'slow' })
  await began.promise
  let closed = false
  const closing = ledger.close({ drain: '10s', timeout: '20s' }).then(() => {
    closed = true
  })
  await world.clock.advance('5s')
  expect([closed, ends]).toEqual([false, []])
  go.open()
  await world.clock.settle()
  await closing
  expect(ends.splice(0)).toEqual([['slow', 'succeeded']])

  const second = await world.open({ jobs: [job] })
  await second.start()
  await second.enqueue(job, null, { id: 'held up' })
  await started(0)
  await world.close(second, { drain: 0, timeout: '1s' })
  expect(ends).toEqual([['held up', 'released']])
  const reader = await world.open()
  expect(await typesOf(reader, 'held up')).toEqual(['Queued', 'Leased', 'Released'])
})

scenario([47], 'a commit that never ends holds up a shutdown only to its deadline', async (world) => {
  const began = gate()
  const job = defineJob({
    type: 'endless',
    timeout: null,
    commit: () => {
      began.open()
      return never()
    },
    handle: () => 'done',
  })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  const { id } = await ledger.enqueue(job, null)
  await began.promise
  const before = world.clock.now()
  await world.close(ledger, { drain: '1s', timeout: '3s' })
  expect(world.clock.now() - before).toBeLessThanOrEqual(10_000)
  const reader = await world.open()
  expect(await reader.result(id)).toBe('done')
})

scenario([47], 'a lease taken back elsewhere is no business of the hooks here', async (world) => {
  const calls: string[] = []
  const job = noting(calls)
  const ledger = await world.open({ jobs: [job] })
  const { id } = await ledger.enqueue(job, 0)
  await loseLease(world, ledger, id)
  expect(calls).toEqual([])
  await ledger.start()
  expect(await ended(world, ledger, id)).toBe('done')
  await world.clock.settle()
  expect(calls).toEqual(['init', 'start 2', 'handle 2', 'commit 2: succeeded true value 2'])
})

scenario(
  [47],
  'effects that fail after the handler has returned make it a failed run for commit, too',
  async (world) => {
    const ends: RunEnd[] = []
    const fault = new Error('table is full')
    const job = defineJob({
      type: 'writing',
      maxAttempts: 1,
      commit: (end) => void ends.push(end),
      handle: (_: null, ctx) => {
        ctx.finishWith(() => {
          throw fault
        })
        return 'returned'
      },
    })
    const ledger = await world.open({ jobs: [job] })
    const failed = next(ledger, 'w', 'Finished')
    await ledger.start()
    await ledger.enqueue(job, null, { id: 'w' })
    await failed
    await world.clock.settle()
    expect(ends).toEqual([{ outcome: 'failed', final: true, error: fault }])
  },
  SQL,
)
