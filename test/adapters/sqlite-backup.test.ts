import { copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSqliteStore, type SqliteEventStore } from '../../adapters/sqlite/event-store.js'
import { SqliteMaintenance } from '../../adapters/sqlite/maintenance.js'
import type { Backup, BackupOptions } from '../../runtime/ports/maintenance.js'
import { appendOk, body, collect, event, events } from '../conformance/event-store/harness.js'
import { rejection } from '../engine/support.js'
import { temporaryFolder } from './temporary-folder.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let path: string
let store: SqliteEventStore
beforeEach(async () => {
  folder = await temporaryFolder()
  path = join(folder.path, 'jobs.db')
  store = await openSqliteStore(path, { durability: 'normal' })
})
afterEach(async () => {
  await store.close()
  await folder.remove()
})

function backup(options: Partial<BackupOptions> = {}): Promise<Backup> {
  const to = join(folder.path, 'copy.db')
  return new SqliteMaintenance(path).backup({ to, force: false, signal: new AbortController().signal, ...options })
}

/** Some 20 MB: too much for one step. */
async function fill(): Promise<void> {
  await appendOk(store, { 'job-1': 'none' }, ...events('job-1', 400, { body: body('x'.repeat(50_000)) }))
}

const filesOf = async (): Promise<string[]> => (await readdir(folder.path)).filter((name) => name.startsWith('copy'))

describe('a backup of a SQLite log', () => {
  it('is the log, for its owner alone, and opens as one', async () => {
    await appendOk(store, { 'job-1': 'none' }, event('job-1', { body: body('a') }), event('job-1'))
    const made = await backup()
    const file = join(folder.path, 'copy.db')
    expect(made).toEqual({ file, bytes: (await stat(file)).size, events: 2, logId: store.logId })
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await filesOf()).toEqual(['copy.db'])
    const copied = await openSqliteStore(file)
    expect(copied.logId).toBe(store.logId)
    expect(await collect(copied.readAll({ bodies: true }))).toEqual(await collect(store.readAll({ bodies: true })))
    await copied.close()
  })

  it('is of one moment, whatever is written meanwhile, and does not begin anew for it', async () => {
    await fill()
    let steps = 0
    let last = -1
    const writing: Promise<string>[] = []
    const onProgress = ({ done, total }: { done: number; total: number }): void => {
      steps += 1
      expect(done).toBeGreaterThan(last)
      expect(total).toBeGreaterThan(1_000)
      last = done
      writing.push(appendOk(store, { [`job-${steps}x`]: 'none' }, event(`job-${steps}x`)))
    }
    const { events: count, file } = await backup({ onProgress })
    await Promise.all(writing)
    expect(steps).toBeGreaterThan(2)
    expect(count).toBe(400)
    const copied = await openSqliteStore(file)
    expect(await collect(copied.readAll())).toHaveLength(400)
    await copied.close()
  })

  it('leaves a file that is there alone, unless it is told to take its place', async () => {
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    await backup()
    await writeFile(join(folder.path, 'copy.db-wal'), 'what another one has left')
    await appendOk(store, { 'job-2': 'none' }, event('job-2'))
    const before = await readFile(join(folder.path, 'copy.db'))
    expect(await rejection(backup())).toMatchObject({ code: 'BACKUP_EXISTS' })
    expect((await readFile(join(folder.path, 'copy.db'))).equals(before)).toBe(true)
    expect(await backup({ force: true })).toMatchObject({ events: 2 })
    expect(await filesOf()).toEqual(['copy.db'])
  })

  it('takes the place of what an earlier one has left half done', async () => {
    await writeFile(join(folder.path, 'copy.db.partial'), 'half of it')
    expect(await backup()).toMatchObject({ events: 0 })
    expect(await filesOf()).toEqual(['copy.db'])
  })

  it('that is stopped leaves nothing', async () => {
    await fill()
    const controller = new AbortController()
    const stopped = backup({ signal: controller.signal, onProgress: () => controller.abort(new Error('enough')) })
    expect(await rejection(stopped)).toMatchObject({ message: 'enough' })
    expect(await filesOf()).toEqual([])
  })

  it.each<[string, (made: string) => Promise<string>, string]>([
    ['the log itself', async () => path, 'BACKUP_EXISTS'],
    ['a folder', async (made) => mkdir(made).then(() => made), 'BACKUP_EXISTS'],
    ['a folder that is not there', async (made) => join(made, 'copy.db'), 'STORE_UNAVAILABLE'],
  ])('is refused into %s', async (_, prepare, code) => {
    const to = await prepare(join(folder.path, 'other'))
    expect(await rejection(backup({ to, force: true }))).toMatchObject({ code })
    expect(await collect(store.readAll())).toEqual([])
  })
})

describe('the examination of a SQLite log', () => {
  const examine = async (file = path): Promise<Record<string, string>> => {
    const findings = await new SqliteMaintenance(file).examine({ quick: false })
    return Object.fromEntries(findings.map(({ name, status, message }) => [name, `${status}: ${message}`]))
  }

  it('finds a sound one sound', async () => {
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    const found = await examine()
    expect(Object.keys(found)).toEqual(['store', 'log', 'wal', 'checkpoint', 'pages'])
    expect(found.checkpoint).toBe('ok: there are no views yet: the next opening builds them')
    expect(found.pages).toMatch(/^ok: /)
  })

  it('finds pages that were spoilt', async () => {
    await fill()
    await store.close()
    const bytes = await readFile(path)
    bytes.fill(0x5a, 8_192 * 3, 8_192 * 5)
    const spoilt = join(folder.path, 'spoilt.db')
    await copyFile(path, spoilt)
    await writeFile(spoilt, bytes)
    expect((await examine(spoilt)).pages).toMatch(/^problem: quick_check: .*Restore a backup$/s)
  })
})
