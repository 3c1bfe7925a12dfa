/** What a job type has done beside its handler: once per process, before and after each run, and when one of it throws. */
import { expect } from 'vitest'
import { currentJob } from '../../adapters/node/current-job.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { JobContext } from '../../runtime/work/context.js'
import type { JobDefaults, JobDefinition } from '../../runtime/work/definition.js'
import { defineJob } from '../../runtime/work/definition.js'
import { Abort, Fatal, RetryAt } from '../../runtime/work/handler-errors.js'
import type { InitTools, RunEnd } from '../../runtime/work/hooks.js'
import type { World } from '../engine/support.js'
import { factsOf, gate, never, next, rejection, typesOf } from '../engine/support.js'
import { echo, ended, loseLease, standing } from './acts.js'
import { SQL, scenario } from './scenario.js'

const SOON = { min: '10s', factor: 1, jitter: 'none' } as const

/** A type that notes every call; its payload says how many of its first attempts fail. */
function noting(calls: string[], more: Partial<JobDefaults<number>> = {}): JobDefinition<number, string> {
  return defineJob({
    type: 'noting',
    backoff: SOON,
    maxAttempts: 2,
    init: () => void calls.push('init'),
    start: (_: number, { run }) => {
      calls.push(`start ${run}`)
      return `value ${run}`
    },
    onError: (error, { run }) => void calls.push(`onError ${run}: ${(error as Error).message}`),
    commit: ({ outcome, final }, { run, value }) => void calls.push(`commit ${run}: ${outcome} ${final} ${value}`),
    ...more,
    handle: (failures: number, ctx) => {
      calls.push(`handle ${ctx.run}`)
      if (ctx.attempt <= failures) throw new Error(`no ${ctx.run}`)
      return 'done'
    },
  })
}

/** Enqueued and waited for, while time passes. */
async function run<Payload>(
  world: World,
  ledger: Ledger,
  job: JobDefinition<Payload, unknown>,
  payload: Payload,
): Promise<unknown> {
  const { id } = await ledger.enqueue(job, payload)
  const end = await ended(world, ledger, id)
  await world.clock.settle()
  return end
}

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
    expect(await run(world, ledger, job, 1)).toBe('done')
    expect(calls.splice(0)).toEqual([
      ...['start 1', 'handle 1', 'onError 1: no 1', 'commit 1: failed false value 1'],
      ...['start 2', 'handle 2', 'commit 2: succeeded true value 2'],
    ])
    expect(await run(world, ledger, job, 2)).toMatchObject({ code: 'JOB_FAILED' })
    expect(calls).toEqual([
      ...['start 1', 'handle 1', 'onError 1: no 1', 'commit 1: failed false value 1'],
      ...['start 2', 'handle 2', 'onError 2: no 2', 'commit 2: failed true value 2'],
    ])
  },
)

scenario(
  [47],
  'init is told what it needs, before anything is leased; types that do not run here are not asked',
  async (world) => {
    const told: InitTools[] = []
    const ready = gate()
    const job = defineJob({
      type: 'slow to begin',
      init: async (tools) => {
        told.push(tools)
        await tools.ledger.enqueue(echo, 'by init', { id: 'by-init' })
        tools.log.info({}, 'warming up')
        await ready.promise
      },
      handle: () => 'ran',
    })
    const declared = defineJob({ type: 'declared', init: () => void told.push({} as InitTools) })
    const ledger = await world.open({ jobs: [echo, job, declared], codeVersion: 'v7' })
    const { id } = await ledger.enqueue(job, null)
    const starting = ledger.start()
    await world.clock.settle()
    expect(told).toMatchObject([{ type: 'slow to begin', codeVersion: 'v7' }])
    expect(told[0]?.signal.aborted).toBe(false)
    expect(world.log).toContainEqual({ level: 'info', facts: { jobType: 'slow to begin' }, message: 'warming up' })
    expect(await typesOf(ledger, id)).toEqual(['Queued'])
    expect(await typesOf(ledger, 'by-init')).toEqual(['Queued'])
    expect(await ledger.workers.list()).toEqual([])
    ready.open()
    expect(await starting).toBe(true)
    expect(await ledger.result(id)).toBe('ran')
    expect(await ledger.start()).toBe(false)
    expect(told).toHaveLength(1)
  },
)

scenario(
  [47],
  'an init that throws refuses the start, nothing is leased, and the next start asks it again',
  async (world) => {
    const calls: string[] = []
    const fault = new Error('no connection')
    const good = defineJob({ type: 'good', init: () => void calls.push('good'), handle: () => 1 })
    const bad = defineJob({
      type: 'bad',
      init: async () => {
        calls.push('bad')
        if (calls.length < 3) throw fault
      },
      handle: () => 2,
    })
    const after = defineJob({ type: 'after', init: () => void calls.push('after'), handle: () => 3 })
    const ledger = await world.open({ jobs: [good, bad, after] })
    const jobs = [await ledger.enqueue(good, null), await ledger.enqueue(bad, null), await ledger.enqueue(after, null)]
    const refused = await rejection(ledger.start())
    expect(refused).toMatchObject({ code: 'INIT_FAILED', family: 'ledger', type: 'bad', cause: fault })
    expect((refused as Error).message).toBe('`init` of type "bad" failed: no connection')
    await world.clock.advance('1m')
    for (const { id } of jobs) expect(await typesOf(ledger, id)).toEqual(['Queued'])
    expect(await ledger.workers.list()).toEqual([])
    expect(await ledger.start()).toBe(true)
    expect(await Promise.all(jobs.map((job) => job.result()))).toEqual([1, 2, 3])
    expect(calls).toEqual(['good', 'bad', 'bad', 'after'])
  },
)

scenario([47], 'a ledger that closes waits for no init: its signal aborts, and the start is refused', async (world) => {
  const told = gate<InitTools>()
  const job = defineJob({
    type: 'endless',
    init: (tools) => {
      told.open(tools)
      return never()
    },
    handle: () => {},
  })
  const ledger = await world.open({ jobs: [job] })
  const refused = rejection(ledger.start())
  const { signal } = await told.promise
  await ledger.close()
  expect(await refused).toMatchObject({ code: 'LEDGER_CLOSED' })
  expect(signal.reason).toMatchObject({ code: 'LEDGER_CLOSED' })
})

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
    expect(await run(world, ledger, job, 0)).toBeUndefined()
    expect(calls.splice(0)).toEqual(['start 1'])
    expect(await run(world, ledger, job, 0)).toBe('done')
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
      await run(world, ledger, job, act)
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
    expect(await run(world, ledger, job, 0)).toBe('done')
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
    expect(await run(world, ledger, job, 0)).toMatchObject({ code: 'JOB_FAILED', error: 'Timeout' })
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
