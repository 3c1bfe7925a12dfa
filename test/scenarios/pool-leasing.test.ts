/** Which job a pool takes next, how many in one commit, and what wakes it. */
import { expect } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import { currentJobScope } from '../../adapters/node/current-job.js'
import { nodeDigest } from '../../adapters/node/digest.js'
import { nodeHost } from '../../adapters/node/host.js'
import { ChildPool } from '../../adapters/node/isolation/pool.js'
import { nodeSignatures } from '../../adapters/node/signatures.js'
import { Ledger } from '../../runtime/ledger.js'
import type { EventStore } from '../../runtime/ports/event-store.js'
import type { StartOptions } from '../../runtime/start-options.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { EnqueueOptions } from '../../runtime/write/contract.js'
import type { World } from '../engine/support.js'
import { ledgerOn, memory, next, randomIds } from '../engine/support.js'
import { echo, standing } from './acts.js'
import { scenario } from './scenario.js'

/** A type that notes in which order its jobs are run. */
function noting(): { readonly ran: string[]; readonly job: JobDefinition<null, void> } {
  const ran: string[] = []
  return { ran, job: defineJob({ type: 'note', handle: (_: null, { id }) => void ran.push(id) }) }
}

async function enqueueAll(
  ledger: Ledger,
  job: JobDefinition<null, void>,
  jobs: Readonly<Record<string, EnqueueOptions>>,
): Promise<void> {
  await ledger.enqueueMany(
    Object.entries(jobs).map(([id, options]) => ({ job, payload: null, options: { ...options, id } })),
  )
}

/** `count` jobs `<name> 0`, `<name> 1` ... */
const numbered = (name: string, count: number, options: EnqueueOptions): Record<string, EnqueueOptions> =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`${name} ${n}`, options]))

/** The order in which a backlog is run. */
async function orderOf(
  world: World,
  jobs: Readonly<Record<string, EnqueueOptions>>,
  start: StartOptions,
): Promise<string[]> {
  const { ran, job } = noting()
  const ledger = await world.open({ jobs: [job] as readonly JobDefinition[] })
  await enqueueAll(ledger, job, jobs)
  await ledger.start(start)
  for (const id of Object.keys(jobs)) await ledger.result(id)
  await world.close(ledger)
  return ran
}

scenario(
  [15, '002.82'],
  'jobs that a person has started go first in two of three leases; the others never starve, whatever their priority',
  async (world) => {
    const jobs = {
      ...numbered('ordinary', 8, { priority: 'low' }),
      ...numbered('urgent', 2, { priority: 'critical' }),
      ...numbered('manual', 16, { manual: true, priority: 'low' }),
    }
    const ran = await orderOf(world, jobs, { concurrency: 1 })
    const kinds = ran.map((id) => id.split(' ')[0])
    expect(kinds.slice(0, 9)).toEqual([
      ...['manual', 'manual', 'urgent'],
      ...['manual', 'manual', 'urgent'],
      ...['manual', 'manual', 'ordinary'],
    ])
    // Until one of them has run out.
    for (let at = 0; at + 3 <= 24; at += 3) {
      expect(
        kinds.slice(at, at + 3).filter((kind) => kind === 'manual'),
        `${at}`,
      ).toHaveLength(2)
    }
    expect(kinds.slice(24)).toEqual(['ordinary', 'ordinary'])
    for (const kind of ['manual', 'ordinary']) {
      const numbers = ran.filter((id) => id.startsWith(kind)).map((id) => Number(id.split(' ')[1]))
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
    }
  },
)

scenario([15], 'a lane without jobs leaves its turns to the other, with many slots as with one', async (world) => {
  const manual = numbered('manual', 7, { manual: true })
  const ordinary = numbered('ordinary', 7, {})
  for (const jobs of [manual, ordinary]) {
    expect(await orderOf(world, jobs, { concurrency: 1 })).toEqual(Object.keys(jobs))
  }
  const both = { ...numbered('other', 12, {}), ...numbered('by hand', 12, { manual: true }) }
  const ran = await orderOf(world, both, { concurrency: 6 })
  expect(ran.slice(0, 6).map((id) => id.split(' ')[0])).toEqual(['by', 'by', 'other', 'by', 'by', 'other'])
})

scenario([15, 28], 'who was started by hand stays so over retries and after a restart', async (world) => {
  const { ran, job } = noting()
  const first = await world.open()
  await enqueueAll(first, job, {
    ...numbered('ordinary', 3, {}),
    ...numbered('manual', 3, { manual: true, delay: '1m' }),
  })
  await world.close(first)
  await world.clock.advance('1m')
  const ledger = await world.open({ jobs: [job] as readonly JobDefinition[] })
  await ledger.start({ concurrency: 1 })
  for (const n of [0, 1, 2]) for (const kind of ['manual', 'ordinary']) await ledger.result(`${kind} ${n}`)
  expect(ran.slice(0, 3)).toEqual(['manual 0', 'manual 1', 'ordinary 0'])
  await world.close(ledger)
  const later = await world.open({ jobs: [job] as readonly JobDefinition[] })
  for (const id of ['ordinary 1', 'ordinary 2', 'manual 2']) await later.retry(id)
  ran.length = 0
  await later.start({ concurrency: 1 })
  for (const id of ['ordinary 1', 'ordinary 2', 'manual 2']) await later.result(id)
  expect(ran).toEqual(['manual 2', 'ordinary 1', 'ordinary 2'])
})

/** Enqueued some time ago, or due since then. */
async function aged(world: World): Promise<{ ledger: Ledger; ran: string[]; ids: readonly string[] }> {
  const { ran, job } = noting()
  const ledger = await world.open({ jobs: [job] as readonly JobDefinition[] })
  await enqueueAll(ledger, job, { 'old low': { priority: 'low' }, 'old high': { priority: 'high' } })
  await enqueueAll(ledger, job, { 'due late': { delay: '20s', priority: 'critical' } })
  await world.clock.advance('10s')
  await enqueueAll(ledger, job, { 'young low': { priority: 'low' }, 'young high': { priority: 'high' } })
  await enqueueAll(ledger, job, { 'not due': { delay: '1h', priority: 'critical' } })
  await world.clock.advance('10s')
  return { ledger, ran, ids: ['old low', 'old high', 'due late', 'young low', 'young high'] }
}

scenario(
  [16, '001.60'],
  'priority first: the most urgent of those that are due, the oldest of them first',
  async (world) => {
    const { ledger, ran, ids } = await aged(world)
    await ledger.start({ concurrency: 1 })
    for (const id of ids) await ledger.result(id)
    expect(ran).toEqual(['due late', 'old high', 'young high', 'old low', 'young low'])
  },
)

scenario(
  [16, '001.61'],
  'time first: the one that could have run the longest ago, among equals the most urgent',
  async (world) => {
    const { ledger, ran, ids } = await aged(world)
    await ledger.start({ concurrency: 1, strategy: 'time' })
    for (const id of ids) await ledger.result(id)
    expect(ran).toEqual(['old high', 'old low', 'young high', 'young low', 'due late'])
    expect(await ledger.status('not due')).toMatchObject({ state: 'scheduled' })
  },
)

scenario([16, 36], 'time first goes by the new time of a job that was rescheduled or has failed', async (world) => {
  const ran: string[] = []
  const job = defineJob({
    type: 'note',
    backoff: { min: '5s', factor: 1, jitter: 'none' },
    handle: (_: null, { id, attempt }) => {
      ran.push(`${id} ${attempt}`)
      if (id === 'fails' && attempt === 1) throw new Error('once')
    },
  }) as JobDefinition<null, void>
  const ledger = await world.open({ jobs: [job] as readonly JobDefinition[] })
  await enqueueAll(ledger, job, { fails: {} })
  await ledger.start({ concurrency: 1, strategy: 'time' })
  await next(ledger, 'fails', 'Retried')
  await ledger.stop()
  await enqueueAll(ledger, job, { moved: {}, stays: { priority: 'low' }, urgent: { priority: 'high' } })
  await ledger.reschedule('moved', { delay: '9s' })
  await ledger.reschedule('stays', { priority: 'critical' })
  await world.clock.advance('10s')
  await ledger.start({ concurrency: 1, strategy: 'time' })
  for (const id of ['fails', 'moved', 'stays', 'urgent']) await ledger.result(id)
  expect(ran).toEqual(['fails 1', 'stays 1', 'urgent 1', 'fails 2', 'moved 1'])
})

/** The store, and how many leases each of its commits has. */
function counting(store: EventStore): { readonly store: EventStore; readonly leases: number[] } {
  const leases: number[] = []
  const counted = new Proxy(store, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key, target)
      if (key !== 'append') return typeof value === 'function' ? value.bind(target) : value
      return (groups: Parameters<EventStore['append']>[0]) => {
        const count = groups.flatMap(({ events }) => events).filter(({ type }) => type === 'Leased').length
        if (count > 0) leases.push(count)
        return target.append(groups)
      }
    },
  })
  return { store: counted, leases }
}

/** Leases by commit, of a backlog for which there are slots enough, and of one more wave of jobs. */
async function leasesByCommit(world: World, start: StartOptions, jobs: number): Promise<readonly number[]> {
  const still = standing()
  const { store, leases } = counting(await world.store())
  const ledger = await ledgerOn(store, new MemoryViews(), world.clock, {
    jobs: [still.job] as readonly JobDefinition[],
  })
  const wave = Array.from({ length: jobs }, () => ({ job: still.job as JobDefinition, payload: null }))
  await ledger.enqueueMany(wave)
  await ledger.start({ concurrency: jobs * 2, ...start })
  await still.started(jobs - 1)
  await ledger.enqueueMany(wave)
  await still.started(2 * jobs - 1)
  for (let n = 0; n < 2 * jobs; n += 1) still.finish(n)
  await world.close(ledger)
  return leases
}

scenario(
  [41, '003.40'],
  'no commit has more leases than the pool takes at once, and none is waited for between them',
  async (world) => {
    for (const batch of [1, 7, 1_000]) {
      const leases = await leasesByCommit(world, { batch }, 40)
      expect(leases.reduce((sum, count) => sum + count, 0)).toBe(80)
      expect(Math.max(...leases)).toBe(Math.min(batch, 40))
    }
  },
)

scenario([41], 'without a batch as many are leased in one commit as there are slots', async (world) => {
  expect(await leasesByCommit(world, {}, 40)).toEqual([40, 40])
})

scenario([42, 9], 'a pool that is idle is woken by the enqueue: no time passes before the lease', async (world) => {
  const ledger = await world.open({ jobs: [echo] })
  const client = await world.open()
  await ledger.start({ poll: '1d' })
  await world.clock.advance('1h')
  for (const [n, enqueuer] of [ledger, client, ledger, client].entries()) {
    const at = world.clock.now()
    const leased = next(ledger, `${n}`, 'Leased')
    await enqueuer.enqueue(echo, n, { id: `${n}`, priority: n })
    expect((await leased).at).toBe(at)
    expect(await ledger.result(`${n}`)).toBe(n)
    await world.clock.advance('13s')
  }
  const { id } = await client.enqueue(echo, 'later', { delay: '90s' })
  const due = world.clock.now() + 90_000
  const leased = next(ledger, id, 'Leased')
  await world.clock.advance('2m')
  expect((await leased).at).toBe(due)
})

scenario(
  [42],
  'should it miss what wakes it, the pool looks for itself after its poll',
  async (world) => {
    // It opens without a word: what else would wake the pool is missed.
    const gate = { isOpen: true, onOpen: () => {} }
    const { clock } = world
    const own = {
      clock,
      ids: randomIds(clock),
      host: nodeHost,
      digest: nodeDigest,
      signatures: nodeSignatures,
      scope: currentJobScope,
    }
    const store = { store: new MemoryEventStore(), views: new MemoryViews(), isolation: new ChildPool(clock), gate }
    const ledger = await Ledger.open({ ...own, ...store }, { jobs: [echo] })
    const began = clock.now()
    await ledger.start({ poll: '20s' })
    gate.isOpen = false
    const { id, result } = await ledger.enqueue(echo, 'found')
    await clock.advance('10s')
    gate.isOpen = true
    await clock.advance(9_999)
    expect((await ledger.status(id)).state).toBe('ready')
    const leased = next(ledger, id, 'Leased')
    await clock.advance(1)
    expect((await leased).at).toBe(began + 20_000)
    expect(await result()).toBe('found')
    await world.close(ledger)
  },
  [memory],
)

scenario([42], 'an idle pool that polls often writes nothing but its signs of life', async (world) => {
  const ledger = await world.open({ jobs: [echo] })
  await ledger.start({ poll: '100ms' })
  const types = new Set<string>()
  ledger.events$.subscribe(({ type }) => types.add(type))
  await world.clock.advance('1m')
  expect([...types]).toEqual(['WorkerBeat'])
})
