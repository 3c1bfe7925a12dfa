/** Ledgers with an archive, and a log whose history is long past. */
import { join } from 'node:path'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import { NodeFolder } from '../../adapters/node/folder.js'
import { openLedger } from '../../adapters/open-ledger.js'
import { openSqliteStore } from '../../adapters/sqlite/event-store.js'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import type { EventTexts } from '../../domain/event.js'
import { Archive } from '../../runtime/archive/archive.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { LedgerOptions } from '../../runtime/options.js'
import type { EventStore } from '../../runtime/ports/event-store.js'
import type { Views } from '../../runtime/ports/views.js'
import { temporaryFolder } from '../adapters/temporary-folder.js'
import { end, TYPES, work } from '../scenarios/ends.js'
import { keptOpen } from './support.js'

const FIRST_DAY: number = Date.UTC(2026, 0, 1)
export const LATER: number = FIRST_DAY + 100 * 86_400_000

export interface ArchiveWorld extends AsyncDisposable {
  readonly store: EventStore
  readonly folder: string
  readonly segments: NodeFolder
  /** Without views of its own: it reads the log from the beginning. `handle`: in place of the store. */
  open(clock: VirtualClock, options?: LedgerOptions & { views?: Views; handle?: EventStore }): Promise<Ledger>
  /** All there ever was, by a reader of its own. */
  texts(): Promise<EventTexts[]>
}

export type Kind = 'memory' | 'memory, one stream at a time' | 'sqlite'
export const KINDS: readonly Kind[] = ['memory', 'memory, one stream at a time', 'sqlite']

export async function archiveWorld(kind: Kind): Promise<ArchiveWorld> {
  const { path, remove } = await temporaryFolder()
  const store =
    kind === 'sqlite'
      ? await openSqliteStore(join(path, 'jobs.db'), { durability: 'normal' })
      : new MemoryEventStore({ atomicGroups: kind === 'memory' })
  const folder = join(path, 'jobs.db-archive')
  const segments = new NodeFolder(folder)
  return {
    store,
    folder,
    segments,
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
      await remove()
    },
  }
}

/** Jobs of every outcome, one that a waiting job needs, one that another has taken along, a trigger that fires each minute, a worker that came and went. */
export async function longAgo({ open }: ArchiveWorld, views?: Views): Promise<void> {
  const clock = new VirtualClock(FIRST_DAY)
  const ledger = await open(clock, views && { views })
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

/** Closes while time passes. */
export async function close(ledger: Ledger, clock: VirtualClock): Promise<void> {
  let over = false
  const closing = ledger.close({ drain: 0, timeout: 0 }).finally(() => {
    over = true
  })
  while (!over) await clock.advance('1s')
  await closing
}
