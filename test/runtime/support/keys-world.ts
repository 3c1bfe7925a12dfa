/** Runtimes on one log whose jobs share a few keys: leased, ended, given back and lost, all at once, each with its own delay. */
import { MemoryEventStore } from '../../../adapters/memory/event-store.js'
import { JobledgerError } from '../../../domain/errors.js'
import type { RecordedEvent } from '../../../domain/event.js'
import type { KeyLimit } from '../../../domain/job/events.js'
import type { JobState } from '../../../domain/job/evolve.js'
import type { Clock } from '../../../runtime/ports/clock.js'
import { silentLogger } from '../../../runtime/ports/logger.js'
import { Feed } from '../../../runtime/read/feed.js'
import { KeyRoom } from '../../../runtime/work/key-room.js'
import type { Command } from '../../../runtime/write/command.js'
import * as commands from '../../../runtime/write/commands.js'
import { enqueue } from '../../../runtime/write/enqueue-command.js'
import { OrderedAppends } from '../../../runtime/write/in-order/ordered-appends.js'
import { Journal } from '../../../runtime/write/journal.js'
import { facts } from '../../domain/support/jobs.js'
import { CountedIds } from './counted-ids.js'
import type { Weather } from './faulty-store.js'
import { FaultyStore } from './faulty-store.js'
import { HastyClock, turns, within } from './hasty-clock.js'

export interface Act {
  readonly runtime: number
  readonly verb: 'lease' | 'finish' | 'release' | 'lose' | 'fail' | 'cancel' | 'retry'
  /** Which job. */
  readonly job: number
  /** Turns of the event loop before the next one: 0 is the same tick. */
  readonly pause: number
}

/** What a runtime has to live with. */
export interface Climate {
  readonly lags: readonly number[]
  readonly appends: readonly Weather[]
}

export interface Day {
  readonly log: readonly RecordedEvent[]
  /** Codes of all refusals. */
  readonly refusals: readonly string[]
  /** Leases told to be had. */
  readonly leased: number
  /** What had no room when all was over. */
  readonly stuck: readonly string[]
}

const PATIENCE = 50_000

/** `jobs`: the key of each, none for some. */
export async function spend(
  jobs: readonly (KeyLimit | undefined)[],
  acts: readonly Act[],
  climates: readonly Climate[],
  atomicGroups = true,
): Promise<Day> {
  const store = new MemoryEventStore({ atomicGroups })
  const clock = new HastyClock()
  const stop = new AbortController()
  const runtimes = climates.map((climate, index) => new Runtime(store, clock, climate, `runtime${index}`))
  const calm = new Runtime(store, clock, { lags: [], appends: [] }, 'calm')
  const feeds = [calm, ...runtimes].map(({ feed }) => feed.run(stop.signal))
  await calm.enqueueAll(jobs)
  const refusals: string[] = []
  let leased = 0
  const asked: Promise<void>[] = []
  for (const act of acts) {
    const doing = (runtimes[act.runtime % runtimes.length] as Runtime).do(act.verb, `j${act.job % jobs.length}`)
    asked.push(
      doing.then(
        () => {
          if (act.verb === 'lease') leased += 1
        },
        (error: unknown) => {
          if (!(error instanceof JobledgerError)) throw error
          refusals.push(error.code)
        },
      ),
    )
    await turns(act.pause)
  }
  await within(PATIENCE, 'the answers', Promise.all(asked))
  await within(PATIENCE, 'the end', calm.endAll())
  const stuck: string[] = []
  for (const runtime of [calm, ...runtimes]) stuck.push(...(await within(PATIENCE, 'the feed', runtime.stuck())))
  // Each on its own: as many as may run do.
  const left = await within(PATIENCE, 'the last leases', calm.leaseAll())
  if (left.some((name) => name !== 'KeyAtLimit')) stuck.push(...left)
  stop.abort()
  await within(PATIENCE, 'the feeds', Promise.all(feeds))
  const log: RecordedEvent[] = []
  for await (const page of store.readAll()) log.push(...page)
  return { log, refusals, leased, stuck }
}

class Runtime {
  readonly feed: Feed
  readonly #journal: Journal
  readonly #room: KeyRoom
  readonly #ordered: OrderedAppends
  readonly #ids: CountedIds
  readonly #inner: MemoryEventStore

  constructor(inner: MemoryEventStore, clock: Clock, { lags, appends }: Climate, name: string) {
    const store = new FaultyStore(inner, { lags, appends })
    this.#inner = inner
    this.#ids = new CountedIds(name)
    this.feed = new Feed({ store, clock, logger: silentLogger })
    this.#ordered = new OrderedAppends({ store, known: this.feed, clock, ids: this.#ids })
    const appending = inner.capabilities.atomicGroups ? store : this.#ordered
    this.#journal = new Journal({ store: appending, memory: this.feed, clock, ids: this.#ids })
    this.#room = new KeyRoom(this.feed, this.#journal)
  }

  async enqueueAll(keys: readonly (KeyLimit | undefined)[]): Promise<void> {
    const jobs = keys.map((concurrency, index) => ({
      id: `j${index}`,
      facts: facts(concurrency === undefined ? {} : { concurrency }),
      payload: undefined,
    }))
    await this.#journal.submit(enqueue(jobs))
  }

  async do(verb: Act['verb'], id: string): Promise<void> {
    const job = this.feed.board.get(id)
    if (verb === 'lease') return this.#lease(id, job)
    const token = job?.lease?.token ?? 'nobody'
    await this.#journal.submit(this.#command(verb, id, token))
  }

  async #lease(id: string, job: JobState | undefined): Promise<void> {
    const command = { token: this.#ids.uuid(), workerId: 'w', leaseMs: 1_000 }
    if (job === undefined) return this.#journal.submit(commands.lease(id, command))
    return this.#room.lease(job, command.token, (claim) => commands.lease(id, command, claim))
  }

  #command(verb: Exclude<Act['verb'], 'lease'>, id: string, token: string): Command<unknown> {
    switch (verb) {
      case 'finish':
        return commands.finish(id, token, { result: undefined })
      case 'release':
        return commands.release(id, token)
      case 'lose':
        return commands.loseLease(id, token, 'silent')
      case 'fail':
        return commands.fail(id, token, { cause: 'error', error: 'E', details: '{}', retryable: true, nextRunAt: 0 })
      case 'cancel':
        return commands.cancel(id, { by: 'operator' }, false)
      case 'retry':
        return commands.retry(id, { holders: new Map(), removed: new Map(), dependencies: [], unique: undefined })
    }
  }

  /** Ends every run. */
  async endAll(): Promise<void> {
    await this.#completeAll()
    for (const [token, { id }] of [...this.feed.board.leased]) await this.#journal.submit(commands.release(id, token))
  }

  /** What was left half done, and places taken for a run that another change has forestalled. */
  async #completeAll(): Promise<void> {
    await this.#caughtUp()
    for (const group of [...this.feed.groups.open]) {
      await this.#ordered.complete(group)
      this.feed.groups.close(group)
    }
    await this.#caughtUp()
  }

  async #caughtUp(): Promise<void> {
    await this.feed.reached(await this.#inner.head())
    await turns(1)
  }

  /** Lets one job of each key try: whatever was refused before, there must be room now. */
  async stuck(): Promise<string[]> {
    await this.#completeAll()
    const stuck: string[] = []
    const keys = new Set<string>()
    for (const job of [...this.feed.board.jobs]) {
      const key = job.rare?.concurrency?.key
      if (key === undefined || keys.has(key)) continue
      keys.add(key)
      if (!this.#room.hasRoom(job)) stuck.push(`${key} has no room`)
    }
    return stuck
  }

  async leaseAll(): Promise<string[]> {
    const tried = [...this.feed.board.jobs].map((job) => this.#lease(job.id, job).catch((error: Error) => error.name))
    return (await Promise.all(tried)).filter((error) => error !== undefined)
  }
}
