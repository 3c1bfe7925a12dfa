/** What a test ledger says of the jobs that were enqueued. */
import { expect, test, vi } from 'vitest'
import { testLedger } from '../../adapters/testing/index.js'
import type { JobContext } from '../../runtime/work/run/context.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { LogLine } from '../engine/support.js'
import { listeningLogger } from '../engine/support.js'

const mail = defineJob({ type: 'mail', handle: (to: string) => `to ${to}` })
const bill = defineJob({
  type: 'bill',
  handle: (name: string, ctx: JobContext) => ctx.ledger.enqueue(mail, name).then(() => undefined),
})
const jobs = [mail, bill]

test('of an empty ledger', async () => {
  await using ledger = await testLedger({ jobs })
  expect([ledger.empty(), ledger.notEmpty(), ledger.total(0), ledger.total(1)]).toEqual([true, false, true, false])
  expect([ledger.contains('mail'), ledger.notContains('mail')]).toEqual([false, true])
  expect(ledger.jobs()).toEqual([])
  expect([ledger.getFirst(), ledger.get(1), ledger.getFirstOf(mail), ledger.getOf(mail, 1)]).toEqual(
    Array(4).fill(undefined),
  )
})

test('of one with jobs, whoever has enqueued them and whatever became of them', async () => {
  await using ledger = await testLedger({ jobs })
  await ledger.enqueueMany([
    { job: mail, payload: 'ann' },
    { job: bill, payload: 'bob' },
  ])
  await ledger.drain()
  await ledger.enqueue(mail, 'cid')
  expect([ledger.empty(), ledger.notEmpty(), ledger.total(4), ledger.total(3)]).toEqual([false, true, true, false])
  for (const type of [mail, 'mail']) {
    expect([ledger.contains(type), ledger.notContains(type)]).toEqual([true, false])
    expect([ledger.contains('letter'), ledger.notContains('letter')]).toEqual([false, true])
  }
  expect(ledger.jobs().map(({ type, payload }) => [type, payload])).toEqual([
    ['mail', 'ann'],
    ['bill', 'bob'],
    ['mail', 'bob'],
    ['mail', 'cid'],
  ])
})

test('jobs are found by their position, from 1, among all and among those of a type', async () => {
  await using ledger = await testLedger({ jobs })
  for (const [job, payload] of [
    [mail, 'ann'],
    [bill, 'bob'],
    [mail, 'cid'],
  ] as const)
    await ledger.enqueue(job, payload)
  const payloads = (...found: ({ readonly payload: unknown } | undefined)[]): unknown[] =>
    found.map((job) => job?.payload)
  expect(payloads(ledger.getFirst(), ledger.get(1), ledger.get(2), ledger.get(3))).toEqual(['ann', 'ann', 'bob', 'cid'])
  expect(payloads(ledger.get(4), ledger.get(0), ledger.get(-1))).toEqual(Array(3).fill(undefined))
  expect(payloads(ledger.getFirstOf('mail'), ledger.getFirstOf(bill), ledger.getFirstOf('letter'))).toEqual([
    'ann',
    'bob',
    undefined,
  ])
  expect(payloads(ledger.getOf(mail, 1), ledger.getOf(mail, 2), ledger.getOf(mail, 3))).toEqual([
    'ann',
    'cid',
    undefined,
  ])
})

test('a job is shown as it was enqueued', async () => {
  await using ledger = await testLedger({ jobs })
  const first = await ledger.as({ user: 'eve' }).enqueue(mail, 'ann')
  await ledger.enqueue(bill, 'bob', {
    ...{ id: 'b', queue: 'q', channel: 'c', name: 'n', priority: 'low', delay: '1m', held: true },
    dependsOn: [first.id],
  })
  const [a, b] = ledger.jobs()
  const now = ledger.clock.now()
  expect(a).toEqual({
    ...{ id: first.id, type: 'mail', queue: 'default', channel: '', priority: 0, payload: 'ann', queuedAt: now },
    ...{ held: false, dependsOn: [], user: 'eve' },
  })
  expect(b).toEqual({
    ...{ id: 'b', type: 'bill', queue: 'q', channel: 'c', name: 'n', priority: 1, payload: 'bob', queuedAt: now },
    ...{ runAt: now + 60_000, held: true, dependsOn: [first.id] },
  })
})

test('and with what was changed while it waited', async () => {
  await using ledger = await testLedger({ jobs })
  const unique = { key: 'k', onDuplicate: 'replace' } as const
  const { id } = await ledger.enqueue(mail, 'ann', { delay: '1m', unique })
  await ledger.enqueue(mail, 'bob', { delay: '2m', unique })
  await ledger.reschedule(id, { priority: 7 })
  expect(ledger.jobs()).toEqual([
    expect.objectContaining({ id, payload: 'bob', priority: 7, runAt: ledger.clock.now() + 120_000 }),
  ])
})

test('a false answer with a message is reported with what is there, a true one is not', async () => {
  const report = vi.fn()
  await using ledger = await testLedger({ jobs, report })
  ledger.notEmpty('nothing was sent')
  ledger.contains(mail, 'no mail')
  await ledger.enqueue(mail, 'ann')
  await ledger.enqueue(mail, 'bob')
  await ledger.enqueue(bill, 'cid')
  for (const isSo of [
    ledger.contains(mail, 'm'),
    ledger.notContains('letter', 'm'),
    ledger.notEmpty('m'),
    ledger.total(3, 'm'),
  ])
    expect(isSo).toBe(true)
  ledger.contains('letter', 'no letter')
  ledger.notContains('bill', 'a bill')
  ledger.empty('not empty')
  ledger.total(1, 'too many')
  ledger.total(2)
  const there = '3 jobs (2 x mail, 1 x bill)'
  expect(report.mock.calls.flat()).toEqual([
    'nothing was sent: expected at least one job to have been enqueued, found no job.',
    'no mail: expected a job of type "mail" to have been enqueued, found no job.',
    `no letter: expected a job of type "letter" to have been enqueued, found ${there}.`,
    `a bill: expected no job of type "bill" to have been enqueued, found ${there}.`,
    `not empty: expected no job to have been enqueued, found ${there}.`,
    `too many: expected 1 job to have been enqueued, found ${there}.`,
  ])
})

test('a report goes to the logger, without one to the console; one that throws fails the test', async () => {
  const lines: LogLine[] = []
  await using logging = await testLedger({ logger: listeningLogger(lines) })
  expect(logging.notEmpty('nothing')).toBe(false)
  expect(lines).toMatchObject([{ level: 'error', message: expect.stringMatching(/^nothing: /) }])

  const toConsole = vi.spyOn(console, 'error').mockImplementation(() => {})
  await using silent = await testLedger()
  expect(silent.notEmpty('nothing')).toBe(false)
  expect(toConsole.mock.calls).toEqual([[expect.stringMatching(/^nothing: /)]])
  toConsole.mockRestore()

  const report = (text: string): never => {
    throw new Error(text)
  }
  await using strict = await testLedger({ report })
  expect(() => strict.notEmpty('nothing')).toThrow('nothing: ')
})

test('what cannot be asked is refused by its name', async () => {
  await using ledger = await testLedger()
  const wrong: [() => unknown, string][] = [
    [() => ledger.contains(undefined as never), 'contains.type'],
    [() => ledger.notContains({} as never), 'notContains.type'],
    [() => ledger.total(1.5), 'total.count'],
    [() => ledger.total(-1), 'total.count'],
    [() => ledger.get(1.5), 'get.position'],
    [() => ledger.get('1' as never), 'get.position'],
    [() => ledger.getOf(mail, Number.NaN), 'getOf.position'],
    [() => ledger.getOf(7 as never, 1), 'getOf.type'],
    [() => ledger.getFirstOf(null as never), 'getFirstOf.type'],
  ]
  for (const [ask, option] of wrong)
    expect(ask).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', option }) as Error)
})
