import { describe, expect, test } from 'vitest'
import type { TestLedger } from '../../adapters/testing/test-ledger.js'
import { testLedger } from '../../adapters/testing/test-ledger.js'
import { jobMachine } from '../../domain/job/machine.js'
import type { Difference } from '../../projections/diff/difference.js'
import type { Projection } from '../../projections/fold.js'
import type { DiffOptions } from '../../runtime/history/diff.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { Fatal, RetryAt } from '../../runtime/work/run/handler-errors.js'

/** Fails as often as its payload says. */
const flaky = defineJob({
  type: 'flaky',
  maxAttempts: 3,
  backoff: { min: '10s', max: '10s', jitter: 'none' },
  handle: (failures: number, { attempt }) => {
    if (failures < 0) throw new Fatal('never')
    if (attempt <= failures) throw new TypeError(`attempt ${attempt}`)
  },
})

/** One succeeds at once, one at its third attempt, one never, one is not to be tried again. */
async function lived(): Promise<TestLedger> {
  const ledger = await testLedger({ jobs: [flaky] })
  for (const [id, failures] of [
    ['good', 0],
    ['third', 2],
    ['bad', 9],
    ['fatal', -1],
  ] as const) {
    await ledger.enqueue(flaky, failures, { id })
  }
  await ledger.advance('5m')
  return ledger
}

async function differences(ledger: TestLedger, options: DiffOptions): Promise<Difference[]> {
  const found: Difference[] = []
  for await (const difference of ledger.diff(options)) found.push(difference)
  return found
}

/** What each says, in short. */
const inShort = (found: readonly Difference[]): unknown[] =>
  found.map((one) => {
    if (one.kind === 'row') return [one.key, one.before, one.after]
    if (one.kind === 'refused') return [one.job, one.event, one.phase]
    if (one.kind === 'decision') return [one.job, one.attempt, one.recorded.what, one.candidate.what]
    return [one.job, one.recorded, one.candidate]
  })

describe('two projections', () => {
  const count = (types: readonly string[]): Projection<number> => ({
    name: 'ends',
    version: 1,
    key: ({ stream }) => (stream.startsWith('job-') ? stream : undefined),
    init: () => 0,
    on: Object.fromEntries(types.map((type) => [type, (n: number) => n + 1])),
  })

  test('differ in the rows that differ', async () => {
    const ledger = await lived()
    const [before, after] = [count(['Finished']), count(['Finished', 'Failed'])]
    expect(inShort(await differences(ledger, { projections: [before, after] as never }))).toEqual([
      ['job-bad', 1, 4],
      ['job-fatal', 1, 2],
      ['job-third', 1, 3],
    ])
    expect(await differences(ledger, { projections: [before, before] as never })).toEqual([])
    await ledger.close()
  })
})

describe('a machine', () => {
  const states = (jobMachine.config as { states: Record<string, { on: Record<string, string> }> }).states
  const changed = (state: string, on: Record<string, string>): object => ({
    initial: 'absent',
    states: { ...states, [state]: { on } },
  })

  test('that is the same makes no difference', async () => {
    const ledger = await lived()
    await ledger.retry('bad')
    await ledger.cancel('bad')
    await ledger.expunge('good')
    expect(await differences(ledger, { machine: jobMachine })).toEqual([])
    expect(await differences(ledger, { machine: changed('absent', { Queued: 'waiting' }) })).toEqual([])
    // Those that ended before the range, too.
    const from = { position: (await ledger.asOf(ledger.clock.now()).moment()).position }
    await ledger.retry('fatal')
    await ledger.expunge('third')
    expect(await differences(ledger, { machine: jobMachine, from })).toEqual([])
    await ledger.close()
  })

  test('refuses an event of each job that has one, and says where that leaves the job', async () => {
    const ledger = await lived()
    const found = await differences(ledger, { machine: changed('failing', { Finished: 'ended' }) })
    expect(inShort(found)).toEqual([
      ['third', 'Retried', 'failing'],
      ['bad', 'Retried', 'failing'],
      ['third', 'ended', 'failing'],
      ['bad', 'ended', 'failing'],
    ])
    await ledger.close()
  })

  test('ends elsewhere', async () => {
    const ledger = await lived()
    const machine = {
      initial: 'absent',
      states: { ...states, failing: { on: { Retried: 'waiting', Finished: 'dead' } }, dead: {} },
    }
    expect(inShort(await differences(ledger, { machine }))).toEqual([
      ['bad', 'ended', 'dead'],
      ['fatal', 'ended', 'dead'],
    ])
    await ledger.close()
  })
})

describe('a retry policy', () => {
  const under = async (retry: DiffOptions['retry'], more: Partial<DiffOptions> = {}): Promise<unknown[]> => {
    const ledger = await lived()
    const found = await differences(ledger, { retry: retry ?? {}, ...more })
    await ledger.close()
    return inShort(found)
  }

  test('that is the same makes no difference, nor does one of another type', async () => {
    const backoff = { min: '10s', max: '10s', jitter: 'none' } as const
    expect(await under({ flaky: { maxAttempts: 3, backoff }, other: { maxAttempts: 1 } })).toEqual([])
    expect(await under({ flaky: {} })).toEqual([])
  })

  test('with fewer attempts ends jobs earlier, and one of them otherwise', async () => {
    expect(await under({ flaky: { maxAttempts: 2 } })).toEqual([
      ['third', 2, 'retry', 'end'],
      ['bad', 2, 'retry', 'end'],
      ['third', 'succeeded', 'failed'],
    ])
  })

  test('with more goes on where it ended, and how is not known', async () => {
    expect(await under({ flaky: { maxAttempts: null } })).toEqual([
      ['bad', 3, 'end', 'retry'],
      ['bad', 'failed', 'open'],
    ])
  })

  test('with another backoff tries at another time', async () => {
    const found = await under({ flaky: { backoff: { min: '1m', max: '1m' } } })
    expect(found).toEqual([
      ['third', 1, 'retry', 'retry'],
      ['bad', 1, 'retry', 'retry'],
      ['third', 2, 'retry', 'retry'],
      ['bad', 2, 'retry', 'retry'],
    ])
    // Some draw of the jitter gives the time that was recorded.
    expect(await under({ flaky: { backoff: { min: '1m', max: '1m', jitter: 'full' } } })).toEqual([])
  })

  test('by what may be tried again at all', async () => {
    expect(await under({ flaky: { retryOn: 'recoverable-only' } })).toEqual([
      ['third', 1, 'retry', 'end'],
      ['bad', 1, 'retry', 'end'],
      ['third', 'succeeded', 'failed'],
    ])
  })

  test('does not decide what others have said: the pool, the handler, the type', async () => {
    const [min, jitter] = ['10s', 'none'] as const
    const common = { maxAttempts: 3, backoff: { min, jitter } } as const
    const capped = defineJob({ type: 'capped', ...common, handle: () => Promise.reject(new Error('no')) })
    const spoken = defineJob({ type: 'spoken', ...common, handle: () => Promise.reject(new RetryAt('10s', 'busy')) })
    const typed = defineJob({
      type: 'typed',
      ...common,
      nextRun: () => '5m',
      handle: () => Promise.reject(new Error()),
    })
    const ledger = await testLedger({ jobs: [capped, spoken, typed] })
    for (const job of [capped, spoken, typed]) await ledger.enqueue(job, null, { id: job.type })
    await ledger.start({ ceilings: { maxAttempts: 2 } })
    await ledger.advance('6m')
    const backoff = { min: '1m', jitter: 'none' } as const
    const retry = { capped: { maxAttempts: 9 }, spoken: { backoff }, typed: { backoff } }
    expect(inShort(await differences(ledger, { retry }))).toEqual([])
    await ledger.close()
  })

  test('is judged by what came before the range, too', async () => {
    const ledger = await testLedger({ jobs: [flaky] })
    await ledger.enqueue(flaky, 2, { id: 'third' })
    await ledger.drain()
    const from = { position: (await ledger.asOf(ledger.clock.now()).moment()).position }
    await ledger.advance('5m')
    expect(inShort(await differences(ledger, { from, retry: { flaky: { maxAttempts: 1 } } }))).toEqual([
      ['third', 'succeeded', 'failed'],
    ])
    await ledger.close()
  })
})

test.each([
  [{}, 'diff'],
  [{ machine: { initial: 'a' } }, 'diff.machine'],
  [{ machine: { states: { a: {} } } }, 'diff.machine'],
  [{ machine: { initial: 'a', states: { a: { initial: 'b', states: { b: {} } } } } }, 'diff.machine.states.a'],
  [{ machine: 5 }, 'diff.machine'],
  [{ retry: { a: { attempts: 1 } } }, 'diff.retry.a.attempts'],
  [{ retry: { a: { backoff: { min: -1 } } } }, 'diff.retry.a.backoff.min'],
  [{ retry: { a: { retryOn: 'never' } } }, 'diff.retry.a.retryOn'],
  [{ retry: [] }, 'diff.retry'],
  [{ projections: [{}] }, 'diff.projections'],
  [{ retry: { a: {} }, filter: { types: 'Failed' } }, 'diff.filter.types'],
])('refuses %j', async (options, told) => {
  const ledger = await testLedger({ jobs: [flaky] })
  expect(() => ledger.diff(options as never)).toThrow(told)
  await ledger.close()
})
