/** Two processes on one file that want the same things at the same moment. Real time. */
import { rm } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { openLedger } from '../../adapters/open-ledger.js'
import { openSqliteStore } from '../../adapters/sqlite/event-store.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { Queued } from '../../domain/job/events.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { QueueCounts } from '../../runtime/read/queries.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { Rival } from './rivals.js'
import { Arena } from './rivals.js'

/** So that a test that hangs ends; nothing is measured by it. */
const GUARD = { timeout: 300_000 }

const ENQUEUE_UNIQUE = `
  const note = defineJob({ type: 'note', handle: (text) => text })
  const jobs = [note]
  const deeds = {
    start: () => ledger.start({ concurrency: 20 }),
    /** Every key so many times, in waves of many at once; or until so many jobs were made. */
    async claim({ keys, rounds, created, onDuplicate }) {
      const all = []
      const isDone = (round) =>
        created === undefined ? round === rounds : all.filter(({ outcome }) => outcome === 'created').length >= created
      for (let round = 0; !isDone(round); round += 1) {
        const wave = keys.map(async (key) => {
          const text = process.pid + ' ' + round
          const { id, outcome } = await ledger.enqueue(note, text, { unique: { key, onDuplicate } })
          return { key, id, outcome, text }
        })
        all.push(...(await Promise.all(wave)))
      }
      return all
    },
  }
`

interface Claim {
  readonly key: string
  readonly id: string
  readonly outcome: 'created' | 'duplicate' | 'replaced'
  readonly text: string
}

const KEYS = Array.from({ length: 60 }, (_, n) => `key ${n}`)

async function wholeLog({ path }: Arena): Promise<RecordedEvent[]> {
  const store = await openSqliteStore(path, { durability: 'normal' })
  const events: RecordedEvent[] = []
  for await (const page of store.readAll()) events.push(...page)
  await store.close()
  return events
}

/** Claims of each stream, in order. */
function claimsIn(log: readonly RecordedEvent[]): RecordedEvent[][] {
  const streams = new Map<string, RecordedEvent[]>()
  for (const event of log) {
    if (event.type === 'Claimed') streams.set(event.stream, [...(streams.get(event.stream) ?? []), event])
  }
  return [...streams.values()]
}

const holderOf = ({ data }: RecordedEvent): string => (data as { jobId: string }).jobId

describe('two processes that enqueue the same unique keys', () => {
  it('make exactly one job and one claim of each', GUARD, async () => {
    await using arena = await Arena.create(ENQUEUE_UNIQUE)
    const rivals = await Promise.all([arena.rival(), arena.rival()])
    const asked = { keys: KEYS, rounds: 5 }
    const claims = (await Promise.all(rivals.map((rival) => rival.ask<Claim[]>('claim', asked)))).flat()
    expect(claims).toHaveLength(KEYS.length * 5 * 2)
    for (const key of KEYS) {
      const own = claims.filter((claim) => claim.key === key)
      expect(own.filter(({ outcome }) => outcome === 'created')).toHaveLength(1)
      expect(own.filter(({ outcome }) => outcome === 'duplicate')).toHaveLength(9)
      expect(new Set(own.map(({ id }) => id)).size).toBe(1)
    }
    const log = await wholeLog(arena)
    expect(claimsIn(log).map((each) => each.length)).toEqual(KEYS.map(() => 1))
    expect(log.filter(({ type }) => type === 'Queued')).toHaveLength(KEYS.length)
  })

  it('make the next job of a key only when the one before has ended, while a third runs them', GUARD, async () => {
    await using arena = await Arena.create(ENQUEUE_UNIQUE)
    const [runner, ...rivals] = await Promise.all([arena.rival(), arena.rival(), arena.rival()])
    await runner?.ask('start')
    const asked = { keys: KEYS.slice(0, 10), created: 40 }
    const claims = (await Promise.all(rivals.map((rival) => rival.ask<Claim[]>('claim', asked)))).flat()
    const created = claims.filter(({ outcome }) => outcome === 'created')
    expect(created.length).toBeGreaterThanOrEqual(80)
    expect(new Set(created.map(({ id }) => id)).size).toBe(created.length)
    const log = await wholeLog(arena)
    const ends = new Map(
      log.filter(({ type }) => type === 'Finished').map(({ stream, position }) => [stream, position]),
    )
    const streams = claimsIn(log)
    expect(streams.flat().map(holderOf).sort()).toEqual(created.map(({ id }) => id).sort())
    for (const [n, claim] of streams
      .flatMap((each) => each.slice(1).map((next, i) => [each[i], next] as const))
      .entries()) {
      const [before, next] = claim as [RecordedEvent, RecordedEvent]
      const end = ends.get(`job-${holderOf(before)}`)
      expect([n, end !== undefined && end < next.position]).toEqual([n, true])
    }
  })

  it('never make two waiting jobs of a key with `replace`, and the last to come has the last word', GUARD, async () => {
    await using arena = await Arena.create(ENQUEUE_UNIQUE)
    const rivals = await Promise.all([arena.rival(), arena.rival()])
    const asked = { keys: KEYS, rounds: 5, onDuplicate: 'replace' }
    const claims = (await Promise.all(rivals.map((rival) => rival.ask<Claim[]>('claim', asked)))).flat()
    await using ledger = await openLedger({ url: arena.url })
    for (const key of KEYS) {
      const own = claims.filter((claim) => claim.key === key)
      expect(own.map(({ outcome }) => outcome).sort()).toEqual(['created', ...Array(9).fill('replaced')])
      const [id] = new Set(own.map((claim) => claim.id))
      const history = await ledger.history(id as string)
      expect(history.map(({ type }) => type)).toEqual(['Queued', ...Array(9).fill('Rescheduled')])
      expect(history.map(({ body }) => body).sort()).toEqual(own.map(({ text }) => text).sort())
      expect((await ledger.status(id as string)).payload).toBe(history.at(-1)?.body)
    }
    expect((await ledger.list({ limit: 1_000 })).jobs).toHaveLength(KEYS.length)
  })
})

const FAMILIES = `
  const job = defineJob({ type: 'family', handle: (n) => n })
  const jobs = [job]
  const deeds = {
    start: () => ledger.start({ concurrency: 20 }),
    async parents({ count, sameMoment }) {
      const one = async (n) => {
        const { id } = await ledger.enqueue(job, n, { id: 'parent ' + n })
        say({ parent: id, n })
      }
      if (sameMoment) await Promise.all(Array.from({ length: count }, (_, n) => one(n)))
      else for (let n = 0; n < count; n += 1) await one(n)
    },
    async child({ parent, n }) {
      const { outcome } = await ledger.enqueue(job, n, { id: 'child ' + n, dependsOn: [parent] })
      return outcome
    },
  }
`

describe('two processes, one of which enqueues what the other’s jobs depend on', () => {
  it.each([
    ['one after the other', false],
    ['all at once', true],
  ])('refuse none of the dependents, parents enqueued %s', GUARD, async (_, sameMoment) => {
    await using arena = await Arena.create(FAMILIES)
    const [elder, younger] = await Promise.all([arena.rival(), arena.rival()])
    const count = 150
    const children: Promise<unknown>[] = []
    elder.onHeard((heard) => {
      if (typeof heard === 'object') children.push(younger.ask('child', heard).catch((error) => error))
    })
    await elder.ask('parents', { count, sameMoment })
    await elder.ask('start')
    expect(await Promise.all(children)).toEqual(Array(count).fill('created'))
    await using ledger = await openLedger({ url: arena.url })
    for (let n = 0; n < count; n += 1) expect(await ledger.result(`child ${n}`)).toBe(n)
  })
})

const RETENTION = `
  const base = defineJob({ type: 'base', handle: (n) => n })
  const dependent = defineJob({ type: 'dependent', handle: (_, ctx) => ctx.dependencies() })
  const jobs = [base, dependent]
  let cleaning = true
  const deeds = {
    start: () => ledger.start({ concurrency: 10 }),
    /** Takes all that has ended, again and again. */
    async clean() {
      let removed = 0
      let kept = 0
      while (cleaning) {
        await new Promise((resolve) => setImmediate(resolve))
        const report = await ledger.retention.run({ rules: [{ maxCount: 0 }] })
        removed += report.removed
        kept += report.kept
      }
      return { removed, kept }
    },
    stop() {
      cleaning = false
    },
    /** Bases, and dependents of those that were enqueued a moment ago: waiting, running, ended or removed by now. */
    async enqueue({ count }) {
      const refused = []
      for (let n = 0; n < count; n += 1) {
        await ledger.enqueue(base, n, { id: 'base ' + n })
        const back = [n, n - 1, n - 3, n - 7, n - 20].filter((other) => other >= 0)
        const wave = back.map(async (other, index) => {
          const options = { id: 'dependent ' + n + ' ' + index, dependsOn: ['base ' + other], held: index % 2 === 0 }
          await ledger.enqueue(dependent, null, options).catch((error) => refused.push(options.id + ': ' + error.message))
        })
        await Promise.all(wave)
      }
      return refused
    },
    stats: () => ledger.queues.stats(),
  }
`

const base = defineJob({ type: 'base', handle: (n: number) => n })
const dependent = defineJob({ type: 'dependent', handle: (_: null, ctx) => ctx.dependencies() })

async function allJobs(ledger: Ledger): Promise<string[]> {
  const ids: string[] = []
  let cursor: string | undefined
  do {
    const page = await ledger.list({ limit: 1_000, ...(cursor !== undefined && { cursor }) })
    ids.push(...page.jobs.map(({ id }) => id))
    cursor = page.cursor
  } while (cursor !== undefined)
  return ids
}

/** Totals once everything that can run has. */
async function quiet(rival: Rival): Promise<Record<string, QueueCounts>> {
  for (;;) {
    const stats = await rival.ask<Record<string, QueueCounts>>('stats')
    const { ready = 0, running = 0, blocked = 0 } = stats.default ?? {}
    if (ready + running + blocked === 0) return stats
  }
}

describe('retention in one process, dependents enqueued in another', () => {
  it('leaves every dependent what it needs: its dependency, or how that had ended', GUARD, async () => {
    await using arena = await Arena.create(RETENTION)
    const [cleaner, enqueuer] = await Promise.all([arena.rival(), arena.rival()])
    await cleaner.ask('start')
    const cleaning = cleaner.ask<{ removed: number; kept: number }>('clean')
    const count = 150
    expect(await enqueuer.ask('enqueue', { count })).toEqual([])
    await cleaner.ask('stop')
    const { removed, kept } = await cleaning
    expect(removed).toBeGreaterThan(0)
    expect(kept).toBeGreaterThan(0)

    const log = await wholeLog(arena)
    const streams = new Set(log.map(({ stream }) => stream))
    const dependents = log.filter(({ type, stream }) => type === 'Queued' && stream.startsWith('job-dependent'))
    const edges = dependents.flatMap(({ data }) => (data as Queued).dependsOn ?? [])
    expect(edges.length).toBeGreaterThan(count)
    const lost = edges.filter(({ id, now }) => !streams.has(`job-${id}`) && now !== 'met')
    expect(lost).toEqual([])

    // Those who have followed the log, each in its own way, and who reads it anew, count the same.
    const stats = await quiet(cleaner)
    expect(await quiet(enqueuer)).toEqual(stats)
    await cleaner.kill()
    await enqueuer.kill()
    for (const suffix of ['', '-wal', '-shm']) await rm(`${arena.path}-views${suffix}`, { force: true })
    await using ledger = await openLedger({ url: arena.url, jobs: [base, dependent] })
    expect(await ledger.queues.stats()).toEqual(stats)

    await ledger.start({ concurrency: 20 })
    const held = (await allJobs(ledger)).filter((id) => /^dependent \d+ [024]$/.test(id))
    for (const id of held) {
      if ((await ledger.status(id)).state === 'held') await ledger.promote(id)
      const [dependency] = (await ledger.result(id)) as { outcome: string }[]
      expect([id, dependency?.outcome]).toEqual([id, 'succeeded'])
    }
    expect(held.length).toBeGreaterThan(count)
    expect((await ledger.queues.stats()).default).toMatchObject({
      ...{ blocked: 0, held: 0, failed: 0, cancelled: 0 },
    })
  })
})

describe('several processes that come to a file that is not there yet', () => {
  it.each([1, 2, 3, 4])('all open the log that one of them creates (%i)', GUARD, async () => {
    await using arena = await Arena.create('const deeds = { hello: () => ledger.queues.stats() }')
    const rivals = await Promise.all(Array.from({ length: 6 }, () => arena.rival()))
    expect(await Promise.all(rivals.map((rival) => rival.ask('hello')))).toEqual(rivals.map(() => ({})))
  })
})
