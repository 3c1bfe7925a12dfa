/** What is left of jobs that were removed: in the log, in the totals, and in what every ledger on it answers. */
import { rm } from 'node:fs/promises'
import { expect } from 'vitest'
import { MemoryViews } from '../../adapters/memory/views.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { World } from '../engine/support.js'
import { ledgerOn, memory, rejection } from '../engine/support.js'
import { end, idsIn, running, TYPES, work } from './ends.js'
import { SQL, scenario } from './scenario.js'

const OUTCOMES = ['succeeded', 'failed', 'cancelled'] as const
const DUE = { rules: [{ name: 'cleaner', queue: 'q', maxCount: 0 }] }

/** Jobs of every outcome that are removed, some that stay, and some that depend on removed ones. */
async function story(world: World, ledger: Ledger): Promise<void> {
  for (const outcome of OUTCOMES) {
    await end(ledger, `gone ${outcome}`, outcome, { queue: 'q' })
    await end(ledger, `stays ${outcome}`, outcome)
    await world.clock.advance('1s')
  }
  await ledger.as({ user: 'ann', reason: 'spring clean' }).retention.run(DUE)
  await ledger.enqueue(work, 'x', { id: 'blocked', dependsOn: ['gone failed'] })
  await ledger.enqueue(work, 'x', { id: 'free', held: true, dependsOn: ['gone succeeded'] })
}

/** All that anybody can ask about it. */
async function answers(ledger: Ledger): Promise<unknown> {
  const removed = await Promise.all(OUTCOMES.map((outcome) => rejection(ledger.status(`gone ${outcome}`))))
  return {
    removed: removed.map((error) => (error as { code: string; outcome: string }).outcome),
    stats: await ledger.queues.stats(),
    jobs: (await ledger.list({ limit: 1_000 })).jobs,
    edges: await Promise.all(['blocked', 'free'].map(async (id) => (await ledger.status(id)).dependsOn)),
    blockedBy: await Promise.all(['blocked', 'free'].map(async (id) => (await ledger.status(id)).blockedBy)),
    dependents: (await ledger.status('stays failed')).dependents,
    errors: await ledger.dependencyErrors('blocked'),
  }
}

async function auditOf(world: World): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = []
  for await (const page of (await world.store()).readStream('audit')) events.push(...page)
  // Where a removal takes several appends it is also said when all are done.
  return events.filter(({ type }) => type !== 'StreamsRemoved')
}

scenario(
  [75, 'C21'],
  'a removal is an event: which rule took which jobs, how they had ended, and who asked for it',
  async (world) => {
    const ledger = await running(world)
    const before = world.clock.now()
    await story(world, ledger)
    const [removal, ...more] = await auditOf(world)
    expect(more).toEqual([])
    expect(removal).toMatchObject({
      ...{ stream: 'audit', type: 'JobsRemoved', revision: 0 },
      metadata: { actor: 'ann', reason: 'spring clean' },
    })
    const { rule, jobs } = (removal as RecordedEvent).data as { rule: string; jobs: { id: string }[] }
    expect(rule).toBe('cleaner')
    expect(jobs.toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual([
      {
        id: 'gone cancelled',
        outcome: 'cancelled',
        queue: 'q',
        type: 'work',
        queuedAt: before + 2_000,
        position: expect.any(String),
      },
      {
        id: 'gone failed',
        outcome: 'failed',
        queue: 'q',
        type: 'work',
        queuedAt: before + 1_000,
        position: expect.any(String),
      },
      {
        id: 'gone succeeded',
        outcome: 'succeeded',
        queue: 'q',
        type: 'work',
        queuedAt: before,
        position: expect.any(String),
      },
    ])
  },
)

scenario(
  [75, 'C21'],
  'a removed job is in no list, its history is gone, and whoever asks is told how it had ended',
  async (world) => {
    const ledger = await running(world)
    await story(world, ledger)
    expect(await idsIn(ledger)).toEqual(['blocked', 'free', 'stays cancelled', 'stays failed', 'stays succeeded'])
    expect((await ledger.list({ queue: 'q' })).jobs).toEqual([])
    const store = await world.store()
    for (const outcome of OUTCOMES) {
      const id = `gone ${outcome}`
      const told = { code: 'JOB_REMOVED', jobId: id, outcome }
      for (const ask of [
        () => ledger.status(id),
        () => ledger.history(id),
        () => ledger.attempts(id),
        () => ledger.result(id),
        () => ledger.retry(id),
        () => ledger.remove(id),
        () => ledger.expunge(id),
      ]) {
        expect(await rejection(ask())).toMatchObject(told)
      }
      const events: RecordedEvent[] = []
      for await (const page of store.readStream(`job-${id}`)) events.push(...page)
      expect(events).toEqual([])
      // The name stays burnt.
      expect(await rejection(ledger.enqueue(work, 'x', { id }))).toMatchObject({ code: 'STREAM_REMOVED' })
    }
    expect(await idsIn(ledger)).toHaveLength(5)
  },
)

scenario([75, 'C21'], 'totals are of all that ever was: a removal does not change them', async (world) => {
  const ledger = await running(world)
  for (const outcome of OUTCOMES) for (const n of [1, 2]) await end(ledger, `${outcome} ${n}`, outcome, { queue: 'q' })
  const before = await ledger.queues.stats()
  await ledger.remove('failed 1')
  await ledger.retention.run(DUE)
  expect(await idsIn(ledger)).toEqual([])
  expect(await ledger.queues.stats()).toEqual(before)
  expect(before.q).toMatchObject({ succeeded: 2, failed: 2, cancelled: 2, ready: 0 })
})

scenario(
  [75, 76],
  'another ledger on the same log gives the same answers, at once and when it comes later',
  async (world) => {
    const ledger = await running(world)
    const witness = await world.open()
    await story(world, ledger)
    const expected = await answers(ledger)
    expect(await answers(witness)).toEqual(expected)
    const late = await world.open()
    expect(await answers(late)).toEqual(expected)
    await world.clock.advance('5s')
    expect(await answers(witness)).toEqual(expected)
  },
)

scenario([75, 76], 'a ledger opened again gives the same answers', async (world) => {
  const ledger = await running(world)
  await story(world, ledger)
  const expected = await answers(ledger)
  await world.close(ledger)
  for (let n = 0; n < 2; n += 1) {
    const again = await world.open()
    expect(await answers(again)).toEqual(expected)
    await world.close(again)
  }
})

async function withoutViews(world: World): Promise<Ledger> {
  for (const suffix of ['', '-wal', '-shm']) await rm(`${world.path}-views${suffix}`, { force: true })
  return world.open()
}

scenario(
  [75, 76],
  'views that were lost are built again from the log: same totals, same rows, same answers for what was removed',
  async (world) => {
    const ledger = await running(world)
    await story(world, ledger)
    const expected = await answers(ledger)
    await world.close(ledger)
    const rebuilt = await withoutViews(world)
    expect(await answers(rebuilt)).toEqual(expected)
    await world.close(rebuilt)
    const again = await world.open({ jobs: TYPES })
    expect(await answers(again)).toEqual(expected)
    await again.start()
    await again.promote('free')
    expect(await again.result('free')).toBe('x')
    expect(await again.retention.run({ rules: [{ maxCount: 0 }] })).toMatchObject({ removed: 4, kept: 0 })
  },
  SQL,
)

scenario(
  [75, 76, 35],
  'views lost while ledgers are open are made good with all that was removed',
  async (world) => {
    const ledger = await running(world)
    await story(world, ledger)
    const expected = await answers(ledger)
    for (const suffix of ['', '-wal', '-shm']) await rm(`${world.path}-views${suffix}`, { force: true })
    // Anything to be saved shows that they are gone.
    await ledger.reschedule('free', { priority: 0 })
    expect(await answers(ledger)).toEqual(expected)
    await world.close(ledger)
    const again = await world.open()
    expect(await answers(again)).toEqual(expected)
  },
  SQL,
)

scenario(
  [75, 76, 35],
  'who waited for a job that was removed by force finds its edge as it was, also in views built again',
  async (world) => {
    const ledger = await running(world)
    await end(ledger, 'good')
    await ledger.enqueue(work, 'x', { id: 'bad', held: true })
    await ledger.enqueue(work, 'x', { id: 'free', held: true, dependsOn: ['good'] })
    await ledger.enqueue(work, 'x', { id: 'open', held: true })
    await ledger.enqueue(work, 'x', { id: 'met later', held: true, dependsOn: ['open'] })
    await ledger.enqueue(work, 'x', { id: 'never', dependsOn: ['bad'] })
    await ledger.enqueue(work, 'x', { id: 'eager', held: true, dependsOn: [{ id: 'bad', otherwise: 'run' }] })
    await ledger.promote('open')
    await ledger.result('open')
    for (const id of ['good', 'bad', 'open']) await ledger.remove(id, { force: true })
    const look = (of: Ledger): Promise<unknown> =>
      Promise.all(
        ['free', 'met later', 'never', 'eager'].map(async (id) => {
          const { state, blockedBy } = await of.status(id)
          return [id, state, blockedBy]
        }),
      )
    const expected = [
      ['free', 'held', []],
      ['met later', 'held', []],
      ['never', 'blocked', ['bad']],
      ['eager', 'held', []],
    ]
    expect(await look(ledger)).toEqual(expected)
    await world.close(ledger)
    const rebuilt = await withoutViews(world)
    expect(await look(rebuilt)).toEqual(expected)
    await world.close(rebuilt)
    const again = await world.open({ jobs: TYPES })
    expect(await look(again)).toEqual(expected)
    await again.start()
    for (const id of ['free', 'met later', 'eager']) {
      await again.promote(id)
      expect(await again.result(id)).toBe('x')
    }
  },
  SQL,
)

scenario(
  [75, 76],
  'a fold of the whole log that has never seen the removed jobs counts them once',
  async (world) => {
    const ledger = await running(world)
    await story(world, ledger)
    const expected = await answers(ledger)
    for (let n = 0; n < 2; n += 1) {
      const fresh = await ledgerOn(await world.store(), new MemoryViews(), world.clock)
      expect(await answers(fresh)).toEqual(expected)
      await world.close(fresh)
    }
  },
  [memory],
)

scenario([75, 76, 28], 'a removal that was cut off after its first step has done no harm', async (world) => {
  const ledger = await running(world)
  await end(ledger, 'a')
  // All that the process got to before it died.
  const event = {
    stream: 'job-a',
    id: crypto.randomUUID(),
    type: 'Condemned',
    at: world.clock.now(),
    data: { rule: 'all' },
  }
  await (await world.store()).append([{ expect: new Map([['job-a', 2]]), events: [event] }])
  expect(await ledger.status('a')).toMatchObject({ state: 'succeeded', result: 'succeeded' })
  await ledger.enqueue(work, 'x', { id: 'after', held: true, dependsOn: ['a'] })
  expect(await ledger.status('after')).toMatchObject({ blockedBy: [], dependsOn: [{ id: 'a', now: 'met' }] })
  await ledger.retry('a')
  expect(await ledger.result('a')).toBe('succeeded')
  const rules = [{ maxCount: 0 }]
  expect(await ledger.retention.run({ rules })).toMatchObject({ removed: 0, kept: 1 })
  await ledger.promote('after')
  await ledger.result('after')
  expect(await ledger.retention.run({ rules })).toMatchObject({ removed: 2, kept: 0 })
})
