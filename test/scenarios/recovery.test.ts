/** What a ledger finds when it is opened: all that was left, and nothing that was not. */

import { rm } from 'node:fs/promises'
import Database from 'better-sqlite3'
import { expect } from 'vitest'
import type { NewEvent } from '../../domain/event.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { EventStore } from '../../runtime/ports/event-store.js'
import type { World } from '../engine/support.js'
import { factsOf, leaseElsewhere, next, rejection, typesOf } from '../engine/support.js'
import { end, idsIn, running, TYPES, work } from './ends.js'
import { SQL, scenario } from './scenario.js'

scenario(
  [76],
  'whatever was waiting is there again: at once, at its time, held, and behind what it depends on',
  async (world) => {
    const before = await world.open()
    await before.enqueue(work, 'x', { id: 'ready' })
    await before.enqueue(work, 'x', { id: 'later', delay: '1m' })
    await before.enqueue(work, 'x', { id: 'held', held: true })
    await before.enqueue(work, 'x', { id: 'after', dependsOn: ['later'] })
    await before.enqueue(work, 'x', { id: 'cancelled' })
    await before.cancel('cancelled')
    await world.close(before)
    const after = await running(world)
    expect(await after.result('ready')).toBe('x')
    await world.clock.advance('50s')
    const states = async (): Promise<string[]> =>
      Promise.all(['later', 'held', 'after', 'cancelled'].map(async (id) => (await after.status(id)).state))
    expect(await states()).toEqual(['scheduled', 'held', 'blocked', 'cancelled'])
    await world.clock.advance('10s')
    expect(await after.result('after')).toBe('x')
    await world.clock.advance('10m')
    expect(await states()).toEqual(['succeeded', 'held', 'succeeded', 'cancelled'])
  },
)

scenario([76], 'opening and closing leaves the log as it was', async (world) => {
  const before = await running(world)
  for (const outcome of ['succeeded', 'failed', 'cancelled'] as const) await end(before, outcome, outcome)
  await before.enqueue(work, 'x', { id: 'waits', delay: '1h' })
  await world.close(before)
  const store = await world.store()
  const head = await store.head()
  for (let n = 0; n < 3; n += 1) {
    const again = await world.open({ jobs: TYPES })
    await again.list()
    await again.queues.stats()
    await world.close(again)
  }
  expect(await store.head()).toBe(head)
})

scenario(
  [76, 12],
  'a run that nobody finished is taken back once its lease is over, and has spent no attempt',
  async (world) => {
    const before = await world.open()
    await before.enqueue(work, 'x', { id: 'a' })
    await before.enqueue(work, 'x', { id: 'after', dependsOn: ['a'] })
    const leased = next(before, 'a', 'Leased')
    const expiresAt = world.clock.now() + 30_000
    await leaseElsewhere(await world.store(), world.clock, 'a', { token: 'foreign', expiresAt })
    await leased
    await world.close(before)
    const after = await running(world)
    await world.clock.advance('34s')
    expect(await after.status('a')).toMatchObject({ state: 'running', run: 1 })
    expect(await world.pass(after.result('after'))).toBe('x')
    expect(await after.status('a')).toMatchObject({ state: 'succeeded', run: 2, attempt: 1 })
    expect(await factsOf(after, 'a', 'Failed')).toMatchObject([{ cause: 'lease-lost' }])
  },
)

scenario([76, 32], 'a job that was cancelled while it ran does not come back', async (world) => {
  const before = await world.open()
  await before.enqueue(work, 'x', { id: 'a' })
  const leased = next(before, 'a', 'Leased')
  const expiresAt = world.clock.now() + 30_000
  await leaseElsewhere(await world.store(), world.clock, 'a', { token: 'foreign', expiresAt })
  await leased
  await before.cancel('a')
  await world.close(before)
  const after = await running(world)
  await world.clock.advance('2m')
  expect(await typesOf(after, 'a')).toEqual(['Queued', 'Leased', 'Cancelled'])
  expect(await after.staleLeases(0)).toEqual([])
})

scenario([76], 'keys that were claimed, totals and attempts are as they were', async (world) => {
  const before = await running(world)
  await end(before, 'a', 'failed')
  await before.enqueue(work, 'x', { id: 'holder', held: true, unique: { key: 'k' } })
  const stats = await before.queues.stats()
  const attempts = await before.attempts('a')
  await world.close(before)
  const after = await world.open()
  expect(await after.queues.stats()).toEqual(stats)
  expect(await after.attempts('a')).toEqual(attempts)
  expect(await after.enqueue(work, 'x', { unique: { key: 'k' } })).toMatchObject({ id: 'holder', outcome: 'duplicate' })
})

async function append(store: EventStore, stream: string, revision: number, event: Partial<NewEvent>): Promise<void> {
  const data = {
    type: 'work',
    queue: 'default',
    maxAttempts: 1,
    timeoutMs: null,
    backoff: { min: 1, max: 1, factor: 1, jitter: 'none' },
  }
  const body = { salt: new Uint8Array(16), content: '"x"' }
  const fresh = { stream, id: crypto.randomUUID(), type: 'Queued', at: 0, data, body, ...event }
  const expect = new Map([[stream, revision === 0 ? ('none' as const) : revision - 1]])
  const [outcome] = await store.append([{ expect, events: [fresh] }])
  if (outcome?.kind !== 'ok') throw new Error(`not stored: ${outcome?.kind}`)
}

const skips = (world: World): unknown[] =>
  world.log
    .filter(({ level, message }) => level === 'error' && message === 'event skipped: it does not fit its stream')
    .map(({ facts: { stream, revision } }) => [stream, revision])

const ODD: readonly (readonly [string, Partial<NewEvent>])[] = [
  ['of a newer version', { metadata: { schemaVersion: '2' } }],
  ['of a version that is none', { metadata: { schemaVersion: 'two' } }],
  ['of a type that nobody knows', { type: 'Exploded' }],
  ['that cannot come first', { type: 'Finished', data: { outcome: 'succeeded' } }],
]

scenario(
  [77],
  'an event of a newer version, or that makes no sense, is skipped and reported; all else goes on',
  async (world) => {
    const store = await world.store()
    const before = await world.open()
    await before.enqueue(work, 'x', { id: 'before' })
    for (const [name, event] of ODD) await append(store, `job-${name}`, 0, { ...event, at: world.clock.now() })
    await before.enqueue(work, 'x', { id: 'after', dependsOn: ['before'] })
    await world.clock.advance('2s')
    expect(skips(world)).toEqual(ODD.map(([name]) => [`job-${name}`, 0]))
    await world.close(before)
    const again = await running(world)
    expect(await again.result('after')).toBe('x')
    expect(await idsIn(again)).toEqual(['after', 'before'])
    expect((await again.queues.stats()).default).toMatchObject({ succeeded: 2, ready: 0 })
  },
)

scenario([77], 'whoever asks for such a job is told why it cannot be read', async (world) => {
  const store = await world.store()
  const ledger = await running(world)
  await append(store, 'job-new', 0, { metadata: { schemaVersion: '2' }, at: world.clock.now() })
  await world.clock.advance('2s')
  for (const ask of [
    () => ledger.status('new'),
    () => ledger.history('new'),
    () => ledger.cancel('new'),
    () => ledger.enqueue(work, 'x', { dependsOn: ['new'] }),
  ]) {
    expect(await rejection(ask())).toMatchObject({ code: 'UNKNOWN_EVENT_VERSION', stream: 'job-new', found: '2' })
  }
  expect((await ledger.enqueue(work, 'x')).outcome).toBe('created')
})

scenario([77], 'a job whose later event cannot be understood stays as it was before that one', async (world) => {
  const store = await world.store()
  const ledger = await world.open()
  await ledger.enqueue(work, 'x', { id: 'a', held: true })
  await append(store, 'job-a', 1, {
    ...{ type: 'Rescheduled', data: { held: false }, metadata: { schemaVersion: '9' }, at: world.clock.now() },
  })
  await world.clock.advance('2s')
  expect(skips(world)).toEqual([['job-a', 1]])
  expect((await ledger.list()).jobs).toMatchObject([{ id: 'a', state: 'held' }])
  expect(await rejection(ledger.promote('a'))).toMatchObject({ code: 'UNKNOWN_EVENT_VERSION' })
})

async function opened(world: World, options: { readonly withoutViews?: true } = {}): Promise<Ledger> {
  if (options.withoutViews) {
    for (const suffix of ['', '-wal', '-shm']) await rm(`${world.path}-views${suffix}`, { force: true })
  }
  return running(world)
}

function damage(world: World, where: string): void {
  const db = new Database(world.path)
  const { changes } = db.prepare(`UPDATE jobledger_events SET data = '{broken' WHERE ${where}`).run()
  db.close()
  if (changes !== 1) throw new Error(`${changes} records were damaged`)
}

scenario(
  [77],
  'a record that cannot be read costs its own job only, with the views as they were and with new ones',
  async (world) => {
    const before = await world.open()
    for (const id of ['a', 'broken', 'c']) await before.enqueue(work, 'x', { id, queue: id })
    await world.close(before)
    damage(world, "name = 'job-broken'")
    for (const withoutViews of [undefined, true] as const) {
      const ledger = await opened(world, { ...(withoutViews && { withoutViews }) })
      for (const id of ['a', 'c']) expect(await ledger.result(id)).toBe('x')
      await ledger.enqueue(work, 'x', { id: `new ${withoutViews}` })
      expect(await ledger.result(`new ${withoutViews}`)).toBe('x')
      await rejection(ledger.status('broken'))
      await world.close(ledger)
    }
    const told = world.log.filter(({ message }) => message === 'event skipped: its record cannot be read')
    expect(told.length).toBeGreaterThan(0)
    expect(told.every(({ level, facts }) => level === 'error' && typeof facts.position === 'string')).toBe(true)
    const last = await opened(world)
    expect(await idsIn(last)).toEqual(['a', 'c', 'new true', 'new undefined'])
  },
  SQL,
)

scenario(
  [77],
  'a job with a hole in its history is reported, and does not hold up the others, or a ledger that is opened',
  async (world) => {
    const before = await running(world)
    for (const id of ['a', 'holed', 'c']) await end(before, id)
    await world.close(before)
    damage(world, "type = 'Leased' AND stream = (SELECT position FROM jobledger_events WHERE name = 'job-holed')")
    const ledger = await opened(world, { withoutViews: true })
    await end(ledger, 'new')
    expect(skips(world)).toEqual([['job-holed', 2]])
    expect(await rejection(ledger.status('holed'))).toMatchObject({ code: 'ILLEGAL_EVENT' })
    for (const id of ['a', 'c', 'new']) expect(await ledger.status(id)).toMatchObject({ state: 'succeeded' })
    expect(await ledger.retention.run({ rules: [{ maxCount: 0 }] })).toMatchObject({ removed: 3 })
  },
  SQL,
)

scenario(
  [77, 76],
  'views built again from the log leave out what the ledger itself has skipped',
  async (world) => {
    const store = await world.store()
    const ledger = await running(world)
    await append(store, 'job-new', 0, { metadata: { schemaVersion: '2' }, at: world.clock.now() })
    await end(ledger, 'a')
    const rows = await ledger.list()
    for (const suffix of ['', '-wal', '-shm']) await rm(`${world.path}-views${suffix}`, { force: true })
    await ledger.enqueue(work, 'x', { id: 'b', held: true })
    expect(await idsIn(ledger)).toEqual(['a', 'b'])
    expect(rows.jobs.map(({ id }) => id)).toEqual(['a'])
    await world.close(ledger)
    const again = await world.open()
    expect(await idsIn(again)).toEqual(['a', 'b'])
    expect((await again.queues.stats()).default).toMatchObject({ succeeded: 1, held: 1, ready: 0 })
  },
  SQL,
)
