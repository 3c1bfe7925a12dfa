/** Readers of the past start from the nearest checkpoint that was kept, and read the same as from the beginning. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import type { RecordedEvent } from '../../domain/event.js'
import { canonicalLines, PROJECTIONS } from '../../projections/canonical.js'
import { LedgerState } from '../../projections/ledger-state.js'
import { foldLog } from '../../runtime/history/fold-log.js'
import { Past } from '../../runtime/history/past.js'
import { silentLogger } from '../../runtime/ports/logger.js'
import { CheckpointKeeper } from '../../runtime/upkeep/checkpoint-keeper.js'
import { acts, RandomLife } from './random-life.js'

const linesOf = (state: LedgerState): string[][] => PROJECTIONS.map((name) => [...canonicalLines(state, name, 0)])

/** A log with these events, and the checkpoints kept of it. */
class Archive {
  readonly store: MemoryEventStore = new MemoryEventStore()
  readonly views: MemoryViews = new MemoryViews()
  readonly removed: Map<string, 'succeeded'> = new Map()
  readonly events: RecordedEvent[] = []

  async fill(events: readonly RecordedEvent[]): Promise<void> {
    for (const { stream, revision, id, type, at, data, metadata, body } of events) {
      const expect = new Map([[stream, revision === 0 ? ('none' as const) : revision - 1]])
      await this.store.append([{ expect, events: [{ stream, id, type, at, data, metadata, body }] }])
    }
    for await (const page of this.store.readAll()) this.events.push(...page)
  }

  keeper(spacing: number, logId = this.store.logId): CheckpointKeeper {
    return new CheckpointKeeper({ past: this.views.past, logId, logger: silentLogger, spacing })
  }

  /** Folds all, and keeps a checkpoint every so many events. */
  async keep(spacing: number, logId?: string): Promise<void> {
    const keeper = this.keeper(spacing, logId)
    const state = new LedgerState()
    for (const event of this.events) {
      state.apply(event, event.at)
      keeper.offer(state, event)
      await keeper.idle()
    }
  }

  past(): Past {
    const { store, views, removed } = this
    const queries = { removed: async () => removed }
    return new Past({ log: store, logId: store.logId, kept: views.past, queries, logger: silentLogger })
  }

  async fromTheBeginning(until: string): Promise<LedgerState> {
    const state = new LedgerState()
    await foldLog(this.store, state, { until })
    return state
  }

  async kept(): Promise<number[]> {
    return (await this.views.past.list()).map(({ events }) => events)
  }
}

async function lived(all: Parameters<RandomLife['live']>[0][]): Promise<Archive> {
  const life = await RandomLife.begin()
  for (const act of all) await life.live(act)
  await life.ledger.drain()
  const archive = new Archive()
  await archive.fill(life.events)
  await life.ledger.close()
  return archive
}

const busy = Array.from({ length: 12 }, () => [
  { kind: 'enqueue', type: 'plain', delay: 0, after: 60 } as const,
  { kind: 'drain', n: 0 } as const,
]).flat()

describe('checkpoints of the past', () => {
  test('a checkpoint and what follows say what the whole says, at every position', async () => {
    await fc.assert(
      fc.asyncProperty(acts, fc.integer({ min: 3, max: 40 }), async (all, spacing) => {
        const archive = await lived(all)
        await archive.keep(spacing)
        const past = archive.past()
        for (const { position } of archive.events) {
          const whole = await archive.fromTheBeginning(position)
          const then = await past.stateAt(position)
          expect(linesOf(then)).toEqual(linesOf(whole))
          expect(then.folded).toBe(whole.folded)
        }
      }),
      { numRuns: 5 },
    )
  })

  test('are kept every so many events, and no second one by another process', async () => {
    const archive = await lived(busy)
    await archive.keep(10)
    const kept = await archive.kept()
    expect(kept.length).toBeGreaterThan(2)
    expect(kept.every((events, index) => events - (kept[index - 1] ?? 0) >= 10)).toBe(true)
    await archive.keep(10)
    expect(await archive.kept()).toEqual(kept)
  })

  test('the nearest one before is read, and no event before it', async () => {
    const archive = await lived(busy)
    await archive.keep(10)
    const [, second] = await archive.views.past.list()
    const reads: (string | undefined)[] = []
    const { store } = archive
    const readAll = store.readAll.bind(store)
    store.readAll = (options) => {
      reads.push(options?.after)
      return readAll(options)
    }
    const at = archive.events.find(({ position }) => position > (second?.checkpoint.position ?? ''))
    await archive.past().stateAt(at?.position ?? '')
    expect(reads).toEqual([second?.checkpoint.position])
  })

  test('one of another log is let go, and the whole is read', async () => {
    const archive = await lived(busy)
    await archive.keep(10, 'another log')
    const { position = '' } = archive.events.at(-1) ?? {}
    const then = await archive.past().stateAt(position)
    expect(linesOf(then)).toEqual(linesOf(await archive.fromTheBeginning(position)))
    expect(await archive.kept()).toEqual([])
  })

  test('one that cannot be read is let go', async () => {
    const archive = await lived(busy)
    await archive.keep(10)
    const [first] = await archive.views.past.list()
    if (first === undefined) throw new Error('nothing kept')
    await archive.views.past.keep(first, { rows: ['no row'], texts: new Map([['queues', 'no JSON']]) })
    const { position } = first.checkpoint
    expect(linesOf(await archive.past().stateAt(position))).toEqual(linesOf(await archive.fromTheBeginning(position)))
    expect(await archive.kept()).not.toContain(first.events)
  })

  test('a job that was removed since is not in what is read', async () => {
    const archive = await lived(busy)
    await archive.keep(1)
    const queued = archive.events.find(({ type }) => type === 'Queued')
    const id = queued?.stream.slice('job-'.length) ?? ''
    const position = queued?.position ?? ''
    expect((await archive.past().stateAt(position)).board.get(id)).toBeDefined()
    const jobs = [{ id, outcome: 'succeeded', queue: 'default', type: 'plain', queuedAt: 0, position }]
    const removal = { stream: 'audit', id: 'removal', type: 'JobsRemoved', at: 0, data: { jobs } }
    const revision = archive.events.filter(({ stream }) => stream === 'audit').length
    const before = revision === 0 ? ('none' as const) : revision - 1
    await archive.store.append([{ expect: new Map([['audit', before]]), events: [removal] }])
    await archive.store.remove([`job-${id}`])
    archive.removed.set(id, 'succeeded')
    const then = await archive.past().stateAt(position)
    expect(then.board.get(id)).toBeUndefined()
    expect(linesOf(then)[0]).toEqual(linesOf(await archive.fromTheBeginning(position))[0])
  })

  test('there are never more than so many: those in between go', async () => {
    const archive = await lived(
      Array.from({ length: 12 }, () => busy)
        .flat()
        .slice(0, 120),
    )
    await archive.keep(1)
    const kept = await archive.kept()
    expect(archive.events.length).toBeGreaterThan(100)
    expect(kept.length).toBeLessThanOrEqual(64)
    const gaps = kept.slice(1).map((events, index) => events - (kept[index] ?? 0))
    expect(Math.max(...gaps)).toBeLessThan(archive.events.length / 8)
  })
})
