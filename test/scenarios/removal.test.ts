/** Jobs taken out of the log, and what is left of them. */
import { expect } from 'vitest'
import { JobCancelled } from '../../runtime/errors.js'
import type { Ledger } from '../../runtime/ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { rejection } from '../engine/support.js'
import { echo, ended, failing, standing } from './acts.js'
import { scenario } from './scenario.js'

const asking = defineJob({
  type: 'asking',
  handle: async (_: unknown, ctx) => ({ results: await ctx.dependencies(), errors: await ctx.dependencyErrors() }),
})

async function isRemoved(ledger: Ledger, id: string, outcome: string): Promise<void> {
  for (const verb of ['status', 'history', 'attempts', 'result', 'remove', 'retry', 'expunge'] as const) {
    expect(await rejection(ledger[verb](id)), verb).toMatchObject({ code: 'JOB_REMOVED', jobId: id, outcome })
  }
}

const listed = async (ledger: Ledger) => (await ledger.list()).jobs.map(({ id }) => id).sort()

scenario([35, '001.14'], 'an ended job is removed, and only its outcome is left', async (world) => {
  const bad = failing(undefined, { maxAttempts: 1 })
  const ledger = await world.open({ jobs: [echo, bad] })
  await ledger.start()
  await ledger.enqueue(echo, 'secret', { id: 'good' })
  await ledger.enqueue(bad, null, { id: 'bad' })
  await ended(world, ledger, 'good')
  await ended(world, ledger, 'bad')
  expect(await ledger.remove('good')).toEqual(['good'])
  expect(await ledger.remove('bad')).toEqual(['bad'])
  await isRemoved(ledger, 'good', 'succeeded')
  await isRemoved(ledger, 'bad', 'failed')
  expect(await listed(ledger)).toEqual([])
  expect((await ledger.queues.stats()).default).toMatchObject({ succeeded: 1, failed: 1 })
  await world.close(ledger)
  const reopened = await world.open()
  await isRemoved(reopened, 'good', 'succeeded')
  expect(await listed(reopened)).toEqual([])
})

scenario([35, '001.14'], 'a waiting job is cancelled first, whatever it waits for', async (world) => {
  const ledger = await world.open({ jobs: [echo] })
  const options = {
    ready: {},
    scheduled: { delay: '1m' },
    held: { held: true },
    blocked: { dependsOn: ['held'] },
  } as const
  for (const [id, more] of Object.entries(options)) await ledger.enqueue(echo, id, { id, ...more })
  for (const id of ['ready', 'scheduled', 'blocked', 'held']) {
    const waiter = rejection(ledger.result(id))
    expect(await ledger.remove(id)).toEqual([id])
    await isRemoved(ledger, id, 'cancelled')
    // Whoever waited for it hears of the cancel, or of the removal if that was faster.
    expect(await waiter).toMatchObject({ code: expect.stringMatching(/^JOB_(CANCELLED|REMOVED)$/) })
  }
  await ledger.start()
  await world.clock.advance('2m')
  expect(await listed(ledger)).toEqual([])
})

scenario(
  [35, 'C24', '001.14'],
  'a running job is neither removed nor rescheduled; by force it is stopped and removed',
  async (world) => {
    const { job, started, finish } = standing()
    const ledger = await world.open({ jobs: [job, echo] })
    await ledger.start({ concurrency: 1 })
    const { id } = await ledger.enqueue(job, null)
    const { signal } = await started(0)
    expect(await rejection(ledger.remove(id))).toMatchObject({ code: 'JOB_RUNNING', jobId: id })
    expect(await rejection(ledger.reschedule(id, { delay: '1h' }))).toMatchObject({ code: 'JOB_RUNNING' })
    expect(await rejection(ledger.promote(id))).toMatchObject({ code: 'JOB_RUNNING' })
    expect((await ledger.status(id)).state).toBe('running')
    expect(await ledger.remove(id, { force: true })).toEqual([id])
    expect(signal.reason).toBeInstanceOf(JobCancelled)
    expect(signal.reason).toMatchObject({ reason: 'removed' })
    expect(await (await ledger.enqueue(echo, 'free')).result()).toBe('free')
    finish(0, 'too late')
    await world.clock.settle()
    await isRemoved(ledger, id, 'cancelled')
  },
)

scenario([35], 'the removal of no job, and options that are none, are refused', async (world) => {
  const ledger = await world.open()
  expect(await rejection(ledger.remove('nobody'))).toMatchObject({ code: 'JOB_UNKNOWN' })
  expect(await rejection(ledger.remove('x', { cascad: true } as never))).toMatchObject({ option: 'remove.cascad' })
})

scenario([35], 'nothing can be done to a removed job', async (world) => {
  const ledger = await world.open()
  await ledger.enqueue(echo, 1, { id: 'x' })
  await ledger.remove('x')
  for (const verb of [
    () => ledger.cancel('x'),
    () => ledger.cancel('x', { ifEnded: 'ignore' }),
    () => ledger.promote('x'),
    () => ledger.reschedule('x', { priority: 1 }),
    () => ledger.failUnstarted('x'),
  ]) {
    expect(await rejection(verb()), `${verb}`).toMatchObject({ family: 'job', jobId: 'x' })
  }
})

scenario([35, 19], 'a job that others still need is removed only by force', async (world) => {
  const ledger = await world.open({ jobs: [echo, asking] })
  await ledger.enqueue(echo, 1, { id: 'a' })
  await ledger.enqueue(asking, 1, { id: 'b', dependsOn: ['a'] })
  await ledger.enqueue(asking, 1, { id: 'c', dependsOn: [{ id: 'a', otherwise: 'run' }] })
  expect(await rejection(ledger.remove('a'))).toMatchObject({ code: 'JOB_NEEDED', dependents: ['b', 'c'] })
  expect((await ledger.status('a')).state).toBe('ready')
  await ledger.remove('a', { force: true })
  await isRemoved(ledger, 'a', 'cancelled')
  await ledger.start()
  const gone = [{ id: 'a', outcome: 'cancelled' }]
  expect(await ledger.result('c')).toEqual({ results: gone, errors: [{ ...gone[0], dependencies: [] }] })
  expect(await ledger.status('b')).toMatchObject({ state: 'blocked', blockedBy: ['a'] })
  expect(await ledger.dependencyErrors('b')).toEqual([{ ...gone[0], dependencies: [] }])
})

scenario([35, 19], 'a dependency whose edge is met is needed until the dependent has ended', async (world) => {
  const { job, started, finish } = standing()
  const ledger = await world.open({ jobs: [echo, job] })
  await ledger.start()
  await ledger.enqueue(echo, 'value', { id: 'a' })
  await ended(world, ledger, 'a')
  await ledger.enqueue(job, null, { id: 'b', dependsOn: ['a'] })
  const ctx = await started(0)
  expect(await rejection(ledger.remove('a'))).toMatchObject({ code: 'JOB_NEEDED', dependents: ['b'] })
  expect(await ctx.dependencies()).toEqual([{ id: 'a', outcome: 'succeeded', result: 'value' }])
  finish(0)
  await ended(world, ledger, 'b')
  expect(await ledger.remove('a')).toEqual(['a'])
  expect(await ledger.status('b')).toMatchObject({ state: 'succeeded', dependsOn: [{ id: 'a' }] })
})

scenario([35, 20], 'a removed job still answers for its outcome to jobs that come to depend on it', async (world) => {
  const bad = failing(undefined, { maxAttempts: 1 })
  const ledger = await world.open({ jobs: [echo, bad, asking] })
  await ledger.start()
  await ledger.enqueue(echo, 'value', { id: 'good' })
  await ledger.enqueue(bad, null, { id: 'bad' })
  await ended(world, ledger, 'good')
  await ended(world, ledger, 'bad')
  await ledger.remove('good')
  await ledger.remove('bad')
  const other = await world.open()
  for (const speaker of [ledger, other]) {
    const met = await speaker.enqueue(asking, 1, { dependsOn: ['good', { id: 'bad', on: 'finished' }] })
    const results = [
      { id: 'good', outcome: 'succeeded' },
      { id: 'bad', outcome: 'failed' },
    ]
    expect(await met.result()).toMatchObject({ results, errors: [{ id: 'bad', outcome: 'failed', dependencies: [] }] })
    const blocked = await speaker.enqueue(asking, 1, { dependsOn: ['bad'] })
    expect(await speaker.status(blocked.id)).toMatchObject({ state: 'blocked', blockedBy: ['bad'] })
    const doomed = await speaker.enqueue(asking, 1, { dependsOn: [{ id: 'bad', otherwise: 'cancel' }] })
    expect((await speaker.status(doomed.id)).state).toBe('cancelled')
  }
})

scenario([35], 'the name of a removed job stays burnt, for every process and for ever', async (world) => {
  const ledger = await world.open()
  await ledger.enqueue(echo, 1, { id: 'name' })
  await ledger.remove('name')
  const refused = { family: 'job', code: 'STREAM_REMOVED' }
  expect(await rejection(ledger.enqueue(echo, 1, { id: 'name' }))).toMatchObject(refused)
  const batch = ['other', 'name'].map((id) => ({ job: echo, payload: 1, options: { id } }))
  expect(await rejection(ledger.enqueueMany(batch))).toMatchObject(refused)
  await world.close(ledger)
  const reopened = await world.open()
  expect(await rejection(reopened.enqueue(echo, 1, { id: 'name' }))).toMatchObject(refused)
  expect(await listed(reopened)).toEqual([])
})

scenario([35], 'a cascade takes the dependencies along that nobody else needs, and theirs', async (world) => {
  const ledger = await world.open()
  //   leaf -> mid -> deep, shared    other -> shared -> base    leaf -> own
  const edges = {
    base: [],
    deep: [],
    shared: ['base'],
    own: [],
    mid: ['deep', 'shared'],
    leaf: ['mid', 'own'],
    other: ['shared'],
  }
  await ledger.enqueueMany(
    Object.entries(edges).map(([id, dependsOn]) => ({ job: echo, payload: id, options: { id, dependsOn } })),
  )
  expect(await rejection(ledger.remove('shared', { cascade: true }))).toMatchObject({ code: 'JOB_NEEDED' })
  expect((await ledger.remove('leaf', { cascade: true })).sort()).toEqual(['deep', 'leaf', 'mid', 'own'])
  expect(await listed(ledger)).toEqual(['base', 'other', 'shared'])
  expect(await ledger.status('other')).toMatchObject({ state: 'blocked', blockedBy: ['shared'] })
  expect(await ledger.status('shared')).toMatchObject({ dependents: ['other'] })
  expect((await ledger.remove('other', { cascade: true })).sort()).toEqual(['base', 'other', 'shared'])
  expect(await listed(ledger)).toEqual([])
})

scenario([35], 'a cascade over a diamond removes each job once, also after they have ended', async (world) => {
  const ledger = await world.open({ jobs: [echo] })
  const edges = { top: [], left: ['top'], right: ['top'], bottom: ['left', 'right'] }
  await ledger.enqueueMany(
    Object.entries(edges).map(([id, dependsOn]) => ({ job: echo, payload: id, options: { id, dependsOn } })),
  )
  await ledger.start()
  await ended(world, ledger, 'bottom')
  expect(await rejection(ledger.remove('top').then(() => ledger.status('top')))).toMatchObject({ code: 'JOB_REMOVED' })
  const removed = await ledger.remove('bottom', { cascade: true })
  expect([...removed].sort()).toEqual(['bottom', 'left', 'right'])
})

scenario([35], 'a cascade keeps a dependency that an ended job names, and one that runs', async (world) => {
  const { job, started } = standing()
  const ledger = await world.open({ jobs: [echo, job] })
  await ledger.start()
  await ledger.enqueue(echo, 1, { id: 'shared' })
  await ledger.enqueue(echo, 1, { id: 'reader', dependsOn: ['shared'] })
  await ledger.enqueue(job, 1, { id: 'running' })
  await ended(world, ledger, 'reader')
  await started(0)
  await ledger.enqueue(echo, 1, { id: 'leaf', dependsOn: ['shared', 'running'] })
  expect(await ledger.remove('leaf', { cascade: true })).toEqual(['leaf'])
  expect(await listed(ledger)).toEqual(['reader', 'running', 'shared'])
  expect((await ledger.status('running')).state).toBe('running')
})

scenario([35], 'without a cascade only the job itself goes', async (world) => {
  const ledger = await world.open()
  await ledger.enqueue(echo, 1, { id: 'a' })
  await ledger.enqueue(echo, 1, { id: 'b', dependsOn: ['a'] })
  expect((await ledger.status('a')).dependents).toEqual(['b'])
  expect(await ledger.remove('b')).toEqual(['b'])
  expect(await ledger.status('a')).toMatchObject({ state: 'ready', dependents: [] })
})

scenario([35, 28], 'of a retry and a removal at the same time each is told the truth', async (world) => {
  const ledger = await world.open()
  for (let turns = 0; turns < 12; turns += 1) {
    const id = `job ${turns}`
    await ledger.enqueue(echo, 1, { id })
    await ledger.failUnstarted(id)
    const removing = ledger.remove(id)
    removing.catch(() => {})
    for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate)
    const [removed, retried] = await Promise.allSettled([removing, ledger.retry(id)])
    if (removed.status === 'rejected') expect(await ledger.status(id), id).toMatchObject({ state: 'ready' })
    // A job that was sent round again first was cancelled to be removed.
    else await isRemoved(ledger, id, retried.status === 'fulfilled' ? 'cancelled' : 'failed')
  }
})

scenario([35], 'who removes a job twice at the same time has removed it once', async (world) => {
  const ledger = await world.open()
  await ledger.enqueue(echo, 1, { id: 'x' })
  const twice = await Promise.allSettled([ledger.remove('x'), ledger.remove('x')])
  expect(twice.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(twice.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { family: 'job' } })
  await isRemoved(ledger, 'x', 'cancelled')
  const log = (await world.store()).readAll({ streams: ['audit'] })
  const jobs: unknown[] = []
  for await (const page of log)
    for (const { type, data } of page) if (type === 'JobsRemoved') jobs.push(...(data as { jobs: unknown[] }).jobs)
  expect(jobs).toMatchObject([{ id: 'x', outcome: 'cancelled' }])
})

scenario(
  [35, 19],
  'who comes to depend on a job that is being removed goes by its outcome, or keeps it',
  async (world) => {
    const [one, two] = [await world.open({ jobs: [asking] }), await world.open()]
    await one.start()
    for (let turns = 0; turns < 14; turns += 1) {
      const [id, child] = [`dep ${turns}`, `child ${turns}`]
      await one.enqueue(echo, 1, { id })
      await one.failUnstarted(id)
      const removing = one.remove(id)
      removing.catch(() => {})
      for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate)
      const speaker = turns % 2 === 0 ? one : two
      const enqueuing = speaker.enqueue(asking, null, { id: child, dependsOn: [{ id, on: 'finished' }] })
      const [removed] = await Promise.allSettled([removing, enqueuing])
      expect(await ended(world, one, child), child).toMatchObject({ results: [{ id, outcome: 'failed' }] })
      if (removed.status === 'fulfilled') await isRemoved(one, id, 'failed')
      else expect(removed.reason).toMatchObject({ code: 'JOB_NEEDED', dependents: [child] })
    }
  },
)

scenario(
  [35, 28, 19],
  'a job that is sent round again goes by the outcome of dependencies removed since',
  async (world) => {
    const ledger = await world.open({ jobs: [echo, asking] })
    await ledger.start()
    for (const id of ['good', 'bad']) {
      await ledger.enqueue(echo, 1, { id, held: true })
      await ledger.enqueue(asking, null, { id: `after ${id}`, dependsOn: [id] })
      await ledger.cancel(`after ${id}`)
    }
    await ledger.promote('good')
    await ended(world, ledger, 'good')
    await ledger.failUnstarted('bad')
    await ledger.remove('good')
    await ledger.remove('bad')
    await ledger.retry('after good')
    expect(await ended(world, ledger, 'after good')).toMatchObject({ results: [{ id: 'good', outcome: 'succeeded' }] })
    await ledger.retry('after bad')
    expect(await ledger.status('after bad')).toMatchObject({ state: 'blocked', blockedBy: ['bad'] })
  },
)
