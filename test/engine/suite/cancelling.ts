import { describe, expect, it } from 'vitest'
import { JobCancelled } from '../../../runtime/errors.js'
import type { Ledger } from '../../../runtime/ledger.js'
import type { JobContext } from '../../../runtime/work/run/context.js'
import type { JobDefinition } from '../../../runtime/work/run/definition.js'
import { defineJob } from '../../../runtime/work/run/definition.js'
import type { Backend } from '../support.js'
import { factsOf, gate, rejection, typesOf, World } from '../support.js'

const plain = defineJob({ type: 'plain', handle: (value: number) => value })

interface Running {
  readonly job: JobDefinition<null, string>
  readonly started: Promise<JobContext>
  finish(result: string): void
}

function running(): Running {
  const started = gate<JobContext>()
  const end = gate<string>()
  const job = defineJob({
    type: 'running',
    handle: (_: null, ctx: JobContext) => {
      started.open(ctx)
      return end.promise
    },
  })
  return { job, started: started.promise, finish: (result) => end.open(result) }
}

async function fail(ledger: Ledger, world: World, id: string): Promise<void> {
  await rejection(world.pass(ledger.result(id)))
}

export function cancellingSuite(backend: Backend): void {
  describe('cancel', () => {
    it('ends a waiting job, which then never runs', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [plain] })
      const job = await ledger.enqueue(plain, 1)
      const waiter = rejection(job.result())
      expect(await ledger.cancel(job.id, { reason: 'not needed' })).toBe(true)
      const cancelled = { code: 'JOB_CANCELLED', jobId: job.id, reason: 'not needed' }
      expect(await waiter).toMatchObject(cancelled)
      expect(await rejection(ledger.result(job.id))).toMatchObject(cancelled)
      await ledger.start()
      await (await ledger.enqueue(plain, 2)).result()
      expect(await ledger.status(job.id)).toMatchObject({ state: 'cancelled', reason: 'not needed', run: 0 })
      expect(await factsOf(ledger, job.id, 'Cancelled')).toMatchObject([{ by: 'operator', reason: 'not needed' }])
    })

    it('ends a scheduled job too', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [plain] })
      await ledger.start()
      const job = await ledger.enqueue(plain, 1, { delay: '1h' })
      await ledger.cancel(job.id)
      await world.clock.advance('2h')
      expect(await typesOf(ledger, job.id)).toEqual(['Queued', 'Cancelled'])
    })

    it('tells a running job through its signal, frees the slot and refuses the late result', async () => {
      await using world = await World.create(backend)
      const { job, started, finish } = running()
      const ledger = await world.open({ jobs: [job, plain] })
      await ledger.start({ concurrency: 1 })
      const { id, result } = await ledger.enqueue(job, null)
      const waiter = rejection(result())
      const { signal, heartbeat } = asBound(await started)
      expect(signal.aborted).toBe(false)
      expect(await ledger.cancel(id, { reason: 'enough' })).toBe(true)
      expect(signal.reason).toBeInstanceOf(JobCancelled)
      expect(signal.reason).toMatchObject({ jobId: id, reason: 'enough' })
      expect(await waiter).toMatchObject({ code: 'JOB_CANCELLED', reason: 'enough' })
      expect(await (await ledger.enqueue(plain, 5)).result()).toBe(5)
      expect(await rejection(heartbeat(1))).toMatchObject({ code: 'LEASE_LOST' })
      finish('too late')
      await world.clock.settle()
      expect(await typesOf(ledger, id)).toEqual(['Queued', 'Leased', 'Cancelled'])
    })

    it('reaches a run in another ledger on the same log', async () => {
      await using world = await World.create(backend)
      const { job, started } = running()
      const runner = await world.open({ jobs: [job] })
      const other = await world.open()
      await runner.start()
      const { id } = await other.enqueue(job, null)
      const { signal } = await started
      const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      await other.cancel(id)
      await aborted
      expect(signal.reason).toBeInstanceOf(JobCancelled)
    })

    it('leaves a running job alone when told so', async () => {
      await using world = await World.create(backend)
      const { job, started, finish } = running()
      const ledger = await world.open({ jobs: [job] })
      await ledger.start()
      const { id, result } = await ledger.enqueue(job, null)
      await started
      expect(await rejection(ledger.cancel(id, { ifIdle: true }))).toMatchObject({ code: 'JOB_RUNNING', jobId: id })
      finish('done')
      expect(await result()).toBe('done')
      const idle = await ledger.enqueue(plain, 1)
      expect(await ledger.cancel(idle.id, { ifIdle: true })).toBe(true)
    })

    it('of an ended job changes nothing, and throws unless told to ignore it', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [plain] })
      await ledger.start()
      const job = await ledger.enqueue(plain, 1)
      await job.result()
      const ended = { code: 'JOB_ENDED', jobId: job.id, outcome: 'succeeded' }
      expect(await rejection(ledger.cancel(job.id))).toMatchObject(ended)
      expect(await ledger.cancel(job.id, { ifEnded: 'ignore' })).toBe(false)
      expect(await typesOf(ledger, job.id)).toEqual(['Queued', 'Leased', 'Finished'])
      const other = await ledger.enqueue(plain, 1, { delay: '1h' })
      const twice = await Promise.allSettled([ledger.cancel(other.id), ledger.cancel(other.id)])
      expect(twice).toMatchObject([{ value: true }, { reason: { code: 'JOB_ENDED', outcome: 'cancelled' } }])
    })

    it.each(['cancel', 'retry', 'status', 'history', 'result'] as const)(
      'and %s of no job at all throw',
      async (verb) => {
        await using world = await World.create(backend)
        const ledger = await world.open()
        for (const id of ['nobody', '', '\ud800', 'x'.repeat(10_000)]) {
          expect(await rejection(ledger[verb](id))).toMatchObject({ code: 'JOB_UNKNOWN', jobId: id })
        }
      },
    )

    it('lets whoever waits for a result give up by its own signal', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open()
      const job = await ledger.enqueue(plain, 1)
      const patience = new AbortController()
      const waiter = rejection(job.result({ signal: patience.signal }))
      const reason = new Error('no patience')
      patience.abort(reason)
      expect(await waiter).toBe(reason)
      expect(await rejection(job.result({ signal: AbortSignal.abort(reason) }))).toBe(reason)
    })
  })

  describe('retry', () => {
    it('opens a new round: attempts restart, runs count on, history stays', async () => {
      await using world = await World.create(backend)
      let broken = true
      const fixable = defineJob({
        type: 'fixable',
        maxAttempts: 2,
        backoff: { min: 1, jitter: 'none' },
        handle: (_: string, { run, attempt }) => {
          if (broken) throw new Error('broken')
          return { run, attempt }
        },
      })
      const ledger = await world.open({ jobs: [fixable] })
      await ledger.start()
      const options = { id: 'again', queue: 'q', channel: 'c', name: 'n', priority: 2 }
      await ledger.enqueue(fixable, 'payload', options)
      await fail(ledger, world, 'again')
      broken = false
      await ledger.retry('again')
      expect(await ledger.result('again')).toEqual({ run: 3, attempt: 1 })
      const round = ['Leased', 'Failed', 'Retried', 'Leased', 'Failed', 'Finished']
      expect(await typesOf(ledger, 'again')).toEqual(['Queued', ...round, 'Retried', 'Leased', 'Finished'])
      const rest = { state: 'succeeded', run: 3, attempt: 1, payload: 'payload', maxAttempts: 2, type: 'fixable' }
      expect(await ledger.status('again')).toMatchObject({ ...rest, queue: 'q', channel: 'c', name: 'n', priority: 2 })
      expect(await ledger.queues.stats()).toMatchObject({ q: { succeeded: 1, failed: 0, ready: 0 } })
    })

    it('runs succeeded and cancelled jobs again, too', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [plain] })
      const job = await ledger.enqueue(plain, 7)
      await ledger.cancel(job.id)
      await ledger.start()
      await ledger.retry(job.id)
      expect(await job.result()).toBe(7)
      await ledger.retry(job.id)
      expect(await job.result()).toBe(7)
      expect((await ledger.status(job.id)).run).toBe(2)
    })

    it('of a job that has not ended is refused', async () => {
      await using world = await World.create(backend)
      const { job, started } = running()
      const ledger = await world.open({ jobs: [job] })
      const { id } = await ledger.enqueue(job, null)
      expect(await rejection(ledger.retry(id))).toMatchObject({ code: 'JOB_NOT_ENDED', jobId: id })
      await ledger.start()
      await started
      const twice = await Promise.all([rejection(ledger.retry(id)), rejection(ledger.retry(id))])
      for (const error of twice) expect(error).toMatchObject({ code: 'JOB_NOT_ENDED' })
    })

    it('given twice at once opens one round', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open()
      const job = await ledger.enqueue(plain, 7)
      await ledger.cancel(job.id)
      const twice = await Promise.allSettled([ledger.retry(job.id), ledger.retry(job.id)])
      // Which of them comes first is not said.
      expect(twice.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
      expect(await typesOf(ledger, job.id)).toEqual(['Queued', 'Cancelled', 'Retried'])
    })
  })
}

/** Methods that do not need their object any more. */
function asBound(ctx: JobContext): Pick<JobContext, 'signal' | 'heartbeat'> {
  return { signal: ctx.signal, heartbeat: (progress) => ctx.heartbeat(progress) }
}
