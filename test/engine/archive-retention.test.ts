/** Rules go on where the archive begins: what is due there is taken out of its segments, each written anew once. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { NodeFolder } from '../../adapters/node/folder.js'
import type { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { RetentionRule } from '../../runtime/upkeep/retention.js'
import type { EnqueueOptions } from '../../runtime/write/contract.js'
import { end, other, work } from '../scenarios/ends.js'
import type { ArchiveWorld } from './archive-world.js'
import { archiveWorld, close, KINDS, LATER, NEAR, wordsOf } from './archive-world.js'
import { rejection } from './support.js'

const DAY = 86_400_000

interface Aged {
  readonly ledger: Ledger
  readonly clock: VirtualClock
  run(...rules: readonly RetentionRule[]): Promise<unknown>
  rehearse(...rules: readonly RetentionRule[]): Promise<unknown>
}

/** Days are not lived through: each has a ledger of its own. */
async function onDay(world: ArchiveWorld, day: number, work: (ledger: Ledger) => Promise<unknown>): Promise<void> {
  const clock = world.clock(LATER + day * DAY)
  const ledger = await world.open(clock)
  await ledger.start()
  await work(ledger)
  await close(ledger, clock)
}

/** `old-1` to `old-4` end a day after each other, two of them archived at once; then `new-1` and `new-2`, which stay in the log. */
async function lived(world: ArchiveWorld, more: EnqueueOptions = {}): Promise<void> {
  for (const [day, id] of ['old-1', 'old-2', 'old-3', 'old-4', 'new-1', 'new-2'].entries()) {
    const outcome = id === 'old-2' ? 'failed' : 'succeeded'
    const type = id === 'old-3' ? other : work
    await onDay(world, day, (ledger) =>
      end(ledger, id, outcome, { ...more, type, channel: id === 'old-4' ? 'eu' : '' }),
    )
    if (day === 1 || day === 3) await onDay(world, day + 0.5, (ledger) => ledger.archive.run({ before: '1h' }))
  }
}

/** A day after that. */
async function aged(world: ArchiveWorld): Promise<Aged> {
  await lived(world)
  const clock = world.clock(LATER + 6 * DAY)
  const ledger = await world.open(clock, { scheduler: false })
  const counts = async (dryRun: boolean, rules: readonly RetentionRule[]): Promise<unknown> => {
    const { removed, expunged, kept } = await ledger.retention.run({ rules, dryRun })
    return { removed, expunged, kept }
  }
  const run = (...rules: readonly RetentionRule[]): Promise<unknown> => counts(false, rules)
  return { ledger, clock, run, rehearse: (...rules) => counts(true, rules) }
}

/** Ids of those that are there, wherever. */
async function left(ledger: Ledger): Promise<string[]> {
  const ids = ['new-1', 'new-2', 'old-1', 'old-2', 'old-3', 'old-4']
  const there = await Promise.all(
    ids.map((id) =>
      ledger.status(id).then(
        () => true,
        () => false,
      ),
    ),
  )
  return ids.filter((_, index) => there[index])
}

const sealed = async (world: ArchiveWorld): Promise<number> =>
  (await world.texts()).filter(({ type }) => type === 'SegmentSealed').length

const rejected = async (asked: Promise<unknown>): Promise<unknown> =>
  ((await rejection(asked)) as { code?: string }).code

afterEach(() => vi.restoreAllMocks())

describe.each(KINDS)('rules reach into the archive (%s)', (kind) => {
  it('by age: each segment is written anew once, and left alone once nothing is due in it', async () => {
    await using world = await archiveWorld(kind)
    const { ledger, clock, run, rehearse } = await aged(world)
    const law = { name: 'law', olderThan: '80h' } as const
    const files = (await world.segments.list()).length
    const before = await sealed(world)
    // Of the second segment one is due, of the first all.
    expect(await rehearse(law)).toEqual({ removed: 3, expunged: 0, kept: 0 })
    expect(await left(ledger)).toHaveLength(6)
    expect(await run(law)).toEqual({ removed: 3, expunged: 0, kept: 0 })
    expect(await left(ledger)).toEqual(['new-1', 'new-2', 'old-4'])
    expect(await rejected(ledger.result('old-1'))).toBe('JOB_REMOVED')
    expect(await sealed(world)).toBe(before + 1)
    expect((await world.segments.list()).length).toBe(files - 1)
    expect(await wordsOf(world)).not.toContain('"stream":"job-old-3"')
    expect((await ledger.deeds({ limit: 1 })).deeds[0]).toMatchObject({ deed: 'remove', rule: 'law' })
    const opened = vi.spyOn(NodeFolder.prototype, 'lines')
    expect(await run(law)).toEqual({ removed: 0, expunged: 0, kept: 0 })
    expect(opened).not.toHaveBeenCalled()
    await close(ledger, clock)
  })

  it('erasing bodies', async () => {
    await using world = await archiveWorld(kind)
    const { ledger, clock, run, rehearse } = await aged(world)
    const addresses = { name: 'addresses', action: 'expunge', olderThan: '80h', type: 'work' } as const
    expect(await rehearse(addresses)).toEqual({ removed: 0, expunged: 2, kept: 0 })
    expect(await run(addresses)).toEqual({ removed: 0, expunged: 2, kept: 0 })
    expect((await ledger.history('old-1'))[0]).toMatchObject({ erased: true })
    expect((await ledger.history('old-3'))[0]).not.toHaveProperty('erased')
    expect((await ledger.deeds({ limit: 1 })).deeds[0]).toMatchObject({ deed: 'expunge', rule: 'addresses' })
    const opened = vi.spyOn(NodeFolder.prototype, 'lines')
    expect(await run(addresses)).toEqual({ removed: 0, expunged: 0, kept: 0 })
    expect(opened).not.toHaveBeenCalled()
    // Also for one that has to learn from the log what was erased.
    const rebuilt = await world.open(clock, { scheduler: false })
    opened.mockClear()
    expect(await rebuilt.retention.run({ rules: [addresses] })).toMatchObject({ expunged: 0 })
    expect(opened).not.toHaveBeenCalled()
    for (const each of [ledger, rebuilt]) await close(each, clock)
  })
})

describe.each(['memory', 'sqlite'] as const)('what rules find in the archive (%s)', (kind) => {
  it.each<[RetentionRule, string[]]>([
    [{ olderThan: '1h', state: 'failed' }, ['new-1', 'new-2', 'old-1', 'old-3', 'old-4']],
    [{ olderThan: '1h', type: 'other' }, ['new-1', 'new-2', 'old-1', 'old-2', 'old-4']],
    [{ olderThan: '1h', channel: 'eu' }, ['new-1', 'new-2', 'old-1', 'old-2', 'old-3']],
    [{ olderThan: '1h', queue: 'none' }, ['new-1', 'new-2', 'old-1', 'old-2', 'old-3', 'old-4']],
    [{ olderThan: '1h', keepNewest: 4 }, ['new-1', 'new-2', 'old-3', 'old-4']],
    [{ maxCount: 3 }, ['new-1', 'new-2', 'old-4']],
    [{ maxCount: 1, keepNewest: 3, state: 'succeeded' }, ['new-1', 'new-2', 'old-2', 'old-4']],
    // What lies in the archive weighs nothing in the log.
    [{ maxBytes: 0 }, ['old-1', 'old-2', 'old-3', 'old-4']],
    [{ olderThan: '100d' }, ['new-1', 'new-2', 'old-1', 'old-2', 'old-3', 'old-4']],
  ])('by %j', async (rule, expected) => {
    await using world = await archiveWorld(kind)
    const { ledger, clock, run, rehearse } = await aged(world)
    const counted = await rehearse(rule)
    expect(await run(rule)).toEqual(counted)
    expect(await left(ledger)).toEqual(expected)
    await close(ledger, clock)
  })
})

describe.each(NEAR)('rules reach into the archive (%s), wherever it is,', (kind) => {
  it('later rules go by what earlier ones have left; what somebody needs stays', async () => {
    await using world = await archiveWorld(kind)
    const { ledger, clock, run, rehearse } = await aged(world)
    await ledger.enqueue(work, 'x', { id: 'waits', held: true, dependsOn: ['old-1'] })
    const rules = [
      { olderThan: '1h', type: 'other' },
      { action: 'expunge', olderThan: '1h' },
      { olderThan: '80h' },
    ] as const
    const counted = await rehearse(...rules)
    expect(counted).toEqual({ removed: 2, expunged: 4, kept: 2 })
    expect(await run(...rules)).toEqual(counted)
    expect(await left(ledger)).toEqual(['new-1', 'new-2', 'old-1', 'old-4'])
    expect((await ledger.history('old-1'))[0]).not.toHaveProperty('erased')
    await close(ledger, clock)
  })

  it('jobs with a time of their own are not archived', async () => {
    await using world = await archiveWorld(kind)
    await lived(world, { retain: '100d' })
    await onDay(world, 6, async (ledger) => {
      await ledger.enqueue(work, 'x', { id: 'ever', retain: null })
      await ledger.result('ever')
    })
    await onDay(world, 110, async (ledger) => {
      expect(await ledger.archive.run({ before: '1h' })).toMatchObject({ jobs: 0 })
      expect((await ledger.list()).jobs).toHaveLength(7)
      expect(await ledger.retention.run()).toMatchObject({ removed: 6, rules: { retain: { removed: 6 } } })
    })
  })

  it('by themselves, once per interval', async () => {
    await using world = await archiveWorld(kind)
    await lived(world)
    const clock = world.clock(LATER + 7 * DAY)
    const retention = { every: '1h', rules: [{ olderThan: '1h', state: 'failed' }] } as const
    const ledger = await world.open(clock, { scheduler: false, retention })
    expect(await left(ledger)).toHaveLength(6)
    const gone = new Promise<void>((resolve) => {
      ledger.events$.subscribe(({ type, data }) => {
        if (type === 'JobsRemoved' && 'outOf' in data) resolve()
      })
    })
    await clock.advance('61m')
    await gone
    expect(await left(ledger)).toEqual(['new-1', 'new-2', 'old-1', 'old-3', 'old-4'])
    await close(ledger, clock)
  })
})
