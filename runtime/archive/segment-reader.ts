import { readLine } from '../../domain/audit/bundle.js'
import type { EventTexts, RecordedEvent } from '../../domain/event.js'
import type { JobEvent } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import { upcast } from '../../domain/upcast.js'
import type { Segment } from '../../projections/segments.js'
import type { Folder } from '../ports/segments.js'
import { ArchiveMissing, SegmentDamaged, SegmentMissing } from './errors.js'

/** Segments kept in memory after they were read: some 10 MiB each. */
const KEPT = 3

/** Reads segments whole, and only as they were sealed. */
export class SegmentReader {
  readonly #folder: Folder | undefined
  /** The latest used last. */
  readonly #kept = new Map<string, Promise<readonly EventTexts[]>>()

  constructor(folder: Folder | undefined) {
    this.#folder = folder
  }

  /** Its events in order. Throws ArchiveMissing, SegmentMissing, SegmentDamaged. */
  events(segment: Segment): Promise<readonly EventTexts[]> {
    const { name } = segment
    const events = this.#kept.get(name) ?? this.#read(segment)
    this.#kept.delete(name)
    this.#kept.set(name, events)
    // One that cannot be read may be brought back.
    events.catch(() => this.#kept.delete(name))
    if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value as string)
    return events
  }

  /** Throws what `events` throws; reads the file as it is, and no more. */
  async check({ name, sha256 }: Segment): Promise<Folder> {
    const folder = this.#folder
    if (folder === undefined) throw new ArchiveMissing(name)
    const seal = await folder.seal(name)
    if (seal === undefined) throw new SegmentMissing(name, folder.path)
    if (seal.sha256 === sha256) return folder
    throw new SegmentDamaged(name, folder.path, `sha256 ${sha256}`, seal.sha256)
  }

  async #read(segment: Segment): Promise<readonly EventTexts[]> {
    const folder = await this.check(segment)
    const events: EventTexts[] = []
    let number = 0
    for await (const { text } of folder.lines(segment.name)) {
      number += 1
      if (number === 1) continue
      const line = readLine(text, number)
      if (line.kind === 'event') events.push(line.event)
    }
    if (events.length === segment.events) return events
    const expected = `${segment.events} events`
    throw new SegmentDamaged(segment.name, folder.path, expected, `${events.length}`)
  }
}

/** What the texts mean. */
export function toRecorded({ data, metadata, body, ...texts }: EventTexts, bodies: boolean): RecordedEvent {
  return {
    ...texts,
    data: JSON.parse(data) as object,
    metadata: metadata === undefined ? undefined : (JSON.parse(metadata) as RecordedEvent['metadata']),
    body: bodies ? body : undefined,
  }
}

/** Those of some streams, each in order. */
export function byStream(
  events: readonly EventTexts[],
  isWanted: (stream: string) => boolean,
): ReadonlyMap<string, EventTexts[]> {
  const streams = new Map<string, EventTexts[]>()
  for (const event of events) {
    const { stream } = event
    const known = streams.get(stream)
    if (known !== undefined) known.push(event)
    else if (isWanted(stream)) streams.set(stream, [event])
  }
  return streams
}

/** What became of the jobs whose whole streams these are. */
export function statesOf(streams: ReadonlyMap<string, readonly EventTexts[]>): JobState[] {
  const states: JobState[] = []
  for (const events of streams.values()) {
    let state: JobState | undefined
    for (const texts of events) state = evolve(state, upcast(toRecorded(texts, false)) as RecordedEvent & JobEvent)
    if (state !== undefined) states.push(state)
  }
  return states
}
