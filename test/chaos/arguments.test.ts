import { expect, test } from 'vitest'
import { readArguments, UsageError } from './fleet/arguments.js'
import { deedsFor } from './fleet/deeds.js'
import { specOf } from './fleet/jobs.js'

const given = (...argv: string[]): unknown => readArguments(argv, 42)

test('what a chaos run is asked for', () => {
  const defaults = { seed: 42, jobs: 20_000, perSecond: 200, processes: 4, concurrency: 10, keep: false }
  expect(given()).toEqual({ ...defaults, minutes: undefined })
  expect(given('--seed', '7', '--jobs', '1,000', '--keep')).toMatchObject({ seed: 7, jobs: 1_000, keep: true })
  expect(given('--minutes', '30', '--processes', '2')).toMatchObject({ minutes: 30, processes: 2 })
  expect(given('--help')).toBe('help')
})

test.each([
  ['--jobs', '0'],
  ['--jobs', 'many'],
  ['--seed', '-1'],
  ['--seed', ''],
  ['--processes', '1.5'],
  ['--minutes', '1', '--jobs', '5'],
  ['--fast'],
  ['more'],
])('%s %s is not understood', (...argv) => {
  expect(() => given(...argv)).toThrow(UsageError)
})

test('a seed repeats jobs and deeds', () => {
  const pace = { leastMs: 1, mostMs: 1_000 }
  const take = (seed: number): unknown[] => {
    const deeds = deedsFor(seed, 1, pace)
    const jobs = Array.from({ length: 50 }, (_, n) => specOf(seed, n)).map(({ job, ...rest }) => [job.type, rest])
    return [...jobs, ...Array.from({ length: 50 }, () => deeds.next().value)]
  }
  expect(take(1)).toEqual(take(1))
  expect(take(1)).not.toEqual(take(2))
})
