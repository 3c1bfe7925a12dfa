/** Triggers fired by somebody, and when they would fire by themselves. */
import { expect } from 'vitest'
import { scenario } from './scenario.js'
import { firings, noted, shown, tick, toldOf } from './trigger-acts.js'

scenario(
  [66, 15, '002.38'],
  'fired by hand it makes a job of the manual lane, now, and its next instant stays',
  async (world) => {
    const { job, notes } = noted()
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    await ledger.triggers.add({ id: 'every', kind: 'every', when: '10m', job, payload: 'own' })
    await world.clock.advance('3m')
    const occurrence = world.clock.now()
    const { jobId } = await ledger.as({ user: 'ada' }).triggers.fire('every')
    await ledger.result(jobId)
    expect(await ledger.status(jobId)).toMatchObject({
      manual: true,
      user: 'ada',
      trigger: { id: 'every', occurrence },
    })
    const other = await ledger.triggers.fire('every', { payload: 'another', manual: false })
    await ledger.result(other.jobId)
    expect(notes).toEqual([
      { payload: 'own', manual: true, trigger: { id: 'every', occurrence } },
      { payload: 'another', manual: false, trigger: { id: 'every', occurrence } },
    ])
    await world.clock.advance('10m')
    expect(await firings(world, 'every')).toEqual(['01-01 00:03:00', '01-01 00:03:00', '01-01 00:10:00'])
    expect((await toldOf(world, 'every', 'TriggerFired')).map(({ by }) => by)).toEqual(['hand', 'hand', 'time'])
    expect(await ledger.triggers.state('every')).toMatchObject({ lastManual: { jobId } })
  },
)

scenario(
  [66, '002.38'],
  'every kind can be fired by hand, also while it is paused, and without its window',
  async (world) => {
    const ledger = await world.open()
    const base = { job: tick, payload: null }
    const triggers = [
      { ...base, kind: 'cron', when: '@yearly' },
      { ...base, kind: 'at', when: '2027-01-01T00:00:00Z' },
      { ...base, kind: 'in', when: '1w' },
      { ...base, kind: 'weekly' },
      { ...base, kind: 'event', when: 'orders', debounce: '1h' },
      { ...base, kind: 'webhook', debounce: '1h' },
      { ...base, kind: 'client' },
    ] as const
    for (const trigger of triggers) {
      await ledger.triggers.add({ id: trigger.kind, ...trigger })
      const { jobId } = await ledger.triggers.fire(trigger.kind)
      await ledger.triggers.pause(trigger.kind)
      const again = await ledger.triggers.fire(trigger.kind)
      expect((await ledger.triggers.jobs(trigger.kind)).map(({ id }) => id)).toEqual([again.jobId, jobId])
      // Also a one-shot is still there: its own instant has not come.
      expect(await ledger.triggers.get(trigger.kind)).toMatchObject({ status: 'paused' })
    }
  },
)

scenario([66], 'when it fires next is told, and when one would that is not added', async (world) => {
  const { triggers } = await world.open()
  const times = { kind: 'cron', when: '0 8 * * MON' } as const
  const mondays = ['01-05 08:00:00', '01-12 08:00:00', '01-19 08:00:00', '01-26 08:00:00', '02-02 08:00:00']
  expect(triggers.preview(times).map(shown)).toEqual(mondays)
  expect(triggers.preview(times, 2).map(shown)).toEqual(mondays.slice(0, 2))
  expect(triggers.preview({ ...times, timezone: 'Asia/Tokyo' }, 1).map(shown)).toEqual(['01-04 23:00:00'])
  expect(triggers.preview({ kind: 'every', when: '90m' }, 3).map(shown)).toEqual([
    '01-01 01:30:00',
    '01-01 03:00:00',
    '01-01 04:30:00',
  ])
  expect(triggers.preview({ kind: 'in', when: '1h' }).map(shown)).toEqual(['01-01 01:00:00'])
  expect(triggers.preview({ kind: 'at', when: '2026-03-01T00:00:00Z' }).map(shown)).toEqual(['03-01 00:00:00'])
  expect(triggers.preview({ kind: 'webhook' })).toEqual([])
  expect(triggers.preview({ kind: 'event', when: 'orders' })).toEqual([])
  expect(await triggers.list()).toEqual([])
  await triggers.add({ ...times, id: 'mondays', job: tick, payload: null })
  expect((await triggers.next('mondays')).map(shown)).toEqual(mondays)
  expect(await triggers.next('mondays', 1_000)).toHaveLength(1_000)
  await triggers.add({ id: 'in', kind: 'in', when: '1h', job: tick, payload: null })
  expect((await triggers.next('in', 10)).map(shown)).toEqual(['01-01 01:00:00'])
})
