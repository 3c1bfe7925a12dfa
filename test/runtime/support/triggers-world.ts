/**
 * Runtimes on one log that all see to the same triggers, each by a clock of its own, behind bad weather; some stop dead between
 * a firing and its job.
 */

import { setMaxListeners } from 'node:events'
import { MemoryEventStore } from '../../../adapters/memory/event-store.js'
import { VirtualClock } from '../../../adapters/testing/virtual-clock.js'
import type { RecordedEvent } from '../../../domain/event.js'
import type { Definition } from '../../../domain/trigger/decide.js'
import type { TriggerFacts, TriggerFired } from '../../../domain/trigger/events.js'
import { StreamRemoved } from '../../../runtime/errors.js'
import type { Cancel, Clock } from '../../../runtime/ports/clock.js'
import type { AppendGroup, AppendOutcome, EventStore } from '../../../runtime/ports/event-store.js'
import { silentLogger } from '../../../runtime/ports/logger.js'
import { Feed } from '../../../runtime/read/feed.js'
import * as commands from '../../../runtime/trigger/commands.js'
import { Firer } from '../../../runtime/trigger/firer.js'
import { MissedCounts } from '../../../runtime/trigger/missed-counts.js'
import { Completer } from '../../../runtime/upkeep/completer.js'
import { Scheduler } from '../../../runtime/upkeep/scheduler.js'
import { enqueue } from '../../../runtime/write/enqueue-command.js'
import { Enqueuer } from '../../../runtime/write/enqueuer.js'
import { OrderedAppends } from '../../../runtime/write/in-order/ordered-appends.js'
import { Journal } from '../../../runtime/write/journal.js'
import { facts, NOW } from '../../domain/support/jobs.js'
import { CountedIds } from './counted-ids.js'
import type { Forecast } from './faulty-store.js'
import { FaultyStore } from './faulty-store.js'
import { turns, within } from './hasty-clock.js'

/** What a runtime has to live with. */
export interface Climate extends Forecast {
  /** By how much its clock is ahead (ms). */
  readonly skew: number
  /** After so many firings that it has appended it appends nothing any more; undefined: never. */
  readonly dies: number | undefined
}

/** One of the runtimes enqueues jobs, or updates every trigger; then time goes on. */
export interface Act {
  readonly runtime: number
  readonly type: 'tick' | 'tock' | 'update' | undefined
  /** How many of them at once. */
  readonly jobs: number
  readonly ms: number
}

export interface Day {
  readonly log: readonly RecordedEvent[]
  readonly skipped: number
  /** What is left to do about triggers, as each runtime that lives sees it. */
  readonly left: readonly string[]
  /** Runtimes that died. */
  readonly dead: number
  /** Streams of the jobs whose firings were the last that these have appended. */
  readonly halfDone: readonly string[]
}

const SECOND = 1_000
const on = (type: string): TriggerFacts['schedule'] => ({
  ...{ kind: 'event', when: `job/${type}:CREATED`, rules: [{ type: `job/${type}`, verbs: ['CREATED'] }] },
})
const every = (ms: number): TriggerFacts['schedule'] => ({ kind: 'every', when: `${ms}ms`, everyMs: ms })

/** By id. Who listens comes first: a clock that is ahead may make a job before the others are added. */
export const TRIGGERS: Readonly<Record<string, TriggerFacts>> = {
  watch: { schedule: on('tick'), type: 'seen' },
  gather: { schedule: on('tock'), type: 'beat', debounce: { ms: 3_000, combine: 'append' } },
  echo: { schedule: on('seen'), type: 'seen' },
  all: { schedule: every(2 * SECOND), type: 'tick', misfire: 'all' },
  coalesced: { schedule: every(SECOND), type: 'beat' },
  slow: { schedule: every(1_500), type: 'beat', debounce: { ms: 4_000, combine: 'first' } },
  once: { schedule: { kind: 'at', at: NOW + 3 * SECOND, lateMs: null }, type: 'tock' },
  onceLater: { schedule: { kind: 'in', at: NOW + 7 * SECOND, inMs: 7 * SECOND, lateMs: null }, type: 'beat' },
}

/** A clock that is ahead of another one by so much. */
class SkewedClock implements Clock {
  readonly #clock: Clock
  readonly #skew: number

  constructor(clock: Clock, skew: number) {
    this.#clock = clock
    this.#skew = skew
  }

  now(): number {
    return this.#clock.now() + this.#skew
  }

  at(instant: number, call: () => void): Cancel {
    return this.#clock.at(instant - this.#skew, call)
  }

  soon(call: () => void): void {
    this.#clock.soon(call)
  }
}

const isFiring = ({ events }: AppendGroup): boolean => events.some(({ type }) => type === 'TriggerFired')

/** Lets nothing pass once it has appended so many firings: whoever uses it is as good as dead. */
class MortalStore extends FaultyStore {
  #left: number
  readonly halfDone: string[] = []

  constructor(inner: EventStore, { dies, ...forecast }: Climate) {
    super(inner, forecast)
    this.#left = dies ?? Number.POSITIVE_INFINITY
  }

  get isDead(): boolean {
    return this.#left <= 0
  }

  override async append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    if (this.isDead) return new Promise(() => {})
    const outcomes = await super.append(groups)
    this.#left -= groups.filter(isFiring).length
    const rest = groups.flatMap(({ events }) => (events.at(-1)?.data as TriggerFired | undefined)?.rest ?? [])
    if (this.isDead) this.halfDone.push(...rest.map(({ stream }) => stream))
    return this.isDead ? new Promise(() => {}) : outcomes
  }
}

const PATIENCE = 100_000

/** `asleep`: nobody sees to anything in the first so many ms. */
export async function spend(
  acts: readonly Act[],
  climates: readonly Climate[],
  { atomicGroups, asleep }: { readonly atomicGroups: boolean; readonly asleep: number },
): Promise<Day> {
  const inner = new MemoryEventStore({ atomicGroups })
  const clock = new VirtualClock(NOW)
  const stop = new AbortController()
  setMaxListeners(0, stop.signal)
  const calm = new Runtime(inner, clock, { skew: 0, dies: undefined, appends: [], reads: [], lags: [] }, 'calm')
  const runtimes = climates.map((climate, index) => new Runtime(inner, clock, climate, `runtime${index}`))
  const running = [calm, ...runtimes].map(({ feed }) => feed.run(stop.signal))
  await calm.addAll(Object.entries(TRIGGERS))
  await clock.advance(asleep)
  running.push(...[calm, ...runtimes].map((runtime) => runtime.run(stop.signal)))
  for (const act of acts) {
    const runtime = runtimes[act.runtime % runtimes.length] as Runtime
    if (act.type === 'update') runtime.update()
    else if (act.type !== undefined) runtime.enqueue(act.type, act.jobs)
    await clock.advance(act.ms)
  }
  // What repeats ends, and what has been begun is brought to its end.
  await Promise.all([clock.advance(100), calm.removeAll(['all', 'coalesced', 'slow'])])
  await clock.advance(30 * SECOND)
  const left = [calm, ...runtimes.filter(({ store }) => !store.isDead)].flatMap((runtime) => runtime.left())
  stop.abort()
  await turns(50)
  await within(PATIENCE, 'the feeds', Promise.all(running))
  const log: RecordedEvent[] = []
  for await (const page of inner.readAll({ bodies: true })) log.push(...page)
  const skipped = runtimes.reduce((sum, { feed }) => sum + feed.skipped, calm.feed.skipped)
  const dead = runtimes.filter(({ store }) => store.isDead)
  return { log, skipped, left, dead: dead.length, halfDone: dead.flatMap(({ store }) => store.halfDone) }
}

class Runtime {
  readonly feed: Feed
  readonly store: MortalStore
  readonly #name: string
  readonly #journal: Journal
  readonly #scheduler: Scheduler
  readonly #completer: Completer
  #count = 0

  constructor(inner: EventStore, shared: Clock, climate: Climate, name: string) {
    const clock = new SkewedClock(shared, climate.skew)
    const store = new MortalStore(inner, climate)
    const ids = new CountedIds(name)
    this.#name = name
    this.store = store
    this.feed = new Feed({ store, clock, logger: silentLogger })
    const { feed } = this
    const appends = new OrderedAppends({ store, known: feed, clock, ids })
    const { atomicGroups } = store.capabilities
    this.#journal = new Journal({ store: atomicGroups ? store : appends, memory: feed, clock, ids })
    const departures = { left: () => [], complete: async () => {} }
    this.#completer = new Completer({ feed, appends, departures, clock, log: silentLogger })
    const journal = this.#journal
    const own = { maxBodyBytes: 100_000, definitions: new Map(), log: silentLogger }
    const enqueuer = new Enqueuer({
      ...{ journal, clock, ids, ...own, codeVersion: undefined, queues: new Map(), overrides: new Map() },
      ...{
        strict: false,
        conceal: false,
        removed: async () => new Map(),
        burnt: async (stream: string) => new StreamRemoved(stream),
        onSubmitted: () => {},
      },
    })
    const firer = new Firer({ store, journal, feed, enqueuer, missed: new MissedCounts(clock), ...own })
    this.#scheduler = new Scheduler({ feed, clock, ...own, firer, runtime: name })
  }

  async run(signal: AbortSignal): Promise<void> {
    try {
      await Promise.all([this.#scheduler.run(signal), this.#completer.run(signal)])
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  async addAll(triggers: readonly (readonly [string, TriggerFacts])[]): Promise<void> {
    for (const [id, each] of triggers) {
      const definition: Definition = { facts: each, payload: `"${id}"` }
      await this.#journal.submit(commands.add(id, definition, { payloadAt: undefined, same: false }))
    }
  }

  /** Whoever is dead never answers. */
  enqueue(type: string, count: number): void {
    for (let job = 0; job < count; job += 1) {
      const id = `${this.#name}-job${++this.#count}`
      this.#journal.submit(enqueue([{ id, facts: facts({ type }), payload: undefined }])).catch(() => {})
    }
  }

  /** Gives each trigger another payload; who has begun to fire it has to begin again. */
  update(): void {
    for (const [id, state] of this.feed.triggers.triggers) {
      const definition = { facts: TRIGGERS[id] as TriggerFacts, payload: `"${++this.#count}"` }
      this.#journal.submit(commands.update(id, definition, state)).catch(() => {})
    }
  }

  async removeAll(ids: readonly string[]): Promise<void> {
    for (const id of ids) await this.#journal.submit(commands.remove(id, { by: 'operator' }))
  }

  /** In words. */
  left(): string[] {
    const { triggers, groups } = this.feed
    const open = [...groups.open].map(({ last }) => `${last.stream} is open`)
    const owed = [...triggers.owed].map(({ triggerId, source }) => `${triggerId} has not answered ${source}`)
    return [...open, ...owed].map((what) => `${this.#name}: ${what}`)
  }
}
