/** Jobs enqueued in a transaction of the caller's own. */
import Database from 'better-sqlite3'
import { expect } from 'vitest'
import { z } from 'zod'
import type { Ledger } from '../../runtime/ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { JobHandle } from '../../runtime/write/contract.js'
import type { World } from '../engine/support.js'
import { memory, rejection } from '../engine/support.js'
import { build, take, watched } from './remote.js'
import { SQL, scenario } from './scenario.js'

const shout = defineJob({ type: 'shout', handle: (text: string) => text.toUpperCase() })

/** An application's own handle on the file of the log, with a table of its own. */
function application(world: World) {
  const handle = new Database(world.path)
  handle.exec('CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY)')
  const order = (id: string) => handle.prepare('INSERT INTO orders VALUES (?)').run(id)
  const orders = () => handle.prepare('SELECT id FROM orders ORDER BY id').pluck().all()
  return { handle, order, orders, [Symbol.dispose]: () => void handle.close() }
}

/** Ids of all jobs in the log, whoever has seen them. */
async function stored(world: World): Promise<string[]> {
  const ids: string[] = []
  for await (const page of (await world.store()).readAll({ types: ['Queued'] })) {
    for (const { stream } of page) ids.push(stream.slice('job-'.length))
  }
  return ids
}

/** What `tx` answers at once, as it does on SQLite. */
const now = <Handle>(answer: Handle | Promise<Handle>): Handle => {
  if (answer instanceof Promise) throw new Error('it answers later')
  return answer
}

scenario(
  [3, 'C26'],
  'what is enqueued in a transaction is there with it, and not if it is rolled back',
  async (world) => {
    const ledger = await world.open()
    using app = application(world)
    const tx = ledger.tx(app.handle)
    app.handle.exec('BEGIN')
    app.order('lost')
    const lost = now(tx.enqueue(build, { order: 'lost' }, { id: 'lost' }))
    expect([lost.id, lost.outcome]).toEqual(['lost', 'created'])
    app.handle.exec('ROLLBACK')
    expect(await stored(world)).toEqual([])
    expect(await rejection(ledger.status('lost'))).toMatchObject({ code: 'JOB_UNKNOWN' })
    expect(await rejection(lost.result())).toMatchObject({ code: 'JOB_UNKNOWN', jobId: 'lost' })
    const { id } = app.handle.transaction(() => {
      app.order('kept')
      return now(tx.enqueue(build, { order: 'kept' }))
    })()
    expect(await ledger.status(id)).toMatchObject({ state: 'ready', payload: { order: 'kept' } })
    expect(app.orders()).toEqual(['kept'])
    // The id of what never was is free.
    expect((await ledger.enqueue(build, 'anew', { id: 'lost' })).outcome).toBe('created')
  },
  SQL,
)

scenario(
  [3, 9, 'C26'],
  'a commit wakes a lease that waits and a worker that runs, without any time going by',
  async (world) => {
    const ledger = await world.open({ jobs: [shout] })
    await ledger.start()
    const worker = await ledger.workers.register()
    const waiting = watched(ledger.lease({ workerId: worker, types: 'build' }))
    using app = application(world)
    await world.clock.settle()
    const before = world.clock.now()
    const shouted = app.handle.transaction(() => {
      const jobs = now(
        ledger.tx(app.handle).enqueueMany([
          { job: build, payload: 'b', options: { id: 'b' } },
          { job: shout, payload: 'hey' },
        ]),
      )
      return jobs[1] as JobHandle
    })()
    expect(await waiting.promise).toMatchObject({ id: 'b', payload: 'b' })
    expect(await shouted.result()).toBe('HEY')
    expect(world.clock.now()).toBe(before)
  },
  SQL,
)

scenario(
  [3],
  'nobody is woken by what is not committed yet',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    const waiting = watched(ledger.lease({ workerId: worker }))
    using app = application(world)
    app.handle.exec('BEGIN IMMEDIATE')
    now(ledger.tx(app.handle).enqueue(build, 1, { id: 'soon' }))
    await world.clock.settle()
    expect(await rejection(ledger.status('soon'))).toMatchObject({ code: 'JOB_UNKNOWN' })
    expect(waiting.state).toBe('pending')
    app.handle.exec('COMMIT')
    expect(await waiting.promise).toMatchObject({ id: 'soon' })
  },
  SQL,
)

scenario(
  [3, 2],
  'a batch in a transaction is whole, and may depend on what is there and on itself',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    const base = await ledger.enqueue(build, 'base')
    const done = await ledger.enqueue(build, 'done', { priority: -1 })
    await ledger.finish((await take(ledger, worker)).token, 'done')
    using app = application(world)
    app.handle.transaction(() => {
      const tx = ledger.tx(app.handle)
      now(tx.enqueue(build, 1, { id: 'first', dependsOn: [base.id, done.id] }))
      now(
        tx.enqueueMany([
          { job: build, payload: 3, options: { id: 'third', dependsOn: ['second'] } },
          { job: build, payload: 2, options: { id: 'second', dependsOn: ['first', done.id] } },
        ]),
      )
    })()
    expect(now(ledger.tx(app.handle).enqueueMany([]))).toEqual([])
    const order: string[] = []
    for (let n = 0; n < 4; n += 1) {
      const lease = await take(ledger, worker)
      order.push(lease.id)
      await ledger.finish(lease.token)
    }
    expect(order).toEqual([base.id, 'first', 'second', 'third'])
  },
  SQL,
)

scenario(
  [3],
  'a dependency that nobody is refuses, in a transaction too, and takes nothing else with it',
  async (world) => {
    const ledger = await world.open()
    using app = application(world)
    app.handle.transaction(() => {
      const tx = ledger.tx(app.handle)
      now(tx.enqueue(build, 1, { id: 'good' }))
      expect(() => tx.enqueue(build, 1, { id: 'bad', dependsOn: ['nobody'] })).toThrow('nobody')
      const batch = [
        { job: build, payload: 1, options: { id: 'a' } },
        { job: build, payload: 1, options: { id: 'b', dependsOn: ['a', 'nobody'] } },
      ]
      expect(() => tx.enqueueMany(batch)).toThrow('nobody')
    })()
    expect(await stored(world)).toEqual(['good'])
    expect((await ledger.status('good')).dependents).toEqual([])
  },
  SQL,
)

scenario(
  [3],
  'a job is unique in a transaction as anywhere',
  async (world) => {
    const ledger = await world.open()
    const unique = { key: 'order 7' }
    using app = application(world)
    const outcomesOf = (...jobs: JobHandle[]) => jobs.map(({ id, outcome }) => `${id} ${outcome}`)
    const enqueue = (id: string, payload: unknown, more = {}) =>
      now(ledger.tx(app.handle).enqueue(build, payload, { id, unique: { ...unique, ...more } }))
    app.handle.exec('BEGIN')
    expect(outcomesOf(enqueue('a', 1), enqueue('b', 2))).toEqual(['a created', 'a duplicate'])
    app.handle.exec('ROLLBACK')
    const jobs = app.handle.transaction(() => [
      enqueue('c', 3),
      enqueue('d', 4),
      enqueue('e', 5, { onDuplicate: 'replace' }),
      enqueue('f', 6, { scope: 'ledger' }),
    ])()
    expect(outcomesOf(...jobs)).toEqual(['c created', 'c duplicate', 'c replaced', 'f created'])
    expect(await ledger.status('c')).toMatchObject({ payload: 5 })
    expect((await ledger.enqueue(build, 7, { unique })).id).toBe('c')
    // Once it has ended the key is free, and what is in the transaction knows.
    await ledger.cancel('c')
    expect(outcomesOf(app.handle.transaction(() => enqueue('g', 8))())).toEqual(['g created'])
    expect(await rejection(ledger.retry('c'))).toMatchObject({ code: 'JOB_NOT_UNIQUE', holder: 'g' })
  },
  SQL,
)

scenario(
  [3],
  'an option or payload that is wrong stores nothing, and leaves the transaction as it was',
  async (world) => {
    const checked = defineJob({ type: 'checked', schema: z.object({ n: z.number() }) })
    const ledger = await world.open({ maxPayloadBytes: 100 })
    using app = application(world)
    app.handle.transaction(() => {
      const tx = ledger.tx(app.handle)
      app.order('before')
      const refused = (enqueue: () => unknown, error: object) => {
        let thrown: unknown
        try {
          enqueue()
        } catch (caught) {
          thrown = caught
        }
        expect(thrown).toMatchObject(error)
      }
      const option = { code: 'INVALID_OPTION' }
      refused(() => tx.enqueue(build, 1, { priority: 0.5 }), { ...option, option: 'enqueue.priority' })
      refused(() => tx.enqueue('build' as never, 1), { ...option, option: 'enqueue.job' })
      refused(() => tx.enqueueMany({} as never), { ...option, option: 'enqueueMany' })
      refused(() => tx.enqueue(build, 1n), { code: 'INVALID_PAYLOAD' })
      refused(() => tx.enqueue(build, 'x'.repeat(99)), { code: 'INVALID_PAYLOAD', expected: 'at most 100 bytes' })
      refused(() => tx.enqueue(checked, { n: 'one' as never }), { option: 'enqueue.payload.n' })
      const batch = [
        { job: checked, payload: { n: 1 } },
        { job: checked, payload: { n: null } },
      ]
      refused(() => tx.enqueueMany(batch), { option: 'enqueueMany[1].payload.n' })
      now(tx.enqueue(checked, { n: 1 }, { id: 'kept' }))
      refused(() => tx.enqueue(checked, { n: 2 }, { id: 'kept' }), { code: 'JOB_EXISTS' })
      app.order('after')
    })()
    expect(app.orders()).toEqual(['after', 'before'])
    expect(await stored(world)).toEqual(['kept'])
  },
  SQL,
)

scenario(
  [3],
  'a schema that answers later cannot be asked within a transaction',
  async (world) => {
    const late = defineJob({ type: 'late', schema: z.string().refine(async () => true) })
    const ledger = await world.open()
    using app = application(world)
    const error = app.handle.transaction(() => {
      try {
        return ledger.tx(app.handle).enqueue(late, 'text')
      } catch (thrown) {
        return thrown
      }
    })()
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'enqueue.job', received: '"late"' })
    expect(await stored(world)).toEqual([])
    expect((await ledger.enqueue(late, 'text')).outcome).toBe('created')
  },
  SQL,
)

scenario(
  [3, 'C26'],
  'a handle must be open, on this very file and in a transaction',
  async (world) => {
    const ledger = await world.open()
    using app = application(world)
    const refused = { code: 'STORE_REFUSED' }
    const thrownBy = (call: () => unknown) => rejection(new Promise((resolve) => resolve(call())))
    const aside = new Database(':memory:')
    for (const odd of [undefined, null, {}, 'jobs.db', aside]) {
      expect(await thrownBy(() => ledger.tx(odd))).toMatchObject(refused)
    }
    aside.close()
    expect(await thrownBy(() => ledger.tx(app.handle).enqueue(build, 1))).toMatchObject(refused)
    expect(await thrownBy(() => ledger.tx(app.handle).enqueueMany([{ job: build, payload: 1 }]))).toMatchObject(refused)
    const closed = new Database(world.path)
    closed.close()
    expect(await thrownBy(() => ledger.tx(closed))).toMatchObject(refused)
    expect(await stored(world)).toEqual([])
    await world.close(ledger)
    expect(await thrownBy(() => ledger.tx(app.handle))).toMatchObject({ code: 'LEDGER_CLOSED' })
  },
  SQL,
)

scenario(
  [3, 'C26'],
  'a store without transactions says so',
  async (world) => {
    const ledger: Ledger = await world.open()
    expect(() => ledger.tx({})).toThrow(expect.objectContaining({ code: 'STORE_REFUSED' }))
  },
  [memory],
)

scenario(
  [3],
  'a transaction may be given up in part, and a handle serve many of them',
  async (world) => {
    const ledger = await world.open()
    using app = application(world)
    const tx = ledger.tx(app.handle)
    app.handle.exec('BEGIN')
    now(tx.enqueue(build, 1, { id: 'a' }))
    app.handle.exec('SAVEPOINT part')
    now(tx.enqueue(build, 2, { id: 'b', dependsOn: ['a'] }))
    app.handle.exec('ROLLBACK TO part')
    expect(() => tx.enqueue(build, 3, { id: 'c', dependsOn: ['b'] })).toThrow('depends on job b')
    now(tx.enqueue(build, 4, { id: 'd', dependsOn: ['a'] }))
    app.handle.exec('COMMIT')
    await ledger.enqueue(build, 'from outside', { id: 'e' })
    app.handle.transaction(() => now(tx.enqueue(build, 5, { id: 'f', dependsOn: ['d', 'e'] })))()
    expect(await stored(world)).toEqual(['a', 'd', 'e', 'f'])
    expect((await ledger.status('a')).dependents).toEqual(['d'])
  },
  SQL,
)

scenario(
  [3, 19],
  'in a transaction a dependency that was removed counts by how it ended, as anywhere',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    for (const id of ['succeeded', 'cancelled']) await ledger.enqueue(build, null, { id })
    await ledger.finish((await ledger.leaseById('succeeded', worker)).token)
    await ledger.cancel('cancelled')
    for (const id of ['succeeded', 'cancelled']) await ledger.remove(id)
    using app = application(world)
    app.handle.transaction(() => {
      const tx = ledger.tx(app.handle)
      now(tx.enqueue(build, 1, { id: 'ready', dependsOn: ['succeeded'] }))
      now(tx.enqueue(build, 2, { id: 'blocked', dependsOn: ['succeeded', 'cancelled'] }))
      expect(() => tx.enqueue(build, 3, { id: 'x', dependsOn: ['succeeded', 'nobody'] })).toThrow('nobody')
    })()
    expect((await ledger.status('ready')).state).toBe('ready')
    expect(await ledger.enqueue(build, 4, { id: 'like it', dependsOn: ['succeeded', 'cancelled'] })).toBeDefined()
    for (const id of ['blocked', 'like it']) expect((await ledger.status(id)).state).toBe('blocked')
  },
  SQL,
)

scenario(
  [3, 'C26'],
  'a transaction that has looked before others wrote is told so, and nothing of it is stored',
  async (world) => {
    const ledger = await world.open()
    using app = application(world)
    app.handle.exec('BEGIN')
    app.orders()
    await ledger.enqueue(build, 1, { id: 'meanwhile' })
    const stale = { code: 'STORE_UNAVAILABLE', message: expect.stringContaining('BEGIN IMMEDIATE') }
    expect(() => ledger.tx(app.handle).enqueue(build, 2)).toThrow(expect.objectContaining(stale))
    app.handle.exec('ROLLBACK')
    expect(await stored(world)).toEqual(['meanwhile'])
    app.handle.transaction(() => now(ledger.tx(app.handle).enqueue(build, 2, { id: 'again' }))).immediate()
    expect(await stored(world)).toEqual(['meanwhile', 'again'])
  },
  SQL,
)

scenario(
  [3],
  'who speaks is recorded in a transaction as well',
  async (world) => {
    const ledger = await world.open()
    using app = application(world)
    const tx = ledger.as({ user: 'ada', reason: 'month end' }).tx(app.handle)
    const { id } = app.handle.transaction(() => now(tx.enqueue(build, null)))()
    const [queued] = await ledger.history(id)
    expect(queued?.metadata).toMatchObject({ actor: 'ada', reason: 'month end' })
    expect(await ledger.status(id)).toMatchObject({ user: 'ada' })
  },
  SQL,
)
