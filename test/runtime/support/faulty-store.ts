/** A store behind bad weather: it does what the port allows a store to do, on the worst day. */
import type { Position, RecordedEvent } from '../../../domain/event.js'
import type {
  AppendGroup,
  AppendOutcome,
  Batch,
  EventStore,
  Overlap,
  ReadAllOptions,
  ReadStreamOptions,
  StoreCapabilities,
  TransactionalAppend,
} from '../../../runtime/ports/event-store.js'
import { StoreUnavailable } from '../../../runtime/ports/event-store.js'
import { turns } from './hasty-clock.js'

/**
 * What happens to one try of a group. `rival`: another writer is faster on one of its streams. `lost answer`, `lost request`:
 * unknown, and stored or not. `late`: unknown, and it comes in later, before or after the next try. `rejected`: surely not
 * stored by any try, so only ever the first.
 */
export type Fault = 'none' | 'rival' | 'lost answer' | 'lost request' | 'late' | 'rejected'

export interface Weather {
  readonly fault: Fault
  /** Turns of the event loop that the call takes, and by which a late request is late. */
  readonly turns: number
  /** Which stream a rival takes, and what it does there. */
  readonly rivalry: number
  /** The whole call fails with an exception when it is done. */
  readonly throws: boolean
}

/** Used up once, in order; then the sky is clear, so that everything comes to an end. */
export interface Forecast {
  readonly appends: readonly Weather[]
  /** Turns that reads take, and by which the subscription lags behind. */
  readonly reads: readonly number[]
  readonly lags: readonly number[]
  /** What the store says of calls beside each other. Default: nothing. */
  readonly overlap?: Overlap | undefined
}

export type RivalAppend = (stream: string, rivalry: number) => Promise<void>

interface Try {
  readonly print: string
  answer: AppendOutcome['kind'] | 'open'
}

const CLEAR: Weather = { fault: 'none', turns: 0, rivalry: 0, throws: false }

export class FaultyStore implements EventStore {
  readonly #inner: EventStore
  readonly #rival: RivalAppend
  readonly #appends: Weather[]
  readonly #reads: number[]
  readonly #lags: number[]
  readonly #overlap: Overlap | undefined
  readonly #late: Promise<unknown>[] = []
  /** The last try of each command, by the mark in the metadata of its events. */
  readonly #tries = new Map<string, Try>()
  /** Streams of groups that are being appended or of which the outcome is unknown, with the group's print. */
  readonly #inFlight = new Map<string, string>()
  /** Every group ever tried. */
  readonly groups: AppendGroup[] = []
  /** Calls of `append`, those under way, and the most that ever were. */
  calls = 0
  #underWay = 0
  mostAtOnce = 0
  /** What a journal must not do, in words. */
  readonly faults: string[] = []

  constructor(inner: EventStore, forecast: Partial<Forecast>, rival: RivalAppend = async () => {}) {
    this.#inner = inner
    this.#rival = rival
    this.#appends = [...(forecast.appends ?? [])]
    this.#reads = [...(forecast.reads ?? [])]
    this.#lags = [...(forecast.lags ?? [])]
    this.#overlap = forecast.overlap
  }

  get logId(): string {
    return this.#inner.logId
  }

  get capabilities(): StoreCapabilities {
    return { ...this.#inner.capabilities, ...(this.#overlap !== undefined && { overlap: this.#overlap }) }
  }

  async append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    this.calls += 1
    this.#underWay += 1
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#underWay)
    try {
      return await this.#append(groups)
    } finally {
      this.#underWay -= 1
    }
  }

  async #append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    this.groups.push(...groups)
    const weathers = groups.map(() => this.#appends.shift() ?? CLEAR)
    const isFirst = groups.map((group) => this.#note(group))
    await turns(Math.max(0, ...weathers.map((weather) => weather.turns)))
    for (const [index, group] of groups.entries()) await this.#beRival(group, weathers[index] as Weather)
    const reaching = groups.filter((_, index) => reaches((weathers[index] as Weather).fault, isFirst[index] as boolean))
    const stored = await this.#inner.append(reaching)
    const throws = weathers.some((weather) => weather.throws)
    const outcomes = groups.map((group, index): AppendOutcome => {
      const { fault, turns: delay } = weathers[index] as Weather
      const outcome = stored[reaching.indexOf(group)]
      if (fault === 'late') this.#sendLater(group, delay)
      if (fault === 'rejected' && isFirst[index] && !throws)
        return { kind: 'rejected', error: new StoreUnavailable('disk full') }
      if (fault === 'lost answer' || outcome === undefined || throws)
        return { kind: 'unknown', error: new Error('no answer') }
      return outcome
    })
    for (const [index, group] of groups.entries()) this.#noteOutcome(group, (outcomes[index] as AppendOutcome).kind)
    if (throws) throw new Error('the connection broke')
    return outcomes
  }

  async #beRival({ expect }: AppendGroup, { fault, rivalry }: Weather): Promise<void> {
    if (fault !== 'rival') return
    const streams = [...expect.keys()]
    await this.#rival(streams[rivalry % streams.length] as string, rivalry)
  }

  #sendLater(group: AppendGroup, delay: number): void {
    this.#late.push(turns(delay * 2).then(() => this.#inner.append([group])))
  }

  /** Everything on its way has come in. */
  async landed(): Promise<void> {
    await Promise.all(this.#late)
  }

  /** True for the first try of a group. */
  #note(group: AppendGroup): boolean {
    const print = printOf(group)
    for (const stream of group.expect.keys()) {
      const other = this.#inFlight.get(stream)
      if (other !== undefined && other !== print) this.faults.push(`${stream} is in flight twice`)
      this.#inFlight.set(stream, print)
    }
    const marks = marksOf(group)
    const first = marks.every((mark) => this.#tries.get(mark)?.answer !== 'unknown')
    for (const mark of marks) {
      const last = this.#tries.get(mark)
      if (last?.answer === 'unknown' && last.print !== print)
        this.faults.push(`${mark} was changed before it was sent again`)
      if (last?.answer === 'ok' || last?.answer === 'rejected')
        this.faults.push(`${mark} was sent again after its answer`)
      this.#tries.set(mark, { print, answer: 'open' })
    }
    return first
  }

  #noteOutcome(group: AppendGroup, answer: AppendOutcome['kind']): void {
    for (const mark of marksOf(group)) (this.#tries.get(mark) as Try).answer = answer
    if (answer !== 'unknown') for (const stream of group.expect.keys()) this.#inFlight.delete(stream)
  }

  async *readStream(stream: string, options?: ReadStreamOptions): AsyncIterable<RecordedEvent[]> {
    await turns(this.#reads.shift() ?? 0)
    yield* this.#inner.readStream(stream, options)
  }

  readAll(options?: ReadAllOptions): AsyncIterable<RecordedEvent[]> {
    return this.#inner.readAll(options)
  }

  async *subscribe(options: { readonly after?: Position; readonly signal: AbortSignal }): AsyncIterable<Batch> {
    for await (const batch of this.#inner.subscribe(options)) {
      await turns(this.#lags.shift() ?? 0)
      yield batch
    }
  }

  head(): Promise<Position> {
    return this.#inner.head()
  }

  positionAt(instant: number): Promise<Position> {
    return this.#inner.positionAt(instant)
  }

  sizes(streams: readonly string[]): Promise<number[]> {
    return this.#inner.sizes(streams)
  }

  ping(): Promise<void> {
    return this.#inner.ping()
  }

  erase(events: readonly { readonly stream: string; readonly revision: number }[]): Promise<void> {
    return this.#inner.erase(events)
  }

  remove(streams: readonly string[]): Promise<void> {
    return this.#inner.remove(streams)
  }

  truncate(stream: string, before: number): Promise<void> {
    return this.#inner.truncate(stream, before)
  }

  within(transaction: unknown): TransactionalAppend {
    return this.#inner.within(transaction)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }
}

function reaches(fault: Fault, first: boolean): boolean {
  if (fault === 'rejected') return !first
  return fault !== 'lost request' && fault !== 'late'
}

/** All that must not change between two tries: ids, times, facts, bodies with their salt, and what is expected. */
function printOf({ expect, events }: AppendGroup): string {
  return JSON.stringify([[...expect], events], (_, value) => (value instanceof Uint8Array ? [...value] : value))
}

function marksOf({ events }: AppendGroup): string[] {
  return [...new Set(events.map((event) => event.metadata?.mark ?? event.id))]
}
