/** Whatever is wrong is named, with what was expected and what came; nothing is stored, and the ledger goes on. */
import Database from 'better-sqlite3'
import { expect } from 'vitest'
import { z } from 'zod'
import { openLedger } from '../../adapters/open-ledger.js'
import type { LeaseOptions } from '../../runtime/work/desk/lease-desk.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { EnqueueOptions } from '../../runtime/write/contract.js'
import { isEmpty, memory, rejection, typesOf } from '../engine/support.js'
import { echo } from './acts.js'
import type { Row } from './bad-input-tables.js'
import * as tables from './bad-input-tables.js'
import { refuses, thrownBy } from './refusals.js'
import { build, take, takeAll } from './remote.js'
import { SQL, scenario } from './scenario.js'

scenario([1], 'an enqueue with a wrong option stores nothing and says which', async (world) => {
  const ledger = await world.open()
  await refuses('enqueue', tables.ENQUEUE, (given) => ledger.enqueue(build, 1, given))
  expect(await isEmpty(ledger)).toBe(true)
  expect((await ledger.enqueue(build, 1)).outcome).toBe('created')
})

scenario([2], 'a batch with a wrong option stores nothing and says in which element', async (world) => {
  const ledger = await world.open()
  const good = { job: build, payload: 1, options: { id: 'a' } }
  await refuses('enqueueMany[1]', tables.ENQUEUE, (options) =>
    ledger.enqueueMany([good, { job: build, payload: 2, options }, { job: build, payload: 3 }]),
  )
  expect(await isEmpty(ledger)).toBe(true)
  expect(await ledger.enqueueMany([good])).toHaveLength(1)
})

scenario(
  [3],
  'a transaction with a wrong option goes on without it',
  async (world) => {
    const ledger = await world.open()
    const handle = new Database(world.path)
    handle.exec('BEGIN')
    const tx = ledger.tx(handle)
    await refuses('enqueue', tables.ENQUEUE, (given) => tx.enqueue(build, 1, given))
    await tx.enqueue(build, 1, { id: 'good' })
    handle.exec('COMMIT')
    handle.close()
    const ids: string[] = []
    for await (const page of (await world.store()).readAll()) ids.push(...page.map(({ stream }) => stream))
    expect(ids).toEqual(['job-good'])
  },
  SQL,
)

scenario([1], 'a payload that its schema refuses is named by its path', async (world) => {
  const job = defineJob({
    type: 'mail',
    schema: z.object({ to: z.array(z.object({ address: z.string() })), retries: z.number().optional() }),
    handle: () => {},
  })
  const ledger = await world.open({ jobs: [job] })
  const wrong: readonly (readonly [payload: unknown, path: string, received: string])[] = [
    [undefined, '', 'undefined'],
    [null, '', 'null'],
    [{}, '.to', 'undefined'],
    [{ to: [{ address: 'a' }, { address: 5 }] }, '.to.1.address', '5'],
    [{ to: [], retries: 'x' }, '.retries', '"x"'],
  ]
  const expected = expect.stringMatching(/^as its schema says \(.+\)$/)
  const invalid = { name: 'InvalidPayload', code: 'INVALID_PAYLOAD', family: 'option', expected }
  for (const [payload, path, received] of wrong) {
    const error = await rejection(ledger.enqueue(job, payload as never))
    expect(error).toMatchObject({ ...invalid, option: `enqueue.payload${path}`, received })
    const batch = [
      { job, payload: { to: [] } },
      { job, payload },
    ]
    expect(await rejection(ledger.enqueueMany(batch))).toMatchObject({ option: `enqueueMany[1].payload${path}` })
  }
  expect(await isEmpty(ledger)).toBe(true)
})

scenario([6, 8], 'a lease with a wrong option takes nothing and says which', async (world) => {
  const ledger = await world.open()
  const workerId = await ledger.workers.register()
  await ledger.enqueue(build, 1, { id: 'a' })
  await refuses('lease', tables.LEASE, (given: Partial<LeaseOptions>) =>
    ledger.lease({ workerId, timeout: 0, ...given }),
  )
  await refuses('lease', [['', null, /^an object$/, 'null']], (given) => ledger.lease(given))
  expect(await typesOf(ledger, 'a')).toEqual(['Queued'])
  expect(await takeAll(ledger, workerId)).toEqual(['a'])
})

scenario(
  [1],
  'a job type that makes no sense is refused where it is defined',
  async () => {
    await refuses('defineJob', tables.DEFINE, (given: object | null) =>
      defineJob(given === null ? (given as never) : { type: 'x', handle: () => {}, ...given }),
    )
  },
  [memory],
)

scenario([1, 'C11'], 'what no `defineJob` made is no job', async (world) => {
  const ledger = await world.open()
  for (const odd of [undefined, null, 'build', {}, { type: 'build' }, { type: 5, version: 1 }]) {
    const error = await rejection(ledger.enqueue(odd as never, 1))
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'enqueue.job', expected: 'made by defineJob()' })
  }
  expect(await isEmpty(ledger)).toBe(true)
})

scenario(['C28'], 'defaults of a queue that make no sense are refused as the ledger is opened', async (world) => {
  await refuses('openLedger.queues', tables.QUEUES, (queues) => world.open({ queues }))
  expect(await isEmpty(await world.open({ queues: {} }))).toBe(true)
})

scenario(
  [1],
  'a ledger is not opened with what it does not know',
  async () => {
    const rows: readonly Row[] = [
      ['.jobs', { jobs: 5 }, /^an array of job definitions$/, '5'],
      ['.jobs[1]', { jobs: [build, { type: 'x' }] }, /^made by defineJob\(\)$/, 'an object (type)'],
      ['.maxPayloadBytes', { maxPayloadBytes: 0 }, /^an integer >= 1$/, '0'],
      ['.maxPayloadBytes', { maxPayloadBytes: '1MB' }, /^an integer >= 1$/, '"1MB"'],
      ['.codeVersion', { codeVersion: 3 }, /^a text/, '3'],
      ['.strict', { strict: 'yes' }, /^true or false$/, '"yes"'],
      ['.logger', { logger: console.log }, /^a logger with debug/, 'function log'],
      ['.url', { url: 'redis://localhost' }, /^"memory:", "sqlite:<path>", "postgres/, '"redis://localhost"'],
      ['.url', { url: 'memory:x' }, /^"memory:", "sqlite:<path>", "postgres/, '"memory:x"'],
      ['.url', { url: 'sqlite:' }, /^"memory:", "sqlite:<path>", "postgres/, '"sqlite:"'],
      ['.url', { url: 5 }, /^"memory:", "sqlite:<path>", "postgres/, '5'],
      ['.durability', { durability: 'off' }, /^"full" or "normal"$/, '"off"'],
      ['.queue', { queue: {} }, /^one of jobs/, '"queue"'],
    ]
    await refuses('openLedger', rows, (given: object) => openLedger({ url: 'memory:', ...given }))
    await refuses('openLedger', [['', null, /^an object$/, 'null']], (given) => openLedger(given))
  },
  [memory],
)

scenario([36], 'a change of a waiting job that makes no sense changes nothing', async (world) => {
  const ledger = await world.open()
  await ledger.enqueue(build, 1, { id: 'a' })
  await refuses('reschedule', tables.RESCHEDULE, (given) => ledger.reschedule('a', given))
  expect(await typesOf(ledger, 'a')).toEqual(['Queued'])
})

scenario([10, 11, 24], 'what a worker says wrongly is refused, and the run goes on', async (world) => {
  const ledger = await world.open()
  await refuses('register', tables.REGISTER, (given) => ledger.workers.register(given))
  expect(await ledger.workers.list()).toEqual([])
  const worker = await ledger.workers.register()
  await refuses('workers.pause', tables.PAUSE, (given) => ledger.workers.pause(worker, given))
  await refuses('workers.remove', tables.WORKER_REMOVE, (given) => ledger.workers.remove(worker, given))
  for (const verb of ['pause', 'resume', 'remove'] as const) {
    const error = await thrownBy(() => ledger.workers[verb]('' as never))
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: `workers.${verb}.workerId` })
  }
  expect(await ledger.workers.list()).toMatchObject([{ status: 'active' }])
  await ledger.enqueue(build, 1, { id: 'a' })
  const { token } = await take(ledger, worker)
  await refuses('heartbeat', tables.HEARTBEAT, (given) => ledger.heartbeat(token, given))
  await refuses('fail', tables.FAIL, (given) => ledger.fail(token, new Error('x'), given))
  const DURATION = /^a duration/
  const durations: readonly Row[] = [
    ['.olderThan', 'a while', DURATION, '"a while"'],
    ['.olderThan', -1, DURATION, '-1'],
    ['.olderThan', undefined, DURATION, 'undefined'],
  ]
  await refuses('staleLeases', durations, (given) => ledger.staleLeases(given))
  await refuses('workers.list', durations.slice(0, 2), (olderThan) => ledger.workers.list({ olderThan }))
  for (const odd of [undefined, null, '', 5, {}]) {
    for (const say of [
      () => ledger.jobOf(odd as never),
      () => ledger.heartbeat(odd as never),
      () => ledger.finish(odd as never),
      () => ledger.fail(odd as never, new Error('x')),
      () => ledger.requeueOrFinish(odd as never, 1),
    ]) {
      expect(await thrownBy(say)).toMatchObject({ code: 'INVALID_OPTION', option: 'token' })
    }
  }
  expect(await typesOf(ledger, 'a')).toEqual(['Queued', 'Leased'])
  await ledger.finish(token)
})

scenario([55, 73], 'a pause of a queue that makes no sense pauses nothing', async (world) => {
  const ledger = await world.open()
  await refuses('queues.pause', tables.QUEUE_PAUSE, (given) => ledger.queues.pause('q', given))
  await refuses('queues.stats', tables.QUEUE_STATS, (given) => ledger.queues.stats(given))
  for (const odd of [undefined, null, 5, {}, 'x'.repeat(201), '\ud800']) {
    for (const verb of ['pause', 'resume'] as const) {
      const error = await thrownBy(() => ledger.queues[verb](odd as never))
      expect(error).toMatchObject({ code: 'INVALID_OPTION', option: `queues.${verb}.name` })
    }
  }
  const aborted = AbortSignal.abort(new Error('too late'))
  expect(await thrownBy(() => ledger.queues.pause('q', { signal: aborted }))).toMatchObject({ message: 'too late' })
  expect(await ledger.queues.stats()).toEqual({})
  expect(await isEmpty(ledger)).toBe(true)
})

scenario(
  [40, 41, 42, 79],
  'pools that make no sense are refused, nobody is registered, and others can be started',
  async (world) => {
    const ledger = await world.open({ jobs: [echo, build] })
    await refuses('start', tables.START, (given) => ledger.start(given))
    await refuses('start', tables.POOL, (given) => ledger.start(given))
    await refuses('start.pools[1]', tables.POOL, (given: object) =>
      ledger.start({ pools: [{ name: 'good' }, { ...given, name: 'bad' }] }),
    )
    const store = await world.store()
    for await (const page of store.readAll()) expect(page).toEqual([])
    expect(await ledger.start()).toBe(true)
  },
)

scenario([79, 39], 'nor is a ledger opened that is to start like that, or with overrides like these', async (world) => {
  const START = 'openLedger.autoStart'
  await refuses(START, tables.START.slice(2), (autoStart) => world.open({ jobs: [echo, build], autoStart }))
  await refuses(START, tables.POOL, (autoStart) => world.open({ jobs: [echo, build], autoStart }))
  for (const odd of [null, 5, 'yes']) {
    const error = await thrownBy(() => world.open({ jobs: [echo], autoStart: odd as never }))
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: START })
  }
  await refuses('openLedger.overrides', tables.OVERRIDES, (overrides) => world.open({ overrides }))
  for await (const page of (await world.store()).readAll()) expect(page).toEqual([])
})

scenario([1], 'options are left as they were given', async (world) => {
  const ledger = await world.open()
  const options: EnqueueOptions = {
    priority: 'low',
    delay: '1s',
    dependsOn: [],
    unique: { key: 'k' },
    backoff: { min: '1s' },
    trace: { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` },
  }
  const before = structuredClone(options)
  const frozen = Object.freeze(options)
  await ledger.enqueue(build, 1, frozen)
  await ledger.enqueueMany([Object.freeze({ job: build, payload: Object.freeze({ a: 1 }), options: frozen })])
  expect(frozen).toEqual(before)
})
