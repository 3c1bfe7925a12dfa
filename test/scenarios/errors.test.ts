/** What a handler throws decides what becomes of its job. */
import { expect } from 'vitest'
import type { FailOptions } from '../../runtime/work/desk/lease-protocol.js'
import type { JobContext } from '../../runtime/work/run/context.js'
import type { JobDefaults } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { Abort, BadTrigger, Fatal, Recoverable, RetryAt } from '../../runtime/work/run/handler-errors.js'
import type { World } from '../engine/support.js'
import { factsOf, rejection, typesOf } from '../engine/support.js'
import { echo, ended, failing, waits } from './acts.js'
import { SQL, scenario } from './scenario.js'

class Declined extends Recoverable {}
class Broken extends Fatal {}

/** How a job whose every run throws this ends, with three attempts to spend. */
async function fate(world: World, thrown: (ctx: JobContext) => unknown, more: Partial<JobDefaults<null>> = {}) {
  const job = failing(thrown, { maxAttempts: 3, ...more })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  const { id } = await ledger.enqueue(job, null)
  await ended(world, ledger, id)
  const failed = await factsOf(ledger, id, 'Failed')
  const fates = { status: await ledger.status(id), failed, waits: await waits(ledger, id) }
  await world.close(ledger)
  return fates
}

scenario([27, 'C27'], 'a plain error is tried again', async (world) => {
  const { status, failed } = await fate(world, () => new TypeError('plain'))
  expect(status).toMatchObject({ state: 'failed', run: 3, error: 'TypeError', errorMessage: 'plain' })
  expect(failed.map(({ retryable }) => retryable)).toEqual([true, true, true])
})

scenario([27, 'C27'], 'Fatal, and what is made of it, ends the job at once', async (world) => {
  for (const error of [new Fatal('no use'), new Broken('no use')]) {
    const { status, failed } = await fate(world, () => error)
    expect(status).toMatchObject({ state: 'failed', run: 1, error: error.name, errorMessage: 'no use', maxAttempts: 3 })
    expect(failed).toMatchObject([{ cause: 'error', retryable: false }])
  }
})

scenario([27, 'C27'], 'a type that is tried again only for recoverable errors', async (world) => {
  const retryOn = 'recoverable-only'
  const runs: number[] = []
  for (const thrown of [
    () => new Error('plain'),
    () => 'not even an error',
    () => new Fatal('fatal'),
    () => new Recoverable('once more'),
    () => new Declined('once more'),
    () => new RetryAt('1s'),
    ({ run }: JobContext) => (run === 1 ? new Recoverable('once more') : new Error('plain')),
  ]) {
    const { status } = await fate(world, thrown, { retryOn })
    expect(status.state).toBe('failed')
    runs.push(status.run)
  }
  expect(runs).toEqual([1, 1, 1, 3, 3, 3, 2])
})

scenario(
  ['003.1', 27, 'C27'],
  'recoverable twice and then broken: the third run has seen two failures and is the last',
  async (world) => {
    const seen: number[] = []
    const ledgerJob = defineJob({
      type: 'goalpost',
      retryOn: 'recoverable-only',
      backoff: { min: '100ms', factor: 2, jitter: 'none' },
      handle: (succeedAt: number, { attempt }) => {
        seen.push(attempt - 1)
        if (attempt === succeedAt) return 'archived'
        throw attempt === 3 ? new Error('broken') : new Recoverable('not now')
      },
    })
    const ledger = await world.open({ jobs: [ledgerJob] })
    await ledger.start()
    const bad = await ledger.enqueue(ledgerJob, 0)
    expect(await ended(world, ledger, bad.id)).toMatchObject({ code: 'JOB_FAILED', error: 'Error' })
    expect(seen).toEqual([0, 1, 2])
    expect(await waits(ledger, bad.id)).toEqual([100, 200])
    const good = await ledger.enqueue(ledgerJob, 2)
    expect(await ended(world, ledger, good.id)).toBe('archived')
    expect((await ledger.list({ state: 'succeeded' })).jobs).toMatchObject([{ id: good.id, attempt: 2 }])
  },
)

scenario([27], 'Abort ends the job as succeeded, without a result', async (world) => {
  const { status, failed } = await fate(world, () => new Abort('nothing left to do'))
  expect(status).toMatchObject({ state: 'succeeded', run: 1, attempt: 1 })
  expect(status).not.toHaveProperty('error')
  expect(status.result).toBeUndefined()
  expect(failed).toEqual([])
  const ledger = await world.open()
  const [job] = (await ledger.list()).jobs
  const id = job?.id as string
  expect(await ledger.result(id)).toBeUndefined()
  expect(await factsOf(ledger, id, 'Finished')).toMatchObject([{ outcome: 'succeeded', aborted: true }])
})

scenario([27], 'a run that found nothing to do frees those that wait for it', async (world) => {
  const job = failing(() => new Abort('done already'))
  const ledger = await world.open({ jobs: [job, echo] })
  const first = await ledger.enqueue(job, null)
  const second = await ledger.enqueue(echo, 'after', { dependsOn: [first.id] })
  await ledger.start()
  expect(await second.result()).toBe('after')
})

scenario([25, 27, 'C6'], 'RetryAt is tried again at its own time, whatever the backoff says', async (world) => {
  const at = new Date(world.clock.now() + 5_000)
  const jobs: readonly (readonly [() => unknown, number[]])[] = [
    [() => new RetryAt('7s'), [7_000, 7_000]],
    [() => new RetryAt(1_500, 'busy'), [1_500, 1_500]],
    [() => new RetryAt(0), [0, 0]],
  ]
  const { status, waits: toDate } = await fate(world, () => new RetryAt(at))
  expect(status).toMatchObject({ state: 'failed', run: 3, error: 'RetryAt' })
  // The second failure asks for an instant that is now.
  expect(toDate).toEqual([5_000, 0])
  for (const [thrown, expected] of jobs) expect((await fate(world, thrown)).waits).toEqual(expected)
  expect(await rejection((async () => new RetryAt('soon' as never))())).toMatchObject({
    code: 'INVALID_OPTION',
    option: 'RetryAt.when',
  })
})

scenario([25, 27], 'a time that no clock will ever show is left to the backoff', async (world) => {
  const { status, waits: recorded } = await fate(world, () => new RetryAt(8.64e15))
  expect(status).toMatchObject({ state: 'failed', run: 3, error: 'RetryAt' })
  expect(recorded).toEqual([10_000, 10_000])
})

scenario([27], 'an error keeps its cause for the handler’s own code', async () => {
  const cause = new Error('socket closed')
  for (const error of [new Fatal('a', { cause }), new Recoverable('b', { cause }), new RetryAt('1s', 'c', { cause })]) {
    expect(error.cause).toBe(cause)
  }
  expect([new Fatal('a').code, new Recoverable('b').code, new RetryAt('1s').code]).toEqual([
    'FATAL',
    'RECOVERABLE',
    'RETRY_AT',
  ])
  expect([new Abort('d').code, new BadTrigger('e').code]).toEqual(['ABORT', 'BAD_TRIGGER'])
})

scenario([27], 'BadTrigger ends the job as failed, at once', async (world) => {
  const { status, failed } = await fate(world, () => new BadTrigger('no such calendar'))
  expect(status).toMatchObject({ state: 'failed', run: 1, error: 'BadTrigger', errorMessage: 'no such calendar' })
  expect(failed).toMatchObject([{ retryable: false }])
})

scenario([27], 'ctx.noRetry makes this run the last if it fails, and changes nothing if it does not', async (world) => {
  const seen: boolean[] = []
  const last = defineJob({
    type: 'last',
    backoff: { min: 1, jitter: 'none' },
    handle: (fails: boolean, ctx) => {
      if (ctx.run === 2 || !fails) ctx.noRetry()
      seen.push(ctx.retries)
      if (fails) throw new Recoverable('once more')
      return 'fine'
    },
  })
  const ledger = await world.open({ jobs: [last] })
  await ledger.start()
  const bad = await ledger.enqueue(last, true)
  expect(await ended(world, ledger, bad.id)).toMatchObject({ code: 'JOB_FAILED', error: 'Recoverable' })
  expect(seen).toEqual([true, false])
  expect(await factsOf(ledger, bad.id, 'Failed')).toMatchObject([{ retryable: true }, { retryable: false }])
  const good = await ledger.enqueue(last, false)
  expect(await ended(world, ledger, good.id)).toBe('fine')
})

scenario([27], 'onError hears of each failed attempt, and false ends the job', async (world) => {
  const heard: [error: unknown, attempt: number][] = []
  const job = failing(undefined, {
    maxAttempts: 9,
    onError: async (error, ctx) => {
      heard.push([(error as Error).message, ctx.attempt])
      return heard.length === 3 ? false : undefined
    },
  })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  const { id } = await ledger.enqueue(job, null)
  expect(await ended(world, ledger, id)).toMatchObject({ code: 'JOB_FAILED', error: 'Error' })
  expect(heard).toEqual([
    ['run 1', 1],
    ['run 2', 2],
    ['run 3', 3],
  ])
  expect(await ledger.status(id)).toMatchObject({ state: 'failed', attempt: 3, maxAttempts: 9, errorMessage: 'run 3' })
})

scenario([27], 'onError may forbid further attempts, and cannot bring back what is fatal', async (world) => {
  const forbidding = await fate(world, () => new Error('x'), { onError: (_, ctx) => void ctx.noRetry() })
  expect(forbidding.status).toMatchObject({ state: 'failed', run: 1 })
  const hoping = await fate(world, () => new Fatal('x'), { onError: () => true })
  expect(hoping.status).toMatchObject({ state: 'failed', run: 1 })
})

scenario([27, 'C9'], 'an onError that throws is told to the log, and the job goes by its policy', async (world) => {
  for (const onError of [
    () => {
      throw new Error('broken hook')
    },
    () => Promise.reject(new Error('broken hook')),
  ]) {
    const { status, waits: recorded } = await fate(world, () => new Error('the real one'), { onError })
    expect(status).toMatchObject({ state: 'failed', run: 3, errorMessage: 'the real one' })
    expect(recorded).toEqual([10_000, 10_000])
  }
  const complaints = world.log.filter(({ level, facts }) => level === 'error' && facts.err !== undefined)
  expect(complaints).toHaveLength(6)
})

scenario([27], 'an onError that forbids further attempts and then throws has forbidden them', async (world) => {
  const { status } = await fate(world, () => new Error('x'), {
    onError: (_, ctx) => {
      ctx.noRetry()
      throw new Error('broken hook')
    },
  })
  expect(status).toMatchObject({ state: 'failed', run: 1 })
})

scenario([25, 27, 'C6'], 'nextRun computes the next time from the job and its error', async (world) => {
  const asked: unknown[] = []
  const job = defineJob({
    type: 'computing',
    maxAttempts: 5,
    backoff: { min: '1m', factor: 1, jitter: 'none' },
    nextRun: ({ payload, id, attempt, error }) => {
      asked.push([payload, id, attempt, (error as Error).message])
      if (attempt === 1) return '2s'
      if (attempt === 2) return new Date(world.clock.now() + 3_000)
      if (attempt === 3) return undefined
      return '0s'
    },
    handle: (_: { n: number }, { run }) => {
      throw run === 4 ? new RetryAt('9s', 'mine') : new Error(`run ${run}`)
    },
  })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  const { id } = await ledger.enqueue(job, { n: 7 })
  await ended(world, ledger, id)
  // The error’s own wish goes before that of its type.
  expect(await waits(ledger, id)).toEqual([2_000, 3_000, 60_000, 9_000])
  const facts = (attempt: number) => [{ n: 7 }, id, attempt, `run ${attempt}`]
  expect(asked).toEqual([facts(1), facts(2), facts(3), facts(5)])
})

scenario([27, 'C9'], 'a nextRun that throws or answers nonsense leaves it to the backoff', async (world) => {
  for (const nextRun of [
    () => {
      throw new Error('broken')
    },
    () => 'tomorrow' as never,
    () => new Date(Number.NaN),
    () => -5,
  ]) {
    const { status, waits: recorded } = await fate(world, () => new Error('x'), { nextRun })
    expect(status).toMatchObject({ state: 'failed', run: 3, error: 'Error' })
    expect(recorded).toEqual([10_000, 10_000])
  }
})

scenario(
  [27, '002.5'],
  'a payload that no longer fits its schema, or cannot be read, ends the job at once',
  async (world) => {
    const schema = {
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: (value: unknown) =>
          typeof value === 'number' ? { value } : { issues: [{ message: 'not a number', path: ['n'] }] },
      },
    }
    const loose = defineJob({ type: 'strict-later', handle: (_: unknown) => 'ran' })
    const job = defineJob({ type: 'strict-later', schema, onError: () => true, handle: () => 'ran' })
    const ledger = await world.open({ jobs: [job] })
    const ids = [(await ledger.enqueue(loose, 'text')).id, (await ledger.enqueue(loose, null)).id, 'unreadable']
    const [queued] = await factsOf(ledger, ids[0] as string, 'Queued')
    const { at, body: _, ...data } = queued as { at: number; body: unknown }
    const store = await world.store()
    const stream = 'job-unreadable'
    const body = { salt: new Uint8Array(16), content: '{"half": ' }
    const event = { stream, id: crypto.randomUUID(), type: 'Queued', at, data, body }
    await store.append([{ expect: new Map([[stream, 'none']]), events: [event] }])
    await ledger.start()
    for (const id of ids) {
      expect(await ended(world, ledger, id)).toMatchObject({ code: 'JOB_FAILED' })
      expect(await ledger.attempts(id)).toMatchObject([{ run: 1, outcome: 'failed', cause: 'invalid-payload' }])
      expect(await typesOf(ledger, id)).toEqual(['Queued', 'Leased', 'Failed', 'Finished'])
    }
  },
)

scenario([27, 'C27'], 'what a worker elsewhere says of an error counts like what is thrown here', async (world) => {
  const ledger = await world.open()
  const workerId = await ledger.workers.register()
  const told = async (retryOn: 'any' | 'recoverable-only', error: unknown, options?: FailOptions) => {
    const { id } = await ledger.enqueue(failing(undefined, { retryOn }), null)
    const { token } = await ledger.leaseById(id, workerId)
    await ledger.fail(token, error, options)
    const { state, runAt } = await ledger.status(id)
    return runAt === undefined ? state : runAt - world.clock.now()
  }
  expect(await told('any', new Error('plain'))).toBe(10_000)
  expect(await told('any', { code: 'E_REMOTE' })).toBe(10_000)
  expect(await told('any', new Fatal('no use'))).toBe('failed')
  expect(await told('any', new Fatal('no use'), { retryable: true })).toBe(10_000)
  expect(await told('any', new RetryAt('3s'))).toBe(3_000)
  expect(await told('any', new RetryAt('3s'), { retryAt: '4s' })).toBe(4_000)
  expect(await told('recoverable-only', new Error('plain'))).toBe('failed')
  expect(await told('recoverable-only', new Error('plain'), { retryable: true })).toBe(10_000)
  expect(await told('recoverable-only', new Recoverable('busy'))).toBe(10_000)
  expect(await told('recoverable-only', new Recoverable('busy'), { retryable: false })).toBe('failed')
})

scenario(
  [27, 'C9'],
  'what the writes of finishWith throw is judged like what the handler throws',
  async (world) => {
    const heard: unknown[] = []
    const writing = defineJob({
      type: 'writing',
      maxAttempts: 3,
      backoff: { min: 1, jitter: 'none' },
      onError: (error) => void heard.push((error as Error).message),
      handle: (kind: 'fatal' | 'plain', ctx) => {
        ctx.finishWith(() => {
          throw kind === 'fatal' ? new Fatal(kind) : new Error(kind)
        })
      },
    })
    const ledger = await world.open({ jobs: [writing] })
    await ledger.start()
    for (const [kind, runs] of [
      ['fatal', 1],
      ['plain', 3],
    ] as const) {
      const { id } = await ledger.enqueue(writing, kind)
      expect(await ended(world, ledger, id)).toMatchObject({ code: 'JOB_FAILED' })
      expect(await ledger.status(id)).toMatchObject({ state: 'failed', run: runs, errorMessage: kind })
    }
    expect(heard).toEqual(['plain', 'plain', 'plain'])
  },
  SQL,
)
