/** So many jobs of a type in a channel per window of time. */
import Database from 'better-sqlite3'
import { expect } from 'vitest'
import type { RecordedEvent } from '../../domain/event.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { EnqueueOptions } from '../../runtime/write/contract.js'
import { rejection, type World } from '../engine/support.js'
import { echo } from './acts.js'
import { SQL, scenario } from './scenario.js'

const mail = defineJob({ type: 'mail', rateLimit: { limit: 3, per: '1h' }, handle: (to: string) => `sent to ${to}` })
/** As a caller defines it who knows of no limit. */
const plainMail = defineJob<string, string>({ type: 'mail' })
const jobs = [mail, echo] as readonly JobDefinition[]
const HOUR = 3_600_000

const channel = (name: string): EnqueueOptions => ({ channel: name })

async function enqueueMails(ledger: Ledger, count: number, options: EnqueueOptions = {}): Promise<string[]> {
  const tried = Array.from({ length: count }, () => ledger.enqueue(mail, 'ann', options))
  const settled = await Promise.allSettled(tried)
  return settled.map((each) => (each.status === 'fulfilled' ? each.value.outcome : each.reason.reason))
}

async function counts(world: World): Promise<object[]> {
  const found: RecordedEvent[] = []
  for await (const page of (await world.store()).readAll({ types: ['Counted'] })) found.push(...page)
  return found.map(({ data }) => data)
}

scenario(
  [68, '002.62'],
  'the first refusal of a window says reached, later ones exceeded, and the next window is open again',
  async (world) => {
    const ledger = await world.open({ jobs })
    expect(await enqueueMails(ledger, 3)).toEqual(['created', 'created', 'created'])
    const first = await rejection(ledger.enqueue(mail, 'bob'))
    const resetsAt = world.clock.now() + HOUR
    const facts = { code: 'RATE_LIMITED', type: 'mail', channel: '', limit: 3, resetsAt }
    expect(first).toMatchObject({ ...facts, reason: 'reached' })
    await world.clock.advance('59m')
    for (const _ of [1, 2])
      expect(await rejection(ledger.enqueue(mail, 'bob'))).toMatchObject({ ...facts, reason: 'exceeded' })
    await world.clock.advance('1m')
    expect(await enqueueMails(ledger, 5)).toEqual(['created', 'created', 'created', 'reached', 'exceeded'])
    expect((await ledger.list({ type: 'mail' })).jobs).toHaveLength(6)
  },
)

scenario([68, '002.62'], 'each tenant has its own count, and types without a limit have none', async (world) => {
  const ledger = await world.open({ jobs })
  expect(await enqueueMails(ledger, 4, channel('a'))).toEqual(['created', 'created', 'created', 'reached'])
  expect(await enqueueMails(ledger, 1, channel('b'))).toEqual(['created'])
  expect(await enqueueMails(ledger, 1)).toEqual(['created'])
  expect(await rejection(ledger.enqueue(mail, 'x', channel('a')))).toMatchObject({ channel: 'a', reason: 'exceeded' })
  for (let n = 0; n < 10; n += 1) await ledger.enqueue(echo, n)
  expect((await counts(world)).length).toBe(6)
})

scenario(
  [68],
  'the count is of the log: other ledgers, one that opens later, and callers with their own definition share it',
  async (world) => {
    const first = await world.open({ jobs })
    const second = await world.open({ jobs })
    const both = await Promise.all([enqueueMails(first, 3), enqueueMails(second, 3)])
    expect(both.flat().sort()).toEqual(['created', 'created', 'created', 'exceeded', 'exceeded', 'reached'])
    await world.close(second)
    const third = await world.open({ jobs })
    expect(await rejection(third.enqueue(plainMail, 'x'))).toMatchObject({ reason: 'exceeded' })
    // Limits are those of whoever enqueues.
    const unaware = await world.open()
    expect((await unaware.enqueue(plainMail, 'x')).outcome).toBe('created')
  },
)

scenario([68], 'a batch is let in whole or not at all', async (world) => {
  const ledger = await world.open({ jobs })
  await enqueueMails(ledger, 1)
  const batch = (size: number): { job: JobDefinition; payload: unknown }[] => [
    { job: echo, payload: 0 },
    ...Array.from({ length: size }, () => ({ job: mail as JobDefinition, payload: 'ann' })),
  ]
  expect(await rejection(ledger.enqueueMany(batch(3)))).toMatchObject({ reason: 'reached' })
  expect((await ledger.list()).jobs).toHaveLength(1)
  expect(await ledger.enqueueMany(batch(2))).toHaveLength(3)
  expect(await rejection(ledger.enqueueMany(batch(1)))).toMatchObject({ reason: 'exceeded' })
  expect(await counts(world)).toMatchObject([{ count: 1 }, { count: 1, refused: true }, { count: 3, refused: true }])
})

scenario([68], 'what makes no job does not count, and neither does another run', async (world) => {
  const ledger = await world.open({ jobs })
  await ledger.start()
  for (let n = 0; n < 5; n += 1) await ledger.enqueue(mail, 'ann', { id: 'same' })
  for (let n = 0; n < 5; n += 1) await ledger.enqueue(mail, 'bob', { unique: { key: 'k', window: '1d' } })
  await ledger.result('same')
  await ledger.retry('same')
  expect(await enqueueMails(ledger, 2)).toEqual(['created', 'reached'])
  // One that is there already is told of, whatever the limit.
  expect((await ledger.enqueue(mail, 'ann', { id: 'same' })).outcome).toBe('duplicate')
})

scenario(
  [68],
  'a delayed job counts when it is enqueued, and a clock set back opens no window again',
  async (world) => {
    const ledger = await world.open({ jobs })
    await ledger.enqueue(mail, 'ann', { delay: '5h' })
    await world.clock.advance('1h')
    expect(await enqueueMails(ledger, 4)).toEqual(['created', 'created', 'created', 'reached'])
    const { VirtualClock } = await import('../../adapters/testing/virtual-clock.js')
    const behind = await world.open({ jobs, clock: new VirtualClock(world.clock.now() - HOUR / 2) })
    expect(await rejection(behind.enqueue(mail, 'bob'))).toMatchObject({
      reason: 'exceeded',
      resetsAt: world.clock.now() + HOUR,
    })
  },
)

scenario([68], 'a process whose clock is a year ahead does not shut the type for the others', async (world) => {
  const ledger = await world.open({ jobs })
  const { VirtualClock } = await import('../../adapters/testing/virtual-clock.js')
  const ahead = await world.open({ jobs, clock: new VirtualClock(world.clock.now() + 365 * 24 * HOUR) })
  expect(await enqueueMails(ahead, 5)).toEqual(['created', 'created', 'created', 'reached', 'exceeded'])
  expect(await enqueueMails(ledger, 4)).toEqual(['created', 'created', 'created', 'reached'])
  expect(await rejection(ledger.enqueue(mail, 'x'))).toMatchObject({ resetsAt: world.clock.now() + HOUR })
})

scenario(
  [68],
  'in the caller’s transaction it counts with the transaction',
  async (world) => {
    const ledger = await world.open({ jobs })
    const handle = new Database(world.path)
    const three = (): void => {
      for (let n = 0; n < 3; n += 1) void ledger.tx(handle).enqueue(mail, 'ann')
    }
    handle.exec('BEGIN IMMEDIATE')
    three()
    expect(() => ledger.tx(handle).enqueue(mail, 'bob')).toThrow(expect.objectContaining({ reason: 'reached' }))
    expect(() => ledger.tx(handle).enqueue(mail, 'bob')).toThrow(expect.objectContaining({ reason: 'exceeded' }))
    handle.exec('ROLLBACK')
    handle.exec('BEGIN IMMEDIATE')
    three()
    handle.exec('COMMIT')
    handle.close()
    expect(await enqueueMails(ledger, 1)).toEqual(['reached'])
  },
  SQL,
)

scenario([68], 'a thousand who come at once are let in up to the limit and not beyond', async (world) => {
  const many = defineJob<number, unknown>({ type: 'many', rateLimit: { limit: 400, per: '1m' } })
  const ledgers = [await world.open({ jobs: [many] }), await world.open({ jobs: [many] })]
  const tried = Array.from({ length: 1_000 }, (_, n) => (ledgers[n % 2] as Ledger).enqueue(many, n))
  const settled = await Promise.allSettled(tried)
  const told = settled.map((each) => (each.status === 'fulfilled' ? 'created' : each.reason.reason))
  const count = (wanted: string): number => told.filter((each) => each === wanted).length
  expect([count('created'), count('reached'), count('exceeded')]).toEqual([400, 1, 599])
  expect((await ledgers[0]?.list({ limit: 1_000 }))?.jobs).toHaveLength(400)
})
