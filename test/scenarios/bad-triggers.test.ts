/** Jobs that say that the trigger which made them makes no sense. */
import { expect } from 'vitest'
import { defineJob } from '../../runtime/work/run/definition.js'
import { BadTrigger } from '../../runtime/work/run/handler-errors.js'
import { rejection } from '../engine/support.js'
import { standing } from './acts.js'
import { scenario } from './scenario.js'
import { firings, toldOf } from './trigger-acts.js'

const picky = defineJob<string, string>({
  type: 'picky',
  handle(payload) {
    if (payload === 'bad') throw new BadTrigger('no such calendar')
    return payload
  },
})
const EVERY = { id: 'every', kind: 'every', when: '1m', job: picky, payload: 'bad' } as const

scenario([27, 66, '002.50'], 'such a job ends as failed, and its trigger is removed', async (world) => {
  const ledger = await world.open({ jobs: [picky] })
  await ledger.start()
  await ledger.triggers.add(EVERY)
  await ledger.triggers.add({ ...EVERY, id: 'good', payload: 'good' })
  await world.clock.advance('5m')
  const [job] = await ledger.triggers.jobs('every')
  expect(await ledger.status(job?.id as string)).toMatchObject({
    ...{ state: 'failed', run: 1, error: 'BadTrigger', errorMessage: 'no such calendar' },
  })
  expect(await firings(world, 'every')).toEqual(['01-01 00:01:00'])
  expect(await toldOf(world, 'every', 'TriggerRemoved')).toEqual([{ by: 'bad-trigger', jobId: job?.id }])
  expect(await rejection(ledger.triggers.get('every'))).toMatchObject({ code: 'TRIGGER_UNKNOWN' })
  expect(world.log).toContainEqual({
    ...{ level: 'warn', message: 'trigger removed: its job says that it makes no sense' },
    facts: expect.objectContaining({ triggerId: 'every', jobId: job?.id }),
  })
  expect(await firings(world, 'good')).toHaveLength(5)
})

scenario([27, 66, '002.50'], 'one that has been changed since, or added anew, is left alone', async (world) => {
  const runs = standing('slow', { maxAttempts: 1 })
  const ledger = await world.open({ jobs: [runs.job] })
  await ledger.start()
  for (const id of ['changed', 'anew'])
    await ledger.triggers.add({ id, kind: 'every', when: '1h', job: runs.job, payload: 1 })
  for (const id of ['changed', 'anew']) await ledger.triggers.fire(id)
  await runs.started(1)
  await world.clock.advance('1s')
  await ledger.triggers.update('changed', { payload: 2 })
  await ledger.triggers.remove('anew')
  await ledger.triggers.add({ id: 'anew', kind: 'every', when: '1h', job: runs.job, payload: 1 })
  for (const n of [0, 1]) runs.finish(n, Promise.reject(new BadTrigger('as it was')))
  await world.clock.advance('10s')
  for (const id of ['changed', 'anew']) {
    expect(await ledger.triggers.jobs(id)).toMatchObject([{ state: 'failed', error: 'BadTrigger' }])
    expect(await ledger.triggers.get(id)).toMatchObject({ status: 'active' })
  }
})

scenario([27, 66, '002.50'], 'also where another process has to do it, later', async (world) => {
  const first = await world.open({ jobs: [picky], scheduler: false })
  await first.start()
  await first.triggers.add(EVERY)
  const { jobId } = await first.triggers.fire('every')
  await first.result(jobId).catch(() => {})
  await world.close(first)
  const second = await world.open()
  await world.clock.advance('10s')
  expect(await second.triggers.list()).toEqual([])
  expect(await toldOf(world, 'every', 'TriggerRemoved')).toEqual([{ by: 'bad-trigger', jobId }])
})
