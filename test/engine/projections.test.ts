/** Projections of the user's: rows and checkpoint in one step, whatever happens. */
import { join } from 'node:path'
import { filter, firstValueFrom } from 'rxjs'
import { afterEach, describe, expect, test } from 'vitest'
import {
  type AnyProjection,
  defineJob,
  defineProjection,
  type Ledger,
  openLedger,
  type Projection,
  StoreUnusable,
} from '../../index.js'
import { temporaryFolder } from '../adapters/temporary-folder.js'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const job = defineJob<{ readonly n: number }, number>({ type: 'job', handle: ({ n }) => n })

interface Tally {
  readonly queued: number
  readonly ended: number
}

const tally = (version = 1): Projection<Tally> =>
  defineProjection<Tally>({
    name: 'tally',
    version,
    init: () => ({ queued: 0, ended: 0 }),
    on: {
      Queued: (row) => ({ ...row, queued: row.queued + version }),
      Finished: (row) => ({ ...row, ended: row.ended + 1 }),
    },
  })

/** One row for each job that has not ended. */
const open = defineProjection<{ readonly since: number }>({
  name: 'open',
  version: 1,
  key: ({ stream }) => (stream.startsWith('job-') ? stream.slice(4) : undefined),
  init: () => ({ since: 0 }),
  on: { Queued: (_, { at }) => ({ since: at }), Finished: () => null },
})

async function ledgerAt(url: string, projections: readonly AnyProjection[]): Promise<Ledger> {
  const ledger = await openLedger({ url, jobs: [job], projections })
  cleanups.push(() => ledger.close())
  return ledger
}

async function file(): Promise<string> {
  const { path, remove } = await temporaryFolder()
  cleanups.push(remove)
  return `sqlite:${join(path, 'jobs.db')}`
}

async function enqueue(ledger: Ledger, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await ledger.enqueue(job, { n })
}

describe('rows', () => {
  test('come from the events asked for, one for all or one for each key, and may go', async () => {
    const ledger = await ledgerAt('memory:', [tally(), open])
    await enqueue(ledger, 3)
    expect(await ledger.projection('tally').get()).toEqual({ queued: 3, ended: 0 })
    expect((await ledger.projection(open).rows()).size).toBe(3)
    await ledger.start()
    const { result } = await ledger.enqueue(job, { n: 9 })
    await result()
    const done = (rows: ReadonlyMap<string, Tally>): boolean => rows.get('')?.ended === 4
    await firstValueFrom(ledger.projection<Tally>('tally').rows$.pipe(filter(done)))
    expect((await ledger.projection(open).rows()).size).toBe(0)
    expect(await ledger.projection('open').get('nobody')).toBeUndefined()
  })

  test('are there again after a restart, brought in once by two processes, and built anew when the version is raised', async () => {
    const url = await file()
    const [one, two] = [await ledgerAt(url, [tally()]), await ledgerAt(url, [tally()])]
    for (let round = 1; round <= 4; round += 1) {
      await Promise.all([enqueue(one, 2), enqueue(two, 1)])
      const rows = await Promise.all([one, two].map((ledger) => ledger.projection('tally').get()))
      expect(rows).toEqual([0, 0].map(() => ({ queued: 3 * round, ended: 0 })))
    }
    await one.close()
    await two.close()
    const again = await ledgerAt(url, [tally()])
    await enqueue(again, 1)
    expect(await again.projection('tally').get()).toEqual({ queued: 13, ended: 0 })
    await again.close()
    const raised = await ledgerAt(url, [tally(2)])
    expect(await raised.projection('tally').get()).toEqual({ queued: 26, ended: 0 })
    const old = await ledgerAt(url, [tally()])
    await expect(old.projection('tally').get()).rejects.toThrow(StoreUnusable)
  })

  test('are alive: each change comes once it is in the log', async () => {
    const ledger = await ledgerAt('memory:', [tally()])
    const seen: number[] = []
    const changed = ledger.projection<Tally>('tally').rows$.pipe(filter((rows) => (rows.get('')?.queued ?? 0) === 2))
    const two = firstValueFrom(changed)
    const every = ledger.projection<Tally>('tally').rows$.subscribe((rows) => seen.push(rows.get('')?.queued ?? 0))
    await enqueue(ledger, 2)
    expect((await two).get('')).toEqual({ queued: 2, ended: 0 })
    await ledger.close()
    expect(every.closed).toBe(true)
    expect(seen).toEqual([...seen].sort())
  })
})

describe('one that throws', () => {
  const fragile = (version: number): AnyProjection =>
    defineProjection<number>({
      name: 'fragile',
      version,
      init: () => 0,
      on: {
        Queued: (row) => {
          if (row === 2 && version === 1) throw new RangeError('two is enough')
          return row + 1
        },
      },
    })

  test('stands still at that event, says so, and the others go on; a raised version begins anew', async () => {
    const url = await file()
    const ledger = await ledgerAt(url, [fragile(1), tally()])
    await enqueue(ledger, 4)
    for (const at of [ledger, ledger]) {
      expect(await at.projection('fragile').get()).toBe(2)
      expect(await at.projection('fragile').status()).toMatchObject({
        state: 'failed',
        failure: { type: 'Queued', revision: 0, error: 'RangeError: two is enough' },
      })
    }
    expect(await ledger.projection('tally').get()).toEqual({ queued: 4, ended: 0 })
    expect(await ledger.projection('tally').status()).toMatchObject({ state: 'running', version: 1 })
    await ledger.close()
    const kept = await ledgerAt(url, [fragile(1)])
    expect(await kept.projection('fragile').status()).toMatchObject({ state: 'failed' })
    await kept.close()
    const mended = await ledgerAt(url, [fragile(2)])
    expect(await mended.projection('fragile').get()).toBe(4)
  })

  test('at its first event has no rows', async () => {
    const ledger = await ledgerAt('memory:', [
      defineProjection<unknown>({ name: 'never', version: 1, init: () => undefined, on: { Queued: () => undefined } }),
      defineProjection({
        name: 'keyless',
        version: 1,
        key: () => null as never,
        init: () => 0,
        on: { Queued: () => 1 },
      }),
      defineProjection<unknown>({ name: 'late', version: 1, init: () => 0, on: { Queued: async () => 1 } }),
    ])
    await enqueue(ledger, 1)
    for (const name of ['never', 'keyless', 'late']) {
      expect(await ledger.projection(name).rows()).toEqual(new Map())
      expect(await ledger.projection(name).status()).toMatchObject({ state: 'failed', position: '' })
    }
  })
})

const GOOD = { name: 'a', version: 1, init: () => 0, on: { Queued: () => 1 } }
test.each([
  ['name', { name: 'a b' }],
  ['version', { version: 0 }],
  ['init', { init: 0 }],
  ['on', { on: {} }],
  ['on.Queued', { on: { Queued: 1 } }],
  ['key', { key: 'id' }],
  ['keys', { keys: 1 }],
])('defineProjection refuses a wrong %s', (option, wrong) => {
  const options = { ...GOOD, ...wrong } as never
  expect(() => defineProjection(options)).toThrow(`defineProjection.${option}`)
})

test('a name that is not known, or twice there, is refused', async () => {
  const ledger = await ledgerAt('memory:', [tally()])
  expect(() => ledger.projection('other')).toThrow('tally')
  await expect(openLedger({ url: 'memory:', projections: [tally(), tally()] })).rejects.toThrow('projections[1]')
})
