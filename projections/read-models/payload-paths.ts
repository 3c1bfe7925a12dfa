import type { RecordedEvent } from '../../domain/event.js'
import type { Queued, Rescheduled } from '../../domain/job/events.js'
import type { PathValue } from './tables.js'

/** Longer texts are not kept, and so not found. */
const VALUE_LENGTH = 200

/** Paths by job type, as `defineJob({ search })` declares them: keys joined by dots. */
export type SearchPaths = ReadonlyMap<string, readonly string[]>

/**
 * What a payload that comes with an event says at the paths of its type; undefined where no payload comes with it, or its type
 * declares none. Texts, numbers and booleans only, each as text.
 */
export function pathValuesOf(event: RecordedEvent, type: string, search: SearchPaths): PathValue[] | undefined {
  const paths = search.get(type)
  if (paths === undefined || !bringsPayload(event)) return undefined
  const payload = payloadOf(event)
  return paths.flatMap((path) => {
    const value = textAt(payload, path)
    return value === undefined ? [] : [{ path, value }]
  })
}

function bringsPayload({ type, data }: RecordedEvent): boolean {
  return type === 'Queued' || (type === 'Rescheduled' && (data as Rescheduled).payload === true)
}

/** Of a job that an event has made the body holds the event, too. */
function payloadOf({ type, data, body }: RecordedEvent): unknown {
  if (body === undefined || !('content' in body) || typeof body.content !== 'string') return undefined
  const stored = parsed(body.content)
  const isEnvelope = type === 'Queued' && (data as Queued).trigger?.event === true
  return isEnvelope && typeof stored === 'object' && stored !== null
    ? (stored as { payload?: unknown }).payload
    : stored
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function textAt(payload: unknown, path: string): string | undefined {
  let at: unknown = payload
  for (const key of path.split('.')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as Record<string, unknown>)[key]
  }
  if (typeof at !== 'string' && typeof at !== 'number' && typeof at !== 'boolean') return undefined
  const text = String(at)
  return text.length <= VALUE_LENGTH ? text : undefined
}
