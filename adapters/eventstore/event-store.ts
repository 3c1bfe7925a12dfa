/** The log on an EventStoreDB or KurrentDB server. A group is one append to one stream. */
import { InvalidOption } from '../../domain/errors.js'
import type { Position, RecordedEvent } from '../../domain/event.js'
import type {
  AppendGroup,
  AppendOutcome,
  Batch,
  EventRef,
  EventStore,
  ReadAllOptions,
  ReadStreamOptions,
  StoreCapabilities,
  TransactionalAppend,
} from '../../runtime/ports/event-store.js'
import { StoreClosed, StoreRefused, StoreUnavailable } from '../../runtime/ports/event-store.js'
import { type Logger, silentLogger } from '../../runtime/ports/logger.js'
import { checkGroups } from '../shared/groups.js'
import { within } from '../shared/time-limit.js'
import { Appender } from './appender.js'
import { Connection } from './connection.js'
import { Instants } from './instants.js'
import { type Identity, openLog, readLog } from './open.js'
import { Pipeline } from './pipeline.js'
import { type OnUnreadable, Reader } from './reader.js'
import { Removals } from './removals.js'
import { sizesOf } from './sizes.js'
import { Subscriptions } from './subscriptions.js'
import { parseUrl, type Target } from './url.js'

export { viewsOf } from './url.js'

/** How long all of opening may take, in ms: who is not answered is told so. */
const OPEN_MS = 9_000

export interface EventStoreOptions {
  /** Called for each event of ours whose text is not JSON; readers skip it. Default: nothing. */
  readonly onUnreadable?: OnUnreadable
  /** Is told when the server goes away and when it is back. Default: silent. */
  readonly logger?: Logger
}

/**
 * Opens a log, or creates it. `url`: as the vendor writes it, `esdb://user:password@host:2113` or `esdb+discover://name`, with
 * one key more: `?prefix=orders` makes every stream of the ledger begin with `orders.`.
 * Rejects with InvalidOption for a URL that cannot be used, StoreUnusable for a server that is too old or a log of a newer
 * version, StoreUnavailable where the server cannot be reached or refuses.
 */
export async function openEventStore(url: string, options: EventStoreOptions = {}): Promise<EventStoreDBStore> {
  const target = parseUrl(url)
  const connection = connect(target)
  const pipeline = new Pipeline(connection)
  try {
    const late = (): Error =>
      new StoreUnavailable(`${target.place}: the server does not answer within ${OPEN_MS / 1000} s.`)
    const identity = await within(OPEN_MS, openLog(connection, pipeline, target.prefix), late)
    connection.opened(options.logger ?? silentLogger)
    return new EventStoreDBStore({ ...identity, connection, pipeline, prefix: target.prefix }, options)
  } catch (error) {
    pipeline.close()
    await connection.close()
    throw error
  }
}

/** The files that the URL names are looked at here. */
function connect(target: Target): Connection {
  try {
    return new Connection(target)
  } catch (error) {
    throw new InvalidOption('openLedger.url', 'one whose certificate and key are PEM files that fit', String(error))
  }
}

interface Log extends Identity {
  readonly connection: Connection
  readonly pipeline: Pipeline
  readonly prefix: string
}

export class EventStoreDBStore implements EventStore {
  readonly logId: string
  readonly capabilities: StoreCapabilities = {
    atomicGroups: false,
    transactions: false,
    erase: false,
    durable: true,
    hidesRemoved: false,
    overlap: { calls: 8, from: 1 },
  }
  readonly #log: Log
  readonly #reader: Reader
  readonly #instants: Instants
  readonly #appender: Appender
  readonly #removals: Removals
  readonly #subscriptions: Subscriptions
  #closing: Promise<void> | undefined

  constructor(log: Log, { onUnreadable = nothing }: EventStoreOptions = {}) {
    const { connection, pipeline, prefix } = log
    this.logId = log.logId
    this.#log = log
    this.#reader = new Reader(log, onUnreadable)
    this.#instants = new Instants(this.#reader)
    this.#appender = new Appender({ pipeline, prefix, place: connection.place, reader: this.#reader })
    this.#removals = new Removals(connection, this.#reader, pipeline)
    this.#subscriptions = new Subscriptions(connection, this.#reader)
  }

  async append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    checkGroups(groups)
    if (this.#closing !== undefined) return groups.map(() => ({ kind: 'rejected', error: new StoreClosed() }))
    return this.#appender.append(groups)
  }

  readStream(stream: string, options: ReadStreamOptions = {}): AsyncIterable<RecordedEvent[]> {
    return this.#reader.stream(stream, options)
  }

  readAll(options: ReadAllOptions = {}): AsyncIterable<RecordedEvent[]> {
    return this.#reader.all(options)
  }

  subscribe(options: { readonly after?: Position; readonly signal: AbortSignal }): AsyncIterable<Batch> {
    return this.#subscriptions.open(options)
  }

  async head(): Promise<Position> {
    return this.#reader.head()
  }

  async positionAt(instant: number): Promise<Position> {
    return this.#instants.positionAt(instant)
  }

  async sizes(streams: readonly string[]): Promise<number[]> {
    return sizesOf(this.#log.connection, this.#reader, streams)
  }

  async ping(): Promise<void> {
    await readLog(this.#log.connection, this.#log.prefix)
  }

  /** Bodies go with their records, which never change: throws StoreRefused. */
  async erase(_events: readonly EventRef[]): Promise<void> {
    this.#log.connection.checkOpen()
    throw new StoreRefused('EventStoreDB cannot erase a body: its records never change. Remove the whole job instead.')
  }

  remove(streams: readonly string[]): Promise<void> {
    return this.#removals.remove(streams)
  }

  truncate(stream: string, before: number): Promise<void> {
    return this.#removals.truncate(stream, before)
  }

  within(_transaction: unknown): TransactionalAppend {
    throw new StoreRefused(
      'EventStoreDB has no transaction that a database shares: write what is to be enqueued to an outbox table of your own in your transaction, and enqueue it from there with an id of yours.',
    )
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { connection, pipeline } = this.#log
    this.#subscriptions.close()
    await pipeline.drained()
    pipeline.close()
    await connection.close()
  }
}

function nothing(): void {}
