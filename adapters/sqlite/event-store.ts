/** The log in one SQLite file. All work is synchronous; an append is one transaction and one fsync. */
import type { Position, RecordedEvent } from '../../domain/event.js'
import type {
  AppendGroup,
  AppendOutcome,
  Batch,
  EventStore,
  ReadAllOptions,
  ReadStreamOptions,
  StoreCapabilities,
} from '../../runtime/ports/event-store.js'
import { StoreClosed } from '../../runtime/ports/event-store.js'
import { checkGroups } from '../shared/groups.js'
import { type PageSource, Pages } from '../shared/pages.js'
import { Appender } from './appender.js'
import { toStoreError } from './errors.js'
import { Heads } from './heads.js'
import { type LogFile, openLog, type SqliteOptions } from './open.js'
import { Reader } from './reader.js'
import type { OnUnreadable } from './rows.js'
import { Subscriptions } from './subscriptions.js'
import { joinTransaction, type SqliteTransaction } from './transaction.js'
import { TurnReads } from './turn-reads.js'
import { Upkeep } from './upkeep.js'
import { CommitWatch } from './watch.js'

/**
 * Opens a log file, or creates it (readable by its owner only).
 * Rejects with StoreUnusable for a file that is not a log of ours, or of a newer version, or when better-sqlite3 is missing;
 * with StoreUnavailable where the file cannot be opened.
 */
export async function openSqliteStore(path: string, options: SqliteOptions = {}): Promise<SqliteEventStore> {
  return new SqliteEventStore(openLog(path, options), options.onUnreadable)
}

export class SqliteEventStore implements EventStore {
  readonly logId: string
  readonly capabilities: StoreCapabilities = { atomicGroups: true, transactions: true, erase: true, durable: true }
  readonly #file: LogFile
  readonly #onUnreadable: OnUnreadable
  readonly #heads = new Heads()
  readonly #reader: Reader
  readonly #appender: Appender
  readonly #subscriptions: Subscriptions
  readonly #turnReads: TurnReads
  #upkeep: Upkeep | undefined
  #closed = false

  constructor(file: LogFile, onUnreadable: OnUnreadable = () => {}) {
    this.#file = file
    this.logId = file.logId
    this.#onUnreadable = onUnreadable
    this.#reader = new Reader(file.db, onUnreadable)
    const version = file.db.prepare('PRAGMA data_version').pluck(true)
    const watch = new CommitWatch({
      walPath: `${file.path}-wal`,
      version: () => version.get(),
      onForeignCommit: () => this.#subscriptions.wake(),
    })
    this.#subscriptions = new Subscriptions({
      readAfter: (position) => this.#work(() => this.#reader.after(position)),
      watch: () => watch.start(),
      unwatch: () => watch.stop(),
    })
    this.#turnReads = new TurnReads(file.db)
    this.#appender = new Appender(file, this.#heads, this.#subscriptions)
  }

  async append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    checkGroups(groups)
    if (this.#closed) return groups.map(() => ({ kind: 'rejected', error: new StoreClosed() }))
    this.#turnReads.end()
    return this.#appender.append(groups)
  }

  readStream(stream: string, options: ReadStreamOptions = {}): AsyncIterable<RecordedEvent[]> {
    const { more, read } = this.#reader.stream(stream, options, this.#heads)
    return this.#pages({
      more,
      read: () => {
        this.#turnReads.share()
        return read()
      },
    })
  }

  readAll(options: ReadAllOptions = {}): AsyncIterable<RecordedEvent[]> {
    return this.#pages(this.#reader.all(options))
  }

  subscribe(options: { readonly after?: Position; readonly signal: AbortSignal }): AsyncIterable<Batch> {
    return this.#subscriptions.open(options)
  }

  async head(): Promise<Position> {
    return this.#work(() => this.#reader.lastVisible(Number.MAX_SAFE_INTEGER))
  }

  async positionAt(instant: number): Promise<Position> {
    return this.#work(() => this.#reader.positionAt(instant))
  }

  async ping(): Promise<void> {
    this.#work(() => this.#reader.last())
  }

  async erase(events: readonly { readonly stream: string; readonly revision: number }[]): Promise<void> {
    this.#maintain((upkeep) => upkeep.erase(events))
  }

  async remove(streams: readonly string[]): Promise<void> {
    this.#maintain((upkeep) => upkeep.remove(streams))
  }

  async truncate(stream: string, before: number): Promise<void> {
    this.#maintain((upkeep) => upkeep.truncate(stream, before))
  }

  /** `transaction` is a better-sqlite3 Database of the caller's, open on the same file and in a transaction when used. */
  within(transaction: unknown): SqliteTransaction {
    if (this.#closed) throw new StoreClosed()
    return joinTransaction(transaction, this.#file, this.#onUnreadable)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#subscriptions.close()
    this.#turnReads.end()
    this.#file.db.close()
  }

  #maintain(work: (upkeep: Upkeep) => void): void {
    this.#work(() => {
      this.#turnReads.end()
      this.#upkeep ??= new Upkeep(this.#file.db)
      try {
        work(this.#upkeep)
      } finally {
        this.#heads.invalidate()
      }
    })
  }

  #pages({ more, read }: PageSource): AsyncIterable<RecordedEvent[]> {
    return new Pages({ more, read: () => this.#work(read) })
  }

  #work<Result>(work: () => Result): Result {
    if (this.#closed) throw new StoreClosed()
    try {
      return work()
    } catch (error) {
      throw toStoreError(error, this.#file.path)
    }
  }
}
