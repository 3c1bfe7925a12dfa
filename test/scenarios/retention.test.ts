/** Which ended jobs retention takes: by what they are, by age, count and size, and by their own say. */
import { expect } from 'vitest'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import { jobStream } from '../../domain/job/events.js'
import type { RetentionRule } from '../../runtime/upkeep/retention.js'
import { rejection } from '../engine/support.js'
import { end, endAll, idsIn, other, running, work } from './ends.js'
import { scenario } from './scenario.js'

const DAY = 86_400_000

scenario([75, 'C21'], 'nothing is ever removed unless somebody asks for it', async (world) => {
  const ledger = await running(world)
  for (const outcome of ['succeeded', 'failed', 'cancelled'] as const) await end(ledger, outcome, outcome)
  await world.close(ledger)
  const later = await world.open({ clock: new VirtualClock(world.clock.now() + 400 * DAY) })
  expect(await idsIn(later)).toEqual(['cancelled', 'failed', 'succeeded'])
  expect(await later.retention.run()).toEqual({ removed: 0, expunged: 0, kept: 0, rules: {} })
  expect(await later.retention.run({ rules: [] })).toEqual({ removed: 0, expunged: 0, kept: 0, rules: {} })
  expect((await later.status('failed')).payload).toBe('failed')
})

const CHOICES: readonly (readonly [Partial<RetentionRule>, gone: string[]])[] = [
  [{ state: 'failed' }, ['failed']],
  [{ state: ['failed', 'cancelled'] }, ['cancelled', 'failed']],
  [{ type: 'other' }, ['other']],
  [{ type: ['other', 'work'], queue: 'q' }, ['queue']],
  [{ queue: ['q', 'nobody’s'] }, ['queue']],
  [{ channel: 'blue' }, ['channel']],
  [{ channel: '', state: 'succeeded', queue: 'default' }, ['other', 'plain']],
  [{ type: 'wor' }, []],
]

scenario(
  [75, 'C21', 'C23'],
  'a rule takes jobs by state, type, queue and channel, each an exact match',
  async (world) => {
    const ledger = await running(world)
    const all = ['cancelled', 'channel', 'failed', 'other', 'plain', 'queue']
    await end(ledger, 'plain')
    await end(ledger, 'failed', 'failed')
    await end(ledger, 'cancelled', 'cancelled')
    await end(ledger, 'other', 'succeeded', { type: other })
    await end(ledger, 'queue', 'succeeded', { queue: 'q' })
    await end(ledger, 'channel', 'succeeded', { channel: 'blue' })
    for (const [choice, gone] of CHOICES) {
      const rules = [{ ...choice, maxCount: 0 }]
      const counts = { removed: gone.length, expunged: 0, kept: 0 }
      expect(await ledger.retention.run({ rules, dryRun: true })).toMatchObject(counts)
      expect(await idsIn(ledger)).toEqual(all)
    }
    const rules = CHOICES.map(([choice], n) => ({ ...choice, name: `n${n}`, maxCount: 0 }))
    const report = await ledger.retention.run({ rules })
    expect(report).toEqual({
      ...{ removed: 6, expunged: 0, kept: 0 },
      rules: Object.fromEntries(
        [1, 1, 1, 1, 0, 1, 1].flatMap((removed, n) =>
          removed > 0 ? [[`n${n}`, { removed, expunged: 0, kept: 0 }]] : [],
        ),
      ),
    })
    expect(await idsIn(ledger)).toEqual([])
  },
)

scenario(
  [75, 'C21'],
  'age counts from the end, strictly: exactly as old as the rule says is not older',
  async (world) => {
    const ledger = await running(world)
    await ledger.enqueue(work, 'x', { id: 'late end', delay: '10m' })
    await ledger.enqueue(work, 'x', { id: 'waits', held: true })
    await end(ledger, 'early end')
    const rules = [{ olderThan: '1m' }]
    await world.clock.advance('1m')
    expect((await ledger.retention.run({ rules })).removed).toBe(0)
    await world.clock.advance(1)
    expect((await ledger.retention.run({ rules })).removed).toBe(1)
    await world.clock.advance('9m')
    await ledger.result('late end')
    // It was queued ten minutes ago, and has only just ended.
    expect((await ledger.retention.run({ rules })).removed).toBe(0)
    await world.clock.advance('5m')
    expect((await ledger.retention.run({ rules })).removed).toBe(1)
    expect(await idsIn(ledger)).toEqual(['waits'])
  },
)

scenario([75, 'C21'], 'a job that was sent round again is as old as its last end', async (world) => {
  const ledger = await running(world)
  await end(ledger, 'a')
  await end(ledger, 'b')
  await world.clock.advance('2m')
  await ledger.retry('a')
  await ledger.result('a')
  expect(await ledger.retention.run({ rules: [{ olderThan: '1m' }] })).toMatchObject({ removed: 1 })
  expect(await idsIn(ledger)).toEqual(['a'])
})

scenario([75, 'C21'], 'of those that ended last so many are left, whenever they were queued', async (world) => {
  const ledger = await running(world)
  await ledger.enqueue(work, 'x', { id: 'first queued', delay: '2m' })
  await endAll(world, ledger, ['a', 'b', 'c', 'd'], '10s')
  await world.clock.advance('2m')
  await ledger.result('first queued')
  expect(await ledger.retention.run({ rules: [{ maxCount: 3 }] })).toMatchObject({ removed: 2 })
  expect(await idsIn(ledger)).toEqual(['c', 'd', 'first queued'])
  expect(await ledger.retention.run({ rules: [{ maxCount: 3 }] })).toMatchObject({ removed: 0 })
  expect(await ledger.retention.run({ rules: [{ maxCount: 0 }] })).toMatchObject({ removed: 3 })
})

scenario([75, 'C21'], 'the count is of the jobs that the rule is about, over more than one page', async (world) => {
  const ledger = await running(world)
  const many = Array.from({ length: 1_100 }, (_, n) => ({ job: work, payload: 'x', options: { id: `m${n}` } }))
  await ledger.enqueueMany(many)
  await end(ledger, 'other', 'succeeded', { type: other })
  await Promise.all(many.map(({ options }) => ledger.result(options.id)))
  const progress: number[] = []
  const report = await ledger.retention.run({
    rules: [{ type: 'work', maxCount: 20 }],
    onProgress: ({ removed }) => void progress.push(removed),
  })
  expect(report).toMatchObject({ removed: 1_080, kept: 0 })
  expect(progress).toEqual([500, 1_000, 1_080])
  expect(await idsIn(ledger)).toHaveLength(21)
})

scenario([75, 'C21'], 'what is over a size goes, the oldest ends first', async (world) => {
  const ledger = await running(world)
  const ids = ['a', 'b', 'c', 'd']
  for (const id of ids) {
    await ledger.enqueue(work, id.repeat(1_000), { id })
    await ledger.result(id)
    await world.clock.advance('1s')
  }
  const sizes = await (await world.store()).sizes(ids.map(jobStream))
  const newest = (count: number): number => sizes.slice(-count).reduce((a, b) => a + b)
  expect(await ledger.retention.run({ rules: [{ maxBytes: newest(4) }], dryRun: true })).toMatchObject({ removed: 0 })
  expect(await ledger.retention.run({ rules: [{ maxBytes: newest(3) - 1 }], dryRun: true })).toMatchObject({
    removed: 2,
  })
  expect(await ledger.retention.run({ rules: [{ maxBytes: newest(3) }] })).toMatchObject({ removed: 1 })
  expect(await idsIn(ledger)).toEqual(['b', 'c', 'd'])
  // Not even the newest alone fits.
  expect(await ledger.retention.run({ rules: [{ maxBytes: 10 }] })).toMatchObject({ removed: 3 })
})

scenario([75, 'C21'], 'the newest so many stay, whatever else the rule says', async (world) => {
  const ledger = await running(world)
  await endAll(world, ledger, ['a', 'b', 'c', 'd'], '1s')
  await world.clock.advance('2m')
  expect(await ledger.retention.run({ rules: [{ olderThan: '1m', keepNewest: 4 }] })).toMatchObject({ removed: 0 })
  expect(await ledger.retention.run({ rules: [{ olderThan: '1m', keepNewest: 3 }] })).toMatchObject({ removed: 1 })
  expect(await ledger.retention.run({ rules: [{ maxCount: 0, keepNewest: 2 }] })).toMatchObject({ removed: 1 })
  expect(await ledger.retention.run({ rules: [{ maxBytes: 0, keepNewest: 1 }] })).toMatchObject({ removed: 1 })
  expect(await idsIn(ledger)).toEqual(['d'])
})

scenario(
  [75, 'C21'],
  'limits of one rule add up: a job goes when it is too old, or too many, or too much',
  async (world) => {
    const ledger = await running(world)
    await endAll(world, ledger, ['a', 'b', 'c', 'd', 'e'], '1m')
    // `a` and `b` are older than 3m30; four are too many.
    expect(await ledger.retention.run({ rules: [{ olderThan: '3m30s', maxCount: 4 }], dryRun: true })).toMatchObject({
      removed: 2,
    })
    expect(await ledger.retention.run({ rules: [{ olderThan: '2m', maxCount: 2 }] })).toMatchObject({ removed: 3 })
    expect(await idsIn(ledger)).toEqual(['d', 'e'])
  },
)

scenario([75, 'C21'], 'rules are applied in order, each to what those before it have left', async (world) => {
  const ledger = await running(world)
  for (const id of ['a', 'b', 'c', 'd']) {
    await end(ledger, `work ${id}`)
    await end(ledger, `other ${id}`, 'succeeded', { type: other })
    await world.clock.advance('1s')
  }
  const rules: RetentionRule[] = [
    { name: 'no others', type: 'other', maxCount: 0 },
    { name: 'three of all', maxCount: 3 },
    { name: 'all but the last', maxCount: 1 },
  ]
  const expected = {
    ...{ removed: 7, expunged: 0, kept: 0 },
    rules: {
      'no others': { removed: 4, expunged: 0, kept: 0 },
      'three of all': { removed: 1, expunged: 0, kept: 0 },
      'all but the last': { removed: 2, expunged: 0, kept: 0 },
    },
  }
  expect(await ledger.retention.run({ rules, dryRun: true })).toEqual(expected)
  expect(await idsIn(ledger)).toHaveLength(8)
  expect(await ledger.retention.run({ rules })).toEqual(expected)
  expect(await idsIn(ledger)).toEqual(['work d'])
})

scenario([75, 'C21'], 'a rule without a name is told by its place, also in what it leaves behind', async (world) => {
  const ledger = await running(world)
  await end(ledger, 'a')
  const seen: unknown[] = []
  ledger.events$.subscribe(({ type, data }) => {
    if (type === 'JobsRemoved' || type === 'Condemned') seen.push((data as { rule?: string }).rule)
  })
  const report = await ledger.retention.run({
    rules: [
      { type: 'other', maxCount: 0 },
      { type: 'work', maxCount: 0 },
    ],
  })
  expect(Object.keys(report.rules)).toEqual(['rule-2'])
  expect(new Set(seen)).toEqual(new Set(['rule-2']))
  expect(seen.length).toBeGreaterThanOrEqual(2)
})

const WRONG: readonly (readonly [given: unknown, option: string])[] = [
  [{ rules: {} }, 'retention.run.rules'],
  [{ rules: [{}] }, 'retention.run.rules[0]'],
  [{ rules: [{ state: 'failed' }] }, 'retention.run.rules[0]'],
  [{ rules: [{ keepNewest: 5 }] }, 'retention.run.rules[0]'],
  [{ rules: [{ maxCount: -1 }] }, 'retention.run.rules[0].maxCount'],
  [{ rules: [{ maxCount: 1.5 }] }, 'retention.run.rules[0].maxCount'],
  [{ rules: [{ maxBytes: '1 MB' }] }, 'retention.run.rules[0].maxBytes'],
  [{ rules: [{ maxCount: 1, keepNewest: -1 }] }, 'retention.run.rules[0].keepNewest'],
  [{ rules: [{ olderThan: 'soon' }] }, 'retention.run.rules[0].olderThan'],
  [{ rules: [{ maxCount: 1, state: 'running' }] }, 'retention.run.rules[0].state'],
  [{ rules: [{ maxCount: 1, type: 5 }] }, 'retention.run.rules[0].type'],
  [{ rules: [{ maxCount: 1, action: 'forget' }] }, 'retention.run.rules[0].action'],
  [{ rules: [{ maxCount: 1, name: '' }] }, 'retention.run.rules[0].name'],
  [{ rules: [{ maxCount: 1 }, { maxCount: 1, name: 'rule-1' }] }, 'retention.run.rules[1].name'],
  [{ rules: [{ maxCount: 1, name: 'retain' }] }, 'retention.run.rules[0].name'],
  [{ rules: [{ maxcount: 1 }] }, 'retention.run.rules[0].maxcount'],
  [{ dryrun: true }, 'retention.run.dryrun'],
]

scenario([75], 'a rule that says nothing, or something wrong, is refused, and nothing is removed', async (world) => {
  const ledger = await running(world)
  await end(ledger, 'a')
  for (const [given, option] of WRONG) {
    expect(await rejection(ledger.retention.run(given as never))).toMatchObject({ code: 'INVALID_OPTION', option })
  }
  const opened = (retention: unknown): Promise<unknown> => rejection(world.open({ retention: retention as never }))
  expect(await opened({ rules: [{ maxCount: -1 }] })).toMatchObject({
    option: 'openLedger.retention.rules[0].maxCount',
  })
  expect(await opened({ rules: [], every: '10ms' })).toMatchObject({ option: 'openLedger.retention.every' })
  expect(await opened({ rules: [], evry: '1h' })).toMatchObject({ option: 'openLedger.retention.evry' })
  expect(await idsIn(ledger)).toEqual(['a'])
})
