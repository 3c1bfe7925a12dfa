/** Whatever an operator does is an event, with who did it and why. */
import { expect } from 'vitest'
import type { Ledger } from '../../runtime/ledger.js'
import type { DeedFilter } from '../../runtime/read/deeds.js'
import { rejection } from '../engine/support.js'
import { standing } from './acts.js'
import { build } from './remote.js'
import { scenario } from './scenario.js'

const told = async (ledger: Ledger, filter: DeedFilter = {}): Promise<string[]> =>
  (await ledger.deeds(filter)).deeds.map(({ deed, subject, ids }) => `${deed} ${subject} ${ids.join('+')}`)

scenario([55], 'every deed is told, newest first, with who did it and why', async (world) => {
  const ledger = await world.open({ retention: { rules: [{ name: 'old', olderThan: '1h' }] } })
  const ann = ledger.as({ user: 'ann', reason: 'ticket 4711' })
  for (const id of ['a', 'b', 'c', 'd']) await ann.enqueue(build, null, { id, held: true })
  await ann.reschedule('a', { priority: 3 })
  await ann.promote('a')
  await ann.cancel('a')
  await ann.retry('a')
  await ann.failUnstarted('a').catch(() => ann.cancel('a'))
  await ann.expunge('a')
  await ann.failUnstarted('c')
  const worker = await ledger.workers.register()
  await ann.workers.pause(worker)
  await ann.workers.resume(worker)
  await ann.workers.remove(worker)
  await ann.queues.pause('q')
  await ann.queues.resume('q')
  await ann.queues.limit('q', { concurrency: 2 })
  await ann.triggers.add({ id: 't', kind: 'client', job: build, payload: null })
  await ann.triggers.update('t', { payload: 1 })
  await ann.triggers.pause('t')
  await ann.triggers.resume('t')
  await ann.triggers.fire('t', { id: 'fired' } as never).catch(() => {})
  await ann.triggers.remove('t')
  await ann.remove('b')
  const all = await ledger.deeds({ limit: 1_000 })
  expect(all.cursor).toBeUndefined()
  const whoAndWhy = all.deeds.map(({ actor, reason }) => ({ actor, reason }))
  expect(whoAndWhy.filter(({ actor }) => actor !== 'ann')).toEqual([])
  // What the verb itself says of why comes first: a worker that is removed is paused for that. What was done to a job that was
  // removed left with it.
  const own = new Set(['ticket 4711', 'to be removed'])
  expect(whoAndWhy.filter(({ reason }) => !own.has(reason ?? ''))).toEqual([])
  expect((await told(ledger, { limit: 1_000 })).filter((deed) => !deed.startsWith('fire'))).toEqual([
    ...['remove job b', 'remove trigger t', 'resume trigger t', 'pause trigger t', 'update trigger t'],
    ...['add trigger t', 'limit queue q', 'resume queue q', 'pause queue q', `remove worker ${worker}`],
    ...[`pause worker ${worker}`, `resume worker ${worker}`, `pause worker ${worker}`, 'fail-unstarted job c'],
    ...['expunge job a', 'fail-unstarted job a', 'retry job a', 'cancel job a', 'promote job a', 'reschedule job a'],
  ])
  const history = await ledger.history('a')
  expect(
    history.filter(({ type }) => !['Finished', 'Queued'].includes(type)).map(({ metadata }) => metadata?.actor),
  ).toEqual(Array(6).fill('ann'))
  // Nobody in person.
  await world.clock.advance('2h')
  await ledger.retention.run()
  expect((await ledger.deeds({ limit: 1 })).deeds).toMatchObject([{ deed: 'remove', rule: 'old' }])
  expect((await ledger.deeds({ limit: 1 })).deeds[0]).not.toHaveProperty('actor')
})

scenario([55], 'deeds come a page at a time, of one actor, of a span of time', async (world) => {
  const ledger = await world.open()
  await ledger.enqueue(build, null, { id: 'a', held: true })
  const begun = world.clock.now()
  for (let n = 0; n < 25; n += 1) {
    await ledger.as({ user: n % 5 === 0 ? 'bob' : 'ann' }).reschedule('a', { priority: n })
    await world.clock.advance(n < 20 ? '4m' : '1s')
  }
  const prioritiesOf = (deeds: readonly { readonly data: object }[]): number[] =>
    deeds.map(({ data }) => (data as { priority: number }).priority)
  const seen: number[] = []
  let cursor: string | undefined
  let pages = 0
  do {
    const page = await ledger.deeds({ limit: 10, ...(cursor !== undefined && { cursor }) })
    seen.push(...prioritiesOf(page.deeds))
    cursor = page.cursor
    pages += 1
  } while (cursor !== undefined)
  expect(seen).toEqual(Array.from({ length: 25 }, (_, n) => 24 - n))
  expect(pages).toBe(3)
  expect(prioritiesOf((await ledger.deeds({ actor: 'bob' })).deeds)).toEqual([20, 15, 10, 5, 0])
  const until = begun + 10 * 240_000
  expect(prioritiesOf((await ledger.deeds({ from: begun + 3 * 240_000, until })).deeds)).toEqual([
    10, 9, 8, 7, 6, 5, 4, 3,
  ])
  expect((await ledger.deeds({ until: begun - 1 })).deeds).toEqual([])
})

scenario([55], 'of a job that was removed its history says by whom and why', async (world) => {
  const work = standing('work')
  const ledger = await world.open({ jobs: [work.job] })
  await ledger.enqueue(work.job, null, { id: 'a', held: true })
  await ledger.as({ user: 'ann', reason: 'by mistake' }).remove('a')
  expect(await rejection(ledger.history('a'))).toMatchObject({
    ...{
      code: 'JOB_REMOVED',
      outcome: 'cancelled',
      removal: { at: expect.any(Number), actor: 'ann', reason: 'by mistake' },
    },
    message: expect.stringMatching(/^Job a was removed at .* by ann \(by mistake\); it had been cancelled\.$/),
  })
})

scenario([55], 'what is asked of deeds and makes no sense is refused by its name', async (world) => {
  const ledger = await world.open()
  for (const [filter, option] of [
    [{ limit: 0 }, 'deeds.limit'],
    [{ limit: 1_001 }, 'deeds.limit'],
    [{ from: 'yesterday' }, 'deeds.from'],
    [{ from: 2_000, until: 1_000 }, 'deeds.until'],
    [{ actor: '' }, 'deeds.actor'],
    [{ cursor: 7 }, 'deeds.cursor'],
    [{ cursor: 'later' }, 'deeds.cursor'],
    [{ by: 'ann' }, 'deeds.by'],
  ] as const)
    expect(await rejection(ledger.deeds(filter as never))).toMatchObject({ code: 'INVALID_OPTION', option })
})
