/** Limits that several processes on one file have to keep together, judged by the log alone. Real time. */
import { describe, expect, it } from 'vitest'
import { openLedger } from '../../adapters/open-ledger.js'
import { openSqliteStore } from '../../adapters/sqlite/event-store.js'
import type { Taken } from '../../domain/claim/events.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { JobEvent } from '../../domain/job/events.js'
import { isJobStream, jobIdOf } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import { Arena } from './rivals.js'

/** So that a test that hangs ends; nothing is measured by it. */
const GUARD = { timeout: 300_000 }

const PROGRAM = `
  const work = defineJob({
    type: 'work',
    concurrencyKey: ({ tenant }) => tenant,
    concurrencyLimit: 2,
    async handle({ ms }) {
      say('ran')
      await new Promise((resolve) => setTimeout(resolve, ms))
    },
  })
  const mail = defineJob({ type: 'mail', rateLimit: { limit: 100, per: '520w' } })
  const jobs = [work, mail]
  const deeds = {
    start: (concurrency) => ledger.start({ concurrency }),
    async enqueue(payloads) {
      const made = await ledger.enqueueMany(payloads.map((payload) => ({ job: work, payload })))
      return made.map(({ id }) => id)
    },
    async mails(count) {
      const tried = Array.from({ length: count }, () => ledger.enqueue(mail, null))
      const settled = await Promise.allSettled(tried)
      return settled.map((each) => (each.status === 'fulfilled' ? 'created' : each.reason.reason))
    },
  }
`

async function wholeLog({ path }: Arena): Promise<RecordedEvent[]> {
  const store = await openSqliteStore(path, { durability: 'normal' })
  const events: RecordedEvent[] = []
  for await (const page of store.readAll()) events.push(...page)
  await store.close()
  return events
}

interface Reading {
  /** The most runs of each key that were going on at once. */
  readonly most: ReadonlyMap<string, number>
  /** Leases of a key whose token its claim stream does not name. */
  readonly unclaimed: readonly string[]
}

function readKeys(log: readonly RecordedEvent[]): Reading {
  const jobs = new Map<string, JobState>()
  const most = new Map<string, number>()
  const running = new Map<string, Set<string>>()
  const claimed = new Set<string>()
  for (const event of log) {
    if (event.type === 'Taken') {
      for (const token of (event.data as Taken).holders) claimed.add(token)
    }
    if (!isJobStream(event.stream)) continue
    const id = jobIdOf(event.stream)
    const job = evolve(jobs.get(id), event as RecordedEvent & JobEvent)
    jobs.set(id, job)
    const key = job.rare?.concurrency?.key
    if (key === undefined) continue
    const ids = running.get(key) ?? new Set()
    running.set(key, ids)
    if (job.lease === undefined) ids.delete(id)
    else ids.add(id)
    most.set(key, Math.max(most.get(key) ?? 0, ids.size))
  }
  const leases = log.filter(({ type }) => type === 'Leased').map(({ data }) => (data as { token: string }).token)
  return { most, unclaimed: leases.filter((token) => !claimed.has(token)) }
}

const TENANTS = ['a', 'b', 'c', 'd', 'e']

describe('three processes and five keys of two runs each', () => {
  it('never run more than two of a key, whoever dies, and all jobs end', GUARD, async () => {
    await using arena = await Arena.create(PROGRAM)
    const rivals = await Promise.all([arena.rival(), arena.rival(), arena.rival()])
    const payloads = Array.from({ length: 400 }, (_, n) => ({ tenant: TENANTS[n % 5], ms: 1 + (n % 7) }))
    const ids = await rivals[0]?.ask<string[]>('enqueue', payloads)
    let ran = 0
    const halfway = new Promise<void>((resolve) => {
      for (const rival of rivals) {
        rival.onHeard(() => {
          ran += 1
          if (ran === 150) resolve()
        })
      }
    })
    for (const rival of rivals) await rival.ask('start', 8)
    await halfway
    await rivals[2]?.kill()
    await using ledger = await openLedger({ url: arena.url })
    for (const id of ids ?? []) await ledger.result(id)
    const { most, unclaimed } = readKeys(await wholeLog(arena))
    expect(Object.fromEntries(most)).toEqual(Object.fromEntries(TENANTS.map((tenant) => [tenant, 2])))
    expect(unclaimed).toEqual([])
  })

  it('let the single job of one tenant pass a thousand of another', GUARD, async () => {
    await using arena = await Arena.create(PROGRAM)
    const rivals = await Promise.all([arena.rival(), arena.rival(), arena.rival()])
    await rivals[0]?.ask(
      'enqueue',
      Array.from({ length: 1_000 }, () => ({ tenant: 'big', ms: 5 })),
    )
    const begun = Promise.race(rivals.map((rival) => rival.heard('ran')))
    for (const rival of rivals) await rival.ask('start', 4)
    await begun
    const [id] = (await rivals[1]?.ask<string[]>('enqueue', [{ tenant: 'small', ms: 1 }])) ?? []
    await using ledger = await openLedger({ url: arena.url })
    await ledger.result(id as string)
    const log = await wholeLog(arena)
    const at = (type: string): number => log.findIndex((event) => event.stream === `job-${id}` && event.type === type)
    const between = log.slice(at('Queued'), at('Leased')).filter(({ type }) => type === 'Leased')
    expect(between.length).toBeLessThanOrEqual(20)
    expect(readKeys(log).most.get('big')).toBe(2)
  })
})

describe('three processes that enqueue jobs of a limited type', () => {
  it('are let in as many as may, and only the first refusal says reached', GUARD, async () => {
    await using arena = await Arena.create(PROGRAM)
    const rivals = await Promise.all([arena.rival(), arena.rival(), arena.rival()])
    const told = (await Promise.all(rivals.map((rival) => rival.ask<string[]>('mails', 70)))).flat()
    const count = (wanted: string): number => told.filter((each) => each === wanted).length
    expect([count('created'), count('reached'), count('exceeded')]).toEqual([100, 1, 109])
    const log = await wholeLog(arena)
    expect(log.filter(({ type }) => type === 'Queued')).toHaveLength(100)
  })
})
