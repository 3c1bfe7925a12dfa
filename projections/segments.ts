import type { JobsRemoved, SegmentBegun, SegmentDropped, SegmentSealed, StreamRange } from '../domain/audit/events.js'
import { AUDIT_STREAM } from '../domain/audit/events.js'
import type { RecordedEvent } from '../domain/event.js'

/** A sealed segment. */
export interface Segment extends Omit<SegmentSealed, 'expunged'> {
  /**
   * Of its jobs those that have left the log for it; absent once all have. Of the others it says nothing: they are in the log
   * still, or have left it in another way.
   */
  readonly taken?: readonly string[]
}

export interface SavedSegments {
  readonly revision: number
  readonly segments: readonly Segment[]
  readonly replaced: readonly (readonly [old: string, name: string])[]
  readonly begun: readonly (readonly [name: string, at: number])[]
}

/** What the log says of the segments of its archive, in the order in which they were sealed. */
export class Segments {
  #revision = -1
  readonly #byName = new Map<string, Segment>()
  /** Those in whose place another one is, or none: then they stand for themselves. */
  readonly #replaced = new Map<string, string>()
  /** Those that may be on their way, and since when (ms). */
  readonly #begun = new Map<string, number>()
  /** By stream: the segments that have a beginning of it. */
  readonly #cuts = new Map<string, { readonly name: string; readonly from: number; readonly to: number }[]>()

  /** Of the last event of the audit stream that was folded. */
  get revision(): number {
    return this.#revision
  }

  get size(): number {
    return this.#byName.size
  }

  get all(): Iterable<Segment> {
    return this.#byName.values()
  }

  /** The one that is in its place now. */
  get(name: string): Segment | undefined {
    return this.#byName.get(this.#replaced.get(name) ?? name)
  }

  /** Whether a file of this name, which once was one, is nobody's any more. */
  isGone(name: string): boolean {
    return this.#replaced.has(name)
  }

  /** Some are gone. */
  get hasGone(): boolean {
    return this.#replaced.size > 0
  }

  get begun(): ReadonlyMap<string, number> {
    return this.#begun
  }

  /** There are streams whose beginnings are in it. */
  get hasCuts(): boolean {
    return this.#cuts.size > 0
  }

  /** Segments with a beginning of this stream, by revision; they may have some of it in common. */
  cutsOf(stream: string): readonly { readonly name: string; readonly from: number; readonly to: number }[] {
    return this.#cuts.get(stream) ?? []
  }

  apply({ stream, revision, type, data, at }: RecordedEvent): void {
    if (stream !== AUDIT_STREAM) return
    this.#revision = revision
    if (type === 'SegmentBegun') this.#begun.set((data as SegmentBegun).name, at)
    if (type === 'SegmentSealed') this.#seal(data as SegmentSealed)
    if (type === 'SegmentDropped') this.#replace((data as SegmentDropped).name, (data as SegmentDropped).name)
    if (type === 'JobsRemoved') this.#take(data as JobsRemoved)
  }

  #seal({ expunged, ...sealed }: SegmentSealed): void {
    const { name, jobs, replaces, cut } = sealed
    this.#begun.delete(name)
    if (this.#byName.has(name)) return
    const old = replaces === undefined ? undefined : this.#byName.get(replaces)
    const taken = old === undefined ? [] : old.taken
    this.#byName.set(name, taken === undefined ? sealed : withTaken(sealed, taken, jobs))
    if (replaces !== undefined) this.#replace(replaces, name)
    for (const range of cut ?? []) this.#cut(name, range)
  }

  #replace(old: string, name: string): void {
    this.#begun.delete(old)
    this.#byName.delete(old)
    for (const [first, last] of this.#replaced) if (last === old) this.#replaced.set(first, name)
    this.#replaced.set(old, name)
  }

  #cut(name: string, [stream, from, to]: StreamRange): void {
    const cuts = this.#cuts.get(stream) ?? []
    cuts.push({ name, from, to })
    this.#cuts.set(
      stream,
      cuts.sort((a, b) => a.from - b.from),
    )
  }

  /** Told before what has taken the place of the segment that they went out of. */
  #take({ segment, outOf, jobs }: JobsRemoved): void {
    const name = segment ?? outOf
    const found = name === undefined ? undefined : this.get(name)
    if (found?.taken === undefined) return
    const { taken, ...sealed } = found
    const ids = new Set(taken)
    for (const { id } of jobs) outOf === undefined ? ids.add(id) : ids.delete(id)
    this.#byName.set(found.name, withTaken(sealed, [...ids], found.jobs))
  }

  /** For a checkpoint. */
  toJSON(): SavedSegments {
    const [segments, replaced, begun] = [[...this.#byName.values()], [...this.#replaced], [...this.#begun]]
    return { revision: this.#revision, segments, replaced, begun }
  }

  /** Takes up what `toJSON` gave. */
  restore({ revision, segments, replaced, begun }: SavedSegments): void {
    this.#revision = revision
    for (const segment of segments) {
      this.#seal(segment)
      this.#byName.set(segment.name, segment)
    }
    // In the order in which it was: two states that say the same are to look the same.
    this.#replaced.clear()
    for (const [old, name] of replaced) this.#replaced.set(old, name)
    for (const [name, at] of begun) this.#begun.set(name, at)
  }
}

const withTaken = (sealed: Segment, taken: readonly string[], jobs: number): Segment =>
  taken.length >= jobs ? sealed : { ...sealed, taken }
