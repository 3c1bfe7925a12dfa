/** A disk that is full or cannot be written, and files that are no ledger. */
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openLedger } from '../../adapters/open-ledger.js'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import type { Ledger } from '../../runtime/ledger.js'
import { StoreUnavailable, StoreUnusable } from '../../runtime/ports/event-store.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { LogLine } from './support.js'
import { gate, listeningLogger, next, rejection, typesOf } from './support.js'

const PRIVILEGE = 'mounting a small disk takes privileges that this process does not have'
const note = defineJob({ type: 'note', handle: (text: string) => text.length })

let folder: string
let mounted: string[]
const clock = new VirtualClock()

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobledger-faults-'))
  mounted = []
})
afterEach(async () => {
  for (const path of mounted.toReversed()) execFileSync('umount', ['--lazy', path])
  await rm(folder, { recursive: true, force: true })
})

/** Whether it could. */
function mount(path: string, ...options: string[]): boolean {
  try {
    execFileSync('mount', [...options, path], { stdio: 'ignore' })
  } catch {
    return false
  }
  mounted.push(path)
  return true
}

/** Leaves not one byte. */
function fillUp(disk: string): () => void {
  const path = join(disk, 'ballast')
  const file = openSync(path, 'w')
  for (let size = 65_536; size > 0; ) {
    try {
      writeSync(file, Buffer.alloc(size, 1))
    } catch {
      size = Math.floor(size / 2)
    }
  }
  closeSync(file)
  return () => rmSync(path)
}

/** Enqueues until the store refuses: the last pages of its own files may have room yet. */
async function enqueueUntilRefused(ledger: Ledger): Promise<{ readonly stored: number; readonly error: unknown }> {
  for (let stored = 0; ; stored += 1) {
    try {
      await ledger.enqueue(note, 'x'.repeat(5_000))
    } catch (error) {
      return { stored, error }
    }
  }
}

describe('a full disk', () => {
  it('refuses what is enqueued, still answers, and records how a run ended once there is room', async (context) => {
    context.skip(!mount(folder, '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs'), PRIVILEGE)
    const log: LogLine[] = []
    const running = gate()
    const end = gate<string>()
    const slow = defineJob({
      type: 'slow',
      handle: (_: null) => {
        running.open()
        return end.promise
      },
    })
    const url = `sqlite:${join(folder, 'jobs.db')}`
    const ledger = await openLedger({ url, clock, jobs: [slow], logger: listeningLogger(log) })
    await ledger.start()
    const job = await ledger.enqueue(slow, null, { id: 'slow' })
    await running.promise

    const free = fillUp(folder)
    const { stored, error } = await enqueueUntilRefused(ledger)
    expect(error).toBeInstanceOf(StoreUnavailable)
    expect(error).toMatchObject({ message: expect.stringMatching(/jobs\.db.*disk is full/) })
    end.open('y'.repeat(5_000))
    await clock.advance('3s')
    expect(log.map(({ message }) => message)).toContain('outcome not recorded')

    await ledger.ping()
    expect((await ledger.status('slow')).state).toBe('running')
    expect((await ledger.queues.stats()).default).toMatchObject({ running: 1, ready: stored })
    expect((await ledger.history('slow')).length).toBeGreaterThan(1)
    expect((await ledger.list({ state: 'running' })).jobs).toMatchObject([{ id: 'slow' }])

    free()
    await clock.advance('1s')
    expect(await job.result()).toBe('y'.repeat(5_000))
    expect((await ledger.enqueue(note, 'fits')).outcome).toBe('created')
    expect((await ledger.list({ limit: 1_000 })).jobs).toHaveLength(stored + 2)
    await ledger.close()
    const reopened = await openLedger({ url, clock })
    expect(await typesOf(reopened, 'slow')).toEqual(['Queued', 'Leased', 'Finished'])
    await reopened.close()
  })

  it('does not keep a ledger from closing, nor from leasing once there is room', async (context) => {
    context.skip(!mount(folder, '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs'), PRIVILEGE)
    const url = `sqlite:${join(folder, 'jobs.db')}`
    const ledger = await openLedger({ url, clock, jobs: [note] })
    await ledger.enqueue(note, 'first', { id: 'first' })
    await ledger.start()
    await ledger.result('first')
    await ledger.enqueue(note, 'x'.repeat(4_000), { id: 'later', delay: '1s' })
    const free = fillUp(folder)
    await enqueueUntilRefused(ledger)
    await clock.advance('10s')
    const state = (await ledger.status('later')).state
    free()
    await clock.advance('10s')
    expect(await ledger.result('later')).toBe(4_000)
    expect(['ready', 'running', 'succeeded']).toContain(state)

    const again = fillUp(folder)
    await enqueueUntilRefused(ledger)
    await ledger.close()
    again()
    const reopened = await openLedger({ url, clock })
    expect((await reopened.status('later')).state).toBe('succeeded')
    await reopened.close()
  })
})

describe('a file that cannot be written', () => {
  it('is refused at open, and says so', async (context) => {
    const disk = join(folder, 'disk')
    const view = join(folder, 'view')
    await mkdir(disk)
    await mkdir(view)
    const before = await openLedger({ url: `sqlite:${join(disk, 'jobs.db')}`, clock })
    await before.enqueue(note, 'a')
    await before.close()
    const readOnly = mount(view, '--bind', disk) && mount(view, '-o', 'remount,bind,ro')
    context.skip(!readOnly, PRIVILEGE)
    for (const name of ['jobs.db', 'new.db']) {
      const error = await rejection(openLedger({ url: `sqlite:${join(view, name)}`, clock }))
      expect(error).toBeInstanceOf(StoreUnavailable)
      expect(error).toMatchObject({ message: expect.stringMatching(new RegExp(`${name}.*(cannot be|read-only)`)) })
    }
    mounted.pop()
  })
})

describe('what is no ledger of this version', () => {
  const open = (path: string): Promise<unknown> => rejection(openLedger({ url: `sqlite:${path}`, clock }))

  it('of a newer schema version is refused and left alone', async () => {
    const path = join(folder, 'jobs.db')
    await (await openLedger({ url: `sqlite:${path}`, clock })).close()
    const db = new Database(path)
    db.pragma('user_version = 99')
    db.close()
    const error = await open(path)
    expect(error).toBeInstanceOf(StoreUnusable)
    expect(error).toMatchObject({ message: expect.stringMatching(/jobs\.db.*schema version 99.*newer jobledger/) })
  })

  it('because it is no database is refused and left alone', async () => {
    const path = join(folder, 'letter.txt')
    await writeFile(path, 'Dear reader, '.repeat(1_000))
    const error = await open(path)
    expect(error).toBeInstanceOf(StoreUnusable)
    expect(error).toMatchObject({ message: expect.stringMatching(/letter\.txt.*not a sound SQLite database/) })
    expect(await readdir(folder)).toEqual(['letter.txt'])
  })

  it("because it is another program's database is refused and left alone", async () => {
    const path = join(folder, 'other.db')
    const db = new Database(path)
    db.exec('CREATE TABLE customers (id INTEGER)')
    db.close()
    const error = await open(path)
    expect(error).toBeInstanceOf(StoreUnusable)
    expect(error).toMatchObject({ message: expect.stringMatching(/other\.db.*another program.*customers/) })
    expect(await readdir(folder)).toEqual(['other.db'])
  })

  it('because its folder is missing, or because it is a folder, is refused', async () => {
    const missing = join(folder, 'no', 'jobs.db')
    expect(await open(missing)).toMatchObject({ code: 'STORE_UNAVAILABLE', message: expect.stringContaining('no') })
    expect(await open(folder)).toMatchObject({ code: 'STORE_UNAVAILABLE', message: expect.stringContaining(folder) })
    expect(await readdir(folder)).toEqual([])
  })

  it.each(['', 'sqlite:', 'memory:x', 'redis://localhost', 'jobs.db', 5])('by its URL %j is refused', async (url) => {
    const error = await rejection(openLedger({ url: url as string, clock }))
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'openLedger.url' })
  })

  it.each([
    ['openLedger.durability', { durability: 'some' }],
    ['openLedger.durabilty', { durabilty: 'full' }],
    ['openLedger', null],
  ])('by its option %s is refused', async (option, given) => {
    const error = await rejection(openLedger(given as never))
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option })
  })
})

describe('two ledgers on one file', () => {
  it('hear of each other at once, run what the other enqueues and know its results', async () => {
    const url = `sqlite:${join(folder, 'jobs.db')}`
    const one = await openLedger({ url, jobs: [note] })
    const other = await openLedger({ url, jobs: [note] })
    await one.start({ queues: ['one'] })
    await other.start({ queues: ['other'] })
    for (let round = 0; round < 5; round += 1) {
      const seen = next(one, `there ${round}`, 'Queued')
      const there = await one.enqueue(note, 'abc', { id: `there ${round}`, queue: 'other' })
      await seen
      const here = await other.enqueue(note, 'ab', { id: `here ${round}`, queue: 'one' })
      expect(await Promise.all([there.result(), here.result()])).toEqual([3, 2])
      expect(await Promise.all([other.result(there.id), one.result(here.id)])).toEqual([3, 2])
    }
    const workers = await Promise.all(['there 0', 'here 0'].map(async (id) => (await one.history(id))[1]?.data))
    expect(new Set(workers.map((data) => (data as { workerId: string }).workerId)).size).toBe(2)
    await Promise.all([one.close(), other.close()])
  })
})
