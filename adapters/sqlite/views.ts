/** Read models and checkpoints in a file of their own, which may be deleted at any time. */
import { statSync } from 'node:fs'
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import { StoreClosed } from '../../runtime/ports/event-store.js'
import type { Checkpoint, JobRow, JobRowFilter, Views } from '../../runtime/ports/views.js'
import { PAGE_SIZE } from '../shared/pages.js'
import { verdict } from '../shared/view-checkpoints.js'
import type { Database, Value } from './driver.js'
import { isBusy, isDamage, toStoreError } from './errors.js'
import { connectViews, deleteViewsFile, openViewsFile } from './views-schema.js'

type Changes = Parameters<Views['save']>[0]

/** Rows written before the event loop is let go: less than 1 ms. */
const SLICE = 50

/** How long a save waits for another process's save, in ms, and how often it asks. */
const SAVE_PATIENCE_MS = 30_000
const SAVE_RETRY_MS = 50

const CHECKPOINT = 'SELECT log_id AS logId, position, stream, revision, event_id AS eventId, version FROM checkpoint'
const SET_CHECKPOINT = `
  INSERT OR REPLACE INTO checkpoint (one, log_id, position, stream, revision, event_id, version) VALUES (1, ?, ?, ?, ?, ?, ?)`
const SET_TEXT = 'INSERT OR REPLACE INTO texts (name, text) VALUES (?, ?)'
const SET_JOB = `
  INSERT INTO jobs (place, id, type, queue, channel, phase, state) VALUES (?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (place) DO UPDATE SET type = excluded.type, queue = excluded.queue, channel = excluded.channel,
    phase = excluded.phase, state = excluded.state`
const LIVE = `
  SELECT place, state FROM jobs WHERE phase IN ('waiting', 'leased') AND place > ? ORDER BY place LIMIT ${PAGE_SIZE}`

/**
 * Opens the views file, or makes it anew when it is missing, damaged, of another version or no database.
 * Rejects with StoreUnusable for another program's database, which is left alone.
 */
export async function openSqliteViews(path: string): Promise<SqliteViews> {
  return new SqliteViews(path, openViewsFile(path))
}

export class SqliteViews implements Views {
  readonly #path: string
  #db: Database
  #inode: number
  /** One save at a time. */
  #saving: Promise<unknown> = Promise.resolve()
  /** What `checkpoint` said last. */
  #seen: Checkpoint | undefined
  #closed = false

  constructor(path: string, db: Database) {
    this.#path = path
    this.#db = db
    this.#inode = inodeOf(path)
  }

  async checkpoint(): Promise<Checkpoint | undefined> {
    this.#seen = this.#read((db) => db.prepare(CHECKPOINT).get() as Checkpoint | undefined)
    return this.#seen
  }

  async *live(): AsyncIterable<string[]> {
    let after = ''
    for (;;) {
      const rows = this.#read((db) => db.prepare(LIVE).raw(true).all(after) as [string, string][])
      if (rows.length > 0) yield rows.map(([, state]) => state)
      if (rows.length < PAGE_SIZE) return
      after = rows.at(-1)?.[0] ?? after
      await nextTurn()
    }
  }

  async texts(): Promise<ReadonlyMap<string, string>> {
    return this.#read((db) => new Map(db.prepare('SELECT name, text FROM texts').raw(true).all() as [string, string][]))
  }

  async save(changes: Changes): Promise<boolean> {
    const saved = this.#saving.then(() => this.#save(changes))
    this.#saving = saved.catch(() => {})
    return saved
  }

  async list(filter: JobRowFilter): Promise<JobRow[]> {
    const { sql, values } = listSql(filter)
    return this.#read((db) => db.prepare(sql).all(values) as JobRow[])
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#saving
    this.#db.close()
  }

  /** A file that turns out damaged is made anew, and is then empty. */
  #read<Result>(read: (db: Database) => Result): Result {
    if (this.#closed) throw new StoreClosed()
    try {
      return read(this.#db)
    } catch (error) {
      if (!isDamage(error)) throw toStoreError(error, this.#path)
      this.#startAnew()
      return read(this.#db)
    }
  }

  #startAnew(): void {
    deleteViewsFile(this.#path)
    this.#reopen()
  }

  #reopen(): void {
    this.#db.close()
    this.#db = openViewsFile(this.#path)
    this.#inode = inodeOf(this.#path)
  }

  /** On a handle of its own, so that readers see either all of it or nothing while the event loop goes on. */
  async #save(changes: Changes): Promise<boolean> {
    if (this.#closed) throw new StoreClosed()
    let db: Database | undefined
    try {
      // Somebody may have deleted the file or made it anew: what we have open is then nobody's any more.
      if (inodeOf(this.#path) !== this.#inode) this.#reopen()
      db = connectViews(this.#path)
      await begin(db)
      const kept = db.prepare(CHECKPOINT).get() as Checkpoint | undefined
      const answer = verdict(kept, { ...changes, seen: this.#seen })
      if (answer === 'write') await write(db, changes)
      db.exec('COMMIT')
      return answer !== 'gap'
    } catch (error) {
      if (!isDamage(error)) throw toStoreError(error, this.#path)
      this.#startAnew()
      return false
    } finally {
      // Rolls back whatever has not been committed.
      db?.close()
    }
  }
}

function inodeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.ino ?? 0
}

/** Waits for the write lock without standing still. */
async function begin(db: Database): Promise<void> {
  const deadline = performance.now() + SAVE_PATIENCE_MS
  for (;;) {
    try {
      db.exec('BEGIN IMMEDIATE')
      return
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadline) throw error
      await pause(SAVE_RETRY_MS)
    }
  }
}

async function write(db: Database, { checkpoint, since, rows, texts }: Changes): Promise<void> {
  if (since === 'all') db.exec('DELETE FROM jobs; DELETE FROM texts')
  const setJob = db.prepare(SET_JOB)
  let written = 0
  for await (const { id, place, type, queue, channel, phase, state } of rows) {
    setJob.run(place, id, type, queue, channel, phase, state)
    written += 1
    if (written % SLICE === 0) await nextTurn()
  }
  const setText = db.prepare(SET_TEXT)
  for (const [name, text] of texts) setText.run(name, text)
  const { logId, position, stream, revision, eventId, version } = checkpoint
  db.prepare(SET_CHECKPOINT).run(logId, position, stream, revision, eventId, version)
}

function listSql({ types, queues, channels, phases, before, limit }: JobRowFilter): { sql: string; values: Value[] } {
  const conditions: string[] = []
  const values: Value[] = []
  const columns = { type: types, queue: queues, channel: channels, phase: phases }
  for (const [column, wanted] of Object.entries(columns)) {
    if (wanted === undefined) continue
    conditions.push(`${column} IN (SELECT value FROM json_each(?))`)
    values.push(JSON.stringify(wanted))
  }
  if (before !== undefined) {
    conditions.push('place < ?')
    values.push(before)
  }
  const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : ''
  const sql = `SELECT id, place, type, queue, channel, phase, state FROM jobs ${where} ORDER BY place DESC LIMIT ?`
  return { sql, values: [...values, limit] }
}
