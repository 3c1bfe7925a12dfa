/** What a trigger's events make of it, beyond what its machine says. */
import { describe, expect, test } from 'vitest'
import type { Draft } from '../../../domain/event.js'
import type { TriggerFired, TriggerMissed } from '../../../domain/trigger/events.js'
import { dueAt, evolveTrigger } from '../../../domain/trigger/evolve.js'
import { NOW } from '../support/jobs.js'
import { added, EVERY_MINUTE, evolved, stamped, told } from '../support/triggers.js'

const MINUTE = 60_000
const waits = added(EVERY_MINUTE, NOW)
const fired = (facts: Partial<TriggerFired> = {}): Draft =>
  told('TriggerFired', { occurrence: NOW, jobId: 'j1', by: 'time', ...facts })
const missed = (facts: Partial<TriggerMissed> = {}): Draft =>
  told('TriggerMissed', { occurrence: NOW, reason: 'late', ...facts })
const opened = told('DebounceOpened', { by: 'time', until: NOW + 9, combine: 'drop', nextAt: NOW + MINUTE })

describe('the next instant', () => {
  test.each<[string, Draft, number | undefined]>([
    ['moves with what fires by time', fired({ nextAt: NOW + MINUTE }), NOW + MINUTE],
    ['is gone with the last one that does', fired(), undefined],
    ['stays with what fires by hand', fired({ by: 'hand' }), NOW],
    ['moves with what is missed in the place of a firing', missed({ by: 'time', nextAt: NOW + MINUTE }), NOW + MINUTE],
    ['stays with what else is missed', missed(), NOW],
    ['stays with what is missed at the request of somebody', missed({ by: 'hand', reason: 'refused' }), NOW],
    ['moves with what time puts into a window', opened, NOW + MINUTE],
    ['is gone with the trigger', told('TriggerRemoved', { by: 'done' }), undefined],
  ])('%s', (_, draft, nextAt) => expect(evolved([draft], waits).nextAt).toBe(nextAt))

  test('of a window that ends is as the window has left it', () => {
    const open = evolved([opened], waits)
    expect(evolved([fired({ collected: 1, occurrence: NOW + 9 })], open)).toMatchObject({ nextAt: NOW + MINUTE })
    expect(evolved([fired({ collected: 1 })], open).window).toBeUndefined()
  })
})

describe('what it remembers', () => {
  test('are its firings, its misses, and the last of either', () => {
    const state = evolved([fired(), missed({ count: 3 }), missed()], waits, NOW + 5)
    expect(state).toMatchObject({ fired: 1, missed: 4, last: { at: NOW + 5, missed: 'late' } })
    expect(state.last).not.toHaveProperty('jobId')
    expect(evolved([missed({ reason: 'duplicate', jobId: 'j0' })], state).last).toEqual({
      ...{ at: NOW, missed: 'duplicate', jobId: 'j0' },
    })
    expect(evolved([fired({ by: 'hand' })], state).last).toEqual({ at: NOW, jobId: 'j1' })
  })

  test('is the last miss also after a firing or a change, and whether all that it has missed was counted', () => {
    const lastMissed = { at: NOW, reason: 'late' }
    const state = evolved([missed({ count: 3 }), fired()], waits)
    expect(state).toMatchObject({ missed: 3, lastMissed, last: { jobId: 'j1' } })
    expect(state).not.toHaveProperty('missedMore')
    const more = evolved([missed({ count: 3, more: true }), missed({ reason: 'loop' }), fired()], state, NOW + 5)
    expect(more).toMatchObject({ missed: 7, missedMore: true, lastMissed: { at: NOW + 5, reason: 'loop' } })
    const changed = evolved([told('TriggerUpdated', EVERY_MINUTE)], more)
    expect(changed).toMatchObject({ missed: 7, missedMore: true, lastMissed: { at: NOW + 5, reason: 'loop' } })
  })

  test('is JSON: a checkpoint gives back the same', () => {
    const paused = told('TriggerPaused', { reason: 'disk' })
    const state = evolved([fired({ source: 's' }), opened, paused], waits)
    expect(JSON.parse(JSON.stringify(state))).toStrictEqual(state)
  })
})

describe('a window', () => {
  test('is told by the revision of what opened it, and is due when it ends, whichever comes first', () => {
    const state = evolveTrigger(waits, stamped(opened, NOW, 17))
    expect([state.window?.revision, dueAt(state)]).toEqual([17, NOW + 9])
    const long = told('DebounceOpened', { by: 'webhook', until: NOW + 9, combine: 'drop' })
    expect(dueAt(evolved([long], waits))).toBe(NOW)
  })

  test('is closed by the firing that collects it, or by what is missed in its place, and by nothing else', () => {
    const open = evolved([opened], waits)
    for (const draft of [fired({ by: 'hand' }), missed(), told('TriggerUpdated', EVERY_MINUTE)])
      expect(evolved([draft], open).window, draft.type).toEqual(open.window)
    expect(evolved([missed({ reason: 'refused', closes: true })], open).window).toBeUndefined()
  })
})
