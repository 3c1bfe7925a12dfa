import { describe, expect, it } from 'vitest'
import { defineJob } from '../../../runtime/work/run/definition.js'
import type { Backend } from '../support.js'
import { gate, never, rejection, typesOf, World } from '../support.js'

const keep = defineJob({ type: 'keep', handle: (value: unknown) => value })
const other = defineJob({ type: 'other', handle: (value: unknown) => value })

export function ownIdsSuite(backend: Backend): void {
  describe("a caller's own id", () => {
    it('with the same content again is a duplicate, while the job waits, runs and after it ended', async () => {
      await using world = await World.create(backend)
      const running = gate()
      const go = gate()
      const wait = defineJob({
        type: 'wait',
        handle: async (_: { n: number }) => {
          running.open()
          await go.promise
          return 'done'
        },
      })
      const ledger = await world.open({ jobs: [wait] })
      const options = { id: 'mine', queue: 'q', channel: 'c', name: 'n', priority: 3 }
      const enqueue = () => ledger.enqueue(wait, { n: 1 }, options)
      const outcomes = [(await enqueue()).outcome, (await enqueue()).outcome]
      await ledger.start()
      await running.promise
      outcomes.push((await enqueue()).outcome)
      go.open()
      expect(await ledger.result('mine')).toBe('done')
      const last = await enqueue()
      outcomes.push(last.outcome)
      expect(outcomes).toEqual(['created', 'duplicate', 'duplicate', 'duplicate'])
      expect(await last.result()).toBe('done')
      expect(await typesOf(ledger, 'mine')).toEqual(['Queued', 'Leased', 'Finished'])
    })

    it('with bytes is a duplicate only for the same bytes', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open()
      await ledger.enqueue(keep, new Uint8Array([1, 2]), { id: 'b' })
      expect((await ledger.enqueue(keep, new Uint8Array([1, 2]), { id: 'b' })).outcome).toBe('duplicate')
      for (const payload of [new Uint8Array([1, 3]), new Uint8Array([1, 2, 3]), { 0: 1, 1: 2 }]) {
        expect(await rejection(ledger.enqueue(keep, payload, { id: 'b' }))).toMatchObject({ code: 'JOB_EXISTS' })
      }
    })

    it.each([
      ['type', other, 1, {}],
      ['payload', keep, 2, {}],
      ['queue', keep, 1, { queue: 'elsewhere' }],
      ['channel', keep, 1, { channel: 'elsewhere' }],
      ['name', keep, 1, { name: 'elsewhere' }],
      ['priority', keep, 1, { priority: 1 }],
      ['dependsOn', keep, 1, { dependsOn: ['base'] }],
    ] as const)(
      'with another %s is refused and says so, in every state of the job',
      async (field, job, payload, more) => {
        await using world = await World.create(backend)
        const started = gate()
        const hang = defineJob({
          type: 'keep',
          handle: () => {
            started.open()
            return never()
          },
        })
        const ledger = await world.open({ jobs: [hang] })
        await ledger.enqueue(other, 0, { id: 'base' })
        await ledger.enqueue(keep, 1, { id: 'mine' })
        const refused = async () => {
          const error = await rejection(ledger.enqueue<unknown, unknown>(job, payload, { id: 'mine', ...more }))
          expect(error).toMatchObject({ code: 'JOB_EXISTS', jobId: 'mine', message: expect.stringContaining(field) })
        }
        await refused()
        await ledger.start()
        await started.promise
        await refused()
        await ledger.cancel('mine')
        await refused()
        expect(await typesOf(ledger, 'mine')).toEqual(['Queued', 'Leased', 'Cancelled'])
      },
    )

    it('given twice in one tick makes one job', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open()
      const twice = await Promise.all([1, 2, 3].map(() => ledger.enqueue(keep, 'same', { id: 'mine' })))
      expect(twice.map(({ outcome }) => outcome)).toEqual(['created', 'duplicate', 'duplicate'])
      const [, second] = await Promise.allSettled([
        ledger.enqueue(keep, 'a', { id: 'another' }),
        ledger.enqueue(keep, 'b', { id: 'another' }),
      ])
      expect(second).toMatchObject({ reason: { code: 'JOB_EXISTS', message: expect.stringContaining('payload') } })
      expect((await ledger.list()).jobs).toHaveLength(2)
    })

    it('given twice in one tick makes one job also where it runs at once', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [keep] })
      await ledger.start()
      const twice = await Promise.all([1, 2].map(() => ledger.enqueue(keep, 'same', { id: 'mine' })))
      expect(twice.map(({ outcome }) => outcome)).toEqual(['created', 'duplicate'])
      expect(await Promise.all(twice.map((job) => job.result()))).toEqual(['same', 'same'])
      expect(await typesOf(ledger, 'mine')).toEqual(['Queued', 'Leased', 'Finished'])
    })

    it('given to two ledgers on one log at once makes one job', async () => {
      await using world = await World.create(backend)
      const ledgers = [await world.open(), await world.open()]
      for (let round = 0; round < 10; round += 1) {
        const both = await Promise.all(ledgers.map((ledger) => ledger.enqueue(keep, round, { id: `job ${round}` })))
        expect(both.map(({ outcome }) => outcome).sort()).toEqual(['created', 'duplicate'])
        const [a, b] = await Promise.allSettled(
          ledgers.map((ledger, index) => ledger.enqueue(keep, index, { id: `rival ${round}` })),
        )
        expect([a?.status, b?.status].sort()).toEqual(['fulfilled', 'rejected'])
      }
      expect(await typesOf(ledgers[0] as (typeof ledgers)[0], 'job 3')).toEqual(['Queued'])
    })

    it('refused while the job is blocked does not run the job', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [keep] })
      await ledger.start()
      await ledger.enqueue(other, 0, { id: 'base' })
      await ledger.enqueue(keep, 1, { id: 'blocked', dependsOn: ['base'] })
      expect(await rejection(ledger.enqueue(keep, 1, { id: 'blocked' }))).toMatchObject({ code: 'JOB_EXISTS' })
      await world.clock.advance('1m')
      expect(await ledger.status('blocked')).toMatchObject({ state: 'blocked', run: 0, blockedBy: ['base'] })
    })
  })
}
