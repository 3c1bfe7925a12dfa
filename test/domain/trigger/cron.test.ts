import { Cron } from 'croner'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvalidOption } from '../../../domain/errors.js'
import { cronInterval, nextByCron, toCron, toTimezone } from '../../../domain/trigger/cron.js'
import { clockOf, moments, zones } from '../support/zones.js'

// A Thursday.
const NOW = Date.UTC(2026, 0, 1)

function following(expression: string, from: number | string, count: number, zone?: string): number[] {
  const found: number[] = []
  for (
    let next = nextByCron(expression, zone, typeof from === 'string' ? Date.parse(from) : from);
    found.length < count;
  ) {
    if (next === undefined) break
    found.push(next)
    next = nextByCron(expression, zone, next)
  }
  return found
}

const clocks = (expression: string, from: string, count: number, zone = 'UTC'): string[] =>
  following(expression, from, count, zone === 'UTC' ? undefined : zone).map(clockOf(zone))

describe('a cron expression', () => {
  test.each([
    ['*/20 * * * *', ['2026-01-01 00:20:00', '2026-01-01 00:40:00', '2026-01-01 01:00:00']],
    ['15,45 30 6 * * *', ['2026-01-01 06:30:15', '2026-01-01 06:30:45', '2026-01-02 06:30:15']],
    ['* * * * * *', ['2026-01-01 00:00:01', '2026-01-01 00:00:02']],
    ['0 9-10 * * *', ['2026-01-01 09:00:00', '2026-01-01 10:00:00', '2026-01-02 09:00:00']],
    ['0 0-23/8 * * *', ['2026-01-01 08:00:00', '2026-01-01 16:00:00', '2026-01-02 00:00:00']],
    ['0 0 * JAN,mar SUN', ['2026-01-04 00:00:00', '2026-01-11 00:00:00']],
    ['0 0 * * MON-Wed', ['2026-01-05 00:00:00', '2026-01-06 00:00:00', '2026-01-07 00:00:00', '2026-01-12 00:00:00']],
    ['0 0 * * 0', ['2026-01-04 00:00:00', '2026-01-11 00:00:00']],
    ['0 0 * * 7', ['2026-01-04 00:00:00', '2026-01-11 00:00:00']],
    ['0 0 * * 6-7', ['2026-01-03 00:00:00', '2026-01-04 00:00:00', '2026-01-10 00:00:00']],
    ['0 0 * * SAT-SUN', ['2026-01-03 00:00:00', '2026-01-04 00:00:00', '2026-01-10 00:00:00']],
    ['0 0 L * *', ['2026-01-31 00:00:00', '2026-02-28 00:00:00']],
    ['0 0 LW * *', ['2026-01-30 00:00:00', '2026-02-27 00:00:00']],
    ['0 0 15,L * *', ['2026-01-15 00:00:00', '2026-01-31 00:00:00']],
    ['0 0 15W * *', ['2026-01-15 00:00:00', '2026-02-16 00:00:00']],
    ['0 0 * * MON#2', ['2026-01-12 00:00:00', '2026-02-09 00:00:00']],
    ['0 0 * * FRI#L', ['2026-01-30 00:00:00', '2026-02-27 00:00:00']],
    ['0 0 * * 5L', ['2026-01-30 00:00:00', '2026-02-27 00:00:00']],
    ['0 0 29 2 *', ['2028-02-29 00:00:00', '2032-02-29 00:00:00']],
  ])('%s comes at %j', (expression, expected) => {
    expect(clocks(expression, '2026-01-01T00:00:00Z', expected.length)).toEqual(expected)
  })

  test.each([
    ['@yearly', '0 0 1 1 *'],
    ['@annually', '0 0 1 1 *'],
    ['@monthly', '0 0 1 * *'],
    ['@weekly', '0 0 * * 0'],
    ['@daily', '0 0 * * *'],
    ['@midnight', '0 0 * * *'],
    ['@hourly', '0 * * * *'],
    ['@Daily', '0 0 * * *'],
  ])('%s is %s', (macro, expression) => {
    expect(following(macro, NOW, 5)).toEqual(following(expression, NOW, 5))
  })

  test('with both day fields restricted comes when either matches', () => {
    expect(clocks('0 0 1 * MON', '2026-01-26T00:00:00Z', 3)).toEqual([
      '2026-02-01 00:00:00',
      '2026-02-02 00:00:00',
      '2026-02-09 00:00:00',
    ])
  })

  test.each(['0 0 1 * ?', '0 0 ? * 1', '? ? ? ? ?', '? * * * * *'])('%s takes ? for any', (expression) => {
    expect(following(expression, NOW, 5)).toEqual(following(expression.replaceAll('?', '*'), NOW, 5))
  })

  test.each([
    ['2026-01-01T00:00:00.000Z', '2026-01-01T00:00:01.000Z'],
    ['2026-01-01T00:00:00.001Z', '2026-01-01T00:00:01.000Z'],
    ['2026-01-01T00:00:00.999Z', '2026-01-01T00:00:01.000Z'],
  ])('is asked for what comes after %s: %s', (after, expected) => {
    expect(nextByCron('* * * * * *', undefined, Date.parse(after))).toBe(Date.parse(expected))
    expect(nextByCron('* * * * * *', 'Europe/Berlin', Date.parse(after))).toBe(Date.parse(expected))
  })

  test('is recorded without space around it', () => {
    expect(toCron('  0 5 * * *\n', undefined, NOW, 'x')).toBe('0 5 * * *')
  })

  test.each([
    '',
    '* * * *',
    '* * * * * * *',
    '0 0 0 1 1 * 2030',
    '2026-01-01T00:00:00Z',
    '2026-01-01 00:00:00 * * *',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * 32 * *',
    '* * * 13 * ',
    '* * * * 8',
    '* * * FOO *',
    '* * * * MONDAY',
    '*/0 * * * *',
    '5-1 * * * *',
    '0/5 * * * *',
    '1,, * * * *',
    'L * * * *',
    '* * * * MON#6',
    '0 0 1 * +MON',
    '@reboot',
    '@never',
    '@daily 5',
    null,
    undefined,
    5,
    new Date(0),
    ['* * * * *'],
  ])('%j is none', (given) => {
    const error = caught(() => toCron(given, undefined, NOW, 'triggers.add.when'))
    expect(error).toBeInstanceOf(InvalidOption)
    expect(error).toMatchObject({
      option: 'triggers.add.when',
      expected: expect.stringContaining('a cron expression of 5 or 6 fields'),
    })
  })

  test.each(['0 0 31 2 *', '0 0 30,31 FEB ?', '0 0 31 4,6,9,11 *', '0 0 31W 2 *'])('%s never comes', (expression) => {
    const error = caught(() => toCron(expression, 'Europe/Berlin', NOW, 'x'))
    expect(error).toMatchObject({ option: 'x', expected: 'a cron expression that some day fits' })
  })
})

describe('@every', () => {
  test.each([
    ['@every 5m', 300_000],
    ['@every 1h30m', 5_400_000],
    [' @EVERY  90s ', 90_000],
    ['@every 1ms', 1_000],
    ['@every 1500ms', 1_500],
  ])('%j is %d ms', (expression, ms) => {
    expect(cronInterval(expression, 'x')).toBe(ms)
  })

  test.each(['@every 0s', '@every', '@every ', '@every 5', '@every soon', '@every 1h 30m'])(
    '%j is none',
    (expression) => {
      const interval = (): unknown => cronInterval(expression, 'x') ?? toCron(expression, undefined, NOW, 'x')
      expect(caught(interval)).toBeInstanceOf(InvalidOption)
    },
  )

  test.each(['* * * * *', '@hourly', null, 5])('%j is no interval', (expression) => {
    expect(cronInterval(expression, 'x')).toBeUndefined()
  })
})

describe('a time zone', () => {
  test.each(['UTC', 'Europe/Berlin', 'America/Argentina/Ushuaia', 'Etc/GMT+5'])('%s is one', (zone) => {
    expect(toTimezone(zone, 'x')).toBe(zone)
  })

  test.each(['', 'Berlin', 'Europe/Bonn', '+02:00', 'local', ' UTC', null, 1, {}])('%j is none', (zone) => {
    expect(caught(() => toTimezone(zone, 'x'))).toMatchObject({
      option: 'x',
      expected: expect.stringContaining('IANA'),
    })
  })

  test('is whose clock shows the hours asked for', () => {
    expect(clocks('0 9 * * *', '2026-01-01T00:00:00Z', 2, 'America/New_York')).toEqual([
      '2026-01-01 09:00:00',
      '2026-01-02 09:00:00',
    ])
    expect(nextByCron('0 9 * * *', 'America/New_York', NOW)).toBe(Date.parse('2026-01-01T14:00:00Z'))
    expect(nextByCron('0 9 * * *', 'Asia/Kolkata', NOW)).toBe(Date.parse('2026-01-01T03:30:00Z'))
  })
})

describe('where clocks are put forward', () => {
  test.each([
    ['Europe/Berlin', '30 2 * * *', '2026-03-28T12:00:00Z', ['2026-03-29 03:00:00', '2026-03-30 02:30:00']],
    ['Europe/Berlin', '0,30 2,14 * * *', '2026-03-28T20:00:00Z', ['2026-03-29 03:00:00', '2026-03-29 14:00:00']],
    ['Europe/Berlin', '0 2,3 * * *', '2026-03-28T20:00:00Z', ['2026-03-29 03:00:00', '2026-03-30 02:00:00']],
    ['America/New_York', '15 30 2 * * *', '2026-03-07T12:00:00Z', ['2026-03-08 03:00:00', '2026-03-09 02:30:15']],
    ['Australia/Lord_Howe', '15 2 * * *', '2026-10-03T12:00:00Z', ['2026-10-04 02:30:00', '2026-10-05 02:15:00']],
    ['Africa/Casablanca', '30 2 * * *', '2026-03-21T12:00:00Z', ['2026-03-22 03:00:00', '2026-03-23 02:30:00']],
    ['Asia/Beirut', '0 0 * * *', '2026-03-28T12:00:00Z', ['2026-03-29 01:00:00', '2026-03-30 00:00:00']],
  ])('in %s, %s comes once, right after the gap', (zone, expression, from, expected) => {
    expect(clocks(expression, from, 2, zone)).toEqual(expected)
  })

  test('a time that is gone with the end of its day is left out', () => {
    expect(clocks('30 23 * * *', '2026-03-27T12:00:00Z', 2, 'America/Nuuk')).toEqual([
      '2026-03-27 23:30:00',
      '2026-03-29 23:30:00',
    ])
  })

  test.each([
    ['Europe/Berlin', '30 * * * *', '2026-03-29T00:00:00Z', ['01:30:00', '03:30:00', '04:30:00']],
    ['Europe/Berlin', '*/30 1-3 * * *', '2026-03-29T00:10:00Z', ['01:30:00', '03:00:00', '03:30:00']],
    ['Australia/Lord_Howe', '*/20 * * * *', '2026-10-03T15:15:00Z', ['02:40:00', '03:00:00', '03:20:00']],
  ])('in %s, %s leaves out what is not there', (zone, expression, from, expected) => {
    expect(clocks(expression, from, 3, zone).map((clock) => clock.slice(11))).toEqual(expected)
  })
})

describe('where clocks are put back', () => {
  test.each([
    ['Europe/Berlin', '30 2 * * *', '2026-10-24T12:00:00Z', ['2026-10-25T00:30Z', '2026-10-26T01:30Z']],
    ['Europe/Berlin', '30 2,3 * * *', '2026-10-24T12:00:00Z', ['2026-10-25T00:30Z', '2026-10-25T02:30Z']],
    ['America/New_York', '30 1 * * *', '2026-10-31T12:00:00Z', ['2026-11-01T05:30Z', '2026-11-02T06:30Z']],
    ['Australia/Lord_Howe', '45 1 * * *', '2026-04-04T12:00:00Z', ['2026-04-04T14:45Z', '2026-04-05T15:15Z']],
    ['Africa/Casablanca', '30 2 * * *', '2026-02-14T12:00:00Z', ['2026-02-15T01:30Z', '2026-02-16T02:30Z']],
  ])('in %s, %s comes the first time only', (zone, expression, from, expected) => {
    expect(following(expression, from, 2, zone)).toEqual(expected.map(Date.parse))
  })

  test.each([
    ['Europe/Berlin', '30 * * * *', '2026-10-24T23:00:00Z', ['01:30:00', '02:30:00', '02:30:00', '03:30:00']],
    ['Europe/Berlin', '*/30 2 * * *', '2026-10-24T23:00:00Z', ['02:00:00', '02:30:00', '02:00:00', '02:30:00']],
    ['Australia/Lord_Howe', '*/20 * * * *', '2026-04-04T14:30:00Z', ['01:40:00', '01:40:00', '02:00:00', '02:20:00']],
  ])('in %s, %s comes as often as the clock shows it', (zone, expression, from, expected) => {
    expect(clocks(expression, from, 4, zone).map((clock) => clock.slice(11))).toEqual(expected)
  })
})

describe('whatever the expression', () => {
  test('what comes is what croner finds, later each time and on whole seconds', () => {
    fc.assert(
      fc.property(expressions, moments, (expression, { zone, at }) => {
        const found = following(expression, at, 8, zone)
        const cron = new Cron(expression, { timezone: zone, fixedTimeRule: 'no-wildcard' })
        expect(found).toEqual(cron.nextRuns(8, new Date(at)).map((date) => date.getTime()))
        for (const [index, next] of found.entries()) expect(next).toBeGreaterThan(found[index - 1] ?? at)
        expect(found.filter((next) => next % 1_000 !== 0)).toEqual([])
      }),
      { numRuns: 300 },
    )
  })

  test('what is remembered of an earlier question changes no answer', () => {
    fc.assert(
      fc.property(
        expressions,
        moments,
        fc.array(fc.integer({ min: -9e7, max: 9e7 })),
        (expression, { zone, at }, shifts) => {
          const cron = new Cron(expression, { timezone: zone, fixedTimeRule: 'no-wildcard' })
          for (const shift of [0, 0, ...shifts, 1, 0])
            expect(nextByCron(expression, zone, at + shift)).toBe(cron.nextRun(new Date(at + shift))?.getTime())
        },
      ),
    )
  })

  test('UTC is UTC, named or not', () => {
    fc.assert(
      fc.property(expressions, moments, (expression, { at }) => {
        expect(following(expression, at, 4)).toEqual(following(expression, at, 4, 'UTC'))
      }),
    )
  })

  test('with a step it comes whenever the clock shows its time, and never else', () => {
    const steps = fc.record({ minutes: fc.integer({ min: 2, max: 59 }), first: fc.nat(12), hours: fc.nat(11) })
    fc.assert(
      fc.property(steps, zones, moments, ({ minutes, first, hours }, zone, { at }) => {
        const clock = clockOf(zone)
        const from = Math.ceil(at / 60_000) * 60_000
        const shown = Array.from({ length: 30 * 60 }, (_, index) => from + index * 60_000).filter((instant) => {
          const [hour, minute] = clock(instant).slice(11).split(':').map(Number) as [number, number]
          return minute % minutes === 0 && hour >= first && hour <= first + hours
        })
        const expression = `*/${minutes} ${first}-${first + hours} * * *`
        expect(following(expression, from - 1, shown.length, zone)).toEqual(shown)
      }),
      { numRuns: 30 },
    )
  })
})

/** Fields around the hours in which clocks change. */
function field(min: number, max: number): fc.Arbitrary<string> {
  const value = fc.integer({ min, max })
  return fc.oneof(
    { arbitrary: value.map(String), weight: 3 },
    fc.constant('*'),
    fc.integer({ min: 2, max: 9 }).map((step) => `*/${step}`),
    fc.uniqueArray(value, { minLength: 2, maxLength: 4 }).map((values) => values.join(',')),
    fc.tuple(value, value).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
  )
}

const expressions: fc.Arbitrary<string> = fc
  .tuple(
    fc.oneof(fc.constant(''), field(0, 59)),
    field(0, 59),
    fc.oneof(field(0, 4), field(0, 23)),
    fc.constantFrom('*', '*', '?', '*/2', 'L', '1-15', '15W'),
    fc.constantFrom('*', '*', 'MAR,OCT'),
    fc.constantFrom('*', '*', '?', 'SUN', 'MON-FRI', '7', 'SUN#L'),
  )
  .map((fields) => fields.filter((text) => text !== '').join(' '))

function caught(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  return undefined
}
