/** The streams of jobs that have left the log, as it says itself: their leaves, which it cannot say of any other stream. */
import type { Entries } from '../../domain/audit/entries.js'
import type { JobsRemoved } from '../../domain/audit/events.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import { HASH_BYTES, LeafHasher, type Sha256 } from '../../domain/audit/leaf.js'
import type { EventTexts } from '../../domain/event.js'
import { jobStream } from '../../domain/job/events.js'
import type { LogReader } from '../ports/event-store.js'
import { textsOf } from '../read/texts.js'
import { contentOf, factsOf } from './facts.js'
import type { AuditFinding } from './findings.js'
import { placeOf, wordsOf } from './findings.js'
import { LeafSet } from './leaf-set.js'

interface Removed {
  /** How many events it had. */
  readonly events: number
  /** It may be there in part: a segment may have fewer (what ended the job's stay in the log came after it), or it went while the log was read. */
  readonly isPartial: boolean
  /** Those that are still to be seen. */
  seen: number
}

export class RemovedStreams {
  readonly leaves: LeafSet = new LeafSet()
  /** Of jobs that lie in segments that cannot be read. */
  readonly lost: LeafSet = new LeafSet()
  readonly #isLost: (segment: string) => boolean
  readonly #hasher: LeafHasher
  readonly #streams = new Map<string, Removed>()
  readonly #findings: AuditFinding[] = []
  /** Of the last removal that was taken up. */
  #revision = -1

  constructor(sha256: Sha256, isLost: (segment: string) => boolean = () => false) {
    this.#isLost = isLost
    this.#hasher = new LeafHasher(sha256)
  }

  /** Takes up what the log says of removals now. False: nothing that was not known. */
  async refresh(log: LogReader): Promise<boolean> {
    const known = this.#revision
    for await (const page of textsOf(log, { stream: AUDIT_STREAM })) {
      for (const event of page) {
        const hashes = event.type === 'JobsRemoved' && event.revision > known ? contentOf(event) : undefined
        if (hashes !== undefined) this.add(event, hashes, true)
      }
    }
    this.close()
    return this.#revision > known
  }

  /** `hashes`: the body. False: it is not what the facts say, and nothing of it is believed. */
  add(event: EventTexts, hashes: Uint8Array, isLate = false): boolean {
    this.#revision = event.revision
    const { jobs, events = [], segment } = factsOf<Partial<JobsRemoved>>(event) ?? {}
    const count = events.reduce((sum, each) => sum + each, 0)
    if (jobs?.length !== events.length || count * HASH_BYTES !== hashes.length) return false
    const leaves = segment !== undefined && this.#isLost(segment) ? this.lost : this.leaves
    let at = 0
    for (const [index, { id }] of jobs.entries()) {
      const stream = jobStream(id)
      const had = events[index] as number
      for (let revision = 0; revision < had; revision += 1, at += HASH_BYTES) {
        leaves.add(this.#hasher.leaf(stream, revision, hashes.subarray(at, at + HASH_BYTES)))
      }
      this.#streams.set(stream, { events: had, isPartial: isLate || segment !== undefined, seen: 0 })
    }
    return true
  }

  /** No more come; from now on events may be met. */
  close(): void {
    this.leaves.close()
    this.lost.close()
  }

  /** An event that is in the log. */
  meet(entry: Entries, leaf: Uint8Array): void {
    if (this.#streams.size === 0) return
    const removed = this.#streams.get(entry.stream)
    if (removed === undefined) return
    removed.seen += 1
    if (this.leaves.has(leaf) || this.lost.has(leaf)) return
    const event = entry.texts()
    const message = `${wordsOf(event)} is of a stream that was removed on record, and was not in it then`
    this.#findings.push({ kind: 'inserted', message, ...placeOf(event) })
  }

  /**
   * After the whole log. `lingers`: its store takes what was removed out of sight one by one. Else a stream is there as a whole,
   * as long as it is on its way, or not at all.
   */
  findings(lingers: boolean): AuditFinding[] {
    const some = [...this.#streams].filter(
      ([, { events, isPartial, seen }]) => !lingers && !isPartial && seen > 0 && seen < events,
    )
    return [
      ...this.#findings,
      ...some.map(([stream, { events, seen }]): AuditFinding => {
        const message = `${events - seen} of ${events} events of ${stream} are gone: it was removed on record, but only as a whole`
        return { kind: 'dropped', message, stream }
      }),
    ]
  }
}
