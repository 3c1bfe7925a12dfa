/** What effects may do to the store's own handle, and what becomes of their group and of its neighbours. */
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSqliteStore, SqliteEventStore } from '../../adapters/sqlite/event-store.js'
import { openLog } from '../../adapters/sqlite/open.js'
import type { AppendGroup } from '../../runtime/ports/event-store.js'
import { StoreClosed, StoreRefused, StoreUnavailable } from '../../runtime/ports/event-store.js'
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
let store: SqliteEventStore
/** The caller's own handle, on which its table was made. */
let own: Database.Database
beforeEach(async () => {
  folder = await temporaryFolder()
  path = join(folder.path, 'jobs.db')
  store = await openSqliteStore(path)
  own = new Database(path)
  own.exec('CREATE TABLE orders (id TEXT PRIMARY KEY); CREATE TABLE items (orderId TEXT REFERENCES orders (id))')
  own.exec('CREATE TABLE parts (orderId TEXT REFERENCES orders (id) DEFERRABLE INITIALLY DEFERRED)')
})
afterEach(async () => {
  own.close()
  await store.close()
  await folder.remove()
})

type Handle = Database.Database

const order = (handle: Handle, id: string): unknown => handle.prepare('INSERT INTO orders (id) VALUES (?)').run(id)
const orders = (): unknown[] => own.prepare('SELECT id FROM orders ORDER BY rowid').pluck().all()
const streams = async (): Promise<string[]> => (await collect(store.readAll())).map(({ stream }) => stream)

/** A group of one event in a new stream of its own. */
function withEffects(stream: string, effects: (handle: Handle) => unknown): AppendGroup {
  return { ...group({ [stream]: 'none' }, event(stream)), effects: (transaction) => effects(transaction as Handle) }
}

/** Between two neighbours, the first of them with effects; what all three make of it. */
async function between(effects: (handle: Handle) => unknown): Promise<{ kinds: string[]; error: unknown }> {
  const outcomes = await store.append([
    withEffects('job-before', (handle) => void order(handle, 'before')),
    withEffects('job-1', effects),
    group({ 'job-after': 'none', 'job-before': 0 }, ...events('job-after', 12), event('job-before')),
  ])
  const [, outcome] = outcomes
  return { kinds: kindsOf(outcomes), error: outcome !== undefined && 'error' in outcome ? outcome.error : undefined }
}

describe('effects', () => {
  it('are handed the better-sqlite3 Database in the transaction', async () => {
    const { kinds } = await between((handle) => {
      expect(handle).toBeInstanceOf(Database)
      expect(handle.inTransaction).toBe(true)
      expect(handle.prepare("SELECT count(*) FROM jobledger_events WHERE name = 'job-1'").pluck().get()).toBe(1)
      handle.transaction(() => order(handle, 'nested'))()
      handle.exec("SAVEPOINT mine; INSERT INTO orders VALUES ('undone'); ROLLBACK TO mine")
    })
    expect(kinds).toEqual(['ok', 'ok', 'ok'])
    expect(orders()).toEqual(['before', 'nested'])
  })

  it('that break a rule of their own table are told that very error, and are not tried again', async () => {
    let calls = 0
    const { kinds, error } = await between((handle) => {
      calls += 1
      order(handle, 'twice')
      order(handle, 'twice')
    })
    expect(kinds).toEqual(['ok', 'rejected', 'ok'])
    expect(error).toMatchObject({ code: 'SQLITE_CONSTRAINT_PRIMARYKEY' })
    expect(calls).toBe(1)
    expect(orders()).toEqual(['before'])
  })

  it('that break a foreign key of their own are told that very error', async () => {
    const { kinds, error } = await between((handle) => {
      order(handle, 'order')
      handle.exec("INSERT INTO items VALUES ('missing')")
    })
    expect(kinds).toEqual(['ok', 'rejected', 'ok'])
    expect(error).toMatchObject({ code: 'SQLITE_CONSTRAINT_FOREIGNKEY' })
    expect(orders()).toEqual(['before'])
  })

  it('that leave a deferred foreign key unmet keep only their own group from being stored', async () => {
    const { kinds, error } = await between((handle) => {
      order(handle, 'order')
      handle.exec("INSERT INTO parts VALUES ('missing')")
    })
    expect(kinds).toEqual(['ok', 'rejected', 'ok'])
    expect(error).toBeInstanceOf(StoreRefused)
    expect(error).toHaveProperty('message', expect.stringContaining('deferred foreign key'))
    expect(orders()).toEqual(['before'])
    expect(await streams()).toEqual(['job-before', ...Array(12).fill('job-after'), 'job-before'])
  })

  it('that fail leave no gap among the positions, and no instant of theirs', async () => {
    const late = (stream: string): AppendGroup => group({ [stream]: 'none' }, event(stream, { at: 1_900_000_000_000 }))
    const fail = (): void => {
      throw new Error('no')
    }
    const outcomes = await store.append([{ ...late('job-1'), effects: fail }, late('job-2')])
    expect(kindsOf(outcomes)).toEqual(['rejected', 'ok'])
    expect(outcomes[1]).toHaveProperty('position', '0000000000000001')
    expect(own.prepare('SELECT at, position FROM jobledger_instants').raw().all()).toEqual([[1_900_000_000_000, 1]])
  })

  it('may make tables, which go when they fail', async () => {
    const { kinds } = await between((handle) => {
      handle.exec('CREATE TABLE more (n INTEGER)')
      throw new Error('no')
    })
    expect(kinds).toEqual(['ok', 'rejected', 'ok'])
    expect(own.prepare("SELECT count(*) FROM sqlite_schema WHERE name = 'more'").pluck().get()).toBe(0)
  })

  it('that give back a promise are refused, and nobody misses its failure', async () => {
    const unhandled: unknown[] = []
    const note = (reason: unknown): unknown => unhandled.push(reason)
    process.on('unhandledRejection', note)
    const { kinds, error } = await between(async (handle) => {
      order(handle, 'never')
      throw new Error('too late')
    })
    await nextTurn()
    process.off('unhandledRejection', note)
    expect(kinds).toEqual(['ok', 'rejected', 'ok'])
    expect(error).toBeInstanceOf(StoreRefused)
    expect(error).toHaveProperty('message', expect.stringContaining('synchronous on this store'))
    expect(unhandled).toEqual([])
    expect(orders()).toEqual(['before'])
  })

  it('that give back something else to wait for are refused, and it is not set going', async () => {
    let going = false
    const builder = {
      // biome-ignore lint/suspicious/noThenProperty: query builders have one.
      then: () => {
        going = true
      },
    }
    const { kinds, error } = await between(() => builder)
    await nextTurn()
    expect(kinds).toEqual(['ok', 'rejected', 'ok'])
    expect(error).toBeInstanceOf(StoreRefused)
    expect(going).toBe(false)
  })

  it('on a disk that is full keep only their own group from being stored', async () => {
    await store.close()
    const file = openLog(path)
    store = new SqliteEventStore(file)
    own.exec('CREATE TABLE bytes (b BLOB)')
    file.db.pragma('max_page_count = 40')
    const { kinds } = await between((handle) => handle.exec('INSERT INTO bytes VALUES (zeroblob(900000))'))
    expect(kinds).toEqual(['ok', 'rejected', 'ok'])
    file.db.pragma('max_page_count = 100000')
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    expect(orders()).toEqual(['before'])
  })

  it('leave the handle with its old settings: groups that take things out set them for their call only', async () => {
    await store.close()
    const file = openLog(path)
    store = new SqliteEventStore(file)
    const setting = (): unknown => file.db.pragma('secure_delete', { simple: true })
    const before = setting()
    await appendOk(store, { 'job-1': 'none' }, event('job-1', { body: body('x') }))
    const during: unknown[] = []
    for (const fails of [false, true]) {
      const plain = group({ 'job-1': 0, 'job-2': 'none' }, event('job-2'))
      const effects = (): void => {
        during.push(setting())
        if (fails) throw new Error('no')
      }
      await store.append([{ ...plain, erase: [{ stream: 'job-1', revision: 0 }], effects }])
      expect(setting()).toBe(before)
    }
    expect(during).toEqual([1])
  })
})

describe('effects and groups that take things out, where nothing can be written', () => {
  it.each([
    ['to a file opened for reading only', true],
    ['while another writer holds the lock', false],
  ])('%s: all is rejected, and effects are not called', async (_, readonly) => {
    await appendOk(store, { 'job-1': 'none' }, event('job-1', { body: body('x') }))
    const other = await openSqliteStore(path, { readonly, busyTimeout: 0 })
    if (!readonly) own.exec('BEGIN IMMEDIATE')
    let called = 0
    const outcomes = await other.append([
      withEffects('job-2', () => (called += 1)),
      { ...group({ 'job-3': 'none' }, event('job-3')), erase: [{ stream: 'job-1', revision: 0 }] },
      { ...group({ 'job-4': 'none', 'job-1': 0 }, event('job-4')), remove: ['job-1'] },
    ])
    expect(outcomes).toEqual(Array(3).fill({ kind: 'rejected', error: expect.any(StoreUnavailable) }))
    expect(called).toBe(0)
    if (!readonly) own.exec('ROLLBACK')
    await other.close()
    expect(await streams()).toEqual(['job-1'])
  })
})

describe('effects that meddle with the transaction', () => {
  it.each([
    ['COMMIT', (handle: Handle) => handle.exec('COMMIT'), /leave the COMMIT to the store/],
    ['END after a change', (handle: Handle) => order(handle, 'never') && handle.exec('END'), /leave the COMMIT/],
    ['a prepared COMMIT', (handle: Handle) => handle.prepare('COMMIT').run(), /leave the COMMIT/],
    ['ROLLBACK', (handle: Handle) => handle.exec('ROLLBACK'), /leave the transaction/],
    ['ROLLBACK and BEGIN', (handle: Handle) => handle.exec('ROLLBACK; BEGIN'), /leave the transaction/],
    [
      'a transaction just like it',
      (handle: Handle) => handle.exec('ROLLBACK; BEGIN IMMEDIATE; SAVEPOINT jobledger_effects'),
      /leave the transaction/,
    ],
    ['RELEASE of our savepoint', (handle: Handle) => handle.exec('RELEASE jobledger_effects'), /leave the transaction/],
    ['ROLLBACK TO it', (handle: Handle) => handle.exec('ROLLBACK TO jobledger_effects'), /leave the transaction/],
  ])('by %s: nothing of their group is stored, all of the others', async (_, effects, message) => {
    const live = follow(store.subscribe({ signal: new AbortController().signal }), 15)
    const { kinds, error } = await between((handle) => {
      order(handle, 'never too')
      effects(handle)
    })
    expect(kinds).toEqual(['ok', 'rejected', 'ok'])
    expect(error).toBeInstanceOf(StoreRefused)
    expect(error).toHaveProperty('message', expect.stringMatching(message))
    expect(orders()).toEqual(['before'])
    await appendOk(store, { 'job-1': 'none', 'job-before': 1 }, event('job-1'))
    expect(await streams()).toEqual(['job-before', ...Array(12).fill('job-after'), 'job-before', 'job-1'])
    expect(idsOf(await live)).toEqual(idsOf(await collect(store.readAll())))
    const other = await openSqliteStore(path, { busyTimeout: 0 })
    await appendOk(other, { 'job-1': 0 }, event('job-1'))
    await appendOk(store, { 'job-1': 1 }, event('job-1'))
    await other.close()
  })

  it('by an iterator left open: nothing of their group is stored, and nobody is locked out', async () => {
    const { kinds, error } = await between((handle) => {
      order(handle, 'never too')
      handle.prepare('SELECT * FROM jobledger_events').iterate().next()
    })
    expect(kinds).toEqual(['ok', 'rejected', 'ok'])
    expect(error).toBeInstanceOf(StoreRefused)
    expect(error).toHaveProperty('message', expect.stringMatching(/no iterator left open/))
    expect(orders()).toEqual(['before'])
    await appendOk(store, { 'job-1': 'none', 'job-before': 1 }, event('job-1'))
    const other = await openSqliteStore(path, { busyTimeout: 0 })
    await appendOk(other, { 'job-1': 0 }, event('job-1'))
    expect(await collect(other.readAll())).toHaveLength(16)
    await other.close()
  })

  it('by BEGIN are told what SQLite says of that', async () => {
    const { kinds, error } = await between((handle) => handle.exec('BEGIN'))
    expect(kinds).toEqual(['ok', 'rejected', 'ok'])
    expect(error).toMatchObject({ code: 'SQLITE_ERROR' })
  })

  it('and fail are told their own error', async () => {
    const failure = new Error('own')
    const { kinds, error } = await between((handle) => {
      handle.exec('ROLLBACK')
      throw failure
    })
    expect(kinds).toEqual(['ok', 'rejected', 'ok'])
    expect(error).toBe(failure)
  })

  it('and see their COMMIT refused may go on', async () => {
    const { kinds } = await between((handle) => {
      expect(() => handle.exec('COMMIT')).toThrow()
      order(handle, 'later')
    })
    expect(kinds).toEqual(['ok', 'ok', 'ok'])
    expect(orders()).toEqual(['before', 'later'])
  })

  it('beside a group that cannot be stored at all: each has its outcome', async () => {
    const outcomes = await store.append([
      withEffects('job-1', (handle) => handle.exec('ROLLBACK')),
      group({ 'job-2': 'none' }, event('job-2')),
      group({ 'job-3': 'none' }, event('job-3', { data: { amount: 1n } })),
    ])
    expect(kindsOf(outcomes)).toEqual(['rejected', 'ok', 'rejected'])
    expect(outcomes[2]).toHaveProperty('error', expect.any(TypeError))
    expect(await streams()).toEqual(['job-2'])
  })

  it('by closing the handle have closed the store; nothing is stored', async () => {
    const { kinds } = await between((handle) => handle.close())
    expect(kinds).toEqual(['rejected', 'rejected', 'rejected'])
    expect(await appendOne(store, { 'job-2': 'none' }, event('job-2'))).toMatchObject({
      error: expect.any(StoreClosed),
    })
    await expect(store.head()).rejects.toThrow(StoreClosed)
    await store.close()
    store = await openSqliteStore(path)
    expect(await streams()).toEqual([])
    expect(orders()).toEqual([])
  })
})

describe('effects that call the store', () => {
  it('are refused there, and what they are in goes on', async () => {
    await appendOk(store, { 'job-0': 'none' }, event('job-0'))
    const calls: Promise<unknown>[] = []
    const live = store.subscribe({ signal: new AbortController().signal })[Symbol.asyncIterator]()
    const { kinds } = await between(() => {
      calls.push(
        appendOne(store, { 'job-2': 'none' }, event('job-2')).then((outcome) => {
          if (outcome !== undefined && 'error' in outcome) throw outcome.error
        }),
        store.remove(['job-0']),
        store.erase([]),
        store.truncate('job-0', 1),
        collect(store.readStream('job-1')),
        collect(store.readAll()),
        store.sizes(['job-1']),
        store.head(),
        store.ping(),
        live.next(),
      )
    })
    expect(kinds).toEqual(['ok', 'ok', 'ok'])
    for (const { status, reason } of (await Promise.allSettled(calls)) as PromiseRejectedResult[]) {
      expect(status).toBe('rejected')
      expect(reason).toBeInstanceOf(StoreRefused)
    }
    expect(calls).toHaveLength(10)
    expect(await streams()).toEqual(['job-0', 'job-before', 'job-1', ...Array(12).fill('job-after'), 'job-before'])
  })

  it('to close it have it closed when the call is done', async () => {
    let closing: Promise<void> | undefined
    const { kinds } = await between(() => {
      closing = store.close()
    })
    expect(kinds).toEqual(['ok', 'ok', 'ok'])
    await closing
    await expect(store.head()).rejects.toThrow(StoreClosed)
    store = await openSqliteStore(path)
    expect(await streams()).toHaveLength(15)
  })
})
