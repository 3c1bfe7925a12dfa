/** What is decided when somebody adds, changes, pauses or removes a trigger, or asks one that waits for more. */
import { describe, expect, test } from 'vitest'
import type { Draft } from '../../../domain/event.js'
import * as decide from '../../../domain/trigger/decide.js'
import type { Combine, TriggerFacts } from '../../../domain/trigger/events.js'
import type { TriggerState } from '../../../domain/trigger/evolve.js'
import { dueAt } from '../../../domain/trigger/evolve.js'
import type { Schedule } from '../../../domain/trigger/schedule.js'
import { toSchedule } from '../../../domain/trigger/schedule.js'
import { NOW } from '../support/jobs.js'
import { added, EVERY_MINUTE, evolved, TRIGGER, told, WEBHOOK } from '../support/triggers.js'

const MINUTE = 60_000
const HOUR = 3_600_000

const scheduleAt = (kind: string, when: string, now: number = NOW): Schedule =>
  toSchedule({ kind, when }, { now, seed: '' }, 'add')
const mail = (schedule: Schedule, more: Partial<TriggerFacts> = {}): TriggerFacts => ({
  schedule,
  type: 'mail',
  ...more,
})
const at = mail({ kind: 'at', at: NOW + HOUR, lateMs: 0 })
const inAnHour = (now: number): TriggerFacts => mail(scheduleAt('in', '1h', now))

/** As a service that starts at `now` says it. */
function say(
  state: TriggerState | undefined,
  facts: TriggerFacts,
  now: number = NOW,
  { payload, same = true }: { readonly payload?: string; readonly same?: boolean } = {},
): { readonly added: decide.Added; readonly drafts: readonly Draft[]; readonly state: TriggerState } {
  const decided = decide.add(TRIGGER, state, { facts, payload }, same, now)
  return { ...decided, state: evolved(decided.drafts, state, now) }
}

const done = (state: TriggerState, now: number): TriggerState =>
  evolved(decide.fire(state, { occurrence: now, jobId: 'j', by: 'time' }), state, now)
const removed = (state: TriggerState): TriggerState => evolved(decide.remove(TRIGGER, { by: 'operator' }), state)

describe('add', () => {
  test.each<[string, TriggerFacts, number | undefined]>([
    ['every', EVERY_MINUTE, NOW + MINUTE],
    ['cron', mail({ kind: 'cron', when: '30 * * * *' }), NOW + 30 * MINUTE],
    ['at', at, NOW + HOUR],
    ['at, long ago', mail({ kind: 'at', at: 5, lateMs: 0 }), 5],
    ['in', inAnHour(NOW), NOW + HOUR],
    ['webhook', WEBHOOK, undefined],
    ['client', mail({ kind: 'client' }), undefined],
  ])('says what it is, and when it fires first: %s', (_, facts, nextAt) => {
    const { added: outcome, drafts } = say(undefined, facts, NOW, { payload: '"p"' })
    const data = nextAt === undefined ? facts : { ...facts, nextAt }
    expect(drafts).toEqual([{ stream: 'trigger-t1', type: 'TriggerAdded', data, body: '"p"' }])
    expect(outcome).toBe('created')
  })

  test('of the same says nothing, however often and whenever', () => {
    const { state } = say(undefined, EVERY_MINUTE)
    expect(say(state, EVERY_MINUTE, NOW + 5 * HOUR)).toMatchObject({ added: 'unchanged', drafts: [] })
    const paused = evolved(decide.pause(TRIGGER, state, undefined), state)
    expect(say(paused, EVERY_MINUTE)).toMatchObject({ added: 'unchanged', drafts: [] })
    const { state: once } = say(undefined, inAnHour(NOW))
    expect(say(once, inAnHour(NOW + MINUTE), NOW + MINUTE)).toMatchObject({ added: 'unchanged', drafts: [] })
  })

  test.each<[string, Partial<TriggerFacts>]>([
    ['schedule', { schedule: scheduleAt('every', '2m') }],
    ['type', { type: 'letter' }],
    ['options', { options: { priority: 3 } }],
    ['defaults', { defaults: { queue: 'post' } }],
    ['misfire', { misfire: 'skip' }],
    ['debounce', { debounce: { ms: 5, combine: 'drop' } }],
  ])('of what differs in its %s takes the place of what was there', (_, change) => {
    const { state } = say(undefined, EVERY_MINUTE)
    const { added: outcome, drafts } = say(state, { ...EVERY_MINUTE, ...change }, NOW + 1)
    expect([outcome, drafts.map(({ type }) => type)]).toEqual(['updated', ['TriggerUpdated']])
    expect(drafts[0]?.data).toMatchObject({ ...change, keepsPayload: true })
  })

  test('with another payload brings it, and with none leaves none', () => {
    const { state } = say(undefined, WEBHOOK, NOW, { payload: '1' })
    const other = say(state, WEBHOOK, NOW, { payload: '2', same: false })
    expect(other.drafts).toEqual([{ stream: 'trigger-t1', type: 'TriggerUpdated', data: WEBHOOK, body: '2' }])
    expect([other.added, other.state.payloadAt]).toEqual(['updated', 1])
    const none = say(state, WEBHOOK, NOW, { same: false })
    expect(none.drafts).toEqual([{ stream: 'trigger-t1', type: 'TriggerUpdated', data: WEBHOOK }])
    expect(none.state.payloadAt).toBe(1)
  })

  test('of another duration moves an `in`; of the same one does not, whatever else has changed', () => {
    const { state } = say(undefined, inAnHour(NOW))
    const later = say(state, mail(scheduleAt('in', '2h', NOW + MINUTE)), NOW + MINUTE)
    expect([later.added, later.state.nextAt]).toEqual(['updated', NOW + MINUTE + 2 * HOUR])
    const other = say(state, { ...inAnHour(NOW + MINUTE), type: 'letter' }, NOW + MINUTE)
    expect([other.added, other.state.nextAt, other.state.schedule]).toEqual(['updated', NOW + HOUR, state.schedule])
  })

  test('after its end: what fires at an instant has fired, and what fires after a time does so again', () => {
    const once = done(say(undefined, at).state, NOW + HOUR)
    expect(say(once, at, NOW + 2 * HOUR)).toMatchObject({ added: 'unchanged', drafts: [] })
    const other = mail({ kind: 'at', at: NOW + 3 * HOUR, lateMs: 0 })
    expect(say(once, other, NOW + 2 * HOUR)).toMatchObject({ added: 'created', state: { nextAt: NOW + 3 * HOUR } })
    const timed = done(say(undefined, inAnHour(NOW)).state, NOW + HOUR)
    const again = say(timed, inAnHour(NOW + 2 * HOUR), NOW + 2 * HOUR)
    expect(again).toMatchObject({ added: 'created', state: { nextAt: NOW + 3 * HOUR, status: 'active' } })
  })

  test.each([
    ['every', EVERY_MINUTE],
    ['at', at],
    ['webhook', WEBHOOK],
  ])('after a removal makes it anew: %s', (_, facts) => {
    const { added: outcome, state } = say(removed(say(undefined, facts).state), facts, NOW + MINUTE)
    expect(outcome).toBe('created')
    expect(state).toMatchObject({ status: 'active', addedAt: NOW + MINUTE, fired: 0, payloadAt: state.revision })
    expect(state.removedBy).toBeUndefined()
  })
})

describe('update', () => {
  const waits = added(EVERY_MINUTE, NOW + 7)

  test('keeps the instant where the times are the same, and makes a new one where they are not', () => {
    const nextAfter = (facts: TriggerFacts): number | undefined =>
      evolved(decide.update(TRIGGER, waits, { facts, payload: undefined }, NOW + 5), waits).nextAt
    expect(nextAfter({ ...EVERY_MINUTE, type: 'letter', misfire: 'all' })).toBe(NOW + 7)
    expect(nextAfter(mail(scheduleAt('every', '2m')))).toBe(NOW + 5 + 2 * MINUTE)
    expect(nextAfter(mail({ kind: 'cron', when: '30 * * * *' }))).toBe(NOW + 30 * MINUTE)
    expect(nextAfter(WEBHOOK)).toBeUndefined()
  })

  test('of an `in` to the same duration begins it again', () => {
    const { state } = say(undefined, inAnHour(NOW))
    const definition = { facts: inAnHour(NOW + MINUTE), payload: undefined }
    expect(evolved(decide.update(TRIGGER, state, definition, NOW + MINUTE), state).nextAt).toBe(NOW + MINUTE + HOUR)
  })

  test('keeps the payload where none is given, and says so', () => {
    const facts = { ...EVERY_MINUTE, type: 'letter' }
    const say = (payload?: string): Draft[] => decide.update(TRIGGER, waits, { facts, payload }, NOW)
    const data = { ...facts, nextAt: NOW + 7 }
    const told = { stream: 'trigger-t1', type: 'TriggerUpdated' }
    expect(say()).toEqual([{ ...told, data: { ...data, keepsPayload: true } }])
    expect(say('2')).toEqual([{ ...told, data, body: '2' }])
    expect([evolved(say(), waits).payloadAt, evolved(say('2'), waits).payloadAt]).toEqual([0, 1])
  })

  test('to what it is already says nothing', () => {
    const say = (facts: TriggerFacts, payload?: string): Draft[] =>
      decide.update(TRIGGER, waits, { facts, payload }, NOW + 5)
    expect(say({ ...EVERY_MINUTE })).toEqual([])
    expect(say(EVERY_MINUTE, '2')).toHaveLength(1)
    for (const more of [{ code: true as const }, { defaults: { queue: 'q' } }, { options: { channel: 'c' } }])
      expect(say({ ...EVERY_MINUTE, ...more })).toHaveLength(1)
  })

  test('leaves a pause, a window and all that has been counted', () => {
    const open = told('DebounceOpened', { by: 'webhook', until: NOW + 9, combine: 'append', bytes: 2 })
    const fired = told('TriggerFired', { occurrence: NOW, jobId: 'j', by: 'hand', source: 's' })
    const before = evolved([open, fired, ...decide.pause(TRIGGER, waits, 'disk')], waits)
    const definition = { facts: mail(scheduleAt('every', '2m')), payload: undefined }
    const state = evolved(decide.update(TRIGGER, before, definition, NOW), before, NOW + 1)
    const { window, pause, status, last, addedAt } = before
    expect(state).toMatchObject({ window, pause, status, last, addedAt, fired: 1, definedAt: NOW + 1 })
    expect(dueAt(state)).toBeUndefined()
  })
})

describe('pause and resume', () => {
  test('say something only where something changes', () => {
    const state = added(EVERY_MINUTE, NOW)
    expect(decide.pause(TRIGGER, state, undefined)).toEqual([told('TriggerPaused', {})])
    expect(decide.resume(TRIGGER, state, NOW)).toEqual([])
    const paused = evolved(decide.pause(TRIGGER, state, 'disk'), state)
    expect(decide.pause(TRIGGER, paused, 'again')).toEqual([])
    expect(paused.pause).toEqual({ at: NOW, reason: 'disk' })
    expect(evolved(decide.resume(TRIGGER, paused, NOW), paused).pause).toBeUndefined()
  })

  test.each<[string, TriggerFacts, number | undefined, number | undefined]>([
    ['to its next occurrence, of what repeats', EVERY_MINUTE, NOW + MINUTE, NOW + HOUR + MINUTE],
    ['as it was, where that is still to come', EVERY_MINUTE, NOW + 2 * HOUR, NOW + 2 * HOUR],
    ['with its instant, of a one-shot', at, NOW + MINUTE, NOW + MINUTE],
    ['without one, where it never had one', WEBHOOK, undefined, undefined],
  ])('an hour later it comes back %s', (_, facts, before, nextAt) => {
    const active = added(facts, before)
    const paused = evolved(decide.pause(TRIGGER, active, undefined), active)
    const state = evolved(decide.resume(TRIGGER, paused, NOW + HOUR), paused)
    expect([state.nextAt, dueAt(state)]).toEqual([nextAt, nextAt])
  })

  test('find a window as they left it: it ends after the pause', () => {
    const open = told('DebounceOpened', { by: 'webhook', until: NOW + 9, combine: 'append' })
    const active = evolved([open], added(WEBHOOK))
    const paused = evolved(decide.pause(TRIGGER, active, undefined), active)
    expect(dueAt(paused)).toBeUndefined()
    const state = evolved(decide.resume(TRIGGER, paused, NOW + HOUR), paused)
    expect([state.window, dueAt(state)]).toEqual([active.window, NOW + 9])
  })
})

describe('collect', () => {
  const waiting = (combine: Combine): Parameters<typeof decide.collect>[0] => {
    const debounce = { ms: 10, combine }
    return { ...added({ ...WEBHOOK, debounce }), debounce }
  }
  const request = { by: 'webhook', bytes: 3 } as const
  const more = { ...request, bytes: 5 }

  test.each<[Combine, boolean, boolean]>([
    ['drop', false, false],
    ['append', true, true],
    ['first', true, false],
  ])('keeps with `%s` what the job will be given: the first %s, one more %s', (combine, first, second) => {
    const state = waiting(combine)
    const [opened] = decide.collect(state, request, '"a"', NOW)
    const facts = { ...(first ? request : { by: 'webhook' }), until: NOW + 10, combine }
    const head = { stream: 'trigger-t1', type: 'DebounceOpened' }
    expect(opened).toEqual({ ...head, data: facts, ...(first && { body: '"a"' }) })
    const open = { ...evolved([opened as Draft], state), debounce: state.debounce }
    const [collected] = decide.collect(open, more, '"b"', NOW + 5)
    expect(collected).toEqual({
      ...{ stream: 'trigger-t1', type: 'DebounceCollected', data: second ? more : { by: 'webhook' } },
      ...(second && { body: '"b"' }),
    })
    const { window } = evolved([collected as Draft], open)
    const bytes = (first ? 3 : 0) + (second ? 5 : 0)
    expect(window).toEqual({ revision: 1, until: NOW + 10, combine, count: 2, bytes, by: 'webhook' })
  })

  test('goes on as the window began, also when the trigger has been changed', () => {
    const state = waiting('append')
    const open = evolved(decide.collect(state, { ...request, manual: true, chain: ['a'] }, '"a"', NOW), state)
    const debounce = { ms: 99, combine: 'drop' } as const
    const definition = { facts: { ...WEBHOOK, debounce }, payload: undefined }
    const changed = { ...evolved(decide.update(TRIGGER, open, definition, NOW), open), debounce }
    const both = evolved(decide.collect(changed, more, '"b"', NOW + 5), changed)
    expect(both.window).toEqual({
      ...{ revision: 1, until: NOW + 10, combine: 'append', count: 2, bytes: 8, by: 'webhook' },
      ...{ manual: true, chain: ['a'] },
    })
  })

  test('by time puts off the next one, and by others leaves it where it is', () => {
    const debounce = { ms: 10, combine: 'first' } as const
    const state = { ...added({ ...EVERY_MINUTE, debounce }, NOW), debounce }
    const timed = evolved(decide.collect(state, { by: 'time', nextAt: NOW + MINUTE }, undefined, NOW), state)
    expect([timed.nextAt, dueAt(timed)]).toEqual([NOW + MINUTE, NOW + 10])
    const asked = evolved(decide.collect(state, { by: 'hand' }, undefined, NOW), state)
    expect([asked.nextAt, dueAt(asked)]).toEqual([NOW, NOW])
  })
})

describe('of one that is not there', () => {
  test.each([
    ['never added', undefined],
    ['removed', removed(added())],
  ])('every verb but `add` is refused: %s', (_, state) => {
    expect(decide.present(TRIGGER, state)).toMatchObject({ code: 'TRIGGER_UNKNOWN' })
  })

  test('what was removed is not due, and remembers who removed it', () => {
    const state = removed(added(EVERY_MINUTE, NOW))
    expect([dueAt(state), state.nextAt, state.removedBy]).toEqual([undefined, undefined, 'operator'])
    expect(() => evolved([told('TriggerPaused', {})], state)).toThrow('TriggerPaused')
  })
})
