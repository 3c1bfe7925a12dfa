/** Who does something and why, for whom, and in the course of what: recorded with every deed, handed on by every job. */
import { expect } from 'vitest'
import { openLedger } from '../../adapters/open-ledger.js'
import type { Metadata } from '../../domain/event.js'
import type { Ledger } from '../../runtime/ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { rejection } from '../engine/support.js'
import { scenario } from './scenario.js'

const note = defineJob({ type: 'note', handle: (text: string) => text })
/** Run by nobody here. */
const remote = defineJob<string, unknown>({ type: 'remote' })

async function leased(ledger: Ledger, id: string): Promise<string> {
  return (await ledger.leaseById(id, await ledger.workers.register())).token
}

const DEEDS: readonly (readonly [event: string, deed: (ann: Ledger, plain: Ledger) => Promise<unknown>])[] = [
  ['Queued', (ann) => ann.enqueue(remote, 'a', { id: 'a', held: true })],
  ['Rescheduled', (ann) => ann.reschedule('a', { priority: 3 })],
  ['Rescheduled', (ann) => ann.promote('a')],
  ['Cancelled', (ann) => ann.cancel('a')],
  ['Retried', (ann) => ann.retry('a')],
  ['Finished', async (ann, plain) => ann.finish(await leased(plain, 'a'), 'done')],
  ['Expunged', (ann) => ann.expunge('a')],
  ['Condemned', (ann) => ann.remove('a')],
  ['JobsRemoved', async () => {}],
  ['Queued', (ann) => ann.enqueueMany([{ job: remote, payload: 'b', options: { id: 'b' } }])],
  ['Failed', async (ann, plain) => ann.fail(await leased(plain, 'b'), new Error('bad'), { retryable: false })],
  ['Finished', async () => {}],
  ['Retried', (ann) => ann.deadLetters.retry(['b'])],
  ['Released', async (ann, plain) => ann.requeueOrFinish(await leased(plain, 'b'), 5)],
  ['Cancelled', (ann) => ann.remove('b')],
  ['Queued', (ann) => ann.enqueue(remote, 'c', { id: 'c' })],
  ['Failed', (ann) => ann.failUnstarted('c')],
  ['Condemned', (ann) => ann.deadLetters.clean(['c'])],
  ['Queued', (ann) => ann.enqueue(remote, 'd', { id: 'd' })],
  ['Cancelled', (ann) => ann.cancel('d')],
  ['Expunged', (ann) => ann.retention.run({ rules: [{ name: 'blank', action: 'expunge', maxCount: 0 }] })],
  ['JobsRemoved', (ann) => ann.retention.run({ rules: [{ name: 'all', maxCount: 0 }] })],
]

scenario([49], 'every deed of a ledger that speaks for somebody says who did it and why', async (world) => {
  const ledger = await world.open()
  const ann = ledger.as({ user: 'ann', roles: ['operator'], reason: 'ticket 17' })
  const said = new Map<string, Metadata | undefined>()
  ledger.events$.subscribe(({ type, metadata }) => void said.set(type, metadata))
  for (const [index, [event, deed]] of DEEDS.entries()) {
    await deed(ann, ledger)
    expect([index, event, said.get(event)]).toEqual([index, event, { actor: 'ann', reason: 'ticket 17' }])
  }
})

scenario([49], 'what another does with the same job says so, and what nobody says is absent', async (world) => {
  const ledger = await world.open()
  await ledger.enqueue(remote, 'a', { id: 'a', held: true })
  await ledger.as({ user: 'ann' }).promote('a')
  await ledger.as({ user: 'bob', reason: 'no longer wanted' }).cancel('a')
  const history = await ledger.history('a')
  expect(history.map(({ type, metadata }) => [type, metadata])).toEqual([
    ['Queued', undefined],
    ['Rescheduled', { actor: 'ann' }],
    ['Cancelled', { actor: 'bob', reason: 'no longer wanted' }],
  ])
  expect(await ledger.status('a')).toMatchObject({ state: 'cancelled', reason: 'no longer wanted' })
  expect(await ledger.status('a')).not.toHaveProperty('user')
})

scenario([49], 'the reason of a cancel is the one given with it, else the one of whoever speaks', async (world) => {
  const ledger = await world.open()
  const ann = ledger.as({ user: 'ann', reason: 'in general' })
  await ledger.enqueueMany(['a', 'b'].map((id) => ({ job: remote, payload: id, options: { id } })))
  await ann.cancel('a')
  await ann.cancel('b', { reason: 'this one' })
  const reasons = await Promise.all(['a', 'b'].map(async (id) => (await ledger.status(id)).reason))
  expect(reasons).toEqual(['in general', 'this one'])
  expect((await ledger.history('b')).at(-1)?.metadata).toEqual({ actor: 'ann', reason: 'in general' })
})

scenario([49], 'who speaks is the user of what is enqueued, unless the enqueue names another', async (world) => {
  const ledger = await world.open()
  const ann = ledger.as({ user: 'ann' })
  await ann.enqueue(note, 'x', { id: 'hers' })
  await ann.enqueue(note, 'x', { id: 'for-bob', user: 'bob' })
  await ledger.enqueue(note, 'x', { id: 'for-eve', user: 'eve' })
  await ledger.enqueue(note, 'x', { id: 'nobody' })
  const users = await Promise.all(
    ['hers', 'for-bob', 'for-eve', 'nobody'].map(async (id) => (await ledger.status(id)).user),
  )
  expect(users).toEqual(['ann', 'bob', 'eve', undefined])
  const actors = await Promise.all(
    ['hers', 'for-bob', 'for-eve', 'nobody'].map(async (id) => (await ledger.history(id))[0]?.metadata?.actor),
  )
  expect(actors).toEqual(['ann', 'ann', undefined, undefined])
})

const NOBODY: readonly (readonly [unknown, string])[] = [
  [{}, 'as.user'],
  [{ user: '' }, 'as.user'],
  [{ user: 5 }, 'as.user'],
  [{ user: 'x'.repeat(201) }, 'as.user'],
  [{ user: 'ann', reason: '' }, 'as.reason'],
  [{ user: 'ann', roles: 'admin' }, 'as.roles'],
  [{ user: 'ann', roles: [1] }, 'as.roles'],
  [{ user: 'ann', role: 'x' }, 'as.role'],
  [null, 'as'],
]

scenario([49], 'an actor without a name, or an empty user, is refused', async (world) => {
  const ledger = await world.open()
  for (const [actor, option] of NOBODY) {
    expect(() => ledger.as(actor as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', option }))
  }
  const error = await rejection(ledger.enqueue(note, 'x', { user: '' }))
  expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'enqueue.user' })
  expect(await rejection(ledger.enqueue(note, 'x', { trace: { traceparent: 'none' } }))).toMatchObject({
    option: 'enqueue.trace.traceparent',
  })
})

const TRACE = {
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  tracestate: 'vendor=1',
  baggage: 'tenant=blue',
}
const OTHER_TRACE = { traceparent: '00-11111111111111111111111111111111-2222222222222222-00' }

interface Generation {
  readonly id: string
  readonly user: string | undefined
  readonly trace: unknown
  readonly correlationId: string
  readonly causationId: string | undefined
}

/** A job that enqueues the next of its line: by its context, or by the ledger that everybody has. */
function dynasty(seen: Generation[], by: () => Ledger | undefined) {
  const heir = defineJob({
    type: 'heir',
    handle: async (left: number, ctx): Promise<void> => {
      const { id, user, trace, correlationId, causationId } = ctx
      seen.push({ id, user, trace, correlationId, causationId })
      if (left === 0) return
      await (by() ?? ctx.ledger).enqueue(heir, left - 1, { id: `${left - 1}` })
    },
  })
  return heir
}

const LINE = [
  { id: '3', user: 'ann', trace: TRACE, correlationId: '3', causationId: undefined },
  { id: '2', user: 'ann', trace: TRACE, correlationId: '3', causationId: '3' },
  { id: '1', user: 'ann', trace: TRACE, correlationId: '3', causationId: '2' },
  { id: '0', user: 'ann', trace: TRACE, correlationId: '3', causationId: '1' },
]

scenario([49, 50], 'user, trace and correlation go down the generations, and each knows its parent', async (world) => {
  for (const byContext of [true, false]) {
    const seen: Generation[] = []
    let shared: Ledger | undefined
    const heir = dynasty(seen, () => shared)
    const ledger = byContext ? await world.open({ jobs: [heir] }) : await openLedger({ url: 'memory:', jobs: [heir] })
    if (!byContext) shared = ledger
    await ledger.start()
    await ledger.enqueue(heir, 3, { id: '3', user: 'ann', trace: TRACE })
    for (const id of ['3', '2', '1', '0']) await ledger.result(id)
    expect(seen).toEqual(LINE)
    expect((await ledger.history('0'))[0]?.metadata).toEqual({ $correlationId: '3', $causationId: '1' })
    expect(await ledger.status('0')).toMatchObject({ user: 'ann', correlationId: '3' })
    await ledger.close()
  }
})

scenario(
  [49, 50],
  'a ledger that was started on behalf of somebody does not make all descendants theirs',
  async (world) => {
    const seen: Generation[] = []
    const heir = dynasty(seen, () => undefined)
    const ledger = await world.open({ jobs: [heir] })
    await ledger.as({ user: 'operator', reason: 'deployed' }).start()
    await ledger.enqueue(heir, 3, { id: '3', user: 'ann', trace: TRACE })
    for (const id of ['3', '2', '1', '0']) await ledger.result(id)
    expect(seen).toEqual(LINE)
  },
)

scenario([49, 50], 'within a run somebody else can be spoken for, and the correlation stays', async (world) => {
  const child = defineJob({ type: 'child', handle: (_: null, { user, trace }) => ({ user, trace }) })
  const parent = defineJob({
    type: 'parent',
    handle: async (_: null): Promise<unknown[]> => {
      const bob = ledger.as({ user: 'bob', reason: 'delegated' })
      const jobs = [
        await bob.enqueue(child, null, { id: 'delegated' }),
        await ledger.enqueue(child, null, { id: 'named', user: 'eve' }),
        await ledger.enqueue(child, null, { id: 'traced', trace: OTHER_TRACE }),
      ]
      await bob.cancel('other')
      return Promise.all(jobs.map((job) => job.result()))
    },
  })
  const ledger: Ledger = await world.open({ jobs: [parent, child] })
  await ledger.enqueue(remote, 'x', { id: 'other' })
  await ledger.start()
  const results = await (await ledger.enqueue(parent, null, { id: 'parent', user: 'ann', trace: TRACE })).result()
  expect(results).toEqual([
    { user: 'bob', trace: TRACE },
    { user: 'eve', trace: TRACE },
    { user: 'ann', trace: OTHER_TRACE },
  ])
  const course = { $correlationId: 'parent', $causationId: 'parent' }
  expect((await ledger.history('delegated'))[0]?.metadata).toEqual({ actor: 'bob', reason: 'delegated', ...course })
  expect((await ledger.history('other')).at(-1)?.metadata).toEqual({ actor: 'bob', reason: 'delegated', ...course })
})

scenario([49], 'channels tell tenants apart: each is listed, leased and counted by its own', async (world) => {
  const ledger = await world.open()
  const channels = ['blue', 'green', '', 'blue']
  for (const [n, channel] of channels.entries()) await ledger.enqueue(remote, 'x', { id: `${n}`, channel })
  const listed = (await ledger.list({ channel: 'blue' })).jobs.map(({ id }) => id)
  expect(listed.sort()).toEqual(['0', '3'])
  const workerId = await ledger.workers.register()
  const lease = await ledger.lease({ workerId, channels: ['green'], timeout: 0 })
  expect(lease).toMatchObject({ id: '1' })
  expect(await rejection(ledger.lease({ workerId, channels: ['green'], timeout: 0 }))).toMatchObject({
    code: 'LEASE_TIMEOUT',
  })
  expect(await ledger.lease({ workerId, channels: [''], timeout: 0 })).toMatchObject({ id: '2' })
})

scenario([50], 'a trace outlives a restart and every later attempt', async (world) => {
  const seen: unknown[] = []
  const job = defineJob({
    type: 'traced',
    backoff: { min: '1m', jitter: 'none' },
    handle: (_: null, ctx) => {
      seen.push(ctx.trace)
      if (ctx.attempt === 1) throw new Error('once')
    },
  })
  const before = await world.open({ jobs: [job] })
  await before.start()
  await before.enqueue(job, null, { id: 'a', trace: TRACE })
  await world.clock.settle()
  await world.close(before)
  const after = await world.open({ jobs: [job] })
  await after.start()
  await world.pass(after.result('a'))
  expect(seen).toEqual([TRACE, TRACE])
})
