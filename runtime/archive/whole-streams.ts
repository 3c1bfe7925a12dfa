import type { Position, RecordedEvent } from '../../domain/event.js'
import { START } from '../../domain/event.js'
import { isJobStream } from '../../domain/job/events.js'
import type { Segment } from '../../projections/segments.js'
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
} from '../ports/event-store.js'
import type { Catalogue } from './catalogue.js'
import type { WholeLog } from './whole-log.js'

/**
 * The store, with the beginnings of streams that have lost theirs to the archive: folds begin with the first event. Jobs that
 * were archived have left it as those that were removed.
 */
export class WholeStreams implements EventStore {
  readonly logId: string
  readonly capabilities: StoreCapabilities
  readonly #store: EventStore
  readonly #log: WholeLog
  readonly #catalogue: Catalogue

  constructor(store: EventStore, log: WholeLog, catalogue: Catalogue) {
    this.logId = store.logId
    this.capabilities = store.capabilities
    this.#store = store
    this.#log = log
    this.#catalogue = catalogue
  }

  append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    return this.#store.append(groups)
  }

  readStream(stream: string, options?: ReadStreamOptions): AsyncIterable<RecordedEvent[]> {
    return isJobStream(stream) ? this.#store.readStream(stream, options) : this.#log.readStream(stream, options)
  }

  readAll(options: ReadAllOptions = {}): AsyncIterable<RecordedEvent[]> {
    return this.#log.readSegments(options, isBeginnings)
  }

  subscribe(options: { readonly after?: Position; readonly signal: AbortSignal }): AsyncIterable<Batch> {
    const { after = START, signal } = options
    return after === START && this.#catalogue.hasCuts
      ? this.#fromBeginnings(signal)
      : this.#store.subscribe({ after, signal })
  }

  async *#fromBeginnings(signal: AbortSignal): AsyncGenerator<Batch, void, undefined> {
    let after = START
    for await (const events of this.readAll({ until: await this.#store.head() })) {
      if (signal.aborted) return
      after = events.at(-1)?.position ?? after
      yield { kind: 'events', events, position: after }
    }
    yield* this.#store.subscribe({ after, signal })
  }

  head(): Promise<Position> {
    return this.#store.head()
  }

  positionAt(instant: number): Promise<Position> {
    return this.#log.positionAt(instant)
  }

  sizes(streams: readonly string[]): Promise<number[]> {
    return this.#store.sizes(streams)
  }

  ping(): Promise<void> {
    return this.#store.ping()
  }

  erase(events: readonly EventRef[]): Promise<void> {
    return this.#store.erase(events)
  }

  remove(streams: readonly string[]): Promise<void> {
    return this.#store.remove(streams)
  }

  truncate(stream: string, before: number): Promise<void> {
    return this.#store.truncate(stream, before)
  }

  within(transaction: unknown): TransactionalAppend {
    return this.#store.within(transaction)
  }

  close(): Promise<void> {
    return this.#store.close()
  }
}

const isBeginnings = ({ cut }: Segment): boolean => cut !== undefined
