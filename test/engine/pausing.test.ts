/** Queues and workers that are paused while handlers in several runtimes are busy with them. */
import { describe, expect, test } from 'vitest'
import { MemoryViews } from '../../adapters/memory/views.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { AppendGroup, AppendOutcome, EventStore } from '../../runtime/ports/event-store.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { turns } from '../runtime/support/hasty-clock.js'
import { standing } from '../scenarios/acts.js'
import { code, watched } from '../scenarios/remote.js'
import { ledgerOn, memory, rejection, sqlite, World } from './support.js'

async function logOf(world: World): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = []
  for await (const page of (await world.store()).readAll()) events.push(...page)
  return events
}

/** Workers of a process that never answers, by their ids, with the queues that they serve. */
async function registerMute(world: World, workers: Readonly<Record<string, string[] | undefined>>): Promise<void> {
  const process = { host: 'elsewhere', bootId: 'b', pidNamespace: 'n', pid: 1, startTime: '1' }
  const events = Object.entries(workers).map(([id, queues]) => ({
    ...{ stream: `worker-${id}`, id: crypto.randomUUID(), type: 'WorkerRegistered', at: world.clock.now() },
    data: { process, types: ['x'], concurrency: 1, ...(queues && { queues }) },
  }))
  const store = await world.store()
  await store.append(events.map((event) => ({ expect: new Map([[event.stream, 'none' as const]]), events: [event] })))
}

/** Leases of the queue's jobs that came after this position. */
function leasesAfter(log: readonly RecordedEvent[], position: string, queue: string): RecordedEvent[] {
  const ofQueue = new Set(
    log
      .filter(({ type, data }) => type === 'Queued' && (data as { queue: string }).queue === queue)
      .map((e) => e.stream),
  )
  return log.filter((event) => event.type === 'Leased' && event.position > position && ofQueue.has(event.stream))
}

/** A type whose runs take a few turns of the event loop. */
const brief = (counts: Map<string, number>): JobDefinition<unknown, unknown> =>
  defineJob<unknown, unknown>({
    type: 'brief',
    handle: async (_, { id }) => {
      counts.set(id, (counts.get(id) ?? 0) + 1)
      await turns(1 + (id.length % 3))
    },
  })

/** The store, but of one append that leases it cannot say whether it was made, and it was not. */
function forgetful(store: EventStore): EventStore {
  let forgets = true
  return new Proxy(store, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key)
      if (key !== 'append') return typeof value === 'function' ? value.bind(target) : value
      return async (groups: readonly AppendGroup[]): Promise<AppendOutcome[]> => {
        if (!forgets || !groups.some(({ events }) => events.some(({ type }) => type === 'Leased')))
          return target.append(groups)
        forgets = false
        return groups.map(() => ({ kind: 'unknown', error: new Error('who knows') }))
      }
    },
  })
}

test('nobody answers a pause while a lease of his may still come in', async () => {
  await using world = await World.create(memory)
  const store = forgetful(await world.store())
  const stand = standing()
  const ledger = await ledgerOn(store, new MemoryViews(), world.clock, { jobs: [stand.job] })
  const other = await world.open()
  await ledger.start()
  const job = await other.enqueue(stand.job, null)
  await world.clock.settle()
  const pausing = watched(other.queues.pause('default'))
  await world.clock.settle()
  expect(pausing.state).toBe('pending')
  // Now it is sent again.
  await world.clock.advance('1s')
  await pausing.promise
  const types = (await logOf(world)).map(({ type, data }) => ('position' in data ? 'answer' : type))
  expect(types.slice(types.indexOf('QueuePaused'))).toEqual(['QueuePaused', 'Leased', 'answer'])
  await stand.started(0)
  stand.finish(0)
  await other.result(job.id)
  await world.close(ledger)
})

describe.each([memory, sqlite])('on $name', { timeout: 0 }, (backend) => {
  test('once a pause has settled nothing is leased from the queue, nothing is lost, and nothing runs twice', async () => {
    await using world = await World.create(backend)
    const runs = new Map<string, number>()
    const job = brief(runs)
    const ledgers = [await world.open({ jobs: [job] }), await world.open({ jobs: [job] })] as const
    const far = await world.open({ jobs: [job] })
    for (const ledger of ledgers) await ledger.start({ concurrency: 50 })
    const ids: string[] = []
    let stop = false
    const enqueueing = (async () => {
      for (let n = 0; !stop; n += 1) {
        const queue = n % 4 === 0 ? 'other' : 'q'
        const batch = Array.from({ length: 10 }, () => ({ job, payload: null, options: { queue } }))
        const [ledger] = [[...ledgers, far][n % 3] as typeof far]
        ids.push(...(await ledger.enqueueMany(batch)).map(({ id }) => id))
        ids.push((await ledger.enqueue(job, null, { queue: 'q' })).id)
      }
    })()
    for (let round = 0; round < 5; round += 1) {
      while (ids.length < 200 * (round + 1)) await turns(1)
      const [by] = [[far, ...ledgers][round % 3] as typeof far]
      await by.queues.pause('q')
      const position = await (await world.store()).head()
      const runsThen = runs.size
      const goal = ids.length + 100
      while (ids.length < goal) await turns(1)
      const other = await by.enqueue(job, null, { queue: 'other' })
      await other.result()
      ids.push(other.id)
      expect(leasesAfter(await logOf(world), position, 'q')).toEqual([])
      expect(runs.size).toBeGreaterThan(runsThen)
      await ledgers[round % 2 === 0 ? 0 : 1].queues.resume('q')
    }
    stop = true
    await enqueueing
    await Promise.all(ids.map((id) => far.result(id)))
    expect(runs.size).toBe(ids.length)
    expect(new Set(runs.values())).toEqual(new Set([1]))
    const ends = (await logOf(world)).filter(({ type }) => type === 'Finished' || type === 'Failed')
    expect(ends.map(({ type }) => type)).toEqual(ids.map(() => 'Finished'))
  })

  test('those answer at once that are busy, and those that have nothing to do', async () => {
    await using world = await World.create(backend)
    const stand = standing()
    const [busy, idle, apart] = [
      await world.open({ jobs: [stand.job] }),
      await world.open({ jobs: [stand.job] }),
      await world.open({ jobs: [stand.job] }),
    ]
    await busy.start({ concurrency: 1 })
    await busy.enqueue(stand.job, null, { id: 'running' })
    await stand.started(0)
    await idle.start({ concurrency: 1, queues: ['default'] })
    await apart.start({ queues: ['other'] })
    await apart.queues.pause('default')
    const log = await logOf(world)
    const { position } = log.find(({ type }) => type === 'QueuePaused') as RecordedEvent
    const workers = log.filter(({ type }) => type === 'WorkerRegistered').map(({ stream }) => stream)
    const answers = log.filter(({ data }) => (data as { position?: string }).position === position)
    expect(answers.map(({ stream, type }) => `${type} ${stream}`).sort()).toEqual(
      workers
        .slice(0, 2)
        .map((stream) => `WorkerBeat ${stream}`)
        .sort(),
    )
    await busy.enqueue(stand.job, null, { id: 'next' })
    stand.finish(0)
    await busy.result('running')
    await world.clock.advance('1m')
    expect(await busy.status('next')).toMatchObject({ state: 'ready' })
    await idle.queues.resume('default')
    stand.finish(1)
    await world.pass(busy.result('next'))
  })

  test('a job that is enqueued into a paused queue is not leased along, however free the slots', async () => {
    await using world = await World.create(backend)
    const runs = new Map<string, number>()
    const job = brief(runs)
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    await ledger.queues.pause('q')
    const { id } = await ledger.enqueue(job, null, { queue: 'q' })
    await (await ledger.enqueue(job, null)).result()
    expect(await ledger.status(id)).toMatchObject({ state: 'ready' })
    await ledger.queues.resume('q')
    await ledger.result(id)
    // Known from the start, too.
    await ledger.queues.pause('q')
    await world.close(ledger)
    const later = await world.open({ jobs: [job] })
    await later.start()
    const waits = await later.enqueue(job, null, { queue: 'q' })
    await (await later.enqueue(job, null)).result()
    expect(await later.status(waits.id)).toMatchObject({ state: 'ready' })
  })

  test('a pause that is not answered says by whom, and holds all the same', async () => {
    await using world = await World.create(backend)
    const ledger = await world.open()
    await registerMute(world, { mute: undefined, elsewhere: ['other'] })
    const pausing = watched(ledger.queues.pause('q', { timeout: '5s' }))
    await world.clock.advance('4s')
    expect(pausing.state).toBe('pending')
    await world.clock.advance('1s')
    expect(await rejection(pausing.promise)).toMatchObject({
      ...{ code: 'PAUSE_UNSETTLED', family: 'ledger', queue: 'q', workers: ['mute'] },
    })
    const aborting = new AbortController()
    const aborted = watched(ledger.queues.pause('q', { signal: aborting.signal }))
    await world.clock.settle()
    aborting.abort(new Error('enough'))
    expect(await rejection(aborted.promise)).toMatchObject({ message: 'enough' })
    expect((await ledger.queues.stats()).q).toMatchObject({ paused: true })
    // Nobody waits for who has been silent for half a minute.
    const patient = watched(ledger.queues.pause('q'))
    await world.clock.advance('24s')
    expect(patient.state).toBe('pending')
    await world.clock.advance('2s')
    await patient.promise
    const closing = watched(ledger.queues.pause('other'))
    await closing.promise
  })

  test('a worker in a process that is paused takes nothing more until it is resumed', async () => {
    await using world = await World.create(backend)
    const stand = standing()
    const [ledger, other] = [await world.open({ jobs: [stand.job] }), await world.open({ jobs: [stand.job] })]
    await ledger.start({ concurrency: 2 })
    await ledger.enqueue(stand.job, null, { id: 'a' })
    await stand.started(0)
    const [worker] = await other.workers.list()
    await other.workers.pause(worker?.id as string, { reason: 'disk' })
    await ledger.enqueue(stand.job, null, { id: 'b' })
    await world.clock.advance('30s')
    expect(await other.workers.list()).toMatchObject([{ status: 'paused', reason: 'disk', slotsInUse: 1 }])
    expect(await ledger.status('b')).toMatchObject({ state: 'ready' })
    stand.finish(0)
    await ledger.result('a')
    await ledger.workers.resume(worker?.id as string)
    await stand.started(1)
    stand.finish(1)
    await ledger.result('b')
  })

  test('who waits for a worker that does not answer can stop waiting; one that is not removed goes on as it was', async () => {
    await using world = await World.create(backend)
    const ledger = await world.open()
    await registerMute(world, { mute: undefined })
    const aborted = async (call: (options: { signal: AbortSignal }) => Promise<void>): Promise<unknown> => {
      const aborting = new AbortController()
      const waiting = watched(call({ signal: aborting.signal }))
      await world.clock.advance('1s')
      expect(waiting.state).toBe('pending')
      aborting.abort(new Error('enough'))
      return rejection(waiting.promise)
    }
    const enough = { message: 'enough' }
    expect(await aborted((options) => ledger.workers.remove('mute', options))).toMatchObject(enough)
    expect(await ledger.workers.list()).toMatchObject([{ id: 'mute', status: 'active' }])
    expect(await aborted((options) => ledger.workers.pause('mute', { ...options, reason: 'disk' }))).toMatchObject(
      enough,
    )
    expect(await aborted((options) => ledger.workers.remove('mute', options))).toMatchObject(enough)
    expect(await ledger.workers.list()).toMatchObject([{ id: 'mute', status: 'paused', reason: 'disk' }])
    // Nothing is recorded for who did not want it from the start.
    await ledger.workers.resume('mute')
    const before = (await logOf(world)).length
    for (const verb of ['pause', 'remove'] as const) {
      const signal = AbortSignal.abort(new Error('never mind'))
      expect(await rejection(ledger.workers[verb]('mute', { signal }))).toMatchObject({ message: 'never mind' })
    }
    expect(await logOf(world)).toHaveLength(before)
  })

  test('a worker in a process that is removed is replaced by another, unless it holds a job', async () => {
    await using world = await World.create(backend)
    const stand = standing()
    const [ledger, other] = [await world.open({ jobs: [stand.job] }), await world.open()]
    await ledger.start({ concurrency: 2 })
    await ledger.enqueue(stand.job, null, { id: 'a' })
    await stand.started(0)
    const [{ id } = { id: '' }] = await other.workers.list()
    expect(await code(other.workers.remove(id))).toBe('WORKER_BUSY')
    stand.finish(0)
    await ledger.result('a')
    await other.workers.remove(id)
    await world.clock.settle()
    const [next = { id: '' }] = await other.workers.list()
    expect(['', id]).not.toContain(next.id)
    await ledger.enqueue(stand.job, null, { id: 'b' })
    await stand.started(1)
    stand.finish(1)
    await ledger.result('b')
    expect((await ledger.status('b')).attemptedBy).toEqual([next.id])
  })
})
