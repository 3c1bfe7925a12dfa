import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { objectionTo } from '../../adapters/sqlite/driver.js'
import { openSqliteStore, SqliteEventStore } from '../../adapters/sqlite/event-store.js'
import { openLog } from '../../adapters/sqlite/open.js'
import { joined } from '../../domain/audit/encoding.js'
import { EntryWriter } from '../../domain/audit/entries.js'
import { StoreUnavailable, StoreUnusable } from '../../runtime/ports/event-store.js'
import {
  appendOk,
  appendOne,
  body,
  collect,
  event,
  events,
  follow,
  group,
  idsOf,
  kindsOf,
} from '../conformance/event-store/harness.js'
import { temporaryFolder } from './temporary-folder.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let path: string
beforeEach(async () => {
  folder = await temporaryFolder()
  path = join(folder.path, 'jobs.db')
})
afterEach(() => folder.remove())

/** All bytes of the log and the files beside it, as Latin-1 text. */
async function bytesOnDisk(): Promise<string> {
  const files = ['', '-wal', '-shm'].map((suffix) => path + suffix).filter((file) => existsSync(file))
  return (await Promise.all(files.map((file) => readFile(file, 'latin1')))).join('')
}

describe('opening', () => {
  it('makes a file that is its owner’s alone and says whose it is', async () => {
    const store = await openSqliteStore(path)
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    for (const suffix of ['', '-wal', '-shm']) expect((await stat(path + suffix)).mode & 0o777).toBe(0o600)
    await store.close()
    const db = new Database(path, { readonly: true })
    expect(db.pragma('application_id', { simple: true })).toBe(0x4a6c6467)
    expect(db.pragma('user_version', { simple: true })).toBe(1)
    expect(db.pragma('page_size', { simple: true })).toBe(8192)
    expect(db.pragma('journal_mode', { simple: true })).toBe('wal')
    db.close()
  })

  it('finds everything again', async () => {
    const store = await openSqliteStore(path)
    const written = events('job-1', 25)
    await appendOk(store, { 'job-1': 'none' }, ...written)
    await store.close()
    const again = await openSqliteStore(path)
    expect(again.logId).toBe(store.logId)
    expect(idsOf(await collect(again.readAll()))).toEqual(idsOf(written))
    await appendOk(again, { 'job-1': 24 }, event('job-1'))
    await again.close()
  })

  it('takes an empty file for a new log', async () => {
    await writeFile(path, '')
    const store = await openSqliteStore(path)
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    await store.close()
  })

  it('refuses a file that is no database, and leaves it alone', async () => {
    const text = 'just some notes\n'.repeat(100)
    await writeFile(path, text)
    await expect(openSqliteStore(path)).rejects.toThrow(StoreUnusable)
    await expect(openSqliteStore(path)).rejects.toThrow(/jobs\.db: expected a jobledger log/)
    expect(await readFile(path, 'utf8')).toBe(text)
  })

  it('refuses the database of another program, and names what it found', async () => {
    const db = new Database(path)
    db.exec('CREATE TABLE photos (name TEXT); PRAGMA application_id = 77')
    db.close()
    const before = await readFile(path)
    await expect(openSqliteStore(path)).rejects.toThrow(/another program's database \(application id 77, .*photos/)
    expect((await readFile(path)).equals(before)).toBe(true)
  })

  it('refuses a log of a newer version', async () => {
    await (await openSqliteStore(path)).close()
    const db = new Database(path)
    db.pragma('user_version = 2')
    db.close()
    await expect(openSqliteStore(path)).rejects.toThrow(/schema version 2.*up to 1/)
    await expect(openSqliteStore(path)).rejects.toThrow(StoreUnusable)
  })

  it('says so when the directory is missing, or the path is none', async () => {
    await expect(openSqliteStore(join(folder.path, 'no', 'jobs.db'))).rejects.toThrow(/there is no directory/)
    await expect(openSqliteStore(join(folder.path, 'no', 'jobs.db'))).rejects.toThrow(StoreUnavailable)
    await expect(openSqliteStore(':memory:')).rejects.toThrow(StoreUnusable)
    await expect(openSqliteStore(folder.path)).rejects.toThrow(StoreUnavailable)
  })

  it('can be for reading only: reads work, appends are rejected', async () => {
    await expect(openSqliteStore(path, { readonly: true })).rejects.toThrow(StoreUnavailable)
    const store = await openSqliteStore(path)
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    await store.close()
    const reader = await openSqliteStore(path, { readonly: true })
    const outcome = await appendOne(reader, { 'job-2': 'none' }, event('job-2'))
    expect(outcome).toEqual({ kind: 'rejected', error: expect.any(StoreUnavailable) })
    expect(await collect(reader.readAll())).toHaveLength(1)
    await expect(reader.remove(['job-1'])).rejects.toThrow(StoreUnavailable)
    await reader.close()
  })

  it('sets a restored copy back to WAL', async () => {
    const store = await openSqliteStore(path)
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    await store.close()
    const db = new Database(path)
    db.exec(`VACUUM INTO '${path}.copy'`)
    db.close()
    const copy = await openSqliteStore(`${path}.copy`)
    expect(copy.logId).toBe(store.logId)
    expect(existsSync(`${path}.copy-wal`)).toBe(true)
    await copy.close()
  })

  it.each([
    ['11.9.0', '22.0.0', /Expected better-sqlite3/],
    ['12.11.1', '20.20.0', undefined],
    ['13.2.0', '20.20.0', /crashes on Node.js 20/],
    ['13.2.0', '22.1.0', undefined],
  ])('better-sqlite3 %s on Node.js %s', (version, node, objection) => {
    if (objection === undefined) expect(objectionTo(version, node)).toBeUndefined()
    else expect(objectionTo(version, node)).toMatch(objection)
  })
})

describe('a disk that is full', () => {
  it('rejects what does not fit, stores nothing of it, and goes on reading', async () => {
    const file = openLog(path)
    const store = new SqliteEventStore(file)
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    file.db.pragma('max_page_count = 20')
    const big = group({ 'job-2': 'none' }, event('job-2', { body: body('x'.repeat(400_000)) }))
    const outcomes = await store.append([group({ 'job-3': 'none' }, event('job-3')), big])
    expect(outcomes).toEqual([1, 2].map(() => ({ kind: 'rejected', error: expect.any(StoreUnavailable) })))
    expect(await collect(store.readAll())).toHaveLength(1)
    await appendOk(store, { 'job-4': 'none' }, event('job-4'))
    expect(await collect(store.readStream('job-3'))).toEqual([])
    await appendOk(store, { 'job-3': 'none' }, event('job-3'))
    file.db.pragma('max_page_count = 100000')
    await appendOk(store, { 'job-2': 'none', 'job-3': 0 }, event('job-2'), event('job-3'))
    await store.close()
  })

  it("takes back its own part of the caller's transaction", async () => {
    const store = await openSqliteStore(path)
    const handle = new Database(path)
    handle.exec('CREATE TABLE own (n INTEGER)')
    handle.pragma('max_page_count = 20')
    handle.exec('BEGIN IMMEDIATE; INSERT INTO own VALUES (1)')
    const big = group({ 'job-2': 'none' }, event('job-2', { body: body('x'.repeat(400_000)) }))
    expect(kindsOf(store.within(handle).append([big]))).toEqual(['rejected'])
    if (handle.inTransaction) handle.exec('ROLLBACK')
    handle.close()
    expect(await collect(store.readAll())).toEqual([])
    await store.close()
  })
})

describe('another writer that holds the lock', () => {
  it('makes an append wait, then be rejected; nothing is stored', async () => {
    const store = await openSqliteStore(path, { busyTimeout: 30 })
    const handle = new Database(path)
    handle.exec('BEGIN IMMEDIATE')
    const outcome = await appendOne(store, { 'job-1': 'none' }, event('job-1'))
    expect(outcome).toEqual({ kind: 'rejected', error: expect.any(StoreUnavailable) })
    expect(await collect(store.readAll())).toEqual([])
    handle.exec('ROLLBACK')
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    handle.close()
    await store.close()
  })
})

describe('a record that cannot be read', () => {
  it('is skipped and told of; what is around it is read', async () => {
    const told: string[] = []
    const store = await openSqliteStore(path, { onUnreadable: (position) => told.push(position) })
    await appendOk(store, { 'job-1': 'none' }, ...events('job-1', 1500))
    const log = await collect(store.readAll())
    const handle = new Database(path)
    handle.exec("UPDATE jobledger_events SET data = '{broken' WHERE position IN (3, 1000, 1500)")
    handle.close()
    const expected = log.filter(({ revision }) => ![2, 999, 1499].includes(revision))
    expect(idsOf(await collect(store.readAll()))).toEqual(idsOf(expected))
    expect(told).toEqual([log[2]?.position, log[999]?.position, log[1499]?.position])
    expect(idsOf(await collect(store.readStream('job-1')))).toEqual(idsOf(expected))
    const batches = store.subscribe({ signal: new AbortController().signal })
    const next = event('job-1')
    const seen = follow(batches, 1498)
    await appendOk(store, { 'job-1': 1499 }, next)
    expect(idsOf(await seen)).toEqual([...idsOf(expected), next.id])
    await store.close()
  })
})

describe('what was erased or removed', () => {
  const secrets = Array.from({ length: 12 }, () => randomBytes(20).toString('hex'))
  /** Small ones and ones that fill many pages. */
  const contentOf = (index: number): string => JSON.stringify(Array(index % 3 === 0 ? 900 : 1).fill(secrets[index]))

  const refs = secrets.map((_, n) => ({ stream: `job-${n}`, revision: 1 }))

  it.each([
    ['erase', (store: SqliteEventStore) => store.erase(refs)],
    ['remove', (store: SqliteEventStore) => store.remove(secrets.map((_, n) => `job-${n}`))],
    [
      'truncate',
      async (store: SqliteEventStore) => {
        for (const n of secrets.keys()) await store.truncate(`job-${n}`, 2)
      },
    ],
    [
      'a group that erases',
      (store: SqliteEventStore) => store.append([{ ...group({ 'audit-1': 'none' }, event('audit-1')), erase: refs }]),
    ],
    [
      'a group that removes',
      (store: SqliteEventStore) => {
        const names = secrets.map((_, n) => `job-${n}`)
        const seen = Object.fromEntries(names.map((name) => [name, 2]))
        return store.append([{ ...group({ ...seen, 'audit-1': 'none' }, event('audit-1')), remove: names }])
      },
    ],
    [
      'a group that erases and has effects, beside one whose effects fail',
      (store: SqliteEventStore) => {
        const told = { ...group({ 'audit-1': 'none' }, event('audit-1')), erase: refs, effects: () => {} }
        const fail = (): void => {
          throw new Error('no')
        }
        return store.append([told, { ...group({ 'audit-2': 'none' }, event('audit-2')), effects: fail }])
      },
    ],
  ])('%s leaves none of its bytes in the file or beside it', async (_, take) => {
    const store = await openSqliteStore(path)
    const other = await openSqliteStore(path)
    for (const n of secrets.keys()) {
      const secret = event(`job-${n}`, { body: body(contentOf(n)) })
      await appendOk(
        store,
        { [`job-${n}`]: 'none' },
        event(`job-${n}`),
        secret,
        event(`job-${n}`, { body: body('"stays"') }),
      )
    }
    const before = await bytesOnDisk()
    expect(secrets.every((secret) => before.includes(secret))).toBe(true)
    await take(store)
    const after = await bytesOnDisk()
    expect(secrets.filter((secret) => after.includes(secret))).toEqual([])
    await other.close()
    await store.close()
  })
})

describe('entries', () => {
  it('are those of the texts, whatever somebody has written there', async () => {
    const store = await openSqliteStore(path)
    await appendOk(store, { 'job-1': 'none' }, ...[0, 1, 2, 3].map(() => event('job-1', { body: body('{}') })))
    const db = new Database(path)
    const change = (values: string, revision: number): unknown =>
      db.exec(`UPDATE jobledger_events SET ${values} WHERE revision = ${revision}`)
    change(`seal = x'ff00ff'`, 1)
    change(`seal = x'0102', body = NULL`, 2)
    change(`seal = x'', body = x'2d00ff', data = 'no JSON' || char(0, 252)`, 3)
    db.exec('DELETE FROM jobledger_events WHERE revision = 0')
    db.close()
    const texts = await collect(store.readTexts())
    expect(texts.map(({ stream }) => stream)).toEqual(['', '', ''])
    const pages: Uint8Array[] = []
    for await (const page of store.readEntries?.() ?? []) pages.push(page)
    expect(joined(pages)).toEqual(new EntryWriter().write(texts))
    await store.close()
  })

  it('are not made of a file that keeps its texts in UTF-16', async () => {
    const db = new Database(path)
    db.pragma('encoding = "UTF-16"')
    db.exec('CREATE TABLE somebodys (a)')
    db.exec('DROP TABLE somebodys')
    db.close()
    const store = await openSqliteStore(path)
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    expect(store.readEntries).toBeUndefined()
    expect(await collect(store.readTexts())).toHaveLength(1)
    await store.close()
  })
})
