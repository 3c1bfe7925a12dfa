/** Many jobs in one step: all of them or none. */
import { expect } from 'vitest'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { BatchElement } from '../../runtime/write/contract.js'
import { factsOf, gate, isEmpty, next, rejection, typesOf } from '../engine/support.js'
import { build, takeAll, test } from './remote.js'
import { inOneAppend, scenario } from './scenario.js'

const add = defineJob({ type: 'add', handle: ({ a, b }: { a: number; b: number }) => a + b })
const shout = defineJob({ type: 'shout', handle: (text: string) => text.toUpperCase() })
const size = defineJob({ type: 'size', handle: (bytes: Uint8Array) => bytes.length })

scenario([2], 'a batch takes jobs of any types and options, and answers in its own order', async (world) => {
  const ledger = await world.open({ jobs: [add, shout, size] })
  await ledger.start()
  const jobs = await ledger.enqueueMany([
    { job: add, payload: { a: 1, b: 2 }, options: { priority: 'low', channel: 'org' } },
    { job: shout, payload: 'hey', options: { id: 'own', delay: '1m' } },
    { job: size, payload: new Uint8Array(3), options: { queue: '' } },
  ])
  expect(jobs.map(({ outcome }) => outcome)).toEqual(['created', 'created', 'created'])
  expect(jobs[1]?.id).toBe('own')
  const results = Promise.all(jobs.map((job) => job.result()))
  expect(await world.pass(results)).toEqual([3, 'HEY', 3])
})

scenario([2], 'an empty batch is no batch', async (world) => {
  const ledger = await world.open()
  expect(await ledger.enqueueMany([])).toEqual([])
  expect(await isEmpty(ledger)).toBe(true)
})

scenario(
  [2, 13],
  'a large batch is one step, in its order, before whatever comes after it',
  async (world) => {
    const ledger = await world.open()
    const worker = await ledger.workers.register()
    const batch = Array.from({ length: 300 }, (_, n) => ({ job: n % 2 === 0 ? build : test, payload: n }))
    const many = ledger.enqueueMany(batch)
    const later = ledger.enqueue(build, 'later')
    const ids = [...(await many).map(({ id }) => id), (await later).id]
    const times = await Promise.all([0, 149, 299].map((n) => factsOf(ledger, ids[n] as string, 'Queued')))
    expect(new Set(times.map(([facts]) => facts?.at)).size).toBe(1)
    expect((await ledger.queues.stats()).default).toMatchObject({ ready: 301 })
    expect(await takeAll(ledger, worker)).toEqual(ids)
  },
  inOneAppend('what is enqueued while a batch is on its way may come first'),
)

const asynchronous = defineJob({
  type: 'asynchronous',
  schema: {
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      validate: async (value: unknown) =>
        typeof value === 'number' ? { value } : { issues: [{ message: 'not a number', path: ['n'] }] },
    },
  },
})

const FAULTY: readonly (readonly [fault: string, element: unknown, error: object])[] = [
  ['no element', undefined, { option: 'enqueueMany[1]', received: 'undefined' }],
  ['a job instead of an element', add, { option: 'enqueueMany[1].type', received: '"type"' }],
  ['an unknown key', { job: add, payload: {}, option: {} }, { option: 'enqueueMany[1].option', received: '"option"' }],
  ['no job', { payload: 1 }, { option: 'enqueueMany[1].job', received: 'undefined' }],
  ['a type’s name for a job', { job: 'add', payload: 1 }, { option: 'enqueueMany[1].job', received: '"add"' }],
  ['no payload', { job: add }, { option: 'enqueueMany[1].payload', code: 'INVALID_PAYLOAD' }],
  ['a payload that is not JSON', { job: add, payload: { a: 1n } }, { code: 'INVALID_PAYLOAD' }],
  ['an option that is wrong', { job: add, payload: 1, options: { delay: 'soon' } }, { option: 'enqueueMany[1].delay' }],
  ['options that are none', { job: add, payload: 1, options: 5 }, { option: 'enqueueMany[1]', received: '5' }],
  ['the id of another', { job: add, payload: 1, options: { id: 'first' } }, { option: 'enqueueMany[1].id' }],
  ['a dependency nobody is', { job: add, payload: 1, options: { dependsOn: ['x'] } }, { code: 'DEPENDENCY_UNKNOWN' }],
  [
    'itself to wait for',
    { job: add, payload: 1, options: { id: 'b', dependsOn: ['b'] } },
    { code: 'DEPENDENCY_CYCLE' },
  ],
  [
    'a payload that its schema, asked in its own time, refuses',
    { job: asynchronous, payload: { n: 'five' } },
    {
      option: 'enqueueMany[1].payload.n',
      expected: 'as its schema says (not a number)',
      received: '"five"',
    },
  ],
]

scenario([2, '000.2'], 'one element that is refused refuses the batch, by its place', async (world) => {
  const ledger = await world.open()
  for (const [fault, element, wanted] of FAULTY) {
    const good = { job: add, payload: { a: 1, b: 2 }, options: { id: 'first' } }
    const batch = [good, element as BatchElement, { job: shout, payload: 'last' }]
    expect(await rejection(ledger.enqueueMany(batch)), fault).toMatchObject(wanted)
    expect(await isEmpty(ledger), fault).toBe(true)
  }
})

scenario([2], 'what is no batch is refused', async (world) => {
  const ledger = await world.open()
  for (const odd of [undefined, null, 'batch', {}, new Set()]) {
    const error = await rejection(ledger.enqueueMany(odd as never))
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'enqueueMany' })
  }
  expect(await isEmpty(ledger)).toBe(true)
})

scenario([2], 'a strict ledger refuses a batch with a type it does not know', async (world) => {
  const ledger = await world.open({ jobs: [add], strict: true })
  const batch = [
    { job: add, payload: { a: 1, b: 1 } },
    { job: shout, payload: 'hey' },
  ]
  expect(await rejection(ledger.enqueueMany(batch))).toMatchObject({ code: 'UNKNOWN_TYPE', type: 'shout' })
  expect(await isEmpty(ledger)).toBe(true)
})

scenario([2], 'elements may wait for each other, whichever comes first, and none starts too early', async (world) => {
  const order: string[] = []
  const go = gate()
  const note = defineJob({
    type: 'note',
    handle: async (text: string) => {
      order.push(text)
      if (text === 'base') await go.promise
      return text
    },
  })
  const ledger = await world.open({ jobs: [note] })
  await ledger.start({ concurrency: 3 })
  const [top] = await ledger.enqueueMany([
    { job: note, payload: 'top', options: { dependsOn: ['left', 'right'] } },
    { job: note, payload: 'left', options: { id: 'left', dependsOn: ['base'] } },
    { job: note, payload: 'right', options: { id: 'right', dependsOn: ['base'] } },
    { job: note, payload: 'base', options: { id: 'base' } },
  ])
  await world.clock.settle()
  expect(order).toEqual(['base'])
  go.open()
  expect(await top?.result()).toBe('top')
  expect(order.slice(1, 3).sort()).toEqual(['left', 'right'])
  expect(order[3]).toBe('top')
})

scenario([2], 'a circle in a batch is refused with its path, and nothing is stored', async (world) => {
  const ledger = await world.open()
  const link = (id: string, ...dependsOn: string[]) => ({ job: shout, payload: id, options: { id, dependsOn } })
  const error = await rejection(ledger.enqueueMany([link('a'), link('b', 'a', 'd'), link('c', 'b'), link('d', 'c')]))
  expect(error).toMatchObject({ code: 'DEPENDENCY_CYCLE' })
  const { path } = error as { path: string[] }
  expect([path.length, path[0], [...new Set(path)].sort()]).toEqual([4, path[3], ['b', 'c', 'd']])
  expect(await isEmpty(ledger)).toBe(true)
})

scenario(
  [2],
  'a batch that was sent before makes nothing anew, and one that differs makes nothing at all',
  async (world) => {
    const ledger = await world.open()
    const batch = ['a', 'b'].map((id) => ({ job: shout, payload: id, options: { id } }))
    await ledger.enqueueMany(batch)
    const again = await ledger.enqueueMany([...batch, { job: shout, payload: 'c', options: { id: 'c' } }])
    expect(again.map(({ id, outcome }) => `${id} ${outcome}`)).toEqual(['a duplicate', 'b duplicate', 'c created'])
    const other = [
      { job: shout, payload: 'd', options: { id: 'd' } },
      { job: shout, payload: 'B', options: { id: 'b' } },
    ]
    expect(await rejection(ledger.enqueueMany(other))).toMatchObject({ code: 'JOB_EXISTS', jobId: 'b' })
    expect(await rejection(ledger.status('d'))).toMatchObject({ code: 'JOB_UNKNOWN' })
    expect(await typesOf(ledger, 'b')).toEqual(['Queued'])
  },
)

scenario([2], 'another ledger on the same log never sees a part of a batch', async (world) => {
  const [writer, reader] = [await world.open(), await world.open()]
  const seen = new Set<number>()
  const looking: Promise<void>[] = []
  const look = async () => {
    // What came with this event is folded by then.
    await Promise.resolve()
    for (const { ready } of Object.values(await reader.queues.stats())) seen.add(ready)
  }
  const watching = reader.events$.subscribe(() => void looking.push(look()))
  for (const times of [1, 2]) {
    const last = next(reader, `last ${times}`, 'Queued')
    await writer.enqueueMany(
      Array.from({ length: 50 }, (_, n) => ({
        job: build,
        payload: n,
        options: { id: n === 49 ? `last ${times}` : `${times}.${n}` },
      })),
    )
    await last
    await Promise.all(looking)
  }
  watching.unsubscribe()
  expect([...seen]).toEqual([50, 100])
})
