/** Start, stop, start again; handlers that come later; and what a ledger does that was never started. */
import { expect } from 'vitest'
import type { Ledger } from '../../runtime/ledger.js'
import type { JobContext } from '../../runtime/work/run/context.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { gate, next, rejection, typesOf } from '../engine/support.js'
import { echo, standing } from './acts.js'
import { watched } from './remote.js'
import { scenario } from './scenario.js'

const typed = (type: string): JobDefinition<unknown, unknown> =>
  defineJob({ type, handle: (value: unknown) => [type, value] })

/** What each worker of the log has said, oldest worker first. */
async function lives(ledger: Ledger): Promise<string[]> {
  return (await ledger.workers.list()).map(({ pool, types, status }) => `${pool}: ${types.join(' ')} (${status})`)
}

scenario(
  [79, '003.41'],
  'the first start says yes, the next no, whatever it asks for; after a stop it is yes again',
  async (world) => {
    const ledger = await world.open({ jobs: [echo] })
    expect(await ledger.stop()).toBe(false)
    expect(await Promise.all([ledger.start(), ledger.start({ concurrency: 50 })])).toEqual([true, false])
    expect(await ledger.start({ pools: [{ name: 'more' }] })).toBe(false)
    expect(await ledger.workers.list()).toMatchObject([{ pool: 'default', concurrency: 10 }])
    for (const concurrency of [1, 2, 3]) {
      expect(await (await ledger.enqueue(echo, concurrency)).result()).toBe(concurrency)
      expect(await Promise.all([ledger.stop(), ledger.stop()])).toContain(true)
      expect(await ledger.stop()).toBe(false)
      expect(await ledger.workers.list()).toEqual([])
      const { id } = await ledger.enqueue(echo, 'waits')
      await world.clock.advance('1m')
      expect((await ledger.status(id)).state).toBe('ready')
      // Asked for while it stops, it starts once it has.
      expect(await ledger.start({ concurrency })).toBe(true)
      expect(await ledger.result(id)).toBe('waits')
    }
    const stopping = ledger.stop()
    expect(await ledger.start()).toBe(true)
    expect(await stopping).toBe(true)
    expect(await (await ledger.enqueue(echo, 'after all')).result()).toBe('after all')
  },
)

scenario([79], 'jobs that are enqueued, due or given back around stops and starts all run, once', async (world) => {
  const runs = new Map<string, number>()
  const job = defineJob({
    type: 'job',
    handle: async (_: null, { id }) => {
      runs.set(id, (runs.get(id) ?? 0) + 1)
      await new Promise((resolve) => setImmediate(resolve))
    },
  })
  const ledger = await world.open({ jobs: [job] as readonly JobDefinition[] })
  const ids: string[] = []
  const enqueue = async (delay: number) => {
    for (let n = 0; n < 10; n += 1) ids.push((await ledger.enqueue(job, null, n % 2 === 0 ? {} : { delay })).id)
  }
  for (let round = 0; round < 5; round += 1) {
    await enqueue(1_000)
    const [started] = await Promise.all([ledger.start({ concurrency: 3 }), enqueue(2_000)])
    expect(started).toBe(true)
    await world.clock.advance('1s')
    await Promise.all([ledger.stop(), enqueue(0)])
    await world.clock.advance('5s')
  }
  await ledger.start()
  for (const id of ids) await ledger.result(id)
  expect(ids.map((id) => runs.get(id))).toEqual(ids.map(() => 1))
})

scenario(
  [79, '003.42'],
  'told so, it starts as it is opened, with the pools it was given; what keeps it from that refuses the open',
  async (world) => {
    const first = await world.open()
    const { id } = await first.enqueue(echo, 'before')
    const ledger = await world.open({ jobs: [echo], autoStart: true })
    expect(await ledger.result(id)).toBe('before')
    expect(await ledger.start()).toBe(false)
    const pools = [
      { name: 'a', queues: ['a'] },
      { name: 'b', concurrency: 2 },
    ]
    const other = await world.open({ jobs: [echo], autoStart: { pools } })
    expect((await other.workers.list()).map(({ pool }) => pool)).toEqual(['default', 'a', 'b'])
    const idle = await world.open({ jobs: [echo], autoStart: false })
    expect(await idle.start()).toBe(true)
    expect(await rejection(world.open({ autoStart: true }))).toMatchObject({ code: 'NO_HANDLERS' })
    const wrong = world.open({ jobs: [echo], autoStart: { types: ['ehco'] } })
    expect(await rejection(wrong)).toMatchObject({ option: 'openLedger.autoStart.types', received: '"ehco"' })
    expect(await idle.workers.list()).toHaveLength(4)
  },
)

scenario(
  [79, 46, '004.40'],
  'without handlers nothing can be started, and a ledger that only enqueues need not be',
  async (world) => {
    const declared = defineJob<unknown, unknown>({ type: 'echo' })
    const client = await world.open({ jobs: [declared] })
    const refused = { code: 'NO_HANDLERS', family: 'ledger' }
    for (const options of [{}, { types: ['echo'] }, { pools: [{ name: 'a' }] }]) {
      expect(await rejection(client.start(options))).toMatchObject(refused)
    }
    const { id } = await client.enqueue(declared, 'from the client')
    await client.cancel((await client.enqueue(declared, 'not this')).id)
    expect(await client.workers.list()).toEqual([])
    const worker = await world.open({ jobs: [echo], autoStart: true })
    expect(await client.result(id)).toBe('from the client')
    await world.close(worker)
    await client.register(echo).catch((error) => expect(error).toMatchObject({ code: 'DUPLICATE_TYPE' }))
    await client.register(typed('own'))
    expect(await client.start()).toBe(true)
  },
)

scenario(
  [43, 'C11', '001.62', '004.42'],
  'a type has one handler: a second one is refused, at the open and by register, and the first stays',
  async (world) => {
    const twin = defineJob({ type: 'echo', handle: () => 'the other one' })
    const refused = { code: 'DUPLICATE_TYPE', family: 'option', type: 'echo' }
    expect(await rejection(world.open({ jobs: [echo, twin] }))).toMatchObject(refused)
    const ledger = await world.open({ jobs: [echo] })
    expect(await rejection(ledger.register(twin))).toMatchObject(refused)
    await ledger.start()
    for (const again of [twin, echo, defineJob({ type: 'echo' })]) {
      expect(await rejection(ledger.register(again))).toMatchObject(refused)
    }
    await ledger.register(typed('late'))
    expect(await rejection(ledger.register(typed('late')))).toMatchObject({ ...refused, type: 'late' })
    for (const odd of [null, {}, { type: 'x', handle: () => {} }, 'echo']) {
      const error = await rejection(ledger.register(odd as never))
      expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'register', expected: 'made by defineJob()' })
    }
    expect(await (await ledger.enqueue(echo, 1)).result()).toBe(1)
    expect(ledger.types().map(({ type }) => type)).toEqual(['echo', 'late'])
  },
)

scenario([44], 'a handler that is registered between open and start is like one that was there', async (world) => {
  const ledger = await world.open()
  const early = await ledger.enqueue(typed('late'), 1)
  await ledger.register(typed('late'))
  await world.clock.advance('1m')
  expect((await ledger.status(early.id)).state).toBe('ready')
  await ledger.start({ types: ['late'] })
  expect(await early.result()).toEqual(['late', 1])
  expect(await lives(ledger)).toEqual(['default: late (active)'])
})

scenario(
  [44, '001.63'],
  'registered while it works, a type is taken up at once by the pools that name no types, and by no others',
  async (world) => {
    const ledger = await world.open({ jobs: [echo] })
    await ledger.start({
      pools: [
        { name: 'all', queues: ['default'] },
        { name: 'echoes', types: ['echo'] },
        { name: 'without', queues: ['elsewhere'], channels: ['c'] },
      ],
    })
    const waiting = await ledger.enqueue(typed('late'), 'waited')
    const left = await ledger.enqueue(typed('late'), 'left', { queue: 'served by echoes alone' })
    await world.clock.advance('1m')
    await ledger.register(typed('late'))
    await world.clock.settle()
    expect((await lives(ledger)).sort()).toEqual([
      'all: echo late (active)',
      'echoes: echo (active)',
      'without: echo late (active)',
    ])
    expect(await waiting.result()).toEqual(['late', 'waited'])
    for (const job of [typed('late'), echo]) {
      const enqueued = await ledger.enqueue(job, 'new', { queue: 'elsewhere', channel: 'c' })
      expect(await enqueued.result()).toEqual(job === echo ? 'new' : ['late', 'new'])
    }
    await world.clock.advance('1m')
    expect(await ledger.status(left.id)).toMatchObject({ state: 'ready', run: 0 })
    expect(world.log).toContainEqual({
      level: 'info',
      facts: { pool: 'all', type: 'late' },
      message: 'pool takes up another type',
    })
  },
)

scenario([44, 40], 'what runs meanwhile goes on, and the pool never runs more than it has slots', async (world) => {
  let [now, most] = [0, 0]
  const go = gate()
  const slow = (type: string) =>
    defineJob({
      type,
      handle: async (_: unknown, { signal }: JobContext) => {
        now += 1
        most = Math.max(most, now)
        await go.promise
        now -= 1
        return signal.aborted
      },
    }) as JobDefinition<unknown, unknown>
  const ledger = await world.open({ jobs: [slow('a')] })
  await ledger.start({ concurrency: 3, perType: { a: 2 } })
  const ids: string[] = []
  const enqueue = async (type: string) => ids.push((await ledger.enqueue(slow(type), null)).id)
  for (let n = 0; n < 5; n += 1) await enqueue('a')
  await world.clock.settle()
  expect(now).toBe(2)
  await Promise.all(['b', 'c', 'd'].map((type) => ledger.register(slow(type))))
  for (let n = 0; n < 5; n += 1) for (const type of ['b', 'c', 'd']) await enqueue(type)
  // Long enough for a lease to be lost, were it not renewed.
  await world.clock.advance('2m')
  expect(now).toBe(3)
  expect((await ledger.workers.list()).filter(({ status }) => status === 'active')).toMatchObject([
    { types: ['a', 'b', 'c', 'd'] },
  ])
  go.open()
  for (const id of ids) expect(await ledger.result(id)).toBe(false)
  expect(most).toBe(3)
  for (const id of ids.slice(0, 2)) expect(await typesOf(ledger, id)).not.toContain('Failed')
  await world.clock.advance('1s')
  expect(await lives(ledger)).toEqual(['default: a b c d (active)'])
})

scenario(
  [44, 78],
  'a stop or a close does not forget what the replaced worker still runs, nor wait for it beyond its deadlines',
  async (world) => {
    const still = standing()
    const ledger = await world.open({ jobs: [still.job] as readonly JobDefinition[] })
    await ledger.start()
    const { id } = await ledger.enqueue(still.job, null)
    const { signal } = await still.started(0)
    await ledger.register(typed('late'))
    const stopping = watched(ledger.stop({ drain: '5s', timeout: '8s' }))
    await world.clock.advance(4_999)
    expect(signal.aborted).toBe(false)
    await world.clock.advance(1)
    expect(signal.reason).toMatchObject({ code: 'SHUTTING_DOWN' })
    await world.clock.advance('6s')
    expect(stopping.state).toBe('fulfilled')
    expect(await typesOf(ledger, id)).toEqual(['Queued', 'Leased', 'Released'])
    expect(await ledger.workers.list()).toEqual([])
    expect(await ledger.start()).toBe(true)
    await still.started(1)
    still.finish(1, 'in the end')
    expect(await ledger.result(id)).toBe('in the end')
  },
)

scenario([44, 47], 'a type whose init fails is not taken up, and the pools go on without it', async (world) => {
  let isReady = false
  const picky = defineJob({
    type: 'picky',
    init: () => {
      if (!isReady) throw new Error('not yet')
    },
    handle: () => 'ran',
  }) as JobDefinition<unknown, unknown>
  const ledger = await world.open({ jobs: [echo] })
  await ledger.start()
  const [worker] = await ledger.workers.list()
  expect(await rejection(ledger.register(picky))).toMatchObject({ code: 'INIT_FAILED', type: 'picky' })
  expect(await ledger.workers.list()).toMatchObject([{ id: worker?.id, types: ['echo'] }])
  const { id } = await ledger.enqueue(picky, null)
  expect(await (await ledger.enqueue(echo, 1)).result()).toBe(1)
  isReady = true
  await ledger.register(picky)
  expect(await ledger.result(id)).toBe('ran')
})

scenario([79, 33], 'while nothing is started, the log is still looked after', async (world) => {
  const ledger = await world.open({ jobs: [echo] })
  await ledger.start()
  await ledger.stop()
  const worker = await ledger.workers.register()
  await ledger.enqueue(echo, 1, { id: 'a' })
  await ledger.leaseById('a', worker)
  const lost = next(ledger, 'a', 'Failed')
  await world.pass(lost)
  expect(await ledger.status('a')).toMatchObject({ state: 'ready' })
})
