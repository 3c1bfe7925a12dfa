/** What only SQLite can get wrong: files, rights, damage, full disks, and bytes that should be gone. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { objectionTo } from '../../adapters/sqlite/driver.js'
import { openSqliteStore, SqliteEventStore } from '../../adapters/sqlite/event-store.js'
import { openLog } from '../../adapters/sqlite/open.js'
import { StoreRefused, StoreUnavailable, StoreUnusable } from '../../runtime/ports/event-store.js'
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
    handle.exec("UPDATE events SET data = '{broken' WHERE position IN (3, 1000, 1500)")
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

  it.each([
    ['erase', (store: SqliteEventStore) => store.erase(secrets.map((_, n) => ({ stream: `job-${n}`, revision: 1 })))],
    ['remove', (store: SqliteEventStore) => store.remove(secrets.map((_, n) => `job-${n}`))],
    [
      'truncate',
      async (store: SqliteEventStore) => {
        for (const n of secrets.keys()) await store.truncate(`job-${n}`, 2)
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

describe("the caller's own handle", () => {
  it('must be on the same file, in a transaction, and open', async () => {
    const store = await openSqliteStore(path)
    const elsewhere = new Database(join(folder.path, 'other.db'))
    expect(() => store.within(elsewhere)).toThrow(StoreRefused)
    expect(() => store.within(new Database(':memory:'))).toThrow(StoreRefused)
    elsewhere.close()
    expect(() => store.within(elsewhere)).toThrow(StoreRefused)
    const handle = new Database(path)
    expect(() => store.within(handle).append([group({ 'job-1': 'none' }, event('job-1'))])).toThrow(StoreRefused)
    expect(() => store.within(handle).readStream('job-1')).toThrow(StoreRefused)
    handle.close()
    await store.close()
  })

  it('may have come by a link', async () => {
    const store = await openSqliteStore(path)
    await symlink(path, join(folder.path, 'link.db'))
    const handle = new Database(join(folder.path, 'link.db'))
    handle.exec('BEGIN')
    expect(kindsOf(store.within(handle).append([group({ 'job-1': 'none' }, event('job-1'))]))).toEqual(['ok'])
    handle.exec('COMMIT')
    handle.close()
    expect(await collect(store.readAll())).toHaveLength(1)
    await store.close()
  })

  it('is refused when another log lies in the place of the file', async () => {
    const store = await openSqliteStore(path)
    const other = join(folder.path, 'other.db')
    await (await openSqliteStore(other)).close()
    for (const suffix of ['', '-wal', '-shm']) await rm(path + suffix)
    await copyFile(other, path)
    const handle = new Database(path)
    handle.exec('BEGIN')
    expect(() => store.within(handle)).toThrow(StoreRefused)
    handle.close()
    await store.close()
  })

  it('may have any settings of its own', async () => {
    const store = await openSqliteStore(path)
    const handle = new Database(path)
    handle.defaultSafeIntegers(true)
    handle.exec('BEGIN')
    const mine = store.within(handle)
    expect(kindsOf(mine.append([group({ 'job-1': 'none' }, ...events('job-1', 12))]))).toEqual(['ok'])
    expect(mine.readStream('job-1', { from: 3, limit: 1 })[0]).toMatchObject({ revision: 3, at: 1_700_000_000_000 })
    handle.exec('COMMIT')
    handle.close()
    await store.close()
  })

  it('may go back to a savepoint between two calls: what was undone is not remembered', async () => {
    const store = await openSqliteStore(path)
    const handle = new Database(path)
    handle.exec('BEGIN; SAVEPOINT mine')
    const mine = store.within(handle)
    mine.append([group({ 'job-1': 'none' }, ...events('job-1', 2))])
    handle.exec('ROLLBACK TO mine')
    expect(mine.append([group({ 'job-1': 1 }, event('job-1'))])).toMatchObject([{ kind: 'conflict', actual: 'none' }])
    expect(kindsOf(mine.append([group({ 'job-2': 'none' }, event('job-2'))]))).toEqual(['ok'])
    expect(mine.readStream('job-1')).toEqual([])
    handle.exec('COMMIT')
    handle.close()
    expect((await collect(store.readAll())).map(({ position }) => position)).toEqual(['0000000000000001'])
    await store.close()
  })

  it('with an old view of the file is rejected, not mistaken', async () => {
    const store = await openSqliteStore(path)
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    const handle = new Database(path)
    handle.exec('BEGIN')
    handle.prepare('SELECT count(*) FROM events').get()
    await appendOk(store, { 'job-1': 0 }, event('job-1'))
    const [outcome] = store.within(handle).append([group({ 'job-1': 0 }, event('job-1'))])
    expect(outcome).toEqual({ kind: 'rejected', error: expect.any(StoreUnavailable) })
    handle.exec('ROLLBACK')
    handle.close()
    expect(await collect(store.readAll())).toHaveLength(2)
    await store.close()
  })
})

describe('many streams', () => {
  it('more than are remembered: they are looked up again', { timeout: 30_000 }, async () => {
    const store = await openSqliteStore(path, { durability: 'normal' })
    const names = Array.from({ length: 70_000 }, (_, index) => `job-${index}`)
    const wide = new Map(names.map((name) => [name, 'none'] as const))
    const [outcome] = await store.append([
      { expect: wide, events: [...names, ...names.slice(0, 50)].map((name) => event(name)) },
    ])
    expect(outcome?.kind).toBe('ok')
    for (const name of ['job-0', 'job-49', 'job-60', 'job-69999']) {
      const head = Number(name.slice(4)) < 50 ? 1 : 0
      expect(await appendOne(store, { [name]: head + 1 }, event(name))).toMatchObject({
        kind: 'conflict',
        actual: head,
      })
      await appendOk(store, { [name]: head }, event(name))
    }
    await store.close()
  })
})

describe('several handles', () => {
  it('hear of each other by the file system, long before the next poll', async () => {
    const store = await openSqliteStore(path)
    const other = await openSqliteStore(path)
    const batches = store.subscribe({ signal: new AbortController().signal })[Symbol.asyncIterator]()
    await batches.next()
    const latencies: number[] = []
    for (let index = 0; index < 10; index += 1) {
      const coming = batches.next()
      const started = performance.now()
      await appendOk(other, { [`job-${index}`]: 'none' }, event(`job-${index}`))
      expect((await coming).value).toMatchObject({ kind: 'events' })
      latencies.push(performance.now() - started)
      await batches.next()
    }
    expect(latencies.sort((a, b) => a - b)[4]).toBeLessThan(300)
    await batches.return?.()
    await other.close()
    await store.close()
  })
})

describe('several processes', () => {
  it('that open one new file at once agree on one log', async () => {
    const script = `
      const Database = require('better-sqlite3')
      const db = new Database(process.argv[1], { timeout: 5000 })
      db.pragma('page_size = 8192'); db.exec('BEGIN EXCLUSIVE'); setTimeout(() => { db.exec('COMMIT'); db.close() }, 150)`
    const holding = new Promise<void>((resolve, reject) => {
      execFile(process.execPath, ['-e', script, path], (error) => (error === null ? resolve() : reject(error)))
    })
    await new Promise((resolve) => setTimeout(resolve, 100))
    const stores = await Promise.all([1, 2, 3].map(() => openSqliteStore(path)))
    expect(new Set(stores.map(({ logId }) => logId)).size).toBe(1)
    await holding
    for (const store of stores) await store.close()
  })

  it('a process that only listens can end', async () => {
    const store = await openSqliteStore(path)
    const abort = new AbortController()
    const waiting = follow(store.subscribe({ signal: abort.signal }), 1)
    await new Promise((resolve) => setTimeout(resolve, 20))
    abort.abort()
    await waiting
    expect(process.getActiveResourcesInfo().filter((kind) => kind === 'FSEventWrap')).toEqual([])
    await store.close()
  })
})
