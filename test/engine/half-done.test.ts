/**
 * A store that appends to one stream at a time: what a command decides are several appends, and a process may die between any two
 * of them. Another one brings it to its end, once.
 */
import { describe, expect, test } from 'vitest'
import type { RecordedEvent } from '../../domain/event.js'
import type { Ledger } from '../../runtime/ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { afterEvent, oneStreamAwayAfter, oneStreamMortal } from './mortal-store.js'
import { never, next, typesOf, World } from './support.js'

const note = defineJob<unknown, unknown>({ type: 'note' })
const limited = defineJob<unknown, unknown>({ type: 'limited', rateLimit: { limit: 3, per: '1h' } })
const bytes = new Uint8Array([0, 255, 7])

interface Way {
  readonly what: string
  /** What the process is asked for; `before` is done while it is still to live. */
  readonly before?: (ledger: Ledger) => Promise<unknown>
  readonly ask: (ledger: Ledger) => Promise<unknown>
  /** Its last append, and which of that type. */
  readonly last: readonly [type: string, nth?: number]
  /** Ids of all jobs in the end. */
  readonly jobs: readonly string[]
  /** Which of them are not there when it has died. */
  readonly missing: readonly string[]
}

const unique = { key: 'k' }
const three = ['a', 'b', 'c'].map((id) => ({ job: note, payload: id, options: { id } }))
const chain = [
  { job: note, payload: 1, options: { id: 'a' } },
  { job: note, payload: 2, options: { id: 'b', dependsOn: ['a'] } },
  { job: note, payload: 3, options: { id: 'c', dependsOn: ['b'] } },
]
const keyed = ['a', 'b'].map((id) => ({ job: note, payload: id, options: { id, unique: { key: id } } }))
const big = ['a', 'b', 'c'].map((id) => ({ job: note, payload: 'ü😀'.repeat(60_000), options: { id } }))
const both = (ledger: Ledger) => ledger.enqueue(limited, 1, { id: 'a', unique })

const WAYS: readonly Way[] = [
  {
    what: 'a claim without its job',
    ask: (ledger) => ledger.enqueue(note, bytes, { id: 'a', unique }),
    ...{ last: ['Claimed'], jobs: ['a'], missing: ['a'] },
  },
  {
    what: 'a claim with a window, without its job',
    ask: (ledger) => ledger.enqueue(note, 1, { id: 'a', unique: { ...unique, window: '1h' } }),
    ...{ last: ['Claimed'], jobs: ['a'], missing: ['a'] },
  },
  {
    what: 'a count without its job',
    ask: (ledger) => ledger.enqueue(limited, 1, { id: 'a' }),
    ...{ last: ['Counted'], jobs: ['a'], missing: ['a'] },
  },
  ...['BatchSubmitted', 'Counted', 'Claimed'].map((type) => ({
    what: `a job with a key and a limit, after ${type}`,
    ask: both,
    ...{ last: [type] as const, jobs: ['a'], missing: ['a'] },
  })),
  {
    what: 'a batch of which nothing is there',
    ask: (ledger) => ledger.enqueueMany(three),
    ...{ last: ['BatchSubmitted'], jobs: ['a', 'b', 'c'], missing: ['a', 'b', 'c'] },
  },
  {
    what: 'a batch of which one is there',
    ask: (ledger) => ledger.enqueueMany(three),
    ...{ last: ['Queued'], jobs: ['a', 'b', 'c'], missing: ['b', 'c'] },
  },
  {
    what: 'a batch whose jobs wait for each other',
    ask: (ledger) => ledger.enqueueMany(chain),
    ...{ last: ['Queued', 2], jobs: ['a', 'b', 'c'], missing: ['a'] },
  },
  {
    what: 'a batch that is too large for one event',
    ask: (ledger) => ledger.enqueueMany(big),
    ...{ last: ['BatchSubmitted'], jobs: ['a', 'b', 'c'], missing: ['a', 'b', 'c'] },
  },
  {
    what: 'a batch of which only a part is written',
    ask: (ledger) => ledger.enqueueMany(big),
    ...{ last: ['BatchPart'], jobs: [], missing: [] },
  },
  ...[1, 2].map((nth) => ({
    what: `a batch with two keys, after claim ${nth}`,
    ask: (ledger: Ledger) => ledger.enqueueMany(keyed),
    ...{ last: ['Claimed', nth] as const, jobs: ['a', 'b'], missing: ['a', 'b'] },
  })),
]

describe('a process that dies between two appends', () => {
  test.each(WAYS)('leaves $what: another one makes it whole, 5 s later, and only once', async (way) => {
    const { ask, last, jobs, missing } = way
    await using world = await World.create(oneStreamMortal(afterEvent(...last)))
    const { clock } = world
    const first = await world.open()
    let told = false
    const tell = (): void => {
      told = true
    }
    ask(first).then(tell, tell)
    await clock.settle()
    const second = await world.open()
    await clock.advance('4900ms')
    expect(await idsIn(second)).toEqual(jobs.filter((id) => !missing.includes(id)))
    // Others that are there as well are in nobody's way.
    await world.open()
    await clock.advance('2s')
    expect(await idsIn(second)).toEqual(jobs)
    for (const id of jobs) expect(await typesOf(second, id)).toEqual(['Queued'])
    await clock.advance('11m')
    expect(told).toBe(false)
    expect(await idsIn(second)).toEqual(jobs)
    expect(await leftovers(world)).toEqual([])
  })

  test('keeps the bytes of what it has decided', async () => {
    await using world = await World.create(oneStreamMortal(afterEvent('Claimed')))
    const first = await world.open()
    first.enqueue(note, bytes, { id: 'a', unique }).catch(() => {})
    await world.clock.settle()
    const second = await world.open()
    await world.clock.advance('7s')
    expect((await second.status('a')).payload).toEqual(bytes)
  })

  test('holds no key: who comes with it next is told of the job, and makes it if need be', async () => {
    await using world = await World.create(oneStreamMortal(afterEvent('Claimed')))
    const first = await world.open()
    first.enqueue(note, 1, { id: 'a', unique }).catch(() => {})
    await world.clock.settle()
    const second = await world.open()
    expect(await second.enqueue(note, 2, { id: 'b', unique })).toMatchObject({ id: 'a', outcome: 'duplicate' })
    expect(await typesOf(second, 'a')).toEqual(['Queued'])
    await second.cancel('a')
    expect(await second.enqueue(note, 2, { id: 'b', unique })).toMatchObject({ id: 'b', outcome: 'created' })
    await world.clock.advance('1m')
    expect(await idsIn(second)).toEqual(['a', 'b'])
  })

  test('leaves a count that counts once', async () => {
    await using world = await World.create(oneStreamMortal(afterEvent('Counted')))
    const first = await world.open()
    first.enqueue(limited, 1, { id: 'a' }).catch(() => {})
    await world.clock.settle()
    const second = await world.open()
    for (const id of ['b', 'c']) await second.enqueue(limited, 1, { id })
    await expect(second.enqueue(limited, 1, { id: 'd' })).rejects.toMatchObject({ code: 'RATE_LIMITED' })
    await world.clock.advance('7s')
    expect(await idsIn(second)).toEqual(['a', 'b', 'c'])
  })

  test('leaves a retry of a job with a key, which is sent round all the same', async () => {
    await using world = await World.create(oneStreamMortal(afterEvent('Claimed', 2)))
    const first = await world.open()
    await first.enqueue(note, 1, { id: 'a', unique })
    await first.cancel('a')
    first.retry('a').catch(() => {})
    await world.clock.settle()
    const second = await world.open()
    expect(await typesOf(second, 'a')).toEqual(['Queued', 'Cancelled'])
    await world.clock.advance('7s')
    expect(await typesOf(second, 'a')).toEqual(['Queued', 'Cancelled', 'Retried'])
    expect(await second.enqueue(note, 2, { id: 'b', unique })).toMatchObject({ id: 'a', outcome: 'duplicate' })
  })

  test('leaves a place of a key without a run: it is taken for 5 s, then free, and no attempt is spent', async () => {
    const options = { concurrencyKey: 'k' }
    await using world = await World.create(oneStreamMortal(afterEvent('Taken')))
    const [first, second] = [await world.open({ jobs: [{ ...note, handle: never } as typeof note] }), undefined]
    expect(second).toBeUndefined()
    await first.enqueue(note, 1, { id: 'a', ...options })
    await first.start()
    await world.clock.settle()
    const other = await world.open({ jobs: [defineJob({ type: 'note', handle: () => 'done' })] })
    const ended = next(other, 'b', 'Finished')
    await other.enqueue(note, 1, { id: 'b', ...options })
    await other.start()
    await world.clock.advance('4900ms')
    expect([await typesOf(other, 'a'), await typesOf(other, 'b')]).toEqual([['Queued'], ['Queued']])
    await world.clock.advance('2s')
    await ended
    const ofA = await typesOf(other, 'a')
    expect(ofA.slice(0, 3)).toEqual(['Queued', 'Leased', 'Released'])
    expect(await other.status('a')).toMatchObject({ attempt: ofA.length > 3 ? 1 : 0 })
    expect(await typesOf(other, 'b')).toEqual(['Queued', 'Leased', 'Finished'])
  })
})

describe('a removal whose process dies', () => {
  test.each([
    ['when the job is sure to leave', 'Condemned', 2],
    ['when that is recorded', 'JobsRemoved', 1],
    ['when its stream is gone', 'StreamsRemoved', 1],
  ])('%s is brought to its end by another one', async (_, type, nth) => {
    await using world = await World.create(oneStreamMortal(afterEvent(type, nth)))
    const { clock } = world
    const first = await world.open()
    await first.enqueue(note, 1, { id: 'a' })
    await first.cancel('a')
    first.remove('a').catch(() => {})
    await clock.settle()
    const second = await world.open()
    await world.open()
    if (type === 'Condemned') await expect(second.retry('a')).rejects.toMatchObject({ code: 'JOB_REMOVED' })
    await clock.advance('7s')
    await expect(second.status('a')).rejects.toMatchObject({ code: 'JOB_REMOVED', outcome: 'cancelled' })
    await expect(second.enqueue(note, 1, { id: 'a' })).rejects.toMatchObject({ code: 'STREAM_REMOVED' })
    const third = await world.open()
    expect((await third.queues.stats()).default).toMatchObject({ cancelled: 1 })
  })
})

describe('a firing whose process dies', () => {
  test.each([
    ['BatchSubmitted', 1],
    ['Counted', 1],
    ['Claimed', 1],
    ['TriggerFired', 1],
  ])('after %s makes one job, with all that it claims', async (type, nth) => {
    await using world = await World.create(oneStreamMortal(afterEvent(type, nth)))
    const { clock } = world
    const first = await world.open()
    const options = { unique }
    await first.triggers.add({ id: 't', kind: 'in', when: '10m', job: limited, payload: 1, options })
    await clock.advance('10m')
    const second = await world.open()
    await clock.advance('10s')
    const jobs = await second.triggers.jobs('t')
    expect(jobs).toHaveLength(1)
    expect(await second.enqueue(limited, 2, { unique })).toMatchObject({ id: jobs[0]?.id, outcome: 'duplicate' })
    await clock.advance('1m')
    expect(await second.triggers.jobs('t')).toHaveLength(1)
  })
})

async function idsIn(ledger: Ledger): Promise<string[]> {
  return (await ledger.list()).jobs.map(({ id }) => id).sort()
}

/** What should not be there any more when all is done. */
async function leftovers(world: World): Promise<string[]> {
  const events: RecordedEvent[] = []
  for await (const page of (await world.store()).readAll({ streams: ['batch-'] })) events.push(...page)
  return events.map(({ type }) => type)
}

describe('a server that goes away right after the append that decides', () => {
  test.each([
    ['a batch', 'BatchSubmitted', (ledger: Ledger) => ledger.enqueueMany(three), ['a', 'b', 'c']],
    ['a claim', 'Claimed', (ledger: Ledger) => ledger.enqueue(note, 1, { id: 'a', unique }), ['a']],
  ] as const)('nobody is told that %s is surely not stored', async (_, type, ask, jobs) => {
    await using world = await World.create(oneStreamAwayAfter(type))
    const ledger = await world.open()
    const answer = ask(ledger)
    await world.clock.advance('1s')
    await answer
    expect(await idsIn(ledger)).toEqual(jobs)
    await world.clock.advance('7s')
    for (const id of jobs) expect(await typesOf(ledger, id)).toEqual(['Queued'])
    expect(await leftovers(world)).toEqual([])
  })
})
