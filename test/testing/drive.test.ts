/** When things happen in a test ledger: only when the test says so, and then at the right instant. */
import { readFile } from 'node:fs/promises'
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import type { TestLedger, VirtualClock } from '../../adapters/testing/index.js'
import { testLedger } from '../../adapters/testing/index.js'
import type { JobContext } from '../../runtime/work/run/context.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { gate, never, rejection } from '../engine/support.js'

const echo = defineJob({ type: 'echo', handle: (value: unknown) => value })
const START = Date.UTC(2026, 0, 1)
/** Longer than any guard: whoever waits for it in real time fails the test. */
const LONG = '1h'

const stateOf = async (ledger: TestLedger, { id }: { readonly id: string }): Promise<string> =>
  (await ledger.status(id)).state

/** A type that notes when it runs (s since the beginning), and throws as often as it is told to. */
function noting(failures = 0, more: object = {}) {
  const notes: number[] = []
  let ledger: TestLedger | undefined
  const job = defineJob({
    type: 'noting',
    backoff: { min: '10s', factor: 2, jitter: 'none' },
    ...more,
    handle: () => {
      notes.push(((ledger as TestLedger).clock.now() - START) / 1_000)
      if (notes.length <= failures) throw new Error('not yet')
    },
  })
  return { job, notes, in: (own: TestLedger) => (ledger = own) }
}

test('nothing runs until it is told to, and nothing after', async () => {
  await using ledger = await testLedger({ jobs: [echo] })
  const first = await ledger.enqueue(echo, 1)
  await turn()
  await pause(5)
  expect(await stateOf(ledger, first)).toBe('ready')
  expect(await ledger.drain()).toEqual([])
  expect(await first.result()).toBe(1)
  const second = await ledger.enqueue(echo, 2)
  await pause(5)
  expect(await stateOf(ledger, second)).toBe('ready')
  await ledger.advance(0)
  expect(await second.result()).toBe(2)
})

test('a ledger that was started by the program under test waits all the same', async () => {
  await using ledger = await testLedger({ jobs: [echo] })
  expect(await ledger.start({ concurrency: 3 })).toBe(true)
  const job = await ledger.enqueue(echo, 1)
  await pause(5)
  expect(await stateOf(ledger, job)).toBe('ready')
  await ledger.drain()
  expect(await stateOf(ledger, job)).toBe('succeeded')
  expect(await ledger.start()).toBe(false)
})

test('one that starts by itself, and one whose types come later', async () => {
  await using own = await testLedger({ jobs: [echo], autoStart: { concurrency: 1 } })
  expect(await own.start()).toBe(false)
  const job = await own.enqueue(echo, 1)
  await pause(5)
  expect(await stateOf(own, job)).toBe('ready')
  await own.drain()
  expect(await stateOf(own, job)).toBe('succeeded')

  const committed: string[] = []
  const commit = async (): Promise<void> => void committed.push(String(await pause(20, 'committed')))
  await using late = await testLedger({ patience: LONG })
  const waiting = await late.enqueue(echo, 1)
  await late.drain()
  await late.register(defineJob({ type: 'echo', handle: (value: unknown) => value, commit }))
  expect(await stateOf(late, waiting)).toBe('ready')
  await late.drain()
  expect(await stateOf(late, waiting)).toBe('succeeded')
  expect(committed).toEqual(['committed'])
})

test('one that was stopped runs nothing until it is started again', async () => {
  await using ledger = await testLedger({ jobs: [echo] })
  await ledger.drain()
  expect(await ledger.stop()).toBe(true)
  const job = await ledger.enqueue(echo, 1)
  await ledger.advance('1m')
  expect(await stateOf(ledger, job)).toBe('ready')
  await ledger.start()
  await ledger.drain()
  expect(await stateOf(ledger, job)).toBe('succeeded')
})

test('stopping lets pass the time that running jobs are given', async () => {
  const open = gate()
  const standing = defineJob({ type: 'standing', handle: () => open.promise })
  await using ledger = await testLedger({ jobs: [standing], patience: 10 })
  const job = await ledger.enqueue(standing, null)
  await ledger.waitFor(job, 'running')
  expect(await ledger.stop({ drain: '1m', timeout: '2m' })).toBe(true)
  expect(await ledger.status(job.id)).toMatchObject({ state: 'ready', attempt: 0 })
  expect(ledger.clock.now() - START).toBeGreaterThanOrEqual(120_000)
})

test('queues can be paused and resumed', async () => {
  await using ledger = await testLedger({ jobs: [echo] })
  await ledger.drain()
  await ledger.queues.pause('default')
  const job = await ledger.enqueue(echo, 1)
  await ledger.advance('1h')
  expect(await stateOf(ledger, job)).toBe('ready')
  await ledger.queues.resume('default')
  expect(await stateOf(ledger, job)).toBe('ready')
  await ledger.drain()
  expect(await stateOf(ledger, job)).toBe('succeeded')
})

test('one that only enqueues is drained without a word', async () => {
  await using ledger = await testLedger()
  const job = await ledger.enqueue(echo, 1)
  expect(await ledger.drain()).toEqual([])
  expect(await stateOf(ledger, job)).toBe('ready')
})

test('drain follows chains to their end while time stands still', async () => {
  const chain = defineJob({
    type: 'chain',
    async handle(left: number, { ledger }: JobContext) {
      if (left > 0) await ledger.enqueue(chain, left - 1, { id: `chain ${left - 1}` })
    },
  })
  await using ledger = await testLedger({ jobs: [chain] })
  await ledger.enqueue(chain, 50)
  await ledger.drain()
  expect(await stateOf(ledger, { id: 'chain 0' })).toBe('succeeded')
  expect(ledger.clock.now()).toBe(START)
})

test('drain runs retries that are due at once, and leaves those that are not', async () => {
  const { job, notes, ...noted } = noting(3, {
    nextRun: ({ attempt }: { attempt: number }) => (attempt < 3 ? 0 : '5s'),
  })
  await using ledger = await testLedger({ jobs: [job] })
  noted.in(ledger)
  const enqueued = await ledger.enqueue(job, null)
  await ledger.drain()
  expect(notes).toEqual([0, 0, 0])
  expect(await stateOf(ledger, enqueued)).toBe('scheduled')
  await ledger.advance('4999ms')
  expect(notes).toHaveLength(3)
  await ledger.advance('1ms')
  expect(notes).toEqual([0, 0, 0, 5])
})

test('all that falls due while time passes happens at its own instant', async () => {
  const { job, notes, ...noted } = noting(3)
  await using ledger = await testLedger({ jobs: [job, echo] })
  noted.in(ledger)
  await ledger.enqueue(job, null)
  const delayed = await ledger.enqueue(echo, 1, { delay: '25m' })
  await ledger.advance('1h')
  expect(notes).toEqual([0, 10, 30, 70])
  expect(ledger.clock.now() - START).toBe(3_600_000)
  expect((await ledger.status(delayed.id)).startedAt).toBe(START + 25 * 60_000)
})

test('timeouts come in virtual time', async () => {
  const hanging = defineJob({ type: 'hanging', timeout: '10m', maxAttempts: 1, handle: never })
  await using ledger = await testLedger({ jobs: [hanging], patience: 10 })
  const job = await ledger.enqueue(hanging, null)
  await ledger.advance('9m')
  expect(await stateOf(ledger, job)).toBe('running')
  await ledger.advance('1m')
  expect(await ledger.status(job.id)).toMatchObject({ state: 'failed', error: 'Timeout', endedAt: START + 600_000 })
})

test('the engine keeps a long run alive, and takes back the lease of a worker that is silent', async () => {
  const hanging = defineJob({ type: 'hanging', timeout: null, handle: never })
  const ledger = await testLedger({ jobs: [hanging], patience: 10 })
  const ours = await ledger.enqueue(hanging, null)
  const theirs = await ledger.enqueue(echo, null)
  await ledger.leaseById(theirs.id, await ledger.workers.register())
  await ledger.advance('5m')
  expect(await stateOf(ledger, ours)).toBe('running')
  expect(await stateOf(ledger, theirs)).toBe('ready')
  await ledger.close({ drain: 0, timeout: 0 })
})

test('work in the world outside is waited for, and no time passes meanwhile', async () => {
  const reading = defineJob({
    type: 'reading',
    timeout: '1s',
    maxAttempts: 1,
    async handle(_: null, ctx: JobContext) {
      for (let look = 0; look < 3; look += 1) {
        await pause(10)
        await turn()
        await readFile(import.meta.filename)
        await ctx.heartbeat()
      }
      return 'read'
    },
  })
  await using ledger = await testLedger({ jobs: [reading], patience: LONG })
  const drained = await ledger.enqueue(reading, null)
  expect(await ledger.drain()).toEqual([])
  expect(await drained.result()).toBe('read')
  const later = await ledger.enqueue(reading, null, { delay: '10m' })
  await ledger.advance('1h')
  expect(await later.result()).toBe('read')
})

test('what a run has to do after its end is waited for', async () => {
  const committed: string[] = []
  const job = defineJob({
    type: 'committing',
    handle: () => 'done',
    async commit(end) {
      await pause(20)
      await turn()
      committed.push(end.outcome)
    },
  })
  await using ledger = await testLedger({ jobs: [job], patience: LONG })
  await ledger.enqueue(job, null)
  expect(await ledger.drain()).toEqual([])
  expect(committed).toEqual(['succeeded'])
})

test('drain tells which jobs still run', async () => {
  const open = gate()
  const standing = defineJob({ type: 'standing', handle: () => open.promise })
  await using ledger = await testLedger({ jobs: [standing, echo], patience: 10 })
  const { id } = await ledger.enqueue(standing, null)
  const beside = await ledger.enqueue(echo, 1)
  expect(await ledger.drain()).toEqual([id])
  expect(await stateOf(ledger, beside)).toBe('succeeded')
  expect(await ledger.drain()).toEqual([id])
  open.open()
  await turn()
  expect(await ledger.drain()).toEqual([])
})

test('a handler that waits for virtual time is known to, and nobody waits for it in real time', async () => {
  const clocks: VirtualClock[] = []
  const sleeping = defineJob({
    type: 'sleeping',
    async handle() {
      const [clock] = clocks as [VirtualClock]
      for (let nap = 0; nap < 2; nap += 1) {
        await new Promise<void>((resolve) => clock.at(clock.now() + 60_000, resolve))
        // Between two naps it is as busy as any.
        await pause(5)
      }
      return clock.now()
    },
  })
  await using ledger = await testLedger({ jobs: [sleeping], patience: LONG })
  clocks.push(ledger.clock)
  const job = await ledger.enqueue(sleeping, null)
  expect(await ledger.drain()).toEqual([job.id])
  await ledger.clock.advance('2m')
  expect(await job.result()).toBe(START + 120_000)
})

test('one thing at a time, in the order in which they were asked for', async () => {
  await using ledger = await testLedger({ jobs: [echo] })
  const job = await ledger.enqueue(echo, 1, { delay: '90s' })
  const [, , drained] = await Promise.all([ledger.advance('1m'), ledger.advance('1m'), ledger.drain()])
  expect(drained).toEqual([])
  expect(ledger.clock.now()).toBe(START + 120_000)
  expect((await ledger.status(job.id)).endedAt).toBe(START + 90_000)
})

test('runs without end are noticed, and the ledger can go on', async () => {
  const endless = defineJob({
    type: 'endless',
    async handle(n: number, ctx: JobContext) {
      if (n < 10_000) await ctx.ledger.enqueue(endless, n + 1)
    },
  })
  await using ledger = await testLedger({ jobs: [endless], maxRuns: 100 })
  await ledger.enqueue(endless, 0)
  expect(await rejection(ledger.drain())).toMatchObject({ code: 'ENDLESS_RUNS', family: 'ledger' })
  const count = ledger.jobs().length
  await pause(5)
  expect(ledger.jobs().length - count).toBeLessThan(10)
})

test('a backlog larger than the limit is no endless run', async () => {
  await using ledger = await testLedger({ jobs: [echo], maxRuns: 10 })
  await ledger.enqueueMany(Array.from({ length: 2_500 }, (_, payload) => ({ job: echo, payload })))
  expect(await ledger.drain()).toEqual([])
  expect((await ledger.queues.stats()).default).toMatchObject({ succeeded: 2_500, ready: 0 })
})

test('the same seed gives the same ids and the same jitter', async () => {
  const play = async (seed?: number): Promise<unknown> => {
    const { job, notes, ...noted } = noting(4, { backoff: { min: '1m', jitter: 'full' } })
    await using ledger = await testLedger({ jobs: [job], ...(seed !== undefined && { seed }) })
    noted.in(ledger)
    const first = await ledger.enqueue(job, null)
    await ledger.advance('1h')
    const second = await ledger.enqueue(job, null)
    const history = await ledger.history(first.id)
    return { ids: [first.id, second.id], notes, history: history.map(({ body, ...entry }) => entry) }
  }
  const first = await play()
  expect(await play()).toEqual(first)
  expect(await play(1)).toEqual(first)
  expect(await play(2)).not.toEqual(first)
})

test('time begins when it is told to', async () => {
  for (const start of [new Date('2030-05-06T07:08:09Z'), Date.UTC(2030, 4, 6, 7, 8, 9), '2030-05-06T07:08:09Z']) {
    await using ledger = await testLedger({ start })
    const job = await ledger.enqueue(echo, 1)
    expect((await ledger.status(job.id)).queuedAt).toBe(Date.UTC(2030, 4, 6, 7, 8, 9))
  }
})

test('fake timers of a test framework do not stop it', async () => {
  vi.useFakeTimers()
  try {
    await using ledger = await testLedger({ jobs: [echo], patience: 10 })
    const job = await ledger.enqueue(echo, 1, { delay: '1m' })
    await ledger.advance('1m')
    expect(await stateOf(ledger, job)).toBe('succeeded')
  } finally {
    vi.useRealTimers()
  }
})

test('closing lets pass the time that it needs', async () => {
  const hanging = defineJob({ type: 'hanging', handle: (_: null, ctx: JobContext) => aborted(ctx.signal) })
  const ledger = await testLedger({ jobs: [hanging], patience: 10 })
  const { id } = await ledger.enqueue(hanging, null)
  await ledger.waitFor(id, 'running')
  const released = gate<string>()
  ledger.events$.subscribe(({ type }) => {
    if (type === 'Released') released.open(type)
  })
  await ledger.close({ drain: '10s', timeout: '20s' })
  expect(await released.promise).toBe('Released')
  expect(ledger.clock.now()).toBeGreaterThanOrEqual(START + 10_000)
  await ledger.close()
  expect(await rejection(ledger.close({ drain: 'soon' } as never))).toMatchObject({ option: 'close.drain' })
  expect(await rejection(ledger.enqueue(echo, 1))).toMatchObject({ code: 'LEDGER_CLOSED' })
})

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
}

test('wrong options and arguments are refused by their names', async () => {
  const wrong: [object, string][] = [
    [{ start: 'tomorrow' }, 'testLedger.start'],
    [{ seed: 1.5 }, 'testLedger.seed'],
    [{ seed: -1 }, 'testLedger.seed'],
    [{ patience: 'long' }, 'testLedger.patience'],
    [{ maxRuns: 0 }, 'testLedger.maxRuns'],
    [{ report: 'console' }, 'testLedger.report'],
    [{ url: 'memory:' }, 'openLedger.url'],
    [{ jobs: 'all' }, 'openLedger.jobs'],
  ]
  for (const [options, option] of wrong) expect(await rejection(testLedger(options))).toMatchObject({ option })
  expect(await rejection(testLedger(null as never))).toMatchObject({ option: 'testLedger' })
  await using ledger = await testLedger()
  expect(await rejection(ledger.advance('soon'))).toMatchObject({ option: 'advance' })
})
