import { spawnSync } from 'node:child_process'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openSqliteReadModels } from '../../adapters/sqlite/read-models.js'
import { StoreClosed, StoreUnavailable, StoreUnusable } from '../../runtime/ports/event-store.js'
import type { ReadModels } from '../../runtime/ports/read-models.js'
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

/** What runs for ever. */
const ENDLESS = 'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c'

describe('queries that may last', () => {
  async function withFile(work: (models: ReadModels) => Promise<void>): Promise<void> {
    const folder = await temporaryFolder()
    const models = await openSqliteReadModels(join(folder.path, 'x-reports'))
    try {
      await work(models)
    } finally {
      await models.close()
      await folder.remove()
    }
  }

  const ask = (models: ReadModels, sql: string, signal?: AbortSignal, limit = 3_000) =>
    models.query(sql, [], { limit, signal, mayLast: true })

  const told = (answer: Promise<unknown>) => answer.catch(({ code, message }) => ({ code, message }))

  it('are answered in a process of their own as they are in this thread', () =>
    withFile(async (models) => {
      const texts =
        "WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c) SELECT n, printf('%5000d', n) FROM c"
      for (const sql of [
        "SELECT x'00ff' AS bytes, 9007199254740993 AS large, -1.5 AS real, 9e999 AS infinite, NULL AS nothing, 'é\u{1f600}' AS text",
        'SELECT 1 AS a, 2 AS a',
        'SELECT id FROM jobs',
        texts,
        'DELETE FROM jobs',
        'SELECT 1; SELECT 2',
        'SELECT nothing',
        'SELECT abs(-9223372036854775808)',
        'SELECT $1',
      ]) {
        const here = await told(models.query(sql, [], { limit: 3_000 }))
        expect(await told(ask(models, sql))).toEqual(here)
      }
      expect((await ask(models, texts, undefined, 1_200)).rows).toHaveLength(1_200)
    }))

  it('are four at once: others wait for one of these, or until they are not wanted any more', () =>
    withFile(async (models) => {
      const controllers = Array.from({ length: 5 }, () => new AbortController())
      const endless = controllers.map(({ signal }) => ask(models, ENDLESS, signal).catch((error) => error))
      const waiting = ask(models, 'SELECT 1 AS one')
      controllers[4]?.abort(new Error('the fifth'))
      expect(await endless[4]).toEqual(new Error('the fifth'))
      controllers[1]?.abort(new Error('the second'))
      expect(await endless[1]).toEqual(new Error('the second'))
      expect((await waiting).rows).toEqual([{ one: 1 }])
      const late = ask(models, ENDLESS).catch((error) => error)
      const later = ask(models, ENDLESS).catch((error) => error)
      await models.close()
      for (const end of [endless[0], late, later]) expect(await end).toBeInstanceOf(StoreClosed)
    }))
})
