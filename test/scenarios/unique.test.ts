/** At most one job of a kind at a time. The feature has no row of its own: it is one of the ways to enqueue. */
import { expect } from 'vitest'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { EnqueueOptions, JobHandle } from '../../runtime/write/contract.js'
import type { Gate } from '../engine/support.js'
import { factsOf, gate, next, rejection, typesOf } from '../engine/support.js'
import { build, take, takeAll, test } from './remote.js'
import { scenario } from './scenario.js'

const told = ({ id, outcome }: JobHandle): string => `${id} ${outcome}`

scenario([1], 'a second job with the same key is the first one, until that has ended', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const enqueue = async (id: string) =>
    told(await ledger.enqueue(build, { by: id }, { id, unique: { key: 'image 7' } }))
  expect(await enqueue('a')).toBe('a created')
  expect(await enqueue('b')).toBe('a duplicate')
  const { token } = await take(ledger, worker)
  expect(await enqueue('c')).toBe('a duplicate')
  await ledger.finish(token, 'done')
  expect(await enqueue('d')).toBe('d created')
  await ledger.cancel('d')
  expect(await enqueue('e')).toBe('e created')
  await ledger.failUnstarted('e')
  expect(await enqueue('f')).toBe('f created')
  expect(await ledger.status('a')).toMatchObject({ payload: { by: 'a' }, run: 1 })
  expect((await ledger.list()).jobs.map(({ id }) => id).sort()).toEqual(['a', 'd', 'e', 'f'])
  expect(await rejection(ledger.status('b'))).toMatchObject({ code: 'JOB_UNKNOWN' })
})

scenario([1], 'while it waits to be tried again, is held, blocked or scheduled, its key is taken', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const base = await ledger.enqueue(test, null, { id: 'base', priority: 1 })
  const ways: Readonly<Record<string, EnqueueOptions>> = {
    held: { held: true },
    scheduled: { delay: '1h' },
    blocked: { dependsOn: [base.id] },
    retried: {},
  }
  for (const [key, options] of Object.entries(ways))
    await ledger.enqueue(build, 1, { ...options, id: key, unique: { key } })
  await ledger.fail((await take(ledger, worker)).token, new Error('not yet'), { retryAt: '1h' })
  for (const key of Object.keys(ways)) {
    expect(told(await ledger.enqueue(build, 2, { unique: { key } }))).toBe(`${key} duplicate`)
  }
})

scenario([1], 'without a key the payload is the key, byte for byte', async (world) => {
  const ledger = await world.open()
  const unique = {}
  const payloads: readonly unknown[] = [
    { a: 1, b: 2 },
    { b: 2, a: 1 },
    { a: 1 },
    [1],
    1,
    '1',
    null,
    'null',
    '',
    new Uint8Array([49]),
    new Uint8Array([]),
    'bytes:31',
  ]
  const ids: string[] = []
  for (const payload of payloads) {
    const { id, outcome } = await ledger.enqueue(build, payload, { unique })
    expect(outcome).toBe('created')
    ids.push(id)
  }
  for (const [index, payload] of payloads.entries()) {
    expect(told(await ledger.enqueue(build, structuredClone(payload), { unique }))).toBe(`${ids[index]} duplicate`)
  }
  // A key is no payload.
  expect((await ledger.enqueue(build, 1, { unique: { key: '1' } })).outcome).toBe('created')
  expect((await ledger.enqueue(build, 1)).outcome).toBe('created')
})

scenario([1], 'a key holds within its type, or its queue, its channel, or all of the ledger', async (world) => {
  const ledger = await world.open()
  const variants: readonly (readonly [string, typeof build, EnqueueOptions])[] = [
    ['same', build, {}],
    ['type', test, {}],
    ['queue', build, { queue: 'other' }],
    ['channel', build, { channel: 'other' }],
    ['all', test, { queue: 'another', channel: 'another' }],
  ]
  const created: Record<string, string[]> = {}
  for (const scope of ['type', 'queue', 'channel', 'ledger'] as const) {
    await ledger.enqueue(build, 0, { unique: { key: 'k', scope } })
    created[scope] = []
    for (const [name, job, options] of variants) {
      const { outcome } = await ledger.enqueue(job, 1, { ...options, unique: { key: 'k', scope } })
      if (outcome === 'created') created[scope].push(name)
    }
  }
  expect(created).toEqual({ type: ['type'], queue: ['queue', 'all'], channel: ['channel', 'all'], ledger: [] })
})

scenario([1], 'keys and scopes that look alike when put together are different', async (world) => {
  const ledger = await world.open()
  const [ab, a] = [defineJob({ type: 'a","b' }), defineJob({ type: 'a' })]
  const all = [
    await ledger.enqueue(ab, 1, { unique: { key: 'c' } }),
    await ledger.enqueue(a, 1, { unique: { key: 'b","c' } }),
    await ledger.enqueue(a, 1, { unique: { key: 'c', scope: 'queue' }, queue: 'a' }),
    await ledger.enqueue(a, 1, { unique: { key: 'c', scope: 'channel' }, channel: 'a' }),
    await ledger.enqueue(a, 1, { unique: { key: 'c', scope: 'ledger' } }),
    await ledger.enqueue(a, 1, { unique: { key: 'c' } }),
    await ledger.enqueue(a, 1, { unique: { key: 'C' } }),
    await ledger.enqueue(a, 1, { unique: { key: 'c ' } }),
  ]
  expect(new Set(all.map(({ outcome }) => outcome))).toEqual(new Set(['created']))
})

scenario([1], 'a window holds the key for its time, whatever becomes of the job', async (world) => {
  const ledger = await world.open()
  const enqueue = async (id: string) =>
    told(await ledger.enqueue(build, 1, { id, unique: { key: 'k', window: '10s' } }))
  expect(await enqueue('a')).toBe('a created')
  await ledger.cancel('a')
  await world.clock.advance(9_999)
  expect(await enqueue('b')).toBe('a duplicate')
  await world.clock.advance(1)
  // Not extended by those it kept out, and free at its very end, though the job it held for may be waiting still.
  expect(await enqueue('c')).toBe('c created')
  await world.clock.advance('10s')
  expect(await enqueue('d')).toBe('d created')
  expect((await ledger.status('c')).state).toBe('ready')
  await ledger.cancel('d')
  await ledger.remove('d')
  expect(await enqueue('e')).toBe('d duplicate')
})

scenario([1], 'a retry of a job that had a window does not claim its key again', async (world) => {
  const ledger = await world.open()
  const unique = { key: 'k', window: '10s' } as const
  await ledger.enqueue(build, 1, { id: 'a', unique })
  await ledger.cancel('a')
  await world.clock.advance('10s')
  await ledger.enqueue(build, 1, { id: 'b', unique })
  await ledger.retry('a')
  expect((await ledger.status('a')).state).toBe('ready')
  await world.clock.advance('10s')
  expect(told(await ledger.enqueue(build, 1, { id: 'c', unique }))).toBe('c created')
})

scenario(
  [1],
  'replace gives a waiting job the new payload, and the run time and priority that are said',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    const now = world.clock.now()
    const unique = { key: 'k', onDuplicate: 'replace' } as const
    const first = { id: 'a', delay: '1h', priority: -1, name: 'first', channel: 'org' } as const
    expect(told(await ledger.enqueue(build, { n: 1 }, { ...first, unique }))).toBe('a created')
    expect(told(await ledger.enqueue(build, { n: 2 }, { id: 'b', unique }))).toBe('a replaced')
    const kept = { name: 'first', channel: 'org', runAt: now + 3_600_000, priority: -1, payload: { n: 2 } }
    expect(await ledger.status('a')).toMatchObject(kept)
    const later = { delay: '2h', priority: 3, name: 'other', channel: 'other' } as const
    expect(told(await ledger.enqueue(build, { n: 3 }, { ...later, unique }))).toBe('a replaced')
    expect(await ledger.status('a')).toMatchObject({ ...kept, runAt: now + 7_200_000, priority: 3, payload: { n: 3 } })
    expect(told(await ledger.enqueue(build, { n: 4 }, { priority: 0, unique: { key: 'k' } }))).toBe('a duplicate')
    expect(await ledger.status('a')).toMatchObject({ priority: 3, payload: { n: 3 } })
    // To be run now is something that can be said, too.
    expect(told(await ledger.enqueue(build, { n: 5 }, { delay: 0, priority: 0, unique }))).toBe('a replaced')
    const lease = await take(ledger, worker)
    expect(lease).toMatchObject({ id: 'a', payload: { n: 5 }, name: 'first' })
    expect(await ledger.status('a')).toMatchObject({ priority: 0 })
    expect(told(await ledger.enqueue(build, { n: 6 }, { unique }))).toBe('a duplicate')
    await ledger.finish(lease.token)
    expect(await ledger.status('a')).toMatchObject({ payload: { n: 5 } })
    await ledger.retry('a')
    expect(await take(ledger, worker)).toMatchObject({ id: 'a', payload: { n: 5 } })
  },
)

scenario([1], 'what a type says by default is not said by the job that replaces', async (world) => {
  const lazy = defineJob<unknown, unknown>({ type: 'lazy', priority: 'low' })
  const ledger = await world.open()
  const unique = { key: 'k', onDuplicate: 'replace' } as const
  await ledger.enqueue(lazy, 1, { id: 'a', priority: 'critical', unique })
  await ledger.enqueue(lazy, 2, { unique })
  expect(await ledger.status('a')).toMatchObject({ priority: -2, payload: 2 })
})

scenario([1], 'what replaces comes to the handler, also as bytes and to a ledger that was not there', async (world) => {
  const seen: unknown[] = []
  const note = defineJob({ type: 'note', handle: (payload: unknown) => void seen.push(payload) })
  const first = await world.open()
  const unique = { key: 'k', onDuplicate: 'replace' } as const
  await first.enqueue(note, 'old', { id: 'a', held: true, unique })
  await first.enqueue(note, new Uint8Array([1, 2]), { unique })
  await first.enqueue(note, 'old', { id: 'b', unique: { key: 'k2', onDuplicate: 'replace' } })
  await world.close(first)
  const second = await world.open({ jobs: [note] })
  await second.enqueue(note, 'new', { unique: { key: 'k2', onDuplicate: 'replace' } })
  await second.start()
  await second.result('b')
  await second.promote('a')
  await second.result('a')
  expect(seen).toEqual(['new', new Uint8Array([1, 2])])
})

scenario([1], 'a job of another type is never given this one’s payload', async (world) => {
  const ledger = await world.open()
  const unique = { key: 'k', scope: 'ledger', onDuplicate: 'replace' } as const
  await ledger.enqueue(build, 'build', { id: 'a', unique })
  expect(told(await ledger.enqueue(test, 'test', { unique }))).toBe('a duplicate')
  expect(await ledger.status('a')).toMatchObject({ type: 'build', payload: 'build' })
})

scenario([1, 28], 'a retry claims the key again, and is refused while another job holds it', async (world) => {
  const ledger = await world.open()
  const unique = { key: 'k' }
  await ledger.enqueue(build, 1, { id: 'a', unique })
  await ledger.cancel('a')
  await ledger.retry('a')
  expect(told(await ledger.enqueue(build, 2, { id: 'b', unique }))).toBe('a duplicate')
  await ledger.cancel('a')
  expect(told(await ledger.enqueue(build, 2, { id: 'b', unique }))).toBe('b created')
  const before = await typesOf(ledger, 'a')
  expect(await rejection(ledger.retry('a'))).toMatchObject({ code: 'JOB_NOT_UNIQUE', jobId: 'a', holder: 'b' })
  expect(await typesOf(ledger, 'a')).toEqual(before)
  await ledger.cancel('b')
  await ledger.retry('a')
  expect(await rejection(ledger.retry('b'))).toMatchObject({ code: 'JOB_NOT_UNIQUE', holder: 'a' })
  // Of two that had the key and are sent round at once, one gets it.
  await ledger.cancel('a')
  const both = await Promise.allSettled([ledger.retry('a'), ledger.retry('b')])
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
})

scenario([1], 'one that waits for the duplicate waits for the job that was there', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await ledger.enqueue(build, 1, { id: 'a', unique: { key: 'k' } })
  const duplicate = await ledger.enqueue(build, 1, { id: 'b', unique: { key: 'k' } })
  await ledger.enqueue(test, 2, { id: 'c', dependsOn: [duplicate.id] })
  expect(await rejection(ledger.enqueue(test, 2, { id: 'd', dependsOn: ['b'] }))).toMatchObject({
    ...{ code: 'DEPENDENCY_UNKNOWN', dependency: 'b' },
  })
  const { id, token } = await take(ledger, worker)
  expect(id).toBe('a')
  expect(await takeAll(ledger, worker)).toEqual([])
  const result = duplicate.result()
  await ledger.finish(token, 'shared')
  expect(await result).toBe('shared')
  expect(await take(ledger, worker)).toMatchObject({ id: 'c', dependencies: [{ id: 'a', result: 'shared' }] })
})

scenario([1], 'the same id and content again is a duplicate, and makes no second claim', async (world) => {
  const ledger = await world.open()
  const unique = { key: 'k' }
  await ledger.enqueue(build, 1, { id: 'a', unique })
  expect(told(await ledger.enqueue(build, 1, { id: 'a', unique }))).toBe('a duplicate')
  await ledger.cancel('a')
  await ledger.enqueue(build, 1, { id: 'b', unique })
  expect(told(await ledger.enqueue(build, 1, { id: 'a', unique }))).toBe('a duplicate')
  expect(told(await ledger.enqueue(build, 1, { id: 'c', unique }))).toBe('b duplicate')
  expect(await rejection(ledger.enqueue(build, 2, { id: 'b', unique }))).toMatchObject({ code: 'JOB_EXISTS' })
})

scenario([1], 'many at once, from several ledgers, make one job', async (world) => {
  const ledgers = [await world.open(), await world.open()]
  for (let round = 0; round < 5; round += 1) {
    const sent = Array.from({ length: 20 }, (_, n) => {
      const ledger = ledgers[n % 2] as (typeof ledgers)[0]
      return ledger.enqueue(build, n, { id: `${round}.${n}`, unique: { key: 'k' } })
    })
    const jobs = await Promise.all(sent)
    expect(jobs.filter(({ outcome }) => outcome === 'created')).toHaveLength(1)
    const [id, ...others] = new Set(jobs.map((job) => job.id))
    expect(others).toEqual([])
    await ledgers[0]?.cancel(id as string)
    // The next round finds a holder that is not in the log any more.
    if (round % 2 === 1) await ledgers[0]?.remove(id as string)
  }
})

scenario([1], 'a worker is none the worse for duplicates: its slots are free for what is new', async (world) => {
  const go = gate()
  const work = defineJob({
    type: 'work',
    handle: async (n: number) => {
      if (n === 0) await go.promise
      return n
    },
  })
  const ledger = await world.open({ jobs: [work] })
  await ledger.start({ concurrency: 2 })
  const unique = { key: 'k' }
  const first = await ledger.enqueue(work, 0, { unique })
  await next(ledger, first.id, 'Leased')
  for (let n = 1; n <= 10; n += 1) expect((await ledger.enqueue(work, n, { unique })).id).toBe(first.id)
  expect(await (await ledger.enqueue(work, 11)).result()).toBe(11)
  go.open()
  expect(await first.result()).toBe(0)
  const again = await ledger.enqueue(work, 12, { unique })
  expect([again.outcome, await again.result()]).toEqual(['created', 12])
  expect(await factsOf(ledger, first.id, 'Leased')).toHaveLength(1)
})

scenario([1], 'a worker that reaches for a job as it is replaced runs what the log says it is', async (world) => {
  const ran = new Map<string, unknown>()
  const ends = new Map<string, Gate>()
  const busy = defineJob({ type: 'busy', priority: 'high', handle: (id: string) => ends.get(id)?.promise })
  const note = defineJob({ type: 'note', handle: (payload: unknown, { id }) => void ran.set(id, payload) })
  const options = (key: string) => ({ unique: { key, onDuplicate: 'replace' } }) as const
  const ids = Array.from({ length: 24 }, (_, n) => `${n}`)
  // By another ledger: the worker has to read what it is to run.
  const first = await world.open()
  for (const id of ids) await first.enqueue(note, 'old', { ...options(id), id, held: true })
  await world.close(first)
  const ledger = await world.open({ jobs: [busy, note] })
  await ledger.start({ concurrency: 1 })
  for (const [n, id] of ids.entries()) {
    const end = gate()
    ends.set(id, end)
    await ledger.enqueue(busy, id)
    await ledger.promote(id)
    const replacing = ledger.enqueue(note, 'new', options(id))
    // The slot becomes free a little later each time.
    for (let turn = 0; turn < n % 6; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    for (let step = 0; step < n / 6; step += 1) await Promise.resolve()
    end.open()
    const { outcome } = await replacing
    await ledger.result(id)
    expect([outcome, ran.get(id)]).toEqual(outcome === 'replaced' ? ['replaced', 'new'] : ['duplicate', 'old'])
    expect(await ledger.status(id)).toMatchObject({ payload: ran.get(id) })
  }
})
