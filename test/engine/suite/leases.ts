import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../../../adapters/testing/virtual-clock.js'
import { LeaseLost } from '../../../domain/rejection.js'
import type { JobContext } from '../../../runtime/work/run/context.js'
import { defineJob } from '../../../runtime/work/run/definition.js'
import type { Backend, Gate } from '../support.js'
import { factsOf, gate, leaseElsewhere, never, next, rejection, typesOf, World } from '../support.js'

const LEASE = 30_000
const GRACE = 5_000
const plain = defineJob({ type: 'plain', handle: (_: unknown, { run, attempt }) => ({ run, attempt }) })

/** A type whose runs end when told to, by the job's id. */
function held() {
  const started: string[] = []
  const gates = new Map<string, Gate<string>>()
  const contexts: JobContext[] = []
  const gateOf = (id: string): Gate<string> => {
    const known = gates.get(id) ?? gate<string>()
    gates.set(id, known)
    return known
  }
  const hold = (_: null, ctx: JobContext): Promise<string> => {
    started.push(ctx.id)
    contexts.push(ctx)
    return gateOf(ctx.id).promise
  }
  const job = defineJob({ type: 'held', handle: hold })
  return { job, hold, started, contexts, finish: (id: string) => gateOf(id).open(`end of ${id}`) }
}

/** Lets a worker that nobody knows lease a job and fall silent, until the ledger has taken the lease back. */
async function loseOnce(world: World, ledger: Awaited<ReturnType<World['open']>>, id: string, token: string) {
  const store = await world.store()
  const leased = next(ledger, id, 'Leased')
  await leaseElsewhere(store, world.clock, id, { token, expiresAt: world.clock.now() + LEASE })
  await leased
  const failed = next(ledger, id, 'Failed')
  await world.clock.advance(LEASE + GRACE + 1_000)
  return failed
}

export function leasesSuite(backend: Backend): void {
  describe('leases', () => {
    it('are renewed each time a third of them is over', async () => {
      await using world = await World.create(backend)
      const { job, finish } = held()
      const ledger = await world.open({ jobs: [job] })
      await ledger.start()
      const { id, result } = await ledger.enqueue(job, null)
      await world.clock.advance('65s')
      const [leased] = await factsOf(ledger, id, 'Leased')
      const start = leased?.at as number
      const beats = await factsOf(ledger, id, 'Heartbeat')
      expect(leased?.expiresAt).toBe(start + LEASE)
      expect(beats.map(({ at }) => (at as number) - start)).toEqual([1, 2, 3, 4, 5, 6].map((n) => n * 10_000))
      for (const { at, expiresAt } of beats) expect(expiresAt).toBe((at as number) + LEASE)
      expect((await ledger.status(id)).lease?.expiresAt).toBe(start + 60_000 + LEASE)
      finish(id)
      expect(await result()).toBe(`end of ${id}`)
    })

    it('may be of another length, and short runs never renew theirs', async () => {
      await using world = await World.create(backend)
      const { job, finish } = held()
      const ledger = await world.open({ jobs: [job] })
      await ledger.start({ lease: '3s' })
      const { id, result } = await ledger.enqueue(job, null)
      await world.clock.advance(999)
      expect(await typesOf(ledger, id)).toEqual(['Queued', 'Leased'])
      await world.clock.advance(1)
      expect(await typesOf(ledger, id)).toEqual(['Queued', 'Leased', 'Heartbeat'])
      finish(id)
      await result()
    })

    it('outlive any number of expiries while their worker lives, in its own ledger and in another one', async () => {
      await using world = await World.create(backend)
      const { job, finish, contexts } = held()
      const ledger = await world.open({ jobs: [job] })
      await ledger.start()
      const { id, result } = await ledger.enqueue(job, null, { timeout: null })
      await world.clock.advance('20m')
      expect(contexts[0]?.signal.aborted).toBe(false)
      finish(id)
      await result()
      expect(new Set(await typesOf(ledger, id))).toEqual(new Set(['Queued', 'Leased', 'Heartbeat', 'Finished']))
    })

    it('show the progress and partial result that the handler reports', async () => {
      await using world = await World.create(backend)
      const reported = gate()
      const { hold, finish, started } = held()
      const reporting = defineJob({
        type: 'reporting',
        handle: async (_: null, ctx) => {
          await ctx.heartbeat(0.5, { done: ['a'] })
          await ctx.heartbeat(7)
          reported.open()
          return hold(null, ctx)
        },
      })
      const ledger = await world.open({ jobs: [reporting] })
      await ledger.start()
      const { id } = await ledger.enqueue(reporting, null)
      await reported.promise
      expect(await ledger.status(id)).toMatchObject({ state: 'running', progress: 7 })
      const beats = await factsOf(ledger, id, 'Heartbeat')
      expect(beats).toMatchObject([{ progress: 0.5, body: { done: ['a'] } }, { progress: 7 }])
      expect(started).toEqual([id])
      finish(id)
    })

    it.each([
      ['a partial result that is not JSON', 1, () => {}],
      ['a progress that is no number', Number.NaN, undefined],
      ['a progress that is text', '50%' as never, undefined],
    ])('refuse %s, and the run goes on', async (_name, progress, partial) => {
      await using world = await World.create(backend)
      const job = defineJob({
        type: 'odd',
        handle: async (_: null, ctx) => {
          const error = await ctx.heartbeat(progress, partial).catch((thrown: unknown) => thrown)
          return (error as { family?: string }).family
        },
      })
      const ledger = await world.open({ jobs: [job] })
      await ledger.start()
      expect(await (await ledger.enqueue(job, null)).result()).toBe('option')
    })

    it('are lost 5 s after they expired, and the job runs again without having spent an attempt', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [plain] })
      const { id, result } = await ledger.enqueue(plain, null)
      const leased = next(ledger, id, 'Leased')
      const expiresAt = world.clock.now() + LEASE
      await leaseElsewhere(await world.store(), world.clock, id, { token: 'foreign', expiresAt })
      await leased
      await ledger.start()
      await world.clock.advance(LEASE + GRACE)
      expect(await typesOf(ledger, id)).toEqual(['Queued', 'Leased'])
      await world.clock.advance('1s')
      expect(await result()).toEqual({ run: 2, attempt: 1 })
      const facts = { cause: 'lease-lost', error: 'LeaseLost', retryable: true, token: 'foreign', run: 1 }
      expect(await factsOf(ledger, id, 'Failed')).toMatchObject([facts])
      expect(await factsOf(ledger, id, 'Retried')).toMatchObject([{ by: 'lease-lost' }])
      expect(await ledger.status(id)).toMatchObject({ run: 2, attempt: 1 })
      expect(world.log.filter(({ message }) => message === 'lease lost')).toHaveLength(1)
    })

    it('are lost three times at most: then the job has failed', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open()
      const { id, result } = await ledger.enqueue(plain, null)
      for (const token of ['first', 'second', 'third']) await loseOnce(world, ledger, id, token)
      expect(await rejection(result())).toMatchObject({ code: 'JOB_FAILED', error: 'LeaseLost' })
      const round = ['Leased', 'Failed', 'Retried']
      expect(await typesOf(ledger, id)).toEqual(['Queued', ...round, ...round, 'Leased', 'Failed', 'Finished'])
      expect(await ledger.status(id)).toMatchObject({ state: 'failed', attempt: 0, run: 3 })
      await ledger.retry(id)
      await loseOnce(world, ledger, id, 'fourth')
      expect((await ledger.status(id)).state).toBe('ready')
    })

    it('taken back from a worker that stands still: it learns so, and its late result is refused', async () => {
      await using world = await World.create(backend)
      const frozen = new VirtualClock(world.clock.now())
      const { job, contexts, finish } = held()
      const hang = defineJob({ type: 'hang', handle: (_: null) => never() })
      const stuck = await world.open({ jobs: [job, hang], clock: frozen })
      await stuck.start({ concurrency: 1 })
      const { id } = await stuck.enqueue(job, null)
      await frozen.settle()
      // Its one slot will be taken by this: it does not lease the job again itself.
      await stuck.enqueue(hang, null, { priority: -1 })
      const [context] = contexts as [JobContext]
      const aborted = new Promise<void>((resolve) => {
        context.signal.addEventListener('abort', () => resolve(), { once: true })
      })
      const again = defineJob({ type: 'held', handle: (_: null) => 'by the other' })
      const other = await world.open({ jobs: [again] })
      await other.start()
      expect(await world.pass(other.result(id))).toBe('by the other')
      await aborted
      expect(context.signal.reason).toBeInstanceOf(LeaseLost)
      expect(await rejection(context.heartbeat(1))).toMatchObject({ code: 'LEASE_LOST', jobId: id })
      finish(id)
      await frozen.settle()
      const whole = ['Queued', 'Leased', 'Failed', 'Retried', 'Leased', 'Finished']
      expect(await typesOf(stuck, id)).toEqual(whole)
      expect(await stuck.result(id)).toBe('by the other')
    })

    it('once lost make a job suspect: suspects run one at a time, beside all others', async () => {
      await using world = await World.create(backend)
      const { job, started, finish } = held()
      const ledger = await world.open({ jobs: [job, plain] })
      const suspects = ['s1', 's2', 's3']
      const store = await world.store()
      for (const id of suspects) {
        await ledger.enqueue(job, null, { id })
        const leased = next(ledger, id, 'Leased')
        await leaseElsewhere(store, world.clock, id, { token: id, expiresAt: world.clock.now() })
        await leased
      }
      await world.clock.advance(GRACE + 2_000)
      for (const id of suspects) expect((await ledger.status(id)).state).toBe('ready')
      await ledger.start({ concurrency: 5 })
      expect(await (await ledger.enqueue(plain, null)).result()).toBeDefined()
      await world.clock.settle()
      expect(started).toEqual(['s1'])
      finish('s1')
      await ledger.result('s1')
      await world.clock.settle()
      expect(started).toEqual(['s1', 's2'])
      await world.clock.advance(LEASE - 1)
      expect(started).toEqual(['s1', 's2'])
      await world.clock.advance(1)
      expect(started).toEqual(suspects)
      for (const id of suspects) finish(id)
      await ledger.result('s3')
    })
  })
}
