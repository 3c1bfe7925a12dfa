/** Facts of 001 to 003 that no other scenario tells on its way. */
import Database from 'better-sqlite3'
import { expect } from 'vitest'
import type { JobContext } from '../../runtime/work/run/context.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { isEmpty, rejection } from '../engine/support.js'
import { echo, ended, loseLease, standing } from './acts.js'
import { SQL, scenario } from './scenario.js'

const greet = defineJob({ type: 'greet', handle: ({ name }: { name: string }) => `hello ${name}` })

scenario(['001.1'], 'one, several of a type, and a mixture are enqueued alike', async (world) => {
  const ledger = await world.open({ jobs: [echo, greet] })
  await ledger.start()
  expect(await (await ledger.enqueue(greet, { name: 'ann' })).result()).toBe('hello ann')
  const same = await ledger.enqueueMany(['bob', 'cid'].map((name) => ({ job: greet, payload: { name } })))
  expect(await Promise.all(same.map((job) => job.result()))).toEqual(['hello bob', 'hello cid'])
  const mixed = await ledger.enqueueMany([
    { job: greet as JobDefinition, payload: { name: 'dan' } },
    { job: echo, payload: [1, 2] },
  ])
  expect(await Promise.all(mixed.map((job) => job.result()))).toEqual(['hello dan', [1, 2]])
  const before = (await ledger.list()).jobs.length
  const broken = [...mixed.map(() => ({ job: echo, payload: 1 })), { job: echo, payload: () => {} }]
  expect(await rejection(ledger.enqueueMany(broken))).toMatchObject({
    code: 'INVALID_PAYLOAD',
    option: 'enqueueMany[2].payload',
  })
  expect((await ledger.list()).jobs).toHaveLength(before)
})

scenario(['001.2', '002.5'], 'what is not a job and what cannot be kept is refused by its name', async (world) => {
  const ledger = await world.open()
  for (const job of [undefined, null, 5, 'echo', new Uint8Array(3), () => {}, {}, [], [echo]]) {
    const refused = { code: 'INVALID_OPTION', option: 'enqueue.job' }
    expect(await rejection(ledger.enqueue(job as never, 1)), `${job}`).toMatchObject(refused)
  }
  const circle: Record<string, unknown> = {}
  circle.self = circle
  const payloads = [
    undefined,
    () => {},
    Symbol('s'),
    1n,
    Number.NaN,
    new Map(),
    { deep: [{ at: new Set() }] },
    [undefined],
    circle,
  ]
  for (const payload of payloads) {
    const refused = { code: 'INVALID_PAYLOAD', option: expect.stringMatching(/^enqueue\.payload/) }
    expect(await rejection(ledger.enqueue(echo, payload)), String(typeof payload)).toMatchObject(refused)
  }
  for (const batch of [undefined, null, echo, 'echo']) {
    expect(await rejection(ledger.enqueueMany(batch as never))).toMatchObject({ option: 'enqueueMany' })
  }
  expect(await ledger.enqueueMany([])).toEqual([])
  expect(await isEmpty(ledger)).toBe(true)
})

scenario(
  ['001.3'],
  'in the caller’s transaction a job shares its fate',
  async (world) => {
    const ledger = await world.open({ jobs: [echo] })
    await ledger.start()
    const db = new Database(world.path)
    try {
      db.exec('BEGIN IMMEDIATE')
      await ledger.tx(db).enqueue(echo, 'never', { id: 'rolled back' })
      db.exec('ROLLBACK')
      expect(await rejection(ledger.status('rolled back'))).toMatchObject({ code: 'JOB_UNKNOWN' })
      db.exec('BEGIN IMMEDIATE')
      await ledger.tx(db).enqueue(echo, 'kept', { id: 'committed' })
      db.exec('COMMIT')
      expect(await ended(world, ledger, 'committed')).toBe('kept')
      expect((await ledger.list()).jobs.map(({ id }) => id)).toEqual(['committed'])
    } finally {
      db.close()
    }
  },
  SQL,
)

scenario(['001.5', '003.4'], 'priority is 0 unless given, lower goes first, then the older', async (world) => {
  const order: unknown[] = []
  const noting = defineJob({ type: 'noting', handle: (value: unknown) => void order.push(value) })
  const ledger = await world.open({ jobs: [noting] })
  const given = [
    [0, 'a'],
    [5, 'z'],
    [-3, 'first'],
    [undefined, 'b'],
    [1, 'y'],
    [0, 'c'],
    [-3, 'second'],
  ] as const
  for (const [priority, name] of given) {
    await ledger.enqueue(noting, name, priority === undefined ? {} : { priority })
    await world.clock.advance(1)
  }
  await ledger.start({ concurrency: 1 })
  await world.clock.settle()
  expect(order).toEqual(['first', 'second', 'a', 'b', 'c', 'y', 'z'])
  const { id } = await ledger.enqueue(noting, 'last')
  expect((await ledger.status(id)).priority).toBe(0)
})

scenario(['001.6'], 'a job with a time competes with nobody before it, however urgent it is', async (world) => {
  const order: unknown[] = []
  const noting = defineJob({ type: 'noting', handle: (value: unknown) => void order.push(value) })
  const ledger = await world.open({ jobs: [noting] })
  const at = new Date(world.clock.now() + 60_000)
  const { id } = await ledger.enqueue(noting, 'urgent, later', { priority: 'critical', runAt: at })
  await ledger.enqueue(noting, 'now')
  await ledger.start({ concurrency: 1 })
  await world.clock.advance(59_999)
  expect(order).toEqual(['now'])
  expect(await ledger.status(id)).toMatchObject({ state: 'scheduled', runAt: at.getTime() })
  await world.clock.advance(1)
  expect(order).toEqual(['now', 'urgent, later'])
})

scenario(['001.11'], 'the handler reads its job’s id, and its user if there is one', async (world) => {
  const contexts: JobContext[] = []
  const looking = defineJob({ type: 'looking', handle: (_: null, ctx) => void contexts.push(ctx) })
  const ledger = await world.open({ jobs: [looking] })
  await ledger.start()
  const nobody = await ledger.enqueue(looking, null)
  await nobody.result()
  const somebody = await ledger.enqueue(looking, null, { user: 'ann' })
  await somebody.result()
  expect(contexts.map(({ id }) => id)).toEqual([nobody.id, somebody.id])
  expect(contexts.map(({ user }) => user)).toEqual([undefined, 'ann'])
  expect(await ledger.status(nobody.id)).not.toHaveProperty('user')
  expect((await ledger.status(somebody.id)).user).toBe('ann')
  expect(await rejection(ledger.enqueue(looking, null, { user: '' }))).toMatchObject({ option: 'enqueue.user' })
})

scenario(['001.12'], 'both versions are kept, and none is made up', async (world) => {
  const client = await world.open({ codeVersion: 'v1' })
  const nameless = await world.open()
  const runner = await world.open({ jobs: [echo], codeVersion: 'v2' })
  await runner.start()
  const known = await client.enqueue(echo, 1)
  const unknown = await nameless.enqueue(echo, 2)
  await runner.result(known.id)
  await runner.result(unknown.id)
  expect(await runner.attempts(known.id)).toMatchObject([{ enqueuedVersion: 'v1', codeVersion: 'v2' }])
  const [attempt] = await runner.attempts(unknown.id)
  expect(attempt).toMatchObject({ codeVersion: 'v2' })
  expect(attempt).not.toHaveProperty('enqueuedVersion')
})

scenario(['001.13'], 'closing what was never started ends without any time passing', async (world) => {
  const ledger = await world.open({ jobs: [echo] })
  await ledger.enqueue(echo, 1, { id: 'waiting' })
  const before = world.clock.now()
  await ledger.close()
  await ledger.close()
  expect(world.clock.now()).toBe(before)
  expect((await (await world.open()).status('waiting')).state).toBe('ready')
})

scenario(['002.1'], 'a payload stored by an older program is brought into the present form', async (world) => {
  const old = defineJob<{ Data: string; Type: string }, unknown>({ type: 'message' })
  const present = defineJob({
    type: 'message',
    version: 2,
    upcast: (stored: unknown) => {
      const { Data, Type } = stored as { Data: string; Type: string }
      return Type === 'json' ? JSON.parse(Buffer.from(Data, 'base64').toString()) : Data
    },
    handle: (payload: { to: string }) => payload.to,
  })
  const before = await world.open({ jobs: [old] })
  const Data = Buffer.from(JSON.stringify({ to: 'old' })).toString('base64')
  const { id } = await before.enqueue(old, { Data, Type: 'json' })
  await world.close(before)
  const ledger = await world.open({ jobs: [present] })
  await ledger.start()
  expect(await ledger.result(id)).toBe('old')
  expect(await (await ledger.enqueue(present, { to: 'new' })).result()).toBe('new')
})

scenario(
  ['003.2'],
  'what a former process left waiting, or left running, runs when the log is opened again',
  async (world) => {
    const { job, started, finish } = standing('left', { backoff: { min: 1, jitter: 'none' } })
    const before = await world.open({ jobs: [job] })
    const lost = await before.enqueue(job, null)
    await loseLease(world, before, lost.id)
    await before.start({ concurrency: 1 })
    await started(0)
    const waiting = await before.enqueue(job, null)
    await world.close(before, { drain: 0, timeout: 0 })
    const ledger = await world.open({ jobs: [job] })
    await ledger.start({ concurrency: 1 })
    await world.clock.settle()
    for (const n of [1, 2]) {
      await started(n)
      finish(n, n)
    }
    const results = [await ended(world, ledger, lost.id), await ended(world, ledger, waiting.id)]
    expect(results.sort()).toEqual([1, 2])
  },
)

scenario(['003.3'], 'closing stops the handlers through their signals and waits for them', async (world) => {
  const { job, started, finish } = standing()
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  const { id } = await ledger.enqueue(job, null)
  const { signal } = await started(0)
  let closed = false
  const closing = ledger.close({ drain: '5s', timeout: '1m' }).then(() => {
    closed = true
  })
  await world.clock.advance(4_999)
  expect(signal.aborted).toBe(false)
  await world.clock.advance(1)
  expect(signal.reason).toMatchObject({ code: 'SHUTTING_DOWN' })
  await world.clock.advance('10s')
  expect(closed).toBe(false)
  finish(0, 'just in time')
  await closing
  expect(await (await world.open()).status(id)).toMatchObject({ state: 'succeeded', result: 'just in time' })
})

scenario(['003.6'], 'a priority that is none is refused, and where there is no job none is leased', async (world) => {
  const ledger = await world.open()
  for (const priority of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 'urgent', null, {}]) {
    const refused = { code: 'INVALID_OPTION', option: 'enqueue.priority' }
    expect(await rejection(ledger.enqueue(echo, 1, { priority: priority as never }))).toMatchObject(refused)
  }
  const workerId = await ledger.workers.register()
  expect(await rejection(ledger.lease({ workerId, timeout: 0 }))).toMatchObject({ code: 'LEASE_TIMEOUT' })
  expect(await isEmpty(ledger)).toBe(true)
})
