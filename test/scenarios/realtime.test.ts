/** What happens to jobs and triggers, told as it happens. */
import { expect } from 'vitest'
import type { RecordedEvent } from '../../domain/event.js'
import type { Ledger } from '../../runtime/ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { rejection } from '../engine/support.js'
import { standing } from './acts.js'
import { work } from './ends.js'
import { watched } from './remote.js'
import { scenario } from './scenario.js'
import { tick } from './trigger-acts.js'

/** Everything that a ledger tells of one stream, from now on. */
function listen(ledger: Ledger, stream: string): RecordedEvent[] {
  const told: RecordedEvent[] = []
  ledger.events$.subscribe((event) => void (event.stream === stream && told.push(event)))
  return told
}

const types = (told: readonly RecordedEvent[]): string[] => told.map(({ type }) => type)

scenario([72, '002.52'], 'each change of a job is told, in every process and in order', async (world) => {
  const flaky = defineJob<null, string>({
    ...{ type: 'flaky', maxAttempts: 2, backoff: { min: '1s', jitter: 'none' } },
    handle(_, { attempt }) {
      if (attempt === 1) throw new Error('once')
      return 'done'
    },
  })
  const [ledger, other] = [await world.open({ jobs: [flaky] }), await world.open()]
  const told = [ledger, other].map((each) => listen(each, 'job-a'))
  await ledger.start()
  await ledger.enqueue(flaky, null, { id: 'a' })
  await world.pass(ledger.result('a'))
  await world.clock.advance('1s')
  const life = ['Queued', 'Leased', 'Failed', 'Retried', 'Leased', 'Finished']
  for (const each of told) {
    expect(types(each)).toEqual(life)
    expect(each.map(({ revision }) => revision)).toEqual(life.map((_, index) => index))
  }
  expect(told[1]?.at(0)?.data).toMatchObject({ type: 'flaky', queue: 'default' })
})

scenario([72, '002.52'], 'and each change of a trigger', async (world) => {
  const [ledger, other] = [await world.open(), await world.open()]
  const told = [ledger, other].map((each) => listen(each, 'trigger-hook'))
  const { triggers } = ledger
  await triggers.add({ id: 'hook', kind: 'webhook', job: tick, debounce: '5s' })
  await triggers.receive('hook', 1)
  await triggers.receive('hook', 2)
  await world.clock.advance('6s')
  await triggers.update('hook', { kind: 'every', when: '10s', payload: 1 })
  await triggers.pause('hook')
  await triggers.resume('hook')
  await triggers.fire('hook')
  await triggers.remove('hook')
  await world.clock.advance('1s')
  const life = [
    ...['TriggerAdded', 'DebounceOpened', 'DebounceCollected', 'TriggerFired', 'TriggerUpdated'],
    ...['TriggerPaused', 'TriggerResumed', 'TriggerFired', 'TriggerRemoved'],
  ]
  for (const each of told) expect(types(each)).toEqual(life)
})

scenario([72, '002.52'], 'a firing is told before its job, and that before what becomes of it', async (world) => {
  const ledger = await world.open({ jobs: [work] as never })
  const told: string[] = []
  ledger.events$.subscribe(({ stream, type }) => {
    if (!stream.startsWith('worker-')) told.push(type)
  })
  await ledger.start()
  await ledger.triggers.add({ id: 'in', kind: 'in', when: '1m', job: work, payload: 'fine' })
  await world.clock.advance('70s')
  expect(told).toEqual(['TriggerAdded', 'TriggerFired', 'TriggerRemoved', 'Queued', 'Leased', 'Finished'])
})

scenario([72, '002.53'], 'who waits for a job is told of its end, whoever runs it', async (world) => {
  const runs = standing()
  const [ledger, other] = [await world.open({ jobs: [runs.job] }), await world.open()]
  await ledger.triggers.add({ id: 'hook', kind: 'webhook', job: runs.job, options: { maxAttempts: 1 } })
  const ids: string[] = []
  for (let n = 0; n < 3; n += 1) ids.push((await other.triggers.receive('hook', n)).jobId as string)
  const waiting = ids.map((id) => watched(other.result(id)))
  await ledger.start()
  await runs.started(2)
  // It does not give up.
  await world.clock.advance('12m')
  expect(waiting.map(({ state }) => state)).toEqual(['pending', 'pending', 'pending'])
  runs.finish(0, 'done')
  runs.finish(1, Promise.reject(new Error('broken')))
  await ledger.cancel(ids[2] as string)
  await world.clock.advance('2s')
  expect(await waiting[0]?.promise).toBe('done')
  expect(await rejection(waiting[1]?.promise as Promise<unknown>)).toMatchObject({ code: 'JOB_FAILED', jobId: ids[1] })
  expect(await rejection(waiting[2]?.promise as Promise<unknown>)).toMatchObject({
    code: 'JOB_CANCELLED',
    jobId: ids[2],
  })
  // One that has ended already is told at once.
  expect(await other.result(ids[0] as string)).toBe('done')
})

scenario([72], 'the telling ends with the ledger', async (world) => {
  const ledger = await world.open()
  let isOver = false
  ledger.events$.subscribe({ complete: () => (isOver = true) })
  await world.close(ledger)
  expect(isOver).toBe(true)
})
