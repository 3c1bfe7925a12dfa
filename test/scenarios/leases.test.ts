/** Jobs handed to workers elsewhere: by id, in somebody's name, with what belongs to them. */
import { expect } from 'vitest'
import { factsOf, isEmpty, next, rejection, typesOf } from '../engine/support.js'
import { build, code, LONG, take, takeAll, test, watched } from './remote.js'
import { scenario } from './scenario.js'

scenario([7, '000.9'], 'a job is leased by its id at once, whatever comes before it', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await ledger.enqueue(build, 1, { id: 'first', priority: 'critical' })
  await ledger.enqueue(build, { n: 2 }, { id: 'wanted', queue: 'q', channel: 'c', name: 'n', priority: 9 })
  const lease = await ledger.leaseById('wanted', worker)
  expect(lease).toMatchObject({
    ...{ id: 'wanted', type: 'build', queue: 'q', channel: 'c', name: 'n', payload: { n: 2 }, run: 1, attempt: 1 },
    ...{ expiresAt: world.clock.now() + 30_000, dependencies: [] },
  })
  expect(await takeAll(ledger, worker)).toEqual(['first'])
  await ledger.finish(lease.token)
  await ledger.enqueue(build, 3, { id: 'short' })
  const short = await ledger.leaseById('short', worker, { lease: '2s' })
  expect(short.expiresAt).toBe(world.clock.now() + 2_000)
})

scenario([7, '000.9'], 'what is not ready is not leased by its id either, and it is said why', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const refused = async (id: string, why: RegExp) => {
    const before = await typesOf(ledger, id)
    const error = await rejection(ledger.leaseById(id, worker))
    expect(error).toMatchObject({ code: 'JOB_NOT_PENDING', family: 'job', jobId: id })
    expect(error).toHaveProperty('message', expect.stringMatching(why))
    expect(await typesOf(ledger, id)).toEqual(before)
  }
  await ledger.enqueue(build, 1, { id: 'job' })
  await ledger.enqueue(build, 1, { id: 'blocked', dependsOn: ['job'] })
  await ledger.enqueue(build, 1, { id: 'held', held: true })
  await ledger.enqueue(build, 1, { id: 'scheduled', delay: '1m' })
  await ledger.enqueue(build, 1, { id: 'cancelled' })
  await ledger.cancel('cancelled')
  await refused('blocked', /blocked/)
  await refused('held', /held/)
  await refused('scheduled', /scheduled for 2026-01-01T00:01:00.000Z/)
  await refused('cancelled', /cancelled/)
  const { token } = await ledger.leaseById('job', worker)
  await refused('job', /running/)
  await ledger.fail(token, new Error('once'), { retryAt: '1m' })
  await refused('job', /scheduled/)
  await world.clock.advance('1m')
  const again = await ledger.leaseById('job', worker)
  await refused('blocked', /blocked/)
  await ledger.finish(again.token)
  await refused('job', /succeeded/)
  expect((await ledger.leaseById('blocked', worker)).id).toBe('blocked')
  expect((await ledger.leaseById('scheduled', worker)).id).toBe('scheduled')
})

scenario([7], 'of many who want the very same job at once, one gets it', async (world) => {
  const ledgers = [await world.open(), await world.open()] as const
  const worker = await ledgers[0].workers.register()
  await ledgers[0].enqueue(build, 1, { id: 'a' })
  const waiting = watched(ledgers[1].lease({ workerId: worker, lease: LONG, types: 'test' }))
  const tries = Array.from({ length: 10 }, (_, n) => ledgers[n % 2 === 0 ? 0 : 1].leaseById('a', worker))
  const ends = await Promise.allSettled(tries)
  expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  for (const end of ends) if (end.status === 'rejected') expect(end.reason).toMatchObject({ code: 'JOB_NOT_PENDING' })
  expect(await typesOf(ledgers[0], 'a')).toEqual(['Queued', 'Leased'])
  await ledgers[0].enqueue(test, 1, { id: 'b' })
  expect((await waiting.promise).id).toBe('b')
})

scenario([7], 'a job that was just enqueued elsewhere is leased by its id', async (world) => {
  const [here, there] = [await world.open(), await world.open()]
  const worker = await there.workers.register()
  await there.enqueue(build, 1, { id: 'base' })
  for (let n = 0; n < 5; n += 1) {
    const { id } = await there.enqueue(build, n)
    expect((await here.leaseById(id, worker)).payload).toBe(n)
    const blocked = await there.enqueue(build, n, { dependsOn: ['base'] })
    expect(await code(here.leaseById(blocked.id, worker))).toBe('JOB_NOT_PENDING')
  }
})

scenario(['C29'], 'nobody leases in the name of a worker that is not registered', async (world) => {
  const ledger = await world.open()
  await ledger.enqueue(build, null, { id: 'a' })
  for (const asking of [() => take(ledger, 'nobody'), () => ledger.leaseById('a', 'nobody')]) {
    expect(await rejection(asking())).toMatchObject({ code: 'WORKER_UNKNOWN', family: 'lease', workerId: 'nobody' })
  }
  expect(await typesOf(ledger, 'a')).toEqual(['Queued'])
  // Registered in one ledger is registered in all, and still after they have been closed.
  const worker = await ledger.workers.register({ name: 'builder 1', arch: 'x86_64', concurrency: 2, types: ['build'] })
  const other = await world.open()
  expect((await take(other, worker)).id).toBe('a')
  await world.close(ledger)
  await world.close(other)
  const later = await world.open()
  await later.enqueue(build, null, { id: 'b' })
  expect((await take(later, worker)).id).toBe('b')
  expect(await later.status('b')).toMatchObject({ lease: { workerId: worker } })
  expect(await later.workers.list()).toMatchObject([
    { id: worker, name: 'builder 1', arch: 'x86_64', types: ['build'] },
  ])
})

scenario(
  [11, '000.24'],
  'a sign of life of a worker nobody registered is refused; one that is known is seen',
  async (world) => {
    const ledger = await world.open()
    expect(await rejection(ledger.workers.touch('nobody'))).toMatchObject({
      code: 'WORKER_UNKNOWN',
      workerId: 'nobody',
    })
    expect(await ledger.workers.list()).toEqual([])
    const [a, b] = [await ledger.workers.register(), await ledger.workers.register()]
    const start = world.clock.now()
    await world.clock.advance('1m')
    await ledger.workers.touch(b)
    const idsOf = async (olderThan: number) => (await ledger.workers.list({ olderThan })).map(({ id }) => id)
    expect(await ledger.workers.list()).toMatchObject([
      { id: a, lastSeenAt: start, registeredAt: start },
      { id: b, lastSeenAt: start + 60_000, registeredAt: start },
    ])
    expect([await idsOf(60_000), await idsOf(59_999), await idsOf(0)]).toEqual([[], [a], [a]])
  },
)

scenario(
  [6, '000.27'],
  'a lease brings the results of the dependencies, in the order in which the job names them',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    const order = ['c', 'a', 'failed', 'b', 'bytes', 'none']
    for (const id of [...order].sort()) await ledger.enqueue(build, null, { id, maxAttempts: 1 })
    const on = { on: 'finished' } as const
    await ledger.enqueue(test, null, { id: 'top', dependsOn: order.map((id) => ({ id, ...on })) })
    const results: Readonly<Record<string, unknown>> = {
      a: { n: 1 },
      b: null,
      c: ['x'],
      bytes: new Uint8Array([1, 2]),
      none: undefined,
    }
    for (let n = 0; n < order.length; n += 1) {
      const { id, token } = await take(ledger, worker, { types: 'build' })
      if (id === 'failed') await ledger.fail(token, new TypeError('no space left'))
      else await ledger.finish(token, results[id])
    }
    const { dependencies } = await take(ledger, worker)
    expect(dependencies).toEqual([
      { id: 'c', outcome: 'succeeded', result: ['x'] },
      { id: 'a', outcome: 'succeeded', result: { n: 1 } },
      { id: 'failed', outcome: 'failed', error: { name: 'TypeError', message: 'no space left' } },
      { id: 'b', outcome: 'succeeded', result: null },
      { id: 'bytes', outcome: 'succeeded', result: new Uint8Array([1, 2]) },
      { id: 'none', outcome: 'succeeded', result: undefined },
    ])
  },
)

scenario(
  [6, 20],
  'a lease brings the user and the trace of its job, and nothing where there are none',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    const trace = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, tracestate: 'v=1' }
    await ledger.as({ user: 'ada' }).enqueue(build, null, { trace })
    await ledger.enqueue(build, null)
    expect(await take(ledger, worker)).toMatchObject({ user: 'ada', trace })
    const plain = await take(ledger, worker)
    expect(plain).not.toHaveProperty('user')
    expect(plain).not.toHaveProperty('trace')
    expect(plain).not.toHaveProperty('name')
  },
)

scenario([7, 10], 'run counts every lease of a life, attempt those that count', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await ledger.enqueue(build, null, { id: 'a', backoff: { min: 0, max: 0 } })
  const seen: string[] = []
  const lease = async () => {
    const taken = await take(ledger, worker, { lease: '1s' })
    seen.push(`${taken.run}/${taken.attempt}`)
    return taken.token
  }
  await ledger.requeueOrFinish(await lease(), 5)
  await ledger.fail(await lease(), new Error('x'))
  const failed = next(ledger, 'a', 'Failed')
  await lease()
  await world.pass(failed)
  await world.clock.settle()
  await ledger.finish(await lease())
  await ledger.retry('a')
  await ledger.cancel('a')
  await ledger.retry('a')
  await ledger.finish(await lease())
  expect(seen).toEqual(['1/1', '2/1', '3/2', '4/2', '5/1'])
  expect((await factsOf(ledger, 'a', 'Leased')).map(({ run }) => run)).toEqual([1, 2, 3, 4, 5])
})

scenario([1, 7], 'what belongs to no worker is not looked for: wrong names are refused by name', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  const odd = [
    [() => ledger.lease({ workerId: '' }), 'lease.workerId'],
    [() => ledger.leaseById('', worker), 'leaseById.id'],
    [() => ledger.leaseById(5 as never, worker), 'leaseById.id'],
    [() => ledger.leaseById('a', ''), 'leaseById.workerId'],
    [() => ledger.leaseById('a', worker, { lease: 999 }), 'leaseById.lease'],
    [() => ledger.leaseById('a', worker, { laese: 1 } as never), 'leaseById.laese'],
    [() => ledger.leaseById('a', worker, null as never), 'leaseById'],
    [() => ledger.workers.touch(''), 'touch.workerId'],
  ] as const
  for (const [asking, option] of odd) {
    expect(await rejection(asking()), option).toMatchObject({ code: 'INVALID_OPTION', option })
  }
  expect(await isEmpty(ledger)).toBe(true)
})
