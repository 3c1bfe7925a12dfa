/** What reports say, of a history whose times are known. On each store with SQL of its own. */
import { afterEach, describe, expect, test } from 'vitest'
import type { Ledger } from '../../runtime/ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { Backend } from './support.js'
import { rejection, World } from './support.js'

const MINUTE = 60_000

const mail = defineJob<{ readonly fail?: number }, void>({
  type: 'mail',
  maxAttempts: 2,
  backoff: { min: '1m', max: '1m', jitter: 'none' },
  handle: ({ fail = 0 }, { attempt }) => {
    if (attempt <= fail) throw new RangeError('no such address')
  },
})
const scan = defineJob<null, unknown>({ type: 'scan', queue: 'slow' })

let world: World | undefined
afterEach(async () => {
  await world?.[Symbol.asyncDispose]()
  world = undefined
})

/**
 * Ten scans, queued at once: the n-th waits for n s and runs for 10 n s, one after the other by hand, of one worker with two
 * slots. Mails: one succeeds, one at its second attempt, one fails.
 */
async function played(backend: Backend): Promise<{ ledger: Ledger; begin: number; worker: string }> {
  world = await World.create(backend)
  const { clock } = world
  const ledger = await world.open({ jobs: [mail, scan] })
  await clock.advance(MINUTE - (clock.now() % MINUTE))
  const begin = clock.now()
  const worker = await ledger.workers.register({ concurrency: 2, types: 'scan' })
  const lease = { lease: '1d' }
  for (let n = 1; n <= 10; n += 1) {
    await ledger.enqueue(scan, null, { id: `scan-${n}` })
    await clock.advance(`${n}s`)
    const { token } = await ledger.leaseById(`scan-${n}`, worker, lease)
    await clock.advance(`${10 * n}s`)
    await ledger.finish(token)
  }
  await ledger.start({ concurrency: 4 })
  const ended = [{}, { fail: 1 }, { fail: 2 }].map(async (payload) => {
    const { result } = await ledger.enqueue(mail, payload, { channel: 'eu' })
    await result().catch(() => {})
  })
  await world.pass(Promise.all(ended))
  await ledger.stop()
  return { ledger, begin, worker }
}

export function reportsSuite(backend: Backend): void {
  describe(`reports on ${backend.name}`, () => {
    test('of a history whose times are known', async () => {
      const { ledger, begin, worker } = await played(backend)
      const { clock } = world as World
      const window = { from: begin, until: clock.now() + 1 }

      const flow = await ledger.reports.throughput({ window, step: '1m' })
      expect(flow.total).toMatchObject({
        queued: 13,
        started: 15,
        succeeded: 12,
        failed: 1,
        retried: 2,
        cancelled: 0,
        lost: 0,
      })
      expect(flow.steps).toHaveLength((flow.window.until - flow.window.from) / MINUTE)
      expect(flow.steps.reduce((sum, { queued }) => sum + queued, 0)).toBe(13)
      expect(flow.steps[0]).toMatchObject({ from: begin, queued: 3 })
      const slow = await ledger.reports.throughput({ window: {}, queue: 'slow', step: '1h' })
      expect(slow.total).toMatchObject({ queued: 10, meanWaitMs: 5_500, meanRunMs: 55_000 })
      expect(slow.window.from).toBe(begin)

      const { lines } = await ledger.reports.times({ window, type: 'scan' })
      expect(lines).toEqual([
        {
          name: '',
          wait: { count: 10, mean: 5_500, p50: 5_000, p90: 9_000, p95: 10_000, p99: 10_000, max: 10_000 },
          run: { count: 10, mean: 55_000, p50: 50_000, p90: 90_000, p95: 100_000, p99: 100_000, max: 100_000 },
        },
      ])
      const byType = await ledger.reports.times({ window, by: 'type' })
      expect(byType.lines.map(({ name, wait }) => [name, wait.count])).toEqual([
        ['mail', 5],
        ['scan', 10],
      ])

      expect(await ledger.reports.failures({ window })).toEqual([
        { type: 'mail', succeeded: 2, failed: 1, cancelled: 0, rate: 1 / 3 },
        { type: 'scan', succeeded: 10, failed: 0, cancelled: 0, rate: 0 },
      ])
      expect(await ledger.reports.retries({ window, channel: 'eu' })).toEqual([
        { cause: 'error', error: 'RangeError', runs: 3, retried: 2 },
      ])
      expect(await ledger.reports.retries({ window, channel: '' })).toEqual([])

      // 10 + 20 + ... + 100 s of one of its two slots.
      const scanned = 605_000
      const use = await ledger.reports.workers({ window: { from: begin, until: begin + scanned } })
      expect(use.find(({ id }) => id === worker)).toMatchObject({
        ...{ slots: 2, runs: 10, busyMs: 550_000, presentMs: scanned, utilisation: 550 / 1_210 },
      })

      expect(await ledger.reports.kpis()).toMatchObject({
        ...{ pending: 0, pendingByType: {}, running: 0, failing: 0, failed: 1, processed: 12, availableWorkers: 0 },
      })
      const { meanRunMs: _, ...kpis } = await ledger.reports.kpis()
      expect(await ledger.asOf((world as World).clock.now()).report()).toEqual(kpis)
      expect(await ledger.asOf(begin - 1).report()).toMatchObject({ processed: 0, failed: 0 })
    })

    test('of how things stand: what waits, what runs, what fails and goes on', async () => {
      world = await World.create(backend)
      const { clock } = world
      const ledger = await world.open({ jobs: [mail, scan] })
      await ledger.enqueue(scan, null, { id: 'first', held: true })
      await clock.advance('6s')
      for (const id of ['second', 'third']) await ledger.enqueue(scan, null, { id })
      await ledger.enqueue(mail, {}, { id: 'later', delay: '1h' })
      const worker = await ledger.workers.register({ concurrency: 2, types: 'scan' })
      const { token } = await ledger.leaseById('second', worker)
      await ledger.leaseById('third', worker)
      expect(await ledger.reports.kpis()).toMatchObject({ availableWorkers: 0, running: 2 })
      expect(await ledger.reports.kpis()).not.toHaveProperty('meanRunMs')
      await clock.advance('4s')
      await ledger.fail(token, new Error('again'))
      const kpis = { pending: 3, pendingByType: { scan: 2, mail: 1 }, running: 1, failing: 1, failed: 0, processed: 0 }
      // Of the run that has ended, not of the one that goes on.
      expect(await ledger.reports.kpis()).toMatchObject({ ...kpis, availableWorkers: 1, meanRunMs: 4_000 })
      expect(await ledger.asOf(clock.now()).report()).toEqual({ ...kpis, availableWorkers: 1 })
      expect(await ledger.reports.kpis({ type: 'mail' })).toMatchObject({ pending: 1, running: 0, availableWorkers: 0 })
      const oldest = await ledger.reports.oldest({ limit: 2 })
      expect(oldest).toMatchObject([
        { id: 'first', state: 'held', ageMs: 10_000, queue: 'slow', type: 'scan' },
        { id: 'second', state: 'waiting', ageMs: 4_000, runAt: expect.any(Number) },
      ])
      expect((await ledger.reports.oldest({ type: 'mail' })).map(({ id }) => id)).toEqual(['later'])
      await clock.advance('1s')
      const going = await ledger.reports.workers()
      expect(going).toMatchObject([{ id: worker, slots: 2, runs: 2 }])
    })

    test('of triggers: how late they were', async () => {
      world = await World.create(backend)
      const { clock } = world
      const ledger = await world.open({ jobs: [mail] })
      await ledger.triggers.add({ id: 't', kind: 'every', when: '1m', job: mail, payload: {} })
      for (let n = 0; n < 3; n += 1) await clock.advance('1m')
      const [line] = await ledger.reports.triggers()
      expect(line).toMatchObject({
        id: 't',
        kind: 'every',
        type: 'mail',
        state: 'active',
        fired: 3,
        missed: 0,
        meanLateMs: 0,
      })
      expect(await ledger.reports.triggers({ type: 'scan' })).toEqual([])
      await ledger.close()
      await clock.advance('90s')
      const late = await world.open({ jobs: [mail] })
      await clock.advance('1s')
      for (let n = 0; n < 4; n += 1) await late.triggers.fire('t')
      const [{ fired, lastLateMs = 0, meanLateMs } = { fired: 0 }] = await late.reports.triggers()
      expect([fired, lastLateMs > 0, meanLateMs]).toEqual([8, true, lastLateMs / 4])
    })

    test('that make no sense are refused by their names', async () => {
      world = await World.create(backend)
      const { reports } = await world.open()
      const refusals: readonly (readonly [() => Promise<unknown>, string])[] = [
        [() => reports.throughput({ step: '90s' }), 'reports.throughput.step'],
        [() => reports.throughput({ last: '30d', step: '1m' }), 'reports.throughput.step'],
        [() => reports.throughput({ last: 0 }), 'reports.throughput.last'],
        [() => reports.times({ last: '1h', window: {} }), 'reports.times.last'],
        [() => reports.times({ window: { from: 2_000, until: 1_000 } }), 'reports.times.window.until'],
        [() => reports.times({ window: { since: 1 } as never }), 'reports.times.window.since'],
        [() => reports.times({ by: 'user' as never }), 'reports.times.by'],
        [() => reports.failures({ queue: 7 as never }), 'reports.failures.queue'],
        [() => reports.retries({ types: 'a' } as never), 'reports.retries.types'],
        [() => reports.oldest({ limit: 0 }), 'reports.oldest.limit'],
        [() => reports.workers({ type: 'a' } as never), 'reports.workers.type'],
        [() => reports.triggers({ last: '1h' } as never), 'reports.triggers.last'],
        [() => reports.kpis({ type: '' }), 'reports.kpis.type'],
      ]
      for (const [refused, option] of refusals)
        expect(await rejection(refused())).toMatchObject({ code: 'INVALID_OPTION', option })
    })
  })
}
