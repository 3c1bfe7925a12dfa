/** What is kept beside the log is disposable: whatever becomes of it, the answers are the same. */
import { copyFile, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import { openLedger } from '../../adapters/open-ledger.js'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { EventStore } from '../../runtime/ports/event-store.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { keptOpen, ledgerOn, rejection } from './support.js'

const note = defineJob({ type: 'note', handle: (text: string) => text })
const bad = defineJob({
  type: 'bad',
  maxAttempts: 1,
  handle: (_: null) => {
    throw new Error('bad')
  },
})

/** Jobs in several states, and edges between them. */
async function fill(ledger: Ledger): Promise<void> {
  await ledger.start()
  await ledger.enqueue(bad, null, { id: 'failed' })
  await rejection(ledger.result('failed'))
  for (let index = 0; index < 20; index += 1) await (await ledger.enqueue(note, `${index}`)).result()
  await ledger.enqueue(note, 'later', { id: 'scheduled', delay: '1h' })
  await ledger.enqueue(note, 'after', { id: 'blocked', dependsOn: ['failed', 'scheduled'] })
}

async function answers(ledger: Ledger): Promise<unknown> {
  const { jobs } = await ledger.list({ limit: 1_000 })
  return { jobs, stats: await ledger.queues.stats(), blocked: await ledger.status('blocked') }
}

describe('opening a ledger', () => {
  it('does not replay what the views hold already', async () => {
    const clock = new VirtualClock()
    const store = new MemoryEventStore()
    const views = keptOpen(new MemoryViews())
    const before = await ledgerOn(keptOpen(store), views, clock, { jobs: [note, bad] })
    await fill(before)
    const expected = await answers(before)
    await before.close()
    // Behind the last checkpoint there is only the worker's farewell.
    const farewell = (await eventsAfter(store)).slice(-2)
    expect(farewell.map(({ type }) => type)).toEqual(['WorkerDraining', 'WorkerStopped'])
    const checkpoint = (await views.checkpoint())?.position

    const read: string[] = []
    const spied = new Proxy(keptOpen(store), {
      get(target, key) {
        const value: unknown = Reflect.get(target, key)
        if (typeof value !== 'function') return value
        return (...given: [{ after?: string }]) => {
          if (key === 'subscribe' || key === 'readAll') read.push(given[0]?.after ?? '')
          return value(...given)
        }
      },
    })
    const after = await ledgerOn(spied, views, clock)
    expect(read).toEqual([checkpoint])
    expect(await eventsAfter(store, checkpoint)).toEqual(farewell)
    expect(await answers(after)).toEqual(expected)
    await after.close()
  })

  it('reads from the last checkpoint on what a crash left unsaved', async () => {
    const clock = new VirtualClock()
    const store = new MemoryEventStore()
    const views = keptOpen(new MemoryViews())
    const before = await ledgerOn(keptOpen(store), views, clock, { jobs: [note, bad] })
    await fill(before)
    await clock.advance('5s')
    const saved = (await views.checkpoint())?.position
    await before.enqueue(note, 'unsaved', { id: 'unsaved' })
    await before.result('unsaved')
    const expected = await answersWithoutSaving(before)

    const crashed = await ledgerOn(keptOpen(store), await copyOf(views), clock)
    expect(saved).not.toBe('')
    expect(await answersWithoutSaving(crashed)).toEqual(expected)
    expect((await crashed.list({ limit: 1 })).jobs).toMatchObject([{ id: 'unsaved', state: 'succeeded' }])
    await Promise.all([before.close(), crashed.close()])
  })
})

describe('a checkpoint', () => {
  /** Names of the texts that each save has written. */
  function spied(views: MemoryViews): { readonly views: MemoryViews; readonly saves: string[][] } {
    const saves: string[][] = []
    const save: MemoryViews['save'] = (changes) => {
      saves.push([...changes.texts.keys()])
      return views.save(changes)
    }
    const open = keptOpen(views)
    const spy = new Proxy(open, { get: (_, key) => (key === 'save' ? save : Reflect.get(open, key)) })
    return { views: spy, saves }
  }

  const names = ({ saves }: ReturnType<typeof spied>): boolean[] => saves.map((texts) => texts.includes('triggers'))

  it('is made where only triggers move, and when the ledger is closed', async () => {
    const clock = new VirtualClock()
    const store = new MemoryEventStore()
    const views = keptOpen(new MemoryViews())
    const open = (): Promise<Ledger> => ledgerOn(keptOpen(store), views, clock, { scheduler: false })
    const before = await open()
    const trigger = { id: 't', kind: 'every', when: '1h', job: note, payload: 'x' } as const
    await before.triggers.add(trigger)
    await clock.advance('5s')
    expect((await views.checkpoint())?.stream).toBe('trigger-t')
    await before.triggers.pause('t')
    const expected = await before.triggers.get('t')
    await before.close()
    expect(await views.checkpoint()).toMatchObject({ stream: 'trigger-t', revision: 1 })
    const after = await open()
    expect(await after.triggers.get('t')).toEqual(expected)
    await after.close()
  })

  it('writes the triggers when they have changed, and when it writes everything', async () => {
    const clock = new VirtualClock()
    const store = new MemoryEventStore()
    const kept = new MemoryViews()
    const before = spied(kept)
    const ledger = await ledgerOn(keptOpen(store), before.views, clock, { jobs: [note] })
    const quiet = async (): Promise<void> => clock.advance('3s')
    await ledger.enqueue(note, '1')
    await quiet()
    await ledger.enqueue(note, '2')
    await quiet()
    await ledger.triggers.add({ id: 't', kind: 'webhook', job: note })
    await quiet()
    await ledger.enqueue(note, '3')
    await quiet()
    await ledger.triggers.fire('t', { payload: 'x' })
    await quiet()
    await ledger.close()
    expect(names(before)).toEqual([true, false, true, false, true])
    const after = spied(kept)
    const again = await ledgerOn(keptOpen(store), after.views, clock, { jobs: [note] })
    await quiet()
    await again.enqueue(note, '4')
    await quiet()
    // Others have none, or end earlier: whatever is there is replaced.
    const lost = spied(new MemoryViews())
    const other = await ledgerOn(keptOpen(store), lost.views, clock, { jobs: [note] })
    await quiet()
    await Promise.all([again.close(), other.close()])
    expect(names(after)).toEqual([false])
    expect(names(lost)).toEqual([true])
    expect((await lost.views.texts()).get('triggers')).toBe((await kept.texts()).get('triggers'))
  })
})

async function eventsAfter(store: EventStore, after = ''): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = []
  for await (const page of store.readAll({ after })) events.push(...page)
  return events
}

const answersWithoutSaving = async (ledger: Ledger): Promise<unknown> => ({
  stats: await ledger.queues.stats(),
  blocked: await ledger.status('blocked'),
})

/** Views as they were at their last save. */
async function copyOf(views: MemoryViews): Promise<MemoryViews> {
  const copy = new MemoryViews()
  const checkpoint = await views.checkpoint()
  if (checkpoint === undefined) throw new Error('nothing was saved')
  const rows = await views.list({ limit: 1_000 })
  await copy.save({ checkpoint, since: 'all', rows, texts: await views.texts(), removed: new Map(), expunged: [] })
  return copy
}

describe('the views file', () => {
  let folder: string
  let path: string
  const clock = new VirtualClock()
  const open = (file = path): Promise<Ledger> =>
    openLedger({ url: `sqlite:${file}`, durability: 'normal', clock, jobs: [note, bad] })

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'jobledger-views-'))
    path = join(folder, 'jobs.db')
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  const sql = (statement: string) => async () => {
    const db = new Database(`${path}-views`)
    db.exec(statement)
    db.close()
  }

  const MISHAPS: readonly (readonly [string, () => Promise<void>])[] = [
    ['untouched', async () => {}],
    ['deleted', () => rm(`${path}-views`)],
    ['overwritten with something else', () => writeFile(`${path}-views`, 'x'.repeat(100_000))],
    ['cut short', () => truncate(`${path}-views`, 5_000)],
    ['emptied', () => truncate(`${path}-views`, 0)],
    ['without its rows', sql('DELETE FROM checkpoint; DELETE FROM jobs; DELETE FROM texts')],
    ['of an older version of the projection', sql('UPDATE checkpoint SET version = 0')],
    ['of an event that the log does not have', sql("UPDATE checkpoint SET event_id = 'another'")],
    ['with a row that cannot be read', sql(`UPDATE jobs SET state = '["half' WHERE id = 'scheduled'`)],
    ['with a text that cannot be read', sql(`UPDATE texts SET text = '{"half'`)],
    [
      'of another log',
      async () => {
        const other = join(folder, 'other.db')
        const ledger = await open(other)
        for (let index = 0; index < 50; index += 1) await ledger.enqueue(note, 'other')
        await ledger.list()
        await ledger.close()
        await copyFile(`${other}-views`, `${path}-views`)
      },
    ],
  ]

  it.each(MISHAPS)('%s is made good at open', async (_name, happen) => {
    const before = await open()
    await fill(before)
    const expected = await answers(before)
    await before.close()
    await happen()
    const after = await open()
    expect(await answers(after)).toEqual(expected)
    await after.close()
    const again = await open()
    expect(await answers(again)).toEqual(expected)
    await again.start()
    await again.enqueue(note, 'new', { id: 'new' })
    expect(await again.result('new')).toBe('new')
    await again.close()
  })

  it('newer than a log that was restored from a backup is rebuilt', async () => {
    const first = await open()
    await fill(first)
    const expected = await answers(first)
    await first.close()
    await copyFile(path, `${path}.backup`)
    const second = await open()
    await second.enqueue(note, 'lost', { id: 'lost' })
    await second.cancel('scheduled')
    await second.list()
    await second.close()
    await copyFile(`${path}.backup`, path)
    for (const suffix of ['-wal', '-shm']) await rm(path + suffix, { force: true })

    const restored = await open()
    expect(await answers(restored)).toEqual(expected)
    expect(await rejection(restored.status('lost'))).toMatchObject({ code: 'JOB_UNKNOWN' })
    await clock.advance(1)
    await restored.enqueue(note, 'new', { id: 'lost' })
    expect((await restored.list({ limit: 1 })).jobs).toMatchObject([{ id: 'lost', state: 'ready' }])
    await restored.close()
  })

  it('written anew knows what became of a dependency that was removed by force', async () => {
    const before = await open()
    await before.start()
    await before.enqueue(note, 'base', { id: 'base', delay: '1s' })
    await before.enqueue(note, 'after', { id: 'after', delay: '1h', dependsOn: ['base'] })
    await clock.advance('1s')
    await before.result('base')
    expect(await before.remove('base', { force: true })).toEqual(['base'])
    expect((await before.status('after')).blockedBy).toEqual([])
    await before.list()
    for (const suffix of ['', '-wal', '-shm']) await rm(`${path}-views${suffix}`, { force: true })
    await before.enqueue(note, 'more', { id: 'more', held: true })
    expect((await before.list()).jobs.map(({ id }) => id)).toEqual(['more', 'after'])
    await before.close()
    const after = await open()
    expect((await after.status('after')).blockedBy).toEqual([])
    await after.start()
    await clock.advance('1h')
    expect(await after.result('after')).toBe('after')
    await after.close()
  })

  it('deleted while ledgers are open is made good by the next list', async () => {
    const ledgers = [await open(), await open()]
    const [one, other] = ledgers as [Ledger, Ledger]
    await fill(one)
    const expected = await answers(one)
    for (const suffix of ['', '-wal', '-shm']) await rm(`${path}-views${suffix}`, { force: true })
    await one.enqueue(note, 'new', { id: 'new', delay: '1h' })
    const jobs = (await one.list({ limit: 1_000 })).jobs.map(({ id }) => id)
    expect(jobs).toHaveLength((expected as { jobs: unknown[] }).jobs.length + 1)
    expect((await other.list({ limit: 1_000 })).jobs.map(({ id }) => id)).toEqual(jobs)
    for (const ledger of ledgers) await ledger.close()
  })
})
