/** What becomes of an occurrence: when it has just come, when it is late, and when nobody was there for long. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Draft } from '../../../domain/event.js'
import * as decide from '../../../domain/trigger/decide.js'
import { judgeDue, missedUntil } from '../../../domain/trigger/decide.js'
import type { Misfire, TriggerFacts, TriggerFired, TriggerMissed } from '../../../domain/trigger/events.js'
import type { TriggerState } from '../../../domain/trigger/evolve.js'
import { dueAt } from '../../../domain/trigger/evolve.js'
import type { Schedule } from '../../../domain/trigger/schedule.js'
import { firstOccurrence, nextOccurrence } from '../../../domain/trigger/schedule.js'
import { NOW } from '../support/jobs.js'
import { added, EVERY_MINUTE, evolved, TRIGGER } from '../support/triggers.js'

const SECOND = 1_000
const MINUTE = 60_000
const DAY = 86_400_000
const GRACE = 5 * SECOND

type Waiting = TriggerState & { readonly nextAt: number }

const waiting = (facts: Partial<TriggerFacts>): Waiting => added({ ...EVERY_MINUTE, ...facts }, NOW) as Waiting
const everySecond: Schedule = { kind: 'every', when: '1s', everyMs: SECOND }
const everyMinute: Schedule = { kind: 'cron', when: '* * * * *', timezone: 'Europe/Berlin' }
const judge = (misfire: Misfire, late: number, schedule?: Schedule): decide.Due =>
  judgeDue(waiting({ ...(misfire !== 'coalesce' && { misfire }), ...(schedule && { schedule }) }), NOW + late)

describe('an occurrence that is not late fires, and the next one follows it', () => {
  const inTime = ['coalesce', 'all', 'skip'] as const
  const fires = { fires: true, nextAt: NOW + MINUTE, missed: undefined }
  test.each(inTime.flatMap((misfire) => [0, 1, GRACE - 1, GRACE].map((late) => [misfire, late] as const)))(
    '%s, %i ms after its instant',
    (misfire, late) => expect(judge(misfire, late)).toEqual(fires),
  )

  test.each(inTime)('%s: others that have come since have their turn after it', (misfire) => {
    expect(judge(misfire, GRACE, everySecond)).toEqual({ fires: true, nextAt: NOW + SECOND, missed: undefined })
  })
})

describe('an occurrence that is late', () => {
  const late = GRACE + 1
  test.each<[Misfire, string, number, Schedule | undefined, decide.Due]>([
    ['coalesce', 'alone', late, undefined, { fires: true, nextAt: NOW + MINUTE, missed: undefined }],
    ['all', 'alone', late, undefined, { fires: true, nextAt: NOW + MINUTE, missed: undefined }],
    ['skip', 'alone', late, undefined, { fires: false, nextAt: NOW + MINUTE, missed: { occurrence: NOW } }],
    [
      ...(['coalesce', 'with one more', MINUTE, undefined] as const),
      { fires: true, nextAt: NOW + 2 * MINUTE, missed: { occurrence: NOW + MINUTE } },
    ],
    [
      ...(['coalesce', 'with five more', late, everySecond] as const),
      { fires: true, nextAt: NOW + 6 * SECOND, missed: { occurrence: NOW + SECOND, count: 5 } },
    ],
    ['all', 'with five more', late, everySecond, { fires: true, nextAt: NOW + SECOND, missed: undefined }],
    [
      ...(['skip', 'with five more, in time yet', late, everySecond] as const),
      { fires: false, nextAt: NOW + SECOND, missed: { occurrence: NOW } },
    ],
    [
      ...(['skip', 'with two more as late, and five in time yet', GRACE + 2 * SECOND + 1, everySecond] as const),
      { fires: false, nextAt: NOW + 3 * SECOND, missed: { occurrence: NOW, count: 3 } },
    ],
  ])('%s, %s', (misfire, _, ms, schedule, due) => expect(judge(misfire, ms, schedule)).toEqual(due))

  // `coalesce` counts those that do not fire, so one less than there were.
  test.each<[Misfire, number, object]>([
    ['coalesce', 500_000, { occurrence: NOW + MINUTE, count: 500_000 }],
    ['skip', 500_000, { occurrence: NOW, count: 500_001 }],
  ])('%s, with %i more of an interval: all of them count', (misfire, others, missed) => {
    const due = judge(misfire, others * MINUTE + GRACE + 1)
    expect(due).toEqual({ fires: misfire === 'coalesce', nextAt: NOW + (others + 1) * MINUTE, missed })
  })

  test.each<[Misfire, number, object]>([
    ['coalesce', 100, { occurrence: NOW + MINUTE, count: 100 }],
    ['coalesce', 101, { occurrence: NOW + MINUTE, count: 100, more: true }],
    ['skip', 100, { occurrence: NOW, count: 101 }],
    ['skip', 101, { occurrence: NOW, count: 101, more: true }],
  ])('%s, with %i more that nobody has counted: the log says whether these are all', (misfire, others, missed) => {
    const due = judge(misfire, others * MINUTE + GRACE + 1, everyMinute)
    expect(due).toEqual({ fires: misfire === 'coalesce', nextAt: NOW + (others + 1) * MINUTE, missed })
  })

  test.each<[Misfire, object]>([
    ['coalesce', { fires: true, missed: { occurrence: NOW + MINUTE, count: 2_000, more: true } }],
    ['skip', { fires: false, missed: { occurrence: NOW, count: 2_001, more: true } }],
  ])('%s, with others that have been counted: it goes on after them', (misfire, due) => {
    const state = waiting({ schedule: everyMinute, misfire })
    const others = { until: NOW + 3_000 * MINUTE, count: 2_000, more: true }
    const now = others.until + 2 * MINUTE
    expect(judgeDue(state, now, others)).toEqual({ ...due, nextAt: others.until + MINUTE })
  })

  test('may have others with it that are to be counted, unless each one fires', () => {
    const until = (misfire: Misfire, ms: number): number | undefined => missedUntil(waiting({ misfire }), NOW + ms)
    expect(until('coalesce', late)).toBe(NOW + late)
    expect(until('skip', late + 7)).toBe(NOW + 7)
    expect(until('all', DAY)).toBeUndefined()
    expect(until('coalesce', GRACE)).toBeUndefined()
    expect(missedUntil(waiting({ schedule: { kind: 'at', at: NOW, lateMs: 0 } }), NOW + DAY)).toBeUndefined()
  })

  test('is the last one of its schedule', () => {
    // Where dates end.
    const last = 8.64e15
    const state = { ...waiting({ schedule: { kind: 'every', when: '1d', everyMs: DAY } }), nextAt: last }
    expect(judgeDue(state, last + DAY)).toEqual({ fires: true, nextAt: undefined, missed: undefined })
  })
})

describe('a one-shot', () => {
  const once = (lateMs: number | null): Waiting => waiting({ schedule: { kind: 'at', at: NOW, lateMs } })
  test.each([
    [0, 0, true],
    [0, 1, false],
    [DAY, DAY, true],
    [DAY, DAY + 1, false],
    [null, 1_000 * DAY, true],
  ])('that may be %s ms late and is %i ms late fires: %s', (lateMs, late, fires) => {
    const missed = fires ? undefined : { occurrence: NOW }
    expect(judgeDue(once(lateMs), NOW + late)).toEqual({ fires, nextAt: undefined, missed })
  })

  test('is done when it has fired, and when it came too late; by hand it fires besides', () => {
    const state = once(DAY)
    const fired: TriggerFired = { occurrence: NOW, jobId: 'j', by: 'time' }
    expect(decide.fire(state, fired, '"p"')).toEqual([
      { stream: 'trigger-t1', type: 'TriggerFired', data: fired, body: '"p"' },
      { stream: 'trigger-t1', type: 'TriggerRemoved', data: { by: 'done' } },
    ])
    expect(decide.fire(state, { ...fired, by: 'hand' }).map(({ type }) => type)).toEqual(['TriggerFired'])
    const missed: TriggerMissed = { occurrence: NOW, reason: 'late', by: 'time' }
    expect(decide.miss(state, missed).map(({ type }) => type)).toEqual(['TriggerMissed', 'TriggerRemoved'])
    expect(decide.miss(state, { occurrence: NOW, reason: 'loop' }).map(({ type }) => type)).toEqual(['TriggerMissed'])
    expect(decide.fire(waiting({}), fired).map(({ type }) => type)).toEqual(['TriggerFired'])
  })
})

/** What time has made of a trigger. */
interface Course {
  readonly state: TriggerState
  readonly fired: { readonly occurrence: number; readonly at: number }[]
  readonly missed: {
    readonly occurrence: number
    readonly count: number
    readonly more: boolean
    readonly at: number
  }[]
}

/** All that is due at this instant, as a runtime would see to it. */
function upTo({ state, fired, missed }: Course, at: number): Course {
  let course: Course = { state, fired, missed }
  for (let due = dueAt(course.state); due !== undefined && due <= at; due = dueAt(course.state)) {
    course = step(course, { ...course.state, nextAt: due }, at)
  }
  return course
}

function step({ fired, missed }: Course, state: Waiting, at: number): Course {
  const { nextAt: occurrence } = state
  const due = judgeDue(state, at)
  const next = due.nextAt === undefined ? {} : { nextAt: due.nextAt }
  const more = due.missed && { occurrence: due.missed.occurrence, count: due.missed.count ?? 1 }
  const facts = due.fires ? [] : [{ reason: 'late', by: 'time', ...next, ...more, occurrence } as const]
  const others: TriggerMissed[] = due.fires && more !== undefined ? [{ reason: 'late', ...more }] : []
  const drafts: Draft[] = [...others, ...facts].flatMap((missing) => decide.miss(state, missing))
  if (due.fires) drafts.push(...decide.fire(state, { occurrence, jobId: `${occurrence}`, by: 'time', ...next }))
  return {
    state: evolved(drafts, state, at),
    fired: due.fires ? [...fired, { occurrence, at }] : fired,
    missed: more === undefined ? missed : [...missed, { ...more, more: due.missed?.more === true, at }],
  }
}

const schedules: fc.Arbitrary<Schedule> = fc.oneof(
  fc
    .integer({ min: 1, max: 90 })
    .map((seconds): Schedule => ({ kind: 'every', when: `${seconds}s`, everyMs: seconds * SECOND })),
  fc
    .constantFrom('*/7 * * * * *', '* * * * *', '*/5 * * * *', '59 59 * * * *', '30 2 * * *')
    .chain((when) =>
      fc
        .constantFrom('UTC', 'Europe/Berlin', 'America/New_York')
        .map((timezone): Schedule => ({ kind: 'cron', when, timezone })),
    ),
  fc.constant<Schedule>({ kind: 'hourly', when: '', cron: '17 42 * * * *' }),
)

/** When somebody looks: time goes on, now and then for long, and sometimes the clock is put back. */
const looks = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 3 * SECOND }) },
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 10 * MINUTE }) },
    { weight: 2, arbitrary: fc.integer({ min: -5 * MINUTE, max: 0 }) },
  ),
  { minLength: 1, maxLength: 12 },
)

/** Around the night in which clocks there are put back. */
const begins = fc.integer({ min: Date.UTC(2026, 9, 25), max: Date.UTC(2026, 9, 25, 2) })

/** Every occurrence up to the latest look, each on its own. */
function passed(schedule: Schedule, begin: number, waits: readonly number[]): number[] {
  let [now, latest] = [begin, begin]
  for (const wait of waits) {
    now += wait
    latest = Math.max(latest, now)
  }
  const occurrences: number[] = []
  for (
    let next = firstOccurrence(schedule, begin);
    next !== undefined && next <= latest;
    next = nextOccurrence(schedule, next)
  )
    occurrences.push(next)
  return occurrences
}

function live(schedule: Schedule, misfire: Misfire, begin: number, waits: readonly number[]): Course {
  const facts = { schedule, type: 'mail', ...(misfire !== 'coalesce' && { misfire }) }
  const { drafts } = decide.add(TRIGGER, undefined, { facts, payload: undefined }, false, begin)
  let course: Course = { state: evolved(drafts, undefined, begin), fired: [], missed: [] }
  let now = begin
  for (const wait of waits) {
    now += wait
    const before = course.state.nextAt as number
    course = upTo(course, now)
    expect(course.state.nextAt).toBeGreaterThanOrEqual(before)
  }
  return course
}

/** Numbers of occurrences, and whether they are all. */
const sum = ({ fired, missed }: Course): number => fired.length + missed.reduce((total, { count }) => total + count, 0)

describe('whatever the clock does', { timeout: 0 }, () => {
  test('with `all` each occurrence fires once, in order', () => {
    fc.assert(
      fc.property(schedules, begins, looks, (schedule, begin, waits) => {
        const { fired, missed } = live(schedule, 'all', begin, waits)
        expect(fired.map(({ occurrence }) => occurrence)).toEqual(passed(schedule, begin, waits))
        expect(missed).toEqual([])
      }),
    )
  })

  test('with `coalesce` each has fired or is counted as missed, and what fires in time misses nothing', () => {
    fc.assert(
      fc.property(schedules, begins, looks, (schedule, begin, waits) => {
        const course = live(schedule, 'coalesce', begin, waits)
        const all = passed(schedule, begin, waits)
        if (!course.missed.some(({ more }) => more)) expect(sum(course)).toBe(all.length)
        else expect(sum(course)).toBeLessThan(all.length)
        for (const { occurrence, at } of course.missed) expect(at - occurrence).toBeGreaterThanOrEqual(0)
        for (const each of course.fired) expect(all).toContain(each.occurrence)
        expect(course.state).toMatchObject({ fired: course.fired.length, missed: sum(course) - course.fired.length })
      }),
    )
  })

  test('with `skip` none fires that is late, and none is missed that is not', () => {
    fc.assert(
      fc.property(schedules, begins, looks, (schedule, begin, waits) => {
        const course = live(schedule, 'skip', begin, waits)
        const all = passed(schedule, begin, waits)
        for (const { occurrence, at } of course.fired) expect(at - occurrence).toBeLessThanOrEqual(GRACE)
        for (const { occurrence, at } of course.missed) expect(at - occurrence).toBeGreaterThan(GRACE)
        if (!course.missed.some(({ more }) => more)) expect(sum(course)).toBe(all.length)
        else expect(sum(course)).toBeLessThan(all.length)
      }),
    )
  })

  test('a pause makes up for nothing, and puts nothing off: after it the same occurrences follow', () => {
    fc.assert(
      fc.property(schedules, begins, looks, looks, (schedule, begin, before, during) => {
        const { state } = live(schedule, 'all', begin, before)
        const now = [...before, ...during].reduce((at, wait) => at + wait, begin)
        const paused = evolved(decide.pause(TRIGGER, state, undefined), state, now)
        expect(dueAt(paused)).toBeUndefined()
        const resumed = evolved(decide.resume(TRIGGER, paused, now), paused, now)
        const next = state.nextAt as number
        expect(resumed.nextAt).toBe(next > now ? next : nextOccurrence(schedule, next, now))
        expect(resumed.nextAt as number).toBeGreaterThan(now)
      }),
    )
  })
})
