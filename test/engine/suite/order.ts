import { describe, expect, it } from 'vitest'
import type { JobDefinition } from '../../../runtime/work/run/definition.js'
import { defineJob } from '../../../runtime/work/run/definition.js'
import type { Backend, Gate } from '../support.js'
import { gate, leaseElsewhere, next, World } from '../support.js'

/** A type whose runs are noted by the text they carry. */
function notes(fails: (text: string) => boolean = () => false): { job: JobDefinition<string, void>; order: string[] } {
  const order: string[] = []
  const job = defineJob({
    type: 'note',
    backoff: { min: '10s', jitter: 'none' },
    handle: (text: string) => {
      order.push(text)
      if (fails(text)) throw new Error('not this time')
    },
  })
  return { job, order }
}

/** A job that holds a slot until its gate is open. */
function blocker(): { job: JobDefinition<null, void>; started: Gate; go: Gate } {
  const started = gate()
  const go = gate()
  const job = defineJob({
    type: 'blocker',
    handle: async (_: null) => {
      started.open()
      await go.promise
    },
  })
  return { job, started, go }
}

export function orderSuite(backend: Backend): void {
  describe('the order of runs', () => {
    it('is by priority, lower first, and first in first out among equals', async () => {
      await using world = await World.create(backend)
      const { job, order } = notes()
      const ledger = await world.open({ jobs: [job] })
      const given = ['b1', 'c1', 'a1', 'b2', 'a2', 'c2', 'b3']
      const priorities: Record<string, number> = { a: -5, b: 0, c: 1 }
      for (const text of given) {
        await ledger.enqueue(job, text, { id: text, priority: priorities[text.charAt(0)] as number })
        await world.clock.advance(1)
      }
      await ledger.start({ concurrency: 1 })
      await Promise.all(given.map((id) => ledger.result(id)))
      expect(order).toEqual(['a1', 'a2', 'b1', 'b2', 'b3', 'c1', 'c2'])
    })

    it('is first in first out also within one millisecond, in a batch and over types and channels', async () => {
      await using world = await World.create(backend)
      const order: string[] = []
      const types = ['x', 'y', 'z'].map((type) => defineJob({ type, handle: (text: string) => void order.push(text) }))
      const ledger = await world.open({ jobs: types })
      const texts = Array.from({ length: 30 }, (_, index) => `n${index}`)
      const jobs = await ledger.enqueueMany(
        texts.map((text, index) => ({
          job: types[index % 3] as (typeof types)[0],
          payload: text,
          options: { channel: `${index % 2}` },
        })),
      )
      await ledger.start({ concurrency: 1 })
      await Promise.all(jobs.map((job) => job.result()))
      expect(order).toEqual(texts)
    })

    it('is by priority also within a batch that meets a worker with nothing to do', async () => {
      await using world = await World.create(backend)
      const { job, order } = notes()
      const ledger = await world.open({ jobs: [job] })
      await ledger.start({ concurrency: 1 })
      const priorities = [3, 1, 2, 1]
      const jobs = await ledger.enqueueMany(
        priorities.map((priority, index) => ({ job, payload: `${priority}.${index}`, options: { priority } })),
      )
      await Promise.all(jobs.map((each) => each.result()))
      expect(order).toEqual(['1.1', '1.3', '2.2', '3.0'])
    })

    it('lets a more urgent job that comes later go first, but does not interrupt what runs', async () => {
      await using world = await World.create(backend)
      const { job, order } = notes()
      const block = blocker()
      const ledger = await world.open({ jobs: [job, block.job] })
      await ledger.start({ concurrency: 1 })
      await ledger.enqueue(block.job, null)
      await block.started.promise
      const jobs = [await ledger.enqueue(job, 'late'), await ledger.enqueue(job, 'urgent', { priority: -1 })]
      block.go.open()
      await Promise.all(jobs.map((each) => each.result()))
      expect(order).toEqual(['urgent', 'late'])
    })

    it('runs nothing before its run time or delay, and everything at it', async () => {
      await using world = await World.create(backend)
      const { job, order } = notes()
      const ledger = await world.open({ jobs: [job] })
      await ledger.start()
      const now = world.clock.now()
      await ledger.enqueue(job, 'number', { id: 'number', runAt: now + 60_000 })
      await ledger.enqueue(job, 'date', { runAt: new Date(now + 120_000) })
      await ledger.enqueue(job, 'text', { runAt: new Date(now + 180_000).toISOString() })
      await ledger.enqueue(job, 'delay', { delay: '4m' })
      await ledger.enqueue(job, 'past', { runAt: now - 5 })
      await world.clock.settle()
      expect(await ledger.status('number')).toMatchObject({ state: 'scheduled', runAt: now + 60_000 })
      const seen = [[...order]]
      for (let minute = 1; minute <= 4; minute += 1) {
        await world.clock.advance(59_999)
        seen.push([...order])
        await world.clock.advance(1)
      }
      expect(seen.map((texts) => texts.length)).toEqual([1, 1, 2, 3, 4])
      expect(order).toEqual(['past', 'number', 'date', 'text', 'delay'])
    })

    it('runs what became due first, however long it had to wait', async () => {
      await using world = await World.create(backend)
      const { job, order } = notes()
      const ledger = await world.open({ jobs: [job] })
      await ledger.enqueue(job, 'third', { delay: '30s', id: 'third' })
      await ledger.enqueue(job, 'second', { delay: '20s' })
      await ledger.enqueue(job, 'first')
      await world.clock.advance('1m')
      await ledger.start({ concurrency: 1 })
      await ledger.result('third')
      expect(order).toEqual(['first', 'second', 'third'])
    })

    it('takes a failed attempt in again by its new run time', async () => {
      await using world = await World.create(backend)
      const failed = new Set<string>()
      const { job, order } = notes((text) => text === 'retried' && failed.size < failed.add(text).size)
      const block = blocker()
      const ledger = await world.open({ jobs: [job, block.job] })
      await ledger.start({ concurrency: 1 })
      const retried = await ledger.enqueue(job, 'retried')
      await next(ledger, retried.id, 'Retried')
      await ledger.enqueue(block.job, null)
      await block.started.promise
      await ledger.enqueue(job, 'before', { delay: '5s' })
      await ledger.enqueue(job, 'after', { delay: '15s', id: 'after' })
      await world.clock.advance('20s')
      block.go.open()
      await ledger.result('after')
      expect(order).toEqual(['retried', 'before', 'retried', 'after'])
    })

    it('keeps the place of a job that lost its lease', async () => {
      await using world = await World.create(backend)
      const { job, order } = notes()
      const block = blocker()
      const ledger = await world.open({ jobs: [job, block.job] })
      const first = await ledger.enqueue(job, 'first')
      const leased = next(ledger, first.id, 'Leased')
      await leaseElsewhere(await world.store(), world.clock, first.id, {
        token: 'foreign',
        expiresAt: world.clock.now() + 30_000,
      })
      await leased
      await world.clock.advance('1s')
      await ledger.start({ concurrency: 1 })
      await ledger.enqueue(block.job, null)
      await block.started.promise
      await ledger.enqueue(job, 'second', { id: 'second' })
      const lost = next(ledger, first.id, 'Retried')
      await world.pass(lost)
      block.go.open()
      await ledger.result('second')
      expect(order).toEqual(['first', 'second'])
    })

    it('gives the slot to others while a failed job waits for its next attempt', async () => {
      await using world = await World.create(backend)
      const { job, order } = notes((text) => text === 'bad')
      const ledger = await world.open({ jobs: [job] })
      await ledger.start({ concurrency: 1 })
      const bad = await ledger.enqueue(job, 'bad', { backoff: { min: '1h' } })
      await next(ledger, bad.id, 'Retried')
      await (await ledger.enqueue(job, 'good')).result()
      expect(order).toEqual(['bad', 'good'])
    })
  })
}
