/** A log in a file of its own, and other logs that are made of it. */
import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { systemClock } from '../../adapters/node/clock.js'
import { nodeDigest } from '../../adapters/node/digest.js'
import { findFile } from '../../adapters/node/folder.js'
import { openPostgresStore } from '../../adapters/postgres/event-store.js'
import { openSqliteStore } from '../../adapters/sqlite/event-store.js'
import { eventLine } from '../../domain/audit/bundle.js'
import { NAME_TAKEN } from '../../domain/job/events.js'
import { LedgerState } from '../../projections/ledger-state.js'
import { Archive } from '../../runtime/archive/archive.js'
import { type Copied, copyLog } from '../../runtime/copy/copy.js'
import { storeSource } from '../../runtime/copy/source.js'
import { openBundle } from '../../runtime/export/bundle-source.js'
import type { EventStore, LogReader } from '../../runtime/ports/event-store.js'
import { toTexts } from '../../runtime/read/texts.js'
import { freshSchema, missingPostgres } from '../support/postgres.js'
import type { ArchiveWorld, Kind } from './archive-world.js'
import { archiveWorld, close, LATER, longAgo } from './archive-world.js'
import { rejection } from './support.js'

const lacking = missingPostgres()

/** A log with removed jobs, erased bodies and an archive. */
async function lived(
  kind: Kind = 'memory',
): Promise<{ readonly world: ArchiveWorld; readonly file: string; readonly text: string }> {
  const world = await archiveWorld(kind)
  await longAgo(world)
  const clock = world.clock(LATER)
  const ledger = await world.open(clock, { scheduler: false })
  if (world.store.capabilities.erase) await ledger.expunge('b')
  await ledger.remove('c')
  await ledger.archive.run({ before: '90d' })
  const file = join(world.folder, '..', 'all.ndjson.gz')
  const exported = await ledger.export({ to: file })
  if (world.store.capabilities.hidesRemoved !== false) expect(exported.events).toBe((await world.texts()).length)
  await close(ledger, clock)
  return { world, file, text: gunzipSync(await readFile(file)).toString() }
}

async function importInto(to: EventStore, file: string): Promise<Copied> {
  const { folder, name } = findFile(file)
  const from = await openBundle(folder, name)
  return copyLog({ from, to, clock: systemClock, digest: nodeDigest, signal: new AbortController().signal })
}

/** What a log says, without the positions that each store makes for itself; and what is folded of it. */
async function meaningOf(log: Pick<LogReader, 'readAll'>): Promise<{ lines: string[]; state: string }> {
  const lines: string[] = []
  const state = new LedgerState()
  for await (const page of log.readAll({ bodies: true })) {
    for (const event of page) {
      // How a store keeps the id of a removed job taken.
      if (event.type === NAME_TAKEN) continue
      lines.push(eventLine(toTexts({ ...event, position: '' })))
      state.apply(event, event.at)
    }
  }
  const texts = [...state.toTexts(), ['triggers', state.triggersText()()]]
  return { lines, state: nodeDigest.sha256(JSON.stringify(texts).replaceAll(/"\d{16}"/g, '""')) }
}

describe('an export', () => {
  it('makes the same log anew, in one store after another', async (context) => {
    const { world, file, text } = await lived()
    await using _ = world
    const memory = new MemoryEventStore()
    const copied = await importInto(memory, file)
    expect(copied).toMatchObject({ burnt: 1, events: text.split('\n').length - 3 })
    const { log, catalogue } = new Archive({
      store: world.store,
      folder: world.segments,
      segmentOf: async () => undefined,
    })
    await catalogue.discover()
    const same = {
      to: new MemoryEventStore(),
      clock: systemClock,
      digest: nodeDigest,
      signal: new AbortController().signal,
    }
    expect(await copyLog({ from: storeSource(world.store, log), ...same })).toMatchObject({
      hash: copied.hash,
      burnt: 1,
    })
    const whole = await meaningOf(memory)
    expect(whole.lines.some((line) => line.includes('"hash"'))).toBe(true)
    const sqlite = await openSqliteStore(join(world.folder, '..', 'copy.db'), { durability: 'normal' })
    expect(await importInto(sqlite, file)).toMatchObject({ hash: copied.hash })
    expect(await meaningOf(sqlite)).toEqual(whole)
    // Again: nothing is written.
    expect(await importInto(sqlite, file)).toMatchObject({ written: 0, hash: copied.hash })
    await sqlite.close()
    if (lacking !== undefined) context.skip(`skipped: ${lacking}`)
    const schema = await freshSchema()
    const postgres = await openPostgresStore(schema.url, { durability: 'normal' })
    expect(await importInto(postgres, file)).toMatchObject({ hash: copied.hash })
    expect(await meaningOf(postgres)).toEqual(whole)
    await postgres.close()
    await schema.drop()
  })

  it('of a log that goes on showing what was removed holds what it holds when that is gone, and comes back', async () => {
    const { world, file, text } = await lived('esdb')
    await using _ = world
    expect(text).not.toContain('"stream":"job-c"')
    await using other = await archiveWorld('esdb')
    const { hash, burnt } = await importInto(other.store, file)
    expect(burnt).toBe(1)
    const memory = new MemoryEventStore()
    expect(await importInto(memory, file)).toMatchObject({ hash })
    expect(await meaningOf(other.store)).toEqual(await meaningOf(memory))
    if (!world.tidied()) return
    const later = join(world.folder, '..', 'later.ndjson')
    const clock = world.clock(LATER)
    const ledger = await world.open(clock, { scheduler: false })
    await ledger.export({ to: later })
    await close(ledger, clock)
    // But for what ended the stay of an archived job, which goes with it.
    const eventsIn = (lines: string): string[] =>
      lines
        .split('\n')
        .slice(1, -2)
        .filter((line) => !/"type":"Condemned".*segment/.test(line))
    expect(eventsIn(await readFile(later, 'utf8'))).toEqual(eventsIn(text))
  })

  it('of a part says so, and no log is made of it', async () => {
    const { world } = await lived()
    await using _ = world
    const clock = world.clock(LATER)
    const ledger = await world.open(clock, { scheduler: false })
    const file = join(world.folder, '..', 'part.ndjson')
    const { events } = await ledger.export({ to: file, filter: { job: 'a' } })
    expect(events).toBe((await ledger.history('a')).length)
    const [manifest, ...rest] = (await readFile(file, 'utf8')).trimEnd().split('\n')
    expect(JSON.parse(manifest as string)).toMatchObject({ kind: 'export', events, streams: 1, filter: { job: 'a' } })
    expect(rest).toHaveLength(events + 1)
    const store = new MemoryEventStore()
    expect(await rejection(importInto(store, file))).toMatchObject({ code: 'IMPORT_PARTIAL' })
    expect(await store.head()).toBe('')
    expect(await rejection(ledger.export({ to: file }))).toMatchObject({ code: 'EXPORT_EXISTS' })
    await close(ledger, clock)
  })

  it('that was damaged or cut off is refused before anything is stored, and so is a ledger with something else', async () => {
    const { world, file, text } = await lived()
    await using _ = world
    const store = new MemoryEventStore()
    const lines = text.split('\n')
    const wrong = {
      'a changed fact': text.replace('"queue\\":\\"q', '"queue\\":\\"r'),
      'a line less': lines.toSpliced(3, 1).join('\n'),
      'no end': lines.slice(0, -2).join('\n'),
      'no JSON': lines.with(2, '{').join('\n'),
    }
    for (const [what, bad] of Object.entries(wrong)) {
      const path = join(world.folder, '..', 'bad.ndjson')
      await writeFile(path, bad)
      const error = await rejection(importInto(store, path))
      expect({ what, code: (error as { code: string }).code }).toMatchObject({
        code: expect.stringMatching(/^IMPORT_/),
      })
    }
    await truncate(file, 500)
    expect(await rejection(importInto(store, file))).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(await store.head()).toBe('')
    await store.append([
      { expect: new Map([['job-x', 'none']]), events: [{ stream: 'job-x', id: 'i', type: 'T', at: 1, data: {} }] },
    ])
    await writeFile(file.replace('.gz', ''), text)
    expect(await rejection(importInto(store, file.replace('.gz', '')))).toMatchObject({ code: 'COPY_TARGET_DIFFERS' })
  })
})
