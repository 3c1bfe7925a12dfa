/** What a job is made of, and what is told of it. */
import { expect } from 'vitest'
import { defineJob } from '../../runtime/work/run/definition.js'
import { factsOf, gate, isEmpty, rejection } from '../engine/support.js'
import { build, code, take } from './remote.js'
import { scenario } from './scenario.js'

const echo = defineJob({ type: 'echo', handle: (payload: unknown) => payload })

const PAYLOADS: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1.5,
  1e308,
  '',
  'text',
  'NUL \u0000, quote " and emoji \u{1f600}',
  [],
  {},
  [[[null]]],
  { deep: { list: [1, 'two', { three: null }] }, '': 'an empty key', __proto: 1 },
  'x'.repeat(100_000),
]

scenario([1, '000.3'], 'a payload comes to the handler, and back to whoever asks, as it was given', async (world) => {
  const ledger = await world.open({ jobs: [echo] })
  await ledger.start()
  for (const payload of PAYLOADS) {
    const job = await ledger.enqueue(echo, payload)
    expect(await job.result()).toEqual(payload)
    expect(await ledger.status(job.id)).toMatchObject({ payload, result: payload })
  }
})

scenario([1], 'a payload of bytes stays bytes, and is a copy', async (world) => {
  const ledger = await world.open({ jobs: [echo] })
  const bytes = new Uint8Array([0, 255, 128, 10])
  const [whole, empty, part] = await ledger.enqueueMany([
    { job: echo, payload: bytes },
    { job: echo, payload: new Uint8Array() },
    { job: echo, payload: Buffer.from('a long text').subarray(2, 6) },
  ])
  bytes.fill(7)
  await ledger.start()
  expect(await whole?.result()).toEqual(new Uint8Array([0, 255, 128, 10]))
  expect(await empty?.result()).toEqual(new Uint8Array())
  expect(await part?.result()).toEqual(new Uint8Array(Buffer.from('long')))
})

const cyclic: Record<string, unknown> = {}
cyclic.self = cyclic

const NO_PAYLOADS: readonly (readonly [payload: unknown, option: string, received: string | RegExp])[] = [
  [undefined, 'enqueue.payload', 'undefined'],
  [() => {}, 'enqueue.payload', /function/],
  [Symbol('s'), 'enqueue.payload', /Symbol/],
  [1n, 'enqueue.payload', /^"1n/],
  [Number.NaN, 'enqueue.payload', 'NaN'],
  [Number.POSITIVE_INFINITY, 'enqueue.payload', 'Infinity'],
  [cyclic, 'enqueue.payload', /circular/],
  [{ a: { b: [1, () => {}] } }, 'enqueue.payload.a.b[1]', /function/],
  [{ a: Number.NaN }, 'enqueue.payload.a', 'NaN'],
  [[1, undefined], 'enqueue.payload[1]', 'undefined'],
  [new Map([[1, 2]]), 'enqueue.payload', /object/],
  [{ tags: new Set([1]) }, 'enqueue.payload.tags', /object/],
  [{ soon: Promise.resolve(1) }, 'enqueue.payload.soon', /object/],
  [{ floats: new Float32Array(2) }, 'enqueue.payload.floats', /object/],
  [{ raw: new ArrayBuffer(8) }, 'enqueue.payload.raw', /object/],
  [{ at: new Date(Number.NaN) }, 'enqueue.payload.at', 'an invalid Date'],
  ['x'.repeat(1_048_575), 'enqueue.payload', /bytes/],
  [new Uint8Array(1_048_577), 'enqueue.payload', '"1048577 bytes"'],
]

scenario(
  [1, '000.1'],
  'a payload that could not come back as it was is refused by its path, and nothing is stored',
  async (world) => {
    const ledger = await world.open()
    for (const [payload, option, received] of NO_PAYLOADS) {
      const error = await rejection(ledger.enqueue(echo, payload))
      expect(error).toMatchObject({ code: 'INVALID_PAYLOAD', name: 'InvalidPayload', family: 'option', option })
      expect(error).toHaveProperty(
        'received',
        typeof received === 'string' ? received : expect.stringMatching(received),
      )
    }
    expect(await isEmpty(ledger)).toBe(true)
  },
)

scenario([1], 'a payload may be as large as the ledger allows, to the byte', async (world) => {
  const ledger = await world.open({ maxPayloadBytes: 12 })
  for (const fits of ['x'.repeat(10), 'ä'.repeat(5), [1, 2, 3, 4, 5], new Uint8Array(12)]) {
    expect((await ledger.enqueue(echo, fits)).outcome).toBe('created')
  }
  for (const large of ['x'.repeat(11), `x${'ä'.repeat(5)}`, [1, 2, 3, 4, 56, 7], new Uint8Array(13)]) {
    expect(await rejection(ledger.enqueue(echo, large))).toMatchObject({ expected: 'at most 12 bytes' })
  }
  expect((await ledger.list()).jobs).toHaveLength(4)
})

scenario([1], 'a job keeps what its options say of it, and what they do not say is not there', async (world) => {
  const ledger = await world.open()
  const now = world.clock.now()
  const options = {
    id: 'all of it',
    queue: 'slow',
    channel: 'org-7',
    name: 'nightly image',
    priority: 'low',
    delay: '2m',
    held: true,
    maxAttempts: 3,
    timeout: '10s',
    backoff: { min: '1s', max: '8s', factor: 2, jitter: 'none', limit: 2, expiration: '1h' },
    retain: '1d',
    user: 'ada',
    manual: true,
  } as const
  await ledger.enqueue(build, null, options)
  const { id: bare } = await ledger.enqueue(build, null)
  const [whole] = await factsOf(ledger, options.id, 'Queued')
  expect(whole).toEqual({
    ...{ at: now, body: null, type: 'build', queue: 'slow', channel: 'org-7', name: 'nightly image', priority: 1 },
    ...{ runAt: now + 120_000, held: true, maxAttempts: 3, timeoutMs: 10_000, retainMs: 86_400_000, manual: true },
    backoff: { min: 1_000, max: 8_000, factor: 2, jitter: 0, limit: 2, expiration: 3_600_000 },
    context: { user: 'ada' },
  })
  const [plain] = await factsOf(ledger, bare, 'Queued')
  const asked = ['at', 'backoff', 'body', 'maxAttempts', 'queue', 'timeoutMs', 'type']
  expect(Object.keys(plain ?? {}).sort()).toEqual(asked)
})

scenario([4], 'a job may have a name for people to read, and it goes wherever the job goes', async (world) => {
  const seen: unknown[] = []
  const named = defineJob({ type: 'named', handle: (_: null, ctx) => void seen.push(ctx.name) })
  const ledger = await world.open({ jobs: [named] })
  const { id } = await ledger.enqueue(build, null, { name: 'Fedora 40, x86_64' })
  const nameless = await ledger.enqueue(build, null)
  const worker = await ledger.workers.register()
  expect(await take(ledger, worker)).toMatchObject({ id, name: 'Fedora 40, x86_64' })
  expect(await take(ledger, worker)).not.toHaveProperty('name')
  expect(await ledger.status(id)).toMatchObject({ name: 'Fedora 40, x86_64' })
  expect(await ledger.status(nameless.id)).not.toHaveProperty('name')
  expect((await ledger.list()).jobs.map(({ name }) => name)).toEqual([undefined, 'Fedora 40, x86_64'])
  // Two may have the same: it is no id.
  await ledger.start()
  const twins = [0, 1].map(() => ledger.enqueue(named, null, { name: 'twin \u{1f469}\u200d\u{1f680}' }))
  for (const twin of await Promise.all(twins)) await twin.result()
  expect(seen).toEqual(['twin \u{1f469}\u200d\u{1f680}', 'twin \u{1f469}\u200d\u{1f680}'])
})

scenario(
  [37, '000.21'],
  'a job reads as it was enqueued, whatever has become of it since, also in a ledger that was not there',
  async (world) => {
    const ledger = await world.open()
    const base = await ledger.enqueue(build, 'base')
    const given = { queue: 'q', channel: 'c', name: 'n', priority: -3, maxAttempts: 7 }
    const payload = { image: 'f40', parts: [1, 2] }
    const { id } = await ledger.enqueue(build, payload, { ...given, dependsOn: [{ id: base.id, on: 'finished' }] })
    const asEnqueued = { ...given, id, type: 'build', payload, dependsOn: [{ id: base.id, on: 'finished' }] }
    const worker = await ledger.workers.register()
    expect(await ledger.status(id)).toMatchObject({ ...asEnqueued, state: 'blocked', blockedBy: [base.id], run: 0 })
    const first = await take(ledger, worker)
    await ledger.finish(first.token)
    expect(await ledger.status(id)).toMatchObject({ ...asEnqueued, state: 'ready', blockedBy: [] })
    const lease = await take(ledger, worker)
    expect(lease).toMatchObject({ id, type: 'build', queue: 'q', channel: 'c', name: 'n', payload, run: 1, attempt: 1 })
    expect(await ledger.status(id)).toMatchObject({ ...asEnqueued, state: 'running', lease: { workerId: worker } })
    await ledger.finish(lease.token, 'done')
    expect(await ledger.status(id)).toMatchObject({ ...asEnqueued, state: 'succeeded', result: 'done', run: 1 })
    expect(await ledger.status(id)).not.toHaveProperty('lease')
    const other = await world.open()
    expect(await other.status(id)).toEqual(await ledger.status(id))
    expect(await other.history(id)).toEqual(await ledger.history(id))
  },
)

scenario([37, '000.22'], 'what is asked of a job that does not exist is refused', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const asked = [
    () => ledger.status('nobody'),
    () => ledger.history('nobody'),
    () => ledger.attempts('nobody'),
    () => ledger.dependencyErrors('nobody'),
    () => ledger.result('nobody'),
    () => ledger.reschedule('nobody', { priority: 1 }),
    () => ledger.promote('nobody'),
    () => ledger.retry('nobody'),
    () => ledger.leaseById('nobody', worker),
    () => ledger.failUnstarted('nobody'),
    () => ledger.remove('nobody'),
    () => ledger.expunge('nobody'),
  ]
  for (const ask of asked) expect(await rejection(ask())).toMatchObject({ code: 'JOB_UNKNOWN', jobId: 'nobody' })
  expect(await isEmpty(ledger)).toBe(true)
})

scenario(
  ['C19'],
  'ids are uuids v7 of their time, or the caller’s own; neither says anything of the order',
  async (world) => {
    const ledger = await world.open()
    const own = ['zz', 'a', 'with space / and \u00fc', '00000000-0000-0000-0000-000000000000', 'x'.repeat(200)]
    const ids: string[] = []
    for (const id of own) {
      ids.push((await ledger.enqueue(build, id, { id })).id)
      await world.clock.advance(1)
      const made = await ledger.enqueue(build, null)
      const [version, hex] = [made.id[14], made.id.slice(0, 13).replace('-', '')]
      expect([version, Number.parseInt(hex, 16)]).toEqual(['7', world.clock.now()])
      ids.push(made.id)
    }
    expect(ids.filter((_, index) => index % 2 === 0)).toEqual(own)
    const worker = await ledger.workers.register()
    for (const id of ids) expect((await take(ledger, worker)).id).toBe(id)
    for (const id of own) expect(await ledger.status(id)).toMatchObject({ id, payload: id, state: 'running' })
  },
)

scenario(['C19'], 'an id of one’s own makes one job, however often and wherever it is sent', async (world) => {
  const ledgers = [await world.open(), await world.open()] as const
  const sent = [0, 1, 2, 3].map((n) => ledgers[n % 2 === 0 ? 0 : 1].enqueue(build, { a: 1 }, { id: 'order-7' }))
  const outcomes = (await Promise.all(sent)).map(({ id, outcome }) => `${id} ${outcome}`)
  expect(outcomes.sort()).toEqual(['order-7 created', ...Array(3).fill('order-7 duplicate')])
  const worker = await ledgers[0].workers.register()
  await ledgers[0].finish((await take(ledgers[0], worker)).token)
  expect((await ledgers[1].enqueue(build, { a: 1 }, { id: 'order-7' })).outcome).toBe('duplicate')
  expect(await code(ledgers[1].enqueue(build, { a: 2 }, { id: 'order-7' }))).toBe('JOB_EXISTS')
  expect(await ledgers[1].status('order-7')).toMatchObject({ state: 'succeeded', payload: { a: 1 } })
})

scenario(['C28'], 'without a word a job has the defaults of the library', async (world) => {
  const ledger = await world.open()
  const { id } = await ledger.enqueue(build, null)
  const backoff = { min: 1_000, max: 3_600_000, factor: 2, jitter: 'full' }
  const [facts] = await factsOf(ledger, id, 'Queued')
  expect(facts).toMatchObject({ queue: 'default', maxAttempts: 20, timeoutMs: 900_000, backoff })
  expect(await ledger.status(id)).toMatchObject({ queue: 'default', channel: '', priority: 0, maxAttempts: 20 })
  const worker = await ledger.workers.register()
  expect((await ledger.lease({ workerId: worker })).expiresAt).toBe(world.clock.now() + 30_000)
})

scenario(['C28'], 'the job’s own word comes before its type’s, that before its queue’s', async (world) => {
  const queues = {
    slow: { maxAttempts: 2, timeout: '1h', backoff: { min: '1m', factor: 1, jitter: 'none' } },
    '': { maxAttempts: null, timeout: null },
  } as const
  const ledger = await world.open({ queues })
  const typed = defineJob({ type: 'typed', queue: 'slow', maxAttempts: 5, timeout: '2s', backoff: { min: '3s' } })
  const plain = defineJob({ type: 'plain', queue: 'slow' })
  const settingsOf = async (...[job, options]: [typeof typed, object?]) => {
    const { id } = await ledger.enqueue(job, null, options)
    const [facts] = await factsOf(ledger, id, 'Queued')
    const { maxAttempts, timeoutMs, backoff } = facts as { maxAttempts: unknown; timeoutMs: unknown; backoff: object }
    return { maxAttempts, timeoutMs, ...backoff }
  }
  const ofQueue = { maxAttempts: 2, timeoutMs: 3_600_000, min: 60_000, max: 3_600_000, factor: 1, jitter: 0 }
  expect(await settingsOf(plain)).toEqual(ofQueue)
  // A backoff is put together field by field.
  expect(await settingsOf(typed)).toEqual({ ...ofQueue, maxAttempts: 5, timeoutMs: 2_000, min: 3_000 })
  const own = { maxAttempts: null, timeout: null, backoff: { max: '5m' } }
  expect(await settingsOf(typed, own)).toEqual({
    ...{ ...ofQueue, maxAttempts: null, timeoutMs: null, min: 3_000, max: 300_000 },
  })
  expect(await settingsOf(plain, { queue: '' })).toMatchObject({ maxAttempts: null, timeoutMs: null, factor: 2 })
  expect(await settingsOf(plain, { queue: 'elsewhere' })).toMatchObject({ maxAttempts: 20, timeoutMs: 900_000 })
})

scenario(['C28'], 'a queue may run fewer jobs at once than the process has slots', async (world) => {
  const started: string[] = []
  const go = gate()
  const work = defineJob({
    type: 'work',
    handle: async (text: string) => {
      started.push(text)
      await go.promise
    },
  })
  const ledger = await world.open({ jobs: [work], queues: { slow: { concurrency: 2 } } })
  await ledger.start({ concurrency: 5 })
  const given = ['s1', 's2', 's3', 's4', 'fast'].map((text) => {
    return ledger.enqueue(work, text, { queue: text.startsWith('s') ? 'slow' : 'default' })
  })
  const jobs = await Promise.all(given)
  await world.clock.settle()
  expect([...started].sort()).toEqual(['fast', 's1', 's2'])
  go.open()
  for (const job of jobs) await job.result()
  expect([...started].sort()).toEqual(['fast', 's1', 's2', 's3', 's4'])
})
