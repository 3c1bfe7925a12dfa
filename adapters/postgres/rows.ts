/** Events to columns and rows to recorded events. This is the inner loop of every append and every replay. */
import type { Body, ErasedBody, EventTexts, Metadata, NewEvent, RecordedEvent } from '../../domain/event.js'
import { toPosition } from '../shared/positions.js'
import type { Row } from './connections.js'
import { List } from './lists.js'
import { COLUMN_TYPES } from './schema.js'

export const NARROW = 'e.position, e.stream, e.revision, e.type, e.at, e.id, e.data, e.metadata'
export const WIDE: string = `${NARROW}, e.seal, e.body, e.bytes`

/** Told of a record that cannot be read; it is skipped, so that one bad record does not stop everything. */
export type OnUnreadable = (position: string, error: Error) => void

export function toEvents(rows: readonly Row[], onUnreadable: OnUnreadable): RecordedEvent[] {
  const events: RecordedEvent[] = []
  for (const row of rows) {
    try {
      events.push(toEvent(row))
    } catch (error) {
      onUnreadable(toPosition(Number(row[0])), error instanceof Error ? error : new Error(String(error)))
    }
  }
  return events
}

/** All events have the same keys in the same order: readers stay fast. */
function toEvent(row: Row): RecordedEvent {
  const [position, stream, revision, type, at, id, data, metadata, seal, text, bytes] = row as (string | null)[]
  return {
    stream: fromText(stream ?? ''),
    id: fromText(id ?? ''),
    type: fromText(type ?? ''),
    at: Number(at),
    data: JSON.parse(data ?? '') as object,
    metadata: metadata === null || metadata === undefined ? undefined : (JSON.parse(metadata) as Metadata),
    revision: Number(revision),
    position: toPosition(Number(position)),
    body: toBody(seal, text, bytes),
  }
}

export function toTexts(rows: readonly Row[]): EventTexts[] {
  return rows.map((row) => {
    const [position, stream, revision, type, at, id, data, metadata, seal, text, bytes] = row as (string | null)[]
    return {
      ...{ stream: fromText(stream ?? ''), id: fromText(id ?? ''), type: fromText(type ?? ''), at: Number(at) },
      ...{ data: data ?? '', metadata: metadata ?? undefined, revision: Number(revision) },
      position: toPosition(Number(position)),
      body: toBody(seal, text, bytes),
    }
  })
}

type Maybe = string | null | undefined

/** A seal beside a body is its salt; alone it is the hash of what was erased. */
function toBody(seal: Maybe, text: Maybe, bytes: Maybe): Body | ErasedBody | undefined {
  if (typeof seal !== 'string') return undefined
  if (typeof bytes !== 'string')
    return typeof text === 'string' ? { salt: toBytes(seal), content: text } : { hash: toBytes(seal) }
  const content = toBytes(bytes)
  return { salt: toBytes(seal), content: typeof text === 'string' ? content.toString('utf8') : content }
}

export function toBytes(hex: string): Buffer {
  if (!hex.startsWith('\\x')) throw new TypeError("Expected bytes as hex: is `bytea_output` 'hex'?")
  return Buffer.from(hex.slice(2), 'hex')
}

/** An event as a subscriber in this process gets it: the same keys in the same order as one that was read. */
export function asRecorded(event: NewEvent, revision: number, position: number): RecordedEvent {
  const { stream, id, type, at, data, body } = event
  const metadata = hasAny(event.metadata) ? event.metadata : undefined
  return { stream, id, type, at, data, metadata, revision, position: toPosition(position), body }
}

function hasAny(metadata: Metadata | undefined): boolean {
  return metadata !== undefined && Object.keys(metadata).length > 0
}

const ESCAPE = '\u0010'

/** PostgreSQL's text has no NUL. Prefixes stay prefixes. */
export function toText(text: string): string {
  if (!text.includes('\0') && !text.includes(ESCAPE)) return text
  return text.replaceAll(ESCAPE, ESCAPE + ESCAPE).replaceAll('\0', `${ESCAPE}0`)
}

export function fromText(text: string): string {
  if (!text.includes(ESCAPE)) return text
  const parts = text.split(ESCAPE + ESCAPE)
  return parts.map((part) => part.replaceAll(`${ESCAPE}0`, '\0')).join(ESCAPE)
}

/** Events as lists, one for each column, as `write` and `append` take them. */
export class Columns {
  readonly lists: readonly List[] = COLUMN_TYPES.map((type) => new List(type))

  get length(): number {
    return this.lists[0]?.length ?? 0
  }

  /** Throws TypeError for facts that JSON cannot hold. `batch`: what is left out together. */
  add(event: NewEvent, revision: number, batch: number): void {
    const [batches, streams, revisions, types, ats, ids, datas, metadatas, seals, texts, bytes] = this.lists as Lists
    const { stream, type, at, id, data, metadata, body } = event
    batches.push(batch)
    streams.push(toText(stream))
    revisions.push(revision)
    types.push(toText(type))
    ats.push(at)
    ids.push(toText(id))
    datas.push(JSON.stringify(data))
    metadatas.push(hasAny(metadata) ? JSON.stringify(metadata) : null)
    if (body === undefined) seals.push(null)
    else seals.pushBytes('hash' in body ? body.hash : body.salt)
    const content = body === undefined || 'hash' in body ? undefined : body.content
    const isText = typeof content === 'string'
    const isWhole = isText && !content.includes('\0')
    texts.push(isWhole ? content : isText ? '' : null)
    if (isWhole || content === undefined) bytes.push(null)
    else bytes.pushBytes(isText ? Buffer.from(content) : content)
  }
}

type Lists = readonly [List, List, List, List, List, List, List, List, List, List, List]
