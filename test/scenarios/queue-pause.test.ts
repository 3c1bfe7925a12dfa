/** Queues that nothing is leased from for a while. */
import { expect } from 'vitest'
import { defineJob } from '../../runtime/work/run/definition.js'
import { factsOf, rejection, typesOf } from '../engine/support.js'
import { turns } from '../runtime/support/hasty-clock.js'
import { build, code, LONG, take, takeAll, test, watched } from './remote.js'
import { inOneAppend, scenario } from './scenario.js'

scenario([55], 'nothing is leased from a queue that is paused, in any ledger, until it is resumed', async (world) => {
  const [ledger, other] = [await world.open(), await world.open()]
  const worker = await ledger.workers.register()
  await ledger.enqueue(build, null, { id: 'running' })
  const { token } = await take(ledger, worker)
  await ledger.queues.pause('default')
  await ledger.enqueue(build, null, { id: 'a' })
  await other.enqueue(build, null, { id: 'elsewhere', queue: 'mail' })
  for (const opened of [ledger, other]) {
    expect(await rejection(opened.leaseById('a', worker))).toMatchObject({
      ...{ code: 'JOB_NOT_PENDING', jobId: 'a', message: expect.stringMatching(/in a paused queue, "default"/) },
    })
    expect(await code(take(opened, worker, { queues: 'default' }))).toBe('LEASE_TIMEOUT')
  }
  const waiting = watched(other.lease({ workerId: worker, types: 'build', lease: LONG, queues: 'default' }))
  // Other queues go on, and so does what runs.
  expect(await takeAll(other, worker)).toEqual(['elsewhere'])
  await ledger.heartbeat(token)
  await ledger.finish(token)
  await world.clock.advance('1m')
  expect(waiting.state).toBe('pending')
  expect(await typesOf(ledger, 'a')).toEqual(['Queued'])
  expect(await ledger.status('a')).toMatchObject({ state: 'ready' })
  await other.queues.resume('default')
  expect((await waiting.promise).id).toBe('a')
})

scenario(
  [55],
  'a pause outlives all ledgers, says who and why, and is told by the lengths of the queues',
  async (world) => {
    const first = await world.open()
    await first.as({ user: 'ada', reason: 'disk nearly full' }).queues.pause('mail')
    await first.enqueue(build, null, { id: 'a', queue: 'mail' })
    await first.queues.pause('mail', { reason: 'again' })
    await first.queues.pause('')
    await world.close(first)
    const ledger = await world.open()
    const none = { held: 0, blocked: 0, scheduled: 0, ready: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0 }
    expect(await ledger.queues.stats()).toEqual({
      mail: { ...none, ready: 1, paused: true, reason: 'disk nearly full' },
      '': { ...none, paused: true },
    })
    const worker = await ledger.workers.register()
    expect(await code(take(ledger, worker))).toBe('LEASE_TIMEOUT')
    await ledger.queues.resume('mail')
    await ledger.queues.resume('mail')
    expect(await ledger.queues.stats()).toEqual({ mail: { ...none, ready: 1 }, '': { ...none, paused: true } })
    const events: unknown[] = []
    for await (const page of (await world.store()).readStream('queue-mail')) {
      for (const { type, data, metadata } of page) events.push([type, data, metadata])
    }
    expect(events).toEqual([
      ['QueuePaused', { reason: 'disk nearly full' }, { actor: 'ada', reason: 'disk nearly full' }],
      ['QueueResumed', {}, undefined],
    ])
  },
)

scenario(
  [55],
  'once a pause is recorded no lease comes after it, however close they are',
  async (world) => {
    const ledgers = [await world.open(), await world.open()] as const
    const worker = await ledgers[0].workers.register()
    const ends = new Set<string>()
    for (let round = 0; round < 40; round += 1) {
      const queue = `q${round}`
      const { id } = await ledgers[1].enqueue(build, null, { queue })
      const lease = ledgers[0].leaseById(id, worker, { lease: LONG }).then(
        () => 'leased',
        (error) => error.code as string,
      )
      await turns(round % 10)
      await ledgers[1].queues.pause(queue)
      const end = await lease
      ends.add(end)
      const [leased] = await factsOf(ledgers[0], id, 'Leased')
      expect(leased !== undefined).toBe(end === 'leased')
      if (leased === undefined) continue
      const positions: string[] = []
      for (const stream of [`job-${id}`, `queue-${queue}`]) {
        for await (const page of (await world.store()).readStream(stream, { backwards: true, limit: 1 })) {
          positions.push(...page.map(({ position }) => position))
        }
      }
      expect(positions).toEqual([...positions].sort())
    }
    expect([...ends].sort()).toEqual(['JOB_NOT_PENDING', 'leased'])
  },
  inOneAppend('a pause is looked at right before a lease, not in its append'),
)

scenario([55, 6], 'a refused lease leaves the job where it was, for those who may take it', async (world) => {
  const [ledger, other] = [await world.open(), await world.open()]
  const worker = await ledger.workers.register()
  for (const id of ['a', 'b', 'c']) await ledger.enqueue(build, null, { id, queue: 'q' })
  const waiting = watched(ledger.lease({ workerId: worker, types: 'test', lease: LONG }))
  await other.queues.pause('q')
  await ledger.enqueue(test, null, { id: 't', queue: 'q' })
  await world.clock.settle()
  expect(waiting.state).toBe('pending')
  await other.queues.resume('q')
  expect((await waiting.promise).id).toBe('t')
  expect(await takeAll(ledger, worker)).toEqual(['a', 'b', 'c'])
})

scenario([73, '001.51'], 'lengths of queues, by type', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const deploy = defineJob({ type: 'deploy' })
  await ledger.enqueue(build, null, { id: 'b1' })
  await ledger.enqueue(build, null, { id: 'b2', held: true })
  await ledger.enqueue(build, null, { id: 'b3', queue: 'slow', delay: '1h' })
  await ledger.enqueue(test, null, { id: 't1', dependsOn: ['b2'] })
  await ledger.enqueue(deploy, null, { id: 'd1', queue: '' })
  await ledger.finish((await ledger.leaseById('b1', worker)).token)
  await ledger.cancel('d1')
  await ledger.queues.pause('slow')
  const none = { held: 0, blocked: 0, scheduled: 0, ready: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0 }
  const lengths = {
    build: {
      default: { ...none, held: 1, succeeded: 1 },
      slow: { ...none, scheduled: 1, paused: true },
    },
    test: { default: { ...none, blocked: 1 } },
    deploy: { '': { ...none, cancelled: 1 } },
    unheard: {},
  }
  const all = {
    default: { ...none, held: 1, succeeded: 1, blocked: 1 },
    slow: { ...none, scheduled: 1, paused: true },
    '': { ...none, cancelled: 1 },
  }
  const check = async (opened: typeof ledger) => {
    for (const [type, expected] of Object.entries(lengths))
      expect(await opened.queues.stats({ type })).toEqual(expected)
    expect(await opened.queues.stats()).toEqual(all)
  }
  await check(ledger)
  await check(await world.open())
  await world.close(ledger)
  await check(await world.open())
  // Ended jobs count for good, also when they are removed.
  const later = await world.open()
  await later.remove('d1')
  await check(later)
  await check(await world.open())
})
