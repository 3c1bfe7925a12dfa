/** Handlers in child processes: what they are given, and what they can give back. Real processes, real time. */
import { pathToFileURL } from 'node:url'
import { filter, firstValueFrom } from 'rxjs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openSqliteStore } from '../../adapters/sqlite/event-store.js'
import { InvalidOption } from '../../domain/errors.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { HistoryEntry } from '../../runtime/read/queries.js'
import type { JobContext } from '../../runtime/work/run/context.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { EnqueueOptions } from '../../runtime/write/contract.js'
import { fire } from '../scenarios/fired.js'
import type { Task } from './isolated.js'
import { isAlive, Workshop } from './isolated.js'
import { factsOf, rejection } from './support.js'

const seen: { error: unknown; ctx: JobContext }[] = []
const define = (module: string) =>
  defineJob<Task | Uint8Array, unknown>({
    type: 'task',
    isolate: 'process',
    module,
    maxAttempts: 1,
    onError(error, ctx) {
      seen.push({ error, ctx })
      return undefined
    },
  })

let workshop: Workshop
let task: ReturnType<typeof define>
let ledger: Ledger

beforeAll(async () => {
  workshop = await Workshop.create()
  task = define(workshop.deeds)
  ledger = await workshop.open([task], { maxPayloadBytes: 100_000 })
  await ledger.start({ concurrency: 2 })
})
afterAll(() => workshop[Symbol.asyncDispose]())

const run = async (payload: Task | Uint8Array, options?: EnqueueOptions): Promise<unknown> =>
  (await ledger.enqueue(task, payload, options)).result()

/** What is recorded of a run that fails. */
async function failure(payload: Task, options?: EnqueueOptions): Promise<Record<string, unknown>> {
  const { id } = await ledger.enqueue(task, payload, options)
  await rejection(ledger.result(id))
  return (await factsOf(ledger, id, 'Failed')).at(-1) ?? {}
}

describe('a handler in a child process', () => {
  it('gets the payload and gives back a result', async () => {
    for (const value of [null, 'text', 1.5, { list: [{ deep: true }] }])
      expect(await run({ do: 'echo', value })).toEqual(value)
    expect(await run({ do: 'count' })).not.toMatchObject({ pid: process.pid })
  })

  it('gets and gives bytes', async () => {
    expect(await run(new Uint8Array([0, 255, 7]))).toEqual({ bytes: [0, 255, 7], kind: 'Uint8Array' })
  })

  it('gets what the schema has made of the payload', async () => {
    const schema = {
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: (value: unknown) => ({ value: { do: 'echo', value: new Date(value as string) } }),
      },
    }
    const dated = defineJob({ type: 'dated', isolate: 'process', module: pathToFileURL(workshop.deeds), schema })
    const own = await workshop.open([dated])
    await own.start()
    expect(await (await own.enqueue(dated, '2026-01-02T03:04:05Z' as never)).result()).toBe('2026-01-02T03:04:05.000Z')
  })

  it('is told what a handler in this thread is told', async () => {
    const trace = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }
    const told = await run(
      { do: 'facts' },
      { id: 'known', name: 'shown', channel: 'c', user: 'ann', manual: true, trace },
    )
    expect(told).toEqual({
      ...{ id: 'known', type: 'task', name: 'shown', queue: 'default', channel: 'c', run: 1, attempt: 1, user: 'ann' },
      ...{ trace, manual: true, correlationId: 'known', current: 'known', workerId: expect.any(String) },
    })
  })

  it('writes log lines, and what it prints becomes lines, too', async () => {
    const { id } = await ledger.enqueue(task, { do: 'lines' }, { held: true })
    const printed = Promise.all(
      ['to stdout', 'to stderr'].map((text) =>
        firstValueFrom(ledger.logs(id).pipe(filter(({ message }) => message === text))),
      ),
    )
    const written = firstValueFrom(ledger.logs(id).pipe(filter(({ message }) => message === 'a line')))
    await ledger.promote(id)
    expect(await written).toMatchObject({
      level: 'warn',
      facts: { part: 1, n: 2, call: 'function call', err: expect.objectContaining({ name: 'TypeError', code: 'ODD' }) },
    })
    expect(await printed).toMatchObject([
      { level: 'debug', facts: { stream: 'stdout' } },
      { level: 'warn', facts: { stream: 'stderr' } },
    ])
    expect(workshop.log).toContainEqual(expect.objectContaining({ level: 'warn', message: 'a line' }))
  })

  it('beats with progress and a partial result', async () => {
    const { id } = await ledger.enqueue(task, { do: 'progress' })
    expect(await ledger.result(id)).toBe('INVALID_OPTION')
    expect(await factsOf(ledger, id, 'Heartbeat')).toMatchObject([{ progress: 40, body: { so: 'far' } }])
  })

  it('sees the results of its dependencies', async () => {
    const first = await ledger.enqueue(task, { do: 'echo', value: 'first' })
    const results = await run({ do: 'dependencies' }, { dependsOn: [first.id] })
    expect(results).toEqual([{ id: first.id, outcome: 'succeeded', result: 'first' }])
  })

  it('snoozes, and gives up its other attempts', async () => {
    expect(await run({ do: 'snooze' })).toEqual({ run: 2, attempt: 1 })
    expect(await failure({ do: 'badSnooze' })).toMatchObject({ error: 'InvalidOption' })
    expect(await failure({ do: 'lastTry' }, { maxAttempts: 5 })).toMatchObject({
      attempt: 1,
      body: { message: 'in vain, retries: false' },
    })
  })

  it('knows its deadline, and limits its steps', async () => {
    const { id } = await ledger.enqueue(task, { do: 'limited' }, { timeout: '5m' })
    const deadline = ((await ledger.result(id)) as unknown[]).pop()
    const [{ at } = {}] = await factsOf(ledger, id, 'Leased')
    expect(deadline).toBe((at as number) + 300_000)
    expect(await ledger.result(id)).toMatchObject(['in time', 'TIMEOUT', deadline])
  })

  it('enqueues jobs, as deeds of its own run', async () => {
    const options = { id: 'follow-up', delay: '1h' }
    const { id } = await ledger.enqueue(
      task,
      { do: 'enqueue', type: 'task', payload: { do: 'echo' }, options },
      { user: 'ann' },
    )
    const { one, many, wait } = (await ledger.result(id)) as { one: unknown; many: { id: string }[]; wait: string }
    expect(one).toEqual({ id: 'follow-up', outcome: 'created' })
    expect(wait).toBe('NOT_IN_CHILD')
    expect(await Promise.all(many.map((each) => ledger.result(each.id)))).toEqual([1, 2])
    const [{ data, metadata }] = (await ledger.history('follow-up')) as [HistoryEntry]
    expect(data).toMatchObject({ context: { user: 'ann' }, runAt: expect.any(Number) })
    expect(metadata).toMatchObject({ $causationId: id, $correlationId: id })
  })

  it('is told of the trigger that made its job, and what it enqueues is in the course of that', async () => {
    const path = workshop.path('fired.db')
    const store = await openSqliteStore(path, { durability: 'normal' })
    const trigger = { id: 'on-order', occurrence: 5 }
    const payload = { do: 'fired' }
    const facts = { type: 'task', trigger: { ...trigger, event: true }, chain: ['first'] } as const
    await fire(store, { id: 'fired', at: Date.now(), payload, document: { n: 1 }, ...facts })
    await store.close()
    const own = await workshop.open([task], { url: `sqlite:${path}` })
    await own.start()
    const { made, ...told } = (await own.result('fired')) as { made: string }
    expect(told).toEqual({
      ...{ task: payload, trigger: { ...trigger, event: { n: 1 } }, triggers: ['first', 'on-order'] },
    })
    expect(await factsOf(own, made, 'Queued')).toMatchObject([{ chain: ['first', 'on-order'] }])
  })

  it('is told what is wrong with what it enqueues', async () => {
    const message = async (payload: Task) => ((await failure(payload)).body as { message: string }).message
    expect(await message({ do: 'enqueue', type: 'nobody', payload: 1 })).toMatch(
      /`enqueue.job`.*in `jobs`, got "nobody"/,
    )
    expect(await message({ do: 'enqueue', type: 'task' })).toMatch(/could not be cloned/)
    expect(await message({ do: 'enqueue', type: 'task', payload: 1, options: { priority: 'x' } })).toMatch(
      /enqueue.priority/,
    )
    expect(await message({ do: 'batch', batch: 1 })).toMatch(/`enqueueMany`/)
    expect(await message({ do: 'batch', batch: [null] })).toMatch(/`enqueueMany\[0\].job`/)
  })

  it('cannot reach what belongs to the parent', async () => {
    for (const what of ['value', 'finishWith']) {
      const { error, body } = await failure({ do: what })
      expect({ error, body }).toMatchObject({
        error: 'NotInChild',
        body: { message: expect.stringContaining(`ctx.${what}`) },
      })
    }
  })

  it('is not heard once it has settled', async () => {
    const { id } = await ledger.enqueue(task, { do: 'leftover' })
    await ledger.result(id)
    for (let n = 0; n < 3; n += 1) await run({ do: 'wait', ms: 5 })
    expect(await factsOf(ledger, id, 'Heartbeat')).toEqual([])
    expect(workshop.log.filter(({ message }) => message === 'late')).toEqual([])
  })
})

describe('an error that a child throws', () => {
  it('arrives with its name, message, stack, cause and simple fields', async () => {
    const thrown = { do: 'throw', name: 'PaymentError', message: 'no funds', fields: { code: 'FUNDS', status: 402 } }
    expect(await failure(thrown)).toMatchObject({
      ...{ cause: 'error', error: 'PaymentError', attempt: 1 },
      body: { message: 'no funds', stack: expect.stringContaining('deeds.mjs') },
    })
    const { error } = seen.at(-1) as (typeof seen)[number]
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ ...thrown.fields, name: 'PaymentError', cause: { message: 'deeper' } })
    expect(await failure({ do: 'throwText' })).toMatchObject({ error: 'NonError', body: { message: 'just text' } })
  })

  it('means what it means in this thread', async () => {
    const often = { maxAttempts: 5, backoff: { min: 0, jitter: 'none' } } as const
    expect(await failure({ do: 'fail', kind: 'Fatal', given: ['enough'] }, often)).toMatchObject({
      attempt: 1,
      error: 'Fatal',
    })
    expect(await failure({ do: 'fail', kind: 'BadTrigger', given: ['no'] }, often)).toMatchObject({ attempt: 1 })
    expect(await failure({ do: 'fail', kind: 'Recoverable', given: ['again'] }, often)).toMatchObject({ attempt: 5 })
    expect(await run({ do: 'fail', kind: 'Abort', given: ['nothing to do'] })).toBeUndefined()
    const { id } = await ledger.enqueue(task, { do: 'fail', kind: 'RetryAt', given: ['1h'] }, { maxAttempts: 2 })
    const { at, data } = await firstValueFrom(
      ledger.events$.pipe(filter(({ stream, type }) => stream === `job-${id}` && type === 'Retried')),
    )
    expect((data as { runAt: number }).runAt - at).toBeGreaterThan(3_500_000)
  })

  it('is not taken for ours because of its code alone', async () => {
    const foreign = { do: 'throw', name: 'Error', message: 'network', fields: { code: 'ABORT' } }
    expect(await failure(foreign)).toMatchObject({ error: 'Error' })
  })

  it('is that of a result which cannot be stored', async () => {
    expect(await failure({ do: 'function' })).toMatchObject({ error: 'InvalidPayload' })
    const { error, body } = await failure({ do: 'large', bytes: 100_001 })
    expect({ error, body }).toMatchObject({
      error: 'InvalidPayload',
      body: { message: expect.stringContaining('100000') },
    })
  })
})

describe('a module', () => {
  const start = async (module: string): Promise<unknown> => {
    const own = await workshop.open([define(module)])
    await own.start()
    return (await own.enqueue(define(module), { do: 'echo', value: 1 })).result()
  }

  it('has its handler as default export, as `handle`, or is CommonJS', async () => {
    const sources = {
      'named.mjs': 'export const handle = (task) => task.value',
      'plain.cjs': 'module.exports = (task) => task.value',
      'compiled.cjs': 'exports.__esModule = true; exports.default = (task) => task.value',
    }
    for (const [name, source] of Object.entries(sources))
      expect(await start(await workshop.write(name, source))).toBe(1)
  })

  it('that cannot be loaded costs an attempt, and is loaded anew for the next', async () => {
    const broken = await workshop.write('broken.mjs', 'export default async (')
    const own = await workshop.open([define(broken)])
    await own.start()
    const { id } = await own.enqueue(
      define(broken),
      { do: 'echo', value: 'mended' },
      { maxAttempts: 2, backoff: { min: '1h', jitter: 'none' } },
    )
    await firstValueFrom(own.events$.pipe(filter(({ type }) => type === 'Retried')))
    expect(await factsOf(own, id, 'Failed')).toMatchObject([
      { error: 'ModuleUnusable', body: { message: expect.stringContaining('broken.mjs') } },
    ])
    await workshop.write('broken.mjs', 'export default (task) => task.value')
    await own.promote(id)
    expect(await own.result(id)).toBe('mended')
  })

  it('without a handler is told so', async () => {
    const empty = await workshop.write('empty.mjs', 'export const answer = 42')
    expect(await rejection(start(empty))).toMatchObject({ error: 'ModuleUnusable' })
  })

  it('that is not there is found out by start', async () => {
    const missing = define(workshop.path('missing.mjs'))
    const own = await workshop.open([missing])
    expect(await rejection(own.start())).toMatchObject({ code: 'INVALID_OPTION', option: 'defineJob.module' })
  })
})

describe('a pool', () => {
  const wanted = () => defineJob<Task, unknown>({ type: 'wanted', isolate: 'process', module: workshop.deeds })
  const missing = () =>
    defineJob<Task, unknown>({ type: 'missing', isolate: 'process', module: workshop.path('none.mjs') })

  it('needs the modules of its own types only', async () => {
    const own = await workshop.open([wanted(), missing()])
    expect(await own.start({ types: ['wanted'] })).toBe(true)
    expect(await (await own.enqueue(wanted(), { do: 'echo', value: 1 })).result()).toBe(1)
  })

  it('takes up an isolated type while it works, if its module is there', async () => {
    const own = await workshop.open([defineJob({ type: 'other', handle: () => {} })])
    await own.start()
    expect(await rejection(own.register(missing()))).toMatchObject({
      code: 'INVALID_OPTION',
      option: 'defineJob.module',
    })
    expect(own.types().map(({ type }) => type)).toEqual(['other'])
    await own.register(wanted())
    expect(await (await own.enqueue(wanted(), { do: 'echo', value: 1 })).result()).toBe(1)
  })

  it('that was stopped has no children, and gets new ones when it starts again', async () => {
    const own = await workshop.open([wanted()])
    const count = async () => (await (await own.enqueue(wanted(), { do: 'count' })).result()) as { pid: number }
    await own.start()
    const { pid } = await count()
    expect(isAlive(pid)).toBe(true)
    await own.stop()
    expect(isAlive(pid)).toBe(false)
    await own.start()
    expect(await count()).toMatchObject({ runs: 1 })
  })
})

describe('a definition', () => {
  const module = '/somewhere/handler.js'
  const refused = (options: object): InvalidOption => {
    try {
      defineJob({ type: 'x', ...options } as never)
    } catch (error) {
      if (error instanceof InvalidOption) return error
    }
    throw new Error('it was not refused')
  }

  it.each([
    ['defineJob.isolate', { module }],
    ['defineJob.isolate', { module, isolate: 'thread' }],
    ['defineJob.isolate', { module, isolate: null }],
    ['defineJob.module', { isolate: 'process' }],
    ['defineJob.module', { isolate: 'process', module: './handler.js' }],
    ['defineJob.module', { isolate: 'process', module: 'https://example.com/handler.js' }],
    ['defineJob.module', { isolate: 'process', module: 7 }],
    ['defineJob.handle', { isolate: 'process', module, handle: () => {} }],
    ['defineJob.isolate.memory', { isolate: { memory: 127 }, module }],
    ['defineJob.isolate.memory', { isolate: { memory: '64MB' }, module }],
    ['defineJob.isolate.memory', { isolate: { memory: 'much' }, module }],
    ['defineJob.isolate.runs', { isolate: { runs: 0 }, module }],
    ['defineJob.isolate.idle', { isolate: { idle: 'long' }, module }],
    ['defineJob.isolate.execArgv', { isolate: { execArgv: '--import tsx' }, module }],
    ['defineJob.isolate.warm', { isolate: { warm: 1 }, module }],
  ])('%s is refused: %j', (option, options) => {
    expect(refused(options)).toMatchObject({ option })
  })

  it('takes memory in MiB or as text', () => {
    const memory = (given: number | string) =>
      defineJob({ type: 'x', isolate: { memory: given }, module }).isolated?.memoryMiB
    expect([512, '512MB', '1.5gb', '2 GB'].map(memory)).toEqual([512, 512, 1_536, 2_048])
  })

  it('needs its module only where it runs', async () => {
    const elsewhere = defineJob<null, unknown>({ type: 'x', isolate: 'process', module })
    const own = await workshop.open([elsewhere])
    const { id } = await own.enqueue(elsewhere, null)
    expect(await own.status(id)).toMatchObject({ state: 'ready' })
    expect(await rejection(own.start())).toBeInstanceOf(InvalidOption)
  })
})
