import { existsSync } from 'node:fs'
import { chmod, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSqliteViews } from '../../adapters/sqlite/views.js'
import { StoreUnavailable, StoreUnusable } from '../../runtime/ports/event-store.js'
import type { Views } from '../../runtime/ports/views.js'
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

function save(views: Views): Promise<boolean> {
  const row = {
    id: 'job-1',
    place: '0000000000000001',
    type: 't',
    queue: 'q',
    channel: '',
    phase: 'waiting',
    state: '{}',
  }
  return views.save({
    checkpoint,
    since: 'all',
    rows: Array.from({ length: 500 }, (_, n) => ({ ...row, id: `job-${n}`, place: `${n}` })),
    texts: new Map(),
  })
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
    await again.close()
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

  it.each(['when opened', 'when saved'])('is made anew when it is damaged, found out %s', async (when) => {
    const views = await openSqliteViews(path)
    await save(views)
    await views.close()
    const bytes = await readFile(path)
    const from = when === 'when opened' ? 100 : 4096 * 3
    bytes.fill(0x5a, from)
    await writeFile(path, bytes)
    const again = await openSqliteViews(path)
    if (!(await save(again))) expect(await save(again)).toBe(true)
    expect(await again.list({ limit: 1000 })).toHaveLength(500)
    await again.close()
  })

  it('may be deleted while it is open', async () => {
    const views = await openSqliteViews(path)
    await save(views)
    for (const suffix of ['', '-wal', '-shm']) await rm(path + suffix, { force: true })
    expect(await save(views)).toBe(true)
    expect(existsSync(path)).toBe(true)
    expect(await views.list({ limit: 1000 })).toHaveLength(500)
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
