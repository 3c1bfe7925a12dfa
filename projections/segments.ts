import type { JobsRemoved, SegmentSealed, StreamRange } from '../domain/audit/events.js'
import { AUDIT_STREAM } from '../domain/audit/events.js'
import type { RecordedEvent } from '../domain/event.js'

/** A sealed segment. */
export interface Segment extends SegmentSealed {
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
}

/** What the log says of the segments of its archive, in the order in which they were sealed. */
export class Segments {
  #revision = -1
  readonly #byName = new Map<string, Segment>()
  /** Those in whose place another one is. */
  readonly #replaced = new Map<string, string>()
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

  /** There are streams whose beginnings are in it. */
  get hasCuts(): boolean {
    return this.#cuts.size > 0
  }

  /** Segments with a beginning of this stream, by revision; they may have some of it in common. */
  cutsOf(stream: string): readonly { readonly name: string; readonly from: number; readonly to: number }[] {
    return this.#cuts.get(stream) ?? []
  }

  apply({ stream, revision, type, data }: RecordedEvent): void {
    if (stream !== AUDIT_STREAM) return
    this.#revision = revision
    if (type === 'SegmentSealed') this.#seal(data as SegmentSealed)
    if (type === 'JobsRemoved') this.#take(data as JobsRemoved)
  }

  #seal(sealed: SegmentSealed): void {
    const { name, jobs, replaces, cut } = sealed
    if (this.#byName.has(name)) return
    const old = replaces === undefined ? undefined : this.#byName.get(replaces)
    const taken = old === undefined ? [] : old.taken
    this.#byName.set(name, taken === undefined ? sealed : withTaken(sealed, taken, jobs))
    if (replaces !== undefined) this.#replace(replaces, name)
    for (const range of cut ?? []) this.#cut(name, range)
  }

  #replace(old: string, name: string): void {
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

  #take({ segment, jobs }: JobsRemoved): void {
    const found = segment === undefined ? undefined : this.get(segment)
    if (found?.taken === undefined) return
    const { taken, ...sealed } = found
    this.#byName.set(found.name, withTaken(sealed, [...new Set([...taken, ...jobs.map(({ id }) => id)])], found.jobs))
  }

  /** For a checkpoint. */
  toJSON(): SavedSegments {
    return { revision: this.#revision, segments: [...this.#byName.values()], replaced: [...this.#replaced] }
  }

  /** Takes up what `toJSON` gave. */
  restore({ revision, segments, replaced }: SavedSegments): void {
    this.#revision = revision
    for (const segment of segments) {
      this.#seal(segment)
      this.#byName.set(segment.name, segment)
    }
    for (const [old, name] of replaced) this.#replaced.set(old, name)
  }
}

const withTaken = (sealed: SegmentSealed, taken: readonly string[], jobs: number): Segment =>
  taken.length >= jobs ? sealed : { ...sealed, taken }
