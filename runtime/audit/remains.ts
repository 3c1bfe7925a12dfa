/** What a log with checkpoints keeps of the streams that leave it: their leaf hashes. */
import { joined } from '../../domain/audit/encoding.js'
import { isLeaf, LeafHasher } from '../../domain/audit/leaf.js'
import type { Digest } from '../ports/digest.js'
import type { EventStore, LogReader } from '../ports/event-store.js'
import type { Feed } from '../read/feed.js'
import { textsOf } from './texts.js'
import { hasBegun } from './trail.js'

/** Of one stream, as long as its last event has this revision. */
export interface Remainder {
  readonly revision: number
  readonly leaves: Uint8Array
}

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
    // Until it was looked up the feed may have said so.
    const looked = this.#audited ?? (await hasBegun(this.#log))
    this.#audited ||= looked
    if (!this.#audited) return undefined
    return new Map(await Promise.all(streams.map(async (stream) => [stream, await this.#one(stream)] as const)))
  }

  async #one(stream: string): Promise<Remainder> {
    const leaves: Uint8Array[] = []
    let revision = -1
    for await (const page of textsOf(this.#store, { stream })) {
      for (const event of page) {
        revision = event.revision
        if (isLeaf(event)) leaves.push(this.#hasher.hash(event))
      }
    }
    return { revision, leaves: joined(leaves) }
  }
}

/** The body of `JobsRemoved`. */
export const bodyOf = (remnants: Remnants | undefined): { readonly body: Uint8Array } | undefined =>
  remnants && { body: joined([...remnants.values()].map(({ leaves }) => leaves)) }

/** Whether something was recorded in one of them since. */
export const haveGrown = (
  remnants: Remnants | undefined,
  revisionOf: (stream: string) => number | undefined,
): boolean => remnants !== undefined && [...remnants].some(([stream, { revision }]) => revisionOf(stream) !== revision)
