/** The log in a PostgreSQL database. An append is one statement, which is one transaction. */
import type { EventTexts, Position, RecordedEvent } from '../../domain/event.js'
import type {
  AppendGroup,
  AppendOutcome,
  Batch,
  EventRef,
  EventStore,
  Overlap,
  ReadAllOptions,
  ReadStreamOptions,
  ReadTextsOptions,
  StoreCapabilities,
} from '../../runtime/ports/event-store.js'
import { StoreClosed } from '../../runtime/ports/event-store.js'
import { checkGroups } from '../shared/groups.js'
import { Appender } from './appender.js'
import type { Client, Pool } from './driver.js'
import { type Log, openLog, type PostgresOptions } from './open.js'
import { Reader, type RunQuery } from './reader.js'
import { SingleReads } from './single-reads.js'
import { Statements } from './statements.js'
import { Subscriptions } from './subscriptions.js'
import { joinTransaction, type PostgresTransaction } from './transaction.js'
import { CommitWatch } from './watch.js'

/**
 * Opens a log, or creates it. `where`: a postgres: URL, or the caller's own Pool of pg, of which two connections are in use as
 * long as somebody subscribes and appends; it has to be closed by the caller.
 * Rejects with StoreUnusable for a schema that is not a log of ours, or of a newer version, a server that is too old, or when
 * pg is missing; with StoreUnavailable where the database cannot be reached or refuses.
 */
export async function openPostgresStore(
  where: string | Pool,
  options: PostgresOptions = {},
): Promise<PostgresEventStore> {
  return new PostgresEventStore(await openLog(where, options), options)
}

/**
 * The server takes one append after another, each to the end of its commit. So two small ones cost as much as they would one
 * after the other; but a full one may be made ready while another is there.
 */
const OVERLAP: Overlap = { calls: 2, from: 1000 }

export class PostgresEventStore implements EventStore {
  readonly logId: string
  readonly capabilities: StoreCapabilities = {
    ...{ atomicGroups: true, transactions: true, erase: true, durable: true },
    overlap: OVERLAP,
  }
  readonly #log: Log
  readonly #options: PostgresOptions
  readonly #statements: Statements
  readonly #reader: Reader
  readonly #narrow: SingleReads
  readonly #wide: SingleReads
  readonly #appender: Appender
  readonly #subscriptions: Subscriptions

  constructor(log: Log, options: PostgresOptions = {}) {
    const { connections, schema } = log
    this.logId = log.logId
    this.#log = log
    this.#options = options
    this.#statements = new Statements(schema)
    const { onUnreadable = nothing } = options
    const query: RunQuery = (text, values) => connections.query(text, values)
    const reader = new Reader(query, schema, onUnreadable)
    this.#narrow = new SingleReads(query, schema, false, onUnreadable)
    this.#wide = new SingleReads(query, schema, true, onUnreadable)
    const watch = new CommitWatch({
      connections,
      schema,
      last: () => reader.last(),
      onHeard: (position) => this.#appender.hear(position),
      onDoubt: () => this.#subscriptions.wake(),
    })
    this.#reader = reader
    this.#subscriptions = new Subscriptions({
      after: (position) => reader.after(position),
      watch: () => watch.start(),
      unwatch: () => watch.stop(),
    })
    this.#appender = new Appender(connections, this.#statements, this.#subscriptions, options.durability ?? 'full')
  }

  async append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    checkGroups(groups)
    if (groups.length === 0) return []
    if (this.#log.connections.closed) return groups.map(() => ({ kind: 'rejected', error: new StoreClosed() }))
    return this.#appender.append(groups)
  }

  readStream(stream: string, options: ReadStreamOptions = {}): AsyncIterable<RecordedEvent[]> {
    const { from = 0, limit, backwards = false, bodies = false } = options
    if (limit === 1 && !backwards) return (bodies ? this.#wide : this.#narrow).read(stream, from)
    return this.#reader.stream(stream, options)
  }

  readAll(options: ReadAllOptions = {}): AsyncIterable<RecordedEvent[]> {
    return this.#reader.all(options)
  }

  readTexts(options: ReadTextsOptions = {}): AsyncIterable<EventTexts[]> {
    return this.#reader.texts(options)
  }

  subscribe(options: { readonly after?: Position; readonly signal: AbortSignal }): AsyncIterable<Batch> {
    return this.#subscriptions.open(options)
  }

  async head(): Promise<Position> {
    return this.#reader.lastVisible(Number.MAX_SAFE_INTEGER)
  }

  async positionAt(instant: number): Promise<Position> {
    return this.#reader.positionAt(instant)
  }

  sizes(streams: readonly string[]): Promise<number[]> {
    return this.#reader.sizes(streams)
  }

  async ping(): Promise<void> {
    await this.#reader.last()
  }

  erase(events: readonly EventRef[]): Promise<void> {
    return this.#maintain((client) => this.#statements.erase(client, events))
  }

  remove(streams: readonly string[]): Promise<void> {
    return this.#maintain((client) => this.#statements.remove(client, streams))
  }

  truncate(stream: string, before: number): Promise<void> {
    return this.#maintain((client) => this.#statements.truncate(client, stream, before))
  }

  /**
   * `transaction` is a Client of pg of the caller's, connected to the same database and in a READ COMMITTED transaction when
   * used; or the one that `effects` are handed, as long as they run. From its first append to its end nobody else appends: keep
   * it short. A group that erases, removes or has effects of its own is rejected with StoreRefused.
   */
  within(transaction: unknown): PostgresTransaction {
    if (this.#log.connections.closed) throw new StoreClosed()
    return joinTransaction(transaction, this.#log, this.#options.onUnreadable ?? nothing)
  }

  async close(): Promise<void> {
    const closed = this.#log.connections.close()
    this.#subscriptions.close()
    await closed
  }

  #maintain(work: (client: Client) => Promise<void>): Promise<void> {
    return this.#log.connections.transaction(async (client) => {
      await this.#statements.takeTurn(client, this.#options.durability ?? 'full')
      await work(client)
    })
  }
}

function nothing(): void {}
