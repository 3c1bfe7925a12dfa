import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvalidOption } from '../../../domain/errors.js'
import { LAST_INSTANT } from '../../../domain/instant.js'
import type { Schedule, ScheduleOptions } from '../../../domain/trigger/schedule.js'
import {
  countOccurrences,
  firstOccurrence,
  intervalOf,
  nextOccurrence,
  TRIGGER_KINDS,
  toSchedule,
} from '../../../domain/trigger/schedule.js'
import { moments } from '../support/zones.js'

const NOW = Date.UTC(2026, 0, 1)
const DAY = 86_400_000

const scheduleOf = (given: ScheduleOptions, now = NOW): Schedule => toSchedule(given, { now, seed: 'seed' }, 'add')

describe('what is recorded', () => {
  test.each<[ScheduleOptions, Schedule]>([
    [
      { kind: 'cron', when: ' 0 5 * * * ' },
      { kind: 'cron', when: '0 5 * * *' },
    ],
    [
      { kind: 'cron', when: '@daily', timezone: 'Europe/Berlin' },
      { kind: 'cron', when: '@daily', timezone: 'Europe/Berlin' },
    ],
    [
      { kind: 'cron', when: '@every 5m' },
      { kind: 'cron', when: '@every 5m' },
    ],
    [
      { kind: 'every', when: '1h30m' },
      { kind: 'every', when: '1h30m', everyMs: 5_400_000 },
    ],
    [
      { kind: 'every', when: 1_500 },
      { kind: 'every', when: '1500ms', everyMs: 1_500 },
    ],
    [
      { kind: 'every', when: '10ms' },
      { kind: 'every', when: '10ms', everyMs: 1_000 },
    ],
    [
      { kind: 'at', when: '2026-12-24T18:00:00+01:00' },
      { kind: 'at', at: Date.UTC(2026, 11, 24, 17), lateMs: DAY },
    ],
    [
      { kind: 'at', when: new Date(5), late: 'always' },
      { kind: 'at', at: 5, lateMs: null },
    ],
    [
      { kind: 'in', when: '2d', late: '1h' },
      { kind: 'in', at: NOW + 2 * DAY, inMs: 2 * DAY, lateMs: 3_600_000 },
    ],
    [
      { kind: 'in', when: 0, late: 0 },
      { kind: 'in', at: NOW, inMs: 0, lateMs: 0 },
    ],
    [
      { kind: 'event', when: ' files:CREATED ' },
      { kind: 'event', when: 'files:CREATED', rules: [{ type: 'files', verbs: ['CREATED'] }] },
    ],
    [
      { kind: 'event', when: [{ type: 'a b' }] },
      { kind: 'event', when: '[{"type":"a b"}]', rules: [{ type: 'a b' }] },
    ],
    [{ kind: 'webhook' }, { kind: 'webhook' }],
    [{ kind: 'client', when: undefined, timezone: undefined, late: undefined }, { kind: 'client' }],
  ])('of %j is %j', (given, expected) => {
    expect(scheduleOf(given)).toStrictEqual(expected)
  })

  test('of a spread is the phrase, the slot and the zone', () => {
    expect(scheduleOf({ kind: 'hourly' })).toStrictEqual({
      kind: 'hourly',
      when: '',
      cron: expect.stringMatching(/^\d+ \d+ \* \* \* \*$/),
    })
    const given = { kind: 'weekly', when: ' on mon before 5am', timezone: 'Asia/Kolkata' }
    expect(scheduleOf(given)).toStrictEqual({
      ...given,
      when: 'on mon before 5am',
      cron: expect.stringMatching(/^\d+ \d+ [0-4] \* \* 1$/),
    })
  })

  test.each<[ScheduleOptions, string]>([
    [{ kind: undefined }, 'add.kind'],
    [{ kind: 'yearly', when: '' }, 'add.kind'],
    [{ kind: 'toString' }, 'add.kind'],
    [{ kind: ['cron'], when: '@daily' }, 'add.kind'],
    [{ kind: 'cron' }, 'add.when'],
    [{ kind: 'cron', when: '61 * * * *' }, 'add.when'],
    [{ kind: 'cron', when: '0 0 31 2 *' }, 'add.when'],
    [{ kind: 'cron', when: '@every 0s' }, 'add.when'],
    [{ kind: 'cron', when: '@every 99999999999w' }, 'add.when'],
    [{ kind: 'cron', when: '@daily', timezone: 'Europe/Bonn' }, 'add.timezone'],
    [{ kind: 'cron', when: '@daily', timezone: null }, 'add.timezone'],
    [{ kind: 'cron', when: '@every 5m', timezone: 'UTC' }, 'add.timezone'],
    [{ kind: 'cron', when: '@daily', late: '1h' }, 'add.late'],
    [{ kind: 'every', when: '0s' }, 'add.when'],
    [{ kind: 'every', when: 'hourly' }, 'add.when'],
    [{ kind: 'every', when: LAST_INSTANT }, 'add.when'],
    [{ kind: 'every', when: '1h', timezone: 'UTC' }, 'add.timezone'],
    [{ kind: 'every', when: '1h', late: 'always' }, 'add.late'],
    [{ kind: 'at' }, 'add.when'],
    [{ kind: 'at', when: '2026-12-24T18:00:00' }, 'add.when'],
    [{ kind: 'at', when: '2026-02-30T18:00:00Z' }, 'add.when'],
    [{ kind: 'at', when: 0, late: 'never' }, 'add.late'],
    [{ kind: 'at', when: 0, late: null }, 'add.late'],
    [{ kind: 'at', when: 0, timezone: 'UTC' }, 'add.timezone'],
    [{ kind: 'in', when: '-1s' }, 'add.when'],
    [{ kind: 'in', when: LAST_INSTANT }, 'add.when'],
    [{ kind: 'in', when: '1s', timezone: 'UTC' }, 'add.timezone'],
    [{ kind: 'daily', when: 'on monday' }, 'add.when'],
    [{ kind: 'daily', when: null }, 'add.when'],
    [{ kind: 'monthly', timezone: '+02:00' }, 'add.timezone'],
    [{ kind: 'weekly', late: '1h' }, 'add.late'],
    [{ kind: 'event' }, 'add.when'],
    [{ kind: 'event', when: 'a:NOTIFY' }, 'add.when'],
    [{ kind: 'event', when: 'a', timezone: 'UTC' }, 'add.timezone'],
    [{ kind: 'webhook', when: '' }, 'add.when'],
    [{ kind: 'webhook', timezone: 'UTC' }, 'add.timezone'],
    [{ kind: 'client', late: '1h' }, 'add.late'],
  ])('%j is refused: %s', (given, option) => {
    const error = caught(() => scheduleOf(given))
    expect(error).toBeInstanceOf(InvalidOption)
    expect(error).toMatchObject({ option })
  })

  test('is JSON, and given again it is the same', () => {
    fc.assert(
      fc.property(givens, moments, fc.string(), (given, { at }, seed) => {
        const schedule = toSchedule(given, { now: at, seed }, 'add')
        expect(JSON.parse(JSON.stringify(schedule))).toStrictEqual(schedule)
        const { kind, when, timezone } = schedule as unknown as ScheduleOptions
        if (when !== undefined)
          expect(toSchedule({ kind, when, timezone }, { now: at, seed }, 'add')).toStrictEqual(schedule)
      }),
    )
  })

  test('knows every kind', () => {
    expect(TRIGGER_KINDS).toEqual('cron every at in hourly daily weekly monthly event webhook client'.split(' '))
  })
})

describe('occurrences', () => {
  test.each<[ScheduleOptions, number]>([
    [{ kind: 'cron', when: '0 * * * *' }, NOW + 3_600_000],
    [{ kind: 'cron', when: '@every 5m' }, NOW + 300_000],
    [{ kind: 'every', when: '90s' }, NOW + 90_000],
    [{ kind: 'at', when: 5 }, 5],
    [{ kind: 'at', when: NOW + 5 }, NOW + 5],
    [{ kind: 'in', when: '1h' }, NOW + 3_600_000],
  ])('of %j begin at %d', (given, first) => {
    expect(firstOccurrence(scheduleOf(given), NOW)).toBe(first)
  })

  test.each<ScheduleOptions>([{ kind: 'event', when: 'a' }, { kind: 'webhook' }, { kind: 'client' }])(
    'of %j there are none by time',
    (given) => {
      const schedule = scheduleOf(given)
      expect(firstOccurrence(schedule, NOW)).toBeUndefined()
      expect(nextOccurrence(schedule, NOW)).toBeUndefined()
      expect(countOccurrences(schedule, NOW, LAST_INSTANT, 10)).toEqual({ count: 0 })
    },
  )

  test.each(['at', 'in'])('of %s there is one', (kind) => {
    const schedule = scheduleOf({ kind, when: 5 })
    expect(nextOccurrence(schedule, 5, 0)).toBeUndefined()
    expect(countOccurrences(schedule, 0, LAST_INSTANT, 10)).toEqual({ count: 0 })
  })

  test('of an interval end with the dates', () => {
    const schedule = scheduleOf({ kind: 'every', when: '1d' })
    expect(nextOccurrence(schedule, LAST_INSTANT - DAY)).toBe(LAST_INSTANT)
    expect(nextOccurrence(schedule, LAST_INSTANT - DAY + 1)).toBeUndefined()
    expect(countOccurrences(schedule, LAST_INSTANT - 2 * DAY, Number.POSITIVE_INFINITY, 10)).toEqual({ count: 2 })
  })

  test('of an interval lie on the grid of the last one', () => {
    const instant = fc.integer({ min: 0, max: LAST_INSTANT / 4 })
    fc.assert(
      fc.property(instant, instant, fc.integer({ min: 1_000, max: 1e12 }), (last, after, everyMs) => {
        const next = nextOccurrence({ kind: 'every', when: '', everyMs }, last, after) as number
        expect((BigInt(next) - BigInt(last)) % BigInt(everyMs)).toBe(0n)
        expect(next).toBeGreaterThan(Math.max(last, after))
        expect(next - everyMs).toBeLessThanOrEqual(Math.max(last, after))
      }),
    )
  })

  test('follow one another, and after any instant comes the first of them that is later', () => {
    fc.assert(
      fc.property(timed, moments, fc.integer({ min: -DAY, max: 3 * DAY }), (given, { at }, shift) => {
        const schedule = scheduleOf(given, at)
        const all = enumerate(schedule, at, 12)
        for (const [index, next] of all.entries()) expect(next).toBeGreaterThan(all[index - 1] ?? at)
        const after = Math.min(at + shift, (all.at(-1) ?? at) - 1)
        expect(nextOccurrence(schedule, at, after)).toBe(all.find((next) => next > after))
      }),
    )
  })

  test('are counted as they follow, a few at a time', () => {
    fc.assert(
      fc.property(timed, moments, fc.nat(3 * DAY), fc.nat(40), (given, { at }, span, most) => {
        const schedule = scheduleOf(given, at)
        const some = enumerate(schedule, at, most + 1).filter((next) => next <= at + span)
        const isAll = some.length <= most || intervalOf(schedule) !== undefined
        const { count, last } = countOccurrences(schedule, at, at + span, most)
        if (isAll) expect(last).toBeUndefined()
        else expect([count, last]).toEqual([most, some[most - 1] ?? at])
        if (some.length <= most) expect(count).toBe(some.length)
      }),
    )
  })

  test('of an interval are counted at once, however many they are', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1_000, max: DAY }), fc.nat(9_999 * DAY), fc.nat(9), (everyMs, span, most) => {
        const { count, last } = countOccurrences({ kind: 'every', when: '', everyMs }, NOW, NOW + span, most)
        expect(last).toBeUndefined()
        expect(span - count * everyMs).toBeGreaterThanOrEqual(0)
        expect(span - count * everyMs).toBeLessThan(everyMs)
      }),
    )
  })

  test('before the last one count for nothing', () => {
    for (const [kind, when] of [
      ['every', '1h'],
      ['cron', '@hourly'],
    ])
      expect(countOccurrences(scheduleOf({ kind, when }), NOW, NOW - DAY, 10)).toEqual({ count: 0 })
  })

  test('of a spread lie where its phrase says, day by day', () => {
    const between = scheduleOf({ kind: 'hourly', when: 'between 8am and 11am' })
    const hours = enumerate(between, NOW, 6).map((at) => new Date(at).toISOString().slice(8, 13))
    expect(hours).toEqual(['01T08', '01T09', '01T10', '02T08', '02T09', '02T10'])
    const weekly = enumerate(scheduleOf({ kind: 'weekly', when: 'on weekend' }), NOW, 3)
    expect(weekly.map((at) => [0, 6].includes(new Date(at).getUTCDay()))).toEqual([true, true, true])
    expect(weekly.map((at) => at - (weekly[0] as number))).toEqual([0, 7 * DAY, 14 * DAY])
  })
})

function enumerate(schedule: Schedule, last: number, count: number): number[] {
  const all: number[] = []
  for (let next = nextOccurrence(schedule, last); next !== undefined && all.length < count; ) {
    all.push(next)
    next = nextOccurrence(schedule, next)
  }
  return all
}

const zone = fc.constantFrom(undefined, 'UTC', 'Europe/Berlin', 'Australia/Lord_Howe', 'Africa/Casablanca')
const timed: fc.Arbitrary<ScheduleOptions> = fc.oneof(
  fc.record({
    kind: fc.constant('cron'),
    when: fc.constantFrom('*/7 * * * *', '30 2 * * *', '0 0,30 1,2,3 * * *', '@hourly', '@monthly', '* * 2 * * *'),
    timezone: zone,
  }),
  fc.record({ kind: fc.constant('cron'), when: fc.integer({ min: 1, max: 9_999 }).map((s) => `@every ${s}s`) }),
  fc.record({ kind: fc.constant('every'), when: fc.integer({ min: 1, max: 99_999_999 }).map((ms) => `${ms}ms`) }),
  fc.record({
    kind: fc.constantFrom('hourly', 'daily', 'weekly', 'monthly'),
    when: fc.constantFrom('', 'before 5am', 'between 1am and 3am'),
    timezone: zone,
  }),
)
const givens: fc.Arbitrary<ScheduleOptions> = fc.oneof(
  timed,
  fc.record({ kind: fc.constant('at'), when: fc.nat() }),
  fc.record({ kind: fc.constant('in'), when: fc.nat(), late: fc.constantFrom('always', '1h', undefined) }),
  fc.constant({ kind: 'event', when: 'a:CREATED:1:b c*' }),
  fc.constantFrom({ kind: 'webhook' }, { kind: 'client' }),
)

function caught(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  return undefined
}
