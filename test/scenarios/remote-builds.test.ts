/** The life of remote builds: requeue, cancel, dependencies, removal, and logs that are damaged. */
import { expect } from 'vitest'
import { rejection, typesOf } from '../engine/support.js'
import { build, code, take, takeAll, test, watched } from './remote.js'
import { scenario } from './scenario.js'

scenario(
  ['000.13', 24, 'C8'],
  'a requeue counts, keeps place and dependencies, and leaves no result',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    await ledger.enqueue(build, 'base', { id: 'base' })
    await ledger.finish((await take(ledger, worker)).token, { n: 1 })
    await ledger.enqueue(build, { p: 1 }, { id: 'a', dependsOn: ['base'] })
    await ledger.enqueue(test, null, { id: 'dependent', dependsOn: ['a'] })
    await world.clock.advance('1s')
    await ledger.enqueue(build, null, { id: 'later' })
    for (const run of [1, 2, 3]) {
      const lease = await take(ledger, worker)
      expect(lease).toMatchObject({ id: 'a', payload: { p: 1 }, run, attempt: 1 })
      expect(lease.dependencies).toEqual([{ id: 'base', outcome: 'succeeded', result: { n: 1 } }])
      expect(await ledger.requeueOrFinish(lease.token, 2, { run })).toBe(run < 3)
      const status = await ledger.status('a')
      if (run < 3) {
        expect(status).toMatchObject({ state: 'ready', dependsOn: [{ id: 'base' }], dependents: ['dependent'] })
        expect(status).not.toHaveProperty('result')
        expect((await ledger.status('dependent')).state).toBe('blocked')
      } else expect(status).toMatchObject({ state: 'succeeded', result: { run: 3 }, run: 3, attempt: 1 })
    }
    expect(await takeAll(ledger, worker)).toEqual(['dependent', 'later'])
  },
)

scenario(
  ['000.13', 24],
  'with no retries to have, a requeue is a plain finish; a new round counts anew',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    await ledger.enqueue(build, null, { id: 'a' })
    expect(await ledger.requeueOrFinish((await take(ledger, worker)).token, 0, 'first')).toBe(false)
    expect(await ledger.result('a')).toBe('first')
    await ledger.retry('a')
    expect(await ledger.requeueOrFinish((await take(ledger, worker)).token, 1, 'x')).toBe(true)
    expect(await ledger.requeueOrFinish((await take(ledger, worker)).token, 1)).toBe(false)
    expect(await ledger.result('a')).toBeUndefined()
    for (const odd of [-1, 0.5, Number.NaN, '1', undefined, null]) {
      const error = await rejection(ledger.requeueOrFinish('token', odd as never))
      expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'requeueOrFinish.maxRetries' })
    }
  },
)

scenario(
  ['000.13', 24, 12],
  'every earlier run of the round counts, also one that was lost or failed',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    await ledger.enqueue(build, null, { id: 'a', backoff: { min: 0, max: 0 } })
    await ledger.fail((await take(ledger, worker)).token, new Error('x'))
    expect(await ledger.requeueOrFinish((await take(ledger, worker)).token, 2)).toBe(true)
    expect(await ledger.requeueOrFinish((await take(ledger, worker)).token, 2, 'end')).toBe(false)
    expect(await ledger.result('a')).toBe('end')
  },
)

scenario(['000.14'], 'requeue-or-finish needs a token that still holds its job', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  for (const id of ['waiting', 'ended', 'cancelled']) await ledger.enqueue(build, null, { id })
  const tokens = new Map<string, string>()
  for (const id of ['waiting', 'ended', 'cancelled']) tokens.set(id, (await ledger.leaseById(id, worker)).token)
  await ledger.requeueOrFinish(tokens.get('waiting') as string, 1)
  await ledger.finish(tokens.get('ended') as string, 'done')
  await ledger.cancel('cancelled')
  for (const [id, token] of [...tokens, ['nobody', 'a token of nobody’s'] as const]) {
    const before = id === 'nobody' ? [] : await ledger.history(id)
    for (const retries of [0, 9]) {
      expect(await rejection(ledger.requeueOrFinish(token, retries, 'late'))).toMatchObject({
        code: 'LEASE_LOST',
        token,
      })
    }
    if (id !== 'nobody') expect(await ledger.history(id)).toEqual(before)
  }
})

scenario(['000.15', '000.16', 32, 'C4'], 'a job cancelled while it waits is never leased', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  expect(await rejection(ledger.cancel('nobody'))).toMatchObject({ code: 'JOB_UNKNOWN', jobId: 'nobody' })
  expect(await code(ledger.cancel('nobody', { ifEnded: 'ignore' }))).toBe('JOB_UNKNOWN')
  await ledger.enqueue(build, null, { id: 'a' })
  await ledger.enqueue(build, null, { id: 'later', delay: '1s' })
  expect(await ledger.cancel('a')).toBe(true)
  expect(await ledger.cancel('later')).toBe(true)
  const waiting = watched(ledger.lease({ workerId: worker }))
  await world.clock.advance('2s')
  expect(waiting.state).toBe('pending')
  expect(await code(ledger.leaseById('a', worker))).toBe('JOB_NOT_PENDING')
  expect(await typesOf(ledger, 'a')).toEqual(['Queued', 'Cancelled'])
  // Nor after a restart.
  await world.close(ledger)
  await rejection(waiting.promise)
  const later = await world.open()
  expect(await takeAll(later, worker)).toEqual([])
})

scenario(['000.17', 32, 'C3'], 'a job cancelled while it runs refuses its result and has none', async (world) => {
  const ledger = await world.open()
  const worker = await ledger.workers.register()
  await ledger.enqueue(build, null, { id: 'a' })
  const { token } = await take(ledger, worker)
  await ledger.heartbeat(token, { partial: 'half' })
  await ledger.cancel('a')
  for (const say of [() => ledger.finish(token, 'late'), () => ledger.requeueOrFinish(token, 0, 'late')]) {
    expect(await code(say())).toBe('LEASE_LOST')
  }
  const status = await ledger.status('a')
  expect(status).toMatchObject({ state: 'cancelled', run: 1 })
  for (const key of ['result', 'partial', 'lease']) expect(status).not.toHaveProperty(key)
  expect(await ledger.staleLeases(0)).toEqual([])
  expect(await rejection(ledger.result('a'))).toMatchObject({ code: 'JOB_CANCELLED', jobId: 'a' })
  await world.clock.advance('2m')
  expect(await typesOf(ledger, 'a')).toEqual(['Queued', 'Leased', 'Heartbeat', 'Cancelled'])
})

scenario(
  ['000.18', 32, 'C4'],
  'cancelling what has ended is refused and changes nothing, or is let pass',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    for (const id of ['succeeded', 'failed', 'cancelled']) await ledger.enqueue(build, null, { id })
    await ledger.finish((await ledger.leaseById('succeeded', worker)).token, 'kept')
    await ledger.failUnstarted('failed', 'kept')
    await ledger.cancel('cancelled', { reason: 'first' })
    for (const outcome of ['succeeded', 'failed', 'cancelled']) {
      const before = [await ledger.history(outcome), await ledger.status(outcome)]
      const error = await rejection(ledger.cancel(outcome, { reason: 'again' }))
      expect(error).toMatchObject({ code: 'JOB_ENDED', jobId: outcome, outcome })
      expect(await ledger.cancel(outcome, { ifEnded: 'ignore', reason: 'again' })).toBe(false)
      expect([await ledger.history(outcome), await ledger.status(outcome)]).toEqual(before)
    }
  },
)

scenario(['000.2', 19], 'a dependency nobody is leaves no trace with the dependencies that are', async (world) => {
  const ledger = await world.open()
  await ledger.enqueue(build, null, { id: 'a' })
  const enqueue = (id: string, ...dependsOn: string[]) => ledger.enqueue(build, null, { id, dependsOn })
  const unknown = { code: 'DEPENDENCY_UNKNOWN', jobId: 'b', dependency: 'nobody' }
  for (const all of [['a', 'nobody'], ['nobody', 'a'], ['nobody']]) {
    expect(await rejection(enqueue('b', ...all))).toMatchObject(unknown)
  }
  expect(await code(enqueue('c', 'c'))).toBe('DEPENDENCY_CYCLE')
  expect(await ledger.status('a')).toMatchObject({ dependents: [], state: 'ready' })
  expect((await ledger.list()).jobs).toHaveLength(1)
  await enqueue('b', 'a')
  expect((await ledger.status('a')).dependents).toEqual(['b'])
})

scenario(
  ['000.28', 21],
  'errors of dependencies are told with those behind them, as deep as they go',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    const edges = (...ids: string[]) => ids.map((id) => ({ id, on: 'finished' }) as const)
    await ledger.enqueue(build, null, { id: 'root', maxAttempts: 1 })
    await ledger.enqueue(build, null, { id: 'fine', maxAttempts: 1 })
    await ledger.enqueue(build, null, { id: 'middle', maxAttempts: 1, dependsOn: edges('root', 'fine') })
    await ledger.enqueue(build, null, { id: 'top', dependsOn: edges('middle', 'root', 'fine') })
    const fail = async (id: string, message: string) =>
      ledger.fail((await ledger.leaseById(id, worker)).token, new RangeError(message))
    await fail('root', 'disk full')
    await ledger.finish((await ledger.leaseById('fine', worker)).token)
    await fail('middle', 'nothing to build on')
    const told = (id: string, message: string, dependencies: readonly unknown[] = []) => ({
      ...{ id, type: 'build', outcome: 'failed', error: { name: 'RangeError', message }, dependencies },
    })
    const root = told('root', 'disk full')
    expect(await ledger.dependencyErrors('top')).toEqual([told('middle', 'nothing to build on', [root]), root])
    expect(await ledger.dependencyErrors('fine')).toEqual([])
  },
)

scenario(
  ['000.29', 35],
  'removal takes along the dependencies nobody else needs, and leaves shared ones',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    const tree: Readonly<Record<string, readonly string[]>> = {
      deep: [],
      own: ['deep'],
      shared: [],
      'shared deep': ['shared'],
      a: ['own', 'shared deep'],
      b: ['shared deep'],
    }
    for (const [id, dependsOn] of Object.entries(tree)) await ledger.enqueue(build, null, { id, dependsOn })
    for (const id of Object.keys(tree)) await ledger.finish((await ledger.leaseById(id, worker)).token)
    expect((await ledger.remove('a', { cascade: true })).sort()).toEqual(['a', 'deep', 'own'])
    expect((await ledger.list()).jobs.map(({ id }) => id).sort()).toEqual(['b', 'shared', 'shared deep'])
    expect(await rejection(ledger.status('own'))).toMatchObject({ code: 'JOB_REMOVED', outcome: 'succeeded' })
    expect((await ledger.remove('b', { cascade: true })).sort()).toEqual(['b', 'shared', 'shared deep'])
    expect((await ledger.list()).jobs).toEqual([])
  },
)

scenario(
  ['000.30', 77],
  'a record that makes no sense is skipped when the log is opened, and said to be',
  async (world) => {
    const first = await world.open()
    const worker = await first.workers.register()
    await first.enqueue(build, null, { id: 'good' })
    const store = await world.store()
    const at = world.clock.now()
    const odd = [
      { stream: 'job-bad', type: 'Leased', data: { token: 't', workerId: worker, run: 1, attempt: 1, expiresAt: at } },
      { stream: 'job-worse', type: 'Nonsense', data: {} },
    ]
    for (const { stream, type, data } of odd) {
      const event = { stream, id: crypto.randomUUID(), type, at, data }
      const [outcome] = await store.append([{ expect: new Map([[stream, 'none']]), events: [event] }])
      expect(outcome?.kind).toBe('ok')
    }
    await first.enqueue(build, null, { id: 'better' })
    await world.close(first)
    const second = await world.open()
    expect(
      world.log.filter(({ level, message }) => level === 'error' && message.startsWith('event skipped')),
    ).not.toEqual([])
    expect(await takeAll(second, worker)).toEqual(['good', 'better'])
    const { id } = await second.enqueue(build, null)
    expect(await takeAll(second, worker)).toEqual([id])
  },
)
