/** Why a job is not running, why it was tried again, why there is none. */
import { expect } from 'vitest'
import type { WaitReason } from '../../projections/why-waiting.js'
import type { Ledger } from '../../runtime/ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { Fatal } from '../../runtime/work/run/handler-errors.js'
import { rejection } from '../engine/support.js'
import { ended, failing, loseLease, standing } from './acts.js'
import { build, take } from './remote.js'
import { scenario } from './scenario.js'

const codes = async (ledger: Ledger, id: string): Promise<string[]> =>
  (await ledger.explain(id)).reasons.map(({ code }) => code)

const reason = async <Code extends WaitReason['code']>(ledger: Ledger, id: string, code: Code) =>
  (await ledger.explain(id)).reasons.find((each) => each.code === code) as Extract<WaitReason, { code: Code }>

const steps = async (ledger: Ledger, id: string): Promise<string[]> =>
  (await ledger.explain(id)).course.map(({ round, run, code }) => `${round}.${run} ${code}`)

scenario([55], 'a job that waits says all that is in its way, with who did it and why', async (world) => {
  const ledger = await world.open()
  const ann = ledger.as({ user: 'ann', reason: 'ticket 4711' })
  await ledger.workers.register({ types: 'build' })
  await ann.enqueue(build, null, { id: 'held', held: true })
  expect(await ledger.explain('held')).toMatchObject({
    ...{ id: 'held', state: 'held', course: [] },
    says: 'It is held by ann (ticket 4711) until somebody promotes it.',
    reasons: [{ code: 'held', by: { actor: 'ann', reason: 'ticket 4711' } }],
  })
  await ledger.enqueue(build, null, { id: 'later', delay: '1h' })
  const until = world.clock.now() + 3_600_000
  expect(await reason(ledger, 'later', 'scheduled')).toMatchObject({ until, by: 'enqueue' })
  await ann.reschedule('later', { delay: '2h' })
  expect(await reason(ledger, 'later', 'scheduled')).toMatchObject({ by: 'operator', deed: { actor: 'ann' } })
  await ledger.enqueue(build, null, { id: 'gone', held: true })
  await ledger.cancel('gone')
  await ledger.enqueue(build, null, { id: 'after', dependsOn: ['held', 'gone'] })
  expect(await reason(ledger, 'after', 'blocked')).toMatchObject({
    dependencies: [
      { id: 'held', on: 'succeeded', otherwise: 'block', state: 'held' },
      { id: 'gone', state: 'cancelled' },
    ],
    says: expect.stringMatching(
      /^It waits for held \(held\), gone \(cancelled\)\. What failed must be sent round again/,
    ),
  })
  await ann.queues.pause('default', { reason: 'the disk is full' })
  expect(await codes(ledger, 'after')).toEqual(['blocked', 'queue-paused'])
  expect(await reason(ledger, 'after', 'queue-paused')).toMatchObject({
    ...{ queue: 'default', since: world.clock.now(), by: { actor: 'ann', reason: 'the disk is full' } },
  })
})

scenario([55], 'a job that nobody can take says who would have to', async (world) => {
  const ledger = await world.open()
  await ledger.enqueue(build, null, { id: 'a', queue: 'slow', channel: 'eu' })
  expect(await reason(ledger, 'a', 'no-worker')).toMatchObject({
    ...{ type: 'build', queue: 'slow', channel: 'eu', live: 0, serving: { type: 0, queue: 0, channel: 0 } },
  })
  await ledger.workers.register({ types: 'build', queues: 'fast' })
  expect(await reason(ledger, 'a', 'no-worker')).toMatchObject({ live: 1, serving: { type: 1, queue: 0, channel: 1 } })
  const worker = await ledger.workers.register({ types: 'build' })
  expect(await reason(ledger, 'a', 'not-asked-for')).toMatchObject({ workers: [worker] })
  await ledger.as({ user: 'ann', reason: 'new disk' }).workers.pause(worker)
  expect(await reason(ledger, 'a', 'workers-paused')).toMatchObject({
    workers: [{ id: worker, by: { actor: 'ann', reason: 'new disk' } }],
  })
  // Nobody is heard of for a while.
  await world.clock.advance('1m')
  expect(await reason(ledger, 'a', 'no-worker')).toMatchObject({ live: 0 })
})

scenario([55], 'a job whose turn has not come says what takes its place', async (world) => {
  const work = standing('work')
  const keyed = standing('keyed', { concurrencyKey: () => 'tenant', concurrencyLimit: 1 })
  const jobs = [work.job, keyed.job]
  const ledger = await world.open({ jobs })
  await ledger.start({ concurrency: 3 })
  await ledger.enqueue(keyed.job, null, { id: 'k1' })
  await keyed.started(0)
  await ledger.enqueue(keyed.job, null, { id: 'k2' })
  expect(await reason(ledger, 'k2', 'key-full')).toMatchObject({
    ...{ key: 'tenant', limit: 1, holders: [{ jobId: 'k1', workerId: expect.any(String) }] },
  })
  await ledger.queues.limit('q', { concurrency: 1 })
  await ledger.enqueue(work.job, null, { id: 'a', queue: 'q' })
  await work.started(0)
  await ledger.enqueue(work.job, null, { id: 'b', queue: 'q' })
  expect(await reason(ledger, 'b', 'queue-full')).toMatchObject({ queue: 'q', limit: 1, running: 1 })
  await ledger.enqueue(work.job, null, { id: 'c' })
  await work.started(1)
  await ledger.enqueue(work.job, null, { id: 'd' })
  await ledger.enqueue(work.job, null, { id: 'e', priority: 5 })
  await ledger.enqueue(work.job, null, { id: 'urgent', priority: -1 })
  expect(await reason(ledger, 'd', 'slots-busy')).toMatchObject({ slots: 3, ahead: 1 + 1 + 1 })
  expect(await ledger.explain('c')).toMatchObject({
    state: 'running',
    reasons: [{ code: 'running', run: 1, attempt: 1, since: world.clock.now(), pid: process.pid }],
  })
  const other = await world.open({ jobs })
  await other.start({ concurrency: 1 })
  for (let n = 0; n < 3; n += 1) keyed.finish(n)
  for (let n = 0; n < 5; n += 1) work.finish(n)
})

scenario([15], 'what came of each run says why it was tried again, or was not', async (world) => {
  const spent = failing(undefined, { maxAttempts: 2 })
  const fatal = defineJob({
    type: 'fatal',
    handle: () => {
      throw new Fatal('no such account')
    },
  })
  const ledger = await world.open({ jobs: [spent, fatal] })
  await ledger.start()
  await ledger.enqueue(fatal, null, { id: 'fatal' })
  await ended(world, ledger, 'fatal')
  expect(await steps(ledger, 'fatal')).toEqual(['1.1 not-retryable'])
  await ledger.enqueue(spent, null, { id: 'spent' })
  await ended(world, ledger, 'spent')
  await ledger.as({ user: 'bob', reason: 'mended' }).retry('spent')
  await ended(world, ledger, 'spent')
  expect(await steps(ledger, 'spent')).toEqual([
    ...['1.1 tried-again', '1.2 attempts-spent', '2.2 sent-round-again', '2.3 tried-again', '2.4 attempts-spent'],
  ])
  const { course, state, says } = await ledger.explain('spent')
  expect(course[0]).toMatchObject({ cause: 'error', error: 'Error', attempt: 1, of: 2, runAt: expect.any(Number) })
  expect(course[0]?.says).toBe('Run 1 failed (Error), attempt 1 of 2: tried again 10s later.')
  expect(course[2]).toMatchObject({ deed: { actor: 'bob', reason: 'mended' } })
  expect([state, says]).toEqual([
    'failed',
    expect.stringMatching(/^It failed for good at .* all 2 attempts are spent\.$/),
  ])
})

scenario([15], 'leases that were lost, given back or put off are no attempts, and are told as that', async (world) => {
  const ledger = await world.open()
  await ledger.enqueue(build, null, { id: 'lost' })
  for (let n = 0; n < 3; n += 1) await loseLease(world, ledger, 'lost')
  expect(await steps(ledger, 'lost')).toEqual(['1.1 lease-lost', '1.2 lease-lost', '1.3 leases-spent'])
  await ledger.enqueue(build, null, { id: 'sent back' })
  const worker = await ledger.workers.register()
  const { token } = await take(ledger, worker)
  await ledger.requeueOrFinish(token, 1)
  await ledger.as({ user: 'ann', reason: 'too late' }).cancel('sent back')
  expect(await steps(ledger, 'sent back')).toEqual(['1.1 given-back', '1.1 cancelled'])
  expect((await ledger.explain('sent back')).says).toMatch(/^It was cancelled at .* by ann \(too late\)\.$/)
  await ledger.enqueue(build, null, { id: 'unstarted' })
  await ledger.failUnstarted('unstarted')
  expect(await steps(ledger, 'unstarted')).toEqual(['1.0 failed-unstarted'])
})

scenario([55], 'a job that was removed says by whom and why, and one that never was says so', async (world) => {
  const ledger = await world.open()
  expect(await ledger.explain('nobody')).toMatchObject({ state: 'unknown', reasons: [{ code: 'unknown' }], course: [] })
  for (const id of ['x', 'y', 'z']) await ledger.enqueue(build, null, { id })
  for (const id of ['x', 'y']) await ledger.as({ user: 'ann', reason: `of ${id}` }).remove(id)
  expect(await ledger.explain('x')).toMatchObject({
    ...{ state: 'removed', course: [] },
    reasons: [{ code: 'removed', outcome: 'cancelled', removal: { actor: 'ann', reason: 'of x' } }],
  })
  expect((await ledger.explain('x')).says).toMatch(/^Job x was removed at .* by ann \(of x\); it had been cancelled\.$/)
})

scenario([55], 'who holds a unique key is told, for how long, and when it is free', async (world) => {
  const ledger = await world.open()
  const asked = { unique: { key: 'k' }, type: 'build' }
  expect(await ledger.explain(asked)).toMatchObject({ code: 'free' })
  await ledger.as({ user: 'ann' }).enqueue(build, null, { id: 'a', unique: { key: 'k' } })
  expect(await ledger.explain(asked)).toMatchObject({
    code: 'held',
    jobId: 'a',
    state: 'ready',
    since: { actor: 'ann' },
  })
  expect(await ledger.explain({ ...asked, type: 'test' })).toMatchObject({ code: 'free' })
  await ledger.cancel('a')
  expect(await ledger.explain(asked)).toMatchObject({ code: 'free', last: 'a' })
  await ledger.enqueue(build, { n: 1 }, { id: 'b', queue: 'q', unique: { scope: 'queue', window: '1h' } })
  const until = world.clock.now() + 3_600_000
  const payload = { unique: { payload: { n: 1 }, scope: 'queue' as const }, queue: 'q' }
  await ledger.cancel('b')
  expect(await ledger.explain(payload)).toMatchObject({ code: 'held', jobId: 'b', until, state: 'cancelled' })
  await ledger.remove('b')
  expect(await ledger.explain(payload)).toMatchObject({ code: 'held', jobId: 'b', state: 'removed' })
  await world.clock.advance('1h')
  expect(await ledger.explain(payload)).toMatchObject({ code: 'free', last: 'b' })
})

scenario([55], 'a trigger says what it skipped, and who has paused or removed it', async (world) => {
  const tick = standing('tick')
  const ledger = await world.open({ jobs: [tick.job] })
  expect(await ledger.explain({ trigger: 't' })).toMatchObject({ code: 'unknown', skipped: [] })
  await ledger.triggers.add({
    id: 't',
    kind: 'every',
    when: '1m',
    job: tick.job,
    payload: null,
    options: { unique: { key: 'one' } },
  })
  const added = await ledger.explain({ trigger: 't' })
  expect(added).toMatchObject({ code: 'active', nextAt: expect.any(Number), skipped: [] })
  for (let n = 0; n < 2; n += 1) await world.clock.advance('1m')
  const { skipped } = await ledger.explain({ trigger: 't' })
  expect(skipped).toMatchObject([{ reason: 'duplicate', count: 1, jobId: expect.any(String) }])
  await ledger.as({ user: 'ann', reason: 'noisy' }).triggers.pause('t')
  expect(await ledger.explain({ trigger: 't' })).toMatchObject({
    code: 'paused',
    by: { actor: 'ann', reason: 'noisy' },
  })
  await ledger.as({ user: 'bob' }).triggers.remove('t')
  expect(await ledger.explain({ trigger: 't' })).toMatchObject({ code: 'removed', by: { actor: 'bob' } })
})

scenario([55], 'a question that makes no sense is refused by its name', async (world) => {
  const ledger = await world.open()
  const ask = async (question: unknown): Promise<unknown> =>
    ((await rejection(ledger.explain(question as never))) as { option?: string }).option
  for (const [question, option] of [
    ['', 'explain.id'],
    [7, 'explain'],
    [{ trigger: 7 }, 'explain.trigger'],
    [{ trigger: 't', id: 'a' }, 'explain.id'],
    [{ unique: { key: 'k' } }, 'explain.type'],
    [{ unique: { key: 'k', scope: 'queue' } }, 'explain.queue'],
    [{ unique: { key: 'k', scope: 'world' } }, 'explain.unique.scope'],
    [{ unique: { key: '' }, type: 'a' }, 'explain.unique.key'],
    [{ unique: { keys: 'k' } }, 'explain.unique.keys'],
    [{ uniqe: {} }, 'explain.uniqe'],
  ] as const)
    expect(await ask(question)).toBe(option)
})
