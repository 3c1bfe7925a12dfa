/** Starts, stops and changes of workers that come at the same time, or while others go on. */
import { describe, expect, it } from 'vitest'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { Gate } from './support.js'
import { gate, memory, never, next, sqlite, typesOf, World } from './support.js'

const echo = defineJob({ type: 'echo', handle: (value: unknown) => value })
const other = defineJob({ type: 'other', handle: (value: unknown) => value })
const hang = defineJob({ type: 'hang', handle: never })

describe.each([memory, sqlite])('a stop, on $name', (backend) => {
  it('keeps its deadlines while others enqueue without a pause', async () => {
    await using world = await World.create(backend)
    const ledger = await world.open({ jobs: [hang] })
    await ledger.start()
    const leased = next(ledger, 'stuck', 'Leased')
    await ledger.enqueue(hang, null, { id: 'stuck' })
    await leased
    let stopped = false
    const load = Array.from({ length: 4 }, async () => {
      while (!stopped) await ledger.enqueue(echo, 1)
    })
    await world.pass(ledger.stop({ drain: '1s', timeout: '2s' }))
    stopped = true
    await Promise.all(load)
    expect(await typesOf(ledger, 'stuck')).toEqual(['Queued', 'Leased', 'Released'])
  })

  it('that has time is hurried by a second one, and by a close', async () => {
    for (const hurry of ['stop', 'close'] as const) {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [hang] })
      await ledger.start()
      const leased = next(ledger, 'stuck', 'Leased')
      await ledger.enqueue(hang, null, { id: 'stuck' })
      await leased
      const begun = world.clock.now()
      const slow = ledger.stop({ drain: '10m', timeout: '10m' })
      await world.clock.settle()
      await world.pass<unknown>(ledger[hurry]({ drain: 0, timeout: '1s' }))
      expect(await slow).toBe(true)
      expect(world.clock.now() - begun).toBeLessThan(10_000)
    }
  })

  it('between two starts of the same moment leaves it started', async () => {
    await using world = await World.create(backend)
    const ledger = await world.open({ jobs: [echo] })
    const all = Promise.all([ledger.start(), ledger.stop(), ledger.start()])
    expect(await world.pass(all)).toEqual([true, true, true])
    expect(await (await ledger.enqueue(echo, 5)).result()).toBe(5)
    expect(await ledger.workers.list()).toHaveLength(1)
  })
})

describe('a type that is registered', () => {
  it('at the moment of the start makes no second worker', async () => {
    await using world = await World.create(memory)
    const ledger = await world.open({ jobs: [echo] })
    await Promise.all([ledger.register(other), ledger.start()])
    await world.clock.advance('1s')
    expect(await ledger.workers.list()).toMatchObject([{ types: ['echo', 'other'], status: 'active' }])
    expect(await (await ledger.enqueue(other, 5)).result()).toBe(5)
  })

  it('does not lift the pause of the worker whose place is taken', async () => {
    await using world = await World.create(memory)
    const ledger = await world.open({ jobs: [echo] })
    await ledger.start()
    const [worker] = await ledger.workers.list()
    await ledger.workers.pause(worker?.id as string)
    await ledger.register(other)
    await ledger.enqueue(echo, 1, { id: 'waits' })
    await world.clock.advance('1m')
    expect((await ledger.status('waits')).state).toBe('ready')
    const [heir] = await ledger.workers.list()
    expect(heir).toMatchObject({ status: 'paused', types: ['echo', 'other'] })
    await ledger.workers.resume(heir?.id as string)
    expect(await ledger.result('waits')).toBe(1)
  })
})

describe('two starts at once', () => {
  it('of which the first fails: the second begins anew', async () => {
    let asked = 0
    const picky = defineJob({
      type: 'picky',
      init: () => {
        asked += 1
        if (asked === 1) throw new Error('not yet')
      },
      handle: () => 'done',
    })
    await using world = await World.create(memory)
    const ledger = await world.open({ jobs: [picky] })
    const starts = await Promise.allSettled([ledger.start(), ledger.start()])
    expect(starts).toMatchObject([{ status: 'rejected' }, { status: 'fulfilled', value: true }])
    expect(await (await ledger.enqueue(picky, null)).result()).toBe('done')
  })
})

describe('the signal of an `init`', () => {
  it('is of its own call: one that came through does not hear of a later stop', async () => {
    const signals: AbortSignal[] = []
    let hold: Gate | undefined
    const pooled = defineJob({
      type: 'pooled',
      init: async ({ signal }) => {
        signals.push(signal)
        await hold?.promise
      },
      handle: () => 'done',
    })
    await using world = await World.create(memory)
    const ledger = await world.open({ jobs: [pooled] })
    await ledger.start()
    await world.pass(ledger.stop())
    await ledger.start()
    expect(signals.map(({ aborted }) => aborted)).toEqual([false])
    await world.pass(ledger.stop())

    hold = gate()
    const slow = defineJob({
      ...{ type: 'slow', handle: () => {} },
      init: async ({ signal }) => {
        signals.push(signal)
        await hold?.promise
      },
    })
    await ledger.register(slow)
    const starting = ledger.start().catch((error: unknown) => error)
    await world.clock.settle()
    await world.pass(ledger.close())
    expect(await starting).toMatchObject({ code: expect.stringMatching(/LEDGER_CLOSED|SHUTTING_DOWN/) })
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, true])
  })
})
