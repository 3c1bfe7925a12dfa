/** The handler's own writes in the transaction that records the success of its run. */
import Database from 'better-sqlite3'
import { expect } from 'vitest'
import type { RecordedEvent } from '../../domain/event.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { JobContext } from '../../runtime/work/run/context.js'
import type { JobDefaults, JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { Abort, Fatal, RetryAt } from '../../runtime/work/run/handler-errors.js'
import type { World } from '../engine/support.js'
import { factsOf, gate, memory, next, rejection, typesOf } from '../engine/support.js'
import { SQL, scenario } from './scenario.js'

type Db = Database.Database

/** A table of the application's own, in the file of the log. */
function openShop(world: World): void {
  onFile(world, (db) => db.exec('CREATE TABLE sales (job TEXT, run INTEGER)'))
}

function onFile<Answer>(world: World, call: (db: Db) => Answer): Answer {
  const db = new Database(world.path)
  try {
    return call(db)
  } finally {
    db.close()
  }
}

const sales = (world: World): unknown[] =>
  onFile(world, (db) => db.prepare('SELECT job, run FROM sales').raw(true).all())

const sell = (db: Db, { id, run }: JobContext): unknown => db.prepare('INSERT INTO sales VALUES (?, ?)').run(id, run)

/** Sells, then does what else it is told, both when its success is recorded. */
function selling(also: (ctx: JobContext, db: Db) => unknown = () => {}, more: Partial<JobDefaults<null>> = {}) {
  return defineJob({
    type: 'selling',
    backoff: { min: '10s', factor: 1, jitter: 'none' },
    ...more,
    handle: (_: null, ctx: JobContext) => {
      ctx.finishWith<Db>((db) => {
        sell(db, ctx)
        return also(ctx, db)
      })
      return `sold in run ${ctx.run}`
    },
  })
}

async function shopWith(world: World, ...jobs: readonly JobDefinition<null, unknown>[]): Promise<Ledger> {
  const ledger = await world.open({ jobs: jobs as readonly JobDefinition[] })
  openShop(world)
  await ledger.start()
  return ledger
}

const firstRun =
  (error: () => Error) =>
  (ctx: JobContext): void => {
    if (ctx.run === 1) throw error()
  }

scenario(
  [52, 'C26'],
  'the writes of a handler are there exactly when its success is, not while it runs',
  async (world) => {
    const seen: unknown[] = []
    const look = (): unknown =>
      onFile(world, (db) => [
        db.prepare('SELECT count(*) FROM sales').pluck().get(),
        db.prepare("SELECT count(*) FROM jobledger_events WHERE type = 'Finished'").pluck().get(),
      ])
    const go = gate()
    const job = defineJob({
      type: 'selling',
      handle: async (_: null, ctx) => {
        // Called in the middle of its transaction: for others nothing has happened yet.
        ctx.finishWith<Db>((db) => {
          sell(db, ctx)
          seen.push(look())
        })
        seen.push(look())
        await go.promise
        seen.push(look())
        return 'sold'
      },
    })
    const ledger = await shopWith(world, job)
    const handle = await ledger.enqueue(job, null, { id: 'a' })
    go.open()
    expect(await handle.result()).toBe('sold')
    expect(seen).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ])
    expect(look()).toEqual([1, 1])
    expect(sales(world)).toEqual([['a', 1]])
  },
  SQL,
)

scenario(
  [52],
  'writes that fail fail the attempt: none of them is kept, and the job is tried again',
  async (world) => {
    const job = selling(firstRun(() => new Error('no such customer')))
    const ledger = await shopWith(world, job)
    await ledger.enqueue(job, null, { id: 'a' })
    await world.clock.settle()
    expect(sales(world)).toEqual([])
    expect(await typesOf(ledger, 'a')).toEqual(['Queued', 'Leased', 'Failed', 'Retried'])
    expect(await factsOf(ledger, 'a', 'Failed')).toMatchObject([
      { cause: 'error', error: 'Error', attempt: 1, retryable: true, body: { message: 'no such customer' } },
    ])
    expect(await world.pass(ledger.result('a'))).toBe('sold in run 2')
    expect(sales(world)).toEqual([['a', 2]])
  },
  SQL,
)

scenario(
  [52],
  'writes that break a rule of their own table are told by its error, and end the job when attempts are used up',
  async (world) => {
    const job = selling((_, db) => db.exec('INSERT INTO customers VALUES (1), (1)'), { maxAttempts: 2 })
    const ledger = await shopWith(world, job)
    onFile(world, (db) => db.exec('CREATE TABLE customers (id INTEGER PRIMARY KEY)'))
    await ledger.enqueue(job, null, { id: 'a' })
    expect(await rejection(world.pass(ledger.result('a')))).toMatchObject({
      code: 'JOB_FAILED',
      message: expect.stringContaining('UNIQUE constraint failed: customers.id'),
    })
    expect(await ledger.status('a')).toMatchObject({ state: 'failed', run: 2 })
    expect(sales(world)).toEqual([])
    expect(onFile(world, (db) => db.prepare('SELECT count(*) FROM customers').pluck().get())).toBe(0)
  },
  SQL,
)

const CLASSES: readonly (readonly [string, () => Error, Partial<JobDefaults<null>>, string[]])[] = [
  ['Fatal', () => new Fatal('never'), {}, ['Failed', 'Finished']],
  ['plain, of a careful type', () => new Error('odd'), { retryOn: 'recoverable-only' }, ['Failed', 'Finished']],
  ['refused by onError', () => new Error('odd'), { onError: () => false }, ['Failed', 'Finished']],
  ['RetryAt', () => new RetryAt('1h'), {}, ['Failed', 'Retried']],
  ['with a next run', () => new Error('odd'), { nextRun: () => '1h' }, ['Failed', 'Retried']],
  ['Abort', () => new Abort('nothing to do'), {}, ['Finished']],
]

scenario(
  [52, 27],
  'an error of the writes is judged like one that the handler throws',
  async (world) => {
    for (const [n, [name, error, more, types]] of CLASSES.entries()) {
      const job = selling(firstRun(error), { ...more, type: name })
      const ledger = await world.open({ jobs: [job] as readonly JobDefinition[] })
      if (n === 0) openShop(world)
      await ledger.start()
      await ledger.enqueue(job, null, { id: name })
      await world.clock.settle()
      expect([name, await typesOf(ledger, name)]).toEqual([name, ['Queued', 'Leased', ...types]])
      if (types[1] === 'Retried') {
        const [{ runAt } = {}] = await factsOf(ledger, name, 'Retried')
        expect([name, runAt]).toEqual([name, world.clock.now() + 3_600_000])
      }
    }
    expect(sales(world)).toEqual([])
  },
  SQL,
)

scenario(
  [52],
  'a handler that has asked for no further attempt gets none for its writes either',
  async (world) => {
    const job = defineJob({
      type: 'once',
      handle: (_: null, ctx) => {
        ctx.noRetry()
        ctx.finishWith(() => {
          throw new Error('no')
        })
      },
    })
    const ledger = await shopWith(world, job)
    expect(await rejection((await ledger.enqueue(job, null)).result())).toMatchObject({ code: 'JOB_FAILED' })
  },
  SQL,
)

scenario(
  [52, 32],
  'the writes of a cancelled run are never made',
  async (world) => {
    let called = 0
    const began = gate()
    const go = gate()
    const job = defineJob({
      type: 'slow',
      handle: async (_: null, ctx) => {
        ctx.finishWith<Db>((db) => {
          called += 1
          sell(db, ctx)
        })
        began.open()
        await go.promise
      },
    })
    const ledger = await shopWith(world, job)
    await ledger.enqueue(job, null, { id: 'a' })
    await began.promise
    await ledger.cancel('a')
    go.open()
    await world.clock.advance('1m')
    expect(called).toBe(0)
    expect(sales(world)).toEqual([])
    expect(await typesOf(ledger, 'a')).toEqual(['Queued', 'Leased', 'Cancelled'])
  },
  SQL,
)

scenario(
  [52, 32],
  'a cancel that comes in the same moment is first or is refused: there is never a row of a cancelled job',
  async (world) => {
    const job = selling()
    const ledger = await shopWith(world, job)
    const cancelled: string[] = []
    for (let n = 0; n < 10; n += 1) {
      const id = `j${n}`
      const leased = next(ledger, id, 'Leased')
      await ledger.enqueue(job, null, { id })
      if (n % 2 === 0) await leased
      for (let turns = 0; turns < n; turns += 1) await Promise.resolve()
      if (await ledger.cancel(id, { ifEnded: 'ignore' })) cancelled.push(id)
      await ledger.result(id).catch(() => {})
    }
    const sold = sales(world).map((row) => (row as [string])[0])
    expect([...sold, ...cancelled].sort()).toEqual(Array.from({ length: 10 }, (_, n) => `j${n}`))
  },
  SQL,
)

scenario(
  [52, 12],
  'the writes of a run whose lease was taken back are never made; those of its successor are',
  async (world) => {
    const began = gate<JobContext>()
    const go = gate()
    const job = defineJob({
      type: 'slow',
      handle: async (_: null, ctx) => {
        ctx.finishWith<Db>((db) => void sell(db, ctx))
        if (ctx.run > 1) return
        began.open(ctx)
        await go.promise
      },
    })
    const ledger = await shopWith(world, job)
    await ledger.enqueue(job, null, { id: 'a' })
    await began.promise
    // As another process would that takes this one for dead.
    await loseLeaseOf(world, 'a')
    await world.pass(ledger.result('a'))
    go.open()
    await world.clock.advance('1m')
    expect(sales(world)).toEqual([['a', 2]])
    expect(await typesOf(ledger, 'a')).toEqual(['Queued', 'Leased', 'Failed', 'Retried', 'Leased', 'Finished'])
  },
  SQL,
)

async function loseLeaseOf(world: World, id: string): Promise<void> {
  const store = await world.store()
  const stream = `job-${id}`
  const events: RecordedEvent[] = []
  for await (const page of store.readStream(stream)) events.push(...page)
  const { token, run, attempt } = (events.at(-1) as RecordedEvent).data as {
    token: string
    run: number
    attempt: number
  }
  const facts = [
    ['Failed', { token, run, attempt, cause: 'lease-lost', error: 'LeaseLost', retryable: true }],
    ['Retried', { runAt: world.clock.now(), by: 'lease-lost' }],
  ] as const
  const drafts = facts.map(([type, data]) => ({ stream, id: crypto.randomUUID(), type, at: world.clock.now(), data }))
  const [outcome] = await store.append([{ expect: new Map([[stream, events.length - 1]]), events: drafts }])
  if (outcome?.kind !== 'ok') throw new Error(`not stored: ${outcome?.kind}`)
}

const REFUSED: readonly (readonly [string, (ctx: JobContext, db: Db) => unknown])[] = [
  ['asynchronous', async () => {}],
  ['asynchronous, and failing', () => Promise.reject(new Error('late'))],
  ['a COMMIT', (_, db) => db.exec('COMMIT')],
  ['a ROLLBACK', (_, db) => db.exec('ROLLBACK')],
]

scenario(
  [52, 'C26'],
  'writes that are asynchronous, or end the transaction themselves, are refused by a typed error; nothing of them is kept',
  async (world) => {
    for (const [name, also] of REFUSED) {
      const job = selling(also, { type: name, maxAttempts: 1 })
      const ledger = await world.open({ jobs: [job] as readonly JobDefinition[] })
      if (name === 'asynchronous') openShop(world)
      await ledger.start()
      await ledger.enqueue(job, null, { id: name })
      expect(await rejection(ledger.result(name))).toMatchObject({ code: 'JOB_FAILED', error: 'StoreRefused' })
      expect([name, sales(world)]).toEqual([name, []])
      expect((await ledger.history(name)).at(-1)).not.toHaveProperty('body')
    }
  },
  SQL,
)

scenario(
  [52, 'C26'],
  'a store without transactions refuses them by a typed error, before anything is done',
  async (world) => {
    const errors: unknown[] = []
    const job = defineJob({
      type: 'asking',
      handle: (_: null, ctx) => {
        try {
          ctx.finishWith(() => errors.push('called'))
        } catch (error) {
          errors.push(error)
        }
        return 'done otherwise'
      },
    })
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    expect(await (await ledger.enqueue(job, null)).result()).toBe('done otherwise')
    expect(errors).toMatchObject([{ code: 'STORE_REFUSED', family: 'store' }])
    expect(() => ledger.tx({})).toThrow(expect.objectContaining({ code: 'STORE_REFUSED' }))
  },
  [memory],
)
