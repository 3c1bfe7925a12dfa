/** A log that was copied is the same ledger: it says the same of every job, and goes on. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import { systemClock } from '../../adapters/node/clock.js'
import { nodeDigest } from '../../adapters/node/digest.js'
import { openPostgresStore } from '../../adapters/postgres/event-store.js'
import { openSqliteStore } from '../../adapters/sqlite/event-store.js'
import type { RecordedEvent } from '../../domain/event.js'
import { type Copied, type CopyProgress, copyLog } from '../../runtime/copy/copy.js'
import { storeSource } from '../../runtime/copy/source.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { AppendGroup, AppendOutcome, EventStore } from '../../runtime/ports/event-store.js'
import { StoreUnavailable } from '../../runtime/ports/event-store.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { appendOk, body, collect, event, events, group } from '../conformance/event-store/harness.js'
import { freshSchema, missingPostgres } from '../support/postgres.js'
import { type LogLine, ledgerOn, listeningLogger, rejection } from './support.js'

const note = defineJob({ type: 'note', handle: (payload: unknown) => payload })
const bad = defineJob({
  type: 'bad',
  maxAttempts: 1,
  handle: (_: null) => {
    throw new Error('bad')
  },
})
const IDS = ['done', 'bytes', 'failed', 'cancelled', 'waiting', 'held', 'blocked', 'expunged', 'again']

/** Jobs in every state, a trigger, a claim, an erased body and a removed job. */
async function fill(ledger: Ledger): Promise<void> {
  await ledger.start()
  await ledger.enqueue(note, { n: 1, text: 'Ä\u0000€' }, { id: 'done' })
  await ledger.enqueue(note, new Uint8Array([0, 255, 7]), { id: 'bytes' })
  await ledger.enqueue(note, 'gone soon', { id: 'expunged' })
  await ledger.enqueue(note, 'all of it', { id: 'removed' })
  await ledger.enqueue(bad, null, { id: 'failed' })
  await ledger.enqueue(bad, null, { id: 'again' })
  for (const id of ['done', 'bytes', 'expunged', 'removed']) await ledger.result(id)
  for (const id of ['failed', 'again']) await rejection(ledger.result(id))
  await ledger.as({ user: 'ada', reason: 'spring' }).expunge('expunged')
  await ledger.remove('removed')
  await ledger.enqueue(note, 'later', { id: 'waiting', delay: '1d', priority: 3, unique: { key: 'one' } })
  await ledger.enqueue(note, 'when told', { id: 'held', held: true })
  await ledger.enqueue(note, 'after', { id: 'blocked', dependsOn: ['held', 'failed'] })
  await ledger.enqueue(note, 'never', { id: 'cancelled', delay: '1d' })
  await ledger.cancel('cancelled')
  await ledger.triggers.add({ id: 'nightly', kind: 'cron', when: '0 3 * * *', job: note, payload: 'night' })
  await ledger.close()
}

/** All that a ledger says, without the positions that are its store's own. */
async function said(store: EventStore): Promise<unknown> {
  const ledger = await ledgerOn(stays(store), new MemoryViews(), systemClock, { jobs: [note, bad], scheduler: false })
  const { jobs } = await ledger.list({ limit: 1_000 })
  const each = await Promise.all(IDS.map(async (id) => [await ledger.status(id), await ledger.history(id)]))
  const answers = { jobs, each, stats: await ledger.queues.stats(), triggers: await ledger.triggers.list() }
  await ledger.close()
  return answers
}

/** Its ledger may close it: others use it still. */
function stays(store: EventStore): EventStore {
  return new Proxy(store, {
    get(target, key) {
      if (key === 'close') return async () => {}
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const contentOf = async (store: EventStore): Promise<Omit<RecordedEvent, 'position'>[]> =>
  (await collect(store.readAll({ bodies: true }))).map(({ position, ...rest }) => rest)

interface Options {
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: CopyProgress) => void
}

function copy(from: EventStore, to: EventStore, options: Options = {}): Promise<Copied> {
  return copyLog({
    from: storeSource(from),
    to,
    clock: systemClock,
    digest: nodeDigest,
    signal: new AbortController().signal,
    ...options,
  })
}

let undo: (() => Promise<void>)[] = []
let source: EventStore
beforeEach(async () => {
  undo = []
  source = await sqlite()
})
afterEach(async () => {
  for (const each of undo.reverse()) await each()
})

async function sqlite(): Promise<EventStore> {
  const folder = await mkdtemp(join(tmpdir(), 'jobledger-copy-'))
  const store = await openSqliteStore(join(folder, 'jobs.db'), { durability: 'normal' })
  undo.push(async () => {
    await store.close()
    await rm(folder, { recursive: true })
  })
  return store
}

async function postgres(): Promise<EventStore> {
  const schema = await freshSchema()
  const store = await openPostgresStore(schema.url, { durability: 'normal' })
  undo.push(async () => {
    await store.close()
    await schema.drop()
  })
  return store
}

const STORES: [name: string, open: () => Promise<EventStore>][] = [
  ['sqlite', sqlite],
  ['memory', async () => new MemoryEventStore()],
  ['a store without atomic groups', async () => new MemoryEventStore({ atomicGroups: false })],
]
const missing = missingPostgres()
if (missing === undefined) STORES.push(['postgres', postgres])
// skipped: where there is no server, with the reason as title
else it.skip(missing, () => {})

describe.each(STORES)('a ledger copied to %s', (_, open) => {
  let target: EventStore
  beforeEach(async () => {
    target = await open()
    await fill(await ledgerOn(stays(source), new MemoryViews(), systemClock, { jobs: [note, bad] }))
  })

  it('has the same events and says the same of every job', async () => {
    const before = await said(source)
    const copied = await copy(source, target)
    expect(copied).toMatchObject({ written: copied.events, grew: 0, burnt: 1 })
    expect(copied.erased).toBeGreaterThan(0)
    expect(copied.kinds).toMatchObject({ trigger: 1, audit: 1 })
    expect(await contentOf(target)).toEqual(await contentOf(source))
    expect(await said(target)).toEqual(before)
  })

  it('goes on: jobs run, and the id of a removed one stays taken', async () => {
    await copy(source, target)
    const ledger = await ledgerOn(stays(target), new MemoryViews(), systemClock, { jobs: [note, bad] })
    expect(await rejection(ledger.enqueue(note, 'x', { id: 'removed' }))).toMatchObject({ code: 'STREAM_REMOVED' })
    expect(await ledger.enqueue(note, 'x', { id: 'other', unique: { key: 'one' } })).toMatchObject({
      outcome: 'duplicate',
      id: 'waiting',
    })
    await ledger.start()
    await ledger.promote('held')
    expect(await ledger.result('held')).toBe('when told')
    await ledger.promote('waiting')
    expect(await ledger.result('waiting')).toBe('later')
    await ledger.close()
  })

  it('comes back the same way', async () => {
    await copy(source, target)
    const back = await sqlite()
    const { hash } = await copy(target, back)
    expect(hash).toBe((await copy(source, await sqlite())).hash)
    expect(await contentOf(back)).toEqual(await contentOf(source))
  })
})

describe('a copy', () => {
  it('that was interrupted anywhere goes on where it was', async () => {
    await fill(await ledgerOn(stays(source), new MemoryViews(), systemClock, { jobs: [note, bad] }))
    const whole = await copy(source, await sqlite())
    for (let steps = 0; ; steps += 1) {
      const target = await sqlite()
      let left = steps
      const copied = await copy(
        source,
        mortal(target, () => left-- > 0),
      ).catch((error: Error) => error.message)
      if (copied !== 'away') {
        expect(steps).toBe(3)
        break
      }
      expect(await copy(source, target)).toMatchObject({ hash: whole.hash, burnt: 1 })
      expect(await copy(source, target)).toMatchObject({ hash: whole.hash, burnt: 1, written: 0 })
    }
  })

  it('stops when it is told to, after a page', async () => {
    await appendOk(source, { 'job-1': 'none' }, ...events('job-1', 3_000))
    const target = await sqlite()
    const controller = new AbortController()
    const stopped = copy(source, target, {
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('enough')),
    })
    expect(await rejection(stopped)).toMatchObject({ message: 'enough' })
    const there = (await collect(target.readAll())).length
    expect(there).toBeGreaterThan(0)
    expect(await copy(source, target)).toMatchObject({ events: 3_000, written: 3_000 - there })
  })

  it('asks again when nobody knows what became of an append', async () => {
    await appendOk(source, { 'job-1': 'none' }, ...events('job-1', 5))
    const target = await sqlite()
    let times = 0
    const doubtful = instead(target, 'append', async (groups: readonly AppendGroup[]): Promise<AppendOutcome[]> => {
      const outcomes = await target.append(groups)
      times += 1
      return times > 1 ? outcomes : [{ kind: 'unknown', error: new StoreUnavailable('no answer') }]
    })
    expect(await copy(source, doubtful)).toMatchObject({ events: 5 })
  })

  it('says that the source has grown, and brings what is new when it is run again', async () => {
    await appendOk(source, { 'job-1': 'none' }, ...events('job-1', 5))
    const target = await sqlite()
    let grown = false
    const onProgress = async ({ phase }: CopyProgress): Promise<void> => {
      if (phase !== 'verifying' || grown) return
      grown = true
      await appendOk(source, { 'job-2': 'none' }, ...events('job-2', 2))
    }
    expect(await copy(source, target, { onProgress })).toMatchObject({ events: 5, grew: 2 })
    expect(await copy(source, target)).toMatchObject({ events: 7, written: 2, grew: 0 })
  })

  it('tells how far it is', async () => {
    await appendOk(source, { 'job-1': 'none' }, ...events('job-1', 3_000))
    const told: CopyProgress[] = []
    await copy(source, await sqlite(), { onProgress: (progress) => told.push(progress) })
    expect([...new Set(told.map(({ phase }) => phase))]).toEqual(['copying', 'removing', 'verifying'])
    const shares = told.filter(({ phase }) => phase === 'copying').map(({ share }) => share ?? 0)
    expect(shares).toEqual([...shares].sort((a, b) => a - b))
    expect(shares.at(-1)).toBe(1)
    expect(told.at(-1)).toEqual({ phase: 'verifying', events: 3_000, share: 1 })
  })

  it('of large bodies takes them a few at a time', async () => {
    const large = Array.from({ length: 40 }, () => event('job-1', { body: body('x'.repeat(1_000_000)) }))
    for (const [revision, each] of large.entries()) {
      await appendOk(source, { 'job-1': revision === 0 ? 'none' : revision - 1 }, each)
    }
    const target = await sqlite()
    const sizes: number[] = []
    const spied = instead(target, 'append', (groups: readonly AppendGroup[]) => {
      sizes.push(groups[0]?.events.length ?? 0)
      return target.append(groups)
    })
    expect(await copy(source, spied)).toMatchObject({ events: 40, bodies: 40 })
    expect(sizes.slice(1).every((size) => size <= 4)).toBe(true)
  })

  it.each<[string, (target: EventStore) => Promise<unknown>, string]>([
    ['another ledger', (target) => appendOk(target, { a: 'none' }, event('a')), 'COPY_TARGET_DIFFERS'],
    [
      'a copy that was used since',
      async (target) => {
        await copy(source, target)
        await appendOk(target, { a: 'none' }, event('a'))
      },
      'COPY_TARGET_DIFFERS',
    ],
    [
      'a copy whose bodies are others',
      async (target) => {
        await copy(source, target)
        await target.erase([{ stream: 'job-1', revision: 1 }])
      },
      'COPY_TARGET_DIFFERS',
    ],
  ])('is refused over %s, which stays as it is', async (_, prepare, code) => {
    await appendOk(source, { 'job-1': 'none' }, event('job-1'), event('job-1', { body: body('x') }))
    const target = await sqlite()
    await prepare(target)
    const before = await contentOf(target)
    expect(await rejection(copy(source, target))).toMatchObject({ code })
    expect(await contentOf(target)).toEqual(before)
  })

  it('is refused onto itself, and of a stream that has lost its beginning', async () => {
    await appendOk(source, { 'job-1': 'none' }, ...events('job-1', 3))
    expect(await rejection(copy(source, source))).toMatchObject({ code: 'COPY_TARGET_DIFFERS' })
    await source.truncate('job-1', 1)
    const error = await rejection(copy(source, await sqlite()))
    expect(error).toMatchObject({ code: 'COPY_IMPOSSIBLE' })
    expect((error as Error).message).toMatch(/^'job-1' begins at revision 1: /)
  })

  it('that does not read back alike is no copy', async () => {
    await appendOk(source, { 'job-1': 'none' }, event('job-1', { data: { a: 1 } }))
    const target = await sqlite()
    const forgetful = instead(target, 'append', (groups: readonly AppendGroup[]) =>
      target.append(groups.map((group) => ({ ...group, events: group.events.map((each) => ({ ...each, at: 7 })) }))),
    )
    expect(await rejection(copy(source, forgetful))).toMatchObject({ code: 'COPY_UNVERIFIED' })
  })

  it('leaves out what was removed, also where the source still shows it and where it was copied before', async () => {
    const log = new MemoryEventStore({ atomicGroups: false })
    await appendOk(log, { 'job-a': 'none' }, event('job-a'), event('job-a', { body: body('secret') }))
    await appendOk(log, { 'job-b': 'none' }, event('job-b'))
    const before = await sqlite()
    await copy(log, before)
    const shown = await collect(log.readAll({ bodies: true }))
    const jobs = ['a', 'b'].map((id) => ({ id, outcome: 'succeeded', queue: 'q', queuedAt: 0, position: '' }))
    await appendOk(log, { audit: 'none' }, event('audit', { type: 'JobsRemoved', data: { jobs } }))
    await log.remove(['job-a'])
    // As EventStoreDB until it is scavenged; of b only the first step was made.
    const showing = instead(log, 'readAll', async function* (options) {
      const of = shown.filter(({ stream, position }) => stream === 'job-a' && position > (options?.after ?? ''))
      const rest = await collect(log.readAll(options ?? {}))
      if (options?.types === undefined && of.length > 0) yield of
      if (rest.length > 0) yield rest
    })
    for (const target of [before, await sqlite()]) {
      expect(await copy(showing, target)).toMatchObject({ events: 2, burnt: 1 })
      expect((await contentOf(target)).map(({ stream }) => stream)).toEqual(['job-b', 'audit'])
      const [outcome] = await target.append([group({ 'job-a': 'none' }, event('job-a'))])
      expect(outcome).toMatchObject({ kind: 'conflict', actual: 'removed' })
    }
  })

  it('leaves nothing that a ledger would stumble over where what was taken out still shows', async () => {
    const log = new MemoryEventStore()
    await appendOk(log, { 'job-a': 'none' }, event('job-a', { type: 'NameTaken' }))
    const lines: LogLine[] = []
    const logger = listeningLogger(lines)
    const ledger = await ledgerOn(log, new MemoryViews(), systemClock, { jobs: [note], logger })
    await ledger.enqueue(note, 1, { id: 'b' })
    await ledger.close()
    expect(lines.filter(({ level }) => level === 'error')).toEqual([])
  })

  it('of an empty log is an empty log', async () => {
    expect(await copy(source, await sqlite())).toMatchObject({ events: 0, written: 0, hash: '', grew: 0 })
  })
})

function instead<Name extends keyof EventStore>(store: EventStore, name: Name, other: EventStore[Name]): EventStore {
  return new Proxy(store, {
    get(target, key) {
      if (key === name) return other
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** As if the process ended before a call that changes something. */
function mortal(store: EventStore, lives: () => boolean): EventStore {
  const guarded = <Given extends unknown[], Result>(call: (...given: Given) => Promise<Result>) => {
    return async (...given: Given): Promise<Result> => {
      if (!lives()) throw new Error('away')
      return call(...given)
    }
  }
  const appending = instead(
    store,
    'append',
    guarded((groups: readonly AppendGroup[]) => store.append(groups)),
  )
  return instead(
    appending,
    'remove',
    guarded((streams: readonly string[]) => store.remove(streams)),
  )
}
