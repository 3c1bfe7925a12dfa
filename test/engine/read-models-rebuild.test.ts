/** What was brought into the tables slice by slice, and what the whole log says: they must be the same. */
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { systemClock } from '../../adapters/node/clock.js'
import { nodeDigest } from '../../adapters/node/digest.js'
import { openSqliteReadModels } from '../../adapters/sqlite/read-models.js'
import { defineJob, defineProjection, type Ledger, openLedger, Recoverable } from '../../index.js'
import { silentLogger } from '../../runtime/ports/logger.js'
import type { ReadModels } from '../../runtime/ports/read-models.js'
import { Models } from '../../runtime/report/models.js'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Work {
  readonly n: number
}

const work = defineJob<Work, number>({
  type: 'work',
  search: ['n'],
  maxAttempts: 2,
  backoff: { min: 0, max: 0 },
  handle: ({ n }) => {
    if (n % 3 === 0) throw new Recoverable(`no ${n}`)
    return n
  },
})

const totals = defineProjection<Record<string, number>>({
  name: 'totals',
  version: 1,
  key: ({ stream }) => (stream.startsWith('job-') ? 'jobs' : undefined),
  init: () => ({}),
  on: {
    Queued: (row) => ({ ...row, queued: (row.queued ?? 0) + 1 }),
    Finished: (row) => ({ ...row, ended: (row.ended ?? 0) + 1 }),
  },
})

const VERBS = ['enqueue', 'run', 'retry', 'cancel', 'expunge', 'reschedule', 'hold', 'look'] as const
type Verb = (typeof VERBS)[number]

/** Does something; what the ledger refuses is no matter here. */
async function act(ledger: Ledger, ids: string[], verb: Verb, n: number): Promise<void> {
  const id = ids[n % Math.max(1, ids.length)] ?? 'nobody'
  const acts: Record<Verb, () => Promise<unknown>> = {
    enqueue: async () => ids.push((await ledger.enqueue(work, { n }, { queue: `q${n % 2}` })).id),
    hold: async () => ids.push((await ledger.enqueue(work, { n }, { held: true })).id),
    run: async () => {
      const { id: own, result } = await ledger.enqueue(work, { n }, { channel: 'c' })
      ids.push(own)
      await result().catch(() => {})
    },
    retry: () => ledger.retry(id),
    cancel: () => ledger.cancel(id, { reason: 'enough' }),
    expunge: () => ledger.expunge(id),
    reschedule: () => ledger.reschedule(id, { priority: n }),
    look: () => ledger.query('SELECT 1'),
  }
  await acts[verb]().catch(() => {})
}

describe('built again, the tables and projections are identical', () => {
  test('whatever was done, in whatever slices it came in', async () => {
    const steps = fc.array(fc.tuple(fc.constantFrom(...VERBS), fc.nat(20)), { minLength: 5, maxLength: 25 })
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        await using ledger = await openLedger({ url: 'memory:', jobs: [work], projections: [totals], autoStart: true })
        const ids: string[] = []
        for (const [verb, n] of all) await act(ledger, ids, verb, n)
        await ledger.stop({ drain: '5s' })
        const tables = (await ledger.rebuild({ tables: true })).filter(({ name }) => name in EXPECTED)
        expect(Object.fromEntries(tables.map(({ name, identical }) => [name, identical]))).toEqual(EXPECTED)
      }),
      { numRuns: 8 },
    )
  })

  test('removed jobs are missing from both; their minutes stay, also when the new ones take the place of the old', async () => {
    const ledger = await openLedger({ url: 'memory:', jobs: [work], autoStart: true, projections: [totals] })
    cleanups.push(() => ledger.close())
    const ids: string[] = []
    for (const n of [1, 2, 3, 4]) await act(ledger, ids, 'run', n)
    const sum = 'SELECT sum(queued) AS q, sum(failed) AS f FROM queue_minutes'
    expect(await ledger.query(sum)).toEqual([{ q: 4, f: 1 }])
    await ledger.remove(ids[2] ?? '')
    const told = await ledger.rebuild({ tables: true, apply: true })
    const minutes = told.find(({ name }) => name === 'queue_minutes')
    expect(minutes).toMatchObject({ identical: true, apart: expect.stringContaining('removed') })
    expect(told.filter(({ name, identical }) => name in EXPECTED && name !== 'totals' && !identical)).toEqual([])
    expect(await ledger.query(sum)).toEqual([{ q: 4, f: 1 }])
    expect(await ledger.query('SELECT job_id, value FROM payload_paths ORDER BY seq')).toEqual(
      [0, 1, 3].map((index) => ({ job_id: ids[index], value: String(index + 1) })),
    )
    await act(ledger, ids, 'run', 5)
    expect(await ledger.query(sum)).toEqual([{ q: 5, f: 1 }])
    expect(await ledger.query('SELECT count(*) AS n FROM jobs')).toEqual([{ n: 4 }])
  })
})

const TABLES = ['jobs', 'attempts', 'triggers', 'workers', 'queue_minutes', 'payload_paths']
const EXPECTED = Object.fromEntries([...TABLES, 'totals'].map((name) => [name, true]))

/** Of the saves that come, so many fail: before anything is written, or after all of it is. */
function failing(models: ReadModels, faults: readonly ('before' | 'after' | 'no')[]): ReadModels {
  let count = 0
  const save: ReadModels['save'] = async (slice) => {
    const fault = faults[count % faults.length]
    count += 1
    if (fault === 'before') throw new Error('down')
    const saved = await models.save(slice)
    if (fault === 'after') throw new Error('gone')
    return saved
  }
  return new Proxy(models, {
    get(target, key) {
      if (key === 'save') return save
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

test('a process that dies before or after a save has brought nothing in twice, and left nothing out', async () => {
  const store = new MemoryEventStore()
  const ledger = await openLedger({ store, jobs: [work], autoStart: true })
  cleanups.push(() => ledger.close())
  const kept = failing(await openSqliteReadModels(':memory:'), ['no', 'after', 'before', 'after'])
  const options = {
    open: async () => kept,
    store,
    log: store,
    clock: systemClock,
    logger: silentLogger,
    digest: nodeDigest,
  }
  const ids: string[] = []
  for (let n = 0; n < 12; n += 1) {
    await act(ledger, ids, n % 2 === 0 ? 'run' : 'retry', n)
    // Each time another process, which remembers nothing.
    await new Models({ ...options, search: () => new Map([['work', ['n']]]) }).caughtUp().catch(() => {})
  }
  await ledger.stop({ drain: '5s' })
  const models = new Models({ ...options, search: () => new Map() })
  let caughtUp = false
  while (!caughtUp) {
    caughtUp = await models.caughtUp().then(
      () => true,
      () => false,
    )
  }
  const told = await models.rebuild()
  expect(Object.fromEntries(told.map(({ name, identical }) => [name, identical]))).toEqual(
    Object.fromEntries(TABLES.map((name) => [name, true])),
  )
  await models.close()
})
