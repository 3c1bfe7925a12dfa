/** The handler's own writes, and what else goes on in the same commit. */
import Database from 'better-sqlite3'
import { expect } from 'vitest'
import { currentJob } from '../../adapters/node/current-job.js'
import type { Ledger } from '../../runtime/ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { Abort } from '../../runtime/work/run/handler-errors.js'
import type { World } from '../engine/support.js'
import { next, rejection } from '../engine/support.js'
import { SQL, scenario } from './scenario.js'

type Db = Database.Database

function onFile<Answer>(world: World, call: (db: Db) => Answer): Answer {
  const db = new Database(world.path)
  try {
    return call(db)
  } finally {
    db.close()
  }
}

const openShop = (world: World): unknown => onFile(world, (db) => db.exec('CREATE TABLE sales (job TEXT)'))
const sales = (world: World): unknown[] =>
  onFile(world, (db) => db.prepare('SELECT job FROM sales ORDER BY job').pluck().all())
const sell = (db: Db, id: string): unknown => db.prepare('INSERT INTO sales VALUES (?)').run(id)

const plain = defineJob({ type: 'plain', handle: (value: unknown) => value })

scenario(
  [52],
  'of many runs that end in one commit those with bad writes fail alone',
  async (world) => {
    const job = defineJob({
      type: 'selling',
      maxAttempts: 1,
      handle: (good: boolean, ctx) => {
        ctx.finishWith<Db>((db) => {
          sell(db, ctx.id)
          if (!good) throw new Error('bad writes')
        })
      },
    })
    const ledger = await world.open({ jobs: [job, plain] })
    openShop(world)
    await ledger.enqueueMany(
      Array.from({ length: 12 }, (_, n) =>
        n % 3 === 2
          ? { job: plain, payload: n, options: { id: `p${n}` } }
          : { job, payload: n % 3 === 0, options: { id: `s${n}` } },
      ),
    )
    await ledger.start({ concurrency: 12 })
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        ledger.result(n % 3 === 2 ? `p${n}` : `s${n}`).then(
          () => 'good',
          ({ code }) => code as string,
        ),
      ),
    )
    expect(outcomes).toEqual(Array.from({ length: 12 }, (_, n) => (n % 3 === 1 ? 'JOB_FAILED' : 'good')))
    expect(sales(world)).toEqual(['s0', 's3', 's6', 's9'])
  },
  SQL,
)

scenario(
  [52],
  'bad writes cost nobody else: what others ask of the same job in that very commit is answered on its own',
  async (world) => {
    const asked: Promise<unknown>[] = []
    const outcome = (promise: Promise<unknown>): Promise<unknown> =>
      promise.then(
        (value) => value,
        (error: Error) => error.message,
      )
    const job = defineJob({
      type: 'selling',
      maxAttempts: 1,
      handle: (_: null, ctx) => {
        ctx.finishWith<Db>((db) => {
          sell(db, ctx.id)
          throw new Error('bad writes')
        })
        // All of these go into one group with the end of this run, for they look at its stream.
        asked.push(
          outcome(ledger.enqueue(plain, 1, { id: 'after', dependsOn: [{ id: 'a', on: 'finished' }] })),
          outcome(ctx.heartbeat(5)),
        )
      },
    })
    const ledger: Ledger = await world.open({ jobs: [job, plain] })
    openShop(world)
    await ledger.start()
    await ledger.enqueue(job, null, { id: 'a' })
    expect(await rejection(ledger.result('a'))).toMatchObject({
      code: 'JOB_FAILED',
      message: expect.stringContaining('bad writes'),
    })
    expect(await Promise.all(asked)).toMatchObject([{ id: 'after', outcome: 'created' }, undefined])
    expect(await ledger.result('after')).toBe(1)
    expect(sales(world)).toEqual([])
  },
  SQL,
)

scenario(
  [52],
  'only the last writes asked for are made, and none when the run ends in any other way than by success',
  async (world) => {
    const called: string[] = []
    const job = defineJob({
      type: 'ending',
      maxAttempts: 1,
      handle: (how: string, ctx) => {
        ctx.finishWith(() => called.push(`${how}, first`))
        ctx.finishWith(() => called.push(how))
        if (how === 'throws') throw new Error('bad')
        if (how === 'aborts') throw new Abort('nothing to do')
        if (how === 'snoozes' && ctx.run === 1) ctx.snooze('1m')
        return how
      },
    })
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    for (const how of ['throws', 'aborts', 'snoozes', 'returns']) await ledger.enqueue(job, how, { id: how })
    for (const how of ['throws', 'aborts', 'returns']) await ledger.result(how).catch(() => {})
    expect(called).toEqual(['returns'])
    await world.pass(ledger.result('snoozes'))
    expect(called).toEqual(['returns', 'snoozes'])
    const error = await rejection(
      (async () => {
        const wrong = defineJob({ type: 'wrong', maxAttempts: 1, handle: (_: null, ctx) => ctx.finishWith(5 as never) })
        const other = await world.open({ jobs: [wrong] })
        await other.start()
        return (await other.enqueue(wrong, null)).result()
      })(),
    )
    expect(error).toMatchObject({ code: 'JOB_FAILED', error: 'InvalidOption' })
  },
  SQL,
)

scenario(
  [52, 3],
  'the next job of a chain can be enqueued in the very transaction that ends the one before',
  async (world) => {
    const job = defineJob({
      type: 'link',
      maxAttempts: 1,
      handle: (left: number, ctx) => {
        ctx.finishWith<Db>((db) => {
          sell(db, ctx.id)
          if (left > 0) void ledger.tx(db).enqueue(job, left - 1, { id: `link ${left - 1}` })
          if (left === 1) throw new Error('the chain breaks')
        })
      },
    })
    const ledger: Ledger = await world.open({ jobs: [job] })
    openShop(world)
    await ledger.start()
    await ledger.enqueue(job, 3, { id: 'link 3' })
    await next(ledger, 'link 2', 'Finished')
    expect(await rejection(ledger.result('link 1'))).toMatchObject({ code: 'JOB_FAILED' })
    await world.clock.advance('1m')
    expect(sales(world)).toEqual(['link 2', 'link 3'])
    expect(await rejection(ledger.status('link 0'))).toMatchObject({ code: 'JOB_UNKNOWN' })
    expect((await ledger.list()).jobs.map(({ id }) => id).sort()).toEqual(['link 1', 'link 2', 'link 3'])
    expect((await ledger.history('link 2'))[0]?.metadata).toEqual({ $correlationId: 'link 3', $causationId: 'link 3' })
  },
  SQL,
)

scenario(
  [52, 48],
  'the writes of each run are made in the course of that run, also when several end in one commit',
  async (world) => {
    const seen: Record<string, string | undefined> = {}
    const job = defineJob({
      type: 'selling',
      handle: (_: null, ctx) => {
        ctx.finishWith(() => {
          seen[ctx.id] = currentJob()?.id
        })
      },
    })
    const ledger = await world.open({ jobs: [job] })
    await ledger.enqueueMany(['a', 'b', 'c'].map((id) => ({ job, payload: null, options: { id } })))
    await ledger.start()
    await Promise.all(['a', 'b', 'c'].map((id) => ledger.result(id)))
    expect(seen).toEqual({ a: 'a', b: 'b', c: 'c' })
  },
  SQL,
)

scenario(
  [52, 76],
  'a ledger opened again finds the same rows as successes',
  async (world) => {
    const job = defineJob({
      type: 'selling',
      maxAttempts: 1,
      handle: (good: boolean, ctx) => {
        ctx.finishWith<Db>((db) => {
          sell(db, ctx.id)
          if (!good) throw new Error('bad writes')
        })
      },
    })
    const before = await world.open({ jobs: [job] })
    openShop(world)
    await before.start()
    for (let n = 0; n < 10; n += 1) {
      await before.enqueue(job, n % 2 === 0, { id: `${n}` })
      await before.result(`${n}`).catch(() => {})
    }
    await world.close(before)
    const after = await world.open()
    const succeeded = (await after.list({ state: 'succeeded' })).jobs.map(({ id }) => id)
    expect(succeeded.sort()).toEqual(sales(world))
    expect(succeeded).toHaveLength(5)
  },
  SQL,
)
