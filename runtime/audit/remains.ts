/** What a log with checkpoints keeps of the streams that leave it: what their leaves can be made of again. */
import { joined } from '../../domain/audit/encoding.js'
import type { Cause, JobsRemoved, RemovedJob } from '../../domain/audit/events.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import { HASH_BYTES, LeafHasher } from '../../domain/audit/leaf.js'
import type { Draft, EventTexts } from '../../domain/event.js'
import { jobStream } from '../../domain/job/events.js'
import type { Digest } from '../ports/digest.js'
import type { EventStore, LogReader } from '../ports/event-store.js'
import type { Feed } from '../read/feed.js'
import { textsOf } from '../read/texts.js'
import { hasBegun } from './trail.js'

/** Of one stream, as long as its last event has this revision. */
export interface Remainder {
  readonly revision: number
  /** Of all events from revision 0 on, without their place. */
  readonly hashes: Uint8Array
}

type Pages = AsyncIterable<readonly EventTexts[]> | Iterable<readonly EventTexts[]>

/** By stream. */
export type Remnants = ReadonlyMap<string, Remainder>

export class Remains {
  readonly #store: EventStore
  readonly #log: LogReader
  readonly #hasher: LeafHasher
  /** Some checkpoint was begun. */
  #audited: boolean | undefined

  constructor({ store, log, feed, digest }: { store: EventStore; log: LogReader; feed: Feed; digest: Digest }) {
    this.#store = store
    this.#log = log
    this.#hasher = new LeafHasher(digest.hash)
    feed.events$.subscribe(({ type }) => {
      if (type === 'CheckpointBegun') this.#audited = true
    })
  }

  /** Undefined where nobody makes checkpoints: nothing has to be told apart from what was dropped. */
  async of(streams: readonly string[]): Promise<Remnants | undefined> {
    return this.#of(streams, (stream) => textsOf(this.#store, { stream }))
  }

  /** As `of`, of whole streams that lie in a segment. */
  async ofArchived(streams: ReadonlyMap<string, readonly EventTexts[]>): Promise<Remnants | undefined> {
    return this.#of([...streams.keys()], (stream) => [streams.get(stream) ?? []])
  }

  async #of(streams: readonly string[], read: (stream: string) => Pages): Promise<Remnants | undefined> {
    if (!(await this.#isAudited())) return undefined
    return new Map(
      await Promise.all(streams.map(async (stream) => [stream, await this.#remainder(read(stream))] as const)),
    )
  }

  async #isAudited(): Promise<boolean> {
    // Until it was looked up the feed may have said so.
    const looked = this.#audited ?? (await hasBegun(this.#log))
    this.#audited ||= looked
    return this.#audited
  }

  async #remainder(pages: Pages): Promise<Remainder> {
    const hashes: Uint8Array[] = []
    let revision = -1
    for await (const page of pages) {
      for (const event of page) {
        revision = event.revision
        hashes.push(this.#hasher.content(event))
      }
    }
    return { revision, hashes: joined(hashes) }
  }
}

/** That these jobs leave, with what is left of them. */
export function jobsRemoved(
  jobs: readonly RemovedJob[],
  cause: Cause,
  remnants: Remnants | undefined,
): Draft<'JobsRemoved', JobsRemoved> {
  const draft = { stream: AUDIT_STREAM, type: 'JobsRemoved' } as const
  if (remnants === undefined) return { ...draft, data: { ...cause, jobs } }
  const parts = jobs.map(({ id }) => remnants.get(jobStream(id))?.hashes ?? new Uint8Array(0))
  const events = parts.map(({ length }) => length / HASH_BYTES)
  return { ...draft, data: { ...cause, jobs, events }, body: joined(parts) }
}

/** Whether something was recorded in one of them since. */
export const haveGrown = (
  remnants: Remnants | undefined,
  revisionOf: (stream: string) => number | undefined,
): boolean => remnants !== undefined && [...remnants].some(([stream, { revision }]) => revisionOf(stream) !== revision)
