/** Searches, compared with what looking at every job would find. */
import { afterEach, describe, expect, test } from 'vitest'
import type { Ledger } from '../../runtime/ledger.js'
import type { QueryRow } from '../../runtime/ports/read-models.js'
import type { FoundJob } from '../../runtime/report/search.js'
import type { SearchFilter } from '../../runtime/report/search-options.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { Fatal } from '../../runtime/work/run/handler-errors.js'
import type { Backend } from './support.js'
import { rejection, World } from './support.js'

interface Order {
  readonly customer: { readonly id: number; readonly vip: boolean }
  readonly fail?: string
}

const search = ['customer.id', 'customer.vip']
const typed = (type: string): JobDefinition<Order, void> =>
  defineJob<Order, void>({
    type,
    search,
    handle: ({ fail }) => {
      if (fail !== undefined) throw new Fatal(fail)
    },
  })
const TYPES = [typed('order'), typed('refund')] as const
const ERRORS = ['connect ECONNREFUSED db-7', 'quota "exceeded" for db-7', "it's; -- DROP TABLE jobs"]

let world: World | undefined
afterEach(async () => {
  await world?.[Symbol.asyncDispose]()
  world = undefined
})

/** 48 jobs of two types, three queues, two channels, one a second; some fail, some are cancelled, some still wait. */
async function filled(backend: Backend): Promise<{ ledger: Ledger; begin: number }> {
  world = await World.create(backend)
  const { clock } = world
  const ledger = await world.open({ jobs: TYPES })
  const begin = clock.now()
  await ledger.start({ concurrency: 10 })
  for (let n = 0; n < 48; n += 1) {
    const fail = n % 4 === 0 ? { fail: ERRORS[(n / 4) % 3] as string } : {}
    const options = { id: `job-${n}`, queue: `q${n % 3}`, channel: n % 5 === 0 ? 'eu' : '', held: n % 7 === 3 }
    const payload = { customer: { id: n % 6, vip: n % 2 === 0 }, ...fail }
    const { result } = await ledger.enqueue(TYPES[n % 2 === 0 ? 0 : 1] as JobDefinition<Order, void>, payload, options)
    if (options.held) {
      if (n % 2 === 0) await ledger.cancel(options.id, { reason: 'not wanted' })
    } else await result().catch(() => {})
    await clock.advance('1s')
  }
  return { ledger, begin }
}

/** All pages. */
async function all(ledger: Ledger, filter: SearchFilter, limit: number): Promise<FoundJob[]> {
  const found: FoundJob[] = []
  let cursor: string | undefined
  do {
    const page = await ledger.search({ ...filter, limit, ...(cursor !== undefined && { cursor }) })
    expect(page.jobs.length).toBeLessThanOrEqual(limit)
    found.push(...page.jobs)
    cursor = page.cursor
  } while (cursor !== undefined)
  return found
}

const within = (at: unknown, span: SearchFilter['queued']): boolean =>
  span === undefined || (typeof at === 'number' && at >= Number(span.from ?? 0) && at <= Number(span.until ?? at))

function fits(row: QueryRow, filter: SearchFilter): boolean {
  const n = Number(String(row.id).slice(4))
  const text = `${row.error} ${row.error_message}`.toLowerCase().split(/[^a-z0-9]+/)
  const words = filter.error?.toLowerCase().match(/[a-z0-9]+/g) ?? []
  const { 'customer.id': customer = n % 6, 'customer.vip': vip = n % 2 === 0 } = filter.payload ?? {}
  return (
    (['id', 'type', 'queue', 'channel', 'state'] as const).every((key) => (filter[key] ?? row[key]) === row[key]) &&
    within(row.queued_at, filter.queued) &&
    within(row.started_at, filter.started) &&
    within(row.ended_at, filter.ended) &&
    (words.length === 0 || (row.error !== null && words.every((word) => text.includes(word)))) &&
    String(customer) === String(n % 6) &&
    String(vip) === String(n % 2 === 0)
  )
}

export function searchSuite(backend: Backend): void {
  describe(`search on ${backend.name}`, () => {
    test('finds by each filter, and by each pair of them, what looking at every job finds, newest first', async () => {
      const { ledger, begin } = await filled(backend)
      const span = { from: begin + 10_000, until: begin + 30_000 }
      const filters: readonly SearchFilter[] = [
        ...[
          {},
          { id: 'job-12' },
          { id: 'nobody' },
          { type: 'refund' },
          { queue: 'q1' },
          { channel: 'eu' },
          { channel: '' },
        ],
        ...([{ state: 'failed' }, { state: 'held' }, { state: 'cancelled' }, { state: 'succeeded' }] as const),
        ...[{ queued: span }, { started: { from: span.from } }, { ended: { until: span.until } }],
        ...[
          { error: 'econnrefused' },
          { error: 'quota exceeded' },
          { error: 'drop' },
          { error: 'Fatal' },
          { error: 'nothing' },
        ],
        ...[
          { payload: { 'customer.id': 2 } },
          { payload: { 'customer.vip': true } },
          { payload: { 'customer.id': '9' } },
        ],
      ]
      const rows = await ledger.query('SELECT * FROM jobs ORDER BY seq DESC')
      expect(rows).toHaveLength(48)
      for (const [index, a] of filters.entries()) {
        for (const b of filters.slice(index)) {
          const filter = { ...a, ...b }
          const expected = rows.filter((row) => fits(row, filter)).map(({ id }) => id as string)
          const found = await all(ledger, filter, a === b ? 3 : 20)
          expect([filter, found.map(({ id }) => id).sort()]).toEqual([filter, expected.sort()])
          const times = found.map((job) => (filter.ended ? job.endedAt : filter.started ? job.startedAt : job.queuedAt))
          expect(times).toEqual([...times].sort((x, y) => Number(y) - Number(x)))
        }
      }
    })

    test('tells of a job what the tables have', async () => {
      const { ledger } = await filled(backend)
      const { jobs } = await ledger.search({ state: 'cancelled', limit: 1 })
      expect(jobs).toEqual([
        {
          ...{
            id: 'job-38',
            state: 'cancelled',
            type: 'order',
            queue: 'q2',
            channel: '',
            priority: 0,
            reason: 'not wanted',
          },
          ...{ run: 0, attempt: 0, maxAttempts: 20, queuedAt: expect.any(Number), endedAt: expect.any(Number) },
        },
      ])
      const [failed] = (await ledger.search({ error: 'quota', limit: 1 })).jobs
      expect(failed).toMatchObject({ error: 'Fatal', errorMessage: 'quota "exceeded" for db-7', run: 1, runMs: 0 })
      const groups = await ledger.newest({ limit: 2 })
      expect(groups.map(({ type, state, jobs: { length } }) => `${type} ${state} ${length}`)).toEqual([
        ...['order cancelled 2', 'order failed 2', 'order succeeded 2', 'refund held 2', 'refund succeeded 2'],
      ])
      expect(groups[1]?.jobs.map(({ id }) => id)).toEqual(['job-44', 'job-40'])
      await ledger.remove('job-44')
      await ledger.expunge('job-40')
      expect((await ledger.newest({ limit: 2 }))[1]?.jobs.map(({ id }) => id)).toEqual(['job-40', 'job-36'])
      expect((await ledger.search({ payload: { 'customer.id': 44 % 6 } })).jobs.map(({ id }) => id)).not.toContain(
        'job-44',
      )
    })

    test('refuses what makes no sense by its name', async () => {
      world = await World.create(backend)
      const ledger = await world.open({ jobs: TYPES })
      const { cursor } = { cursor: 'seq:17:17' }
      for (const [filter, option] of [
        [{ state: 'ready' }, 'search.state'],
        [{ limit: 1_001 }, 'search.limit'],
        [{ queued: {} }, 'search.queued'],
        [{ ended: { from: 2_000, until: 1_000 } }, 'search.ended.until'],
        [{ started: { since: 1 } }, 'search.started.since'],
        [{ error: '' }, 'search.error'],
        [{ error: '" OR *' }, undefined],
        [{ error: '"*--' }, 'search.error'],
        [{ payload: {} }, 'search.payload'],
        [{ payload: { 'customer.name': 'a' } }, 'search.payload.customer.name'],
        [{ payload: { 'customer.id': null } }, 'search.payload.customer.id'],
        [{ cursor: 'the next one' }, 'search.cursor'],
        [{ cursor, ended: { from: 1 } }, 'search.cursor'],
        [{ types: 'order' }, 'search.types'],
      ] as const) {
        if (option === undefined) expect(await ledger.search(filter as never)).toEqual({ jobs: [] })
        else expect(await rejection(ledger.search(filter as never))).toMatchObject({ code: 'INVALID_OPTION', option })
      }
      expect(await rejection(ledger.newest({ limit: 0 }))).toMatchObject({ option: 'newest.limit' })
    })
  })
}
