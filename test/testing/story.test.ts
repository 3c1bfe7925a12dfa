/** Given this history, when that happens, then these events. */
import { expect, test } from 'vitest'
import type { Outcome } from '../../adapters/testing/index.js'
import {
  cancelled,
  failed,
  failedForGood,
  finished,
  given,
  happened,
  heartbeat,
  leased,
  queued,
  refused,
  released,
  testLedger,
} from '../../adapters/testing/index.js'
import { JobEnded } from '../../domain/rejection.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { rejection } from '../engine/support.js'

const mail = defineJob({ type: 'mail', handle: (to: string) => `to ${to}` })
const jobs = [mail]

/** What a check has to say against an outcome. */
function objection(check: (outcome: Outcome) => unknown, outcome: Outcome): unknown {
  try {
    check(outcome)
  } catch (error) {
    return error
  }
  throw new Error('it has not objected')
}

test('a job that waits or runs is cancelled', async () => {
  await using ledger = await testLedger({ jobs })
  const cancel = (id: string): Promise<boolean> => ledger.cancel(id, { reason: 'typo' })
  const expected = { type: 'Cancelled', data: { by: 'operator', reason: 'typo' } }
  await ledger.given(queued(mail, 'ann')).when(cancel).then(happened(expected))
  const outcome = await ledger.given(queued(mail, 'ann'), leased()).when(cancel)
  happened(expected)(outcome)
  expect(outcome).toEqual({ events: [{ job: ledger.get(2)?.id, ...expected }], answer: true })
})

test('one that has ended is not', async () => {
  await using ledger = await testLedger({ jobs })
  const cancel = (id: string): Promise<boolean> => ledger.cancel(id)
  for (const end of [finished('sent'), cancelled(), failedForGood()]) {
    const start = end === undefined ? [] : [queued(mail, 'ann'), leased(), end]
    await ledger
      .given(...start)
      .when(cancel)
      .then(refused('JOB_ENDED'))
      .then(refused(JobEnded))
  }
  const ignoring = ledger.given(queued(mail, 'ann'), leased(), finished())
  await ignoring.when((id) => ledger.cancel(id, { ifEnded: 'ignore' })).then(happened())
})

test('every kind of past is one that the engine knows', async () => {
  await using ledger = await testLedger({ jobs })
  const past = [
    queued(mail, 'ann', { id: 'a', maxAttempts: 3 }),
    leased(),
    heartbeat({ progress: 0.5 }, { sent: 1 }),
    released(),
    leased({ token: 'mine' }),
    failed(new TypeError('broken'), { runAt: ledger.clock.now() }),
    leased(),
  ]
  await ledger
    .given(...past)
    .when((id) => ledger.fail('token-3', new Error(`again ${id}`)))
    .then(
      happened(
        { type: 'Failed', data: { run: 3, attempt: 2, error: 'Error', retryable: true }, body: { message: 'again a' } },
        { type: 'Retried', data: { by: 'policy' } },
      ),
    )
  expect(await ledger.attempts('a')).toMatchObject([
    { run: 1, outcome: 'released' },
    { run: 2, outcome: 'failed', error: { name: 'TypeError', message: 'broken' } },
    { run: 3, outcome: 'failed', error: { name: 'Error', message: 'again a' } },
  ])
  expect((await ledger.history('a')).map(({ type }) => type)).toEqual([
    ...['Queued', 'Leased', 'Heartbeat', 'Released', 'Leased', 'Failed', 'Retried', 'Leased'],
    ...['Failed', 'Retried'],
  ])
})

test('a dead letter goes round again, and then runs', async () => {
  await using ledger = await testLedger({ jobs })
  const story = ledger.given(queued(mail, 'ann', { id: 'a' }), leased(), failedForGood(new RangeError('no')))
  await story.when((id) => ledger.retry(id)).then(happened({ type: 'Retried', data: { by: 'operator' } }))
  expect(await ledger.waitFor('a', 'succeeded')).toMatchObject({ result: 'to ann', run: 2, attempt: 1 })
})

test('time may pass in the story', async () => {
  await using ledger = await testLedger()
  await ledger
    .given(queued(mail, 'ann'), leased())
    .when(() => ledger.advance('1m'))
    .then(
      happened(
        { type: 'Failed', data: { cause: 'lease-lost', error: 'LeaseLost' } },
        { type: 'Retried', data: { by: 'lease-lost' } },
      ),
    )
})

test('several jobs have a history each, and an effect on one shows on the others', async () => {
  await using ledger = await testLedger({ jobs })
  const story = ledger.given(
    queued(mail, 'ann', { id: 'a' }),
    leased(),
    queued(mail, 'bob', { id: 'b', dependsOn: [{ id: 'a', otherwise: 'cancel' }] }),
  )
  const seen: string[][] = []
  const cancel = (...ids: string[]): Promise<boolean> => {
    seen.push(ids)
    return ledger.cancel(ids[0] as string)
  }
  await story
    .when(cancel)
    .then(happened({ job: 'a', type: 'Cancelled' }, { job: 'b', type: 'Cancelled', data: { by: 'dependency' } }))
  expect(seen).toEqual([['a', 'b']])
})

test('a history that cannot be is refused', async () => {
  await using ledger = await testLedger()
  const nothing = (): void => {}
  const impossible = ledger.given(queued(mail, 'ann'), leased(), finished(), leased())
  expect(await rejection(impossible.when(nothing))).toMatchObject({ code: 'ILLEGAL_EVENT' })
  expect(await rejection(ledger.given(queued(mail, 'a'), heartbeat()).when(nothing))).toMatchObject({
    code: 'ILLEGAL_EVENT',
  })
  expect(await rejection(ledger.given(leased()).when(nothing))).toMatchObject({ option: 'given[0]' })
  expect(await rejection(ledger.given(queued(mail, 'a'), {} as never).when(nothing))).toMatchObject({
    option: 'given[1]',
  })
  const skipped = defineJob({ type: 'skipped', before: () => false, handle: (_: null) => undefined })
  for (const twice of [
    [queued(mail, 'a', { id: 'a' }), queued(mail, 'a', { id: 'a' })],
    [queued(mail, 'a'), queued(skipped, null), leased()],
  ]) {
    expect(await rejection(ledger.given(...twice).when(nothing))).toMatchObject({ option: 'given[1]' })
  }
  const wrong = ledger.given(queued(mail, 'a', { priority: 'urgent' as never }))
  expect(await rejection(wrong.when(nothing))).toMatchObject({ option: 'enqueue.priority' })
})

test('a mistake of the test itself is no refusal', async () => {
  await using ledger = await testLedger()
  const mistake = (): never => {
    throw new TypeError('typo')
  }
  expect(await rejection(ledger.given(queued(mail, 'a')).when(mistake))).toBeInstanceOf(TypeError)
})

test('a difference is shown as far as the expectation speaks of it', () => {
  const outcome = { events: [{ type: 'Cancelled', data: { by: 'operator', reason: 'x' } }, { type: 'Other' }] }
  expect(objection(happened({ type: 'Cancelled', data: { by: 'dependency' } }, 'Other'), outcome)).toMatchObject({
    code: 'ERR_ASSERTION',
    actual: [{ type: 'Cancelled', data: { by: 'operator' } }, { type: 'Other' }],
    expected: [{ type: 'Cancelled', data: { by: 'dependency' } }, { type: 'Other' }],
  })
  for (const wrong of [[], ['Cancelled'], ['Other', 'Cancelled'], ['Cancelled', 'Other', 'More']]) {
    expect(objection(happened(...wrong), outcome)).toMatchObject({ code: 'ERR_ASSERTION' })
  }
  const missing = [{ type: 'Cancelled', data: { at: 1 } }, 'Other']
  expect(objection(happened(...missing), outcome)).toMatchObject({ code: 'ERR_ASSERTION' })
  expect(objection(refused('X'), outcome)).toMatchObject({ message: 'it was not refused' })
})

test('so is a refusal that was not expected, or another one', () => {
  const refusal = new JobEnded('a', 'succeeded')
  const outcome = { events: [], refusal }
  expect(objection(happened(), outcome)).toMatchObject({ message: expect.stringContaining(refusal.message) })
  expect(objection(refused('JOB_RUNNING'), outcome)).toMatchObject({ message: expect.stringContaining('JobEnded') })
  expect(objection(refused(TypeError), outcome)).toMatchObject({ code: 'ERR_ASSERTION' })
  expect(objection(refused('JOB_ENDED'), { events: ['some'], refusal })).toMatchObject({
    message: expect.stringContaining('yet'),
  })
})

type Entry = { readonly type: 'Paid' | 'Charged'; readonly amount: number }

const account = {
  initial: () => 0,
  evolve: (balance: number, { type, amount }: Entry) => (type === 'Paid' ? balance + amount : balance - amount),
  decide(amount: number, balance: number): Entry[] | Error {
    if (Number.isNaN(amount)) throw new RangeError('how much?')
    return amount > balance ? new Error(`only ${balance} left`) : [{ type: 'Charged', amount }]
  },
}

test('a decider of the user’s own', async () => {
  const rich = given(account, { type: 'Paid', amount: 5 }, { type: 'Charged', amount: 2 })
  await rich.when(3).then(happened({ type: 'Charged', amount: 3 }))
  await rich.when(4).then(refused(Error))
  await given(account).when(Number.NaN).then(refused(RangeError))
  expect(await rich.when(4)).toMatchObject({ events: [], refusal: { message: 'only 3 left' } })
  const single = { ...account, decide: (amount: number): Entry => ({ type: 'Paid', amount }) }
  await given(single).when(1).then(happened('Paid'))
  const throwing = { ...account, decide: (): Entry => thrown('no') }
  expect((await given(throwing).when(1)).refusal).toMatchObject({ message: 'no' })
})

function thrown(what: unknown): never {
  throw what
}
