import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Json } from '../../domain/event.js'
import { canonicalText, sameJson } from '../../domain/json.js'

const json = fc.jsonValue() as fc.Arbitrary<Json>

/** The same, written the other way round. */
function turned(value: Json): Json {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(turned)
  const entries = Object.entries(value).map(([key, each]) => [key, turned(each as Json)] as const)
  return Object.fromEntries(entries.reverse())
}

test('the order of keys says nothing: one text, and the same', () => {
  fc.assert(
    fc.property(json, (value) => {
      expect(sameJson(value, turned(value))).toBe(true)
      expect(canonicalText(turned(value))).toBe(canonicalText(value))
    }),
  )
})

test('the text is JSON of the value, so that others have others', () => {
  fc.assert(
    fc.property(json, (value) => {
      // -0 has no text.
      const plain = JSON.parse(JSON.stringify(value)) as Json
      expect(sameJson(JSON.parse(canonicalText(value)) as Json, plain)).toBe(true)
    }),
  )
  const unlike: readonly Json[] = [null, 0, '0', [], {}, [0], { 0: 0 }, { a: 1, b: 2 }, { a: 2, b: 1 }, '{"a":1,"b":2}']
  expect(new Set(unlike.map(canonicalText)).size).toBe(unlike.length)
})

test('keys are in order, at every depth', () => {
  const text = '{"__proto__":1,"a":{"b":1,"c":2},"b":[{"x":1,"y":2}]}'
  expect(canonicalText(JSON.parse('{"b":[{"y":2,"x":1}],"a":{"c":2,"b":1},"__proto__":1}') as Json)).toBe(text)
})
