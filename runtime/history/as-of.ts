/** A ledger as it was at a moment of the past: read-only. */
import type { RecordedEvent } from '../../domain/event.js'
import { isOpen } from '../../domain/job/edges.js'
import type { JobEvent } from '../../domain/job/events.js'
import { jobStream } from '../../domain/job/events.js'
import { JobRemoved, JobUnknown, TriggerUnknown } from '../../domain/rejection.js'

import { upcast } from '../../domain/upcast.js'
import type { AttemptRecord } from '../../projections/attempts.js'
import { attemptsOf } from '../../projections/attempts.js'
import type { DependencyGraph } from '../../projections/dependency-graph.js'
import { JobBoard } from '../../projections/job-board.js'
import type { LedgerState } from '../../projections/ledger-state.js'
import { checkKeys, toCount, toName, toTexts } from '../checks.js'
import type { Clock } from '../ports/clock.js'
import type { LogReader } from '../ports/event-store.js'
import type { ListFilter } from '../read/listing.js'
import type { HistoryEntry, JobPage, JobStatus, JobSummary, Queries, QueueCounts } from '../read/queries.js'
import type { Life } from '../read/status.js'
import { countsOf, historyOf, readLife, statusOf, summaryOf } from '../read/status.js'
import type { Kpis } from '../report/answers.js'
import { availableOf } from '../report/reports.js'
import type { TriggerInfo, TriggerReport } from '../trigger/info.js'
import { reportOf } from '../trigger/info.js'
import type { TriggerFilter } from '../trigger/listing.js'
import { triggerInfos } from '../trigger/listing.js'
import type { WorkerInfo } from '../work/desk/worker-desk.js'
import { workerInfos } from '../work/desk/worker-desk.js'
import { listAsOf } from './listing.js'
import type { Asked, Moment, Place } from './moment.js'
import { locate, toAsked } from './moment.js'
import type { Past } from './past.js'
import { pendingOf } from './pending.js'

/** What a reader of the past needs of an engine. */
export interface PastWorld {
  readonly wholeLog: LogReader
  readonly queries: Queries
  readonly past: Past
  readonly ports: { readonly clock: Clock }
}

export interface PendingFilter {
  readonly type?: string | readonly string[]
  readonly queue?: string | readonly string[]
  readonly channel?: string | readonly string[]
  /** 1 to 1,000, default 50. */
  readonly limit?: number
}

const PENDING_KEYS = new Set(['type', 'queue', 'channel', 'limit'])
const QUEUES_KEYS = new Set(['type'])

/** Answers do not change any more, but for what is removed or expunged later. Every call throws InvalidOption for a moment that has not come. */
export class AsOf {
  readonly #world: () => PastWorld
  readonly #asked: Asked
  #place: Promise<Place> | undefined
  #state: Promise<LedgerState> | undefined

  /** Throws InvalidOption. */
  constructor(world: () => PastWorld, moment: Moment) {
    this.#world = world
    this.#asked = toAsked(moment, 'asOf.moment')
  }

  /** Where in the log it is, and what time it was (ms). */
  moment(): Promise<Place> {
    const { wholeLog, ports } = this.#world()
    this.#place ??= locate(wholeLog, this.#asked, ports.clock.now(), 'asOf.moment')
    return this.#place
  }

  /** All of the ledger: found once for all calls. */
  #whole(): Promise<LedgerState> {
    const { past } = this.#world()
    this.#state ??= this.moment().then(({ position }) => past.stateAt(position))
    return this.#state
  }

  /** Reads this job alone, and those it waited for. Throws JobUnknown for one that had not come, JobRemoved. */
  async job(id: string): Promise<JobStatus> {
    const { queries } = this.#world()
    const life = await this.#life(id)
    const { at } = await this.moment()
    const graph = await this.#graphOf(life)
    const dependents = await this.#thereAlready(await queries.dependents(id))
    return statusOf(life, { graph, dependents, now: at })
  }

  /** Its events until then. Throws JobUnknown, JobRemoved. */
  async history(id: string): Promise<HistoryEntry[]> {
    return historyOf((await this.#life(id)).events)
  }

  /** Throws JobUnknown, JobRemoved. */
  async attempts(id: string): Promise<AttemptRecord[]> {
    return attemptsOf((await this.#life(id)).events)
  }

  /** Jobs by queue and state. Ended ones that were removed since are not counted, unless a kept checkpoint has. */
  async queues(given: { readonly type?: string } = {}): Promise<Readonly<Record<string, QueueCounts>>> {
    checkKeys(given, QUEUES_KEYS, 'asOf.queues')
    const type = given.type === undefined ? undefined : toName(given.type, 'asOf.queues.type')
    const [state, { at }] = await Promise.all([this.#whole(), this.moment()])
    return Object.fromEntries(countsOf(state, at, type))
  }

  /** Jobs that were ready to run, in the order in which they would have been taken; not those of paused queues. */
  async pending(given: PendingFilter = {}): Promise<JobSummary[]> {
    checkKeys(given, PENDING_KEYS, 'asOf.pending')
    const limit = toCount(given.limit ?? 50, 'asOf.pending.limit', 1, 1_000)
    const lanes = {
      types: toTexts(given.type, 'asOf.pending.type'),
      queues: toTexts(given.queue, 'asOf.pending.queue'),
      channels: toTexts(given.channel, 'asOf.pending.channel'),
    }
    const [state, { at }] = await Promise.all([this.#whole(), this.moment()])
    return pendingOf(state, { ...lanes, limit, now: at }).map((job) => summaryOf(job, false, at))
  }

  /** Jobs that had come by then, newest first, a page at a time. Throws InvalidOption. */
  async list(filter: ListFilter = {}): Promise<JobPage> {
    const { queries, wholeLog } = this.#world()
    const place = await this.moment()
    return listAsOf({ queries, log: wholeLog, place, whole: () => this.#whole() }, filter)
  }

  /** In the order in which they were added. Throws InvalidOption. */
  async triggers(filter: TriggerFilter = {}): Promise<TriggerInfo[]> {
    const infos = triggerInfos(filter)
    return infos((await this.#whole()).triggers)
  }

  /** What a trigger and its jobs had come to. Throws TriggerUnknown. */
  async trigger(id: string): Promise<TriggerReport> {
    const name = toName(id, 'asOf.trigger.id')
    const { triggers } = await this.#whole()
    const state = triggers.get(name)
    if (state === undefined) throw new TriggerUnknown(name)
    return reportOf(state, triggers.record(name))
  }

  /** Those that had neither stopped nor been lost; longest silence first. */
  async workers(): Promise<WorkerInfo[]> {
    return workerInfos(await this.#whole())
  }

  /** How things stood: what `reports.kpis` told then, but for the mean of runs. Ended jobs as in `queues`. */
  async report(): Promise<Omit<Kpis, 'meanRunMs'>> {
    const [state, { at }] = await Promise.all([this.#whole(), this.moment()])
    const { board } = state
    const pendingByType: Record<string, number> = {}
    const kpis = { pending: 0, running: 0, failing: 0, failed: 0, processed: 0 }
    for (const { phase, type, error } of board.jobs) {
      if (error !== undefined) kpis.failing += 1
      if (phase === 'leased') kpis.running += 1
      if (phase !== 'waiting') continue
      kpis.pending += 1
      pendingByType[type] = (pendingByType[type] ?? 0) + 1
    }
    for (const { failed, succeeded } of board.stats.totals().values()) {
      kpis.failed += failed
      kpis.processed += succeeded
    }
    return { ...kpis, pendingByType, availableWorkers: availableOf(workerInfos(state), at, {}) }
  }

  async #life(given: string): Promise<Life> {
    const { wholeLog, queries } = this.#world()
    const id = toName(given, 'asOf.job.id')
    const { position } = await this.moment()
    const life = position === '' ? undefined : await readLife(wholeLog, id, position)
    if (life !== undefined) return life
    const outcome = (await queries.removed([id])).get(id)
    throw outcome === undefined ? new JobUnknown(id) : new JobRemoved(id, outcome)
  }

  /** The edges of one job, by what had become of those it names. */
  async #graphOf({ state, events }: Life): Promise<DependencyGraph> {
    const board = new JobBoard()
    const open = state.phase === 'waiting' ? state.dependsOn.filter(isOpen) : []
    if (open.length === 0) return board.graph
    const all: RecordedEvent[] = [...events]
    for (const { id } of open) all.push(...(await this.#until(jobStream(id))))
    all.sort((a, b) => (a.position < b.position ? -1 : 1))
    for (const event of all) board.apply(event as RecordedEvent & JobEvent, event.at)
    return board.graph
  }

  async #until(stream: string): Promise<RecordedEvent[]> {
    const { position } = await this.moment()
    const events: RecordedEvent[] = []
    for await (const page of this.#world().wholeLog.readStream(stream)) {
      for (const event of page) if (event.position <= position) events.push(upcast(event))
    }
    return events
  }

  async #thereAlready(ids: readonly string[]): Promise<string[]> {
    const { position } = await this.moment()
    const there: string[] = []
    for (const id of ids) {
      for await (const [first] of this.#world().wholeLog.readStream(jobStream(id), { limit: 1 })) {
        if (first !== undefined && first.position <= position) there.push(id)
      }
    }
    return there
  }
}
