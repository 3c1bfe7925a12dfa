import { describe, expect, it } from 'vitest'
import { Timeout } from '../../../runtime/errors.js'
import type { JobContext } from '../../../runtime/work/run/context.js'
import { defineJob } from '../../../runtime/work/run/definition.js'
import type { Backend } from '../support.js'
import { factsOf, gate, never, next, rejection, typesOf, World } from '../support.js'

class CardDeclined extends Error {
  override name = 'CardDeclined'
}

const hostile = {
  toString(): string {
    throw new Error('no text for you')
  },
}
const unnamed = Object.assign(new Error('m'), { name: '' })
const oddStack = Object.assign(new Error('m'), { stack: 1n })
const revoked = (() => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
})()

const THROWN: readonly (readonly [string, unknown, string, unknown])[] = [
  ['undefined', undefined, 'NonError', 'undefined'],
  ['null', null, 'NonError', 'null'],
  ['a text', 'out of paper', 'NonError', 'out of paper'],
  ['a symbol', Symbol('s'), 'NonError', expect.any(String)],
  ['an object whose toString throws', hostile, 'NonError', expect.any(String)],
  ['an object without a prototype', Object.create(null), 'NonError', expect.any(String)],
  ['a revoked proxy', revoked, 'NonError', expect.any(String)],
  ['an error of its own class', new CardDeclined('no funds'), 'CardDeclined', 'no funds'],
  ['an error without a name', unnamed, 'Error', 'm'],
  ['an error whose stack is no text', oddStack, 'Error', 'm'],
  ['an error with an enormous message', new Error('x'.repeat(3_000_000)), 'Error', expect.stringMatching(/^x{1000}/)],
]

const cycle: Record<string, unknown> = {}
cycle.self = cycle
const UNUSABLE: readonly (readonly [string, unknown])[] = [
  ['a function', () => {}],
  ['a bigint', 1n],
  ['a cycle', cycle],
  ['NaN', Number.NaN],
  ['more than fits', 'x'.repeat(1_000)],
  ['an object whose toJSON throws', { toJSON: hostile.toString }],
]

export function retriesSuite(backend: Backend): void {
  describe('attempts', () => {
    it('are repeated after the recorded delay until one succeeds', async () => {
      await using world = await World.create(backend)
      const runs: (readonly [number, number])[] = []
      const flaky = defineJob({
        type: 'flaky',
        backoff: { min: '10s', factor: 3, max: '1m', jitter: 'none' },
        handle: (_: null, { run, attempt }) => {
          runs.push([run, attempt])
          if (attempt < 4) throw new Error(`attempt ${attempt}`)
          return 'at last'
        },
      })
      const ledger = await world.open({ jobs: [flaky] })
      await ledger.start()
      const job = await ledger.enqueue(flaky, null)
      expect(await world.pass(job.result())).toBe('at last')
      expect(runs).toEqual([1, 2, 3, 4].map((n) => [n, n]))
      const failed = await factsOf(ledger, job.id, 'Failed')
      const retried = await factsOf(ledger, job.id, 'Retried')
      const leased = await factsOf(ledger, job.id, 'Leased')
      const waits = retried.map(({ runAt }, index) => (runAt as number) - (failed[index]?.at as number))
      expect(waits).toEqual([10_000, 30_000, 60_000])
      expect(leased.slice(1).map(({ at }) => at)).toEqual(retried.map(({ runAt }) => runAt))
      expect(failed.map(({ cause, retryable, attempt }) => ({ cause, retryable, attempt }))).toEqual(
        [1, 2, 3].map((attempt) => ({ cause: 'error', retryable: true, attempt })),
      )
      expect(await ledger.status(job.id)).toMatchObject({ state: 'succeeded', run: 4, attempt: 4, maxAttempts: 20 })
    })

    it('end in failed when they are used up, and result() says why', async () => {
      await using world = await World.create(backend)
      const doomed = defineJob({
        type: 'doomed',
        maxAttempts: 3,
        backoff: { min: 1, jitter: 'none' },
        handle: (_: null, { attempt }) => {
          throw new CardDeclined(`time ${attempt}`)
        },
      })
      const ledger = await world.open({ jobs: [doomed] })
      await ledger.start()
      const job = await ledger.enqueue(doomed, null)
      const error = await rejection(world.pass(job.result()))
      const why = {
        code: 'JOB_FAILED',
        jobId: job.id,
        error: 'CardDeclined',
        message: expect.stringMatching(/time 3$/),
      }
      expect(error).toMatchObject(why)
      const round = ['Leased', 'Failed', 'Retried']
      const last = ['Leased', 'Failed', 'Finished']
      expect(await typesOf(ledger, job.id)).toEqual(['Queued', ...round, ...round, ...last])
      const status = { state: 'failed', attempt: 3, error: 'CardDeclined', errorMessage: 'time 3' }
      expect(await ledger.status(job.id)).toMatchObject(status)
      const [first] = await factsOf(ledger, job.id, 'Failed')
      expect(first?.body).toMatchObject({ message: 'time 1', stack: expect.stringContaining('CardDeclined') })
    })

    it('have no end where the job says so', async () => {
      await using world = await World.create(backend)
      const stubborn = defineJob({
        type: 'stubborn',
        maxAttempts: null,
        backoff: { min: 1, max: 1, jitter: 'none' },
        handle: (_: null, { attempt }) => {
          if (attempt < 30) throw new Error('again')
          return attempt
        },
      })
      const ledger = await world.open({ jobs: [stubborn] })
      await ledger.start()
      expect(await world.pass((await ledger.enqueue(stubborn, null)).result())).toBe(30)
    })

    it.each(THROWN)('that throw %s have failed, and free their slot', async (_name, thrown, name, message) => {
      await using world = await World.create(backend)
      const job = defineJob({
        type: 'throws',
        maxAttempts: 1,
        handle: (late: boolean) => (late ? Promise.reject(thrown) : raise(thrown)),
      })
      const ledger = await world.open({ jobs: [job] })
      await ledger.start({ concurrency: 1 })
      for (const late of [false, true]) {
        const { id, result } = await ledger.enqueue(job, late)
        expect(await rejection(result())).toMatchObject({ code: 'JOB_FAILED', error: name })
        expect(await ledger.status(id)).toMatchObject({ state: 'failed', error: name, errorMessage: message })
      }
    })

    it.each(UNUSABLE)('that return %s have failed, and free their slot', async (_name, returned) => {
      await using world = await World.create(backend)
      const job = defineJob({ type: 'returns', maxAttempts: 1, handle: (good: boolean) => (good ? 'fine' : returned) })
      const ledger = await world.open({ jobs: [job], maxPayloadBytes: 500 })
      await ledger.start({ concurrency: 1 })
      const bad = await ledger.enqueue(job, false)
      expect(await rejection(bad.result())).toMatchObject({ code: 'JOB_FAILED', error: 'InvalidPayload' })
      expect(await (await ledger.enqueue(job, true)).result()).toBe('fine')
    })

    it('are not repeated when the payload no longer fits the schema', async () => {
      await using world = await World.create(backend)
      const before = defineJob({ type: 'changed', handle: (_: unknown) => {} })
      const after = defineJob({
        type: 'changed',
        schema: {
          '~standard': { version: 1, vendor: 'test', validate: async () => ({ issues: [{ message: 'too old' }] }) },
        },
        handle: () => 'never',
      })
      const ledger = await world.open({ jobs: [after] })
      const job = await ledger.enqueue(before, 1)
      await ledger.start()
      expect(await rejection(job.result())).toMatchObject({ code: 'JOB_FAILED', error: 'InvalidPayload' })
      expect(await factsOf(ledger, job.id, 'Failed')).toMatchObject([{ cause: 'invalid-payload', retryable: false }])
    })

    it('give the handler what the schema makes of the payload, and store what the caller gave', async () => {
      await using world = await World.create(backend)
      const parse = defineJob({
        type: 'parse',
        schema: {
          '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value: Number(value) }) },
        },
        handle: (payload: unknown) => typeof payload,
      })
      const ledger = await world.open({ jobs: [parse] })
      await ledger.start()
      const job = await ledger.enqueue(parse, '12')
      expect(await job.result()).toBe('number')
      expect((await ledger.status(job.id)).payload).toBe('12')
    })

    it('fail at their timeout, free the slot, tell the handler, and refuse what it gives later', async () => {
      await using world = await World.create(backend)
      const contexts: JobContext[] = []
      const late = gate<string>()
      const slow = defineJob({
        type: 'slow',
        timeout: '10s',
        maxAttempts: 1,
        handle: (_: null, ctx) => {
          contexts.push(ctx)
          return late.promise
        },
      })
      const quick = defineJob({ type: 'quick', handle: (_: null) => 'quick' })
      const ledger = await world.open({ jobs: [slow, quick] })
      await ledger.start({ concurrency: 1 })
      const job = await ledger.enqueue(slow, null)
      await world.clock.advance(9_999)
      expect(contexts[0]?.signal.aborted).toBe(false)
      await world.clock.advance(1)
      expect(contexts[0]?.signal.reason).toBeInstanceOf(Timeout)
      expect(await rejection(job.result())).toMatchObject({ code: 'JOB_FAILED', error: 'Timeout' })
      expect(await factsOf(ledger, job.id, 'Failed')).toMatchObject([{ cause: 'timeout', attempt: 1 }])
      expect(await (await ledger.enqueue(quick, null)).result()).toBe('quick')
      expect(await rejection((contexts[0] as JobContext).heartbeat(1))).toMatchObject({ code: 'LEASE_LOST' })
      late.open('too late')
      await world.clock.settle()
      expect((await ledger.status(job.id)).state).toBe('failed')
      expect(await typesOf(ledger, job.id)).toEqual(['Queued', 'Leased', 'Failed', 'Finished'])
    })

    it('that never settle are repeated, each with its own timeout', async () => {
      await using world = await World.create(backend)
      const stuck = defineJob({
        type: 'stuck',
        timeout: '5s',
        maxAttempts: 2,
        backoff: { min: '1s', jitter: 'none' },
        handle: (_: null) => never(),
      })
      const ledger = await world.open({ jobs: [stuck] })
      await ledger.start({ concurrency: 1 })
      const jobs = await ledger.enqueueMany([1, 2, 3].map(() => ({ job: stuck, payload: null })))
      const ends = jobs.map((job) => rejection(world.pass(job.result())))
      for (const end of await Promise.all(ends)) expect(end).toMatchObject({ error: 'Timeout' })
      for (const { id } of jobs) {
        const leased = await factsOf(ledger, id, 'Leased')
        const failed = await factsOf(ledger, id, 'Failed')
        expect(failed.map(({ at }, index) => (at as number) - (leased[index]?.at as number))).toEqual([5_000, 5_000])
      }
    })

    it('wait a random part of the delay unless told otherwise, and never longer than it', async () => {
      await using world = await World.create(backend)
      const failing = defineJob({
        type: 'failing',
        handle: (_: null) => {
          throw new Error('no')
        },
      })
      const ledger = await world.open({ jobs: [failing] })
      await ledger.start()
      const waits: number[] = []
      for (let index = 0; index < 20; index += 1) {
        const id = `job ${index}`
        const retried = next(ledger, id, 'Retried')
        await ledger.enqueue(failing, null, { id, backoff: { min: '10s' } })
        const { data, at } = await retried
        waits.push((data as { runAt: number }).runAt - at)
      }
      expect(Math.min(...waits)).toBeGreaterThanOrEqual(0)
      expect(Math.max(...waits)).toBeLessThanOrEqual(10_000)
      expect(new Set(waits).size).toBeGreaterThan(10)
    })
  })
}

function raise(thrown: unknown): never {
  throw thrown
}
