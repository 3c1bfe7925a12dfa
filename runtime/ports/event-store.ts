/**
 * The one door to durable storage. An adapter implements it and runs `test/conformance/event-store.suite.ts`,
 * which is its definition. No driver type and no driver error crosses it.
 */
import { JobledgerError } from '../../domain/errors.js'
import type { EventTexts, NewEvent, Position, RecordedEvent } from '../../domain/event.js'

/** What a writer believes of a stream: it was never written ('none'), or its last event has this revision (from 0). */
export type ExpectedRevision = 'none' | number

/** One event by its place in its stream. */
export interface EventRef {
  readonly stream: string
  readonly revision: number
}

/**
 * All or nothing. `expect` names every stream of `events` and every stream that was only read (a fence).
 * The events of one stream take the revisions that follow its expected one, in the order given.
 * A group without events, or with an event or a removal whose stream `expect` does not name, is refused with a TypeError.
 */
export interface AppendGroup {
  readonly expect: ReadonlyMap<string, ExpectedRevision>
  readonly events: readonly NewEvent[]
  /** Bodies that lose their content in the very commit that records why; as `erase` does. */
  readonly erase?: readonly EventRef[]
  /** Streams that leave the log in the very commit that records why; as `remove` does. Each is named in `expect`. */
  readonly remove?: readonly string[]
  /**
   * Capability `transactions`: the caller's own writes, in the very transaction that stores the events. Called once they are
   * written, with the store's transaction (better-sqlite3: the Database, and the call must be synchronous). If it throws,
   * nothing of this group is stored and its outcome is `rejected` with that error; the other groups do not notice.
   */
  readonly effects?: (transaction: unknown) => unknown
}

/** What became of one group. Only `unknown` leaves open whether it is stored: resend the same ids at the same revisions. */
export type AppendOutcome =
  /** Durable. `position` is the one of the group's last event. Also the answer to a repetition of what is stored already. */
  | { readonly kind: 'ok'; readonly position: Position }
  /** Not stored: `stream` is not where it was expected. A removed stream stays 'removed' for ever. */
  | { readonly kind: 'conflict'; readonly stream: string; readonly actual: ExpectedRevision | 'removed' }
  /** Stored or not, nobody can say (a connection lost, a commit not answered). */
  | { readonly kind: 'unknown'; readonly error: Error }
  /** Surely not stored by any try (full disk, read-only file, closed store). */
  | { readonly kind: 'rejected'; readonly error: Error }

/** `from` is the first revision given back (default: the first, or the last when backwards). `bodies` defaults to false. */
export interface ReadStreamOptions {
  readonly from?: number
  readonly limit?: number
  readonly backwards?: boolean
  readonly bodies?: boolean
}

/** `after` is exclusive, `until` inclusive. `streams` are name prefixes, `types` exact; an event must match one of each given. */
export interface ReadAllOptions {
  readonly after?: Position
  readonly until?: Position
  readonly streams?: readonly string[]
  readonly types?: readonly string[]
  readonly limit?: number
  readonly bodies?: boolean
}

/** Part of the whole log: `after` is exclusive, `until` inclusive. */
export type LogRange = { readonly after?: Position; readonly until?: Position }

/** Of one stream, or of the whole log. */
export type ReadTextsOptions = { readonly stream: string } | LogRange

/**
 * What a subscriber gets: pages of events in global order, and `caughtUp` each time it reaches the end of the log (may come
 * many times). `position` is how far it has got; resume after it. Events carry their bodies only when this process
 * appended them itself: never rely on a body here.
 */
export type Batch =
  | { readonly kind: 'events'; readonly events: readonly RecordedEvent[]; readonly position: Position }
  | { readonly kind: 'caughtUp'; readonly position: Position }

/** An append inside the caller's own transaction, which decides alone whether it is ever committed. */
export interface TransactionalAppend {
  append(groups: readonly AppendGroup[]): AppendOutcome[] | Promise<AppendOutcome[]>
  readStream(stream: string, options?: ReadStreamOptions): RecordedEvent[] | Promise<RecordedEvent[]>
}

export interface StoreCapabilities {
  /** One group may span several streams. Without it a group has one stream and is atomic in that. */
  readonly atomicGroups: boolean
  /** `within` is there. */
  readonly transactions: boolean
  /** `erase` removes bodies for good. */
  readonly erase: boolean
  /** What is appended survives the process. */
  readonly durable: boolean
  /**
   * False: what `remove` and `truncate` take out leaves reads of the stream at once, but `readAll`, `head`, `positionAt` and new
   * subscriptions may show it until the store tidies up. Default true: it leaves every read at once.
   */
  readonly hidesRemoved?: boolean
  /** Whether calls of `append` gain by being under way beside each other. Default: one at a time. */
  readonly overlap?: Overlap
}

/** Calls of `append` at once at most, and how many groups a further one must have to be worth it. */
export interface Overlap {
  readonly calls: number
  readonly from: number
}

export interface EventStore {
  /** A uuid made when the log was created: tells one log from another behind the same URL. */
  readonly logId: string
  readonly capabilities: StoreCapabilities
  /**
   * One outcome per group, in order; a conflicting group is left out, the others are stored together in one commit.
   * Never rejects for what happened to a group.
   * Appending the same event ids at the same expected revision again is answered `ok`, also when the stream moved on.
   */
  append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]>
  /** Pages of one stream; nothing at all for a stream that is missing or removed. */
  readStream(stream: string, options?: ReadStreamOptions): AsyncIterable<RecordedEvent[]>
  /** Pages of the whole log in global order. */
  readAll(options?: ReadAllOptions): AsyncIterable<RecordedEvent[]>
  /**
   * As `readStream` and `readAll` with bodies, but facts and metadata are the very texts that are stored, also where they cannot
   * be read. Absent: what was read is written again, which gives the same texts unless somebody has changed them by hand.
   */
  readTexts?(options?: ReadTextsOptions): AsyncIterable<EventTexts[]>
  /** The log as entries to be hashed, some a page: see `Entries`. Absent: they are made of texts. */
  readEntries?: ((options?: LogRange) => AsyncIterable<Uint8Array>) | undefined
  /** Catch-up, then live: misses nothing, nothing twice, nothing out of order. Ends when `signal` aborts or the store closes. */
  subscribe(options: { readonly after?: Position; readonly signal: AbortSignal }): AsyncIterable<Batch>
  /** Position of the last event, `''` for an empty log. */
  head(): Promise<Position>
  /** End of the longest prefix of the log in which every event has `at <= instant` (ms). */
  positionAt(instant: number): Promise<Position>
  /** Bytes that each stream's events take up (facts, metadata, bodies; without indexes); 0 for one that is not there. */
  sizes(streams: readonly string[]): Promise<number[]>
  /** Resolves when the store answers. */
  ping(): Promise<void>
  /** Replaces bodies by their hash, for good. An event without a body, or erased already, is left as it is. */
  erase(events: readonly EventRef[]): Promise<void>
  /** Takes whole streams out of the log. The names stay burnt: 'none' is refused for ever. Unknown names are ignored. */
  remove(streams: readonly string[]): Promise<void>
  /** Takes the events of a stream before revision `before` out of the log; the last event always stays. */
  truncate(stream: string, before: number): Promise<void>
  /** A capability: the caller's own transaction. Throws StoreRefused where there is none or the handle does not fit. */
  within(transaction: unknown): TransactionalAppend
  /** Waits for what is under way, then lets go of the file or connection. Idempotent. Later calls fail with StoreClosed. */
  close(): Promise<void>
}

/** What is in the log, whoever keeps it. */
export type LogReader = Pick<EventStore, 'readStream' | 'readAll' | 'readTexts' | 'readEntries' | 'head' | 'positionAt'>

abstract class StoreError extends JobledgerError {
  readonly family = 'store'
}

/** A call after `close()`. */
export class StoreClosed extends StoreError {
  readonly code = 'STORE_CLOSED'
  constructor() {
    super('The event store is closed.')
  }
}

/** The store cannot do what was asked: full disk, read-only file, broken file, server away. */
export class StoreUnavailable extends StoreError {
  readonly code = 'STORE_UNAVAILABLE'
}

/** What is behind the URL is not a ledger this version can use: not a database, another program's, a newer schema. */
export class StoreUnusable extends StoreError {
  readonly code = 'STORE_UNUSABLE'
}

/** A capability that this store, or this handle, does not have. */
export class StoreRefused extends StoreError {
  readonly code = 'STORE_REFUSED'
}
