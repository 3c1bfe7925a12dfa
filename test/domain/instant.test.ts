import { describe, expect, test } from 'vitest'
import { InvalidOption } from '../../domain/errors.js'
import type { Instant } from '../../domain/instant.js'
import { LAST_INSTANT, toInstant } from '../../domain/instant.js'

describe('an instant', () => {
  test.each<[Instant, number]>([
    [0, 0],
    [1.4, 1],
    [LAST_INSTANT, LAST_INSTANT],
    [new Date(5), 5],
    ['2026-12-24T18:00:00Z', Date.UTC(2026, 11, 24, 18)],
    ['2026-12-24T18:00Z', Date.UTC(2026, 11, 24, 18)],
    ['2026-12-24T18:00:00.250+01:00', Date.UTC(2026, 11, 24, 17, 0, 0, 250)],
    ['2026-12-24T18:00:00-0530', Date.UTC(2026, 11, 24, 23, 30)],
    ['2028-02-29T00:00:00Z', Date.UTC(2028, 1, 29)],
  ])('%j is %d ms', (given, ms) => {
    expect(toInstant(given, 'x')).toBe(ms)
  })

  test.each([
    '2026-12-24',
    '2026-12-24T18:00:00',
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-12-24T25:00:00Z',
    '1969-12-31T00:00:00Z',
    '24 Dec 2026 18:00 UTC',
    '',
    -1,
    LAST_INSTANT + 1_000,
    Number.NaN,
    new Date(Number.NaN),
    null,
    undefined,
    {},
  ])('%j is none, and the error names the option', (given) => {
    const read = (): number => toInstant(given as Instant, 'enqueue.runAt')
    expect(read).toThrow(InvalidOption)
    expect(read).toThrow(/^Expected `enqueue\.runAt` to be an instant/)
  })
})
