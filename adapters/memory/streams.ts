/** What the memory store holds: the log in order, and each stream's events by revision. */
import { createHash } from 'node:crypto'
import type { Body, ErasedBody, NewEvent, RecordedEvent } from '../../domain/event.js'
import type { EventRef, ExpectedRevision } from '../../runtime/ports/event-store.js'
import { toPosition } from '../shared/positions.js'

/** One event. Facts and metadata are kept as text, so that readers share no object and see just what JSON keeps. */
export interface Kept {
  readonly position: number
  readonly stream: string
  readonly revision: number
  readonly id: string
  readonly type: string
  readonly at: number
  readonly data: string
  readonly metadata: string | undefined
  body: Body | ErasedBody | undefined
  /** Taken out by `remove` or `truncate`. */
  gone: boolean
}

/** `events[i]` has revision `first + i`. */
export interface Stream {
  first: number
  events: Kept[]
  removed: boolean
}

export class Streams {
  log: Kept[] = []
  last = 0
  readonly #byName = new Map<string, Stream>()

  get(name: string): Stream | undefined {
    return this.#byName.get(name)
  }

  /** Where a stream stands. */
  actual(name: string): ExpectedRevision | 'removed' {
    const stream = this.#byName.get(name)
    if (stream === undefined) return 'none'
    return stream.removed ? 'removed' : stream.first + stream.events.length - 1
  }

  find(name: string, revision: number): Kept | undefined {
    const stream = this.#byName.get(name)
    return stream?.events[revision - stream.first]
  }

  add(draft: Draft): Kept {
    const name = draft.event.stream
    const stream = this.#byName.get(name) ?? { first: 0, events: [], removed: false }
    this.#byName.set(name, stream)
    this.last += 1
    const kept = keep(draft, this.last, stream.first + stream.events.length)
    stream.events.push(kept)
    this.log.push(kept)
    return kept
  }

  /** Facts, metadata and body in bytes; 0 for a stream that is not there. */
  size(name: string): number {
    return this.#byName.get(name)?.events.reduce((sum, kept) => sum + sizeOf(kept), 0) ?? 0
  }

  erase({ stream, revision }: EventRef): void {
    const kept = this.find(stream, revision)
    if (kept?.body !== undefined && 'content' in kept.body) kept.body = erased(kept.body)
  }

  /** Takes a whole stream out, for ever; call `sweep` when done. */
  remove(name: string): void {
    const stream = this.#byName.get(name)
    if (stream === undefined) return
    this.cut(stream, stream.events.length)
    stream.removed = true
  }

  /** Takes out the first `count` events of a stream; call `sweep` when done. */
  cut(stream: Stream, count: number): void {
    for (const kept of stream.events.splice(0, count)) kept.gone = true
    stream.first += count
  }

  sweep(): void {
    this.log = this.log.filter((kept) => !kept.gone)
  }

  /** Index in the log of the first event after a position. */
  indexAfter(position: number): number {
    let low = 0
    let high = this.log.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.log[middle]?.position ?? 0) <= position) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** An event with its texts made: nothing can throw after this. */
export interface Draft {
  readonly event: NewEvent
  readonly data: string
  readonly metadata: string | undefined
}

export function draft(event: NewEvent): Draft {
  return { event, data: JSON.stringify(event.data), metadata: metadataText(event) }
}

function keep({ event, data, metadata }: Draft, position: number, revision: number): Kept {
  const { stream, id, type, at, body } = event
  return { position, stream, revision, id, type, at, data, metadata, body: body && copy(body), gone: false }
}

function metadataText({ metadata }: NewEvent): string | undefined {
  const text = metadata === undefined ? '{}' : JSON.stringify(metadata)
  return text === '{}' ? undefined : text
}

function copy(body: Body | ErasedBody): Body | ErasedBody {
  if ('hash' in body) return { hash: body.hash.slice() }
  const { salt, content } = body
  return { salt: salt.slice(), content: typeof content === 'string' ? content : content.slice() }
}

function sizeOf({ data, metadata = '', body }: Kept): number {
  const content = body !== undefined && 'content' in body ? body.content : ''
  return Buffer.byteLength(data) + Buffer.byteLength(metadata) + Buffer.byteLength(content)
}

function erased({ salt, content }: Body): ErasedBody {
  return { hash: createHash('sha256').update(salt).update(content).digest() }
}

export function toEvent(kept: Kept, bodies: boolean): RecordedEvent {
  const { stream, id, type, at, revision } = kept
  return {
    stream,
    id,
    type,
    at,
    data: JSON.parse(kept.data),
    metadata: kept.metadata === undefined ? undefined : JSON.parse(kept.metadata),
    revision,
    position: toPosition(kept.position),
    body: bodies && kept.body !== undefined ? copy(kept.body) : undefined,
  }
}
