/** Types that only callers with a role may enqueue. */
import { expect } from 'vitest'
import type { Ledger } from '../../runtime/ledger.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { isEmpty, rejection } from '../engine/support.js'
import { echo } from './acts.js'
import { SQL, scenario } from './scenario.js'

const purge = defineJob({ type: 'purge', requiredRole: 'admin', handle: (what: string) => `purged ${what}` })
const audit = defineJob<unknown, unknown>({ type: 'audit', requiredRole: ['admin', 'auditor'] })
/** Says nothing of a role. */
const impostor = defineJob({ type: 'purge', handle: () => {} })

const jobs = [purge, audit, echo] as readonly JobDefinition[]
const forbidden = { code: 'ROLE_REQUIRED', type: 'purge', roles: ['admin'] }

async function everyWay(caller: Ledger, job: JobDefinition<string>): Promise<unknown[]> {
  const batch = [
    { job: echo, payload: 1 },
    { job: job as JobDefinition, payload: 'x' },
  ]
  return Promise.all([rejection(caller.enqueue(job, 'x')), rejection(caller.enqueueMany(batch))])
}

scenario([69, 'C22', '002.60'], 'an actor without the role is refused, and nothing is stored', async (world) => {
  const ledger = await world.open({ jobs })
  for (const actor of [{ user: 'ann' }, { user: 'ann', roles: [] }, { user: 'ann', roles: ['Admin', 'auditor'] }]) {
    for (const job of [purge, impostor] as JobDefinition<string>[]) {
      for (const refusal of await everyWay(ledger.as(actor), job)) expect(refusal).toMatchObject(forbidden)
    }
  }
  expect(await rejection(ledger.as({ user: 'ann' }).enqueue(audit, 1))).toMatchObject({
    message: 'Jobs of type "audit" are enqueued only by callers with the role "admin" or "auditor".',
  })
  // Known only to who enqueues it.
  const other = await world.open()
  expect(await rejection(other.as({ user: 'ann' }).enqueue(purge, 'x'))).toMatchObject(forbidden)
  expect(await isEmpty(ledger)).toBe(true)
})

scenario([69, '002.60'], 'who has one of the roles may enqueue it, and so may the program itself', async (world) => {
  const ledger = await world.open({ jobs })
  await ledger.start()
  const admin = ledger.as({ user: 'ann', roles: ['staff', 'admin'] })
  expect(await (await admin.enqueue(purge, 'a')).result()).toBe('purged a')
  await ledger.as({ user: 'ann', roles: ['auditor'] }).enqueueMany([{ job: audit, payload: 1 }])
  expect(await (await ledger.enqueue(purge, 'b')).result()).toBe('purged b')
})

scenario(
  [69, '002.60'],
  'what a handler enqueues is enqueued by the program, whoever enqueued its job',
  async (world) => {
    const sweep = defineJob({
      type: 'sweep',
      handle: async (what: string, ctx): Promise<string> => (await ctx.ledger.enqueue(purge, what)).id,
    })
    const ledger = await world.open({ jobs: [...jobs, sweep] as readonly JobDefinition[] })
    await ledger.start()
    const ann = ledger.as({ user: 'ann' })
    const id = await (await ann.enqueue(sweep, 'a')).result()
    expect(await ledger.result(id)).toBe('purged a')
    expect((await ledger.status(id)).user).toBe('ann')
  },
)

scenario([69, 'C22', '002.61'], 'concealed, a reserved type looks like one that nobody knows', async (world) => {
  const ledger = await world.open({ jobs, strict: true, conceal: true })
  const ann = ledger.as({ user: 'ann' })
  const unknown = defineJob({ type: 'nobody', handle: () => {} })
  const told = async (job: JobDefinition<string>): Promise<unknown[]> =>
    (await everyWay(ann, job)).map((error) => ({
      ...(error as object),
      name: (error as Error).name,
      message: (error as Error).message.replaceAll(job.type, 'TYPE'),
      type: 'TYPE',
    }))
  const refused = await told(purge)
  expect(refused).toEqual(await told(unknown as JobDefinition<string>))
  expect(refused).toMatchObject([{ code: 'UNKNOWN_TYPE' }, { code: 'UNKNOWN_TYPE' }])
  expect(await isEmpty(ledger)).toBe(true)
  await ledger.as({ user: 'bob', roles: ['admin'] }).enqueue(purge, 'x')
})

scenario(
  [69],
  'in the caller’s transaction it is refused the same, and what was written before stays',
  async (world) => {
    const ledger = await world.open({ jobs })
    const { default: Database } = await import('better-sqlite3')
    const handle = new Database(world.path)
    handle.exec('BEGIN IMMEDIATE')
    const tx = ledger.as({ user: 'ann' }).tx(handle)
    const kept = tx.enqueue(echo, 1) as { id: string }
    expect(() => tx.enqueue(purge, 'x')).toThrow(expect.objectContaining(forbidden))
    handle.exec('COMMIT')
    handle.close()
    expect((await ledger.list()).jobs.map(({ id }) => id)).toEqual([kept.id])
  },
  SQL,
)

scenario([69], 'a role that is none is refused where the type is made', async (world) => {
  const bad =
    (requiredRole: unknown): unknown =>
    () =>
      defineJob({ type: 't', requiredRole: requiredRole as string })
  const option = (name: string): unknown => expect.objectContaining({ code: 'INVALID_OPTION', option: name })
  for (const value of ['', 5, null, [], {}]) expect(bad(value)).toThrow(option('defineJob.requiredRole') as Error)
  expect(bad(['admin', ''])).toThrow(option('defineJob.requiredRole[1]') as Error)
  expect(await rejection(world.open({ conceal: 1 as never }))).toMatchObject({ option: 'openLedger.conceal' })
})
