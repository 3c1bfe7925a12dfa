/** The log in one SQLite file. All work is synchronous; an append is one transaction and one fsync. */
import type { EventTexts, Position, RecordedEvent } from '../../domain/event.js'
import type {
  AppendGroup,
  AppendOutcome,
  Batch,
  EventRef,
  EventStore,
  LogRange,
  ReadAllOptions,
  ReadStreamOptions,
  ReadTextsOptions,
  StoreCapabilities,
} from '../../runtime/ports/event-store.js'
import { StoreClosed, StoreRefused } from '../../runtime/ports/event-store.js'
import { checkGroups } from '../shared/groups.js'
import { type PageSource, Pages } from '../shared/pages.js'
import { inSlices } from '../shared/slices.js'
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

/** Streams that one read of sizes looks at: some 2 ms. */
const SIZES_SLICE = 250

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
  readonly #isUtf8: boolean
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
    this.#isUtf8 = file.db.pragma('encoding', { simple: true }) === 'UTF-8'
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
    const error = this.#objection()
    if (error !== undefined) return groups.map(() => ({ kind: 'rejected', error }))
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

  readTexts(options: ReadTextsOptions = {}): AsyncIterable<EventTexts[]> {
    return this.#pages(this.#reader.texts(options, this.#heads))
  }

  /** A file that somebody else has made may keep its texts in another encoding than the one that is hashed. */
  get readEntries(): ((range?: LogRange) => AsyncIterable<Uint8Array>) | undefined {
    return this.#isUtf8 ? (range = {}) => this.#pages(this.#reader.entries(range)) : undefined
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

  sizes(streams: readonly string[]): Promise<number[]> {
    return inSlices(streams, SIZES_SLICE, (slice) =>
      this.#work(() => {
        this.#turnReads.share()
        return slice.map((stream) => this.#reader.size(stream))
      }),
    )
  }

  async ping(): Promise<void> {
    this.#work(() => this.#reader.last())
  }

  async erase(events: readonly EventRef[]): Promise<void> {
    this.#maintain((upkeep) => upkeep.erase(events))
  }

  async remove(streams: readonly string[]): Promise<void> {
    this.#maintain((upkeep) => upkeep.remove(streams))
  }

  async truncate(stream: string, before: number): Promise<void> {
    this.#maintain((upkeep) => upkeep.truncate(stream, before))
  }

  /**
   * `transaction` is a better-sqlite3 Database of the caller's, open on the same file and in a transaction when used; or the
   * one that `effects` are handed, as long as they run. A group that erases, removes or has effects of its own is rejected
   * with StoreRefused: whose transaction it is can write there what it likes, and what is taken out would leave its bytes.
   */
  within(transaction: unknown): SqliteTransaction {
    if (this.#isClosed) throw new StoreClosed()
    return joinTransaction(transaction, this.#file, this.#onUnreadable)
  }

  async close(): Promise<void> {
    // Called from inside effects: the append around them is done before this goes on.
    if (this.#appender.busy) await Promise.resolve()
    if (this.#closed) return
    this.#closed = true
    this.#subscriptions.close()
    this.#turnReads.end()
    this.#appender.letGo()
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

  #pages<Page extends { readonly length: number }>(source: PageSource<Page>): AsyncIterable<Page> {
    return new Pages({ more: () => source.more(), read: () => this.#work(() => source.read()) })
  }

  /** Also when effects have closed the handle that was lent to them. */
  get #isClosed(): boolean {
    return this.#closed || !this.#file.db.open
  }

  /** Whoever asks from inside effects would read what may be taken back, or end the transaction around them. */
  #objection(): StoreClosed | StoreRefused | undefined {
    if (this.#isClosed) return new StoreClosed()
    if (!this.#appender.busy) return undefined
    return new StoreRefused('Expected `effects` to use the store by `within` and the transaction they are given only.')
  }

  #work<Result>(work: () => Result): Result {
    const objection = this.#objection()
    if (objection !== undefined) throw objection
    try {
      return work()
    } catch (error) {
      throw toStoreError(error, this.#file.path)
    }
  }
}
