/** A job type may refuse a job, or not want it, before anything of it is stored. */
import { runInNewContext } from 'node:vm'
import Database from 'better-sqlite3'
import { expect } from 'vitest'
import { z } from 'zod'
import type { JobDefaults, JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { EnqueueFacts } from '../../runtime/work/run/hooks.js'
import { isEmpty, rejection } from '../engine/support.js'
import { echo } from './acts.js'
import { SQL, scenario } from './scenario.js'

type Before = NonNullable<JobDefaults<string>['before']>

const guarded = (before: Before): JobDefinition<string, string> =>
  defineJob({ type: 'guarded', before, handle: (text: string) => text })

/** Wants what its payload says, a moment later. */
const late = guarded(async (payload) => {
  if (payload === 'refused') throw new Error('not today')
  return payload !== 'unwanted'
})

scenario(
  [47, '002.40'],
  'a job that its type does not want comes back as skipped; nothing of it is stored or run',
  async (world) => {
    const ran: string[] = []
    const job = defineJob({
      type: 'mail',
      before: (to: string) => to !== 'gone@example.org',
      handle: (to) => void ran.push(to),
    })
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    const skipped = await ledger.enqueue(job, 'gone@example.org', { id: 'mine' })
    expect([skipped.id, skipped.outcome]).toEqual(['mine', 'skipped'])
    const error = { code: 'JOB_SKIPPED', family: 'run', jobId: 'mine' }
    expect(await rejection(skipped.result())).toMatchObject(error)
    expect(await rejection(ledger.status('mine'))).toMatchObject({ code: 'JOB_UNKNOWN' })
    expect(await isEmpty(ledger)).toBe(true)
    const again = await ledger.enqueue(job, 'ann@example.org', { id: 'mine' })
    await again.result()
    expect([again.outcome, ran]).toEqual(['created', ['ann@example.org']])
  },
)

scenario(
  [47, '002.40'],
  'a type that throws refuses the enqueue: nothing is stored, and its error is at hand',
  async (world) => {
    const fault = new TypeError('no quota')
    for (const before of [
      () => Promise.reject(fault),
      () => {
        throw fault
      },
    ]) {
      const ledger = await world.open()
      const refused = await rejection(ledger.enqueue(guarded(before), 'x'))
      expect(refused).toMatchObject({ code: 'ENQUEUE_REFUSED', family: 'job', type: 'guarded', cause: fault })
      expect((refused as Error).message).toBe('`before` of type "guarded" refuses `enqueue`: no quota')
      expect(await isEmpty(ledger)).toBe(true)
    }
  },
)

scenario([47], 'it is told of the job that is to be, with the payload as its handler would get it', async (world) => {
  const told: [unknown, EnqueueFacts][] = []
  const job = defineJob({
    type: 'order',
    queue: 'shop',
    priority: 3,
    schema: z.object({ id: z.number(), note: z.string().default('none') }),
    before: (payload, facts) => void told.push([payload, facts]),
    handle: ({ note }) => note,
  })
  const ledger = await world.open({ jobs: [job] })
  const { id } = await ledger.enqueue(job, { id: 7 })
  const at = world.clock.now() + 60_000
  await ledger.as({ user: 'ann' }).enqueue(
    job,
    { id: 8, note: 'x' },
    {
      ...{ id: 'own', queue: 'q', channel: 'blue', name: 'a name', priority: 'high', delay: '1m', manual: true },
    },
  )
  const nothing = { name: undefined, runAt: undefined, user: undefined }
  expect(told).toEqual([
    [
      { id: 7, note: 'none' },
      { id, type: 'order', queue: 'shop', channel: '', priority: 3, manual: false, ...nothing },
    ],
    [
      { id: 8, note: 'x' },
      {
        ...{ id: 'own', type: 'order', queue: 'q', channel: 'blue', name: 'a name', priority: -1, runAt: at },
        ...{ user: 'ann', manual: true },
      },
    ],
  ])
})

scenario([47], 'it is asked by whoever enqueues, when all else is known to be right', async (world) => {
  const asked: string[] = []
  const job = guarded((payload) => void asked.push(payload))
  const ledger = await world.open({ jobs: [job] })
  expect(await rejection(ledger.enqueue(job, 'bad', { priority: 1.5 }))).toMatchObject({ code: 'INVALID_OPTION' })
  const unstorable = () => {}
  expect(await rejection(ledger.enqueue(job, unstorable as never))).toMatchObject({ code: 'INVALID_PAYLOAD' })
  expect(asked).toEqual([])
  // Twice the same is asked about twice; a retry is no enqueue; a definition of one's own is no way around.
  await ledger.enqueue(job, 'same', { id: 'same' })
  expect((await ledger.enqueue(job, 'same', { id: 'same' })).outcome).toBe('duplicate')
  await ledger.cancel('same')
  await ledger.retry('same')
  await ledger.enqueue(defineJob<string, string>({ type: 'guarded' }), 'elsewhere')
  expect(asked).toEqual(['same', 'same', 'elsewhere'])
  const client = await world.open()
  await client.enqueue(job, 'from a client')
  expect(asked.slice(3)).toEqual(['from a client'])
})

scenario([2, 47, '002.40'], 'of a batch the unwanted are left out, and one refusal refuses all', async (world) => {
  const ledger = await world.open({ jobs: [late, echo] })
  await ledger.start()
  const batch = (...payloads: readonly string[]) => payloads.map((payload) => ({ job: late, payload }))
  const mixed = await ledger.enqueueMany([
    ...[{ job: echo as JobDefinition, payload: 1 }, ...batch('a', 'unwanted', 'b', 'unwanted')],
    { job: echo, payload: 2 },
  ])
  expect(mixed.map(({ outcome }) => outcome)).toEqual([
    ...['created', 'created', 'skipped', 'created', 'skipped', 'created'],
  ])
  const results = await Promise.allSettled(mixed.map((job) => job.result()))
  expect(results.map((each) => (each.status === 'fulfilled' ? each.value : each.reason.code))).toEqual([
    ...[1, 'a', 'JOB_SKIPPED', 'b', 'JOB_SKIPPED', 2],
  ])
  const before = (await ledger.list()).jobs.length
  const refused = await rejection(ledger.enqueueMany(batch('c', 'unwanted', 'refused')))
  expect(refused).toMatchObject({ code: 'ENQUEUE_REFUSED', message: expect.stringContaining('`enqueueMany[2]`') })
  const none = await ledger.enqueueMany(batch('unwanted', 'unwanted'))
  expect(none.map(({ outcome }) => outcome)).toEqual(['skipped', 'skipped'])
  expect((await ledger.list()).jobs).toHaveLength(before)
})

scenario(
  [19, 47],
  'a job cannot wait for one that was skipped, not even for an older one of that id',
  async (world) => {
    const ledger = await world.open({ jobs: [late, echo] })
    const batch = [
      { job: late, payload: 'unwanted', options: { id: 'first' } },
      { job: late, payload: 'wanted', options: { id: 'second', dependsOn: ['first'] } },
    ]
    const unknown = { code: 'DEPENDENCY_UNKNOWN', jobId: 'second', dependency: 'first' }
    expect(await rejection(ledger.enqueueMany(batch))).toMatchObject(unknown)
    expect(await isEmpty(ledger)).toBe(true)
    await ledger.enqueue(late, 'wanted', { id: 'first' })
    expect(await rejection(ledger.enqueueMany(batch))).toMatchObject(unknown)
    const both = batch.map((element) => ({ ...element, payload: 'unwanted' }))
    expect((await ledger.enqueueMany(both)).map(({ outcome }) => outcome)).toEqual(['skipped', 'skipped'])
  },
)

scenario([47], 'an answer that is neither yes nor no is refused, as soon as it is there', async (world) => {
  const ledger = await world.open()
  for (const [answer, received] of [
    ['skip', '"skip"'],
    [0, '0'],
    [null, 'null'],
    [Promise.resolve('no'), '"no"'],
  ] as const) {
    const refused = { code: 'INVALID_OPTION', option: 'defineJob.before()', received }
    expect(await rejection(ledger.enqueue(guarded((() => answer) as never), 'x'))).toMatchObject(refused)
  }
  // Not every promise is one of ours.
  const foreign: unknown = runInNewContext('Promise.resolve(false)')
  expect((await ledger.enqueue(guarded((() => foreign) as never), 'x')).outcome).toBe('skipped')
  expect(await isEmpty(ledger)).toBe(true)
})

scenario(
  [3, 47],
  'inside the caller’s transaction it must answer at once; what it skips or refuses leaves the transaction as it was',
  async (world) => {
    const ledger = await world.open({ jobs: [echo] })
    const job = guarded((payload) => {
      if (payload === 'refused') throw new Error('not today')
      return payload !== 'unwanted'
    })
    const db = new Database(world.path)
    try {
      db.exec('BEGIN IMMEDIATE')
      const tx = ledger.tx(db)
      expect((await tx.enqueue(job, 'wanted', { id: 'wanted' })).outcome).toBe('created')
      const skipped = await tx.enqueue(job, 'unwanted')
      expect(skipped.outcome).toBe('skipped')
      expect(await rejection(skipped.result())).toMatchObject({ code: 'JOB_SKIPPED' })
      const mixed = await tx.enqueueMany(
        ['unwanted', 'also wanted'].map((payload) => ({ job, payload, options: { id: payload } })),
      )
      expect(mixed.map(({ id, outcome }) => [id, outcome])).toEqual([
        ['unwanted', 'skipped'],
        ['also wanted', 'created'],
      ])
      expect(() => tx.enqueue(job, 'refused')).toThrow(expect.objectContaining({ code: 'ENQUEUE_REFUSED' }))
      const slow = { code: 'INVALID_OPTION', option: 'enqueue.job', received: '"guarded"' }
      for (const payload of ['wanted', 'refused']) {
        expect(() => tx.enqueue(late, payload)).toThrow(expect.objectContaining(slow))
      }
      db.exec('COMMIT')
    } finally {
      db.close()
    }
    const ids: string[] = []
    for await (const page of (await world.store()).readAll()) ids.push(...page.map(({ stream }) => stream))
    expect(ids.toSorted()).toEqual(['job-also wanted', 'job-wanted'])
  },
  SQL,
)
