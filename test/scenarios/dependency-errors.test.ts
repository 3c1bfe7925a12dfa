/** Why a job’s dependencies failed, and why theirs did. */
import { expect } from 'vitest'
import type { DependencyError } from '../../runtime/read/dependencies.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { next, rejection } from '../engine/support.js'
import { echo, ended, loseLease, standing } from './acts.js'
import { scenario } from './scenario.js'

/** Fails unless told otherwise, once those before it have finished. */
const step = defineJob({
  type: 'step',
  maxAttempts: 1,
  handle: (fails: boolean, { id }) => {
    if (fails) throw new RangeError(`${id} failed`)
    return id
  },
})
const asking = defineJob({ type: 'asking', handle: (_: unknown, ctx) => ctx.dependencyErrors() })

const finished = (...ids: string[]) => ids.map((id) => ({ id, on: 'finished' as const }))
const failure = (id: string, ...dependencies: unknown[]) => ({
  ...{ id, type: 'step', outcome: 'failed', dependencies },
  error: { name: 'RangeError', message: `${id} failed` },
})

scenario([21], 'a chain of failures is told to its beginning, to the handler and to whoever asks', async (world) => {
  const ledger = await world.open({ jobs: [step, asking] })
  await ledger.enqueue(step, true, { id: 'one' })
  await ledger.enqueue(step, true, { id: 'two', dependsOn: finished('one') })
  await ledger.enqueue(step, true, { id: 'three', dependsOn: finished('two') })
  await ledger.enqueue(asking, null, { id: 'asking', dependsOn: finished('three') })
  await ledger.start()
  const chain = [failure('three', failure('two', failure('one')))]
  expect(await ended(world, ledger, 'asking')).toEqual(chain)
  expect(await ledger.dependencyErrors('asking')).toEqual(chain)
  expect(await ledger.dependencyErrors('two')).toEqual([failure('one')])
  expect(await ledger.dependencyErrors('one')).toEqual([])
  const other = await world.open()
  expect(await other.dependencyErrors('asking')).toEqual(chain)
})

scenario([21], 'in a diamond both ways are told, in the order in which the job names them', async (world) => {
  const ledger = await world.open({ jobs: [step, asking] })
  await ledger.enqueue(step, true, { id: 'top' })
  await ledger.enqueue(step, true, { id: 'left', dependsOn: finished('top') })
  await ledger.enqueue(step, true, { id: 'right', dependsOn: finished('top') })
  await ledger.enqueue(step, false, { id: 'fine', dependsOn: finished('top') })
  await ledger.enqueue(asking, null, { id: 'bottom', dependsOn: finished('right', 'fine', 'left') })
  await ledger.start()
  const errors = [failure('right', failure('top')), failure('left', failure('top'))]
  expect(await ended(world, ledger, 'bottom')).toEqual(errors)
})

scenario([21], 'a cancelled dependency tells why, and what it was cancelled for', async (world) => {
  const ledger = await world.open({ jobs: [step, asking] })
  await ledger.enqueue(step, true, { id: 'root' })
  const options = { dependsOn: [{ id: 'root', otherwise: 'cancel' as const }] }
  const doomed = next(ledger, 'doomed', 'Cancelled')
  await ledger.enqueue(step, true, { id: 'doomed', ...options })
  await ledger.enqueue(step, true, { id: 'unwanted' })
  await ledger.cancel('unwanted', { reason: 'nobody wants it' })
  const dependsOn = ['doomed', 'unwanted'].map((id) => ({ id, otherwise: 'run' as const }))
  await ledger.enqueue(asking, null, { id: 'asking', dependsOn })
  await ledger.start()
  await doomed
  const cancelled = { type: 'step', outcome: 'cancelled' }
  expect(await ended(world, ledger, 'asking')).toEqual([
    { ...cancelled, id: 'doomed', reason: 'dependency root failed', dependencies: [failure('root')] },
    { ...cancelled, id: 'unwanted', reason: 'nobody wants it', dependencies: [] },
  ])
})

scenario([21, 28], 'an error is told until its job has been repaired', async (world) => {
  let broken = true
  const fixable = defineJob({
    type: 'fixable',
    maxAttempts: 1,
    handle: (_: null) => {
      if (broken) throw new Error('broken')
    },
  })
  const ledger = await world.open({ jobs: [fixable] })
  await ledger.enqueue(fixable, null, { id: 'dep' })
  await ledger.enqueue(echo, 1, { id: 'waiting', dependsOn: ['dep'] })
  expect(await ledger.dependencyErrors('waiting')).toEqual([])
  await ledger.start()
  await ended(world, ledger, 'dep')
  expect(await ledger.dependencyErrors('waiting')).toMatchObject([{ id: 'dep', error: { message: 'broken' } }])
  broken = false
  await ledger.retry('dep')
  await ended(world, ledger, 'dep')
  expect(await ledger.dependencyErrors('waiting')).toEqual([])
})

scenario(
  [21, 35],
  'of an expunged dependency the name of the error is left, of a removed one its outcome',
  async (world) => {
    const ledger = await world.open({ jobs: [step] })
    await ledger.start()
    for (const id of ['expunged', 'removed']) {
      await ledger.enqueue(step, true, { id })
      await ended(world, ledger, id)
    }
    await ledger.expunge('expunged')
    await ledger.remove('removed')
    await ledger.enqueue(echo, 1, { id: 'waiting', dependsOn: ['expunged', 'removed'] })
    expect(await ledger.dependencyErrors('waiting')).toEqual([
      { id: 'expunged', type: 'step', outcome: 'failed', error: { name: 'RangeError', message: '' }, dependencies: [] },
      { id: 'removed', outcome: 'failed', dependencies: [] },
    ])
  },
)

scenario([21], 'whatever a dependency failed of is told', async (world) => {
  const slow = standing('slow', { timeout: '10s', maxAttempts: 1 })
  const ledger = await world.open({ jobs: [slow.job] })
  const ids = ['timed out', 'lost', 'unstarted']
  await ledger.enqueue(echo, 1, { id: 'lost' })
  for (let n = 0; n < 3; n += 1) await loseLease(world, ledger, 'lost')
  await ledger.enqueue(echo, 1, { id: 'unstarted' })
  await ledger.failUnstarted('unstarted', { why: 'no room' })
  await ledger.enqueue(slow.job, 1, { id: 'timed out' })
  await ledger.start()
  await ended(world, ledger, 'timed out')
  await ledger.enqueue(echo, 1, { id: 'waiting', dependsOn: ids })
  expect(await ledger.dependencyErrors('waiting')).toMatchObject([
    { id: 'timed out', error: { name: 'Timeout', message: expect.stringContaining('10000 ms') } },
    { id: 'lost', error: { name: 'LeaseLost', message: expect.stringContaining('no sign of life') } },
    { id: 'unstarted', error: { name: 'NotStarted' } },
  ])
})

scenario([21], 'the errors of no job are refused', async (world) => {
  const ledger = await world.open()
  expect(await rejection(ledger.dependencyErrors('nobody'))).toMatchObject({ code: 'JOB_UNKNOWN' })
})

scenario([21], 'a ladder with more ways down than anybody can go is told all the same', async (world) => {
  const ledger = await world.open({ jobs: [step] })
  const rungs = 24
  const pair = (rung: number) => [`a${rung}`, `b${rung}`]
  const batch = Array.from({ length: rungs }, (_, rung) =>
    pair(rung).map((id) => ({
      job: step,
      payload: true,
      options: { id, dependsOn: rung === 0 ? [] : finished(...pair(rung - 1)) },
    })),
  ).flat()
  await ledger.enqueueMany(batch)
  await ledger.start()
  await ended(world, ledger, `a${rungs - 1}`)
  let errors: readonly DependencyError[] = await ledger.dependencyErrors(`a${rungs - 1}`)
  for (let rung = rungs - 2; rung >= 0; rung -= 1) {
    expect(errors.map(({ id }) => id)).toEqual(pair(rung))
    errors = (errors[1] as DependencyError).dependencies
  }
  expect(errors).toEqual([])
})
