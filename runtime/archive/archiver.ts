import type { SegmentSealed, StreamRange } from '../../domain/audit/events.js'
import type { Duration } from '../../domain/duration.js'
import { toMs } from '../../domain/duration.js'
import { InvalidOption } from '../../domain/errors.js'
import type { EventTexts, Metadata } from '../../domain/event.js'
import { jobStream } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { triggerStream } from '../../domain/trigger/events.js'
import { fromRow, placeAt } from '../../projections/job-row.js'
import { checkKeys, toFlag, toSignal } from '../checks.js'
import type { Clock } from '../ports/clock.js'
import type { EventStore } from '../ports/event-store.js'
import type { Ids } from '../ports/ids.js'
import type { Folder } from '../ports/segments.js'
import type { Views } from '../ports/views.js'
import type { Feed } from '../read/feed.js'
import { textsOf } from '../read/texts.js'
import { restate } from '../trigger/commands.js'
import type { Removal } from '../upkeep/removal.js'
import type * as commands from '../write/commands.js'
import type { Journal } from '../write/journal.js'
import { Beginnings } from './beginnings.js'
import type { Catalogue } from './catalogue.js'
import type { Keeper } from './keeper.js'
import { byStream, statesOf } from './segment-reader.js'
import { Gathered, SegmentWriter } from './segment-writer.js'

export interface ArchiveRun {
  /** Archive what is older than this: jobs that ended, and events of triggers, workers and audit that were recorded, longer ago. */
  readonly before: Duration
  /** Count only. */
  readonly dryRun?: boolean
  readonly signal?: AbortSignal
  /** Called after each segment. */
  readonly onProgress?: (so: ArchiveReport) => void
}

export interface ArchiveReport {
  /** Jobs that have left the log, and those that were due but are needed by a job that has not ended, or run again. */
  readonly jobs: number
  readonly kept: number
  /** Events that have left the log: of jobs, and at the beginning of other streams. */
  readonly events: number
  readonly cut: number
  /** Files that there are more now, and what they weigh. */
  readonly segments: number
  readonly bytes: number
}

export interface ArchiverOptions {
  readonly store: EventStore
  readonly views: Views
  readonly feed: Feed
  readonly journal: Journal
  readonly removal: Removal
  readonly clock: Clock
  readonly ids: Ids
  readonly folder: Folder | undefined
  readonly catalogue: Catalogue
  readonly keeper: Keeper
  /** Those of these jobs that were removed, whoever did it. */
  readonly removed: (ids: readonly string[]) => Promise<ReadonlyMap<string, unknown>>
  /** Brings the views up to what was folded. */
  readonly sync: () => Promise<unknown>
}

const RUN_KEYS = new Set(['before', 'dryRun', 'signal', 'onProgress'])
const PAGE = 500
/** Events of a trigger behind the one with its payload that are worth saying it again. */
const MANY_FIRINGS = 100
/** Streams that are read beside each other. */
const AT_ONCE = 20
/** Told with what is condemned and removed. */
const RULE = 'archive'

type Counts = { -readonly [Key in keyof ArchiveReport]: number }

/**
 * Moves what is old out of the log into segments. Each goes in steps, after any of which it may be begun again: the file is
 * sealed; the audit stream says so; only then, what is in it leaves the log. See ADR 30.
 */
export class Archiver {
  readonly #options: ArchiverOptions

  constructor(options: ArchiverOptions) {
    this.#options = options
  }

  /** Throws InvalidOption, or the signal's reason; what was archived until then stays archived. */
  async run(given: ArchiveRun, metadata?: Metadata): Promise<ArchiveReport> {
    const { beforeMs, dryRun, signal, onProgress } = toRun(given)
    const { folder, store, clock, sync } = this.#options
    if (folder === undefined) throw new InvalidOption('openLedger.archive', 'the folder to archive to', folder)
    const cutoff = clock.now() - beforeMs
    const run = new Run(this.#options, new SegmentWriter({ ...this.#options, folder }), metadata, {
      dryRun,
      onProgress,
    })
    if (!dryRun) await run.finish()
    await sync()
    await run.jobs(placeAt(cutoff), signal)
    await run.beginnings(await store.positionAt(cutoff), signal)
    return run.report
  }
}

class Run {
  readonly #options: ArchiverOptions
  readonly #writer: SegmentWriter
  readonly #metadata: Metadata | undefined
  readonly #how: { readonly dryRun: boolean; readonly onProgress: ArchiveRun['onProgress'] }
  readonly #counts: Counts = { jobs: 0, kept: 0, events: 0, cut: 0, segments: 0, bytes: 0 }
  #draft = new Gathered()
  #jobs: JobState[] = []

  constructor(
    options: ArchiverOptions,
    writer: SegmentWriter,
    metadata: Metadata | undefined,
    how: { readonly dryRun: boolean; readonly onProgress: ArchiveRun['onProgress'] },
  ) {
    this.#options = options
    this.#writer = writer
    this.#metadata = metadata
    this.#how = how
  }

  get report(): ArchiveReport {
    return { ...this.#counts }
  }

  /** What an interrupted run has sealed last may still be in the log. */
  async finish(): Promise<void> {
    const { catalogue, store, keeper } = this.#options
    await keeper.sweep(this.#metadata)
    for (const segment of catalogue.incomplete) {
      const events = await catalogue.eventsOf(segment)
      const left = events.filter(({ stream }) => !catalogue.lets(segment.name, stream))
      const streams = byStream(left, () => true)
      const jobs = statesOf(streams).map((job) => asArchived(job, streams.get(jobStream(job.id)) ?? []))
      await this.#take(segment.name, jobs, revisionsOf(left))
      await keeper.tidy(segment.name, this.#metadata)
    }
    const cuts = catalogue.all.findLast(({ cut }) => cut !== undefined)?.cut ?? []
    for (const [stream, , to] of cuts) await store.truncate(stream, to + 1)
  }

  /** Those that ended before a place, latest first: a run that is interrupted has left the oldest, which are due next time. */
  async jobs(until: string, signal: AbortSignal | undefined): Promise<void> {
    const { views, removal } = this.#options
    for (let before = until; ; ) {
      signal?.throwIfAborted()
      const rows = await views.ended({ keep: 'rules', before, limit: PAGE })
      if (rows.length === 0) break
      const due = rows.map((row) => fromRow(row.state))
      if (this.#how.dryRun) this.#rehearse(due)
      else {
        const doomed = await removal.condemnAll(due, RULE, this.#metadata)
        await this.#keep(due, new Set(doomed.map(({ id }) => id)))
        await this.#collect(doomed)
      }
      before = rows.at(-1)?.endPlace as string
    }
    await this.#seal()
  }

  #rehearse(due: readonly JobState[]): void {
    const free = due.filter(({ id }) => !this.#options.removal.isNeeded(id))
    this.#counts.jobs += free.length
    this.#counts.kept += due.length - free.length
    this.#counts.events += free.reduce((sum, { revision }) => sum + revision + 1, 0)
  }

  async #collect(doomed: readonly JobState[]): Promise<void> {
    for (let from = 0; from < doomed.length; from += AT_ONCE) {
      const some = doomed.slice(from, from + AT_ONCE)
      const streams = await Promise.all(some.map(({ id }) => this.#read(jobStream(id))))
      for (const [index, events] of streams.entries()) {
        // Removed by somebody else meanwhile.
        if (events[0]?.revision !== 0) continue
        this.#jobs.push(asArchived(some[index] as JobState, events))
        for (const event of events) this.#draft.add(event)
      }
      if (this.#draft.isFull) await this.#seal()
    }
  }

  async #read(stream: string): Promise<EventTexts[]> {
    const events: EventTexts[] = []
    for await (const page of textsOf(this.#options.store, { stream })) events.push(...page)
    return events
  }

  async #seal(): Promise<void> {
    const { events } = this.#draft
    const jobs = this.#jobs
    this.#draft = new Gathered()
    this.#jobs = []
    if (events.length === 0) return
    const sealed = await this.#writer.seal(events, { jobs: jobs.length }, this.#metadata)
    if (sealed === undefined) return
    const taken = await this.#take(sealed.name, jobs, revisionsOf(events))
    // Others run again, or somebody else has archived them: what is left here is of no use to anybody.
    this.#count(taken === jobs.length ? sealed : await this.#options.keeper.tidy(sealed.name, this.#metadata))
    this.#how.onProgress?.(this.report)
  }

  #count(segment: Pick<SegmentSealed, 'bytes'> | undefined): void {
    if (segment === undefined) return
    this.#counts.segments += 1
    this.#counts.bytes += segment.bytes
  }

  /** How many. */
  async #take(segment: string, jobs: readonly JobState[], revisions: commands.Revisions): Promise<number> {
    const cause = { rule: RULE, segment }
    const taken = await this.#options.removal.takeAll(jobs, cause, revisions, this.#metadata)
    this.#counts.jobs += taken.length
    for (const id of taken) this.#counts.events += (revisions.get(id) ?? -1) + 1
    await this.#keep(jobs, new Set(taken))
    return taken.length
  }

  /** Counts those that stay; some may have left the log by another hand. */
  async #keep(jobs: readonly JobState[], taken: ReadonlySet<string>): Promise<void> {
    const left = jobs.map(({ id }) => id).filter((id) => !taken.has(id))
    if (left.length > 0) this.#counts.kept += left.length - (await this.#options.removed(left)).size
  }

  /** Those that have fired often since they said what they are: they say it again, so that the rest may go. */
  async #restateTriggers(until: string): Promise<void> {
    const { store, feed, journal } = this.#options
    for (const state of [...feed.triggers.triggers.values()]) {
      const { id, status, revision, payloadAt, window } = state
      if (status === 'removed' || window !== undefined || revision - payloadAt < MANY_FIRINGS) continue
      const which = { from: payloadAt, limit: 1, bodies: true }
      for await (const [event] of store.readStream(triggerStream(id), which)) {
        if (event?.revision !== payloadAt || event.position > until) continue
        const payload = event.body !== undefined && 'content' in event.body ? event.body.content : undefined
        await journal.submit(restate(id, payload, state), this.#metadata)
      }
    }
    await feed.reached(await store.head())
  }

  /** Of the streams of triggers and workers, and of the audit stream: all up to a position but the last event of each. */
  async beginnings(until: string, signal: AbortSignal | undefined): Promise<void> {
    const { store, feed, catalogue } = this.#options
    if (!this.#how.dryRun) await this.#restateTriggers(until)
    const beginnings = new Beginnings({ store, feed, catalogue })
    for await (const { events, cut } of beginnings.upTo(until)) {
      signal?.throwIfAborted()
      if (!this.#how.dryRun && !(await this.#cut(events, cut))) continue
      this.#counts.cut += events.length
      this.#how.onProgress?.(this.report)
    }
  }

  /** False: somebody else has sealed some of it meanwhile. */
  async #cut(events: readonly EventTexts[], cut: readonly StreamRange[]): Promise<boolean> {
    const { store, catalogue } = this.#options
    const isStill = (): boolean => !cut.some(([stream, from]) => catalogue.cutsOf(stream).some(({ to }) => to >= from))
    const sealed = await this.#writer.seal(events, { jobs: 0, cut }, this.#metadata, { isStill })
    if (sealed === undefined) return false
    for (const [stream, , to] of cut) await store.truncate(stream, to + 1)
    this.#count(sealed)
    return true
  }
}

/** One without bodies has as little left to erase as one that was expunged: nobody is to look for them in its segment. */
function asArchived(job: JobState, events: readonly EventTexts[]): JobState {
  const isLegible = events.some(({ body }) => body !== undefined && 'content' in body)
  return isLegible ? job : { ...job, rare: { ...job.rare, expunged: true } }
}

function revisionsOf(events: readonly EventTexts[]): commands.Revisions {
  const revisions = new Map<string, number>()
  for (const { stream, revision } of events) {
    const id = stream.slice(jobStream('').length)
    revisions.set(id, Math.max(revision, revisions.get(id) ?? 0))
  }
  return revisions
}

/** Throws InvalidOption. */
function toRun(given: ArchiveRun): {
  readonly beforeMs: number
  readonly dryRun: boolean
  readonly signal: AbortSignal | undefined
  readonly onProgress: ArchiveRun['onProgress']
} {
  checkKeys(given, RUN_KEYS, 'archive.run')
  const { before, dryRun = false, onProgress } = given
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw new InvalidOption('archive.run.onProgress', 'a function', onProgress)
  }
  return {
    beforeMs: toMs(before, 'archive.run.before'),
    dryRun: toFlag(dryRun, 'archive.run.dryRun'),
    signal: toSignal(given.signal, 'archive.run.signal'),
    onProgress,
  }
}
