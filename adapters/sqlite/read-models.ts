/** Tables for SQL in a file of their own, which may be deleted at any time. */
import { statSync } from 'node:fs'
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import type { Cell, RowChanges } from '../../projections/read-models/tables.js'
import { StoreClosed } from '../../runtime/ports/event-store.js'
import type {
  Answer,
  Beside,
  BesideWorld,
  QueryOptions,
  ReadModels,
  Replacement,
} from '../../runtime/ports/read-models.js'
import type { Checkpoint } from '../../runtime/ports/views.js'
import { deleteDisposable } from './disposable-file.js'
import type { Database } from './driver.js'
import { isBusy, isDamage, toStoreError } from './errors.js'
import { SqliteProjectionRows } from './projection-rows.js'
import { QueryPool } from './query-pool.js'
import { hasProgram } from './query-process.js'
import { answerTo } from './read-models-query.js'
import { connectReader, DROP_ALL, IN_MEMORY, openReportsFile } from './read-models-schema.js'
import { ReadModelsThread } from './read-models-thread.js'
import { ReadModelsWriter } from './read-models-writer.js'
import { emptyWal } from './removals.js'

type Slice = Parameters<ReadModels['save']>[0]

/** Rows written before the event loop is let go: about 1 ms. */
const ROWS = 30
/** How long a save waits for another process's, in ms, and how often it asks. */
const PATIENCE_MS = 30_000
const RETRY_MS = 25

const CHECKPOINT = 'SELECT log_id AS logId, position, stream, revision, event_id AS eventId, version FROM checkpoint'
const FOLDS = 'SELECT stream, text FROM folds WHERE stream IN (SELECT value FROM json_each(?))'

/**
 * Opens the file, or makes it anew when it is missing, damaged, of another version or no database; `:memory:` is none.
 * `log`: the path of the log, where that is a file, too.
 * Rejects with StoreUnusable for another program's database, which is left alone, or when better-sqlite3 is missing.
 */
export async function openSqliteReadModels(path: string, log?: string): Promise<SqliteReadModels> {
  return new SqliteReadModels(path, openReportsFile(path), log)
}

interface Handles {
  readonly writes: Database
  readonly reads: Database
  readonly writer: ReadModelsWriter
  readonly inode: number
}

export class SqliteReadModels implements ReadModels {
  readonly dialect = 'sqlite'
  readonly projections: SqliteProjectionRows = new SqliteProjectionRows({
    read: (work) => this.#read(work),
    write: (work) => this.#change(work),
  })
  readonly #path: string
  readonly #log: string | undefined
  /** Undefined: what is in memory is seen by this process alone, or the program is not there. */
  readonly #pool: QueryPool | undefined
  #handles: Handles
  /** Its WAL, which could not be emptied. */
  #keepsErased = false
  /** One save at a time. */
  #saving: Promise<unknown> = Promise.resolve()
  readonly #answering = new Set<Promise<unknown>>()
  #closed = false

  constructor(path: string, db: Database, log?: string) {
    this.#path = path
    this.#log = log
    this.#pool = path !== IN_MEMORY && hasProgram() ? new QueryPool(path) : undefined
    this.#handles = this.#handlesOn(db)
  }

  /** What is being saved is not to be seen: reads have a handle of their own. What is in memory is saved in one go. */
  #handlesOn(writes: Database): Handles {
    const reads = this.#path === IN_MEMORY ? writes : connectReader(this.#path)
    return { writes, reads, writer: new ReadModelsWriter(writes), inode: this.#inode() }
  }

  async checkpoint(): Promise<Checkpoint | undefined> {
    return this.#read((db) => db.prepare(CHECKPOINT).get() as Checkpoint | undefined)
  }

  async folds(streams: readonly string[]): Promise<ReadonlyMap<string, string>> {
    return this.#read((db) => new Map(db.prepare(FOLDS).raw(true).all(JSON.stringify(streams)) as [string, string][]))
  }

  save(slice: Slice): Promise<boolean> {
    return this.#oneByOne(() => this.#save(slice))
  }

  startOver(found: Checkpoint, by?: Replacement): Promise<boolean> {
    return this.#oneByOne(async () => {
      const { writes, writer } = await this.#begun()
      const kept = writes.prepare(CHECKPOINT).get() as Checkpoint | undefined
      if (kept?.position !== found.position || kept.eventId !== found.eventId) {
        writes.exec('ROLLBACK')
        return false
      }
      writes.exec(by?.keepMinutes ? DROP_ALL : `${DROP_ALL}; DELETE FROM queue_minutes`)
      if (by !== undefined) for await (const changes of by.changes) await this.#write(writer, changes, by.checkpoint)
      writes.exec('COMMIT')
      return true
    })
  }

  async #write(writer: ReadModelsWriter, changes: RowChanges, checkpoint: Checkpoint): Promise<void> {
    let written = 0
    for (const _ of writer.write(changes, checkpoint)) {
      written += 1
      if (written % ROWS === 0 && this.#path !== IN_MEMORY) await nextTurn()
    }
  }

  async fresh(): Promise<ReadModels> {
    if (this.#path === IN_MEMORY) return openSqliteReadModels(IN_MEMORY)
    const path = `${this.#path}-rebuild`
    deleteDisposable(path)
    const models = await openSqliteReadModels(path)
    const close = models.close.bind(models)
    models.close = async () => {
      await close()
      deleteDisposable(path)
    }
    return models
  }

  /** False, too, where the file was damaged, and is made anew. */
  #change(work: (db: Database) => boolean): Promise<boolean> {
    return this.#oneByOne(async () => {
      const { writes } = await this.#begun()
      const done = work(writes)
      writes.exec('COMMIT')
      return done
    })
  }

  async query(sql: string, params: readonly Cell[], options: QueryOptions): Promise<Answer> {
    const db = this.#read((reads) => reads)
    if (options.mayLast && this.#pool !== undefined) {
      return this.#pool.answer({ sql, params, limit: options.limit }, options.signal)
    }
    // What is in memory has one handle: nothing may be saved while an answer is under way.
    const answer = answerTo(db, sql, params, { ...options, whole: this.#path === IN_MEMORY })
    this.#answering.add(answer)
    return answer.finally(() => this.#answering.delete(answer))
  }

  beside(world: BesideWorld): Beside | undefined {
    return this.#log === undefined ? undefined : ReadModelsThread.start(this.#log, this.#path, world)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#pool?.close()
    await this.#saving
    await Promise.allSettled(this.#answering)
    this.#closeHandles()
  }

  async #oneByOne(work: () => Promise<boolean>): Promise<boolean> {
    const done = this.#saving.then(() => this.#undamaged(work))
    this.#saving = done.catch(() => {})
    return done
  }

  async #undamaged(work: () => Promise<boolean>): Promise<boolean> {
    if (this.#closed) throw new StoreClosed()
    try {
      return await work()
    } catch (error) {
      const { writes } = this.#handles
      if (writes.open && writes.inTransaction) writes.exec('ROLLBACK')
      if (!isDamage(error)) throw toStoreError(error, this.#path)
      this.#startAnew()
      return false
    }
  }

  async #save({ since, checkpoint, changes }: Slice): Promise<boolean> {
    const { writes, writer } = await this.#begun()
    const kept = writes.prepare(CHECKPOINT).get() as Checkpoint | undefined
    const fits = (kept?.position ?? '') === since && (kept === undefined || kept.logId === checkpoint.logId)
    if (!fits) {
      writes.exec('ROLLBACK')
      return false
    }
    await this.#write(writer, changes, checkpoint)
    writes.exec('COMMIT')
    // What was erased is still in the WAL; a query that takes long may keep it there.
    if (this.#keepsErased || changes.expunged.length + changes.removed.length > 0) this.#keepsErased = !emptyWal(writes)
    return true
  }

  /** Waits for the write lock without standing still. */
  async #begun(): Promise<Handles> {
    // Somebody may have deleted the file or made it anew: what we have open is then nobody's any more.
    if (this.#inode() !== this.#handles.inode) this.#reopen()
    const { writes } = this.#handles
    writes.pragma('busy_timeout = 0')
    const deadline = performance.now() + PATIENCE_MS
    for (;;) {
      try {
        writes.exec('BEGIN IMMEDIATE')
        return this.#handles
      } catch (error) {
        if (!isBusy(error) || performance.now() > deadline) throw error
        await pause(RETRY_MS)
      }
    }
  }

  /** A file that turns out damaged is made anew, and is then empty. */
  #read<Result>(read: (db: Database) => Result): Result {
    if (this.#closed) throw new StoreClosed()
    if (this.#inode() !== this.#handles.inode) this.#reopen()
    try {
      return read(this.#handles.reads)
    } catch (error) {
      if (!isDamage(error)) throw toStoreError(error, this.#path)
      this.#startAnew()
      return read(this.#handles.reads)
    }
  }

  #inode(): number {
    return this.#path === IN_MEMORY ? 0 : (statSync(this.#path, { throwIfNoEntry: false })?.ino ?? 0)
  }

  #startAnew(): void {
    if (this.#path !== IN_MEMORY) deleteDisposable(this.#path)
    this.#reopen()
  }

  #reopen(): void {
    this.#closeHandles()
    this.#handles = this.#handlesOn(openReportsFile(this.#path))
  }

  #closeHandles(): void {
    const { reads, writes } = this.#handles
    if (reads.open) reads.close()
    if (writes.open) writes.close()
  }
}
