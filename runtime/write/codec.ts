import { InvalidPayload, show } from '../../domain/errors.js'
import type { Body, ErasedBody, Json } from '../../domain/event.js'
import type { RareFacts } from '../../domain/job/rare.js'
import { sameJson } from '../../domain/json.js'

/** Bytes of JSON text, or of a binary payload, that one body may have unless the ledger is opened with another limit. */
export const DEFAULT_MAX_BODY = 1_048_576

const JSON_VALUE = 'JSON (null, boolean, finite number, string, array, plain object) or a Uint8Array'

/**
 * The stored form of a user's value: JSON text, or the bytes of a Uint8Array. `undefined` is stored as no body where
 * `optional` (a handler without a result). Throws InvalidPayload that names the path of what does not fit.
 */
export function encode(
  value: unknown,
  path: string,
  maxBytes: number,
  optional = false,
): string | Uint8Array | undefined {
  if (value === undefined && optional) return undefined
  if (value instanceof Uint8Array) return checkSize(value.slice(), value.length, path, maxBytes)
  return checkText(stringify(value, path), path, maxBytes)
}

/** The stored form of a job's body that holds, beside its payload (in stored form), the document of an event. Throws InvalidPayload. */
export function encloseEvent(
  payload: string | Uint8Array | undefined,
  event: Json,
  path: string,
  maxBytes: number,
): string {
  if (payload instanceof Uint8Array) throw new InvalidPayload(path, 'JSON where a document goes with it', payload)
  const document = stringify(event, path)
  const text = payload === undefined ? `{"event":${document}}` : `{"payload":${payload},"event":${document}}`
  return checkText(text, path, maxBytes)
}

/** What the body of a job holds: its payload, and the document that `encloseEvent` has put beside it. */
export function unpack(
  stored: unknown,
  rare: Pick<RareFacts, 'trigger' | 'payloadAt'> | undefined,
): { readonly payload?: unknown; readonly event?: unknown } {
  // A payload that took the place of the first is alone.
  const isEnvelope = rare?.trigger?.event && rare.payloadAt === undefined
  return isEnvelope && typeof stored === 'object' && stored !== null ? stored : { payload: stored }
}

export function decode(body: Body | ErasedBody | undefined): unknown {
  if (body === undefined || !('content' in body)) return undefined
  return typeof body.content === 'string' ? JSON.parse(body.content) : plain(body.content)
}

/** For whoever looks on: a text that is no JSON, though it should be, is shown as it is stored. */
export function reveal(body: Body | ErasedBody | undefined): unknown {
  try {
    return decode(body)
  } catch {
    return (body as Body).content
  }
}

/** Message of a recorded failure; '' once it was erased. */
export function messageOf(body: Body | ErasedBody | undefined): string {
  return (reveal(body) as { message?: string } | null | undefined)?.message ?? ''
}

/** Some stores give a Buffer, whose `slice` shares its memory: what is given out is the same on every store. */
const plain = (bytes: Uint8Array): Uint8Array =>
  bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** A UTF-16 unit is at most 3 bytes of UTF-8: most texts need no second look. */
function checkText(text: string, path: string, maxBytes: number): string {
  const bytes = text.length * 3 <= maxBytes ? 0 : new TextEncoder().encode(text).length
  return checkSize(text, bytes, path, maxBytes)
}

function checkSize<C>(content: C, bytes: number, path: string, maxBytes: number): C {
  if (bytes <= maxBytes) return content
  throw new InvalidPayload(path, `at most ${maxBytes} bytes`, `${bytes} bytes`)
}

function stringify(value: unknown, path: string): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (error) {
    throw new InvalidPayload(path, JSON_VALUE, `${show(value)}: ${(error as Error).message.split('\n')[0]}`)
  }
  if (text === undefined) throw new InvalidPayload(path, JSON_VALUE, value)
  const loss = lossIn(value)
  if (loss !== undefined) throw new InvalidPayload(path + loss.path, JSON_VALUE, loss.value)
  return text
}

interface Loss {
  /** From the value looked at: `.items[3].callback`. */
  readonly path: string
  readonly value: unknown
}

/**
 * The first thing that JSON.stringify would drop, or turn into something else, without a word. An `undefined` property is
 * simply absent. The path is put together only where there is something to tell. Does not meet cycles: stringify has.
 */
function lossIn(value: unknown): Loss | undefined {
  if (typeof value !== 'object') return isLost(value) ? { path: '', value } : undefined
  if (value === null) return undefined
  if (isHollow(value)) return { path: '', value }
  if ('toJSON' in value) return undefined
  return Array.isArray(value) ? lossInItems(value) : lossInFields(value as Record<string, unknown>)
}

const isLost = (value: unknown): boolean =>
  typeof value === 'function' || typeof value === 'symbol' || (typeof value === 'number' && !Number.isFinite(value))

/** What has its content elsewhere than in its fields, or none. */
const isHollow = (value: object): boolean =>
  value instanceof Date
    ? Number.isNaN(value.getTime())
    : value instanceof Map ||
      value instanceof Set ||
      value instanceof Promise ||
      value instanceof ArrayBuffer ||
      (ArrayBuffer.isView(value) && !('toJSON' in value))

function lossInFields(fields: Readonly<Record<string, unknown>>): Loss | undefined {
  for (const key in fields) {
    const loss = lossIn(fields[key])
    if (loss !== undefined) return { path: `.${key}${loss.path}`, value: loss.value }
  }
  return undefined
}

function lossInItems(items: readonly unknown[]): Loss | undefined {
  for (let index = 0; index < items.length; index += 1) {
    // A hole or an undefined item would come back as null.
    const loss = items[index] === undefined ? { path: '', value: undefined } : lossIn(items[index])
    if (loss !== undefined) return { path: `[${index}]${loss.path}`, value: loss.value }
  }
  return undefined
}

/** Of two stored forms. */
export function sameContent(a: string | Uint8Array | undefined, b: string | Uint8Array | undefined): boolean {
  if (typeof a !== 'object' || typeof b !== 'object') return a === b
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}

/** As `sameContent`, but for the order of keys. */
export function samePayload(a: string | Uint8Array | undefined, b: string | Uint8Array | undefined): boolean {
  if (typeof a !== 'string' || typeof b !== 'string') return sameContent(a, b)
  return a === b || sameJson(JSON.parse(a) as Json, JSON.parse(b) as Json)
}
