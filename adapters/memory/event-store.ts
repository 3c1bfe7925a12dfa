/** A log that lives and dies with its process: for tests, and for jobs that need not outlive it. */
import { randomUUID } from 'node:crypto'
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
import { StoreClosed, StoreRefused } from '../../runtime/ports/event-store.js'
import { checkGroups } from '../shared/groups.js'
import { PAGE_SIZE, Pages } from '../shared/pages.js'
import { toNumber, toPosition } from '../shared/positions.js'
import { inSlices } from '../shared/slices.js'
import { type Draft, draft, type Kept, Streams, toEvent } from './streams.js'
import { Subscriptions } from './subscriptions.js'

export interface MemoryStoreOptions {
  /** `false`: takes groups of one stream only, as EventStoreDB does. Default `true`. */
  readonly atomicGroups?: boolean
}

export class MemoryEventStore implements EventStore {
  readonly logId: string = randomUUID()
  readonly capabilities: StoreCapabilities
  readonly #streams = new Streams()
  readonly #subscriptions = new Subscriptions((position, limit) => this.#readAfter(position, limit))
  #closed = false

  constructor({ atomicGroups = true }: MemoryStoreOptions = {}) {
    this.capabilities = { atomicGroups, transactions: false, erase: true, durable: false }
  }

  async append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    checkGroups(groups)
    if (this.#closed) return groups.map(() => ({ kind: 'rejected', error: new StoreClosed() }))
    const drafts = groups.map((group) => group.events.map(draft))
    const outcomes = groups.map((group, index) => this.#appendGroup(group, drafts[index] ?? []))
    if (groups.some(({ remove }) => remove !== undefined)) this.#streams.sweep()
    this.#subscriptions.wake()
    return outcomes
  }

  readStream(stream: string, options: ReadStreamOptions = {}): AsyncIterable<RecordedEvent[]> {
    const { from, limit = Number.POSITIVE_INFINITY, backwards = false, bodies = false } = options
    const step = backwards ? -1 : 1
    let next = from
    let left = limit
    let more = true
    const read = (): RecordedEvent[] => {
      this.#checkOpen()
      const source = this.#streams.get(stream)
      const first = source?.first ?? 0
      const last = first + (source?.events.length ?? 0) - 1
      next = backwards ? Math.min(next ?? last, last) : Math.max(next ?? first, first)
      const page: RecordedEvent[] = []
      for (; page.length < Math.min(left, PAGE_SIZE) && next >= first && next <= last; next += step) {
        const kept = source?.events[next - first]
        if (kept !== undefined) page.push(toEvent(kept, bodies))
      }
      left -= page.length
      more = left > 0 && page.length === PAGE_SIZE
      return page
    }
    return new Pages({ more: () => more, read })
  }

  readAll(options: ReadAllOptions = {}): AsyncIterable<RecordedEvent[]> {
    const { limit = Number.POSITIVE_INFINITY, bodies = false } = options
    const until = options.until === undefined ? Number.POSITIVE_INFINITY : toNumber(options.until)
    let after = toNumber(options.after ?? '')
    let left = limit
    let more = true
    const read = (): RecordedEvent[] => {
      this.#checkOpen()
      const { log } = this.#streams
      const page: RecordedEvent[] = []
      let index = this.#streams.indexAfter(after)
      for (; page.length < Math.min(left, PAGE_SIZE); index += 1) {
        const kept = log[index]
        if (kept === undefined || kept.position > until) break
        after = kept.position
        if (matches(kept, options)) page.push(toEvent(kept, bodies))
      }
      left -= page.length
      more = left > 0 && page.length === PAGE_SIZE
      return page
    }
    return new Pages({ more: () => more, read })
  }

  subscribe(options: { readonly after?: Position; readonly signal: AbortSignal }): AsyncIterable<Batch> {
    return this.#subscriptions.open(options)
  }

  async head(): Promise<Position> {
    this.#checkOpen()
    return toPosition(this.#streams.log.at(-1)?.position ?? 0)
  }

  async positionAt(instant: number): Promise<Position> {
    this.#checkOpen()
    const { log } = this.#streams
    const later = log.findIndex((kept) => kept.at > instant)
    return toPosition((later === -1 ? log.at(-1) : log[later - 1])?.position ?? 0)
  }

  sizes(streams: readonly string[]): Promise<number[]> {
    return inSlices(streams, PAGE_SIZE, (slice) => {
      this.#checkOpen()
      return slice.map((name) => this.#streams.size(name))
    })
  }

  async ping(): Promise<void> {
    this.#checkOpen()
  }

  async erase(events: readonly EventRef[]): Promise<void> {
    this.#checkOpen()
    for (const event of events) this.#streams.erase(event)
  }

  async remove(streams: readonly string[]): Promise<void> {
    this.#checkOpen()
    for (const name of streams) this.#streams.remove(name)
    this.#streams.sweep()
  }

  async truncate(stream: string, before: number): Promise<void> {
    this.#checkOpen()
    const target = this.#streams.get(stream)
    if (target === undefined) return
    this.#streams.cut(target, Math.max(0, Math.min(before - target.first, target.events.length - 1)))
    this.#streams.sweep()
  }

  within(_transaction: unknown): TransactionalAppend {
    throw new StoreRefused('The memory store has no transactions of its own: `within` needs a SQL store.')
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#subscriptions.close()
  }

  #checkOpen(): void {
    if (this.#closed) throw new StoreClosed()
  }

  #appendGroup(group: AppendGroup, drafts: readonly Draft[]): AppendOutcome {
    const error = this.#refusal(group)
    if (error !== undefined) return { kind: 'rejected', error }
    for (const [stream, expected] of group.expect) {
      const actual = this.#streams.actual(stream)
      if (actual !== expected) return this.#repetition(group) ?? { kind: 'conflict', stream, actual }
    }
    for (const each of drafts) this.#streams.add(each)
    for (const event of group.erase ?? []) this.#streams.erase(event)
    for (const name of group.remove ?? []) this.#streams.remove(name)
    return { kind: 'ok', position: toPosition(this.#streams.last) }
  }

  #refusal({ expect, effects }: AppendGroup): StoreRefused | undefined {
    if (effects !== undefined) {
      return new StoreRefused('The memory store has no transaction for `effects` to write in: they need a SQL store.')
    }
    if (this.capabilities.atomicGroups || expect.size === 1) return undefined
    return new StoreRefused(`Expected a group of one stream (this store has no atomic groups), got ${expect.size}.`)
  }

  /** `ok` if every event of the group is stored already, just where this group would put it. */
  #repetition(group: AppendGroup): AppendOutcome | undefined {
    const reached = new Map<string, number>()
    let position = 0
    for (const event of group.events) {
      const expected = group.expect.get(event.stream)
      const revision = (reached.get(event.stream) ?? (typeof expected === 'number' ? expected : -1)) + 1
      reached.set(event.stream, revision)
      const kept = this.#streams.find(event.stream, revision)
      if (kept?.id !== event.id) return undefined
      position = kept.position
    }
    return { kind: 'ok', position: toPosition(position) }
  }

  #readAfter(position: Position, limit: number): RecordedEvent[] {
    const start = this.#streams.indexAfter(toNumber(position))
    return this.#streams.log.slice(start, start + limit).map((kept) => toEvent(kept, true))
  }
}

function matches(kept: Kept, { streams, types }: ReadAllOptions): boolean {
  if (types !== undefined && !types.includes(kept.type)) return false
  return streams === undefined || streams.some((prefix) => kept.stream.startsWith(prefix))
}
