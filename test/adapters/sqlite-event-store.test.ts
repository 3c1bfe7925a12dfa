import { join } from 'node:path'
import Database from 'better-sqlite3'
import { openSqliteStore } from '../../adapters/sqlite/event-store.js'
import { eventStoreSuite, type StoreUnderTest } from '../conformance/event-store.suite.js'
import { ownTable } from './event-store-own-table.js'
import { temporaryFolder } from './temporary-folder.js'

async function openUnderTest(): Promise<StoreUnderTest> {
  const folder = await temporaryFolder()
  const path = join(folder.path, 'jobs.db')
  const store = await openSqliteStore(path)
  return {
    store,
    openSecond: () => openSqliteStore(path),
    ownTransaction: async (end, work) => {
      const handle = new Database(path)
      handle.exec('BEGIN IMMEDIATE')
      await work(handle)
      handle.exec(end)
      handle.close()
    },
    ownTable: ownTable(path),
    dispose: async () => {
      await store.close()
      await folder.remove()
    },
  }
}

eventStoreSuite('the SQLite store', openUnderTest)
