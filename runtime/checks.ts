/** What callers may give, checked. Each throws InvalidOption that names `option`, what was expected and what came. */
import type { Duration } from '../domain/duration.js'
import { toMs } from '../domain/duration.js'
import { InvalidOption } from '../domain/errors.js'

/** A plain one: no array, not null. */
export function checkObject(given: unknown, path: string): asserts given is object {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new InvalidOption(path, 'an object', given)
  }
}

/** An object without keys that nobody reads: a misspelt option must not be taken for its default. */
export function checkKeys(given: unknown, known: ReadonlySet<string>, path: string): void {
  checkObject(given, path)
  for (const key in given) {
    if (!known.has(key)) throw new InvalidOption(`${path}.${key}`, `one of ${[...known].join(', ')}`, key)
  }
}

/** Stored as UTF-8, two names with different halves of a character would become one. */
const HALF_CHARACTER = /\p{Surrogate}/u

/** 1 to 200 characters. */
export function toName(value: unknown, option: string): string {
  if (typeof value === 'string' && value.length > 0 && value.length <= 200 && !HALF_CHARACTER.test(value)) return value
  throw new InvalidOption(option, 'a text of 1 to 200 characters of well-formed Unicode', value)
}

/** '' is a real name. */
export function toLabel(value: unknown, option: string): string {
  if (typeof value === 'string' && value.length <= 200 && !HALF_CHARACTER.test(value)) return value
  throw new InvalidOption(option, 'a text of at most 200 characters of well-formed Unicode', value)
}

export function toFlag(value: unknown, option: string): boolean {
  if (typeof value === 'boolean') return value
  throw new InvalidOption(option, 'true or false', value)
}

/** undefined stays undefined. */
export function toSignal(value: unknown, option: string): AbortSignal | undefined {
  const signal = value as AbortSignal | null | undefined
  if (signal === undefined || typeof signal?.throwIfAborted === 'function') return signal
  throw new InvalidOption(option, 'an AbortSignal', value)
}

export function toText(value: unknown, option: string): string {
  if (typeof value === 'string') return value
  throw new InvalidOption(option, 'a text', value)
}

/** One text or several; undefined stays undefined. */
export function toTexts(value: unknown, option: string): string[] | undefined {
  if (value === undefined) return undefined
  const texts = [value].flat() as unknown[]
  if (texts.every((text) => typeof text === 'string')) return texts as string[]
  throw new InvalidOption(option, 'a text or an array of texts', value)
}

export function toCount(value: unknown, option: string, min: number, max: number = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return value as number
  const range = max === Number.MAX_SAFE_INTEGER ? `>= ${min}` : `from ${min} to ${max}`
  throw new InvalidOption(option, `an integer ${range}`, value)
}

/** Names for common priorities; lower goes first. */
export type PriorityName = 'critical' | 'high' | 'medium' | 'low'
const PRIORITIES: Readonly<Record<PriorityName, number>> = { critical: -2, high: -1, medium: 0, low: 1 }
export type Priority = number | PriorityName

export function toPriority(value: unknown, option: string): number {
  if (Number.isSafeInteger(value)) return value as number
  if (typeof value === 'string' && Object.hasOwn(PRIORITIES, value)) return PRIORITIES[value as PriorityName]
  throw new InvalidOption(option, `an integer (lower first) or one of ${Object.keys(PRIORITIES).join(', ')}`, value)
}

export function toMaxAttempts(value: unknown, option: string): number | null {
  if (value === null || (Number.isSafeInteger(value) && (value as number) >= 1)) return value as number | null
  throw new InvalidOption(option, 'an integer >= 1, or null for unlimited', value)
}

export function toTimeout(value: Duration | null, option: string): number | null {
  if (value === null) return null
  const ms = toMs(value, option)
  if (ms > 0) return ms
  throw new InvalidOption(option, 'a duration above 0, or null for none', value)
}
