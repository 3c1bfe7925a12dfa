import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvalidOption } from '../../../domain/errors.js'
import type { Frequency } from '../../../domain/trigger/spread.js'
import { toSlot } from '../../../domain/trigger/spread.js'

/** Every value that a field of the slot takes, over many seeds. */
function values(frequency: Frequency, phrase: string, field: number): string[] {
  const seen = new Set<string>()
  for (let seed = 0; seed < 3_000; seed += 1)
    seen.add(toSlot(frequency, phrase, `seed ${seed}`, 'x').split(' ')[field] as string)
  return [...seen].sort((a, b) => Number(a) - Number(b))
}

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => String(from + index))

describe('the hours of a phrase', () => {
  test.each<[string, number, number]>([
    ['', 0, 23],
    ['before 5am', 0, 4],
    ['after 10pm', 22, 23],
    ['between 8am and 6pm', 8, 17],
    ['between 12am and 12pm', 0, 11],
    ['after 12pm', 12, 23],
    ['before 12am', 0, 23],
    ['between 11pm and 12am', 23, 23],
    ['after 8am before 6pm', 8, 17],
    ['  BEFORE   05AM ', 0, 4],
  ])('%j are %d to %d', (phrase, from, to) => {
    for (const frequency of ['daily', 'weekly', 'monthly'] as const)
      expect(values(frequency, phrase, 2)).toEqual(numbers(from, to))
    const hourly = from === 0 && to === 23 ? '*' : `${from}-${to}/1`
    expect(values('hourly', phrase, 2)).toEqual([hourly])
  })

  test.each([
    'before',
    'after',
    'before 5',
    'before 5:30am',
    'before 0am',
    'before 13pm',
    'before am',
    'after xyz',
    'between 8am',
    'between 8am and',
    'between 8am 6pm',
    'between 6pm and 8am',
    'between 8am and 8am',
    'between 9pm and 3am',
    'after 6pm before 8am',
    'before 5am before 6am',
    'between 8am and 6pm before 5pm',
    'and 5am',
    'xyz',
    '5am',
    'on',
    'on the',
    'before 5am,',
    'every monday',
    null,
    5,
    ['before 5am'],
  ])('%j has none', (phrase) => {
    for (const frequency of ['hourly', 'daily', 'weekly', 'monthly'] as const) {
      const error = caught(() => toSlot(frequency, phrase, 'seed', 'triggers.add.when'))
      expect(error).toBeInstanceOf(InvalidOption)
      expect(error).toMatchObject({
        option: 'triggers.add.when',
        expected: expect.stringMatching(/^a phrase such as .*"between 8am and 6pm"/),
      })
    }
  })
})

describe('the days of a week', () => {
  test.each<[string, string]>([
    ['', '0123456'],
    ['on monday', '1'],
    ['on mon,wed,fri', '135'],
    ['on mon,wed-fri', '1345'],
    ['on Wednesday-Fri', '345'],
    ['on fri-mon', '0156'],
    ['on sat-sun', '06'],
    ['on weekday', '12345'],
    ['on weekend', '06'],
    ['on weekday,saturday', '123456'],
    ['on tue between 8am and 6pm', '2'],
    ['before 9am on tue', '2'],
  ])('%j are %s', (phrase, days) => {
    expect(values('weekly', phrase, 5).join('')).toBe(days)
    expect(values('weekly', phrase, 3)).toEqual(['*'])
  })

  test.each([
    'on xyz',
    'on mon,',
    'on ,mon',
    'on mon,,tue',
    'on mon-',
    'on -mon',
    'on mon-mon',
    'on mon-tue-wed',
    'on mon-weekend',
    'on mo',
    'on 1',
    'on the 5',
    'on the monday',
    'on mon on tue',
    'on constructor',
  ])('%j has none', (phrase) => {
    expect(caught(() => toSlot('weekly', phrase, 'seed', 'x'))).toMatchObject({
      option: 'x',
      expected: expect.stringContaining('"on mon,wed-fri"'),
    })
  })

  test.each(['hourly', 'daily', 'monthly'] as const)('are not for %s', (frequency) => {
    expect(caught(() => toSlot(frequency, 'on monday', 'seed', 'x'))).toBeInstanceOf(InvalidOption)
    expect(caught(() => toSlot(frequency, 'on weekday', 'seed', 'x'))).toBeInstanceOf(InvalidOption)
  })
})

describe('the days of a month', () => {
  test.each<[string, string[]]>([
    ['', numbers(1, 28)],
    ['on the 1', ['1']],
    ['on the 31', ['31']],
    ['on the 1,5-7', ['1', '5', '6', '7']],
    ['on the 1-3,5-7,9-11', ['1', '2', '3', '5', '6', '7', '9', '10', '11']],
    ['before 5am on the 1,16', ['1', '16']],
  ])('%j are %j', (phrase, days) => {
    expect(values('monthly', phrase, 3)).toEqual(days)
    expect(values('monthly', phrase, 5)).toEqual(['*'])
  })

  test.each([
    'on the xyz',
    'on the 0',
    'on the 32',
    'on the 1-32',
    'on the 5-1',
    'on the 5-5',
    'on the 1,',
    'on the 1-',
    'on the -1',
    'on the 1-2-3',
    'on 1-5',
    'on the 1 on the 2',
    'on the 1 2',
  ])('%j has none', (phrase) => {
    expect(caught(() => toSlot('monthly', phrase, 'seed', 'x'))).toMatchObject({
      option: 'x',
      expected: expect.stringContaining('"on the 1,5-7"'),
    })
  })

  test.each(['hourly', 'daily', 'weekly'] as const)('are not for %s', (frequency) => {
    expect(caught(() => toSlot(frequency, 'on the 5', 'seed', 'x'))).toBeInstanceOf(InvalidOption)
  })
})

describe('the slot of a seed', () => {
  test('is recorded, so it stays what it was', () => {
    expect([
      toSlot('hourly', '', 'tenant send-mail {}', 'x'),
      toSlot('daily', '', 'tenant send-mail {}', 'x'),
      toSlot('weekly', 'on weekday', 'tenant send-mail {}', 'x'),
      toSlot('monthly', 'before 5am', 'tenant send-mail {}', 'x'),
    ]).toMatchInlineSnapshot(`
      [
        "8 25 * * * *",
        "8 25 19 * * *",
        "8 25 19 * * 5",
        "8 25 0 28 * *",
      ]
    `)
  })

  test('depends on nothing else', () => {
    fc.assert(
      fc.property(fc.string(), (seed) => {
        const slot = toSlot('weekly', 'on weekday between 8am and 6pm', seed, 'x')
        expect(toSlot('weekly', ' between 8am and 6pm  on mon-fri', seed, 'x')).toBe(slot)
      }),
    )
  })

  test.each<[Frequency, number, number]>([
    ['hourly', 0, 60],
    ['hourly', 1, 60],
    ['daily', 1, 60],
    ['daily', 2, 24],
    ['weekly', 2, 24],
    ['weekly', 5, 7],
    ['monthly', 3, 28],
  ])('is as likely to be any: %s, field %d of %d values', (frequency, field, choices) => {
    const prefixes = fc.string({ maxLength: 20 })
    fc.assert(
      fc.property(prefixes, (prefix) => {
        const counts = new Map<string, number>()
        for (let seed = 0; seed < choices * 100; seed += 1) {
          const value = toSlot(frequency, '', `${prefix}${seed}`, 'x').split(' ')[field] as string
          counts.set(value, (counts.get(value) ?? 0) + 1)
        }
        expect(counts.size).toBe(choices)
        const excess = [...counts.values()].reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0)
        // Chi-squared: its mean is choices - 1, its variance twice that.
        expect(excess).toBeLessThan(choices + 10 * Math.sqrt(2 * choices))
      }),
      { numRuns: 20 },
    )
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
