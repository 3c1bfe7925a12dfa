/** Where jobs wait, and which of them a worker is given. */
import { expect } from 'vitest'
import type { LeaseOptions } from '../../runtime/work/desk/lease-desk.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { EnqueueOptions } from '../../runtime/write/contract.js'
import { rejection } from '../engine/support.js'
import { build, take, takeAll, test, watched } from './remote.js'
import { scenario } from './scenario.js'

scenario(
  [5, 'C23'],
  'a queue and a channel are names, and nothing has to be made before its first job',
  async (world) => {
    const ledger = await world.open()
    const named = ['', 'default', 'a', 'A', ' a', 'a*', '%', 'x'.repeat(200), 'a\u0000b', '\u00fc', 'u\u0308']
    for (const queue of named) await ledger.enqueue(build, null, { id: `q ${queue}`.slice(0, 200), queue })
    for (const channel of named) await ledger.enqueue(build, null, { id: `c ${channel}`.slice(0, 200), channel })
    const stats = await ledger.queues.stats()
    expect(Object.keys(stats).sort()).toEqual([...named].sort())
    expect(stats.default?.ready).toBe(1 + named.length)
    expect(stats['']?.ready).toBe(1)
    for (const name of named) {
      const ofQueue = (await ledger.list({ queue: name, channel: '' })).jobs
      expect(ofQueue.map(({ id }) => id)).toContain(`q ${name}`.slice(0, 200))
      expect(ofQueue.every(({ queue, channel }) => queue === name && channel === '')).toBe(true)
      const ofChannel = (await ledger.list({ queue: 'default', channel: name })).jobs
      expect(ofChannel.map(({ id }) => id)).toContain(`c ${name}`.slice(0, 200))
      expect(ofChannel.every(({ queue, channel }) => queue === 'default' && channel === name)).toBe(true)
    }
    const worker = await ledger.workers.register()
    for (const name of named) {
      expect(await takeAll(ledger, worker, { queues: name, channels: [''] })).toContain(`q ${name}`.slice(0, 200))
      if (name !== '') expect(await takeAll(ledger, worker, { channels: name })).toEqual([`c ${name}`.slice(0, 200)])
    }
  },
)

scenario([5, 'C23'], 'the option names the queue, else the type does, else it is `default`', async (world) => {
  const mail = defineJob({ type: 'mail', queue: 'post' })
  const ledger = await world.open()
  const queueOf = async (job: typeof mail, options?: EnqueueOptions) =>
    (await ledger.status((await ledger.enqueue(job, null, options)).id)).queue
  expect(await queueOf(mail)).toBe('post')
  expect(await queueOf(mail, { queue: '' })).toBe('')
  expect(await queueOf(build)).toBe('default')
  expect(await queueOf(defineJob({ type: 'mute', queue: '' }))).toBe('')
})

const JOBS: readonly EnqueueOptions[] = [
  { id: 'plain' },
  { id: 'org', channel: 'org' },
  { id: 'org-1', channel: 'org-1' },
  { id: 'slow', queue: 'slow' },
  { id: 'slow org', queue: 'slow', channel: 'org' },
  { id: 'nameless', queue: '' },
]

const FILTERS: readonly (readonly [filter: Omit<LeaseOptions, 'workerId'>, ids: readonly string[]])[] = [
  [{}, JOBS.flatMap(({ id }) => [`${id}`, `${id} test`])],
  [{ types: 'build' }, JOBS.map(({ id }) => `${id}`)],
  [{ types: ['test', 'build'], channels: 'org' }, ['org', 'org test', 'slow org', 'slow org test']],
  [{ types: ['test'], channels: ['org', 'org-1'], queues: ['default'] }, ['org test', 'org-1 test']],
  [{ channels: '', types: 'build' }, ['plain', 'slow', 'nameless']],
  [{ channels: [''], queues: [''] }, ['nameless', 'nameless test']],
  [{ queues: ['slow', ''], types: 'test' }, ['slow test', 'slow org test', 'nameless test']],
  [{ queues: 'slo' }, []],
  [{ queues: '*' }, []],
  [{ types: 'Build' }, []],
  [{ types: 'build', channels: 'org-' }, []],
  [{ types: ['deploy', 'buil'] }, []],
  [{ types: [] }, []],
  [{ queues: [] }, []],
  [{ channels: [] }, []],
]

scenario(
  [6, 'C23', '000.4', 13],
  'types, queues and channels of a lease are lists to choose from, exact, and the empty name is a name',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    for (const [round, [filter, ids]] of FILTERS.entries()) {
      const batch = JOBS.flatMap((options) => [
        { job: build, payload: null, options: { ...options, id: `${round} ${options.id}` } },
        { job: test, payload: null, options: { ...options, id: `${round} ${options.id} test` } },
      ])
      await ledger.enqueueMany(batch)
      const taken = await takeAll(ledger, worker, filter)
      expect(taken, JSON.stringify(filter)).toEqual(ids.map((id) => `${round} ${id}`))
      expect(await takeAll(ledger, worker)).toHaveLength(batch.length - ids.length)
    }
  },
)

scenario([6, '000.4'], 'a lease that waits takes nothing but what it asked for', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const waiting = watched(ledger.lease({ workerId: worker, types: ['build', 'test'], channels: ['', 'org'] }))
  await ledger.enqueue(build, null, { channel: 'Org' })
  await ledger.enqueue(build, null, { channel: 'org-1' })
  await ledger.enqueue(defineJob({ type: 'deploy' }), null)
  await world.clock.settle()
  expect(waiting.state).toBe('pending')
  const { id } = await ledger.enqueue(test, null, { channel: 'org' })
  expect((await waiting.promise).id).toBe(id)
})

scenario(
  [6],
  'a type or queue that appears while somebody waits is met as if it had always been there',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    for (const n of [1, 2, 3]) {
      const job = defineJob({ type: `type ${n}` })
      const waiting = watched(ledger.lease({ workerId: worker, types: job.type, queues: `queue ${n}` }))
      await world.clock.settle()
      await ledger.enqueue(job, null, { id: `elsewhere ${n}`, queue: 'queue' })
      const { id } = await ledger.enqueue(job, null, { queue: `queue ${n}` })
      expect((await waiting.promise).id).toBe(id)
    }
  },
)

scenario([5, 6], 'a pool serves the queues it was given, and no others', async (world) => {
  const ran: string[] = []
  const note = defineJob({ type: 'note', handle: (text: string) => void ran.push(text) })
  const ledger = await world.open({ jobs: [note] })
  await ledger.start({ queues: ['', 'fast'] })
  const jobs = await ledger.enqueueMany(
    ['', 'fast', 'slow', 'default'].map((queue) => ({ job: note, payload: queue, options: { queue } })),
  )
  await jobs[0]?.result()
  await jobs[1]?.result()
  await world.clock.advance('1m')
  expect(ran).toEqual(['', 'fast'])
  const states = await Promise.all(jobs.map(async ({ id }) => (await ledger.status(id)).state))
  expect(states).toEqual(['succeeded', 'succeeded', 'ready', 'ready'])
})

scenario(
  [6, '000.31'],
  'platforms are types, tenants are channels, and what no poller names is leased by id alone',
  async (world) => {
    const ledger = await world.open()
    const [x86, arm] = ['osbuild:x86_64', 'osbuild:aarch64'].map((type) => defineJob({ type })) as [
      typeof build,
      typeof build,
    ]
    const inner = defineJob({ type: 'manifest-id-only' })
    const worker = await ledger.workers.register({ arch: 'x86_64', types: x86.type, channels: 'org-7' })
    await ledger.enqueue(inner, null, { id: 'inner', channel: 'org-7' })
    await ledger.enqueue(arm, null, { channel: 'org-7' })
    await ledger.enqueue(x86, null, { channel: 'org-70' })
    await ledger.enqueue(x86, null, { id: 'mine', channel: 'org-7' })
    expect(await takeAll(ledger, worker, { types: x86.type, channels: 'org-7' })).toEqual(['mine'])
    const lease = await ledger.leaseById('inner', worker)
    await ledger.finish(lease.token, { id: 1 })
    expect(await ledger.status('inner')).toMatchObject({ state: 'succeeded', result: { id: 1 } })
    const error = await rejection(take(ledger, worker, { types: inner.type }))
    expect(error).toMatchObject({ code: 'LEASE_TIMEOUT' })
  },
)
