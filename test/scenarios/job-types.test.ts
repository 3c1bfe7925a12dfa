/** Names of job types, handlers that are there twice or not at all, and types that nobody knows. */
import { expect } from 'vitest'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { next, rejection, typesOf } from '../engine/support.js'
import { echo, ended, standing } from './acts.js'
import { scenario } from './scenario.js'

const NAMES = [
  'send-mail',
  'osbuild:x86_64',
  'a/b.c d',
  'Überweisung',
  '発送',
  '🚚',
  ' ',
  '0',
  '__proto__',
  'constructor',
  'toString',
  'x'.repeat(200),
]

scenario([45, '001.4'], 'a type has the name its definition gives it, whatever text that is', async (world) => {
  const jobs = NAMES.map((type) => defineJob({ type, handle: (value: unknown, ctx) => [ctx.type, value] }))
  const ledger = await world.open({ jobs })
  await ledger.start()
  for (const [n, job] of jobs.entries()) {
    const { id, result } = await ledger.enqueue(job, n)
    expect(await result()).toEqual([NAMES[n], n])
    expect(await ledger.status(id)).toMatchObject({ type: NAMES[n] })
    expect((await ledger.list({ type: NAMES[n] as string })).jobs).toMatchObject([{ id, type: NAMES[n] }])
  }
  const reader = await world.open()
  expect((await reader.list()).jobs.map(({ type }) => type).sort()).toEqual([...NAMES].sort())
})

scenario([45], 'names that differ in anything are different types', async (world) => {
  const jobs = ['mail', 'Mail', 'mail ', 'ma\u0301il', 'm\u00e1il'].map((type) =>
    defineJob({ type, handle: () => type }),
  )
  const ledger = await world.open({ jobs })
  await ledger.start()
  for (const job of jobs) expect(await (await ledger.enqueue(job, null)).result()).toBe(job.type)
})

scenario([45, '001.7'], 'a definition that is none is refused where it is made', async (world) => {
  const wrong: readonly (readonly [string, object])[] = [
    ['type', {}],
    ['type', { type: '' }],
    ['type', { type: 'x'.repeat(201) }],
    ['type', { type: 7 }],
    ['type', { type: 'half \ud800' }],
    ['handle', { type: 't', handle: 'run' }],
    ['handle', { type: 't', handle: null }],
    ['handle', { type: 't', handle: {} }],
    ['onError', { type: 't', onError: true }],
    ['nextRun', { type: 't', nextRun: '1s' }],
    ['retryOn', { type: 't', retryOn: 'never' }],
    ['schema', { type: 't', schema: {} }],
    ['maxAttempts', { type: 't', maxAttempts: 0 }],
    ['maxAttempts', { type: 't', maxAttempts: 1.5 }],
    ['version', { type: 't', version: 0 }],
    ['handler', { type: 't', handler: () => {} }],
  ]
  for (const [field, options] of wrong) {
    const refused = { code: 'INVALID_OPTION', option: `defineJob.${field}` }
    expect(await rejection((async () => defineJob(options as { type: string }))()), field).toMatchObject(refused)
  }
  for (const made of [{ type: 'by hand', handle: () => {} }, null, 'mail']) {
    const opening = world.open({ jobs: [echo, made as unknown as JobDefinition] })
    expect(await rejection(opening)).toMatchObject({ code: 'INVALID_OPTION', option: 'openLedger.jobs[1]' })
  }
})

scenario([46, 'C11', '001.8'], 'a second definition of a type is refused when the ledger is opened', async (world) => {
  const again = defineJob({ type: 'echo', handle: () => 'the other one' })
  const unhandled = defineJob({ type: 'echo' })
  for (const twin of [again, unhandled, echo]) {
    const refused = { code: 'DUPLICATE_TYPE', family: 'option', type: 'echo' }
    expect(await rejection(world.open({ jobs: [echo, twin] }))).toMatchObject(refused)
  }
  const ledger = await world.open({ jobs: [echo] })
  await ledger.start()
  expect(await (await ledger.enqueue(again, 'goes by its name')).result()).toBe('goes by its name')
})

scenario([46, 'C10'], 'a job of a type without a handler is left alone, and nobody waits behind it', async (world) => {
  const foreign = defineJob({ type: 'foreign', handle: (value: unknown) => ['foreign', value] })
  const ledger = await world.open({ jobs: [echo] })
  const unknown = await ledger.enqueue(foreign, 1, { priority: 'critical' })
  await ledger.start({ concurrency: 1 })
  expect(await (await ledger.enqueue(echo, 'behind')).result()).toBe('behind')
  await world.clock.advance('5m')
  expect(await ledger.status(unknown.id)).toMatchObject({ state: 'ready', run: 0 })
  expect(await typesOf(ledger, unknown.id)).toEqual(['Queued'])
  const other = await world.open({ jobs: [foreign] })
  await other.start()
  expect(await ledger.result(unknown.id)).toEqual(['foreign', 1])
})

scenario([46, 'C10'], 'a definition without a handler enqueues and is never leased here', async (world) => {
  const declared = defineJob({ type: 'work', maxAttempts: 3, queue: 'q' })
  const client = await world.open({ jobs: [declared] })
  expect(await rejection(client.start())).toMatchObject({ code: 'NO_HANDLERS' })
  const { id } = await client.enqueue(declared, { n: 1 })
  expect(await client.status(id)).toMatchObject({ type: 'work', queue: 'q', maxAttempts: 3, state: 'ready' })
  const mixed = await world.open({ jobs: [declared, echo] })
  await mixed.start()
  await (await mixed.enqueue(echo, 1)).result()
  expect((await client.status(id)).run).toBe(0)
  const worker = await world.open({ jobs: [defineJob({ type: 'work', handle: (payload: unknown) => payload })] })
  await worker.start()
  expect(await client.result(id)).toEqual({ n: 1 })
})

scenario(
  [46, 'C10', '002.2'],
  'a strict ledger refuses to enqueue what it does not know, and stores nothing',
  async (world) => {
    const foreign = defineJob({ type: 'foreign', handle: () => {} })
    const declared = defineJob<unknown, unknown>({ type: 'declared' })
    const ledger = await world.open({ jobs: [echo, declared], strict: true })
    const refused = { code: 'UNKNOWN_TYPE', type: 'foreign' }
    expect(await rejection(ledger.enqueue(foreign, undefined))).toMatchObject(refused)
    const batch = [echo, declared, foreign].map((job) => ({ job: job as JobDefinition, payload: 1 }))
    expect(await rejection(ledger.enqueueMany(batch))).toMatchObject(refused)
    expect((await ledger.list()).jobs).toEqual([])
    expect(await ledger.enqueueMany(batch.slice(0, 2))).toHaveLength(2)
    const lenient = await world.open({ jobs: [echo] })
    const { id } = await lenient.enqueue(foreign, null)
    expect((await ledger.status(id)).state).toBe('ready')
    expect(await rejection(world.open({ strict: 'yes' as never }))).toMatchObject({ option: 'openLedger.strict' })
  },
)

scenario([46, 'C10'], 'a job survives that its type is withdrawn, and runs when it is back', async (world) => {
  const { job, started, finish } = standing('seasonal')
  const first = await world.open({ jobs: [job, echo] })
  await first.start()
  const { id } = await first.enqueue(job, null)
  await started(0)
  await world.close(first, { drain: 0, timeout: 0 })
  const without = await world.open({ jobs: [echo] })
  await without.start()
  await world.clock.advance('2m')
  expect(await without.status(id)).toMatchObject({ state: 'ready', run: 1, attempt: 0 })
  await world.close(without)
  const back = await world.open({ jobs: [job] })
  const leased = next(back, id, 'Leased')
  await back.start()
  await leased
  await started(1)
  finish(1, 'spring')
  expect(await ended(world, back, id)).toBe('spring')
})
