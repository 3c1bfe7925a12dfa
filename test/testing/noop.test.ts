/** A ledger that says yes and keeps nothing. */
import { expect, test } from 'vitest'
import { noopLedger } from '../../adapters/testing/index.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { listeningLogger, rejection } from '../engine/support.js'

const echo = defineJob({ type: 'echo', handle: (value: unknown) => value })

test('every enqueue is answered, whatever it hangs on', async () => {
  const ledger = await noopLedger({ jobs: [echo] })
  const first = await ledger.enqueue(echo, 1)
  expect(first).toMatchObject({ outcome: 'created', id: expect.stringMatching(/^[\da-f-]{36}$/) })
  expect(await ledger.enqueue(echo, 1, { id: 'a' })).toMatchObject({ id: 'a', outcome: 'created' })
  expect(await ledger.enqueue(echo, 2, { id: 'a' })).toMatchObject({ id: 'a', outcome: 'created' })
  for (let time = 0; time < 2; time += 1) {
    expect(await ledger.enqueue(echo, 1, { unique: { key: 'k', window: '1h' } })).toMatchObject({ outcome: 'created' })
  }
  const dependsOn = [first.id, { id: 'gone', otherwise: 'cancel' as const }]
  expect(await ledger.enqueue(echo, 1, { dependsOn })).toMatchObject({ outcome: 'created' })
  const many = await ledger.as({ user: 'eve' }).enqueueMany([
    { job: echo, payload: 1, options: { dependsOn } },
    { job: echo, payload: 2 },
  ])
  expect(many.map(({ outcome }) => outcome)).toEqual(['created', 'created'])
  const inside = ledger.tx({ any: 'handle' })
  expect(inside.enqueue(echo, 1, { dependsOn })).toMatchObject({ outcome: 'created' })
  expect(inside.enqueueMany([{ job: echo, payload: 1, options: { dependsOn } }])).toHaveLength(1)
})

test('it knows of none afterwards', async () => {
  const ledger = await noopLedger({ jobs: [echo] })
  const job = await ledger.enqueue(echo, 1)
  const deeds = [
    () => job.result(),
    () => ledger.status(job.id),
    () => ledger.history(job.id),
    () => ledger.cancel(job.id),
    () => ledger.retry(job.id),
    () => ledger.reschedule(job.id, { delay: '1m' }),
  ]
  for (const deed of deeds) expect(await rejection(deed())).toMatchObject({ code: 'JOB_UNKNOWN', jobId: job.id })
  expect(await ledger.list()).toEqual({ jobs: [] })
  expect(await ledger.queues.stats()).toEqual({})
  expect((await ledger.deadLetters.list()).jobs).toEqual([])
})

test('what is wrong is refused as ever', async () => {
  const ledger = await noopLedger({ jobs: [echo], strict: true })
  expect(await rejection(ledger.enqueue(echo, undefined))).toMatchObject({ code: 'INVALID_PAYLOAD' })
  expect(await rejection(ledger.enqueue(echo, 1, { priority: 1.5 }))).toMatchObject({ option: 'enqueue.priority' })
  expect(await rejection(ledger.enqueue(defineJob({ type: 'other' }), 1))).toMatchObject({ code: 'UNKNOWN_TYPE' })
  expect(await rejection(ledger.enqueueMany('all' as never))).toMatchObject({ option: 'enqueueMany' })
  expect(await rejection(ledger.enqueueMany([null as never]))).toMatchObject({ option: 'enqueueMany[0]' })
  expect(await rejection(noopLedger({ jobs: 'all' as never }))).toMatchObject({ option: 'openLedger.jobs' })
})

test('it can be started and closed like any, and says nothing about it', async () => {
  const lines: object[] = []
  const ledger = await noopLedger({ jobs: [echo], logger: listeningLogger(lines as never) })
  expect(await ledger.start()).toBe(true)
  expect(await ledger.start()).toBe(false)
  await ledger.enqueue(echo, 1)
  expect(await ledger.as({ user: 'eve' }).start()).toBe(false)
  await ledger.close()
  expect(await rejection(ledger.start())).toMatchObject({ code: 'LEDGER_CLOSED' })
  expect(await rejection(ledger.enqueue(echo, 1))).toMatchObject({ code: 'LEDGER_CLOSED' })
  expect(lines).toEqual([])
})
