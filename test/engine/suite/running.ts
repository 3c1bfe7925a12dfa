import { describe, expect, expectTypeOf, it } from 'vitest'
import { defineJob } from '../../../runtime/work/run/definition.js'
import type { Backend } from '../support.js'
import { gate, isEmpty, rejection, typesOf, World } from '../support.js'

const add = defineJob({ type: 'add', handle: ({ a, b }: { a: number; b: number }) => ({ sum: a + b }) })
const echo = defineJob({ type: 'echo', handle: (payload: unknown) => payload })

const DEEP = JSON.parse(`${'['.repeat(400)}${']'.repeat(400)}`) as unknown
const VALUES: readonly (readonly [string, unknown])[] = [
  ['null', null],
  ['an empty text', ''],
  ['a text with every kind of character', 'ä € 𝒳 \u0000 \u2028 " \\ \ud800 \n'],
  ['numbers at their limits', [0, -1, 1e308, 5e-324, Number.MAX_SAFE_INTEGER]],
  ['an object with odd keys', JSON.parse('{"__proto__":1,"constructor":2,"":3,"a.b":4,"é":5,"toString":6}')],
  ['false', false],
  ['deep nesting', DEEP],
]

export function runningSuite(backend: Backend): void {
  describe('running jobs', () => {
    it('runs what is enqueued and answers with what the handler returned, typed', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [add] })
      expect(await ledger.start()).toBe(true)
      const job = await ledger.enqueue(add, { a: 1, b: 2 })
      expect(job.outcome).toBe('created')
      const result = await job.result()
      expectTypeOf(result).toEqualTypeOf<{ sum: number }>()
      expect(result).toEqual({ sum: 3 })
      expect(await ledger.result(job.id)).toEqual({ sum: 3 })
      expect(await ledger.status(job.id)).toMatchObject({ state: 'succeeded', run: 1, payload: { a: 1, b: 2 } })
      expect(await typesOf(ledger, job.id)).toEqual(['Queued', 'Leased', 'Finished'])
    })

    it.each(VALUES)('gives %s to the handler and back as it was, fresh or read again', async (_name, value) => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [echo] })
      const before = await ledger.enqueue(echo, value)
      await ledger.start()
      const after = await ledger.enqueue(echo, value)
      for (const job of [before, after]) {
        expect(await job.result()).toStrictEqual(value)
        expect((await ledger.status(job.id)).payload).toStrictEqual(value)
        const bodies = (await ledger.history(job.id)).map(({ body }) => body)
        expect(bodies).toStrictEqual([value, undefined, value])
      }
    })

    it('keeps bytes as bytes, whatever the caller does to them afterwards', async () => {
      await using world = await World.create(backend)
      const seen: unknown[] = []
      const bytes = defineJob({
        type: 'bytes',
        handle: (payload: Uint8Array) => {
          seen.push(payload)
          const result = payload.slice()
          payload.fill(0)
          return result
        },
      })
      const ledger = await world.open({ jobs: [bytes] })
      const given = Uint8Array.from({ length: 256 }, (_, index) => index)
      const before = await ledger.enqueue(bytes, given)
      await ledger.start()
      const enqueuing = ledger.enqueue(bytes, given)
      given.fill(7)
      for (const job of [before, await enqueuing]) {
        const result = await job.result()
        expect(result).toBeInstanceOf(Uint8Array)
        expect([...result]).toEqual(Array.from({ length: 256 }, (_, index) => index))
        expect([...((await ledger.status(job.id)).payload as Uint8Array)]).toEqual([...result])
      }
      expect(seen.every((payload) => payload instanceof Uint8Array)).toBe(true)
    })

    it('has no result for a handler that returns nothing', async () => {
      await using world = await World.create(backend)
      const silent = defineJob({ type: 'silent', handle: () => {} })
      const ledger = await world.open({ jobs: [silent] })
      await ledger.start()
      const job = await ledger.enqueue(silent, null)
      expect(await job.result()).toBeUndefined()
      expect((await ledger.history(job.id)).at(-1)).not.toHaveProperty('body')
    })

    it('runs nothing before start(), and starts only once', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [add] })
      const job = await ledger.enqueue(add, { a: 1, b: 1 })
      await world.clock.advance('1m')
      expect((await ledger.status(job.id)).state).toBe('ready')
      const starts = await Promise.all([ledger.start(), ledger.start()])
      expect(starts).toEqual([true, false])
      expect(await ledger.start()).toBe(false)
      expect(await job.result()).toEqual({ sum: 2 })
    })

    it('never leases a job of a type or a queue that nobody serves, not even when it is enqueued again', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [add] })
      await ledger.start({ queues: ['served'] })
      await ledger.enqueue(echo, 1, { id: 'unknown-type', queue: 'served' })
      await ledger.enqueue(add, { a: 1, b: 1 }, { id: 'other-queue' })
      const same = await ledger.enqueue(echo, 1, { id: 'unknown-type', queue: 'served' })
      expect(same.outcome).toBe('duplicate')
      await rejection(ledger.enqueue(add, { a: 1, b: 1 }, { id: 'unknown-type', queue: 'served' }))
      await rejection(ledger.enqueue(add, { a: 1, b: 1 }, { id: 'other-queue', queue: 'served' }))
      const job = await ledger.enqueue(add, { a: 2, b: 2 }, { queue: 'served' })
      expect(await job.result()).toEqual({ sum: 4 })
      await world.clock.advance('1m')
      expect(await typesOf(ledger, 'unknown-type')).toEqual(['Queued'])
      expect(await typesOf(ledger, 'other-queue')).toEqual(['Queued'])
    })

    it('runs as many at once as it was told, and no more', async () => {
      await using world = await World.create(backend)
      let running = 0
      let most = 0
      const go = gate()
      const slow = defineJob({
        type: 'slow',
        handle: async () => {
          running += 1
          most = Math.max(most, running)
          await go.promise
          running -= 1
        },
      })
      const ledger = await world.open({ jobs: [slow] })
      await ledger.start({ concurrency: 3 })
      const jobs = await ledger.enqueueMany(Array.from({ length: 10 }, () => ({ job: slow, payload: null })))
      for (let extra = 0; extra < 5; extra += 1) jobs.push(await ledger.enqueue(slow, null))
      await world.clock.settle()
      expect(await ledger.queues.stats()).toMatchObject({ default: { running: 3, ready: 12 } })
      go.open()
      await Promise.all(jobs.map((job) => job.result()))
      expect(most).toBe(3)
    })

    it('tells a handler what it runs', async () => {
      await using world = await World.create(backend)
      const look = defineJob({
        type: 'look',
        handle: (_: null, { id, type, name, queue, channel, run, attempt, signal }) => ({
          ...{ id, type, name, queue, channel, run, attempt },
          aborted: signal.aborted,
        }),
      })
      const ledger = await world.open({ jobs: [look] })
      await ledger.start()
      const job = await ledger.enqueue(look, null, { id: 'me', name: 'Mia', queue: 'q', channel: 'c' })
      const told = { id: 'me', type: 'look', name: 'Mia', queue: 'q', channel: 'c', run: 1, attempt: 1 }
      expect(await job.result()).toEqual({ ...told, aborted: false })
    })

    it.each([
      ['a function', () => {}],
      ['undefined', undefined],
      ['a bigint', { big: 1n }],
      ['a symbol', [Symbol('s')]],
      ['NaN', { deep: [Number.NaN] }],
      ['a Map', { map: new Map([[1, 2]]) }],
      ['a Promise inside', { user: Promise.resolve(1) }],
      ['bytes inside an object', { bytes: new Uint8Array(3) }],
    ])('refuses %s as a payload and stores nothing', async (_name, payload) => {
      await using world = await World.create(backend)
      const ledger = await world.open()
      const error = await rejection(ledger.enqueue(echo, payload))
      expect(error).toMatchObject({ code: 'INVALID_PAYLOAD', option: expect.stringMatching(/^enqueue\.payload/) })
      expect(await isEmpty(ledger)).toBe(true)
    })

    it('refuses a cycle, nesting without end and too many bytes, and stores nothing', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ maxPayloadBytes: 100 })
      const cycle: Record<string, unknown> = {}
      cycle.self = cycle
      let nested: unknown = 0
      for (let depth = 0; depth < 100_000; depth += 1) nested = [nested]
      const tooLarge = [cycle, nested, 'x'.repeat(99), 'é'.repeat(50), new Uint8Array(101)]
      for (const payload of tooLarge) {
        expect(await rejection(ledger.enqueue(echo, payload))).toMatchObject({ code: 'INVALID_PAYLOAD' })
      }
      expect(await isEmpty(ledger)).toBe(true)
      await ledger.enqueue(echo, new Uint8Array(100))
      await ledger.enqueue(echo, 'x'.repeat(98))
    })
  })
}
