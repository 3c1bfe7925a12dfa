/** What a job type has done before, around and after its runs, in which order, and when one of it throws. */
import { expect } from 'vitest'
import { currentJob } from '../../adapters/node/current-job.js'
import type { JobContext } from '../../runtime/work/run/context.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { Abort, Fatal, RetryAt } from '../../runtime/work/run/handler-errors.js'
import type { RunEnd } from '../../runtime/work/run/hooks.js'
import { factsOf, typesOf } from '../engine/support.js'
import { echo, ended, noting, runToEnd } from './acts.js'
import { scenario } from './scenario.js'

scenario(
  [47, '002.41', '002.43'],
  'hooks are called in their order: once init, then for each run start, handler, onError and commit',
  async (world) => {
    const calls: string[] = []
    const job = noting(calls)
    const ledger = await world.open({ jobs: [job] })
    expect(calls).toEqual([])
    await ledger.start()
    expect(calls.splice(0)).toEqual(['init'])
    expect(await runToEnd(world, ledger, job, 1)).toBe('done')
    expect(calls.splice(0)).toEqual([
      ...['start 1', 'handle 1', 'onError 1: no 1', 'commit 1: failed false value 1'],
      ...['start 2', 'handle 2', 'commit 2: succeeded true value 2'],
    ])
    expect(await runToEnd(world, ledger, job, 2)).toMatchObject({ code: 'JOB_FAILED' })
    expect(calls).toEqual([
      ...['start 1', 'handle 1', 'onError 1: no 1', 'commit 1: failed false value 1'],
      ...['start 2', 'handle 2', 'onError 2: no 2', 'commit 2: failed true value 2'],
    ])
  },
)

scenario(
  [47, 48, '002.45'],
  'what start returns is in the context of the same run: for the handler, onError and commit, and nobody else',
  async (world) => {
    const seen: unknown[] = []
    const job = defineJob({
      type: 'session',
      maxAttempts: 1,
      start: async (name: string, ctx) => {
        seen.push(['start', ctx.value, currentJob()?.id])
        await world.clock.settle()
        return { name, run: ctx.run }
      },
      onError: (_, { value }) => void seen.push(['onError', value?.name, currentJob()?.id]),
      commit: async (_, ctx) => {
        await world.clock.settle()
        seen.push(['commit', ctx.value.name, currentJob()?.id])
      },
      handle: (_, ctx): never => {
        // Typed by what `start` returns.
        const { name, run }: { name: string; run: number } = ctx.value
        seen.push(['handle', name, run])
        throw new Error('over')
      },
    })
    const ledger = await world.open({ jobs: [job, echo] })
    await ledger.start()
    const { id } = await ledger.enqueue(job, 'ann', { id: 'a' })
    await ended(world, ledger, id)
    await world.clock.advance('1s')
    expect(seen).toEqual([
      ['start', undefined, 'a'],
      ['handle', 'ann', 1],
      ['onError', 'ann', 'a'],
      ['commit', 'ann', 'a'],
    ])
    const plain = defineJob({ type: 'plain', handle: (_: null, ctx) => ctx.value === undefined })
    const other = await world.open({ jobs: [plain] })
    await other.start()
    expect(await (await other.enqueue(plain, null)).result()).toBe(true)
  },
)

scenario(
  [47, '002.42'],
  'a start that throws is a failed attempt like any other, without the handler and without commit',
  async (world) => {
    const calls: string[] = []
    let attempts = 0
    const faults: unknown[] = [new Error('busy'), new RetryAt('5s'), new Fatal('never'), new Abort('no need')]
    const job = noting(calls, {
      maxAttempts: 5,
      start: async (_, { run }) => {
        calls.push(`start ${run}`)
        const fault = faults[attempts++]
        if (fault !== undefined) throw fault
      },
    })
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    const { id } = await ledger.enqueue(job, 0)
    expect(await ended(world, ledger, id)).toMatchObject({ code: 'JOB_FAILED', error: 'Fatal' })
    await world.clock.settle()
    expect(calls.splice(0)).toEqual([
      ...['init', 'start 1', 'onError 1: busy', 'start 2', 'onError 2: Asked to be tried again later.', 'start 3'],
    ])
    expect(await factsOf(ledger, id, 'Failed')).toMatchObject([
      { cause: 'error', error: 'Error', attempt: 1, retryable: true },
      { cause: 'error', error: 'RetryAt', attempt: 2, retryable: true },
      { cause: 'error', error: 'Fatal', attempt: 3, retryable: false },
    ])
    expect(await runToEnd(world, ledger, job, 0)).toBeUndefined()
    expect(calls.splice(0)).toEqual(['start 1'])
    expect(await runToEnd(world, ledger, job, 0)).toBe('done')
    expect(calls).toEqual(['start 1', 'handle 1', 'commit 1: succeeded true undefined'])
  },
)

scenario([47], 'a payload that cannot be used calls no hook of the run', async (world) => {
  const calls: string[] = []
  const upcast = (): never => {
    throw new SyntaxError('not understood')
  }
  const job = noting(calls, { version: 2, upcast })
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  await ledger.enqueue(defineJob<number, unknown>({ type: 'noting' }), 0, { id: 'old' })
  expect(await ended(world, ledger, 'old')).toMatchObject({ code: 'JOB_FAILED' })
  await world.clock.settle()
  expect(calls).toEqual(['init'])
})

scenario(
  [47, '002.44'],
  'an error hook that says false ends the job with the error it was asked about, and commit is told so',
  async (world) => {
    const ends: RunEnd[] = []
    const fault = new Error('enough')
    const job = defineJob({
      type: 'judged',
      maxAttempts: 9,
      onError: async () => false,
      commit: (end) => void ends.push(end),
      handle: (): never => {
        throw fault
      },
    })
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    const { id } = await ledger.enqueue(job, null)
    expect(await ended(world, ledger, id)).toMatchObject({ code: 'JOB_FAILED', error: 'Error' })
    await world.clock.settle()
    expect(await factsOf(ledger, id, 'Failed')).toMatchObject([{ attempt: 1, retryable: false }])
    expect(ends).toEqual([{ outcome: 'failed', final: true, error: fault }])
  },
)

scenario(
  [47, '002.43'],
  'commit is called once the log says how the run ended, and told what it says',
  async (world) => {
    const ends: [RunEnd, string[]][] = []
    const acts: Record<string, (ctx: JobContext) => unknown> = {
      returns: () => ({ rows: 7 }),
      aborts: () => {
        throw new Abort('nothing to do')
      },
      snoozes: (ctx) => (ctx.run === 1 ? ctx.snooze('1m') : 'later'),
      fails: () => {
        throw new RetryAt('1m', 'busy')
      },
    }
    const job = defineJob({
      type: 'various',
      maxAttempts: 2,
      commit: async (end, ctx) => {
        ends.push([end, await typesOf(ledger, ctx.id)])
      },
      handle: (act: string, ctx) => acts[act]?.(ctx),
    })
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    const told = async (act: string): Promise<unknown> => {
      await runToEnd(world, ledger, job, act)
      return ends.splice(0)
    }
    const LEASED = ['Queued', 'Leased']
    expect(await told('returns')).toEqual([
      [{ outcome: 'succeeded', final: true, result: { rows: 7 } }, [...LEASED, 'Finished']],
    ])
    expect(await told('aborts')).toEqual([[{ outcome: 'succeeded', final: true }, [...LEASED, 'Finished']]])
    const later = world.clock.now() + 60_000
    expect(await told('snoozes')).toMatchObject([
      [{ outcome: 'snoozed', final: false, runAt: later }, [...LEASED, 'Released']],
      [{ outcome: 'succeeded', final: true, result: 'later' }, [...LEASED, 'Released', 'Leased', 'Finished']],
    ])
    const error = { code: 'RETRY_AT' }
    const again = world.clock.now() + 60_000
    expect(await told('fails')).toMatchObject([
      [{ outcome: 'failed', final: false, error, runAt: again }, [...LEASED, 'Failed', 'Retried']],
      [{ outcome: 'failed', final: true, error }, [...LEASED, 'Failed', 'Retried', 'Leased', 'Failed', 'Finished']],
    ])
  },
)
