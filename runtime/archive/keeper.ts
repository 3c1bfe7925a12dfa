import { fromHex } from '../../domain/audit/encoding.js'
import type { Cause, ExpungedJobs, SegmentDropped } from '../../domain/audit/events.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import type { Body, Draft, EventTexts, Metadata } from '../../domain/event.js'
import { isJobStream, jobIdOf, jobStream } from '../../domain/job/events.js'
import type { Segment } from '../../projections/segments.js'
import { jobsRemoved, type Remains } from '../audit/remains.js'
import type { Clock } from '../ports/clock.js'
import type { Digest } from '../ports/digest.js'
import type { EventStore } from '../ports/event-store.js'
import type { Ids } from '../ports/ids.js'
import type { Folder } from '../ports/segments.js'
import { removedJob } from '../upkeep/removed-job.js'
import type { Journal } from '../write/journal.js'
import type { Catalogue } from './catalogue.js'
import { ArchiveMissing } from './errors.js'
import { byStream, statesOf } from './segment-reader.js'
import { SegmentWriter } from './segment-writer.js'

export interface KeeperOptions {
  readonly store: EventStore
  readonly journal: Journal
  readonly ids: Ids
  readonly digest: Digest
  readonly remains: Remains
  readonly catalogue: Catalogue
  readonly folder: Folder | undefined
  readonly clock: Clock
}

/** For as long (ms) somebody may take to write a segment; whoever takes longer is told so, and begins again. */
const PATIENCE = 600_000

/** What a segment is to have from now on, and what is to be said of it together with that. */
interface Change {
  readonly events: readonly EventTexts[]
  readonly drafts?: readonly Draft[]
  readonly expunged?: ExpungedJobs
}

/** Puts another segment in the place of one that holds what nobody may have any more. */
export class Keeper {
  readonly #options: KeeperOptions

  constructor(options: KeeperOptions) {
    this.#options = options
  }

  /**
   * Erases the bodies of jobs that are archived; their hashes stay. How many jobs had some. Undefined: no segment of this log has
   * this name. Throws ArchiveMissing, SegmentMissing, SegmentDamaged.
   */
  async expunge(
    name: string,
    ids: readonly string[],
    rule: string,
    metadata: Metadata | undefined,
  ): Promise<number | undefined> {
    if (!(await this.#has(name))) return undefined
    const streams = new Set(ids.map(jobStream))
    let done = 0
    await this.#change(name, metadata, async (_, events) => {
      const jobs = new Map<string, { id: string; queuedAt: number; hashes: Record<string, string> }>()
      const erased = events.map((event) => {
        if (!streams.has(event.stream) || event.body === undefined || !('content' in event.body)) return event
        const hex = this.#hashOf(event.body)
        const id = jobIdOf(event.stream)
        const job = jobs.get(id) ?? { id, queuedAt: 0, hashes: {} }
        job.hashes[event.revision] = hex
        jobs.set(id, job)
        return { ...event, body: { hash: fromHex(hex) as Uint8Array } }
      })
      for (const { id, queuedAt } of statesOf(byStream(events, (stream) => jobs.has(jobIdOf(stream))))) {
        const job = jobs.get(id)
        if (job !== undefined) job.queuedAt = queuedAt
      }
      done = jobs.size
      return done === 0 ? undefined : { events: erased, expunged: { rule, jobs: [...jobs.values()] } }
    })
    return done
  }

  #hashOf({ salt, content }: Body): string {
    return this.#options.digest.sha256(salt, content)
  }

  /**
   * Takes jobs that are archived out of the archive, too. How many there were. Undefined: no segment of this log has this name.
   * Throws what `expunge` throws.
   */
  async remove(
    name: string,
    ids: readonly string[],
    rule: string | undefined,
    metadata: Metadata | undefined,
  ): Promise<number | undefined> {
    if (!(await this.#has(name))) return undefined
    const { catalogue, remains } = this.#options
    const wanted = new Set(ids.map(jobStream))
    let done = 0
    await this.#change(name, metadata, async (segment, events) => {
      // Of a job that has not left for it a segment says nothing.
      const isGone = (stream: string): boolean => wanted.has(stream) && catalogue.lets(segment.name, stream)
      const streams = byStream(events, isGone)
      done = streams.size
      if (done === 0) return undefined
      const cause: Cause = { ...(rule !== undefined && { rule }), outOf: segment.name }
      const removed = statesOf(streams).map((job) => removedJob(job))
      return {
        events: events.filter(({ stream }) => !isGone(stream)),
        drafts: [jobsRemoved(removed, cause, await remains.ofArchived(streams))],
      }
    })
    return done
  }

  /** These jobs were expunged or removed: a segment that was sealed, and has not taken them, is not to keep what they had. */
  async forget(ids: readonly string[], metadata: Metadata | undefined): Promise<void> {
    const { catalogue, folder } = this.#options
    await catalogue.refresh()
    if (folder === undefined) return
    const streams = new Set(ids.map(jobStream))
    for (const { name } of catalogue.incomplete) await this.#drop(name, (stream) => streams.has(stream), metadata)
  }

  /** None of the jobs that a segment has not taken will ever leave for it. What is left of it; undefined: nothing. */
  async tidy(name: string, metadata: Metadata | undefined): Promise<Segment | undefined> {
    const { catalogue } = this.#options
    await this.#drop(name, () => true, metadata)
    return catalogue.get(name)
  }

  /** Of the streams of jobs that have not left for it. */
  async #drop(name: string, isGone: (stream: string) => boolean, metadata: Metadata | undefined): Promise<void> {
    const { catalogue } = this.#options
    await this.#change(name, metadata, async (segment, events) => {
      if (segment.taken === undefined) return undefined
      const kept = events.filter(({ stream }) => catalogue.lets(segment.name, stream) || !isGone(stream))
      return kept.length === events.length ? undefined : { events: kept }
    })
  }

  /** Deletes what somebody has left who died: files that were put out of their place, and such as were never sealed. */
  async sweep(metadata?: Metadata): Promise<void> {
    const { catalogue, folder, clock } = this.#options
    await catalogue.refresh()
    if (folder === undefined) return
    const writer = new SegmentWriter({ ...this.#options, folder })
    for (const name of catalogue.begunBy(clock.now() - PATIENCE)) await writer.drop(name, metadata)
    if (!catalogue.hasGone) return
    for (const name of catalogue.goneOf(await folder.list())) await folder.remove(name)
  }

  async #has(name: string): Promise<boolean> {
    const { catalogue } = this.#options
    await catalogue.refresh()
    return catalogue.get(name) !== undefined
  }

  /**
   * Puts in the place of a segment what `change` makes of it; of what it has become if somebody else was faster. The file that it
   * was goes last: from the moment at which it is on record it is nobody's.
   */
  async #change(
    name: string,
    metadata: Metadata | undefined,
    change: (segment: Segment, events: readonly EventTexts[]) => Promise<Change | undefined>,
  ): Promise<void> {
    const { catalogue, folder } = this.#options
    for (;;) {
      await catalogue.refresh()
      const segment = catalogue.get(name)
      if (segment === undefined) return
      if (folder === undefined) throw new ArchiveMissing(segment.name)
      const changed = await change(segment, await catalogue.eventsOf(segment))
      if (changed === undefined) return
      if (!(await this.#put(segment, changed, new SegmentWriter({ ...this.#options, folder }), metadata))) continue
      await folder.remove(segment.name)
      return
    }
  }

  /** False: the segment is another one by now, or has taken more jobs. */
  async #put(
    segment: Segment,
    { events, drafts = [], expunged }: Change,
    writer: SegmentWriter,
    metadata: Metadata | undefined,
  ): Promise<boolean> {
    const { catalogue } = this.#options
    const { name } = segment
    const isStill = (): boolean => catalogue.get(name) === segment
    if (events.length === 0) {
      const data: SegmentDropped = { name }
      return writer.record([...drafts, { stream: AUDIT_STREAM, type: 'SegmentDropped', data }], metadata, isStill)
    }
    const jobs = new Set(events.map(({ stream }) => stream).filter(isJobStream)).size
    const what = { jobs, replaces: name, ...(expunged !== undefined && { expunged }) }
    return (await writer.seal(events, what, metadata, { drafts, isStill })) !== undefined
  }
}
