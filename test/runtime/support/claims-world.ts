/** Two runtimes on one log whose jobs are unique by a few keys: enqueued, ended, sent round again, removed, all at once. */

import { MemoryEventStore } from '../../../adapters/memory/event-store.js'
import { MemoryViews } from '../../../adapters/memory/views.js'
import { JobledgerError } from '../../../domain/errors.js'
import { jobIdOf } from '../../../domain/job/events.js'
import type { Outcome } from '../../../domain/job/evolve.js'
import { StreamRemoved } from '../../../runtime/errors.js'
import type { Cancel, Clock } from '../../../runtime/ports/clock.js'
import type { AppendGroup, AppendOutcome } from '../../../runtime/ports/event-store.js'
import { silentLogger } from '../../../runtime/ports/logger.js'
import type { JobRow } from '../../../runtime/ports/views.js'
import { Feed } from '../../../runtime/read/feed.js'
import { Queries } from '../../../runtime/read/queries.js'
import { defineJob } from '../../../runtime/work/run/definition.js'
import * as commands from '../../../runtime/write/commands.js'
import type { UniqueOptions } from '../../../runtime/write/contract.js'
import type { Enqueued } from '../../../runtime/write/enqueue-command.js'
import type { EnqueueSpec } from '../../../runtime/write/enqueuer.js'
import { Enqueuer } from '../../../runtime/write/enqueuer.js'
import { Journal } from '../../../runtime/write/journal.js'
import { Retrier } from '../../../runtime/write/retrier.js'
import { NOW } from '../../domain/support/jobs.js'
import { CountedIds } from './counted-ids.js'
import { FaultyStore } from './faulty-store.js'
import { turns, within } from './hasty-clock.js'

const TYPES = ['mail', 'bill'].map((type) => defineJob<unknown, void>({ type }))

/** One job of an enqueue. */
export interface Wish {
  readonly type: number
  readonly key: number
  readonly windowMs: number | undefined
  readonly replace: boolean
  /** Of which earlier wish; it is cancelled at once if that was. */
  readonly after: number | undefined
}

export interface Act {
  readonly runtime: 0 | 1
  readonly verb: 'enqueue' | 'run' | 'cancel' | 'retry' | 'remove' | 'wait'
  readonly wishes: readonly Wish[]
  /** Which job is meant, counted from the last one there is. */
  readonly back: number
  readonly ms: number
  /** Turns of the event loop before the next one: 0 is the same tick. */
  readonly pause: number
}

/** An enqueue and what became of it; `from` and `until` count the groups in the log. */
export interface Answer {
  readonly ids: readonly string[]
  readonly from: number
  until: number
  enqueued: readonly Enqueued[] | undefined
}

export interface Day {
  /** Groups that were stored, in order. */
  readonly log: readonly AppendGroup[]
  readonly answers: readonly Answer[]
  /** Codes of all refusals. */
  readonly refusals: readonly string[]
  readonly skipped: number
}

/** Time stands still until somebody moves it. */
class StillClock implements Clock {
  time: number = NOW

  now(): number {
    return this.time
  }

  at(_instant: number, call: () => void): Cancel {
    const timer = setImmediate(call)
    return () => clearImmediate(timer)
  }

  soon(call: () => void): void {
    setImmediate(call)
  }
}

/** Remembers what was stored, also of streams that leave the log. */
class RecordingStore extends MemoryEventStore {
  readonly #stored: { readonly position: string; readonly group: AppendGroup }[] = []

  override async append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    const outcomes = await super.append(groups)
    for (const [index, group] of groups.entries()) {
      const outcome = outcomes[index]
      if (outcome?.kind === 'ok') this.#stored.push({ position: outcome.position, group })
    }
    return outcomes
  }

  /** Ids of all jobs there ever were, in order. */
  get queued(): string[] {
    const events = this.stored.flatMap((group) => group.events)
    return events.filter(({ type }) => type === 'Queued').map(({ stream }) => jobIdOf(stream))
  }

  get stored(): AppendGroup[] {
    return this.#stored.toSorted((a, b) => (a.position < b.position ? -1 : 1)).map(({ group }) => group)
  }
}

const PATIENCE = 50_000

export async function spend(acts: readonly Act[], lags: readonly (readonly number[])[]): Promise<Day> {
  const clock = new StillClock()
  const store = new RecordingStore()
  const stop = new AbortController()
  const runtimes = lags.map((each, index) => new Runtime(store, clock, each, `runtime${index}`))
  const feeds = runtimes.map(({ feed }) => feed.run(stop.signal))
  const day = { answers: [] as Answer[], refusals: [] as string[] }
  const asked: Promise<void>[] = []
  let wished = 0
  for (const act of acts) {
    if (act.verb === 'wait') clock.time += act.ms
    const ids = act.verb === 'enqueue' ? act.wishes.map((_, index) => `j${wished + index}`) : []
    const answer: Answer = { ids, from: store.stored.length, until: 0, enqueued: undefined }
    if (ids.length > 0) day.answers.push(answer)
    // One of the same tick may be meant, too.
    const target = [...store.queued, `j${wished - 1}`].at(-1 - act.back) ?? 'nobody'
    const doing = (runtimes[act.runtime] as Runtime).do(act, ids, target, wished).then(
      (enqueued) => {
        answer.enqueued = enqueued
        answer.until = store.stored.length
      },
      (error: unknown) => {
        if (!(error instanceof JobledgerError)) throw error
        day.refusals.push(error.code)
      },
    )
    asked.push(doing)
    wished += ids.length
    await turns(act.pause)
  }
  await within(PATIENCE, 'the answers', Promise.all(asked))
  stop.abort()
  await within(PATIENCE, 'the feeds', Promise.all(feeds))
  return { ...day, log: store.stored, skipped: runtimes.reduce((sum, { feed }) => sum + feed.skipped, 0) }
}

class Runtime {
  readonly feed: Feed
  readonly #journal: Journal
  readonly #queries: Queries
  readonly #enqueuer: Enqueuer
  readonly #retrier: Retrier

  constructor(inner: MemoryEventStore, clock: Clock, lags: readonly number[], name: string) {
    const store = new FaultyStore(inner, { lags })
    const ids = new CountedIds(name)
    this.feed = new Feed({ store, clock, logger: silentLogger })
    this.#journal = new Journal({ store, memory: this.feed, clock, ids })
    const sync = async (): Promise<Map<string, JobRow>> => new Map<string, JobRow>()
    this.#queries = new Queries({ store, log: store, views: new MemoryViews(), feed: this.feed, clock, sync })
    this.#enqueuer = new Enqueuer({
      ...{ journal: this.#journal, clock, ids },
      ...{
        maxBodyBytes: 1_000,
        codeVersion: undefined,
        queues: new Map(),
        definitions: new Map(),
        overrides: new Map(),
        strict: false,
        conceal: false,
      },
      removed: (names) => this.#queries.removed(names),
      burnt: async (stream) => new StreamRemoved(stream),
      onSubmitted: () => {},
    })
    this.#retrier = new Retrier(this.#journal, this.#queries)
  }

  async do(act: Act, ids: readonly string[], id: string, wished: number): Promise<readonly Enqueued[] | undefined> {
    switch (act.verb) {
      case 'enqueue': {
        const specs = act.wishes.map((wish, index) => toSpec(wish, ids[index] as string, wished + index))
        return this.#enqueuer.enqueue(
          specs,
          { metadata: undefined, origin: undefined, chain: undefined, roles: undefined },
          (at) => `enqueue[${at}]`,
        )
      }
      case 'run': {
        const token = `t-${id}-${act.ms}`
        const leased = this.#journal.submit(commands.lease(id, { token, workerId: 'w', leaseMs: 1_000 }))
        await Promise.all([leased, this.#journal.submit(commands.finish(id, token, { result: undefined }))])
        return undefined
      }
      case 'cancel':
        await this.#journal.submit(commands.cancel(id, { by: 'operator' }, false))
        return undefined
      case 'retry':
        await this.#retrier.retry(id, undefined)
        return undefined
      case 'remove':
        await this.#remove(id)
        return undefined
      case 'wait':
        return undefined
    }
  }

  async #remove(id: string): Promise<void> {
    await this.#journal.submit(commands.condemn(id, 'r'))
    const { state } = await this.#queries.read(id)
    const { queue, queuedAt, position, outcome } = state
    await this.#journal.submit(
      commands.remove([{ id, queue, queuedAt, position, outcome: outcome as Outcome }], { rule: 'r' }),
    )
  }
}

function toSpec({ type, key, windowMs, replace, after }: Wish, id: string, number: number): EnqueueSpec {
  const unique: UniqueOptions = {
    key: `k${key}`,
    scope: 'ledger',
    ...(windowMs !== undefined && { window: windowMs }),
    ...(replace && { onDuplicate: 'replace' }),
  }
  const dependsOn = after === undefined ? [] : [{ id: `j${number - 1 - after}`, otherwise: 'cancel' as const }]
  return { job: TYPES[type] as (typeof TYPES)[number], payload: id, options: { id, unique, dependsOn } }
}
