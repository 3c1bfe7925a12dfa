import { describe, expect, it } from 'vitest'
import type { Ledger } from '../../../runtime/ledger.js'
import type { ListFilter } from '../../../runtime/read/listing.js'
import type { JobDefinition } from '../../../runtime/work/run/definition.js'
import { defineJob } from '../../../runtime/work/run/definition.js'
import type { EnqueueOptions } from '../../../runtime/write/contract.js'
import { fire } from '../../scenarios/fired.js'
import type { Backend } from '../support.js'
import { gate, never, next, rejection, World } from '../support.js'

const mail = defineJob({ type: 'mail', queue: 'mail', handle: (_: unknown) => {} })
const fails = defineJob({
  type: 'fails',
  maxAttempts: 1,
  handle: (_: unknown) => {
    throw new TypeError('no')
  },
})

/** One job in every state there is. */
async function everyState(world: World): Promise<Ledger> {
  const running = gate()
  const hang = defineJob({
    type: 'hang',
    handle: () => {
      running.open()
      return never()
    },
  })
  const ledger = await world.open({ jobs: [mail, fails, hang] })
  await ledger.start({ queues: ['mail', 'default'] })
  const enqueue = async (job: JobDefinition, options: EnqueueOptions) => {
    await ledger.enqueue(job, 1, options)
    await world.clock.advance(1)
  }
  await enqueue(mail, { id: 'succeeded', channel: 'a' })
  await enqueue(fails, { id: 'failed' })
  await enqueue(hang, { id: 'running' })
  await enqueue(mail, { id: 'scheduled', delay: '1h', channel: 'b' })
  await enqueue(mail, { id: 'ready', queue: 'unserved' })
  await enqueue(mail, { id: 'blocked', dependsOn: ['ready'] })
  await enqueue(mail, { id: 'cancelled', delay: '2h' })
  await ledger.cancel('cancelled')
  await running.promise
  await ledger.result('succeeded')
  await rejection(ledger.result('failed'))
  return ledger
}

const IN_ORDER = ['cancelled', 'blocked', 'ready', 'scheduled', 'running', 'failed', 'succeeded']

async function ids(ledger: Ledger, filter?: ListFilter): Promise<string[]> {
  return (await ledger.list(filter)).jobs.map(({ id }) => id)
}

async function pages(ledger: Ledger, filter: ListFilter): Promise<string[][]> {
  const found: string[][] = []
  for (let cursor: string | undefined; ; ) {
    const page = await ledger.list({ ...filter, ...(cursor !== undefined && { cursor }) })
    found.push(page.jobs.map(({ id }) => id))
    if (page.cursor === undefined) return found
    cursor = page.cursor
  }
}

export function listingSuite(backend: Backend): void {
  describe('list and stats', () => {
    it('show every job in its state, newest first', async () => {
      await using world = await World.create(backend)
      const ledger = await everyState(world)
      const { jobs, cursor } = await ledger.list()
      expect(jobs.map(({ id }) => id)).toEqual(IN_ORDER)
      expect(jobs.map(({ state }) => state)).toEqual(IN_ORDER)
      expect(cursor).toBeUndefined()
      for (const job of jobs) {
        const status = await ledger.status(job.id)
        const { payload, result, errorMessage, reason, lease, correlationId, attemptedBy, ...rest } = status
        const { dependsOn, blockedBy, dependents, ...summary } = rest
        expect(job).toEqual(summary)
      }
    })

    it('find jobs by state, type, queue and channel, one or several', async () => {
      await using world = await World.create(backend)
      const ledger = await everyState(world)
      for (const state of IN_ORDER) expect(await ids(ledger, { state: state as 'ready' })).toEqual([state])
      expect(await ids(ledger, { state: ['ready', 'failed'] })).toEqual(['ready', 'failed'])
      expect(await ids(ledger, { state: 'held' })).toEqual([])
      expect(await ids(ledger, { type: 'fails' })).toEqual(['failed'])
      expect(await ids(ledger, { type: ['hang', 'fails'] })).toEqual(['running', 'failed'])
      expect(await ids(ledger, { queue: 'default' })).toEqual(['running', 'failed'])
      expect(await ids(ledger, { queue: 'nowhere' })).toEqual([])
      expect(await ids(ledger, { channel: ['a', 'b'] })).toEqual(['scheduled', 'succeeded'])
      expect(await ids(ledger, { channel: '', type: 'mail' })).toEqual(['cancelled', 'blocked', 'ready'])
      expect(await ids(ledger, { state: [] })).toEqual([])
    })

    it('find the jobs that a trigger has made, saved or not, page by page', async () => {
      await using world = await World.create(backend)
      const store = await world.store()
      const ledger = await world.open({ jobs: [mail, fails] })
      const put = async (id: string, trigger?: string, type = 'mail') => {
        await world.clock.advance(1)
        const at = world.clock.now()
        await fire(store, { id, at, type, queue: 'mail', ...(trigger && { trigger: { id: trigger, occurrence: at } }) })
      }
      await put('n1', 'nightly')
      await put('h1', 'hourly', 'fails')
      await put('n2', 'nightly')
      await put('none')
      expect(await ids(ledger, { trigger: 'nightly' })).toEqual(['n2', 'n1'])
      await ledger.start({ queues: ['mail'] })
      for (const id of ['n1', 'n2', 'none']) await ledger.result(id)
      await rejection(ledger.result('h1'))
      await put('n3', 'nightly')
      await ledger.result('n3')
      expect(await ids(ledger, { trigger: 'nightly' })).toEqual(['n3', 'n2', 'n1'])
      expect(await ids(ledger, { trigger: ['hourly', 'nightly'] })).toEqual(['n3', 'n2', 'h1', 'n1'])
      expect(await ids(ledger, { trigger: ['hourly', 'nightly'], state: 'failed' })).toEqual(['h1'])
      expect(await ids(ledger, { trigger: 'nobody' })).toEqual([])
      expect(await ids(ledger, { trigger: '' })).toEqual(['none'])
      expect(await pages(ledger, { trigger: 'nightly', limit: 2 })).toEqual([['n3', 'n2'], ['n1']])
      await ledger.retry('n1')
      await ledger.result('n1')
      expect(await ids(ledger, { trigger: 'nightly' })).toEqual(['n3', 'n2', 'n1'])
      expect(await rejection(ledger.list({ trigger: 5 as never }))).toMatchObject({ option: 'list.trigger' })
    })

    it('count by queue', async () => {
      await using world = await World.create(backend)
      const ledger = await everyState(world)
      const none = { held: 0, blocked: 0, scheduled: 0, ready: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0 }
      expect(await ledger.queues.stats()).toEqual({
        default: { ...none, running: 1, failed: 1 },
        mail: { ...none, succeeded: 1, scheduled: 1, blocked: 1, cancelled: 1 },
        unserved: { ...none, ready: 1 },
      })
    })

    it('know that a scheduled job has become ready without being told', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open()
      await ledger.enqueue(mail, 1, { id: 'later', delay: '1m' })
      expect(await ids(ledger, { state: 'ready' })).toEqual([])
      await world.clock.advance('1m')
      expect(await ids(ledger, { state: 'ready' })).toEqual(['later'])
      expect((await ledger.queues.stats()).mail).toMatchObject({ scheduled: 0, ready: 1 })
    })

    it('give page after page, each job once, also when only some of the rows fit', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open()
      const all = Array.from({ length: 12 }, (_, index) => `j${index}`)
      for (const [index, id] of all.entries()) {
        await ledger.enqueue(mail, 1, { id, ...(index % 3 === 0 && { delay: '1h' }) })
        await world.clock.advance(1)
      }
      const newest = all.toReversed()
      expect(await pages(ledger, { limit: 5 })).toEqual([newest.slice(0, 5), newest.slice(5, 10), newest.slice(10)])
      expect(await pages(ledger, { limit: 1_000 })).toEqual([newest])
      const scheduled = newest.filter((id) => Number(id.slice(1)) % 3 === 0)
      expect(await pages(ledger, { limit: 3, state: 'scheduled' })).toEqual([scheduled.slice(0, 3), scheduled.slice(3)])
      expect((await pages(ledger, { limit: 2, state: 'ready' })).flat()).toHaveLength(8)
    })

    it('have no cursor on the last page, also when it is full', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open()
      for (let index = 0; index < 4; index += 1) await ledger.enqueue(mail, index)
      expect((await pages(ledger, { limit: 2 })).map((page) => page.length)).toEqual([2, 2])
    })

    it('keep their place while new jobs come in', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open()
      for (let index = 0; index < 4; index += 1) await ledger.enqueue(mail, index, { id: `old${index}` })
      const first = await ledger.list({ limit: 2 })
      await ledger.enqueue(mail, 9, { id: 'new' })
      const cursor = first.cursor as string
      expect(await ids(ledger, { limit: 2, cursor })).toEqual(['old1', 'old0'])
    })

    it('see what other ledgers on the log do', async () => {
      await using world = await World.create(backend)
      const one = await world.open()
      const other = await world.open()
      await other.list()
      const seen = next(other, 'x', 'Queued')
      await one.enqueue(mail, 1, { id: 'x' })
      await seen
      expect(await ids(other)).toEqual(['x'])
      const gone = next(one, 'x', 'Cancelled')
      await other.cancel('x')
      await gone
      expect(await ids(one, { state: 'cancelled' })).toEqual(['x'])
      expect(await one.queues.stats()).toEqual(await other.queues.stats())
    })

    it('are the same after the ledger was closed and opened again', async () => {
      await using world = await World.create(backend)
      const before = await everyState(world)
      const jobs = (await before.list()).jobs.map(withoutRun)
      await world.close(before, { drain: 0, timeout: 0 })
      const after = await world.open()
      // What ran was given back.
      const expected = jobs.map((job) => (job.id === 'running' ? { ...job, state: 'ready' } : job))
      expect((await after.list()).jobs.map(withoutRun)).toEqual(expected)
      expect((await after.queues.stats()).default).toMatchObject({ running: 0, ready: 1, failed: 1 })
      expect((await after.status('blocked')).blockedBy).toEqual(['ready'])
    })
  })
}

const withoutRun = ({
  id,
  state,
  type,
  queue,
  channel,
  queuedAt,
}: Awaited<ReturnType<Ledger['list']>>['jobs'][number]) => ({
  ...{ id, state, type, queue, channel, queuedAt },
})
