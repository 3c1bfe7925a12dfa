import type { Manifest } from '../../domain/audit/bundle.js'
import { BUNDLE_FORMAT, endLine, eventLine, manifestLine } from '../../domain/audit/bundle.js'
import type { SegmentSealed, StreamRange } from '../../domain/audit/events.js'
import type { EventTexts, RecordedEvent } from '../../domain/event.js'
import type { Ids } from '../ports/ids.js'
import type { Folder } from '../ports/segments.js'

/** What a segment holds at most, roughly: it is read whole. */
const MOST_EVENTS = 10_000
const MOST_CHARACTERS = 8 * 1024 ** 2

/** Events on their way into a segment. */
export class Draft {
  readonly events: EventTexts[] = []
  #characters = 0

  add(event: EventTexts): void {
    this.events.push(event)
    this.#characters += 200 + event.data.length + contentOf(event)
  }

  get isFull(): boolean {
    return this.events.length >= MOST_EVENTS || this.#characters >= MOST_CHARACTERS
  }
}

const contentOf = ({ body }: EventTexts): number =>
  body !== undefined && 'content' in body ? body.content.length * 1.4 : 0

export class SegmentWriter {
  readonly #folder: Folder
  readonly #logId: string
  readonly #ids: Ids

  constructor(folder: Folder, logId: string, ids: Ids) {
    this.#folder = folder
    this.#logId = logId
    this.#ids = ids
  }

  /** Once this resolves the file is there for good; nothing refers to it yet. */
  async write(
    given: readonly EventTexts[],
    what: Pick<SegmentSealed, 'jobs' | 'replaces' | 'expunged'> & { readonly cut?: readonly StreamRange[] },
  ): Promise<SegmentSealed> {
    const events = [...given].sort((a, b) => (a.position < b.position ? -1 : 1))
    const [from, to] = [events[0]?.position ?? '', events.at(-1)?.position ?? '']
    const since = events.reduce((least, { at }) => Math.min(least, at), events[0]?.at ?? 0)
    const until = events.reduce((most, { at }) => Math.max(most, at), 0)
    const name = `${day(since)}-${day(until)}-${this.#ids.uuid().slice(-12)}.ndjson.gz`
    const manifest: Manifest = {
      ...{ format: BUNDLE_FORMAT, kind: 'segment', logId: this.#logId, events: events.length },
      ...{ streams: new Set(events.map(({ stream }) => stream)).size, from, to },
    }
    const lines = [manifestLine(manifest), ...events.map((event) => eventLine(event))]
    const seal = await this.#folder.write(name, lines, (sha256) => endLine(events.length, sha256))
    return { name, logId: this.#logId, ...seal, events: events.length, from, to, since, until, ...what }
  }
}

const day = (at: number): string => new Date(at).toISOString().slice(0, 10).replaceAll('-', '')

/** What our codec wrote reads back, and is written again, byte for byte. */
export function toTexts({ data, metadata, ...event }: RecordedEvent): EventTexts {
  return {
    ...event,
    data: JSON.stringify(data),
    ...(metadata !== undefined && { metadata: JSON.stringify(metadata) }),
  }
}
