import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import type { JobRow } from '../../projections/job-row.js'
import type { RebuildProgress } from '../../runtime/history/rebuild.js'
import type { Ledger } from '../../runtime/ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { keptOpen, ledgerOn } from '../engine/support.js'
import { acts, RandomLife } from './random-life.js'

const note = defineJob({ type: 'note', handle: (text: string) => text })

async function differing(ledger: Ledger): Promise<string[]> {
  return (await ledger.rebuild()).filter(({ identical }) => !identical).map(({ name }) => name)
}

describe('a rebuild', () => {
  test('is identical, whatever has happened, also to what was removed', async () => {
    await fc.assert(
      fc.asyncProperty(acts, fc.array(fc.nat({ max: 30 }), { maxLength: 4 }), async (all, removals) => {
        const life = await RandomLife.begin()
        for (const act of all) await life.live(act)
        await life.ledger.drain()
        for (const n of removals) {
          const id = life.ids[n % Math.max(1, life.ids.length)]
          if (id !== undefined) await life.ledger.remove(id, { force: true }).catch(() => {})
        }
        expect(await differing(life.ledger)).toEqual([])
        await life.ledger.close()
      }),
      { numRuns: 12 },
    )
  })

  test('tells how far it is, of each projection what it is, and can be stopped', async () => {
    const life = await RandomLife.begin()
    for (let n = 0; n < 5; n += 1) await life.live({ kind: 'enqueue', type: 'plain', delay: 0, after: 60 })
    const progress: RebuildProgress[] = []
    const told = await life.ledger.rebuild({ onProgress: (each) => progress.push(each) })
    expect(progress.at(-1)).toEqual({ events: life.events.length, share: 1 })
    expect(told.map(({ name }) => name)).toEqual([
      ...['jobs', 'totals', 'queues', 'workers', 'triggers', 'segments', 'half-done', 'ended'],
    ])
    const position = life.events.at(-1)?.position
    const hash = expect.stringMatching(/^[0-9a-f]{64}$/)
    expect(told[0]).toMatchObject({ version: expect.any(Number), position, identical: true, live: hash, rebuilt: hash })
    const reason = new Error('enough')
    await expect(life.ledger.rebuild({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    await life.ledger.close()
  })

  test('finds what is wrong with rows that somebody has changed, and puts it right', async () => {
    const [clock, store, views] = [new VirtualClock(), new MemoryEventStore(), new MemoryViews()]
    const first = await ledgerOn(keptOpen(store), keptOpen(views), clock, { jobs: [note] })
    await first.enqueue(note, 'a', { id: 'a', delay: '1h', priority: 1 })
    await first.queues.pause('default')
    await first.close()

    const [row] = await views.list({ limit: 1 })
    const checkpoint = await views.checkpoint()
    if (row === undefined || checkpoint === undefined) throw new Error('nothing kept')
    const wrong = { ...row, state: row.state.replace('"note"', '"liar"') }
    const texts = new Map([...(await views.texts()), ['queues', '[]']])
    await views.save({ checkpoint, since: 'all', rows: [wrong], texts, removed: new Map(), expunged: [] })

    const second = await ledgerOn(keptOpen(store), keptOpen(views), clock, { jobs: [note] })
    expect(await differing(second)).toEqual(['jobs', 'queues'])
    expect((await second.rebuild({ apply: true })).filter(({ identical }) => !identical)).toHaveLength(2)
    await second.close()
    const third = await ledgerOn(keptOpen(store), keptOpen(views), clock, { jobs: [note] })
    expect(await differing(third)).toEqual([])
    expect((await third.list()).jobs).toMatchObject([{ id: 'a', type: 'note' }])
    await third.close()
  })

  test('finds what is wrong with rows of jobs that have ended, and those that are gone', async () => {
    const [clock, store, views] = [new VirtualClock(), new MemoryEventStore(), new MemoryViews()]
    const open = (): Promise<Ledger> => ledgerOn(keptOpen(store), keptOpen(views), clock, { jobs: [note] })
    const first = await open()
    for (const id of ['a', 'b', 'c']) await first.enqueue(note, id, { id, dependsOn: id === 'a' ? [] : ['a'] })
    await first.start()
    for (const id of ['a', 'b', 'c']) await first.result(id)
    await first.close()

    const rows = await views.list({ limit: 9 })
    const checkpoint = await views.checkpoint()
    if (checkpoint === undefined) throw new Error('nothing kept')
    const spoil = async (spoilt: (row: JobRow) => JobRow | undefined): Promise<void> => {
      const left = rows.map(spoilt).filter((row) => row !== undefined)
      const kept = { rows: left, texts: await views.texts(), removed: new Map(), expunged: [] }
      await views.save({ checkpoint, since: 'all', ...kept })
    }
    const differs = async (): Promise<string[]> => {
      const ledger = await open()
      const told = await differing(ledger)
      await ledger.close()
      return told
    }
    expect(await differs()).toEqual([])
    await spoil((row) => (row.id === 'b' ? { ...row, keepUntil: 5 } : row))
    expect(await differs()).toEqual(['ended'])
    await spoil((row) => (row.id === 'b' ? { ...row, state: 'no JSON' } : row))
    expect(await differs()).toEqual(['ended'])
    await spoil((row) => (row.id === 'b' ? undefined : row))
    const ledger = await open()
    expect((await ledger.rebuild({ apply: true })).filter(({ identical }) => !identical)).toHaveLength(1)
    await ledger.close()
    expect(await differs()).toEqual([])
    expect(await views.list({ limit: 9 })).toHaveLength(3)
  })

  test.each([
    [{ apply: 1 }, 'rebuild.apply'],
    [{ onProgress: 1 }, 'rebuild.onProgress'],
    [{ signal: 1 }, 'rebuild.signal'],
    [{ aply: true }, 'rebuild.aply'],
  ])('refuses %j', async (options, told) => {
    const { ledger } = await RandomLife.begin()
    await expect(ledger.rebuild(options as never)).rejects.toThrow(told)
    await ledger.close()
  })
})
