/** Several runtimes on one log, time standing still unless it is told to pass: who takes which job, and how often in vain. */
import { describe, expect, test } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import { nodeHost } from '../../adapters/node/host.js'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { Leased } from '../../domain/job/events.js'
import type { ProcessIdentity } from '../../domain/worker/events.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { EventStore } from '../../runtime/ports/event-store.js'
import type { JobContext } from '../../runtime/work/run/context.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { keptOpen, ledgerOn } from './support.js'

/** Enough work for a moment: what is at once done would be done before anybody else has looked. */
const work = (clock: VirtualClock) =>
  defineJob({
    type: 'work',
    handle: (_: number, ctx: JobContext) =>
      new Promise((done) => void clock.at(clock.now() + 20, () => done(ctx.workerId))),
  })

class Group {
  readonly clock = new VirtualClock()
  readonly job = work(this.clock)
  readonly ledgers: Ledger[] = []
  conflicts = 0
  readonly #store = keptOpen(new MemoryEventStore())

  async open(): Promise<Ledger> {
    const ledger = await ledgerOn(this.#counting(), new MemoryViews(), this.clock, { jobs: [this.job] })
    this.ledgers.push(ledger)
    return ledger
  }

  #counting(): EventStore {
    return new Proxy(this.#store, {
      get: (store, key) => {
        const value: unknown = Reflect.get(store, key)
        if (key !== 'append') return typeof value === 'function' ? value.bind(store) : value
        return async (...given: Parameters<EventStore['append']>) => {
          const outcomes = await store.append(...given)
          this.conflicts += outcomes.filter(({ kind }) => kind === 'conflict').length
          return outcomes
        }
      },
    })
  }

  /** A worker that is counted on and takes nothing. */
  async appearButDoNothing(runtime: string, process?: ProcessIdentity): Promise<void> {
    const data = { types: ['work'], concurrency: 100, runtime, ...(process && { process }) }
    const stream = `worker-${runtime}`
    const event = { stream, id: crypto.randomUUID(), type: 'WorkerRegistered', at: this.clock.now(), data }
    await this.#store.append([{ expect: new Map([[stream, 'none' as const]]), events: [event] }])
    await this.clock.settle()
  }

  async events(type: string): Promise<RecordedEvent[]> {
    const events: RecordedEvent[] = []
    for await (const page of this.#store.readAll({ types: [type] })) events.push(...page)
    return events
  }

  async passUntilFinished(count: number): Promise<void> {
    while ((await this.events('Finished')).length < count) await this.clock.advance('10ms')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.ledgers.map((ledger) => ledger.close({ drain: 0, timeout: 0 })))
  }
}

describe('three runtimes with a backlog', () => {
  test('share it without getting into each other’s way, and every job runs once', async () => {
    await using group = new Group()
    const [first, ...others] = [await group.open(), await group.open(), await group.open()] as [Ledger, ...Ledger[]]
    await first.enqueueMany(Array.from({ length: 600 }, (_, n) => ({ job: group.job, payload: n })))
    for (const ledger of [first, ...others]) await ledger.start({ concurrency: 5 })
    await group.passUntilFinished(600)
    const leases = await group.events('Leased')
    expect(leases).toHaveLength(600)
    const shares = new Map<string, number>()
    for (const { data } of leases) {
      const { workerId } = data as Leased
      shares.set(workerId, (shares.get(workerId) ?? 0) + 1)
    }
    expect(shares.size).toBe(3)
    for (const share of shares.values()) expect(share).toBeGreaterThan(120)
    expect(group.conflicts).toBeLessThan(60)
  })
})

describe('a runtime that shares a log', () => {
  test('takes what it enqueues itself at once, whoever it would be to claim', async () => {
    await using group = new Group()
    const [first, second] = [await group.open(), await group.open()]
    for (const ledger of [first, second]) await ledger.start({ concurrency: 40 })
    const jobs = await Promise.all(Array.from({ length: 20 }, (_, n) => first.enqueue(group.job, n)))
    expect(await group.events('Leased')).toHaveLength(20)
    await group.passUntilFinished(20)
    const by = await Promise.all(jobs.map((job) => job.result()))
    expect(new Set(by).size).toBe(1)
  })

  test('waits one step for what another one is to claim; for one that gives no sign of life it waits no more', async () => {
    await using group = new Group()
    const ledger = await group.open()
    await ledger.start({ concurrency: 100 })
    await group.appearButDoNothing('ghost')
    const enqueuer = await group.open()
    const enqueue = () => enqueuer.enqueueMany(Array.from({ length: 40 }, (_, n) => ({ job: group.job, payload: n })))
    const begun = group.clock.now()
    await enqueue()
    await group.passUntilFinished(40)
    const waits = new Set((await group.events('Leased')).map(({ at }) => at - begun))
    expect([...waits].sort()).toEqual([0, 50])

    await group.clock.advance('41s')
    const later = group.clock.now()
    await enqueue()
    await group.passUntilFinished(80)
    const leases = (await group.events('Leased')).slice(40)
    expect(new Set(leases.map(({ at }) => at - later))).toEqual(new Set([0]))
  })

  test('does not wait for one whose process is gone, also before it is off the list', async () => {
    await using group = new Group()
    const ledger = await group.open()
    await ledger.start({ concurrency: 100 })
    // Its own reaper has been round when it opens.
    const enqueuer = await group.open()
    await group.appearButDoNothing('ghost', { ...nodeHost.identity(), pid: 4_194_303, startTime: '1' })
    const begun = group.clock.now()
    const jobs = Array.from({ length: 40 }, (_, n) => ({ job: group.job, payload: n }))
    await enqueuer.enqueueMany(jobs)
    await group.passUntilFinished(40)
    expect(new Set((await group.events('Leased')).map(({ at }) => at - begun))).toEqual(new Set([0]))
  })
})
