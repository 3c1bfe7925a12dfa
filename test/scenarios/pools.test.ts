/** Pools of slots: which jobs each is for, how many of them run at once, and how many are leased in one commit. */
import { expect } from 'vitest'
import type { Ledger } from '../../runtime/ledger.js'
import type { JobContext } from '../../runtime/work/run/context.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { EnqueueOptions } from '../../runtime/write/contract.js'
import type { World } from '../engine/support.js'
import { gate, rejection } from '../engine/support.js'
import { echo } from './acts.js'
import { scenario } from './scenario.js'

const [mail, scan] = ['mail', 'scan'].map((type) => defineJob({ type, handle: (_: unknown, ctx) => ctx.workerId })) as [
  JobDefinition<unknown, string>,
  JobDefinition<unknown, string>,
]

/** Runs of a kind, now and at most; all stand still until `go` opens. */
class Crowd {
  readonly go = gate()
  readonly now = new Map<string, number>()
  readonly most = new Map<string, number>()

  job(type: string): JobDefinition<unknown, unknown> {
    return defineJob({
      type,
      handle: async (_: unknown, { queue }: JobContext) => {
        for (const kind of [type, `queue ${queue}`, 'all']) this.#move(kind, 1)
        await this.go.promise
        for (const kind of [type, `queue ${queue}`, 'all']) this.#move(kind, -1)
      },
    })
  }

  #move(kind: string, by: number): void {
    const now = (this.now.get(kind) ?? 0) + by
    this.now.set(kind, now)
    this.most.set(kind, Math.max(now, this.most.get(kind) ?? 0))
  }
}

/** This many of each type, all at once; resolves when those that can have begun. */
async function enqueueEach(
  world: World,
  ledger: Ledger,
  jobs: readonly JobDefinition[],
  count: number,
  options: EnqueueOptions = {},
): Promise<string[]> {
  const batch = Array.from({ length: count }, () => jobs.map((job) => ({ job, payload: null, options }))).flat()
  const handles = await ledger.enqueueMany(batch)
  await world.clock.settle()
  return handles.map(({ id }) => id)
}

async function poolOf(ledger: Ledger): Promise<(workerId: unknown) => string | undefined> {
  const workers = await ledger.workers.list()
  return (workerId) => workers.find(({ id }) => id === workerId)?.pool
}

scenario([40, 5, 6], 'each pool takes the types, queues and channels that it names, and no other', async (world) => {
  const ledger = await world.open({ jobs: [mail, scan] as readonly JobDefinition[] })
  const pools = [
    { name: 'mails', types: ['mail'], channels: ['', 'org'] },
    { name: 'scans', types: ['scan'], queues: ['fast', ''] },
    { name: 'rest of fast', queues: ['fast'], channels: ['other'] },
  ]
  expect(await ledger.start({ pools })).toBe(true)
  const poolNamed = await poolOf(ledger)
  const served: readonly (readonly [JobDefinition<unknown, string>, EnqueueOptions, string])[] = [
    [mail, {}, 'mails'],
    [mail, { channel: 'org', queue: 'any' }, 'mails'],
    [mail, { channel: 'other', queue: 'fast' }, 'rest of fast'],
    [scan, { queue: 'fast' }, 'scans'],
    [scan, { queue: '', channel: 'other' }, 'scans'],
  ]
  for (const [job, options, pool] of served) {
    const { result } = await ledger.enqueue(job, null, options)
    expect(poolNamed(await result()), JSON.stringify(options)).toBe(pool)
  }
  const left = [
    await ledger.enqueue(mail, null, { channel: 'other' }),
    await ledger.enqueue(scan, null, { queue: 'slow' }),
    await ledger.enqueue(scan, null, { queue: 'Fast', channel: 'other' }),
  ]
  await world.clock.advance('1m')
  for (const { id } of left) expect(await ledger.status(id)).toMatchObject({ state: 'ready', run: 0 })
})

scenario([40, 53], 'the registry has a worker for each pool, of one runtime', async (world) => {
  const ledger = await world.open({ jobs: [mail, scan] as readonly JobDefinition[], codeVersion: 'v3' })
  await ledger.start({
    pools: [
      { name: 'a', concurrency: 3, queues: ['q'] },
      { name: 'b', concurrency: 1, types: ['scan'], channels: [''] },
    ],
  })
  const workers = await ledger.workers.list()
  expect(workers).toMatchObject([
    { pool: 'a', concurrency: 3, queues: ['q'], types: ['mail', 'scan'], codeVersion: 'v3', status: 'active' },
    { pool: 'b', concurrency: 1, types: ['scan'], channels: [''], status: 'active' },
  ])
  const runtimes = new Set<unknown>()
  for await (const page of (await world.store()).readAll({ types: ['WorkerRegistered'] })) {
    for (const { data } of page) runtimes.add((data as { runtime?: string }).runtime)
  }
  expect([...runtimes]).toEqual([expect.any(String)])
  const plain = await world.open({ jobs: [mail] as readonly JobDefinition[] })
  await plain.start()
  expect((await ledger.workers.list()).map(({ pool }) => pool)).toEqual(['a', 'b', 'default'])
})

scenario([40], 'a pool runs as many at once as it has slots, whatever the others do', async (world) => {
  const crowd = new Crowd()
  const jobs = [crowd.job('a'), crowd.job('b')] as readonly JobDefinition[]
  const ledger = await world.open({ jobs })
  await ledger.start({
    pools: [
      { name: 'a', types: ['a'], concurrency: 2 },
      { name: 'b', types: ['b'], concurrency: 3 },
    ],
  })
  const ids = await enqueueEach(world, ledger, jobs, 10)
  expect(await ledger.queues.stats()).toMatchObject({ default: { running: 5, ready: 15 } })
  crowd.go.open()
  for (const id of ids) await ledger.result(id)
  expect(Object.fromEntries(crowd.most)).toMatchObject({ a: 2, b: 3, all: 5 })
})

scenario(
  [40, '002.80'],
  'a type has as many runs as its pool grants it; with none it is left to others, also when it is enqueued while all is idle',
  async (world) => {
    const crowd = new Crowd()
    const jobs = [crowd.job('few'), crowd.job('many'), crowd.job('none')] as readonly JobDefinition[]
    const ledger = await world.open({ jobs })
    await ledger.start({ concurrency: 6, perType: { few: 2, none: 0 } })
    expect(await ledger.workers.list()).toMatchObject([{ types: ['few', 'many'] }])
    const refused = await ledger.enqueue(jobs[2] as JobDefinition, null)
    const ids = await enqueueEach(world, ledger, jobs, 5)
    expect(Object.fromEntries(crowd.now)).toMatchObject({ few: 2, many: 4, all: 6 })
    crowd.go.open()
    for (const id of ids) if ((await ledger.status(id)).type !== 'none') await ledger.result(id)
    expect(crowd.most.get('few')).toBe(2)
    await world.clock.advance('1m')
    expect(await ledger.queues.stats()).toMatchObject({ default: { ready: 6, running: 0 } })
    const other = await world.open({ jobs: [defineJob({ type: 'none', handle: () => 'elsewhere' })] })
    await other.start()
    expect(await ledger.result(refused.id)).toBe('elsewhere')
  },
)

scenario([40, 'C28'], 'the cap of a queue holds for all pools of the process together', async (world) => {
  const crowd = new Crowd()
  const jobs = [crowd.job('a'), crowd.job('b')] as readonly JobDefinition[]
  const ledger = await world.open({ jobs, queues: { slow: { concurrency: 3 } } })
  await ledger.start({
    pools: [
      { name: 'a', types: ['a'] },
      { name: 'b', types: ['b'] },
    ],
  })
  const slow = await enqueueEach(world, ledger, jobs, 6, { queue: 'slow' })
  const fast = await enqueueEach(world, ledger, jobs, 4, { queue: 'fast' })
  // One by one, with slots free: leased in the commit of its enqueue, or not at all.
  for (const job of jobs) slow.push((await ledger.enqueue(job, null, { queue: 'slow' })).id)
  await world.clock.settle()
  expect(Object.fromEntries(crowd.now)).toMatchObject({ 'queue slow': 3, 'queue fast': 8 })
  crowd.go.open()
  for (const id of [...slow, ...fast]) await ledger.result(id)
  expect(crowd.most.get('queue slow')).toBe(3)
})

scenario(
  [40, '002.81'],
  'what the process says of a type goes over what pools say: its cap is one for all of them, 0 takes it out',
  async (world) => {
    const crowd = new Crowd()
    const jobs = ['a', 'b', 'off'].map((type) => crowd.job(type)) as readonly JobDefinition[]
    const overrides = { a: { concurrency: 3 }, off: { concurrency: 0 } }
    const ledger = await world.open({ jobs, overrides })
    await ledger.start({
      pools: [
        { name: 'one', concurrency: 20, perType: { b: 1 }, queues: ['one'] },
        { name: 'two', concurrency: 20, perType: { a: 19, off: 5 }, queues: ['two'] },
      ],
    })
    const ids = await enqueueEach(world, ledger, jobs, 5, { queue: 'one' })
    ids.push(...(await enqueueEach(world, ledger, jobs, 5, { queue: 'two' })))
    expect(Object.fromEntries(crowd.now)).toEqual({ a: 3, b: 6, all: 9, 'queue one': 4, 'queue two': 5 })
    expect(ledger.types()).toMatchObject([
      { type: 'a', concurrency: 3, runnable: true },
      { type: 'b', concurrency: undefined },
      { type: 'off', concurrency: 0 },
    ])
    crowd.go.open()
    for (const id of ids) if ((await ledger.status(id)).type !== 'off') await ledger.result(id)
    expect(crowd.most.get('a')).toBe(3)
    expect(await ledger.queues.stats({ type: 'off' })).toMatchObject({ one: { ready: 5 }, two: { ready: 5 } })
  },
)

scenario([40, 12], 'two pools over the same jobs never run one of them twice', async (world) => {
  const runs = new Map<string, number>()
  const note = defineJob({ type: 'note', handle: (_: null, { id }) => void runs.set(id, (runs.get(id) ?? 0) + 1) })
  const ledger = await world.open({ jobs: [note] as readonly JobDefinition[] })
  await ledger.start({
    pools: ['a', 'b', 'c'].map((name) => ({
      name,
      concurrency: 3,
      ...(name === 'c' && { strategy: 'time' as const }),
    })),
  })
  const ids: string[] = []
  for (let round = 0; round < 20; round += 1) {
    const batch = Array.from({ length: 25 }, (_, n) => ({ job: note, payload: null, options: { priority: n % 3 } }))
    ids.push(...(await ledger.enqueueMany(batch)).map(({ id }) => id))
    ids.push((await ledger.enqueue(note, null)).id)
  }
  for (const id of ids) await ledger.result(id)
  expect(runs.size).toBe(ids.length)
  expect([...runs.values()].every((count) => count === 1)).toBe(true)
  expect(world.log.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([])
})

scenario([40], 'a pool that is named twice is an error, and none of them works', async (world) => {
  const pools = [{ name: 'a' }, { name: 'b' }, { name: 'a' }]
  const refused = { code: 'DUPLICATE_POOL', family: 'option', pool: 'a', message: expect.stringContaining('"a"') }
  expect(await rejection(world.open({ jobs: [echo], autoStart: { pools } }))).toMatchObject(refused)
  const ledger = await world.open({ jobs: [echo] })
  expect(await rejection(ledger.start({ pools }))).toMatchObject(refused)
  expect(await ledger.workers.list()).toEqual([])
  expect(await ledger.start({ pools: pools.slice(1) })).toBe(true)
})

scenario([40], 'what a process knows of its types can be asked for', async (world) => {
  const declared = defineJob({ type: 'declared', queue: 'q', priority: 'high', maxAttempts: null })
  const timed = defineJob({ type: 'timed', timeout: () => '5s', version: 3, handle: () => {} })
  const ledger = await world.open({
    jobs: [declared, timed] as readonly JobDefinition[],
    overrides: { declared: { maxAttempts: 2, timeout: '1m' }, unknown: { concurrency: 1 } },
  })
  const unsaid = { maxAttempts: undefined, timeoutMs: undefined, concurrency: undefined }
  expect(ledger.types()).toEqual([
    {
      ...unsaid,
      type: 'declared',
      queue: 'q',
      priority: -1,
      maxAttempts: 2,
      timeoutMs: 60_000,
      version: 1,
      runnable: false,
    },
    { ...unsaid, type: 'timed', queue: 'default', priority: 0, version: 3, runnable: true },
  ])
  const { id } = await ledger.enqueue(declared, null)
  expect(await ledger.status(id)).toMatchObject({ maxAttempts: 2 })
})
