/** What a job type has done once, before this process runs any job. */
import { expect } from 'vitest'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { InitTools } from '../../runtime/work/run/hooks.js'
import { gate, never, rejection, typesOf } from '../engine/support.js'
import { echo } from './acts.js'
import { scenario } from './scenario.js'

scenario(
  [47],
  'init is told what it needs, before anything is leased; types that do not run here are not asked',
  async (world) => {
    const told: InitTools[] = []
    const ready = gate()
    const job = defineJob({
      type: 'slow to begin',
      init: async (tools) => {
        told.push(tools)
        await tools.ledger.enqueue(echo, 'by init', { id: 'by-init' })
        tools.log.info({}, 'warming up')
        await ready.promise
      },
      handle: () => 'ran',
    })
    const declared = defineJob({ type: 'declared', init: () => void told.push({} as InitTools) })
    const ledger = await world.open({ jobs: [echo, job, declared], codeVersion: 'v7' })
    const { id } = await ledger.enqueue(job, null)
    const starting = ledger.start()
    await world.clock.settle()
    expect(told).toMatchObject([{ type: 'slow to begin', codeVersion: 'v7' }])
    expect(told[0]?.signal.aborted).toBe(false)
    expect(world.log).toContainEqual({ level: 'info', facts: { jobType: 'slow to begin' }, message: 'warming up' })
    expect(await typesOf(ledger, id)).toEqual(['Queued'])
    expect(await typesOf(ledger, 'by-init')).toEqual(['Queued'])
    expect(await ledger.workers.list()).toEqual([])
    ready.open()
    expect(await starting).toBe(true)
    expect(await ledger.result(id)).toBe('ran')
    expect(await ledger.start()).toBe(false)
    expect(told).toHaveLength(1)
  },
)

scenario(
  [47],
  'an init that throws refuses the start, nothing is leased, and the next start asks it again',
  async (world) => {
    const calls: string[] = []
    const fault = new Error('no connection')
    const good = defineJob({ type: 'good', init: () => void calls.push('good'), handle: () => 1 })
    const bad = defineJob({
      type: 'bad',
      init: async () => {
        calls.push('bad')
        if (calls.length < 3) throw fault
      },
      handle: () => 2,
    })
    const after = defineJob({ type: 'after', init: () => void calls.push('after'), handle: () => 3 })
    const ledger = await world.open({ jobs: [good, bad, after] })
    const jobs = [await ledger.enqueue(good, null), await ledger.enqueue(bad, null), await ledger.enqueue(after, null)]
    const refused = await rejection(ledger.start())
    expect(refused).toMatchObject({ code: 'INIT_FAILED', family: 'ledger', type: 'bad', cause: fault })
    expect((refused as Error).message).toBe('`init` of type "bad" failed: no connection')
    await world.clock.advance('1m')
    for (const { id } of jobs) expect(await typesOf(ledger, id)).toEqual(['Queued'])
    expect(await ledger.workers.list()).toEqual([])
    expect(await ledger.start()).toBe(true)
    expect(await Promise.all(jobs.map((job) => job.result()))).toEqual([1, 2, 3])
    expect(calls).toEqual(['good', 'bad', 'bad', 'after'])
  },
)

scenario(
  [47],
  'no pool leases anything before the types of all pools are ready, and each is asked once',
  async (world) => {
    const calls: string[] = []
    const ready = gate()
    const slow = defineJob({
      type: 'slow',
      init: async () => {
        calls.push('slow')
        await ready.promise
        if (calls.filter((call) => call === 'slow').length === 1) throw new Error('not yet')
      },
      handle: () => 'slow',
    })
    const both = defineJob({ type: 'both', init: () => void calls.push('both'), handle: () => 'both' })
    const never = defineJob({ type: 'never', init: () => void calls.push('never'), handle: () => {} })
    const ledger = await world.open({ jobs: [echo, slow, both, never], overrides: { never: { concurrency: 0 } } })
    const { id } = await ledger.enqueue(echo, 1)
    const pools = [
      { name: 'echo', types: ['echo', 'both'] },
      { name: 'rest', types: ['slow', 'both'] },
    ]
    const refused = rejection(ledger.start({ pools }))
    await world.clock.settle()
    expect(await typesOf(ledger, id)).toEqual(['Queued'])
    ready.open()
    expect(await refused).toMatchObject({ code: 'INIT_FAILED', type: 'slow' })
    expect(await typesOf(ledger, id)).toEqual(['Queued'])
    expect(await ledger.workers.list()).toEqual([])
    expect(await ledger.start({ pools })).toBe(true)
    expect(await ledger.result(id)).toBe(1)
    await ledger.stop()
    expect(await ledger.start({ pools })).toBe(true)
    expect(calls.toSorted()).toEqual(['both', 'slow', 'slow'])
  },
)

scenario(
  [47],
  'a type that is registered later is asked then; if it throws, the pools go on without it',
  async (world) => {
    let fault: Error | undefined = new Error('no licence')
    const job = defineJob({
      type: 'late',
      init: () => {
        if (fault !== undefined) throw fault
      },
      handle: () => 'late',
    })
    const ledger = await world.open({ jobs: [echo] })
    await ledger.start()
    expect(await rejection(ledger.register(job))).toMatchObject({ code: 'INIT_FAILED', type: 'late', cause: fault })
    expect(ledger.types().map(({ type }) => type)).toEqual(['echo'])
    expect(await (await ledger.enqueue(echo, 1)).result()).toBe(1)
    const { id } = await ledger.enqueue(job, null)
    fault = undefined
    await ledger.register(job)
    expect(await ledger.result(id)).toBe('late')
  },
)

scenario([47], 'a ledger that closes waits for no init: its signal aborts, and the start is refused', async (world) => {
  const told = gate<InitTools>()
  const job = defineJob({
    type: 'endless',
    init: (tools) => {
      told.open(tools)
      return never()
    },
    handle: () => {},
  })
  const ledger = await world.open({ jobs: [job] })
  const refused = rejection(ledger.start())
  const { signal } = await told.promise
  await ledger.close()
  expect(await refused).toMatchObject({ code: 'LEDGER_CLOSED' })
  expect(signal.reason).toMatchObject({ code: 'LEDGER_CLOSED' })
})

scenario([47], 'a stop waits for no init, and the next start asks again', async (world) => {
  const told: InitTools[] = []
  const job = defineJob({
    type: 'slow the first time',
    init: (tools) => {
      told.push(tools)
      return told.length === 1 ? never() : undefined
    },
    handle: () => 'ran',
  })
  const ledger = await world.open({ jobs: [job] })
  const { id } = await ledger.enqueue(job, null)
  const refused = rejection(ledger.start())
  await world.clock.settle()
  expect(await ledger.stop()).toBe(false)
  expect(await refused).toMatchObject({ code: 'SHUTTING_DOWN' })
  expect(told.map(({ signal }) => signal.aborted)).toEqual([true])
  expect(await ledger.start()).toBe(true)
  expect(await ledger.result(id)).toBe('ran')
  expect(told.map(({ signal }) => signal.aborted)).toEqual([true, false])
})
