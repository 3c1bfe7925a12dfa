/** Recorded events once more, in their order; at their own pace, if that is asked for. */
import { InvalidOption } from '../../domain/errors.js'
import type { Position, RecordedEvent } from '../../domain/event.js'
import type { Queued, Retried } from '../../domain/job/events.js'
import { isJobStream, NAME_TAKEN } from '../../domain/job/events.js'
import { isQueueStream, queueOf } from '../../domain/queue/events.js'
import { upcast } from '../../domain/upcast.js'
import type { Projection } from '../../projections/fold.js'
import { Fold } from '../../projections/fold.js'
import { checkKeys } from '../checks.js'
import type { Clock } from '../ports/clock.js'
import { delay } from '../ports/clock.js'
import type { LogReader, ReadAllOptions } from '../ports/event-store.js'
import { checkProjection } from '../report/definition.js'
import type { CheckedFilter, CheckedRange, ReplayOptions } from './checks.js'
import { RANGE_KEYS, toBodies, toRange, toSpeed } from './checks.js'
import type { Asked, Place } from './moment.js'
import { locate } from './moment.js'

export interface ReplayWorld {
  readonly wholeLog: LogReader
  readonly ports: { readonly clock: Clock }
}

/** A row of a projection after an event; null: it has gone. */
export interface ReplayStep<Row> {
  readonly event: RecordedEvent
  readonly key: string
  readonly row: Row | null
}

const KEYS = new Set([...RANGE_KEYS, 'speed', 'bodies', 'through'])

/** Throws InvalidOption at once; where a moment has not come, when the first event is asked for. */
export function replay<Row>(
  world: ReplayWorld,
  given: ReplayOptions & { readonly through?: Projection<Row> | undefined },
): AsyncIterable<RecordedEvent> | AsyncIterable<ReplayStep<Row>> {
  checkKeys(given, KEYS, 'replay')
  const { through } = given
  const range = toRange(given, 'replay')
  const speed = toSpeed(given.speed, 'replay.speed')
  const bodies = toBodies(given.bodies, 'replay.bodies')
  const projection = through === undefined ? undefined : checkProjection(through, 'replay.through')
  const events = eventsIn(world, range, { option: 'replay', bodies })
  const paced = speed === undefined ? events : atPace(events, world.ports.clock, speed, range.signal)
  return projection === undefined ? paced : folded(paced, projection as Projection<Row>)
}

/** Where a range begins and ends. Throws InvalidOption. */
export async function boundsOf(
  { wholeLog, ports }: ReplayWorld,
  { from, until }: Pick<CheckedRange, 'from' | 'until'>,
  option: string,
): Promise<{ readonly after: Position; readonly until: Position }> {
  const now = ports.clock.now()
  const last =
    until === undefined ? await wholeLog.head() : (await locate(wholeLog, until, now, `${option}.until`)).position
  if (from === undefined) return { after: '', until: last }
  const { position: after } = await startOf(wholeLog, from, now, `${option}.from`)
  if (until !== undefined && after > last)
    throw new InvalidOption(`${option}.from`, `not after \`${option}.until\``, from)
  return { after, until: last }
}

/** What was recorded at that very instant belongs to the range. */
async function startOf(log: LogReader, from: Asked, now: number, option: string): Promise<Place> {
  if (!('instant' in from) || from.instant > now) return locate(log, from, now, option)
  return locate(log, { instant: Math.max(0, from.instant - 1) }, now, option)
}

/** Upcast. Throws the signal's reason. */
export async function* eventsIn(
  world: ReplayWorld,
  range: CheckedRange,
  { option, bodies }: { readonly option: string; readonly bodies: boolean },
): AsyncGenerator<RecordedEvent, void, undefined> {
  const { filter, signal } = range
  signal?.throwIfAborted()
  const bounds = await boundsOf(world, range, option)
  const sieve = new Sieve(world.wholeLog, filter)
  for await (const page of world.wholeLog.readAll({ ...bounds, ...readingOf(filter), bodies })) {
    for (const recorded of page) {
      signal?.throwIfAborted()
      if (recorded.type === NAME_TAKEN) continue
      const event = upcast(recorded)
      if (await sieve.lets(event)) yield event
    }
  }
}

export function readingOf({ streams, types, jobs }: CheckedFilter): Pick<ReadAllOptions, 'streams' | 'types'> {
  const prefixes = streams ?? (jobs && [...jobs])
  return { ...(prefixes !== undefined && { streams: prefixes }), ...(types !== undefined && { types }) }
}

/** Jobs of which it is known in which queue they are. */
const KNOWN = 100_000

/** What a store cannot be asked for. */
export class Sieve {
  readonly #log: LogReader
  readonly #filter: CheckedFilter
  readonly #queues = new Map<string, string>()

  constructor(log: LogReader, filter: CheckedFilter) {
    this.#log = log
    this.#filter = filter
  }

  lets(event: RecordedEvent): boolean | Promise<boolean> {
    const { jobs, queues } = this.#filter
    if (jobs !== undefined && !jobs.has(event.stream)) return false
    return queues === undefined || this.#isOf(queues, event)
  }

  async #isOf(queues: ReadonlySet<string>, event: RecordedEvent): Promise<boolean> {
    const { stream } = event
    if (isQueueStream(stream)) return queues.has(queueOf(stream))
    return isJobStream(stream) && queues.has(this.#queues.get(stream) ?? (await this.#learn(event)))
  }

  /** A job stays in its queue for life. */
  async #learn(event: RecordedEvent): Promise<string> {
    const queue = queueSaidBy(event) ?? (await this.#queueOf(event.stream))
    if (this.#queues.size >= KNOWN) this.#queues.clear()
    this.#queues.set(event.stream, queue)
    return queue
  }

  async #queueOf(stream: string): Promise<string> {
    for await (const [first] of this.#log.readStream(stream, { limit: 1 })) {
      if (first !== undefined) return queueSaidBy(upcast(first)) ?? ''
    }
    return ''
  }
}

function queueSaidBy({ type, data }: RecordedEvent): string | undefined {
  if (type === 'Queued') return (data as Queued).queue
  return type === 'Retried' ? (data as Retried).job?.queue : undefined
}

/** The first one at once. Clocks of several processes differ: an event that is earlier than the one before comes at once, too. */
async function* atPace(
  events: AsyncIterable<RecordedEvent>,
  clock: Clock,
  speed: number,
  signal: AbortSignal = new AbortController().signal,
): AsyncGenerator<RecordedEvent, void, undefined> {
  let began: { readonly now: number; readonly at: number } | undefined
  for await (const event of events) {
    began ??= { now: clock.now(), at: event.at }
    const wait = began.now + (event.at - began.at) / speed - clock.now()
    if (wait > 0) await delay(clock, wait, signal)
    yield event
  }
}

async function* folded<Row>(
  events: AsyncIterable<RecordedEvent>,
  projection: Projection<Row>,
): AsyncGenerator<ReplayStep<Row>, void, undefined> {
  const fold = new Fold(projection)
  for await (const event of events) {
    const change = fold.apply(event)
    if (change !== undefined) yield { event, ...change }
  }
}
