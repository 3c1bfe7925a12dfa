/** The life of a pool's worker: what it writes of itself, what it makes of what others write, and who takes its place. */
import { expect } from 'vitest'
import { MemoryViews } from '../../adapters/memory/views.js'
import type { NewEvent, RecordedEvent } from '../../domain/event.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { EventStore } from '../../runtime/ports/event-store.js'
import { StoreUnavailable } from '../../runtime/ports/event-store.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import type { World } from '../engine/support.js'
import { ledgerOn, rejection, typesOf } from '../engine/support.js'
import { echo, standing } from './acts.js'
import { scenario } from './scenario.js'

async function eventsOf(world: World, workerId: string): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = []
  for await (const page of (await world.store()).readStream(`worker-${workerId}`)) events.push(...page)
  return events
}

const namesOf = async (world: World, workerId: string): Promise<string[]> =>
  (await eventsOf(world, workerId)).map(({ type }) => type)

/** Another runtime says this of a worker. */
async function say(
  world: World,
  workerId: string,
  type: string,
  data: Readonly<Record<string, string>>,
): Promise<void> {
  const stream = `worker-${workerId}`
  const revision = (await eventsOf(world, workerId)).length - 1
  const event: NewEvent = { stream, id: crypto.randomUUID(), type, at: world.clock.now(), data }
  const [outcome] = await (await world.store()).append([{ expect: new Map([[stream, revision]]), events: [event] }])
  expect(outcome?.kind).toBe('ok')
}

async function only(ledger: Ledger): Promise<string> {
  const active = (await ledger.workers.list()).filter(({ status }) => status === 'active')
  expect(active).toHaveLength(1)
  return active[0]?.id as string
}

scenario(
  [53, 78],
  'it registers, beats while it has nothing to do, drains and stops: each is an event of its own stream',
  async (world) => {
    const ledger = await world.open({ jobs: [echo], codeVersion: 'v1' })
    const [began, clock] = [world.clock.now(), world.clock]
    await ledger.start({ pools: [{ name: 'p', concurrency: 4, queues: ['q'] }] })
    const id = await only(ledger)
    await clock.advance('25s')
    await ledger.stop()
    const events = await eventsOf(world, id)
    expect(events.map(({ type, at }) => [type, at - began])).toEqual([
      ['WorkerRegistered', 0],
      ['WorkerBeat', 10_000],
      ['WorkerBeat', 20_000],
      ['WorkerDraining', 25_000],
      ['WorkerStopped', 25_000],
    ])
    expect(events[0]?.data).toMatchObject({
      ...{ pool: 'p', concurrency: 4, queues: ['q'], types: ['echo'], codeVersion: 'v1' },
      ...{ runtime: expect.any(String), process: { pid: process.pid } },
    })
    await ledger.start()
    expect(await only(ledger)).not.toBe(id)
  },
)

scenario(
  [53, 40],
  'paused, it leases nothing and goes on with what it runs; resumed, it leases again',
  async (world) => {
    const still = standing()
    const ledger = await world.open({ jobs: [still.job, echo] as readonly JobDefinition[] })
    const operator = await world.open()
    await ledger.start()
    const id = await only(ledger)
    const running = await ledger.enqueue(still.job, null)
    await still.started(0)
    await operator.workers.pause(id, { reason: 'disk' })
    await world.clock.advance('1s')
    const waiting = await ledger.enqueue(echo, 'waits')
    await world.clock.advance('5m')
    still.finish(0, 'went on')
    expect(await running.result()).toBe('went on')
    expect(await ledger.status(waiting.id)).toMatchObject({ state: 'ready', run: 0 })
    await operator.workers.resume(id)
    await world.clock.advance('1s')
    expect(await waiting.result()).toBe('waits')
    expect((await namesOf(world, id)).filter((type) => type !== 'WorkerBeat')).toEqual([
      ...['WorkerRegistered', 'WorkerPaused', 'WorkerResumed'],
    ])
    // Also a paused one is stopped in order.
    await operator.workers.pause(id)
    await world.clock.advance('1s')
    expect(await ledger.stop()).toBe(true)
    const said = (await namesOf(world, id)).filter((type) => type !== 'WorkerBeat')
    expect(said.slice(-3)).toEqual(['WorkerPaused', 'WorkerDraining', 'WorkerStopped'])
  },
)

scenario(
  [53, 54, 12],
  'given up by the log, it is replaced by another for the same slots; what it runs ends as if nothing were',
  async (world) => {
    const still = standing()
    const ledger = await world.open({ jobs: [still.job, echo] as readonly JobDefinition[] })
    await ledger.start({ pools: [{ name: 'p', concurrency: 2 }] })
    const id = await only(ledger)
    const running = await ledger.enqueue(still.job, null)
    await still.started(0)
    await say(world, id, 'WorkerLost', { reason: 'taken for dead' })
    await world.clock.advance('1s')
    const successor = await only(ledger)
    expect(successor).not.toBe(id)
    expect(await (await ledger.enqueue(echo, 'goes on')).result()).toBe('goes on')
    // One of the two slots is still in use.
    await ledger.enqueue(still.job, null)
    const third = await ledger.enqueue(still.job, null)
    await still.started(1)
    await world.clock.advance('3m')
    expect(await ledger.status(third.id)).toMatchObject({ state: 'ready', run: 0 })
    still.finish(0, 'of the lost')
    expect(await running.result()).toBe('of the lost')
    expect(await typesOf(ledger, running.id)).not.toContain('Failed')
    await still.started(2)
    for (const n of [1, 2]) still.finish(n)
    expect(await third.result()).toBeUndefined()
    expect((await ledger.status(third.id)).attemptedBy).toEqual([successor])
    expect((await namesOf(world, id)).at(-1)).toBe('WorkerLost')
    expect(world.log).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        facts: expect.objectContaining({ workerId: id, pool: 'p' }),
        message: 'the log has given this worker up: another takes its place',
      }),
    )
    await ledger.stop()
    expect((await namesOf(world, successor)).at(-1)).toBe('WorkerStopped')
  },
)

scenario([54], 'removed by an operator, a pool’s worker is replaced, as often as that happens', async (world) => {
  const ledger = await world.open({ jobs: [echo] })
  await ledger.start()
  const seen = new Set<string>()
  for (let n = 0; n < 3; n += 1) {
    const id = await only(ledger)
    seen.add(id)
    await world.pass(ledger.workers.remove(id))
    await world.clock.advance('1s')
    expect(await (await ledger.enqueue(echo, n)).result()).toBe(n)
  }
  seen.add(await only(ledger))
  expect(seen.size).toBe(4)
  await ledger.stop()
  expect(await ledger.workers.list()).toEqual([])
})

scenario([54, 78], 'a stop waits for what a lost worker still runs, up to its deadlines', async (world) => {
  const still = standing()
  const ledger = await world.open({ jobs: [still.job] as readonly JobDefinition[] })
  await ledger.start()
  const { id } = await ledger.enqueue(still.job, null)
  const { signal } = await still.started(0)
  await say(world, await only(ledger), 'WorkerLost', { reason: 'taken for dead' })
  await world.clock.advance('1s')
  await world.pass(ledger.stop({ drain: '2s', timeout: '4s' }))
  expect(signal.reason).toMatchObject({ code: 'SHUTTING_DOWN' })
  expect(await typesOf(ledger, id)).toEqual(['Queued', 'Leased', 'Released'])
})

/** Writes while `writable` says so. */
function fickle(store: EventStore, writable: () => boolean): EventStore {
  return new Proxy(store, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key, target)
      if (key !== 'append' || writable()) return typeof value === 'function' ? value.bind(target) : value
      const error = new StoreUnavailable('the disk is full')
      return async (groups: readonly unknown[]) => groups.map(() => ({ kind: 'rejected', error }))
    },
  })
}

scenario(
  [79, 53],
  'who cannot be registered is not started: the start says why, and none of the pools works',
  async (world) => {
    let isWritable = true
    const store = fickle(await world.store(), () => isWritable)
    const ledger = await ledgerOn(store, new MemoryViews(), world.clock, { jobs: [echo] })
    const { id } = await ledger.enqueue(echo, 'waits')
    isWritable = false
    const pools = [{ name: 'a' }, { name: 'b' }]
    expect(await world.pass(rejection(ledger.start({ pools })))).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    isWritable = true
    await world.clock.advance('5m')
    expect(await ledger.workers.list()).toEqual([])
    expect(await ledger.status(id)).toMatchObject({ state: 'ready', run: 0 })
    expect(await ledger.stop()).toBe(false)
    expect(await ledger.start({ pools })).toBe(true)
    expect(await ledger.result(id)).toBe('waits')
    await world.close(ledger)
  },
)

scenario(
  [54, 53],
  'while the store cannot write, the place of a lost worker stays open, and is then filled',
  async (world) => {
    let isWritable = true
    const store = fickle(await world.store(), () => isWritable)
    const ledger = await ledgerOn(store, new MemoryViews(), world.clock, { jobs: [echo] })
    await ledger.start()
    const id = await only(ledger)
    const client = await world.open()
    isWritable = false
    await say(world, id, 'WorkerLost', { reason: 'taken for dead' })
    await world.clock.advance('10s')
    const waiting = await client.enqueue(echo, 'waits')
    isWritable = true
    await world.clock.advance('10s')
    expect(await only(client)).not.toBe(id)
    expect(await waiting.result()).toBe('waits')
    await world.close(ledger)
  },
)
