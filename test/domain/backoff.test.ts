import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Backoff, BackoffOptions } from '../../domain/backoff.js'
import { backoffDelay, DEFAULT_BACKOFF, toBackoff } from '../../domain/backoff.js'
import { InvalidOption } from '../../domain/errors.js'

const draws = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const attempts = fc.integer({ min: 1, max: 2_000 })
const fraction = fc.double({ min: 0, max: 1, noNaN: true })
const policy = (jitter: fc.Arbitrary<Backoff['jitter']>): fc.Arbitrary<Backoff> =>
  fc
    .record({
      min: fc.nat(100_000),
      spread: fc.nat(10_000_000),
      factor: fc.double({ min: 1, max: 50, noNaN: true }),
      jitter,
    })
    .map(({ min, spread, factor, jitter: chosen }) => ({ min, max: min + spread, factor, jitter: chosen }))
const full = policy(fc.constant('full'))
const none = policy(fc.constant(0))

describe('the delay after a failed attempt', () => {
  test('by default doubles from 1 s up to 1 h', () => {
    const bare = { ...DEFAULT_BACKOFF, jitter: 0 }
    const delays = [1, 2, 3, 4, 12, 13, 20].map((attempt) => backoffDelay(bare, attempt, 0.5))
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 2_048_000, 3_600_000, 3_600_000])
  })

  test('by default takes about 10 hours over 20 attempts', () => {
    const waits = Array.from({ length: 19 }, (_, index) =>
      backoffDelay({ ...DEFAULT_BACKOFF, jitter: 0 }, index + 1, 0),
    )
    const mean = waits.reduce((sum, wait) => sum + wait, 0) / 2
    expect(mean / 3_600_000).toBeCloseTo(4.07, 1)
  })

  test('without jitter is min x factor^(attempt - 1), at most max', () => {
    fc.assert(
      fc.property(none, attempts, draws, (backoff, attempt, draw) => {
        const { min, max, factor } = backoff
        const grown = min === 0 ? 0 : min * factor ** (attempt - 1)
        expect(backoffDelay(backoff, attempt, draw)).toBe(Math.round(Math.min(max, grown)))
      }),
    )
  })

  test('without jitter never falls from attempt to attempt', () => {
    fc.assert(
      fc.property(none, attempts, draws, (backoff, attempt, draw) => {
        expect(backoffDelay(backoff, attempt + 1, draw)).toBeGreaterThanOrEqual(backoffDelay(backoff, attempt, draw))
      }),
    )
  })

  test('with full jitter is the drawn share of the bare delay, from 0 to max', () => {
    fc.assert(
      fc.property(full, attempts, draws, (backoff, attempt, draw) => {
        const delay = backoffDelay(backoff, attempt, draw)
        const bare = backoffDelay({ ...backoff, jitter: 0 }, attempt, draw)
        expect(delay).toBeGreaterThanOrEqual(0)
        expect(delay).toBeLessThanOrEqual(backoff.max)
        expect(Math.abs(delay - bare * draw)).toBeLessThanOrEqual(1)
      }),
    )
  })

  test('with a fraction stays within that fraction of the bare delay', () => {
    fc.assert(
      fc.property(policy(fraction), attempts, draws, (backoff, attempt, draw) => {
        const bare = backoffDelay({ ...backoff, jitter: 0 }, attempt, draw)
        const reach = bare * (backoff.jitter as number) + 1
        expect(Math.abs(backoffDelay(backoff, attempt, draw) - bare)).toBeLessThanOrEqual(reach)
      }),
    )
  })

  test('is always whole milliseconds within [0, max]', () => {
    fc.assert(
      fc.property(fc.oneof(full, none, policy(fraction)), attempts, draws, (backoff, attempt, draw) => {
        const delay = backoffDelay(backoff, attempt, draw)
        expect(Number.isSafeInteger(delay)).toBe(true)
        expect(delay).toBeGreaterThanOrEqual(0)
        expect(delay).toBeLessThanOrEqual(backoff.max)
      }),
    )
  })
})

describe('backoff options', () => {
  const base: Backoff = { min: 5, max: 500, factor: 3, jitter: 0.5 }

  test.each<[BackoffOptions | undefined, Backoff]>([
    [undefined, base],
    [{}, base],
    [{ min: '1s' }, { ...base, min: 1_000, max: 1_000 }],
    [
      { max: '1m', factor: 2 },
      { ...base, max: 60_000, factor: 2 },
    ],
    [{ jitter: 'none' }, { ...base, jitter: 0 }],
    [{ jitter: 'full' }, { ...base, jitter: 'full' }],
    [{ jitter: 0 }, { ...base, jitter: 0 }],
    [
      { min: 0, max: 0 },
      { ...base, min: 0, max: 0 },
    ],
  ])('%j is completed from the defaults', (given, expected) => {
    expect(toBackoff(given, 'backoff', base)).toEqual(expected)
  })

  test.each<[unknown, string]>([
    [null, 'backoff'],
    ['1s', 'backoff'],
    [{ min: '-1s' }, 'backoff.min'],
    [{ max: 'soon' }, 'backoff.max'],
    [{ min: '2s', max: '1s' }, 'backoff.max'],
    [{ factor: 0.5 }, 'backoff.factor'],
    [{ factor: Number.POSITIVE_INFINITY }, 'backoff.factor'],
    [{ jitter: 1.5 }, 'backoff.jitter'],
    [{ jitter: -0.1 }, 'backoff.jitter'],
    [{ jitter: Number.NaN }, 'backoff.jitter'],
    [{ jitter: 'some' }, 'backoff.jitter'],
  ])('%j is refused and named', (given, option) => {
    const error = caught(() => toBackoff(given as BackoffOptions, 'backoff', base))
    expect(error).toBeInstanceOf(InvalidOption)
    expect((error as InvalidOption).option).toBe(option)
  })
})

function caught(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  return undefined
}
