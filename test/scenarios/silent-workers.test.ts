/** Workers that are not heard of for so long that nobody counts on them any more. */
import { expect } from 'vitest'
import type { RecordedEvent } from '../../domain/event.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { World } from '../engine/support.js'
import { rejection } from '../engine/support.js'
import { build, code, LONG, take } from './remote.js'
import { scenario } from './scenario.js'

const HOUR = 3_600_000
/** How often it is looked. */
const LOOK = 1_000

/** Time passes while no ledger is open. */
async function sleepUntil(world: World, instant: number): Promise<void> {
  await world.clock.advance(instant - world.clock.now())
}

async function streamOf(world: World, worker: string): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = []
  for await (const page of (await world.store()).readStream(`worker-${worker}`)) events.push(...page)
  return events
}

scenario(
  [54, '000.41'],
  'a worker elsewhere is off the list once it was silent for more than an hour, and registers anew',
  async (world) => {
    const first = await world.open()
    const worker = await first.workers.register({ name: 'builder' })
    const start = world.clock.now()
    await world.close(first)
    await sleepUntil(world, start + HOUR - LOOK)
    // Whoever looks: one of them says so, once.
    const ledgers = [await world.open(), await world.open()] as const
    await world.clock.advance(LOOK)
    expect(await ledgers[0].workers.list()).toMatchObject([{ id: worker, lastSeenAt: start }])
    await world.clock.advance(LOOK)
    for (const ledger of ledgers) expect(await ledger.workers.list()).toEqual([])
    const events = await streamOf(world, worker)
    expect(events.map(({ type, data }) => [type, data]).slice(1)).toEqual([
      ['WorkerLost', { reason: 'no sign of life since 2026-01-01T00:00:00.000Z' }],
    ])
    expect(await rejection(ledgers[1].workers.touch(worker))).toMatchObject({ code: 'WORKER_GONE', workerId: worker })
    const again = await ledgers[1].workers.register({ name: 'builder' })
    expect(await ledgers[0].workers.list()).toMatchObject([{ id: again, name: 'builder' }])
  },
)

scenario(
  [54],
  'what a worker holds that is given up is left to its lease, and its token is good until then',
  async (world) => {
    const first = await world.open()
    const worker = await first.workers.register()
    for (const id of ['long', 'other']) await first.enqueue(build, null, { id })
    const { token } = await take(first, worker, { lease: LONG })
    const start = world.clock.now()
    await world.close(first)
    await sleepUntil(world, start + HOUR)
    const ledger = await world.open()
    await world.clock.advance(LOOK)
    expect(await ledger.workers.list()).toEqual([])
    expect(await ledger.status('long')).toMatchObject({ state: 'running', lease: { workerId: worker } })
    expect(await code(ledger.leaseById('other', worker))).toBe('WORKER_GONE')
    await ledger.heartbeat(token)
    await ledger.finish(token, 'late, and in time')
    expect(await ledger.result('long')).toBe('late, and in time')
  },
)

scenario(
  [54, '001.52'],
  'a worker in a process is off the list once it was silent for more than two minutes',
  async (world) => {
    const first = await world.open({ jobs: [defineJob({ type: 'idle', handle() {} })] })
    await first.start()
    const other = await world.open({ jobs: [defineJob({ type: 'idle', handle() {} })] })
    await other.start()
    const at = world.clock.now()
    // Of a machine of which nothing is known here: it may be alive.
    const process = { host: 'elsewhere', bootId: 'b', pidNamespace: 'n', pid: 1, startTime: '1' }
    const stream = 'worker-far'
    const id = crypto.randomUUID()
    const registered = { stream, id, type: 'WorkerRegistered', at, data: { process, types: ['x'], concurrency: 1 } }
    await (await world.store()).append([{ expect: new Map([[stream, 'none']]), events: [registered] }])
    const listed = async () => (await first.workers.list()).map((worker) => worker.id)
    await world.clock.advance('2m')
    expect(await listed()).toContain('far')
    await world.clock.advance(LOOK)
    expect((await streamOf(world, 'far')).map(({ type }) => type)).toEqual(['WorkerRegistered', 'WorkerLost'])
    // Those that have nothing to do say that they live.
    await world.clock.advance('5m')
    expect(await listed()).toHaveLength(2)
  },
)

scenario([54, 11], 'a heartbeat of a job it holds keeps a worker on the list', async (world) => {
  const first = await world.open()
  const [busy, idle] = [await first.workers.register(), await first.workers.register()]
  await first.enqueue(build, null)
  const { token } = await take(first, busy, { lease: LONG })
  const start = world.clock.now()
  await world.close(first)
  await sleepUntil(world, start + HOUR / 2)
  const second = await world.open()
  await second.heartbeat(token)
  await world.close(second)
  await sleepUntil(world, start + HOUR)
  const third = await world.open()
  await world.clock.advance(LOOK)
  expect((await third.workers.list()).map(({ id }) => id)).toEqual([busy])
  expect((await streamOf(world, idle)).map(({ type }) => type)).toEqual(['WorkerRegistered', 'WorkerLost'])
})
