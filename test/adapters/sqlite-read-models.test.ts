import { spawnSync } from 'node:child_process'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openSqliteReadModels } from '../../adapters/sqlite/read-models.js'
import { StoreUnavailable, StoreUnusable } from '../../runtime/ports/event-store.js'
import { readModelsSuite } from './read-models.suite.js'
import { temporaryFolder } from './temporary-folder.js'

readModelsSuite('an SQLite file', async () => {
  const folder = await temporaryFolder()
  const path = join(folder.path, 'jobs.db-reports')
  const models = await openSqliteReadModels(path)
  return {
    models,
    openSecond: () => openSqliteReadModels(path),
    dispose: async () => {
      await models.close()
      await folder.remove()
    },
  }
})

readModelsSuite('SQLite in memory', async () => {
  const models = await openSqliteReadModels(':memory:')
  return { models, dispose: () => models.close() }
})

it("the file is its owner's alone, is made anew when damaged, and another program's is left alone", async () => {
  const { path: folder, remove } = await temporaryFolder()
  const path = join(folder, 'x-reports')
  try {
    await (await openSqliteReadModels(path)).close()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    await writeFile(path, 'not a database, and long enough to be told so'.repeat(300))
    const models = await openSqliteReadModels(path)
    expect(await models.checkpoint()).toBeUndefined()
    await models.close()
    await expect(openSqliteReadModels(join(folder, 'no', 'x'))).rejects.toThrow(StoreUnavailable)
    const other = join(folder, 'other')
    const code = `new (require('better-sqlite3'))(process.argv[1]).exec('PRAGMA application_id = 7; CREATE TABLE a (b)')`
    expect(spawnSync(process.execPath, ['-e', code, other]).status).toBe(0)
    await expect(openSqliteReadModels(other)).rejects.toThrow(StoreUnusable)
  } finally {
    await remove()
  }
})
