/** Virtual time goes on until a job is where the test wants it. */
import { expect, test } from 'vitest'
import { testLedger } from '../../adapters/testing/index.js'
import type { JobContext } from '../../runtime/work/run/context.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { never, rejection } from '../engine/support.js'

const START = Date.UTC(2026, 0, 1)
const echo = defineJob({ type: 'echo', handle: (value: unknown) => value })
const hanging = defineJob({ type: 'hanging', timeout: null, handle: never })
const failing = defineJob({
  type: 'failing',
  maxAttempts: 3,
  backoff: { min: '1m', factor: 1, jitter: 'none' },
  handle: () => {
    throw new Error('broken')
  },
})
const jobs = [echo, hanging, failing]

test('the status then, and no more time than it takes', async () => {
  await using ledger = await testLedger({ jobs })
  const job = await ledger.enqueue(failing, null)
  expect(await ledger.waitFor(job, 'failed')).toMatchObject({ id: job.id, state: 'failed', errorMessage: 'broken' })
  expect(ledger.clock.now() - START).toBe(120_000)
})

test('every state can be waited for', async () => {
  await using ledger = await testLedger({ jobs, patience: 10 })
  await ledger.enqueue(echo, 1, { id: 'delayed', delay: '1m' })
  await ledger.enqueue(echo, 1, { id: 'held', held: true })
  await ledger.enqueue(echo, 1, { id: 'blocked', dependsOn: ['delayed'] })
  await ledger.enqueue(hanging, 1, { id: 'hanging' })
  await ledger.enqueue(defineJob({ type: 'nobody’s' }), 1, { id: 'ready', delay: '30s' })
  expect(await ledger.waitFor('delayed', 'scheduled')).toMatchObject({ state: 'scheduled' })
  expect(await ledger.waitFor('held', 'held')).toMatchObject({ state: 'held' })
  expect(await ledger.waitFor('blocked', 'blocked')).toMatchObject({ state: 'blocked', blockedBy: ['delayed'] })
  expect(await ledger.waitFor('hanging', 'running')).toMatchObject({ state: 'running' })
  expect(ledger.clock.now()).toBe(START)
  expect(await ledger.waitFor('ready', 'ready')).toMatchObject({ state: 'ready' })
  expect(await ledger.waitFor('blocked', 'succeeded')).toMatchObject({ endedAt: START + 60_000 })
  await ledger.cancel('hanging')
  expect(await ledger.waitFor('hanging', 'cancelled')).toMatchObject({ state: 'cancelled' })
})

test('a state that was over at once has been all the same', async () => {
  await using ledger = await testLedger({ jobs })
  for (const state of ['ready', 'running'] as const) {
    const job = await ledger.enqueue(echo, 1, { delay: '1m' })
    const now = ledger.clock.now()
    expect(await ledger.waitFor(job, state)).toMatchObject({ startedAt: now + 60_000 })
  }
})

test('a job that nobody runs is ready in its time', async () => {
  await using ledger = await testLedger()
  const job = await ledger.enqueue(echo, 1, { delay: '12345ms' })
  expect(await ledger.waitFor(job, 'ready')).toMatchObject({ state: 'ready', run: 0 })
  expect(ledger.clock.now() - START).toBe(12_345)
})

test('a job that is yet to come is waited for', async () => {
  const parent = defineJob({
    type: 'parent',
    handle: async (_: null, ctx: JobContext) => void (await ctx.ledger.enqueue(echo, 5, { id: 'child', delay: '1m' })),
  })
  await using ledger = await testLedger({ jobs: [parent, echo] })
  await ledger.enqueue(parent, null, { delay: '1m' })
  expect(await ledger.waitFor('child', 'succeeded')).toMatchObject({ result: 5 })
})

test('when it does not come to that, the error says what is instead', async () => {
  await using ledger = await testLedger({ jobs })
  const job = await ledger.enqueue(echo, 1, { delay: '2h' })
  expect(await rejection(ledger.waitFor(job, 'succeeded'))).toMatchObject({
    ...{ code: 'WAIT_TIMEOUT', family: 'ledger', jobId: job.id, wanted: 'succeeded', found: 'scheduled' },
    message: `Job ${job.id} was not succeeded within 3600000 ms of virtual time: it is scheduled.`,
  })
  expect(ledger.clock.now() - START).toBe(3_600_000)
  expect(await rejection(ledger.waitFor(job, 'succeeded', { within: '59m' }))).toMatchObject({ code: 'WAIT_TIMEOUT' })
  expect(await ledger.waitFor(job, 'succeeded', { within: '1m' })).toMatchObject({ state: 'succeeded' })
  expect(await rejection(ledger.waitFor('nobody', 'failed', { within: 0 }))).toMatchObject({
    found: undefined,
    message: 'Job nobody was not failed within 0 ms of virtual time: there is no such job.',
  })
})

test('wrong arguments are refused by their names', async () => {
  await using ledger = await testLedger()
  const wrong: [unknown[], string][] = [
    [['', 'failed'], 'waitFor.job'],
    [[undefined, 'failed'], 'waitFor.job'],
    [['a', 'done'], 'waitFor.state'],
    [['a', 'failed', { within: 'long' }], 'waitFor.within'],
    [['a', 'failed', { timeout: '1h' }], 'waitFor.timeout'],
  ]
  for (const [given, option] of wrong) {
    expect(await rejection(ledger.waitFor(...(given as Parameters<typeof ledger.waitFor>)))).toMatchObject({ option })
  }
})
