import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Backoff, BackoffOptions } from '../../domain/backoff.js'
import { backoffDelay, backoffPresets, DEFAULT_BACKOFF, expiresAt, toBackoff, tries } from '../../domain/backoff.js'
import { InvalidOption } from '../../domain/errors.js'

const draws = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const attempts = fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 1_000_000 }))
const fraction = fc.double({ min: 0, max: 1, noNaN: true })
const policy = (jitter: fc.Arbitrary<Backoff['jitter']>): fc.Arbitrary<Backoff> =>
  fc
    .record({
      min: fc.oneof(fc.nat(100_000), fc.nat(2e15)),
      spread: fc.oneof(fc.nat(10_000_000), fc.nat(2e15)),
      factor: fc.oneof(fc.double({ min: 1, max: 50, noNaN: true }), fc.constantFrom(1, 2, Number.MAX_VALUE)),
      jitter,
    })
    .map(({ min, spread, factor, jitter: chosen }) => ({ min, max: min + spread, factor, jitter: chosen }))
const full = policy(fc.constant('full'))
const fromMin = policy(fc.constant('min'))
const none = policy(fc.constant(0))
const bare = (backoff: Backoff): Backoff => ({ ...backoff, jitter: 0 })

describe('the delay after a failed attempt', () => {
  test('by default doubles from 1 s up to 1 h', () => {
    const delays = [1, 2, 3, 4, 12, 13, 20].map((attempt) => backoffDelay(bare(DEFAULT_BACKOFF), attempt, 0.5))
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 2_048_000, 3_600_000, 3_600_000])
  })

  test('by default takes about 10 hours over 20 attempts', () => {
    const waits = Array.from({ length: 19 }, (_, index) => backoffDelay(bare(DEFAULT_BACKOFF), index + 1, 0))
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

  test('without jitter never falls from attempt to attempt, and stays at max once it is there', () => {
    fc.assert(
      fc.property(none, attempts, draws, (backoff, attempt, draw) => {
        const delay = backoffDelay(backoff, attempt, draw)
        const next = backoffDelay(backoff, attempt + 1, draw)
        expect(next).toBeGreaterThanOrEqual(delay)
        if (delay === backoff.max) expect(next).toBe(backoff.max)
      }),
    )
  })

  test('with any jitter never falls either, as long as the draw is the same', () => {
    fc.assert(
      fc.property(fc.oneof(full, fromMin, policy(fraction)), attempts, draws, (backoff, attempt, draw) => {
        expect(backoffDelay(backoff, attempt + 1, draw)).toBeGreaterThanOrEqual(backoffDelay(backoff, attempt, draw))
      }),
    )
  })

  test('with full jitter is the drawn share of the bare delay, from 0 to max', () => {
    fc.assert(
      fc.property(full, attempts, draws, (backoff, attempt, draw) => {
        const delay = backoffDelay(backoff, attempt, draw)
        expect(delay).toBeGreaterThanOrEqual(0)
        expect(delay).toBeLessThanOrEqual(backoff.max)
        expect(Math.abs(delay - backoffDelay(bare(backoff), attempt, draw) * draw)).toBeLessThanOrEqual(1)
      }),
    )
  })

  test('with min jitter is as far from min to the bare delay as the draw says', () => {
    fc.assert(
      fc.property(fromMin, attempts, draws, (backoff, attempt, draw) => {
        const delay = backoffDelay(backoff, attempt, draw)
        const way = backoffDelay(bare(backoff), attempt, draw) - backoff.min
        expect(delay).toBeGreaterThanOrEqual(backoff.min)
        expect(delay).toBeLessThanOrEqual(backoff.max)
        expect(Math.abs(delay - (backoff.min + way * draw))).toBeLessThanOrEqual(1)
      }),
    )
  })

  test('with a fraction stays within that fraction of the bare delay', () => {
    fc.assert(
      fc.property(policy(fraction), attempts, draws, (backoff, attempt, draw) => {
        const middle = backoffDelay(bare(backoff), attempt, draw)
        // Both are rounded.
        const reach = (middle + 0.5) * (backoff.jitter as number) + 1
        expect(Math.abs(backoffDelay(backoff, attempt, draw) - middle)).toBeLessThanOrEqual(reach)
      }),
    )
  })

  test('with a fraction is spread on both sides of max once it is there', () => {
    const capped: Backoff = { min: 1_000, max: 1_000, factor: 2, jitter: 0.2 }
    expect([0, 0.5, 0.999].map((draw) => backoffDelay(capped, 9, draw))).toEqual([800, 1_000, 1_200])
  })

  test('is always whole milliseconds from 0 to max, or as far beyond as the fraction goes', () => {
    fc.assert(
      fc.property(fc.oneof(full, fromMin, none, policy(fraction)), attempts, draws, (backoff, attempt, draw) => {
        const { jitter, max } = backoff
        const delay = backoffDelay(backoff, attempt, draw)
        expect(Number.isSafeInteger(delay)).toBe(true)
        expect(delay).toBeGreaterThanOrEqual(0)
        expect(delay).toBeLessThanOrEqual(typeof jitter === 'number' ? Math.ceil(max * (1 + jitter)) : max)
      }),
      { numRuns: 1_000 },
    )
  })

  test('leads to an instant that is a date, also where a policy was recorded before there was a longest delay', () => {
    const endless: Backoff = { min: 1, max: Number.MAX_VALUE, factor: 10, jitter: 1 }
    const runAt = Date.UTC(2100, 0, 1) + backoffDelay(endless, 1_000_000, 0.999_999)
    expect(new Date(runAt).getTime()).toBe(runAt)
  })
})

/** What each system waits (ms) before it runs a job again that has failed so many times; `draw` is its random number. */
const THEIRS: Readonly<Record<keyof typeof backoffPresets, (failures: number, draw: number) => number>> = {
  // gRPC's loop, which gue calls with the error count after the error.
  gue(failures, draw) {
    let delay = 1_000
    for (let left = failures; delay < 3_600_000 && left > 0; left -= 1) delay *= 1.6
    return Math.min(delay, 3_600_000) * (1 + 0.2 * (draw * 2 - 1))
  },
  // `RetryDelay << (k - 2)` before run k, and a random part of up to a tenth either way.
  cozy(failures, draw) {
    const k = failures + 1
    const delay = 60 * 2 ** (k - 2)
    return delay - delay * 0.1 + draw * 2 * (delay * 0.1)
  },
  boltqueue: (failures) => Math.min(10_000, 100 * 2 ** (failures - 1)),
  immediate: () => 0,
}

describe('a preset', () => {
  test.each(Object.keys(THEIRS) as (keyof typeof THEIRS)[])('%s waits as its system does', (name) => {
    const backoff = toBackoff(backoffPresets[name], name)
    for (let failures = 1; failures <= 40; failures += 1) {
      for (const draw of [0, 0.5, 0.999]) {
        const delay = backoffDelay(backoff, failures, draw)
        // Ours are whole milliseconds, and two ways to compute a power differ in its last bits.
        const theirs = THEIRS[name](failures, draw)
        expect(Math.abs(delay - theirs)).toBeLessThanOrEqual(0.5 + theirs * 1e-12)
      }
    }
  })

  test('for boltqueue and at once is equal to the millisecond', () => {
    for (const name of ['boltqueue', 'immediate'] as const) {
      const backoff = toBackoff(backoffPresets[name], name)
      for (let failures = 1; failures <= 40; failures += 1)
        expect(backoffDelay(backoff, failures, 0.5)).toBe(THEIRS[name](failures, 0.5))
    }
  })

  test('for gue begins at 1.6 s and is spread around the hour in the end', () => {
    const backoff = toBackoff(backoffPresets.gue, 'gue')
    const at = (draw: number): number[] => [1, 2, 17, 18, 40].map((failures) => backoffDelay(backoff, failures, draw))
    expect(at(0.5)).toEqual([1_600, 2_560, 2_951_479, 3_600_000, 3_600_000])
    expect([backoffDelay(backoff, 40, 0), backoffDelay(backoff, 40, 0.999)]).toEqual([2_880_000, 4_318_560])
  })

  test('cannot be changed, says all there is to the delay, and nothing of limit and expiration', () => {
    expect(Object.isFrozen(backoffPresets)).toBe(true)
    const base: Backoff = { ...DEFAULT_BACKOFF, limit: 3, expiration: 5_000 }
    for (const preset of Object.values(backoffPresets)) {
      expect(Object.isFrozen(preset)).toBe(true)
      expect(Object.keys(preset)).toEqual(['min', 'max', 'factor', 'jitter'])
      expect(toBackoff(preset, 'backoff', base)).toMatchObject({ limit: 3, expiration: 5_000 })
    }
  })
})

describe('limit and expiration', () => {
  test.each<[number | undefined, number | null, number | null]>([
    [undefined, null, null],
    [undefined, 20, 20],
    [3, null, 3],
    [3, 20, 3],
    [20, 3, 3],
  ])('of a limit %s and maxAttempts %s, the smaller counts: %s', (limit, maxAttempts, expected) => {
    expect(tries({ ...DEFAULT_BACKOFF, ...(limit !== undefined && { limit }) }, maxAttempts)).toBe(expected)
  })

  test('the time for retries begins with the first run', () => {
    expect(expiresAt({ ...DEFAULT_BACKOFF, expiration: 60_000 }, 1_000)).toBe(61_000)
    expect(expiresAt(DEFAULT_BACKOFF, 1_000)).toBe(Number.POSITIVE_INFINITY)
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
    [{ jitter: 'min' }, { ...base, jitter: 'min' }],
    [{ jitter: 0 }, { ...base, jitter: 0 }],
    [{ limit: 1 }, { ...base, limit: 1 }],
    [{ limit: null, expiration: null }, base],
    [{ expiration: '1h30m' }, { ...base, expiration: 5_400_000 }],
    [
      { min: 0, max: 0 },
      { ...base, min: 0, max: 0 },
    ],
  ])('%j is completed from the defaults', (given, expected) => {
    expect(toBackoff(given, 'backoff', base)).toStrictEqual(expected)
  })

  test('limit and expiration come from the default too, and null takes them away', () => {
    const limited: Backoff = { ...base, limit: 5, expiration: 1_000 }
    expect(toBackoff({ factor: 2 }, 'backoff', limited)).toStrictEqual({ ...limited, factor: 2 })
    expect(toBackoff({ limit: null }, 'backoff', limited)).toStrictEqual({ ...base, expiration: 1_000 })
    expect(toBackoff({ expiration: null }, 'backoff', limited)).toStrictEqual({ ...base, limit: 5 })
  })

  test('a policy without them is recorded with the four fields it always had', () => {
    const four = ['min', 'max', 'factor', 'jitter']
    expect(Object.keys(DEFAULT_BACKOFF)).toEqual(four)
    const given = { min: '2s', limit: null, expiration: undefined } as unknown as BackoffOptions
    expect(Object.keys(toBackoff(given, 'backoff'))).toEqual(four)
    expect(JSON.stringify(toBackoff({}, 'backoff'))).toBe(JSON.stringify(DEFAULT_BACKOFF))
  })

  test('whatever is accepted can be recorded, read back and given again', () => {
    fc.assert(
      fc.property(options, (given) => {
        const backoff = toBackoff(given, 'backoff')
        expect(JSON.parse(JSON.stringify(backoff))).toStrictEqual(backoff)
        expect(toBackoff(backoff, 'backoff')).toStrictEqual(backoff)
      }),
    )
  })

  test.each<[unknown, string]>([
    [null, 'backoff'],
    ['1s', 'backoff'],
    [[], 'backoff'],
    [{ min: '-1s' }, 'backoff.min'],
    [{ max: 'soon' }, 'backoff.max'],
    [{ min: '2s', max: '1s' }, 'backoff.max'],
    [{ factor: 0.5 }, 'backoff.factor'],
    [{ factor: Number.POSITIVE_INFINITY }, 'backoff.factor'],
    [{ jitter: 1.5 }, 'backoff.jitter'],
    [{ jitter: -0.1 }, 'backoff.jitter'],
    [{ jitter: Number.NaN }, 'backoff.jitter'],
    [{ jitter: 'some' }, 'backoff.jitter'],
    [{ min: null }, 'backoff.min'],
    [{ min: 5e15 }, 'backoff.min'],
    [{ max: Number.MAX_VALUE }, 'backoff.max'],
    [{ factor: null }, 'backoff.factor'],
    [{ factor: '2' }, 'backoff.factor'],
    [{ jitter: null }, 'backoff.jitter'],
    [{ limit: 0 }, 'backoff.limit'],
    [{ limit: 1.5 }, 'backoff.limit'],
    [{ limit: '3' }, 'backoff.limit'],
    [{ limit: Number.POSITIVE_INFINITY }, 'backoff.limit'],
    [{ expiration: 0 }, 'backoff.expiration'],
    [{ expiration: 0.4 }, 'backoff.expiration'],
    [{ expiration: 'never' }, 'backoff.expiration'],
    [{ expiration: 5e15 }, 'backoff.expiration'],
    [{ minimum: '1s' }, 'backoff.minimum'],
    [{ min: 'x', expirationMs: 5 }, 'backoff.expirationMs'],
    [JSON.parse('{ "__proto__": 1 }'), 'backoff.__proto__'],
  ])('%j is refused and named', (given, option) => {
    const error = caught(() => toBackoff(given as BackoffOptions, 'backoff', base))
    expect(error).toBeInstanceOf(InvalidOption)
    expect((error as InvalidOption).option).toBe(option)
  })
})

const milliseconds = fc.nat(1_000_000)
const options: fc.Arbitrary<BackoffOptions> = fc.record(
  {
    min: milliseconds,
    max: milliseconds.map((ms) => ms + 1_000_000),
    factor: fc.double({ min: 1, max: 9, noNaN: true }),
    // JSON knows no negative zero.
    jitter: fc.oneof(fc.constantFrom('full' as const, 'min' as const, 'none' as const), fraction.map(Math.abs)),
    limit: fc.option(fc.integer({ min: 1 })),
    expiration: fc.option(fc.integer({ min: 1 })),
  },
  { requiredKeys: [] },
)

function caught(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  return undefined
}
