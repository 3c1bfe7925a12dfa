import { describe, expect, it } from 'vitest'
import { defineJob } from '../../../runtime/work/run/definition.js'
import type { Backend } from '../support.js'
import { isEmpty, rejection, World } from '../support.js'

const count = defineJob({ type: 'count', handle: (n: number) => n + 1 })
const shout = defineJob({ type: 'shout', handle: (text: string) => text.toUpperCase() })
const strict = defineJob({
  type: 'strict',
  schema: {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: async (value: unknown) =>
        typeof value === 'string' ? { value } : { issues: [{ message: 'not a text', path: ['deep', 0] }] },
    },
  },
  handle: () => {},
})

export function batchesSuite(backend: Backend): void {
  describe('enqueueMany', () => {
    it('takes jobs of several types and runs them all', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [count, shout] })
      await ledger.start()
      const jobs = await ledger.enqueueMany([
        { job: count, payload: 1 },
        { job: shout, payload: 'a' },
      ])
      expect(await Promise.all(jobs.map((job) => job.result()))).toEqual([2, 'A'])
      expect(await ledger.enqueueMany([])).toEqual([])
    })

    it('takes dependencies between its elements, named before or after', async () => {
      await using world = await World.create(backend)
      const order: number[] = []
      const note = defineJob({ type: 'note', handle: (n: number) => void order.push(n) })
      const ledger = await world.open({ jobs: [note] })
      await ledger.start()
      const jobs = await ledger.enqueueMany([
        { job: note, payload: 3, options: { id: 'c', dependsOn: ['b'] } },
        { job: note, payload: 2, options: { id: 'b', dependsOn: ['a'] } },
        { job: note, payload: 1, options: { id: 'a' } },
      ])
      await Promise.all(jobs.map((job) => job.result()))
      expect(order).toEqual([1, 2, 3])
    })

    it.each([
      ['a payload that its schema refuses', { job: strict, payload: 5 as never }, 'enqueueMany[1].payload.deep.0'],
      ['a payload that is not JSON', { job: count, payload: 1n as never }, 'enqueueMany[1].payload'],
      ['an option that is wrong', { job: count, payload: 1, options: { priority: 0.5 } }, 'enqueueMany[1].priority'],
      ['an option nobody knows', { job: count, payload: 1, options: { prio: 1 } as never }, 'enqueueMany[1].prio'],
      ['no definition', { job: {} as never, payload: 1 }, 'enqueueMany[1].job'],
      ['nothing at all', undefined as never, 'enqueueMany[1]'],
      ['the id of another', { job: count, payload: 1, options: { id: 'first' } }, 'enqueueMany[1].id'],
      ['an id that no store can keep', { job: count, payload: 1, options: { id: '\ud800' } }, 'enqueueMany[1].id'],
    ])('stores none of them when one has %s, and names it', async (_name, bad, option) => {
      await using world = await World.create(backend)
      const ledger = await world.open()
      const good = { job: count, payload: 1, options: { id: 'first' } }
      const error = await rejection(ledger.enqueueMany([good, bad, { job: count, payload: 3 }]))
      expect(error).toMatchObject({ family: 'option', option })
      expect(await isEmpty(ledger)).toBe(true)
    })

    it('refuses what is not an array', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open()
      const error = await rejection(ledger.enqueueMany({ 0: 1 } as never))
      expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'enqueueMany' })
    })

    it('refuses a cycle, names its path and stores nothing', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [count] })
      await ledger.start()
      const batch = [
        { job: count, payload: 0 },
        { job: count, payload: 1, options: { id: 'a', dependsOn: ['c'] } },
        { job: count, payload: 2, options: { id: 'b', dependsOn: ['a'] } },
        { job: count, payload: 3, options: { id: 'c', dependsOn: ['b'] } },
      ]
      const error = await rejection(ledger.enqueueMany(batch))
      expect(error).toMatchObject({ code: 'DEPENDENCY_CYCLE', path: expect.arrayContaining(['a', 'b', 'c']) })
      expect(await isEmpty(ledger)).toBe(true)
    })

    it('refuses a job that depends on itself and stores nothing', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open()
      const error = await rejection(ledger.enqueue(count, 1, { id: 'me', dependsOn: ['me'] }))
      expect(error).toMatchObject({ code: 'DEPENDENCY_CYCLE', path: ['me', 'me'] })
      expect(await isEmpty(ledger)).toBe(true)
    })

    it('refuses a dependency that does not exist, alone or in a batch, and stores nothing', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [count] })
      await ledger.start()
      const lonely = { job: count, payload: 1, options: { id: 'a', dependsOn: ['nowhere'] } }
      const unknown = { code: 'DEPENDENCY_UNKNOWN', jobId: 'a', dependency: 'nowhere' }
      expect(await rejection(ledger.enqueue(count, 1, lonely.options))).toMatchObject(unknown)
      expect(await rejection(ledger.enqueueMany([{ job: count, payload: 0 }, lonely]))).toMatchObject(unknown)
      expect(await isEmpty(ledger)).toBe(true)
    })

    it('stores none when the id of one is taken by another job', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open()
      await ledger.enqueue(count, 1, { id: 'taken' })
      const batch = [
        { job: count, payload: 1, options: { id: 'fresh' } },
        { job: count, payload: 2, options: { id: 'taken' } },
      ]
      expect(await rejection(ledger.enqueueMany(batch))).toMatchObject({ code: 'JOB_EXISTS', jobId: 'taken' })
      expect((await ledger.list()).jobs.map(({ id }) => id)).toEqual(['taken'])
    })

    it('given the same batch again, stores only what is missing and says what was there', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open()
      await ledger.enqueue(count, 1, { id: 'there' })
      const jobs = await ledger.enqueueMany([
        { job: count, payload: 1, options: { id: 'there' } },
        { job: count, payload: 2, options: { id: 'new', dependsOn: ['there'] } },
      ])
      expect(jobs.map(({ outcome }) => outcome)).toEqual(['duplicate', 'created'])
    })
  })
}
