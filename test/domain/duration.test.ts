import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatMs, toMs } from '../../domain/duration.js'
import { InvalidOption } from '../../domain/errors.js'

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

describe('a duration', () => {
  test.each([
    [0, 0],
    [1_500, 1_500],
    [0.4, 0],
    ['250ms', 250],
    ['30s', 30_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['2d', 172_800_000],
    ['1w', 604_800_000],
    ['0s', 0],
    ['1m1s1ms', 61_001],
  ])('%j is %d ms', (given, ms) => {
    expect(toMs(given, 'x')).toBe(ms)
  })

  test.each([
    '',
    ' 1s',
    '1s ',
    '1 s',
    '-1s',
    '+1s',
    '1',
    's',
    '1S',
    '1sec',
    '.5s',
    '1.s',
    '1e3s',
    '1s,2m',
    `${'9'.repeat(400)}w`,
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    null,
    undefined,
    true,
    [30],
    { ms: 1 },
    10n,
  ])('%o is none, and the error names the option', (given) => {
    const parse = (): number => toMs(given as string, 'enqueue.delay')
    expect(parse).toThrow(InvalidOption)
    expect(parse).toThrow(/^Expected `enqueue\.delay` to be a duration/)
  })

  test('of several units is their sum', () => {
    const part = fc.tuple(fc.nat(10_000), fc.constantFrom(...(Object.keys(UNITS) as (keyof typeof UNITS)[])))
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
        const text = parts.map(([amount, unit]) => `${amount}${unit}`).join('')
        expect(toMs(text, 'x')).toBe(parts.reduce((sum, [amount, unit]) => sum + amount * UNITS[unit], 0))
      }),
    )
  })

  test('is whole milliseconds, whatever the text', () => {
    const text = fc.tuple(fc.double({ min: 0, max: 1e6, noNaN: true }), fc.constantFrom('ms', 's', 'm', 'h'))
    fc.assert(
      fc.property(text, ([amount, unit]) => {
        const ms = toMs(`${amount.toFixed(3)}${unit}`, 'x')
        expect(Number.isSafeInteger(ms) && ms >= 0).toBe(true)
      }),
    )
  })
})

describe('a duration in words', () => {
  test.each([
    [0, '0ms'],
    [350, '350ms'],
    [1_000, '1s'],
    [1_250, '1.3s'],
    [12_000, '12s'],
    [61_000, '1m 1s'],
    [5_400_000, '1h 30m'],
    [3_600_000, '1h'],
    [90_061_000, '1d 1h'],
  ])('%d ms is %s', (ms, words) => {
    expect(formatMs(ms)).toBe(words)
  })

  test('is short, and never empty', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e12, noNaN: true }), (ms) => {
        expect(formatMs(ms)).toMatch(/^\S+( \S+)?$/)
      }),
    )
  })
})
