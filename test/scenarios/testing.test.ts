/** Ledgers for tests: one that waits to be told, and one that does nothing at all. */
import { expect } from 'vitest'
import { noopLedger, testLedger } from '../../adapters/testing/index.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { Enqueueing, JobHandle } from '../../runtime/write/contract.js'
import { memory, rejection } from '../engine/support.js'
import { ended } from './acts.js'
import { scenario } from './scenario.js'

const welcome = defineJob({
  type: 'welcome',
  backoff: { min: '1m', factor: 1, jitter: 'none' },
  handle: (name: string, { attempt }) => {
    if (attempt < 3) throw new Error('the server is away')
    return `welcome ${name}`
  },
})
const report = defineJob({ type: 'report', handle: (_: { readonly on: string }) => undefined })
const jobs = [welcome, report]

/** A program that knows nothing of tests: it welcomes whoever signs up at once, and reports a day later. */
async function signUp(ledger: Enqueueing, name: string): Promise<JobHandle<string>> {
  const job = await ledger.enqueue(welcome, name)
  await ledger.enqueue(report, { on: name }, { delay: '1d', dependsOn: [job.id] })
  return job
}

/** What comes of a program that signs somebody up. */
const WELCOME = 'welcome ann'

/** None of them is kept anywhere: one backend is enough. */
const ONE = [memory]

scenario(
  [80, '001.40'],
  'the same program on a ledger in memory, on one for tests, and on one that does nothing',
  async (world) => {
    const real = await world.open({ jobs })
    await real.start()
    const { id } = await signUp(real, 'ann')
    expect(await ended(world, real, id)).toBe(WELCOME)

    await using tested = await testLedger({ jobs })
    const waiting = await signUp(tested, 'ann')
    expect((await tested.queues.stats()).default).toMatchObject({ ready: 1, blocked: 1, running: 0 })
    await tested.drain()
    expect((await tested.status(waiting.id)).attempt).toBe(1)
    await tested.advance('2m')
    expect(await waiting.result()).toBe(WELCOME)
    expect(await tested.waitFor(tested.getFirstOf(report)?.id ?? '', 'succeeded', { within: '1d' })).toBeDefined()

    const nothing = await noopLedger({ jobs })
    const forgotten = await signUp(nothing, 'ann')
    expect(forgotten.outcome).toBe('created')
    expect(await rejection(forgotten.result())).toMatchObject({ code: 'JOB_UNKNOWN' })
    expect((await nothing.list()).jobs).toEqual([])
  },
  ONE,
)

scenario(
  [80, '001.41'],
  'a test asks what was enqueued, and is answered pass or fail',
  async () => {
    const said: string[] = []
    await using ledger = await testLedger({ jobs, report: (text) => void said.push(text) })
    expect([ledger.empty(), ledger.notEmpty(), ledger.total(0), ledger.contains(welcome)]).toEqual([
      ...[true, false, true],
      false,
    ])
    await signUp(ledger, 'ann')
    expect([ledger.empty(), ledger.notEmpty(), ledger.total(2), ledger.total(1)]).toEqual([false, true, true, false])
    expect([ledger.contains(welcome), ledger.contains('report'), ledger.contains('invoice')]).toEqual([
      ...[true, true],
      false,
    ])
    expect([ledger.notContains(welcome), ledger.notContains('invoice')]).toEqual([false, true])
    // What has ended was enqueued all the same.
    await ledger.advance('2d')
    expect(ledger.total(2, 'they are gone')).toBe(true)
    expect(ledger.contains('invoice', 'no invoice was written')).toBe(false)
    expect(said).toEqual([expect.stringMatching(/^no invoice was written: .*1 x welcome, 1 x report/)])
  },
  ONE,
)

scenario(
  ['001.42'],
  'jobs are found by their place in the order in which they were enqueued',
  async () => {
    await using ledger = await testLedger({ jobs })
    expect([ledger.getFirst(), ledger.get(1), ledger.getFirstOf(welcome), ledger.getOf(welcome, 1)]).toEqual(
      new Array(4).fill(undefined),
    )
    await signUp(ledger, 'ann')
    await signUp(ledger, 'bob')
    expect(ledger.jobs().map(({ type }) => type)).toEqual(['welcome', 'report', 'welcome', 'report'])
    expect(ledger.getFirst()).toMatchObject({ type: 'welcome', payload: 'ann' })
    expect(ledger.get(1)).toEqual(ledger.getFirst())
    expect(ledger.get(4)).toMatchObject({ type: 'report', payload: { on: 'bob' } })
    expect(ledger.getFirstOf(report)).toEqual(ledger.get(2))
    expect(ledger.getOf('welcome', 2)).toEqual(ledger.get(3))
    expect([ledger.get(0), ledger.get(5), ledger.getOf(report, 3), ledger.getFirstOf('invoice')]).toEqual(
      new Array(4).fill(undefined),
    )
  },
  ONE,
)

scenario(
  ['001.43'],
  'a ledger for tests is made without a test framework, and not with nonsense',
  async () => {
    await using ledger = await testLedger()
    expect(ledger.empty()).toBe(true)
    for (const nonsense of [null, 'test', 5]) {
      expect(await rejection(testLedger(nonsense as never))).toMatchObject({ code: 'INVALID_OPTION' })
    }
    expect(await rejection(testLedger({ t: {} } as never))).toMatchObject({ code: 'INVALID_OPTION' })
  },
  ONE,
)
