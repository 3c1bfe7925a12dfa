import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync } from 'node:fs'
import { chmod, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSqliteViews } from '../../adapters/sqlite/views.js'
import { StoreUnavailable, StoreUnusable } from '../../runtime/ports/event-store.js'
import type { JobRow, Views } from '../../runtime/ports/views.js'
import { countingTurns } from '../conformance/views/harness.js'
import { viewsSuite } from '../conformance/views.suite.js'
import { temporaryFolder } from './temporary-folder.js'

viewsSuite('the SQLite views', async () => {
  const folder = await temporaryFolder()
  const path = join(folder.path, 'jobs.db-views')
  const views = await openSqliteViews(path)
  return {
    views,
    openSecond: () => openSqliteViews(path),
    dispose: async () => {
      await views.close()
      await folder.remove()
    },
  }
})

const checkpoint = {
  logId: 'log-1',
  position: '0000000000000005',
  stream: 'job-1',
  revision: 4,
  eventId: 'event-5',
  version: 1,
}

const ROW: JobRow = {
  id: 'job-1',
  place: '0000000000000001',
  type: 't',
  queue: 'q',
  channel: '',
  trigger: '',
  phase: 'waiting',
  endPlace: '',
  keepUntil: null,
  dependsOn: ['job-0'],
  state: '{}',
}

function save(views: Views): Promise<boolean> {
  return views.save({
    checkpoint,
    since: 'all',
    rows: Array.from({ length: 500 }, (_, n) => ({ ...ROW, id: `job-${n}`, place: `${n}` })),
    texts: new Map(),
    removed: new Map([['job-7', { outcome: 'failed', place: '7' }]]),
    expunged: [],
  })
}

/** What version 1 of the schema left behind. */
const VERSION_1 = `
  CREATE TABLE checkpoint (
    one INTEGER PRIMARY KEY CHECK (one = 1), log_id TEXT NOT NULL, position TEXT NOT NULL, stream TEXT NOT NULL,
    revision INTEGER NOT NULL, event_id TEXT NOT NULL, version INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE jobs (
    place TEXT PRIMARY KEY, id TEXT NOT NULL, type TEXT NOT NULL, queue TEXT NOT NULL, channel TEXT NOT NULL,
    phase TEXT NOT NULL, state TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX jobs_live ON jobs (place) WHERE phase IN ('waiting', 'leased');
  CREATE INDEX jobs_bad ON jobs (place) WHERE phase IN ('failed', 'cancelled');
  CREATE TABLE texts (name TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO checkpoint VALUES (1, 'log-1', '0000000000000005', 'job-1', 4, 'event-5', 1);
  INSERT INTO jobs VALUES ('1', 'job-1', 't', 'q', '', 'failed', '{}');
  PRAGMA application_id = ${0x4a6c7677};
  PRAGMA user_version = 1;
`

function countRows(path: string): Record<string, number> {
  const db = new Database(path, { readonly: true })
  const count = (table: string): number => db.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck().get() ?? -1
  const counts = { jobs: count('jobs'), edges: count('edges'), tombstones: count('tombstones') }
  db.close()
  return counts
}

/** As it lies on the disk, whatever is open there. */
function copyOf(path: string, copy: string): string {
  for (const suffix of ['', '-wal']) copyFileSync(path + suffix, copy + suffix)
  return copy
}

async function contentOf(path: string): Promise<Record<string, unknown>> {
  const views = await openSqliteViews(path)
  const position = (await views.checkpoint())?.position
  const rows = (await views.list({ limit: 10_000 })).length
  const edges = (await views.dependents('job-0')).length
  const removed = (await views.removed(Array.from({ length: 500 }, (_, n) => `job-${n}`))).size
  await views.close()
  return { position, rows, edges, removed }
}

/** Opening does not look at an index. */
function pageOfIndex(path: string): [from: number, to: number] {
  const db = new Database(path, { readonly: true })
  const size = db.pragma('page_size', { simple: true }) as number
  const page = db.prepare<[], number>("SELECT rootpage FROM sqlite_schema WHERE name = 'jobs_live'").pluck().get() ?? 0
  db.close()
  return [(page - 1) * size, page * size]
}

describe('the file of the SQLite views', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let path: string
  beforeEach(async () => {
    folder = await temporaryFolder()
    path = join(folder.path, 'jobs.db-views')
  })
  afterEach(() => folder.remove())

  it('keeps its rows from one opening to the next, for its owner alone', async () => {
    const views = await openSqliteViews(path)
    expect(await save(views)).toBe(true)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    await views.close()
    const again = await openSqliteViews(path)
    expect(await again.checkpoint()).toEqual(checkpoint)
    expect(await again.dependents('job-0')).toHaveLength(499)
    expect([...(await again.removed(['job-7']))]).toEqual([['job-7', 'failed']])
    await again.close()
  })

  it('is waited for while another process makes it', async () => {
    const script = `
      const db = require('better-sqlite3')(process.argv[1])
      db.exec('BEGIN EXCLUSIVE'); console.log('held'); setTimeout(() => { db.exec('COMMIT'); db.close() }, 400)`
    const holder = spawn(process.execPath, ['-e', script, path], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(holder.stdout, 'data')
    const views = await openSqliteViews(path)
    await once(holder, 'exit')
    await views.close()
  })

  it('is made anew when it is no database', async () => {
    await writeFile(path, 'these are not the rows you are looking for'.repeat(100))
    const views = await openSqliteViews(path)
    expect(await views.checkpoint()).toBeUndefined()
    expect(await save(views)).toBe(true)
    await views.close()
  })

  it('is made anew when it is of another version', async () => {
    const views = await openSqliteViews(path)
    await save(views)
    await views.close()
    const db = new Database(path)
    db.pragma('user_version = 99')
    db.close()
    const again = await openSqliteViews(path)
    expect(await again.checkpoint()).toBeUndefined()
    await again.close()
  })

  it('is made anew when an older version has left it, beside what is open there', async () => {
    const old = new Database(path)
    old.pragma('journal_mode = WAL')
    old.exec(VERSION_1)
    const views = await openSqliteViews(path)
    expect(await views.checkpoint()).toBeUndefined()
    expect(await views.list({ limit: 9 })).toEqual([])
    expect(await views.ended({ keep: 'rules', limit: 9 })).toEqual([])
    expect(await save(views)).toBe(true)
    old.close()
    const again = await openSqliteViews(path)
    expect(await again.list({ limit: 1000 })).toHaveLength(499)
    expect(await again.dependents('job-0')).toHaveLength(499)
    await Promise.all([views.close(), again.close()])
  })

  it('finds the jobs of a trigger, newest first, without walking or sorting others', async () => {
    const views = await openSqliteViews(path)
    await save(views)
    const db = new Database(path, { readonly: true })
    const page = "SELECT * FROM jobs WHERE trigger <> '' AND trigger = 't' AND place < 'z' ORDER BY place DESC LIMIT 5"
    expect(db.prepare(`EXPLAIN QUERY PLAN ${page}`).all()).toMatchObject([
      { detail: 'SEARCH jobs USING INDEX jobs_of_trigger (trigger=? AND place<?)' },
    ])
    db.close()
    await views.close()
  })

  it('lets the event loop go while it looks for an ended job', async () => {
    const views = await openSqliteViews(path)
    const rows = Array.from({ length: 5500 }, (_, n) => ({ ...ROW, place: `${n}`, endPlace: `${n}`, dependsOn: [] }))
    await views.save({ checkpoint, since: 'all', rows, texts: new Map(), removed: new Map(), expunged: [] })
    const { turns } = await countingTurns(() => views.ended({ keep: 'rules', limit: 1, types: ['none'] }))
    expect(turns).toBeGreaterThan(3)
    await views.close()
  })

  it('lets the event loop go while it waits for another save', async () => {
    // Each of them patient, but not for as long as the others would take if they stood still for each other.
    const all = await Promise.all(Array.from({ length: 4 }, () => openSqliteViews(path)))
    const rows = Array.from({ length: 6_000 }, (_, n) => ({ ...ROW, id: `job-${n}`, place: `${n}` }))
    const none = { removed: new Map(), expunged: [], texts: new Map() }
    const saves = all.map((views) => views.save({ checkpoint, since: 'all', rows, ...none }))
    expect(await Promise.all(saves)).toEqual([true, true, true, true])
    await Promise.all(all.map((views) => views.close()))
  })

  it('lets the event loop go while it removes', async () => {
    const views = await openSqliteViews(path)
    const removed = new Map(
      Array.from({ length: 2000 }, (_, n) => [`job-${n}`, { outcome: 'succeeded', place: `${n}` }] as const),
    )
    const { turns } = await countingTurns(() =>
      views.save({ checkpoint, since: 'all', rows: [], texts: new Map(), removed, expunged: [] }),
    )
    expect(turns).toBeGreaterThan(20)
    await views.close()
  })

  it('keeps no edges and no tombstones that nobody asks for', async () => {
    const views = await openSqliteViews(path)
    await save(views)
    const names = Array.from({ length: 500 }, (_, n) => n)
    const removed = new Map(names.map((n) => [`job-${n}`, { outcome: 'succeeded', place: `${n}` }] as const))
    const next = { ...checkpoint, position: '0000000000000006' }
    await views.save({
      checkpoint: next,
      since: checkpoint.position,
      rows: [],
      texts: new Map(),
      removed,
      expunged: [],
    })
    expect(countRows(path)).toEqual({ jobs: 0, edges: 0, tombstones: 500 })
    const last = { ...checkpoint, position: '0000000000000007' }
    await views.save({ checkpoint: last, since: 'all', rows: [], texts: new Map(), removed: new Map(), expunged: [] })
    expect(countRows(path)).toEqual({ jobs: 0, edges: 0, tombstones: 0 })
    await views.close()
  })

  it('is whole when the process dies in the middle of a save', async () => {
    const views = await openSqliteViews(path)
    await save(views)
    const number = (n: number): JobRow => ({ ...ROW, id: `job-${n}`, place: `${n}`, state: 'x'.repeat(20_000) })
    const next = views.save({
      checkpoint: { ...checkpoint, position: '0000000000000006' },
      since: checkpoint.position,
      rows: Array.from({ length: 1000 }, (_, n) => number(n + 1000)),
      texts: new Map(),
      removed: new Map(Array.from({ length: 400 }, (_, n) => [`job-${n}`, { outcome: 'failed', place: `${n}` }])),
      expunged: [],
    })
    // What the disk holds at this moment is what the next process would find.
    const copies: string[] = []
    let saving = true
    const saved = next.finally(() => {
      saving = false
    })
    for (let turn = 0; saving; turn += 1) {
      if (turn % 5 === 4) copies.push(copyOf(path, join(folder.path, `copy-${turn}`)))
      await nextTurn()
    }
    expect(await saved).toBe(true)
    expect(copies.length).toBeGreaterThan(3)
    const found = new Set<string>()
    for (const copy of copies) found.add(JSON.stringify(await contentOf(copy)))
    expect([...found]).toEqual([JSON.stringify({ position: checkpoint.position, rows: 499, edges: 499, removed: 1 })])
    const whole = { position: '0000000000000006', rows: 1100, edges: 1100, removed: 400 }
    expect(await contentOf(copyOf(path, join(folder.path, 'after')))).toEqual(whole)
    await views.close()
  })

  it.each(['when opened', 'when saved'])('is made anew when it is damaged, found out %s', async (when) => {
    const views = await openSqliteViews(path)
    await save(views)
    await views.close()
    const bytes = await readFile(path)
    if (when === 'when opened') bytes.fill(0x5a, 100)
    else bytes.fill(0x5a, ...pageOfIndex(path))
    await writeFile(path, bytes)
    const again = await openSqliteViews(path)
    expect(await again.checkpoint()).toEqual(when === 'when opened' ? undefined : checkpoint)
    if (!(await save(again))) expect(await save(again)).toBe(true)
    expect(await again.list({ limit: 1000 })).toHaveLength(499)
    await again.close()
  })

  it('may be deleted while it is open', async () => {
    const views = await openSqliteViews(path)
    await save(views)
    for (const suffix of ['', '-wal', '-shm']) await rm(path + suffix, { force: true })
    expect(await save(views)).toBe(true)
    expect(existsSync(path)).toBe(true)
    expect(await views.list({ limit: 1000 })).toHaveLength(499)
    await views.close()
  })

  it("leaves another program's database alone", async () => {
    const db = new Database(path)
    db.exec('CREATE TABLE photos (name TEXT)')
    db.close()
    await chmod(path, 0o644)
    await expect(openSqliteViews(path)).rejects.toThrow(StoreUnusable)
    expect(existsSync(path)).toBe(true)
  })

  it('says so when its directory is missing', async () => {
    await expect(openSqliteViews(join(folder.path, 'no', 'views'))).rejects.toThrow(StoreUnavailable)
  })
})
