/** Rows of `events` to recorded events. This is the inner loop of every replay. */
import type { Body, ErasedBody, EventTexts, Metadata, RecordedEvent } from '../../domain/event.js'
import { toPosition } from '../shared/positions.js'

/** Narrow columns; the wide ones are these and `e.seal, e.body`. Only a stream's first event carries the name. */
export const NARROW = 'e.position, coalesce(e.name, s.name), e.revision, e.type, e.at, e.id, e.data, e.metadata'
export const WIDE: string = `${NARROW}, e.seal, e.body`
export const NAMED_EVENTS =
  'jobledger_events e LEFT JOIN jobledger_events s ON e.revision > 0 AND s.position = e.stream'

export type EventRow = readonly [
  position: number,
  stream: string,
  revision: number,
  type: string,
  at: number,
  id: string,
  data: string,
  metadata: string | null,
  seal?: Uint8Array | null,
  body?: string | Uint8Array | null,
]

/** Told of a record that cannot be read; it is skipped, so that one bad record does not stop everything. */
export type OnUnreadable = (position: string, error: Error) => void

/** `stream`: the name, when all rows are of one stream and do not bring it. */
export function toEvents(rows: readonly EventRow[], onUnreadable: OnUnreadable, stream?: string): RecordedEvent[] {
  const events: RecordedEvent[] = []
  for (const row of rows) {
    try {
      events.push(toEvent(row, stream))
    } catch (error) {
      onUnreadable(toPosition(row[0]), error instanceof Error ? error : new Error(String(error)))
    }
  }
  return events
}

/** All events have the same keys in the same order: readers stay fast. */
function toEvent(row: EventRow, stream: string = row[1]): RecordedEvent {
  const metadata = row[7]
  return {
    stream,
    id: row[5],
    type: row[3],
    at: row[4],
    data: JSON.parse(row[6]) as object,
    metadata: metadata === null ? undefined : (JSON.parse(metadata) as Metadata),
    revision: row[2],
    position: toPosition(row[0]),
    body: toBody(row[8], row[9]),
  }
}

export function toTexts(rows: readonly EventRow[], stream?: string): EventTexts[] {
  return rows.map((row) => ({
    // Without a name where somebody has taken the stream's first event out by hand.
    stream: stream ?? row[1] ?? '',
    id: row[5],
    type: row[3],
    at: row[4],
    data: row[6],
    metadata: row[7] ?? undefined,
    revision: row[2],
    position: toPosition(row[0]),
    body: toBody(row[8], row[9]),
  }))
}

/** A seal beside a body is its salt; alone it is the hash of what was erased. */
function toBody(
  seal: Uint8Array | null | undefined,
  content: string | Uint8Array | null | undefined,
): Body | ErasedBody | undefined {
  if (seal === null || seal === undefined) return undefined
  return content === null || content === undefined ? { hash: seal } : { salt: seal, content }
}
