/** What a token is good for, and what it is not good for any more. */
import { expect } from 'vitest'
import type { Ledger } from '../../runtime/ledger.js'
import type { JobContext } from '../../runtime/work/run/context.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { factsOf, gate, never, next, rejection, typesOf } from '../engine/support.js'
import { build, code, LONG, take, test } from './remote.js'
import { scenario } from './scenario.js'

/** Everything that can be said with a token. */
const sayings: Readonly<Record<string, (ledger: Ledger, token: string) => Promise<unknown>>> = {
  heartbeat: (ledger, token) => ledger.heartbeat(token, { progress: 1, partial: { n: 1 } }),
  finish: (ledger, token) => ledger.finish(token, 'late'),
  fail: (ledger, token) => ledger.fail(token, new Error('late')),
  requeueOrFinish: (ledger, token) => ledger.requeueOrFinish(token, 5, 'late'),
}

/** With this token nothing can be said about the job, and nothing is recorded. */
async function isStale(ledger: Ledger, id: string, token: string): Promise<void> {
  const before = [await ledger.history(id), await ledger.status(id)]
  for (const [name, say] of Object.entries(sayings)) {
    const error = await rejection(say(ledger, token))
    expect(error, name).toMatchObject({ code: 'LEASE_LOST', name: 'LeaseLost', family: 'lease', token })
  }
  expect([await ledger.history(id), await ledger.status(id)]).toEqual(before)
}

scenario([10, '000.10'], 'a token names its job while it runs, and nothing afterwards', async (world) => {
  const [ledger, other] = [await world.open(), await world.open()]
  const worker = await ledger.workers.register()
  for (const [name, end] of Object.entries(sayings)) {
    if (name === 'heartbeat') continue
    await ledger.enqueue(build, null, { id: name, maxAttempts: 1 })
    const { token } = await take(ledger, worker)
    for (const asked of [ledger, other]) expect(await asked.jobOf(token)).toEqual({ id: name, cancelled: false })
    await end(ledger, token)
    for (const asked of [ledger, other]) expect(await code(asked.jobOf(token)), name).toBe('LEASE_LOST')
    await isStale(ledger, name, token)
    await isStale(other, name, token)
    await ledger.cancel(name, { ifEnded: 'ignore' })
  }
  expect(await rejection(ledger.jobOf('never was'))).toMatchObject({ code: 'LEASE_LOST', token: 'never was' })
})

scenario(
  [10, '000.11'],
  'every lease has a token of its own, and the one before it is worth nothing',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    await ledger.enqueue(build, null, { id: 'a', backoff: { min: 0, max: 0 } })
    const tokens: string[] = []
    for (let n = 0; n < 4; n += 1) {
      const { token } = await take(ledger, worker)
      for (const old of tokens) await isStale(ledger, 'a', old)
      expect(await ledger.jobOf(token)).toEqual({ id: 'a', cancelled: false })
      tokens.push(token)
      if (n % 2 === 0) await ledger.requeueOrFinish(token, 9)
      else await ledger.fail(token, new Error('again'))
    }
    expect(new Set(tokens).size).toBe(4)
  },
)

scenario(
  [10, 11, 'C25'],
  'a lease that was taken back answers no heartbeat, and is not revived by one',
  async (world) => {
    const ledger = await world.open()
    const [slow, quick] = [await ledger.workers.register(), await ledger.workers.register()]
    await ledger.enqueue(build, null, { id: 'a' })
    const old = await take(ledger, slow, { lease: '10s' })
    const lost = next(ledger, 'a', 'Failed')
    await world.pass(lost)
    await isStale(ledger, 'a', old.token)
    const fresh = await take(ledger, quick)
    await isStale(ledger, 'a', old.token)
    expect(await ledger.staleLeases(0)).toEqual([])
    expect(await ledger.status('a')).toMatchObject({
      state: 'running',
      lease: { workerId: quick, expiresAt: fresh.expiresAt },
    })
    await ledger.finish(fresh.token, 'by the quick one')
    await isStale(ledger, 'a', old.token)
    expect(await ledger.result('a')).toBe('by the quick one')
  },
)

scenario([22, '000.25', '000.26'], 'a result is kept as it was given, once', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const results: readonly unknown[] = [
    undefined,
    null,
    0,
    false,
    '',
    'NUL \u0000 and \\u0000',
    { '\u0000': ['\u0000', { 'a\u0000b': '\u0000\u0000' }] },
    new Uint8Array([0, 1]),
    { log: 'x'.repeat(50_000) },
  ]
  for (const result of results) {
    const { id } = await ledger.enqueue(build, null)
    const { token } = await take(ledger, worker)
    await ledger.finish(token, result)
    expect(await rejection(ledger.finish(token, 'another'))).toMatchObject({ code: 'LEASE_LOST' })
    expect(await ledger.result(id)).toEqual(result)
    expect(await ledger.status(id)).toMatchObject({ state: 'succeeded', result })
  }
})

scenario([22], 'a result that is no JSON or too large is refused, and the run goes on', async (world) => {
  const ledger = await world.open({ maxPayloadBytes: 10 })
  const worker = await ledger.workers.register()
  const { id } = await ledger.enqueue(build, null)
  const { token } = await take(ledger, worker)
  for (const odd of [1n, () => {}, { a: Number.NaN }, 'x'.repeat(9)]) {
    const refused = async (saying: Promise<unknown>, path: string) => {
      const option = expect.stringContaining(path)
      expect(await rejection(saying)).toMatchObject({ code: 'INVALID_PAYLOAD', option })
    }
    await refused(ledger.finish(token, odd), 'finish.result')
    await refused(ledger.requeueOrFinish(token, 0, odd), 'requeueOrFinish.result')
    await refused(ledger.heartbeat(token, { partial: odd }), 'heartbeat.partial')
  }
  await ledger.finish(token, 'ok')
  expect(await typesOf(ledger, id)).toEqual(['Queued', 'Leased', 'Finished'])
})

scenario([22], 'of two who finish at once, one has finished', async (world) => {
  const [ledger, other] = [await world.open(), await world.open()]
  const worker = await ledger.workers.register()
  const { id } = await ledger.enqueue(build, null)
  const { token } = await take(ledger, worker)
  await other.jobOf(token)
  const ends = await Promise.allSettled([
    ledger.finish(token, 1),
    other.finish(token, 2),
    ledger.finish(token, 3),
    other.requeueOrFinish(token, 0, 4),
  ])
  expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  const result = 1 + ends.findIndex(({ status }) => status === 'fulfilled')
  expect(await ledger.result(id)).toBe(result)
  expect(await typesOf(ledger, id)).toEqual(['Queued', 'Leased', 'Finished'])
})

scenario(
  [23],
  'progress and a partial result are seen while the job runs, and only of its present run',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    const { id } = await ledger.enqueue(build, null)
    const first = await take(ledger, worker)
    expect(await ledger.status(id)).not.toHaveProperty('partial')
    await ledger.heartbeat(first.token, { progress: 0.25, partial: { log: ['NUL \u0000'] } })
    expect(await ledger.status(id)).toMatchObject({ progress: 0.25, partial: { log: ['NUL \u0000'] } })
    await ledger.heartbeat(first.token, { progress: 7 })
    expect(await ledger.status(id)).toMatchObject({ progress: 7, partial: { log: ['NUL \u0000'] } })
    await ledger.heartbeat(first.token, { partial: null })
    expect(await ledger.status(id)).toMatchObject({ progress: 7, partial: null })
    await ledger.requeueOrFinish(first.token, 1)
    expect(await ledger.status(id)).not.toHaveProperty('partial')
    const second = await take(ledger, worker)
    const status = await ledger.status(id)
    expect([status.partial, status.progress]).toEqual([undefined, undefined])
    await ledger.heartbeat(second.token, { partial: new Uint8Array([1]) })
    expect(await ledger.status(id)).toMatchObject({ partial: new Uint8Array([1]) })
    await ledger.finish(second.token, 'whole')
    expect(await ledger.status(id)).toMatchObject({ result: 'whole' })
    expect(await ledger.status(id)).not.toHaveProperty('partial')
    const beats = await factsOf(ledger, id, 'Heartbeat')
    expect(beats.map(({ body }) => body)).toEqual([{ log: ['NUL \u0000'] }, undefined, null, new Uint8Array([1])])
  },
)

scenario(
  [33, 'C29', '000.12'],
  'a worker elsewhere learns of a cancel from its token, until its lease would end',
  async (world) => {
    const [ledger, other] = [await world.open(), await world.open()]
    const worker = await ledger.workers.register()
    await ledger.enqueue(build, null, { id: 'a' })
    const { token } = await take(ledger, worker, { lease: '20s' })
    await ledger.cancel('a', { reason: 'not wanted' })
    for (const asked of [ledger, other]) expect(await asked.jobOf(token)).toEqual({ id: 'a', cancelled: true })
    await isStale(ledger, 'a', token)
    await isStale(other, 'a', token)
    await world.clock.advance('20s')
    expect(await ledger.jobOf(token)).toEqual({ id: 'a', cancelled: true })
    await world.clock.advance(1)
    expect(await code(ledger.jobOf(token))).toBe('LEASE_LOST')
    expect(await ledger.status('a')).toMatchObject({ state: 'cancelled', reason: 'not wanted' })
  },
)

scenario([33, 'C29'], 'it learns so also from a ledger that was closed and opened again in between', async (world) => {
  const first = await world.open()
  const worker = await first.workers.register()
  await first.enqueue(build, null, { id: 'a' })
  await first.enqueue(build, null, { id: 'b' })
  const [a, b] = [await take(first, worker), await take(first, worker, { lease: LONG })]
  await first.cancel('a')
  await first.cancel('b')
  await first.enqueue(test, null)
  await world.close(first)
  const second = await world.open()
  expect(await second.jobOf(b.token)).toEqual({ id: 'b', cancelled: true })
  await isStale(second, 'a', a.token)
})

scenario([33], 'a job that is sent round again after a cancel leaves the old token cancelled', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await ledger.enqueue(build, null, { id: 'a' })
  const old = await take(ledger, worker)
  await ledger.cancel('a')
  await ledger.retry('a')
  const fresh = await take(ledger, worker)
  expect(await ledger.jobOf(old.token)).toEqual({ id: 'a', cancelled: true })
  expect(await ledger.jobOf(fresh.token)).toEqual({ id: 'a', cancelled: false })
  await isStale(ledger, 'a', old.token)
  await ledger.finish(fresh.token, 'anew')
  expect(await ledger.result('a')).toBe('anew')
})

scenario([33], 'a handler here learns of it through its signal, with the reason', async (world) => {
  const started = gate<JobContext>()
  const stuck = defineJob({
    type: 'stuck',
    handle: (_: null, ctx) => {
      started.open(ctx)
      return never()
    },
  })
  const ledger = await world.open({ jobs: [stuck] })
  const elsewhere = await world.open()
  await ledger.start()
  const { id } = await ledger.enqueue(stuck, null)
  const { signal } = await started.promise
  const aborted = new Promise<unknown>((resolve) => {
    signal.addEventListener('abort', () => resolve(signal.reason), { once: true })
  })
  await elsewhere.cancel(id, { reason: 'no longer needed' })
  expect(await aborted).toMatchObject({ code: 'JOB_CANCELLED', jobId: id, reason: 'no longer needed' })
})
