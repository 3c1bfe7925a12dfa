import Database from 'better-sqlite3'
import type { OwnTable } from '../conformance/event-store.suite.js'

/** A table of a caller beside the log's own, made when it is first written to. */
export function ownTable(path: string): OwnTable {
  return {
    insert: (transaction, text) => {
      const db = transaction as Database.Database
      db.exec('CREATE TABLE IF NOT EXISTS own (place INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)')
      db.prepare('INSERT INTO own (text) VALUES (?)').run(text)
    },
    rows: async () => {
      const db = new Database(path, { readonly: true })
      const table = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'own'").get()
      const rows = table === undefined ? [] : db.prepare('SELECT text FROM own ORDER BY place').pluck().all()
      db.close()
      return rows as string[]
    },
  }
}
