import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvalidOption, show } from '../../domain/errors.js'

class Odd {
  toString(): string {
    throw new Error('no')
  }
}

describe('a received value in a message', () => {
  test.each<[unknown, string]>([
    ['text', '"text"'],
    ['', '""'],
    ['line\nbreak', '"line\\nbreak"'],
    [1.5, '1.5'],
    [Number.NaN, 'NaN'],
    [10n, '10n'],
    [undefined, 'undefined'],
    [null, 'null'],
    [true, 'true'],
    [Symbol('s'), 'Symbol(s)'],
    [[1, 2, 3], 'an array of 3'],
    [{ a: 1, b: 2 }, 'an object (a, b)'],
    [{ a: 1, b: 2, c: 3, d: 4, e: 5, f: 6 }, 'an object (a, b, c, d, e)'],
    [() => {}, 'a function'],
    [function named() {}, 'function named'],
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [new Date(Number.NaN), 'an invalid Date'],
    [new Odd(), 'an object of Odd'],
    [Object.create(null), 'an empty object'],
  ])('%# is short and plain', (value, shown) => {
    expect(show(value)).toBe(shown)
  })

  test('never makes the message fail, and never the whole of a large value', () => {
    fc.assert(
      fc.property(fc.oneof(hostile, anything), (make) => {
        expect(show(make()).length).toBeLessThanOrEqual(120)
      }),
      { numRuns: 500 },
    )
  })

  test('stands in the message of the error, with what was expected', () => {
    const error = new InvalidOption('enqueue.priority', 'an integer (lower first)', '3')
    expect(error.message).toBe('Expected `enqueue.priority` to be an integer (lower first), got "3".')
    expect(error).toMatchObject({ name: 'InvalidOption', code: 'INVALID_OPTION', family: 'option', received: '"3"' })
  })
})

const anything = fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true }).map((value) => () => value)

const boobyTrap = (): never => {
  throw new Error('trap')
}
/** Made on the spot: fast-check looks at values too, and would step into the traps. */
const hostile = fc.constantFrom<() => unknown>(
  () => 'x'.repeat(10_000),
  () => '"'.repeat(10_000),
  () => 10n ** 5_000n,
  () => Symbol('s'.repeat(10_000)),
  () => Object.fromEntries([['k'.repeat(10_000), 1]]),
  () => Object.defineProperty(() => {}, 'name', { value: 'f'.repeat(10_000) }),
  () => Object.defineProperty(() => {}, 'name', { get: boobyTrap }),
  () => new Proxy({}, { ownKeys: boobyTrap, get: boobyTrap, getPrototypeOf: boobyTrap }),
  () => Object.assign(() => {}, { toString: boobyTrap }),
  revoked,
)

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
