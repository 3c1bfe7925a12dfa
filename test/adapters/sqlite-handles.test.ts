/** Several handles on one file, and more streams than are remembered. */
import { execFile } from 'node:child_process'
import { copyFile, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSqliteStore } from '../../adapters/sqlite/event-store.js'
import { StoreRefused, StoreUnavailable } from '../../runtime/ports/event-store.js'
import {
  appendOk,
  appendOne,
  collect,
  event,
  events,
  follow,
  group,
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
    handle.prepare('SELECT count(*) FROM jobledger_events').get()
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
    const fresh = Array.from({ length: 40_000 }, (_, index) => `task-${index}`)
    const last = await store.append([...fresh, 'job-1'].map((name) => group({ [name]: 'none' }, event(name))))
    expect(kindsOf(last.slice(-2))).toEqual(['ok', 'conflict'])
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

  it('nothing is watched any more once nobody listens', async () => {
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
