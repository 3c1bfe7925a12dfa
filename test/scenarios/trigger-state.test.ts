/** What has become of a trigger and its jobs. */
import { expect } from 'vitest'
import { defineJob } from '../../runtime/work/run/definition.js'
import { standing } from './acts.js'
import { scenario } from './scenario.js'
import { noted, tick } from './trigger-acts.js'

const MINUTE = 60_000
const START = Date.UTC(2026, 0, 1)

scenario([67, '002.39'], 'a trigger stands as its newest job does', async (world) => {
  const runs = standing()
  const ledger = await world.open({ jobs: [runs.job] })
  await ledger.triggers.add({
    id: 'every',
    kind: 'every',
    when: '1m',
    job: runs.job,
    payload: null,
    options: { maxAttempts: 1 },
  })
  const state = () => ledger.triggers.state('every')
  expect(await state()).toEqual({
    ...{ id: 'every', status: 'none', fired: 0, missed: 0 },
    next: [1, 2, 3, 4, 5].map((n) => START + n * MINUTE),
  })
  await world.clock.advance('1m')
  const [first] = await ledger.triggers.jobs('every')
  const lastExecution = { jobId: first?.id, at: START + MINUTE }
  expect(await state()).toMatchObject({ status: 'waiting', lastExecution, fired: 1 })
  await ledger.start()
  await runs.started(0)
  await world.clock.settle()
  expect(await state()).toMatchObject({ status: 'running', lastExecution })
  await world.clock.advance('30s')
  runs.finish(0, 'done')
  await world.clock.settle()
  const lastSuccess = { jobId: first?.id, at: START + 1.5 * MINUTE }
  expect(await state()).toMatchObject({ status: 'succeeded', lastExecution, lastSuccess })
  await world.clock.advance('30s')
  await runs.started(1)
  const [second] = await ledger.triggers.jobs('every')
  expect(await state()).toMatchObject({ status: 'running', lastExecution: { jobId: second?.id }, lastSuccess })
  await ledger.cancel(second?.id as string)
  await world.clock.settle()
  expect(await state()).toMatchObject({ status: 'cancelled', lastSuccess, fired: 2 })
  expect(await state()).not.toHaveProperty('lastFailure')
})

scenario([67, '002.39'], 'the last success, failure and job of a person are told, each with its job', async (world) => {
  const flaky = defineJob<string, string>({
    type: 'flaky',
    maxAttempts: 1,
    handle(payload) {
      if (payload === 'fail') throw new RangeError('out of it')
      return payload
    },
  })
  const ledger = await world.open({ jobs: [flaky] })
  await ledger.start()
  await ledger.triggers.add({ id: 'hook', kind: 'webhook', job: flaky })
  const receive = async (payload: string): Promise<{ jobId: string; at: number }> => {
    const { jobId } = await ledger.triggers.receive('hook', payload)
    await ledger.result(jobId as string).catch(() => {})
    await world.clock.settle()
    const at = world.clock.now()
    await world.clock.advance('1m')
    return { jobId: jobId as string, at }
  }
  const lastSuccess = await receive('a')
  const failed = await receive('fail')
  const lastFailure = { ...failed, error: 'RangeError' }
  expect(await ledger.triggers.state('hook')).toEqual({
    ...{ id: 'hook', status: 'failed', lastSuccess, lastFailure, lastExecution: failed, fired: 2, missed: 0, next: [] },
  })
  const { jobId } = await ledger.triggers.fire('hook', { payload: 'b' })
  await ledger.result(jobId)
  const lastManual = { jobId, at: world.clock.now() }
  const again = await receive('c')
  const expected = {
    ...{ status: 'succeeded', lastExecution: again, lastSuccess: again, lastFailure, lastManual, fired: 4 },
  }
  expect(await ledger.triggers.state('hook')).toMatchObject(expected)
  const other = await world.open()
  expect(await other.triggers.state('hook')).toMatchObject(expected)
  await world.close(ledger)
  await world.close(other)
  expect(await (await world.open()).triggers.state('hook')).toMatchObject(expected)
})

scenario(
  [67, '002.39'],
  'a job that ends later than one made after it changes the last success, not the state',
  async (world) => {
    const runs = standing()
    const ledger = await world.open({ jobs: [runs.job] })
    await ledger.start()
    await ledger.triggers.add({ id: 'hook', kind: 'webhook', job: runs.job })
    const [first, second] = [await ledger.triggers.receive('hook', 1), await ledger.triggers.receive('hook', 2)]
    await runs.started(1)
    runs.finish(0)
    await ledger.result(first.jobId as string)
    await world.clock.settle()
    expect(await ledger.triggers.state('hook')).toMatchObject({
      ...{ status: 'running', lastExecution: { jobId: second.jobId }, lastSuccess: { jobId: first.jobId } },
    })
    // Sent round again, the newest is still the newest.
    runs.finish(1)
    await ledger.result(second.jobId as string)
    await ledger.retry(first.jobId as string)
    await world.clock.settle()
    expect(await ledger.triggers.state('hook')).toMatchObject({
      status: 'succeeded',
      lastExecution: { jobId: second.jobId },
    })
  },
)

scenario([67, '002.39'], 'its jobs are told newest first, fifty unless more are wanted', async (world) => {
  const { job } = noted()
  const ledger = await world.open({ jobs: [job] })
  await ledger.triggers.add({ id: 'hook', kind: 'webhook', job: tick })
  await ledger.triggers.add({ id: 'other', kind: 'webhook', job: tick })
  const made: string[] = []
  for (let n = 0; n < 60; n += 1) {
    made.unshift((await ledger.triggers.receive('hook', n)).jobId as string)
    if (n % 10 === 0) await ledger.triggers.receive('other', n)
    await world.clock.advance('10ms')
  }
  const ids = async (limit?: number): Promise<string[]> =>
    (await ledger.triggers.jobs('hook', limit)).map(({ id }) => id)
  expect(await ids()).toEqual(made.slice(0, 50))
  expect(await ids(3)).toEqual(made.slice(0, 3))
  expect(await ids(1_000)).toEqual(made)
  expect(await ledger.triggers.jobs('other')).toHaveLength(6)
  expect((await ledger.list({ trigger: 'hook', limit: 2 })).jobs.map(({ id }) => id)).toEqual(made.slice(0, 2))
})

scenario([67, 60], 'what has come to nothing is counted, and why the last one did', async (world) => {
  const first = await world.open()
  await first.triggers.add({ id: 'every', kind: 'every', when: '1m', job: tick, payload: null })
  await world.clock.advance('1m')
  await world.close(first)
  world.clock.step(world.clock.now() + 10 * MINUTE)
  const second = await world.open()
  await world.clock.advance('1s')
  expect(await second.triggers.state('every')).toMatchObject({ fired: 2, missed: 9 })
  await second.triggers.update('every', { misfire: 'skip' })
  await world.close(second)
  world.clock.step(world.clock.now() + 10.5 * MINUTE)
  const third = await world.open()
  await world.clock.advance('1s')
  const { fired, missed, lastMissed, next } = await third.triggers.state('every')
  expect({ fired, missed, lastMissed }).toEqual({ fired: 2, missed: 19, lastMissed: 'late' })
  expect(next[0]).toBe(START + 22 * MINUTE)
})
