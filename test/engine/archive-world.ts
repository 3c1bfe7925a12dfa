/** Ledgers with an archive, and a log whose history is long past. */
import { join } from 'node:path'
import { openEventStore } from '../../adapters/eventstore/event-store.js'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import { NodeFolder } from '../../adapters/node/folder.js'
import { openLedger } from '../../adapters/open-ledger.js'
import { openPostgresStorage } from '../../adapters/postgres/storage.js'
import { openSqliteStore } from '../../adapters/sqlite/event-store.js'
import { openSqliteViews } from '../../adapters/sqlite/views.js'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import { watched } from '../../adapters/testing/watched.js'
import type { EventTexts } from '../../domain/event.js'
import { Archive } from '../../runtime/archive/archive.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { LedgerOptions } from '../../runtime/options.js'
import type { EventStore } from '../../runtime/ports/event-store.js'
import type { Views } from '../../runtime/ports/views.js'
import { temporaryFolder } from '../adapters/temporary-folder.js'
import { end, TYPES, work } from '../scenarios/ends.js'
import { freshLog, realServer, removeLog } from '../support/eventstore/logs.js'
import { FakeEventStore } from '../support/eventstore/server.js'
import { freshSchema, missingPostgres } from '../support/postgres.js'
import { PatientClock, Watch } from './patient-clock.js'
import { keptOpen } from './support.js'

const FIRST_DAY: number = Date.UTC(2026, 0, 1)
export const LATER: number = FIRST_DAY + 100 * 86_400_000

export interface ArchiveWorld extends AsyncDisposable {
  readonly store: EventStore
  readonly folder: string
  readonly segments: NodeFolder
  /** One that begins at `now`, and waits for the store. */
  clock(now: number): VirtualClock
  /** Those that a ledger on such a store has by itself. */
  views(): Promise<Views>
  /** Without views of its own: it reads the log from the beginning. `handle`: in place of the store. */
  open(clock: VirtualClock, options?: LedgerOptions & { views?: Views; handle?: EventStore }): Promise<Ledger>
  /** Whether nothing is seen any more of what was taken out of the log, after some tidying where that is needed. */
  tidied(): boolean
  /** All there ever was, by a reader of its own. */
  texts(): Promise<EventTexts[]>
}

interface Place {
  readonly store: EventStore
  /** Of a store in another process. */
  readonly watch?: Watch
  views(): Promise<Views>
  tidied?(): boolean
  remove(): Promise<void>
}

const inMemory = (atomicGroups: boolean): Place => ({
  store: new MemoryEventStore({ atomicGroups }),
  views: async () => new MemoryViews(),
  remove: async () => {},
})

async function inFile(path: string): Promise<Place> {
  const store = await openSqliteStore(join(path, 'jobs.db'), { durability: 'normal' })
  return { store, views: () => openSqliteViews(join(path, 'jobs.db-views')), remove: async () => {} }
}

async function onPostgres(): Promise<Place> {
  const { url, drop } = await freshSchema()
  const { store, views } = await openPostgresStorage(url, { durability: 'normal' })
  const watch = new Watch()
  return { store: watched(store, watch), watch, views: async () => watched(views, watch), remove: drop }
}

async function onEventStore(path: string): Promise<Place> {
  const fake = realServer === undefined ? await FakeEventStore.start() : undefined
  const url = freshLog(fake?.url() ?? realServer ?? '')
  const watch = new Watch()
  return {
    store: watched(await openEventStore(url), watch),
    watch,
    views: () => openSqliteViews(join(path, 'jobs.db-views')),
    tidied() {
      fake?.log.scavenge()
      return fake !== undefined
    },
    remove: () => fake?.stop() ?? removeLog(url),
  }
}

/** `esdb`: the real server, where tests are given one, else the fake. */
export type Kind = 'memory' | 'memory, one stream at a time' | 'sqlite' | 'postgres' | 'esdb'

const PLACES: Record<Kind, (path: string) => Place | Promise<Place>> = {
  memory: () => inMemory(true),
  'memory, one stream at a time': () => inMemory(false),
  sqlite: inFile,
  postgres: onPostgres,
  esdb: onEventStore,
}

const missing = missingPostgres()
if (missing !== undefined) console.log(`not tried on PostgreSQL: ${missing}`)

/** In this process: many steps cost little. */
export const NEAR: readonly Kind[] = ['memory', 'memory, one stream at a time', 'sqlite']
export const KINDS: readonly Kind[] = (Object.keys(PLACES) as Kind[]).filter(
  (kind) => kind !== 'postgres' || missing === undefined,
)

export async function archiveWorld(kind: Kind): Promise<ArchiveWorld> {
  const { path, remove } = await temporaryFolder()
  const place: Place = await PLACES[kind](path)
  const { store, watch } = place
  const folder = join(path, 'jobs.db-archive')
  const segments = new NodeFolder(folder)
  return {
    store,
    folder,
    segments,
    clock: (now) => (watch === undefined ? new VirtualClock(now) : new PatientClock(watch, now)),
    views: () => place.views(),
    tidied: () => place.tidied?.() ?? true,
    open: (clock, { views = new MemoryViews(), handle = store, ...options } = {}) =>
      openLedger({ store: keptOpen(handle), views: keptOpen(views), archive: folder, clock, jobs: TYPES, ...options }),
    async texts() {
      const archive = new Archive({ store, folder: segments, segmentOf: async () => undefined })
      await archive.catalogue.discover()
      const all: EventTexts[] = []
      for await (const page of archive.log.readTexts()) all.push(...page)
      return all
    },
    async [Symbol.asyncDispose]() {
      await store.close()
      await place.remove()
      await remove()
    },
  }
}

/** Jobs of every outcome, one that a waiting job needs, one that another has taken along, a trigger that fires each minute, a worker that came and went. */
export async function longAgo(world: ArchiveWorld, views?: Views): Promise<void> {
  const clock = world.clock(FIRST_DAY)
  const ledger = await world.open(clock, views && { views })
  await ledger.start()
  await ledger.triggers.add({ id: 'minutely', kind: 'every', when: '1m', job: work, payload: 'tick' })
  for (const id of ['a', 'b', 'c']) await end(ledger, id, 'succeeded', { queue: 'q' })
  await end(ledger, 'bad', 'failed')
  await end(ledger, 'gone', 'cancelled')
  await end(ledger, 'needed')
  await ledger.enqueue(work, 'x', { id: 'waits', held: true, dependsOn: ['needed'] })
  await ledger.enqueue(work, 'x', { id: 'after', dependsOn: [{ id: 'bad', otherwise: 'cancel' }] })
  await ledger.result('after').catch(() => {})
  for (let minute = 0; minute < 3; minute += 1) await clock.advance('1m')
  await close(ledger, clock)
}

/** All that lies in the folder. */
export async function wordsOf({ segments }: ArchiveWorld): Promise<string> {
  const words: string[] = []
  for (const name of await segments.list()) for await (const { text } of segments.lines(name)) words.push(text)
  return words.join('\n')
}

/** Closes while time passes. */
export async function close(ledger: Ledger, clock: VirtualClock): Promise<void> {
  let over = false
  const closing = ledger.close({ drain: 0, timeout: 0 }).finally(() => {
    over = true
  })
  while (!over) await clock.advance('1s')
  await closing
}
