/** Triggers whose jobs are done by an outside client, which begins them itself and says how they ended. */
import { expect } from 'vitest'
import { defineJob } from '../../runtime/work/run/definition.js'
import { rejection, typesOf } from '../engine/support.js'
import { code } from './remote.js'
import { scenario } from './scenario.js'
import { noted, storyOf, tick, toldOf } from './trigger-acts.js'

const HOUR = 3_600_000
const sync = defineJob<unknown, unknown>({ type: 'sync', maxAttempts: 1 })
const CLIENT = { id: 'sync', kind: 'client', job: sync, payload: { account: 1 } } as const

scenario(
  [64, '002.32'],
  'a launch makes a job that runs already, and its client says that it is done',
  async (world) => {
    const ledger = await world.open()
    await ledger.triggers.add(CLIENT)
    const workerId = await ledger.workers.register({ name: 'phone' })
    const lease = await ledger.triggers.launch('sync', { workerId })
    const at = world.clock.now()
    expect(lease).toMatchObject({ payload: { account: 1 }, type: 'sync', trigger: { id: 'sync', occurrence: at } })
    expect(await typesOf(ledger, lease.id)).toEqual(['Queued', 'Leased'])
    expect(await ledger.status(lease.id)).toMatchObject({ state: 'running', lease: { workerId, expiresAt: at + HOUR } })
    expect(await ledger.triggers.state('sync')).toMatchObject({ status: 'running', lastExecution: { jobId: lease.id } })
    expect(await toldOf(world, 'sync', 'TriggerFired')).toMatchObject([{ by: 'client', jobId: lease.id }])
    expect(await ledger.jobOf(lease.token)).toMatchObject({ id: lease.id, cancelled: false })
    await world.clock.advance('10m')
    await ledger.finish(lease.token, { files: 3 })
    expect(await ledger.result(lease.id)).toEqual({ files: 3 })
    expect(await ledger.triggers.state('sync')).toMatchObject({ status: 'succeeded', lastSuccess: { jobId: lease.id } })
  },
)

scenario([64, '002.32'], 'or that it failed', async (world) => {
  const ledger = await world.open()
  await ledger.triggers.add(CLIENT)
  const workerId = await ledger.workers.register()
  const { id, token } = await ledger.triggers.launch('sync', { workerId, payload: { account: 2 } })
  await ledger.fail(token, new Error('wrong password'))
  expect(await ledger.status(id)).toMatchObject({
    ...{ state: 'failed', errorMessage: 'wrong password', payload: { account: 2 } },
  })
  expect(await ledger.triggers.state('sync')).toMatchObject({
    status: 'failed',
    lastFailure: { jobId: id, error: 'Error' },
  })
})

scenario([64, 10, '002.32'], 'nobody else ends it, and what has ended has ended', async (world) => {
  const ledger = await world.open()
  await ledger.triggers.add(CLIENT)
  const [phone, laptop] = [await ledger.workers.register(), await ledger.workers.register()]
  const mine = await ledger.triggers.launch('sync', { workerId: phone })
  const other = await ledger.triggers.launch('sync', { workerId: laptop })
  expect(mine.token).not.toBe(other.token)
  await ledger.finish(other.token)
  expect(await ledger.status(mine.id)).toMatchObject({ state: 'running' })
  for (const end of [ledger.finish('no-token'), ledger.fail('no-token', new Error('x')), ledger.finish(other.token)])
    expect(await code(end)).toBe('LEASE_LOST')
  expect(await code(ledger.fail(other.token, new Error('x')))).toBe('LEASE_LOST')
  expect(await ledger.status(other.id)).toMatchObject({ state: 'succeeded' })
  expect(await rejection(ledger.leaseById(mine.id, laptop))).toMatchObject({ code: 'JOB_NOT_PENDING' })
  await ledger.cancel(mine.id)
  expect(await code(ledger.finish(mine.token))).toBe('LEASE_LOST')
  expect(await ledger.status(mine.id)).toMatchObject({ state: 'cancelled' })
})

scenario([64, 11], 'it runs as long as its client gives signs of life', async (world) => {
  const ledger = await world.open()
  await ledger.triggers.add(CLIENT)
  const workerId = await ledger.workers.register()
  const { id, token } = await ledger.triggers.launch('sync', { workerId, lease: '10m' })
  for (let beat = 0; beat < 4; beat += 1) {
    await world.clock.advance('8m')
    await ledger.workers.touch(workerId)
    await ledger.heartbeat(token, { progress: beat })
  }
  expect(await ledger.status(id)).toMatchObject({ state: 'running', progress: 3 })
  await world.clock.advance('11m')
  expect((await ledger.status(id)).state).not.toBe('running')
  expect(await code(ledger.finish(token))).toBe('LEASE_LOST')
})

scenario([64], 'nobody takes it away at the start, though others run its type', async (world) => {
  const { job, notes } = noted('sync')
  const [ledger, other] = [await world.open(), await world.open({ jobs: [job] })]
  await other.start()
  await ledger.triggers.add({ ...CLIENT, job })
  const workerId = await ledger.workers.register()
  for (let n = 0; n < 20; n += 1) {
    const { id, token } = await ledger.triggers.launch('sync', { workerId })
    await ledger.finish(token, n)
    expect(await ledger.result(id)).toBe(n)
  }
  await world.clock.advance('5s')
  expect(notes).toEqual([])
})

scenario([64, '002.32'], 'only a client trigger is launched, by a worker that is registered', async (world) => {
  const ledger = await world.open()
  const { triggers } = ledger
  await triggers.add(CLIENT)
  await triggers.add({ id: 'hook', kind: 'webhook', job: tick })
  const workerId = await ledger.workers.register()
  expect(await rejection(triggers.launch('hook', { workerId }))).toMatchObject({
    code: 'TRIGGER_KIND_MISMATCH',
    kind: 'webhook',
  })
  expect(await code(triggers.launch('nobody', { workerId }))).toBe('TRIGGER_UNKNOWN')
  expect(await rejection(triggers.launch('sync', { workerId: 'w' }))).toMatchObject({
    code: 'WORKER_UNKNOWN',
    workerId: 'w',
  })
  await triggers.pause('sync')
  expect(await code(triggers.launch('sync', { workerId }))).toBe('TRIGGER_NOT_ACTIVE')
  expect((await ledger.list()).jobs).toEqual([])
  expect((await storyOf(world, 'sync')).map(({ type }) => type)).toEqual(['TriggerAdded', 'TriggerPaused'])
})

scenario([64], 'it never fires by itself', async (world) => {
  const ledger = await world.open()
  await ledger.triggers.add(CLIENT)
  expect(await ledger.triggers.next('sync')).toEqual([])
  await world.clock.advance('1h')
  expect(await ledger.triggers.jobs('sync')).toEqual([])
})

scenario([64, '002.32'], 'what its client says is the last word, whatever its type says of attempts', async (world) => {
  const ledger = await world.open()
  await ledger.triggers.add({ ...CLIENT, job: tick })
  const workerId = await ledger.workers.register()
  const { id, token } = await ledger.triggers.launch('sync', { workerId })
  await ledger.fail(token, new Error('wrong password'))
  expect(await ledger.status(id)).toMatchObject({ state: 'failed', attempt: 1 })
  await ledger.triggers.update('sync', { options: { maxAttempts: 2 } })
  const again = await ledger.triggers.launch('sync', { workerId })
  await ledger.fail(again.token, new Error('wrong password'))
  expect(await ledger.status(again.id)).toMatchObject({ state: 'scheduled', attempt: 1 })
})

scenario([64], 'a client that is not heard of any more has failed, and nobody else takes its job', async (world) => {
  const ledger = await world.open({ jobs: [defineJob({ type: 'tick', handle: () => 'by somebody else' })] })
  await ledger.start()
  await ledger.triggers.add({ ...CLIENT, job: tick })
  const workerId = await ledger.workers.register()
  const { id } = await ledger.triggers.launch('sync', { workerId, lease: '1m' })
  await world.clock.advance('2m')
  expect(await typesOf(ledger, id)).toEqual(['Queued', 'Leased', 'Failed', 'Finished'])
  expect(await ledger.status(id)).toMatchObject({ state: 'failed', error: 'LeaseLost' })
})

scenario([64], 'a launch that cannot be leased leaves no job behind', async (world) => {
  const keyed = defineJob<unknown, unknown>({ type: 'keyed', concurrencyKey: 'k' })
  const ledger = await world.open()
  await ledger.triggers.add(CLIENT)
  const workerId = await ledger.workers.register()
  await ledger.workers.pause(workerId)
  expect(await rejection(ledger.triggers.launch('sync', { workerId }))).toMatchObject({ code: 'WORKER_NOT_ACTIVE' })
  expect(await ledger.triggers.jobs('sync')).toEqual([])
  expect(await ledger.triggers.state('sync')).toMatchObject({ fired: 0, missed: 0 })
  for (const more of [{ options: { delay: '1m' } }, { options: { held: true } }, { job: keyed }]) {
    const refused = await rejection(ledger.triggers.add({ ...CLIENT, id: 'odd', ...more }))
    expect(refused).toMatchObject({ code: 'INVALID_OPTION', expected: 'absent for a trigger of kind client' })
  }
  expect(await rejection(ledger.triggers.launch('nobody', { workerId: 'nobody' }))).toMatchObject({
    code: 'TRIGGER_UNKNOWN',
  })
})
