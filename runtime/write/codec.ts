import type { Body, ErasedBody } from '../../domain/event.js'
import { InvalidPayload, show } from '../../domain/errors.js'

/** Bytes of JSON text, or of a binary payload, that one body may have unless the ledger is opened with another limit. */
export const DEFAULT_MAX_BODY = 1_048_576

const JSON_VALUE = 'JSON (null, boolean, finite number, string, array, plain object) or a Uint8Array'

/**
 * The stored form of a user's value: JSON text, or the bytes of a Uint8Array. `undefined` is stored as no body where
 * `optional` (a handler without a result). Throws InvalidPayload that names the path of what does not fit.
 */
export function encode(value: unknown, path: string, maxBytes: number, optional = false): string | Uint8Array | undefined {
  if (value === undefined && optional) return undefined
  if (value instanceof Uint8Array) return checkSize(value.slice(), value.length, path, maxBytes)
  const text = stringify(value, path)
  // A UTF-16 unit is at most 3 bytes of UTF-8: most texts need no second look.
  const bytes = text.length * 3 <= maxBytes ? 0 : new TextEncoder().encode(text).length
  return checkSize(text, bytes, path, maxBytes)
}

export function decode(body: Body | ErasedBody | undefined): unknown {
  if (body === undefined || !('content' in body)) return undefined
  return typeof body.content === 'string' ? JSON.parse(body.content) : body.content
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
  refuseLosses(value, path)
  return text
}

/** What JSON.stringify would drop or turn into something else without a word. An `undefined` property is simply absent. */
function refuseLosses(value: unknown, path: string): void {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'undefined':
      return
    case 'number':
      if (Number.isFinite(value)) return
      break
    case 'object':
      if (value === null) return
      if (Array.isArray(value)) return value.forEach((item, index) => refuseLosses(item ?? null, `${path}[${index}]`))
      if ('toJSON' in value) return
      if (value instanceof Map || value instanceof Set) break
      for (const key in value) refuseLosses((value as Record<string, unknown>)[key], `${path}.${key}`)
      return
  }
  throw new InvalidPayload(path, JSON_VALUE, value)
}
