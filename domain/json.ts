import type { Json } from './event.js'

/** The order of an object's keys says nothing. */
export function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const [these, those] = [a as Readonly<Record<string, Json>>, b as Readonly<Record<string, Json>>]
  const keys = Object.keys(these)
  return (
    keys.length === Object.keys(those).length &&
    keys.every((key) => Object.hasOwn(those, key) && sameJson(these[key], those[key]))
  )
}
