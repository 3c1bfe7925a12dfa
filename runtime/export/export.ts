/** A log, or a slice of it, in a file of its own. */
import type { Manifest } from '../../domain/audit/bundle.js'
import { BUNDLE_FORMAT, endLine, eventLine, manifestLine } from '../../domain/audit/bundle.js'
import type { CheckpointSigned } from '../../domain/audit/events.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import { InvalidOption } from '../../domain/errors.js'
import type { Json, Position, RecordedEvent } from '../../domain/event.js'
import { jobIdOf, NAME_TAKEN } from '../../domain/job/events.js'
import { upcast } from '../../domain/upcast.js'
import { toTexts } from '../archive/segment-writer.js'
import { checkKeys, toFlag, toName } from '../checks.js'
import { type Gone, goneFrom } from '../copy/removed.js'
import type { CheckedRange, RangeOptions } from '../history/checks.js'
import { RANGE_KEYS, toRange } from '../history/checks.js'
import { boundsOf, readingOf, Sieve } from '../history/replay.js'
import type { LedgerPorts } from '../ledger-ports.js'
import type { LogReader } from '../ports/event-store.js'
import { StoreRefused } from '../ports/event-store.js'
import type { FileSeal } from '../ports/segments.js'
import type { Queries } from '../read/queries.js'
import { ExportExists } from './errors.js'

export interface ExportOptions extends RangeOptions {
  /** The file. */
  readonly to: string
  /** Take the place of a file that is there. Default false. */
  readonly force?: boolean
  /** Called after each page. */
  readonly onProgress?: (so: { readonly events: number; readonly total: number }) => void
}

export interface Exported extends FileSeal {
  readonly file: string
  readonly events: number
  readonly streams: number
  /** Positions of the first event and of the last; '' where there is none. */
  readonly from: Position
  readonly to: Position
}

interface World {
  readonly wholeLog: LogReader
  readonly queries: Queries
  readonly ports: Pick<LedgerPorts, 'store' | 'files' | 'clock'>
}

const KEYS = new Set([...RANGE_KEYS, 'to', 'force', 'onProgress'])
const END = '\u{10FFFF}'

export async function exportLog(world: World, given: ExportOptions): Promise<Exported> {
  checkKeys(given, KEYS, 'export')
  const { to, force = false, onProgress, from, until, filter } = given
  if (typeof to !== 'string' || to === '') throw new InvalidOption('export.to', 'the path of a file', to)
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw new InvalidOption('export.onProgress', 'a function', onProgress)
  const range = toRange(given, 'export')
  const { files, store } = world.ports
  if (files === undefined) throw new StoreRefused('Expected a ledger that can write files.')
  const { folder, name } = files(to)
  if (!toFlag(force, 'export.force') && (await folder.seal(toName(name, 'export.to'))) !== undefined)
    throw new ExportExists(to)
  for (const stream of range.filter.jobs ?? []) await checkKnown(world, stream)
  const exporting = new Exporting(world, range, await boundsOf(world, range, 'export'))
  const isSlice = from !== undefined || until !== undefined || filter !== undefined
  const { events, streams, first, last } = await exporting.count()
  const manifest: Manifest = {
    ...{ format: BUNDLE_FORMAT, kind: 'export', logId: store.logId, events, streams, from: first, to: last },
    // The head of the log when it was exported, and what was signed of it last.
    head: await world.wholeLog.head(),
    ...(isSlice && { filter: filterOf(given) }),
    signed: await exporting.signed(),
  }
  const lines = exporting.lines(manifest, (done) => onProgress?.({ events: done, total: events }))
  const seal = await folder.write(name, lines, (sha256) => endLine(events, sha256))
  return { file: to, ...seal, events, streams, from: first, to: last }
}

/** Nothing of a job that never was is more likely a slip than a wish. Throws JobUnknown, JobRemoved. */
async function checkKnown({ wholeLog, queries }: World, stream: string): Promise<void> {
  for await (const page of wholeLog.readStream(stream, { limit: 1 })) if (page.length > 0) return
  await queries.read(jobIdOf(stream))
}

/** What was asked for, as the manifest keeps it. */
function filterOf({ from, until, filter }: ExportOptions): Json {
  return JSON.parse(JSON.stringify({ from, until, ...filter })) as Json
}

class Exporting {
  readonly #world: World
  readonly #range: CheckedRange
  readonly #bounds: { readonly after: Position; readonly until: Position }

  constructor(world: World, range: CheckedRange, bounds: { readonly after: Position; readonly until: Position }) {
    this.#world = world
    this.#range = range
    this.#bounds = bounds
  }

  async count(): Promise<{ events: number; streams: number; first: Position; last: Position }> {
    const streams = new Set<string>()
    let [events, first, last] = [0, '', '']
    for await (const page of this.#pages(false)) {
      for (const { stream, position } of page) {
        streams.add(stream)
        if (events === 0) first = position
        last = position
        events += 1
      }
    }
    return { events, streams: streams.size, first, last }
  }

  /** The note that was signed last of what is exported. */
  async signed(): Promise<string | undefined> {
    const { until } = this.#bounds
    const signing = { until: until || END, streams: [AUDIT_STREAM], types: ['CheckpointSigned'] }
    let note: string | undefined
    for await (const page of this.#world.wholeLog.readAll(signing))
      note = (page.at(-1)?.data as CheckpointSigned | undefined)?.note ?? note
    return note
  }

  async *lines(manifest: Manifest, tell: (events: number) => void): AsyncGenerator<string, void, undefined> {
    yield manifestLine(manifest)
    let events = 0
    for await (const page of this.#pages(true)) {
      for (const event of page) yield eventLine(toTexts(event))
      events += page.length
      tell(events)
    }
    if (events !== manifest.events)
      throw new StoreRefused(`Expected ${manifest.events} events, got ${events}: some were removed meanwhile.`)
  }

  async *#pages(bodies: boolean): AsyncGenerator<RecordedEvent[], void, undefined> {
    const { filter, signal } = this.#range
    const { wholeLog, ports } = this.#world
    if (this.#bounds.until === '') return
    const sieve = new Sieve(wholeLog, filter)
    const gone = await this.#gone()
    for await (const page of wholeLog.readAll({ ...this.#bounds, ...readingOf(filter), bodies })) {
      // A store that answers at once would keep everybody else waiting.
      await new Promise<void>((resolve) => ports.clock.soon(resolve))
      signal?.throwIfAborted()
      const wanted: RecordedEvent[] = []
      for (const event of page) {
        if (event.type === NAME_TAKEN || gone.has(event.stream)) continue
        if (await sieve.lets(upcast(event))) wanted.push(event)
      }
      if (wanted.length > 0) yield wanted
    }
  }

  /** What a store still shows of jobs that were removed is not told. */
  async #gone(): Promise<Gone> {
    const { wholeLog, ports } = this.#world
    const { capabilities } = ports.store
    if (capabilities.atomicGroups && capabilities.hidesRemoved !== false) return new Map()
    return goneFrom({ log: wholeLog, capabilities }, this.#bounds.until)
  }
}
