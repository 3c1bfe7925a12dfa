/** Read models and checkpoints in a file of their own, which may be deleted at any time. */
import { statSync } from 'node:fs'
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import type { Outcome } from '../../domain/job/evolve.js'
import { StoreClosed } from '../../runtime/ports/event-store.js'
import type {
  ArchivedFilter,
  ArchivedRow,
  Checkpoint,
  EndedFilter,
  JobRow,
  JobRowFilter,
  Kept,
  Views,
} from '../../runtime/ports/views.js'
import { PAGE_SIZE } from '../shared/pages.js'
import { verdict } from '../shared/view-checkpoints.js'
import { deleteDisposable } from './disposable-file.js'
import type { Database, Value } from './driver.js'
import { isBusy, isDamage, toStoreError } from './errors.js'
import { idsIn, JobWriter, type KeptRow } from './job-writer.js'
import { SqliteKeptCheckpoints } from './kept-checkpoints.js'
import { connectViews, openViewsFile } from './views-schema.js'

type Changes = Parameters<Views['save']>[0]

/** Statements run before the event loop is let go: less than 1 ms. */
const SLICE = 50

/** How long a save waits for another process's save, in ms, and how often it asks. */
const SAVE_PATIENCE_MS = 30_000
const SAVE_RETRY_MS = 50

type PlaceAndState = readonly [place: string, state: string]

const COLUMNS = `
  id, place, type, queue, channel, trigger, phase, end_place AS endPlace, keep_until AS keepUntil,
  depends_on AS dependsOn, state`
const CHECKPOINT = 'SELECT log_id AS logId, position, stream, revision, event_id AS eventId, version FROM checkpoint'
const SET_CHECKPOINT = `
  INSERT OR REPLACE INTO checkpoint (one, log_id, position, stream, revision, event_id, version) VALUES (1, ?, ?, ?, ?, ?, ?)`
const TEXTS = 'SELECT name, text FROM texts'
const SET_TEXT = 'INSERT OR REPLACE INTO texts (name, text) VALUES (?, ?)'
const EXPUNGE = ['jobs', 'archived'].map((table) => `UPDATE ${table} SET expunged = 1 WHERE place = ?`)
const DROP_ALL = 'DELETE FROM jobs; DELETE FROM edges; DELETE FROM tombstones; DELETE FROM archived; DELETE FROM texts'
const LIVE = `
  SELECT place, state FROM jobs WHERE phase IN ('waiting', 'leased') AND place > ? ORDER BY place LIMIT ${PAGE_SIZE}`
/** The indexes are named, so that the planner cannot take to walking other jobs. */
const FROM_ENDED = "FROM jobs INDEXED BY jobs_ended WHERE end_place <> '' AND keep_until IS NULL"
const FROM_OWN_SAY = "FROM jobs INDEXED BY jobs_own_say WHERE end_place <> '' AND keep_until IS NOT NULL"
const FROM_ARCHIVED = 'FROM archived INDEXED BY archived_ended WHERE true'
const FROM_SEGMENT = 'FROM archived INDEXED BY archived_in WHERE segment = ?'
/** Newest first in the order of the index. '' is in none. */
const OF_TRIGGER = "FROM jobs INDEXED BY jobs_of_trigger WHERE trigger <> '' AND trigger = ?"
const OF_NO_TRIGGER = 'FROM jobs WHERE trigger = ?'
/** The last of all code points: beyond every place. */
const AFTER_ALL = '\u{10FFFF}'
const DEPENDENTS = 'SELECT dependent FROM edges WHERE dependency = ?'
const REMOVED = 'SELECT id, outcome FROM tombstones WHERE id IN (SELECT value FROM json_each(?))'
const SEGMENTS =
  'SELECT id, segment FROM tombstones WHERE segment IS NOT NULL AND id IN (SELECT value FROM json_each(?))'

/**
 * Opens the views file, or makes it anew when it is missing, damaged, of another version or no database.
 * Rejects with StoreUnusable for another program's database, which is left alone.
 */
export async function openSqliteViews(path: string): Promise<SqliteViews> {
  return new SqliteViews(path, openViewsFile(path))
}

export class SqliteViews implements Views {
  readonly past: SqliteKeptCheckpoints = new SqliteKeptCheckpoints({
    read: (of) => this.#read(of),
    write: (work) => this.#inTurn(() => this.#alone(undefined, work)),
  })
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
    return this.#kept((read) => this.#read(read)).checkpoint()
  }

  live(): AsyncIterable<string[]> {
    return this.#kept((read) => this.#read(read)).live()
  }

  async texts(): Promise<ReadonlyMap<string, string>> {
    return this.#kept((read) => this.#read(read)).texts()
  }

  /** In one read transaction, on a handle of its own: WAL shows it the file as it was, and lets others write. */
  async atOneMoment<Result>(read: (kept: Kept) => Promise<Result>): Promise<Result> {
    // Looks whether the file is sound, and makes it anew if not.
    this.#read((db) => db.prepare(CHECKPOINT).get())
    const db = connectViews(this.#path)
    try {
      db.exec('BEGIN')
      return await read(this.#kept((of) => this.#explained(() => of(db))))
    } finally {
      db.close()
    }
  }

  #kept(read: <Result>(of: (db: Database) => Result) => Result): Kept {
    return {
      checkpoint: async () => {
        this.#seen = read((db) => db.prepare(CHECKPOINT).get() as Checkpoint | undefined)
        return this.#seen
      },
      live: () => livePages((after) => read((db) => db.prepare(LIVE).raw(true).all(after) as PlaceAndState[])),
      texts: async () => new Map(read((db) => db.prepare(TEXTS).raw(true).all() as [string, string][])),
    }
  }

  #explained<Result>(work: () => Result): Result {
    try {
      return work()
    } catch (error) {
      throw toStoreError(error, this.#path)
    }
  }

  save(changes: Changes): Promise<boolean> {
    return this.#inTurn(() => this.#save(changes))
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#saving.then(work)
    this.#saving = done.catch(() => {})
    return done
  }

  async list(filter: JobRowFilter): Promise<JobRow[]> {
    const { triggers, limit } = filter
    if (triggers === undefined) return this.#newest('FROM jobs WHERE true', [], filter)
    // One after the other: looked for all at once, the jobs of all of them would have to be sorted for each page.
    const found = [...new Set(triggers)].flatMap((id) =>
      this.#newest(id === '' ? OF_NO_TRIGGER : OF_TRIGGER, [id], filter),
    )
    return found.sort((a, b) => (a.place < b.place ? 1 : -1)).slice(0, limit)
  }

  #newest(from: string, given: readonly Value[], filter: JobRowFilter): JobRow[] {
    const { sql, values } = conditionsOf(filter)
    const { before = AFTER_ALL, limit } = filter
    return this.#rows(`${from} AND place < ?${sql} ORDER BY place DESC LIMIT ?`, [...given, before, ...values, limit])
  }

  async ended(filter: EndedFilter): Promise<JobRow[]> {
    const from = filter.keep === 'rules' ? FROM_ENDED : FROM_OWN_SAY
    return this.#walk(filter, from, [], (page, values) => this.#rows(page, values))
  }

  async archived({ segment, ...filter }: ArchivedFilter): Promise<ArchivedRow[]> {
    const [from, given] = segment === undefined ? [FROM_ARCHIVED, []] : [FROM_SEGMENT, [segment]]
    return this.#walk(filter, from, given, (page, values) =>
      this.#read((db) => db.prepare(`SELECT id, end_place AS endPlace, segment ${page}`).all(values) as ArchivedRow[]),
    )
  }

  /** So many jobs at a time: a filter that hardly any job passes may have to see all there are. */
  async #walk<Found>(
    filter: ArchivedFilter,
    from: string,
    given: readonly Value[],
    read: (page: string, values: readonly Value[]) => Found[],
  ): Promise<Found[]> {
    const { sql, values } = conditionsOf(filter)
    const found: Found[] = []
    for (let { before = AFTER_ALL } = filter; ; ) {
      const last = this.#lastOfPage(from, [...given, before])
      const page = `${from} AND end_place < ? AND end_place >= ?${sql} ORDER BY end_place DESC LIMIT ?`
      found.push(...read(page, [...given, before, last ?? '', ...values, filter.limit - found.length]))
      if (last === undefined || found.length >= filter.limit) return found
      before = last
      await nextTurn()
    }
  }

  async dependents(id: string): Promise<string[]> {
    return this.#read((db) => db.prepare(DEPENDENTS).pluck(true).all(id) as string[])
  }

  removed(ids: readonly string[]): Promise<ReadonlyMap<string, Outcome>> {
    return this.#pairs<Outcome>(REMOVED, ids)
  }

  segments(ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
    return this.#pairs(SEGMENTS, ids)
  }

  async #pairs<Fact extends string>(sql: string, ids: readonly string[]): Promise<ReadonlyMap<string, Fact>> {
    const found = new Map<string, Fact>()
    // At least once, so that closed views say so.
    for (let start = 0; start === 0 || start < ids.length; start += PAGE_SIZE) {
      if (start > 0) await nextTurn()
      const page = JSON.stringify(ids.slice(start, start + PAGE_SIZE))
      const pairs = this.#read((db) => db.prepare(sql).raw(true).all(page) as [string, Fact][])
      for (const [id, fact] of pairs) found.set(id, fact)
    }
    return found
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#saving
    this.#db.close()
  }

  #lastOfPage(from: string, values: readonly Value[]): string | undefined {
    const sql = `SELECT end_place ${from} AND end_place < ? ORDER BY end_place DESC LIMIT 1 OFFSET ${PAGE_SIZE - 1}`
    return this.#read((db) => db.prepare(sql).pluck(true).get(values) as string | undefined)
  }

  #rows(from: string, values: readonly Value[]): JobRow[] {
    const kept = this.#read((db) => db.prepare(`SELECT ${COLUMNS} ${from}`).all(values) as KeptRow[])
    return kept.map((row) => ({ ...row, dependsOn: idsIn(row.dependsOn) }))
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
    deleteDisposable(this.#path)
    this.#reopen()
  }

  #reopen(): void {
    this.#db.close()
    this.#db = openViewsFile(this.#path)
    this.#inode = inodeOf(this.#path)
  }

  #save(changes: Changes): Promise<boolean> {
    return this.#alone(false, async (db) => {
      const kept = db.prepare(CHECKPOINT).get() as Checkpoint | undefined
      const answer = verdict(kept, { ...changes, seen: this.#seen })
      if (answer === 'write') await write(db, changes)
      return answer !== 'gap'
    })
  }

  /** On a handle of its own, so that readers see either all of it or nothing while the event loop goes on. */
  async #alone<Result>(ifDamaged: Result, work: (db: Database) => Promise<Result>): Promise<Result> {
    if (this.#closed) throw new StoreClosed()
    let db: Database | undefined
    try {
      // Somebody may have deleted the file or made it anew: what we have open is then nobody's any more.
      if (inodeOf(this.#path) !== this.#inode) this.#reopen()
      db = connectViews(this.#path)
      await begin(db)
      const result = await work(db)
      db.exec('COMMIT')
      return result
    } catch (error) {
      if (!isDamage(error)) throw toStoreError(error, this.#path)
      this.#startAnew()
      return ifDamaged
    } finally {
      // Rolls back whatever has not been committed.
      db?.close()
    }
  }
}

async function* livePages(page: (after: string) => readonly PlaceAndState[]): AsyncIterable<string[]> {
  let after = ''
  for (;;) {
    const rows = page(after)
    if (rows.length > 0) yield rows.map(([, state]) => state)
    if (rows.length < PAGE_SIZE) return
    after = rows.at(-1)?.[0] ?? after
    await nextTurn()
  }
}

function inodeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.ino ?? 0
}

/** Waits for the write lock without standing still. */
async function begin(db: Database): Promise<void> {
  // Else each try stands still for as long as the handle is patient.
  db.pragma('busy_timeout = 0')
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

async function write(db: Database, changes: Changes): Promise<void> {
  const { checkpoint, since, rows, texts, removed, expunged } = changes
  if (since === 'all') db.exec(DROP_ALL)
  const jobs = new JobWriter(db)
  let written = 0
  for await (const row of rows) {
    written += jobs.put(row)
    if (written >= SLICE) written = await nextTurn(0)
  }
  for (const [id, tombstone] of removed) {
    written += jobs.bury(id, tombstone)
    if (written >= SLICE) written = await nextTurn(0)
  }
  const expunge = EXPUNGE.map((sql) => db.prepare(sql))
  for (const place of expunged) {
    for (const statement of expunge) statement.run(place)
    written += expunge.length
    if (written >= SLICE) written = await nextTurn(0)
  }
  const setText = db.prepare(SET_TEXT)
  for (const [name, text] of texts) setText.run(name, text)
  const { logId, position, stream, revision, eventId, version } = checkpoint
  db.prepare(SET_CHECKPOINT).run(logId, position, stream, revision, eventId, version)
}

/** What else a filter asks for, joined by AND. */
function conditionsOf(filter: JobRowFilter & Partial<EndedFilter>): { sql: string; values: Value[] } {
  const { types, queues, channels, phases, keep, bodies } = filter
  let sql = ''
  const values: Value[] = []
  for (const [column, wanted] of Object.entries({ type: types, queue: queues, channel: channels, phase: phases })) {
    if (wanted === undefined) continue
    sql += ` AND ${column} IN (SELECT value FROM json_each(?))`
    values.push(JSON.stringify(wanted))
  }
  if (typeof keep === 'number') {
    sql += ' AND keep_until < ?'
    values.push(keep)
  }
  if (bodies) sql += ' AND expunged = 0'
  return { sql, values }
}
