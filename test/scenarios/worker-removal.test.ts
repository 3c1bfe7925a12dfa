/** Workers that are taken off the list, told to pause, or come back although they are gone. */
import { expect } from 'vitest'
import type { RecordedEvent } from '../../domain/event.js'
import { rejection, typesOf, type World } from '../engine/support.js'
import { turns } from '../runtime/support/hasty-clock.js'
import { build, code, LONG, take, takeAll, watched } from './remote.js'
import { inOneAppend, scenario } from './scenario.js'

async function streamOf(world: World, worker: string): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = []
  for await (const page of (await world.store()).readStream(`worker-${worker}`)) events.push(...page)
  return events
}

const eventsOf = async (world: World, worker: string): Promise<string[]> =>
  (await streamOf(world, worker)).map(({ type }) => type)

scenario([54, '000.40'], 'a worker that holds jobs is not removed; one that holds none is', async (world) => {
  const [ledger, other] = [await world.open(), await world.open()]
  const [worker, neighbour] = [await ledger.workers.register(), await ledger.workers.register()]
  for (const n of [1, 2, 3]) await ledger.enqueue(build, null, { id: `${n}` })
  const [first, second] = [await take(ledger, worker), await take(other, worker)]
  await take(ledger, neighbour)
  const events = await eventsOf(world, worker)
  expect(await rejection(other.workers.remove(worker))).toMatchObject({
    ...{ code: 'WORKER_BUSY', family: 'lease', workerId: worker, leases: 2 },
  })
  await ledger.finish(first.token)
  expect(await rejection(ledger.workers.remove(worker))).toMatchObject({ code: 'WORKER_BUSY', leases: 1 })
  // Refused, it is as it was.
  expect(await eventsOf(world, worker)).toEqual(events)
  await ledger.finish(second.token)
  await other.as({ user: 'ada', reason: 'replaced' }).workers.remove(worker)
  expect((await ledger.workers.list()).map(({ id }) => id)).toEqual([neighbour])
  expect(await rejection(ledger.workers.remove('nobody'))).toMatchObject({ code: 'WORKER_UNKNOWN' })
  expect(await rejection(ledger.workers.remove(worker))).toMatchObject({ code: 'WORKER_GONE', workerId: worker })
})

scenario(
  [54, 'C29'],
  'a worker that was removed does not come back, and nothing is stored of its tries',
  async (world) => {
    const [ledger, other] = [await world.open(), await world.open()]
    const worker = await ledger.workers.register()
    await ledger.enqueue(build, null, { id: 'a' })
    const waiting = watched(ledger.lease({ workerId: worker, types: 'test' }))
    const elsewhere = watched(other.lease({ workerId: worker, types: 'test' }))
    await world.clock.settle()
    await ledger.workers.remove(worker)
    // Who waits in its name is told.
    for (const lease of [waiting, elsewhere]) expect(await code(lease.promise)).toBe('WORKER_GONE')
    const later = await world.open()
    for (const opened of [ledger, other, later]) {
      for (const comeback of [
        () => opened.workers.touch(worker),
        () => take(opened, worker),
        () => opened.leaseById('a', worker),
        () => opened.workers.pause(worker),
        () => opened.workers.resume(worker),
        () => opened.workers.remove(worker),
      ]) {
        expect(await rejection(comeback())).toMatchObject({ code: 'WORKER_GONE', workerId: worker })
      }
    }
    expect(await typesOf(ledger, 'a')).toEqual(['Queued'])
    // The job is nobody's: the next worker gets it.
    const again = await later.workers.register()
    expect((await take(ledger, again)).id).toBe('a')
  },
)

scenario(
  [54],
  'of a lease and a removal at the same moment one is refused',
  async (world) => {
    const ledgers = [await world.open(), await world.open()] as const
    const ends = { leased: 0, removed: 0 }
    for (let round = 0; round < 40; round += 1) {
      const worker = await ledgers[0].workers.register()
      const { id } = await ledgers[1].enqueue(build, null)
      const told = (promise: Promise<unknown>): Promise<string> =>
        promise.then(
          () => 'done',
          ({ code }) => code,
        )
      const leasing = told(ledgers[round % 2 === 0 ? 0 : 1].leaseById(id, worker, { lease: LONG }))
      // Sooner or later, by a turn of the event loop or a few.
      await turns(round % 10)
      const removal = await told(ledgers[1].workers.remove(worker))
      const lease = await leasing
      if (lease === 'done') {
        ends.leased += 1
        expect(removal).toBe('WORKER_BUSY')
        expect((await ledgers[0].workers.list()).find((info) => info.id === worker)?.status).toBe('active')
      } else {
        ends.removed += 1
        expect([lease, removal]).toEqual([expect.stringMatching(/^WORKER_(GONE|NOT_ACTIVE)$/), 'done'])
        expect(await typesOf(ledgers[0], id)).toEqual(['Queued'])
      }
    }
    expect(ends.leased).toBeGreaterThan(0)
    expect(ends.removed).toBeGreaterThan(0)
  },
  inOneAppend('a worker is looked at right before a lease, not in its append'),
)

scenario(
  [53, 54],
  'a worker that is paused holds what it has and takes nothing more, until it is resumed',
  async (world) => {
    const [ledger, other] = [await world.open(), await world.open()]
    const [worker, free] = [await ledger.workers.register(), await ledger.workers.register()]
    for (const n of [1, 2, 3, 4]) await ledger.enqueue(build, null, { id: `${n}` })
    const { token } = await take(ledger, worker)
    await other.as({ user: 'ada', reason: 'disk nearly full' }).workers.pause(worker)
    const before = await eventsOf(world, worker)
    await ledger.workers.pause(worker, { reason: 'again' })
    expect(await eventsOf(world, worker)).toEqual(before)
    const [info] = (await ledger.workers.list()).filter(({ id }) => id === worker)
    expect(info).toMatchObject({ status: 'paused', reason: 'disk nearly full', slotsInUse: 1 })
    for (const opened of [ledger, other]) {
      expect(await code(take(opened, worker))).toBe('LEASE_TIMEOUT')
      expect(await code(opened.leaseById('2', worker))).toBe('WORKER_NOT_ACTIVE')
    }
    // What it was refused is there for others.
    const waiting = watched(other.lease({ workerId: worker, lease: LONG }))
    expect((await take(other, free)).id).toBe('2')
    await ledger.heartbeat(token)
    await ledger.finish(token, 'done')
    await world.clock.advance('1m')
    expect(waiting.state).toBe('pending')
    await ledger.workers.resume(worker)
    expect((await waiting.promise).id).toBe('3')
    expect(await takeAll(ledger, worker)).toEqual(['4'])
    await ledger.workers.resume(worker)
    expect((await eventsOf(world, worker)).slice(-2)).toEqual(['WorkerPaused', 'WorkerResumed'])
  },
)

scenario([53], 'who pauses or removes a worker, and why, is on record', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const ada = ledger.as({ user: 'ada', reason: 'moving house' })
  await ada.workers.pause(worker, { reason: 'disk' })
  await ada.workers.resume(worker)
  await ada.workers.remove(worker)
  const facts = (await streamOf(world, worker)).map(({ type, data, metadata }) => ({ type, data, metadata }))
  const metadata = { actor: 'ada', reason: 'moving house' }
  expect(facts.slice(1)).toEqual([
    { type: 'WorkerPaused', data: { reason: 'disk' }, metadata },
    { type: 'WorkerResumed', data: {}, metadata },
    { type: 'WorkerPaused', data: { reason: 'to be removed' }, metadata },
    { type: 'WorkerStopped', data: { by: 'operator' }, metadata },
  ])
})
