/** Child processes that crash, hang, loop or eat memory: each costs one attempt, and never the engine. Real time. */

import { readFileSync } from 'node:fs'
import { filter } from 'rxjs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Ledger } from '../../runtime/ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { IsolateOptions } from '../../runtime/work/run/isolated.js'
import type { EnqueueOptions } from '../../runtime/write/contract.js'
import type { Task } from './isolated.js'
import { gone, isAlive, pidOf, Workshop } from './isolated.js'
import { Arena } from './rivals.js'
import { factsOf, listeningLogger, rejection, typesOf } from './support.js'

/** So that a test that hangs ends; nothing is measured by it. */
const GUARD = { timeout: 120_000 }

let workshop: Workshop
let beats: number
let beating: NodeJS.Timeout

beforeEach(async () => {
  workshop = await Workshop.create()
  beats = 0
  beating = setInterval(() => {
    beats += 1
  }, 10)
})
afterEach(async () => {
  clearInterval(beating)
  await workshop[Symbol.asyncDispose]()
})

function define(options: IsolateOptions | 'process' = 'process') {
  return defineJob<Task, unknown>({ type: 'task', isolate: options, module: workshop.deeds, maxAttempts: 1 })
}

interface Trial {
  readonly ledger: Ledger
  enqueue(task: Task, options?: EnqueueOptions): Promise<string>
  /** Enqueues a job whose handler stays where it is, and waits until it is there. */
  settle(task: Task, options?: EnqueueOptions): Promise<{ readonly id: string; readonly pid: number }>
  /** What is recorded of a run that fails. */
  failure(task: Task, options?: EnqueueOptions): Promise<Record<string, unknown>>
}

async function trial(isolate?: IsolateOptions | 'process', concurrency = 2): Promise<Trial> {
  const job = define(isolate)
  const ledger = await workshop.open([job])
  await ledger.start({ concurrency })
  const enqueue = async (task: Task, options?: EnqueueOptions) => (await ledger.enqueue(job, task, options)).id
  return {
    ledger,
    enqueue,
    async settle(task, options) {
      const id = await enqueue({ beat: true, ...task }, { held: true, ...options })
      const pid = pidOf(ledger, id)
      await ledger.promote(id)
      return { id, pid: await pid }
    },
    async failure(task, options) {
      const id = await enqueue(task, options)
      await rejection(ledger.result(id))
      return (await factsOf(ledger, id, 'Failed')).at(-1) ?? {}
    },
  }
}

const echo = { do: 'echo', value: 'fine' }

describe('a child that dies', () => {
  it.each([
    ['process.exit', { do: 'exit', code: 3 }, /exit code 3\.\nabout to leave$/],
    ['process.exit as if all were well', { do: 'exit', code: 0 }, /exit code 0/],
    ['a signal', { do: 'kill' }, /killed by SIGKILL/],
    ['an exception of nobody', { do: 'uncaught' }, /exit code 1\.[\s\S]*Error: thrown at nobody/],
    ['a rejection of nobody', { do: 'unhandled' }, /exit code 1\.[\s\S]*nobody cares/],
  ])('by %s costs one attempt', GUARD, async (_, task, message) => {
    const { failure, ledger, enqueue } = await trial()
    expect(await failure(task)).toMatchObject({
      ...{ cause: 'error', error: 'ChildDied', attempt: 1, retryable: true },
      body: { message: expect.stringMatching(message) },
    })
    expect(await ledger.result(await enqueue(echo))).toBe('fine')
  })

  it('is tried again in another one, by the job’s policy', GUARD, async () => {
    const { ledger, enqueue } = await trial()
    const id = await enqueue({ do: 'exit', code: 1 }, { maxAttempts: 3, backoff: { min: 0, jitter: 'none' } })
    expect(await rejection(ledger.result(id))).toMatchObject({ error: 'ChildDied' })
    expect((await ledger.attempts(id)).map(({ attempt, error }) => [attempt, error?.name])).toEqual([
      [1, 'ChildDied'],
      [2, 'ChildDied'],
      [3, 'ChildDied'],
    ])
  })

  it('of hunger for memory, in the heap or beside it, leaves the engine alone', GUARD, async () => {
    const { failure, ledger, enqueue } = await trial({ memory: '160MB' })
    const good = Array.from({ length: 20 }, () => enqueue(echo))
    expect(await failure({ do: 'heap' })).toMatchObject({ error: 'ChildDied' })
    expect(await failure({ do: 'buffers' })).toMatchObject({
      error: 'ChildDied',
      body: { message: expect.stringMatching(/where it may use 160/) },
    })
    for (const id of await Promise.all(good)) expect(await ledger.result(id)).toBe('fine')
    expect(beats).toBeGreaterThan(10)
  })

  it('prints without end and line breaks, and costs no memory here', GUARD, async () => {
    const { ledger, enqueue } = await trial()
    await ledger.result(await enqueue({ do: 'flood' }))
    expect(Math.max(...workshop.log.map(({ message }) => message.length))).toBeLessThanOrEqual(8_192)
  })
})

describe('a loop without end', () => {
  it('is ended by its timeout', GUARD, async () => {
    const { settle, ledger, enqueue } = await trial()
    await ledger.result(await enqueue(echo))
    const { id, pid } = await settle({ do: 'loop' }, { timeout: '1s' })
    const before = beats
    expect(await rejection(ledger.result(id))).toMatchObject({ error: 'Timeout' })
    expect(await factsOf(ledger, id, 'Failed')).toMatchObject([{ cause: 'timeout', attempt: 1 }])
    // Its slot is free before the process is gone.
    expect(await ledger.result(await enqueue(echo))).toBe('fine')
    await gone(pid)
    expect(beats).toBeGreaterThan(before)
  })

  it('is ended by a cancel', GUARD, async () => {
    const { settle, ledger } = await trial()
    const { id, pid } = await settle({ do: 'loop' })
    await ledger.cancel(id)
    expect(await rejection(ledger.result(id))).toMatchObject({ code: 'JOB_CANCELLED' })
    await gone(pid)
    expect(await typesOf(ledger, id)).toEqual(['Queued', 'Rescheduled', 'Leased', 'Heartbeat', 'Cancelled'])
  })

  it('takes what it has started with it', GUARD, async () => {
    const { settle, ledger } = await trial()
    const file = workshop.path('grandchild')
    const { id, pid } = await settle({ do: 'parent', file, beat: false })
    const grandchild = Number(readFileSync(file, 'utf8'))
    expect(isAlive(grandchild)).toBe(true)
    await ledger.cancel(id)
    await Promise.all([gone(pid), gone(grandchild)])
  })
})

describe('a child that is told to stop', () => {
  it('may settle by itself and is used again', GUARD, async () => {
    const { settle, ledger, enqueue } = await trial()
    const { id, pid } = await settle({ do: 'obey' })
    await ledger.cancel(id)
    await ledger.result(await enqueue({ do: 'wait', ms: 100 }))
    const both = await Promise.all([1, 2].map(() => enqueue({ do: 'count' })))
    expect(await Promise.all(both.map((each) => ledger.result(each)))).toContainEqual({ pid, runs: 1 })
    expect(await typesOf(ledger, id)).not.toContain('Failed')
  })

  it('by a shutdown, has the time that is left, and spends no attempt', GUARD, async () => {
    const { settle, ledger } = await trial('process', 3)
    const obedient = await settle({ do: 'obey' })
    const stuck = await settle({ do: 'loop' })
    const store = await settle({ do: 'hang' })
    const ends = new Map<string, string>()
    ledger.events$
      .pipe(filter(({ type }) => ['Finished', 'Released', 'Failed'].includes(type)))
      .subscribe(({ stream, type }) => ends.set(stream, type))
    await ledger.close({ drain: '100ms', timeout: '600ms' })
    expect([obedient, stuck, store].map(({ id }) => ends.get(`job-${id}`))).toEqual([
      'Finished',
      'Released',
      'Released',
    ])
    for (const { pid } of [obedient, stuck, store]) expect(isAlive(pid)).toBe(false)
  })
})

describe('children', () => {
  it('work through 200 jobs, four at a time, and are used again', GUARD, async () => {
    const { ledger, enqueue } = await trial('process', 4)
    const ids = await Promise.all(Array.from({ length: 200 }, () => enqueue({ do: 'count' })))
    const results = (await Promise.all(ids.map((id) => ledger.result(id)))) as { pid: number; runs: number }[]
    const pids = new Set(results.map(({ pid }) => pid))
    expect(pids.size).toBeLessThanOrEqual(4)
    expect(Math.max(...results.map(({ runs }) => runs))).toBeGreaterThan(1)
    await ledger.close()
    for (const pid of pids) expect(isAlive(pid)).toBe(false)
  })

  it('are replaced after as many runs as they may serve', GUARD, async () => {
    const { ledger, enqueue } = await trial({ runs: 2 }, 1)
    const runs: unknown[] = []
    for (let n = 0; n < 5; n += 1) runs.push(await ledger.result(await enqueue({ do: 'count' })))
    expect(runs).toMatchObject([{ runs: 1 }, { runs: 2 }, { runs: 1 }, { runs: 2 }, { runs: 1 }])
  })

  it('are shared only by types of one module that say the same of them', GUARD, async () => {
    const worn = defineJob<Task, unknown>({ type: 'worn', isolate: 'process', module: workshop.deeds })
    const others = [{ runs: 1 }, { idle: '1h' }].map((isolate, n) =>
      defineJob<Task, unknown>({ type: `other-${n}`, isolate, module: workshop.deeds }),
    )
    const like = defineJob<Task, unknown>({ type: 'like', isolate: { runs: 1_000 }, module: workshop.deeds })
    const ledger = await workshop.open([worn, ...others, like])
    await ledger.start({ concurrency: 1 })
    const runs: unknown[] = []
    for (const job of [worn, ...others, like]) runs.push(await (await ledger.enqueue(job, { do: 'count' })).result())
    expect(runs).toMatchObject([{ runs: 1 }, { runs: 1 }, { runs: 1 }, { runs: 2 }])
  })

  it('that have nothing to do for long are let go', GUARD, async () => {
    const { ledger, enqueue } = await trial({ idle: '50ms' }, 1)
    const { pid } = (await ledger.result(await enqueue({ do: 'count' }))) as { pid: number }
    await gone(pid)
    expect(await ledger.result(await enqueue({ do: 'count' }))).toMatchObject({ runs: 1 })
  })

  it('are not used again when their run has failed on this side', GUARD, async () => {
    const job = define()
    const logger = listeningLogger([])
    const broken = {
      ...logger,
      child: () => broken,
      warn: () => {
        throw new Error('disk full')
      },
    }
    const ledger = await workshop.open([job], { logger: broken })
    await ledger.start({ concurrency: 1 })
    const { pid } = (await (await ledger.enqueue(job, { do: 'count' })).result()) as { pid: number }
    const { id } = await ledger.enqueue(job, { do: 'warn' })
    expect(await rejection(ledger.result(id))).toMatchObject({ message: expect.stringContaining('disk full') })
    expect(await (await ledger.enqueue(job, { do: 'count' })).result()).toMatchObject({ runs: 1 })
    await gone(pid)
  })

  it('leave Ctrl-C and the signals of a service manager to their parent', GUARD, async () => {
    const { ledger, settle, enqueue } = await trial('process', 1)
    const { id, pid } = await settle({ do: 'wait', ms: 300 })
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(pid, signal)
    expect(await ledger.result(id)).toBeUndefined()
    expect(await ledger.result(await enqueue({ do: 'count' }))).toMatchObject({ pid })
  })
})

describe('a process that is killed', () => {
  it('leaves no child behind, whatever that was doing', GUARD, async () => {
    await using arena = await Arena.create(`
      const jobs = [defineJob({ type: 'task', isolate: 'process', module: ${JSON.stringify(workshop.deeds)} })]
      const deeds = { start: () => ledger.start() }
    `)
    const task = defineJob<Task, unknown>({ type: 'task' })
    const ledger = await workshop.open([], { url: arena.url })
    const rival = await arena.rival()
    const pids = ['loop', 'hang', 'echo'].map(async (deed) => {
      const { id } = await ledger.enqueue(task, { do: deed, beat: true }, { held: true })
      const pid = pidOf(ledger, id)
      await ledger.promote(id)
      return pid
    })
    await rival.ask('start')
    const children = await Promise.all(pids)
    expect(children.map(isAlive)).toEqual([true, true, true])
    await rival.kill()
    await Promise.all(children.map(gone))
  })
})
