import type { Position, RecordedEvent } from '../../domain/event.js'
import { START } from '../../domain/event.js'
import type {
  AppendGroup,
  AppendOutcome,
  Batch,
  EventStore,
  StoreCapabilities,
  TransactionalAppend,
} from '../../runtime/ports/event-store.js'

/** Takes everything and keeps nothing. Whoever waits for the end of a write need not wait: it is at the start of the log. */
const TAKEN: AppendOutcome = { kind: 'ok', position: START }

export class NullEventStore implements EventStore {
  readonly logId = '00000000-0000-7000-8000-000000000000'
  readonly capabilities: StoreCapabilities = { atomicGroups: true, transactions: true, erase: true, durable: false }

  async append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    return groups.map(() => TAKEN)
  }

  async *readStream(): AsyncIterable<RecordedEvent[]> {}

  async *readAll(): AsyncIterable<RecordedEvent[]> {}

  async *subscribe({ signal }: { readonly signal: AbortSignal }): AsyncIterable<Batch> {
    yield { kind: 'caughtUp', position: START }
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  }

  async head(): Promise<Position> {
    return START
  }

  async positionAt(): Promise<Position> {
    return START
  }

  async sizes(streams: readonly string[]): Promise<number[]> {
    return streams.map(() => 0)
  }

  async ping(): Promise<void> {}

  async erase(): Promise<void> {}

  async remove(): Promise<void> {}

  async truncate(): Promise<void> {}

  /** Any handle will do. */
  within(): TransactionalAppend {
    return { append: (groups) => groups.map(() => TAKEN), readStream: () => [] }
  }

  async close(): Promise<void> {}
}
