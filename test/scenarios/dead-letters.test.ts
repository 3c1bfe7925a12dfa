/** Jobs that have used up their attempts, and how they are sent round again. */
import { expect } from 'vitest'
import type { Ledger } from '../../runtime/ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { rejection, typesOf, type World } from '../engine/support.js'
import { echo, ended, failing, standing } from './acts.js'
import { scenario } from './scenario.js'

/** A type that fails until it is repaired. */
function repairable(type = 'repairable') {
  let broken = true
  const job = defineJob({
    type,
    maxAttempts: 2,
    backoff: { min: 1, jitter: 'none' },
    handle: (payload: unknown, { run, attempt }) => {
      if (broken) throw new Error(`broken in run ${run}`)
      return { payload, run, attempt }
    },
  })
  const repair = (): void => {
    broken = false
  }
  return { job, repair }
}

async function fail(world: World, ledger: Ledger, ids: readonly string[]): Promise<void> {
  for (const id of ids) expect(await ended(world, ledger, id)).toMatchObject({ code: 'JOB_FAILED' })
}

scenario(
  [28, 'C7'],
  'a retry opens a new round: attempts restart, runs go on, what was said of the job stays',
  async (world) => {
    const { job, repair } = repairable()
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    const options = { id: 'again', queue: 'q', channel: 'c', name: 'n', priority: 3, user: 'ann' }
    await ledger.enqueue(job, { a: 1 }, options)
    await fail(world, ledger, ['again'])
    expect(await ledger.status('again')).toMatchObject({ state: 'failed', run: 2, attempt: 2 })
    repair()
    await ledger.as({ user: 'bob', reason: 'repaired' }).retry('again')
    expect(await ended(world, ledger, 'again')).toEqual({ payload: { a: 1 }, run: 3, attempt: 1 })
    const { id: _, ...kept } = options
    expect(await ledger.status('again')).toMatchObject({ ...kept, state: 'succeeded', run: 3, maxAttempts: 2 })
    const retried = (await ledger.history('again')).findLast(({ type }) => type === 'Retried')
    expect(retried).toMatchObject({ data: { by: 'operator' }, metadata: { actor: 'bob', reason: 'repaired' } })
    expect((await ledger.attempts('again')).map(({ round, error }) => [round, error?.message])).toEqual([
      [1, 'broken in run 1'],
      [1, 'broken in run 2'],
      [2, undefined],
    ])
  },
)

scenario([28], 'succeeded and cancelled jobs are sent round again, too', async (world) => {
  const { job, started, finish } = standing()
  const ledger = await world.open({ jobs: [job] })
  const { id } = await ledger.enqueue(job, null)
  await ledger.cancel(id)
  await ledger.retry(id)
  await ledger.start()
  await started(0)
  finish(0, 'first')
  expect(await ledger.result(id)).toBe('first')
  await ledger.retry(id)
  await started(1)
  const second = ledger.result(id)
  finish(1, 'second')
  expect(await second).toBe('second')
  await ledger.retry(id)
  await started(2)
  await ledger.cancel(id)
  await ledger.retry(id)
  expect(await ledger.status(id)).toMatchObject({ run: 3 })
  await started(3)
  finish(3, 'fourth')
  expect(await ledger.result(id)).toBe('fourth')
})

scenario([28], 'a retry of a held job lets it go', async (world) => {
  const ledger = await world.open({ jobs: [echo] })
  await ledger.start()
  const { id, result } = await ledger.enqueue(echo, 'let go', { held: true })
  await world.clock.settle()
  expect((await ledger.status(id)).state).toBe('held')
  await ledger.retry(id)
  expect(await result()).toBe('let go')
  expect(await ledger.status(id)).toMatchObject({ run: 1, attempt: 1 })
  expect(await typesOf(ledger, id)).toEqual(['Queued', 'Rescheduled', 'Leased', 'Finished'])
})

scenario(
  [28],
  'a retry is refused while the job waits or runs, after its payload was erased, and of no job',
  async (world) => {
    const { job, started } = standing()
    const ledger = await world.open({ jobs: [job] })
    const waiting = await ledger.enqueue(echo, 1)
    const scheduled = await ledger.enqueue(echo, 1, { delay: '1h' })
    const running = await ledger.enqueue(job, null)
    const expunged = await ledger.enqueue(echo, 1)
    const removed = await ledger.enqueue(echo, 1)
    await ledger.start()
    await started(0)
    await ledger.cancel(expunged.id)
    await ledger.expunge(expunged.id)
    await ledger.remove(removed.id)
    for (const [id, code] of [
      [waiting.id, 'JOB_NOT_ENDED'],
      [scheduled.id, 'JOB_NOT_ENDED'],
      [running.id, 'JOB_NOT_ENDED'],
      [expunged.id, 'JOB_EXPUNGED'],
      [removed.id, 'JOB_REMOVED'],
      ['nobody', 'JOB_UNKNOWN'],
    ] as const) {
      expect(await rejection(ledger.retry(id)), id).toMatchObject({ code, jobId: id })
    }
    expect(await typesOf(ledger, waiting.id)).toEqual(['Queued'])
  },
)

scenario([28], 'two operators who retry at the same time open one round', async (world) => {
  const [one, two] = [await world.open(), await world.open()]
  const { id } = await one.enqueue(echo, 1)
  await one.cancel(id)
  const answers = await Promise.allSettled([one.retry(id), two.retry(id)])
  expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(await typesOf(one, id)).toEqual(['Queued', 'Cancelled', 'Retried'])
})

scenario(
  [29, 'C7'],
  'dead letters are the failed jobs, newest first, by type, queue and channel, in pages',
  async (world) => {
    const a = failing(undefined, { type: 'a', maxAttempts: 1 })
    const b = failing(undefined, { type: 'b', maxAttempts: 1 })
    const ledger = await world.open({ jobs: [a, b, echo] })
    await ledger.start()
    const ids: string[] = []
    for (const [n, job] of [a, b, a, b, a].entries()) {
      const place = { queue: n < 3 ? 'q' : 'r', channel: n % 2 === 0 ? 'even' : 'odd' }
      ids.push((await ledger.enqueue(job, null, { id: `${job.type}${n}`, ...place })).id)
      await world.clock.advance('1s')
    }
    await fail(world, ledger, ids)
    await (await ledger.enqueue(echo, 1, { queue: 'q' })).result()
    await ledger.cancel((await ledger.enqueue(echo, 1, { queue: 'q', delay: '1h' })).id)
    const letters = async (filter?: Parameters<typeof ledger.deadLetters.list>[0]) =>
      (await ledger.deadLetters.list(filter)).jobs.map(({ id }) => id)
    expect(await letters()).toEqual(['a4', 'b3', 'a2', 'b1', 'a0'])
    expect(await letters({ type: 'b' })).toEqual(['b3', 'b1'])
    expect(await letters({ queue: 'q', channel: 'even' })).toEqual(['a2', 'a0'])
    expect(await letters({ queue: ['q', 'r'], type: ['a', 'b'] })).toHaveLength(5)
    expect(await letters({ channel: 'nowhere' })).toEqual([])
    const first = await ledger.deadLetters.list({ limit: 3 })
    const rest = await ledger.deadLetters.list({ limit: 3, cursor: first.cursor as string })
    expect([...first.jobs, ...rest.jobs].map(({ id }) => id)).toEqual(['a4', 'b3', 'a2', 'b1', 'a0'])
    expect(rest.cursor).toBeUndefined()
    expect(first.jobs[0]).toMatchObject({ state: 'failed', error: 'Error', attempt: 1 })
    expect(await rejection(letters({ limit: 0 }))).toMatchObject({ code: 'INVALID_OPTION' })
  },
)

scenario([29], 'many dead letters are retried at once, and those that cannot be are named', async (world) => {
  const { job, repair } = repairable()
  const other = failing(undefined, { type: 'other', maxAttempts: 1 })
  const ledger = await world.open({ jobs: [job, other] })
  await ledger.start()
  const ids = ['f1', 'f2', 'f3', 'f4']
  for (const id of ids) await ledger.enqueue(job, id, { id })
  await ledger.enqueue(other, null, { id: 'other' })
  await fail(world, ledger, [...ids, 'other'])
  await ledger.expunge('f4')
  repair()
  const report = await ledger.deadLetters.retry({ type: 'repairable' })
  expect(report).toMatchObject({ retried: 3, refused: [{ id: 'f4', error: { code: 'JOB_EXPUNGED' } }] })
  for (const id of ['f1', 'f2', 'f3']) expect(await ended(world, ledger, id)).toMatchObject({ payload: id, run: 3 })
  expect((await ledger.deadLetters.list()).jobs.map(({ id }) => id).sort()).toEqual(['f4', 'other'])
  const named = await ledger.deadLetters.retry(['other', 'nobody', 'f4', 'other'])
  expect(named.retried).toBe(1)
  expect(named.refused.map(({ id, error }) => [id, error.code])).toEqual([
    ['nobody', 'JOB_UNKNOWN'],
    ['f4', 'JOB_EXPUNGED'],
    ['other', 'JOB_NOT_FAILED'],
  ])
  expect(await rejection(ledger.deadLetters.retry({ type: undefined } as never))).toMatchObject({
    option: 'deadLetters.retry.type',
  })
  await fail(world, ledger, ['other'])
  expect(await ledger.deadLetters.retry([])).toMatchObject({ retried: 0 })
  expect(await rejection(ledger.deadLetters.retry(['']))).toMatchObject({ code: 'INVALID_OPTION' })
})

scenario([29], 'all of more dead letters than one page are retried', async (world) => {
  const ledger = await world.open()
  const ids = Array.from({ length: 1_100 }, (_, n) => `job ${n}`)
  await ledger.enqueueMany(ids.map((id) => ({ job: echo, payload: id, options: { id } })))
  await Promise.all(ids.map((id) => ledger.failUnstarted(id)))
  expect(await ledger.deadLetters.retry()).toEqual({ retried: 1_100, refused: [] })
  expect((await ledger.queues.stats()).default).toMatchObject({ ready: 1_100, failed: 0 })
})

scenario(
  [29],
  'dead letters are cleaned, but not what a waiting job needs, and nothing but dead letters',
  async (world) => {
    const ledger = await world.open({ jobs: [echo] })
    for (const id of ['a', 'b', 'needed']) {
      await ledger.enqueue(echo, 1, { id, queue: id === 'b' ? 'other' : 'default' })
      await ledger.failUnstarted(id)
    }
    await ledger.enqueue(echo, 1, { id: 'cancelled' })
    await ledger.cancel('cancelled')
    await ledger.enqueue(echo, 1, { id: 'waiting', dependsOn: ['needed'] })
    expect(await ledger.deadLetters.clean({ queue: 'other' })).toEqual({ removed: 1, kept: 0 })
    expect(await rejection(ledger.status('b'))).toMatchObject({ code: 'JOB_REMOVED', outcome: 'failed' })
    expect(await ledger.deadLetters.clean(['a', 'cancelled', 'waiting'])).toEqual({ removed: 1, kept: 2 })
    expect(await ledger.deadLetters.clean(['a', 'nobody'])).toEqual({ removed: 0, kept: 0 })
    expect(await ledger.deadLetters.clean()).toEqual({ removed: 0, kept: 1 })
    expect((await ledger.deadLetters.list()).jobs.map(({ id }) => id)).toEqual(['needed'])
    expect((await ledger.status('cancelled')).state).toBe('cancelled')
    await ledger.cancel('waiting')
    expect(await ledger.deadLetters.clean()).toEqual({ removed: 1, kept: 0 })
    expect((await ledger.deadLetters.list()).jobs).toEqual([])
  },
)

scenario([29], 'two who clean at the same time remove each dead letter once', async (world) => {
  const [one, two] = [await world.open(), await world.open()]
  const ids = Array.from({ length: 20 }, (_, n) => `job ${n}`)
  await one.enqueueMany(ids.map((id) => ({ job: echo, payload: id, options: { id } })))
  await Promise.all(ids.map((id) => one.failUnstarted(id)))
  await two.status('job 0')
  const [first, second] = await Promise.all([one.deadLetters.clean(), two.deadLetters.clean(ids)])
  expect(first.removed + second.removed).toBe(20)
  expect(await one.deadLetters.clean(ids)).toMatchObject({ removed: 0 })
  for (const id of ids) expect(await rejection(one.status(id))).toMatchObject({ code: 'JOB_REMOVED' })
})

scenario([29], 'a dead letter that is sent round again while others clean is not removed', async (world) => {
  const ledger = await world.open()
  await ledger.enqueue(echo, 1, { id: 'a' })
  await ledger.failUnstarted('a')
  const [retried, cleaned] = await Promise.allSettled([ledger.retry('a'), ledger.deadLetters.clean(['a'])])
  const state = await ledger.status('a').then(
    (status) => status.state,
    (error: { code: string }) => error.code,
  )
  expect(cleaned.status).toBe('fulfilled')
  expect(state).toBe(retried.status === 'fulfilled' ? 'ready' : 'JOB_REMOVED')
})

scenario(
  [29],
  'a choice of dead letters that nobody understands is refused, not taken for all of them',
  async (world) => {
    const ledger = await world.open()
    await ledger.enqueue(echo, 1, { id: 'a' })
    await ledger.failUnstarted('a')
    for (const choice of [
      { limit: 10 },
      { state: 'cancelled' },
      { types: ['echo'] },
      { cursor: 'x' },
      'a',
      null,
      [7],
    ]) {
      for (const verb of ['retry', 'clean'] as const) {
        expect(await rejection(ledger.deadLetters[verb](choice as never)), `${verb} ${choice}`).toMatchObject({
          code: 'INVALID_OPTION',
        })
      }
    }
    expect(await rejection(ledger.deadLetters.list({ state: 'succeeded' } as never))).toMatchObject({
      code: 'INVALID_OPTION',
    })
    expect((await ledger.status('a')).state).toBe('failed')
  },
)

scenario([28, 29], 'a job whose unique key another one holds by now is not sent round again', async (world) => {
  const ledger = await world.open()
  const unique = { key: 'one at a time' }
  await ledger.enqueue(echo, 1, { id: 'first', unique })
  await ledger.failUnstarted('first')
  await ledger.enqueue(echo, 2, { id: 'second', unique })
  const refused = { code: 'JOB_NOT_UNIQUE', jobId: 'first', holder: 'second' }
  expect(await rejection(ledger.retry('first'))).toMatchObject(refused)
  expect(await ledger.deadLetters.retry()).toMatchObject({ retried: 0, refused: [{ id: 'first', error: refused }] })
  await ledger.cancel('second')
  expect(await ledger.deadLetters.retry()).toEqual({ retried: 1, refused: [] })
  expect(await ledger.enqueue(echo, 3, { unique })).toMatchObject({ id: 'first', outcome: 'duplicate' })
})
