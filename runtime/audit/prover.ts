/** What proves to an outsider that events are in the tree of a signed checkpoint, and that it grew out of an earlier one. */
import type { Manifest } from '../../domain/audit/bundle.js'
import { sameBytes, toBase64 } from '../../domain/audit/encoding.js'
import { HASH_BYTES, type Sha256 } from '../../domain/audit/leaf.js'
import type { Span } from '../../domain/audit/merkle.js'
import {
  consistencySpans,
  inclusionSpans,
  nodeHasher,
  outsideSpans,
  spanRoot,
  wholesOf,
} from '../../domain/audit/merkle.js'
import type { Checkpoint } from '../../domain/audit/note.js'
import { parseCheckpoint, parseNote } from '../../domain/audit/note.js'
import type { Position } from '../../domain/event.js'
import { START } from '../../domain/event.js'
import type { LogReader } from '../ports/event-store.js'
import { LogDiffers, ProofUnavailable } from './errors.js'
import { LeafSet } from './leaf-set.js'
import { grown } from './notary.js'
import { keptLeaves } from './reckoning.js'
import { allSigned, checked, type Signed } from './trail.js'

export interface Sought {
  readonly leaf: Uint8Array
  /** Position of its event. */
  readonly position: string
}

export interface Placed {
  readonly index: number
  readonly path: readonly Uint8Array[]
}

export class Prover {
  readonly #log: LogReader
  readonly #sha256: Sha256
  readonly #signed: readonly Signed[]
  readonly latest: Signed

  private constructor(log: LogReader, sha256: Sha256, signed: readonly Signed[], latest: Signed) {
    this.#log = log
    this.#sha256 = sha256
    this.#signed = signed
    this.latest = latest
  }

  /** Proves against the last checkpoint that was signed. Throws ProofUnavailable where there is none, LogDiffers. */
  static async open(log: LogReader, sha256: Sha256): Promise<Prover> {
    const signed = await allSigned(log)
    const latest = signed.at(-1)
    if (latest === undefined) throw new ProofUnavailable('Nothing can be proven yet: no checkpoint was ever signed.')
    return new Prover(log, sha256, signed, checked(latest))
  }

  /** Those of these events that the last checkpoint covers. Throws ProofUnavailable where it covers none. */
  covered<Event extends { readonly position: string }>(events: readonly Event[]): Event[] {
    const covered = events.filter(({ position }) => position <= this.latest.end)
    if (covered.length > 0) return covered
    throw new ProofUnavailable(
      `The event at position ${events[0]?.position} came after the last checkpoint: make another one, then it can be proven.`,
    )
  }

  /** Of each of these events, which the last checkpoint covers, its place; in their order. Throws LogDiffers. */
  async inclusion(events: readonly Sought[]): Promise<Placed[]> {
    const { size } = this.latest
    const begun = Math.min(...events.map(({ position }) => this.#signed.findIndex(({ end }) => position <= end)))
    const indexes = new Map<string, number>()
    const sought = new LeafSet()
    for (const { leaf } of events) {
      indexes.set(toBase64(leaf), -1)
      sought.add(leaf)
    }
    sought.close()
    const spans = (): Span[] => [...indexes.values()].flatMap((index) => inclusionSpans(index, { from: 0, to: size }))
    await this.#eachLeaf(begun, (leaf, index) => {
      if (!sought.has(leaf)) return
      const key = toBase64(leaf)
      if (indexes.has(key)) indexes.set(key, index)
    })
    const lost = events.find(({ leaf }) => indexes.get(toBase64(leaf)) === -1)
    if (lost !== undefined) {
      throw new LogDiffers(`The event at position ${lost.position} is not what was signed: audit.verify tells more.`)
    }
    const roots = await this.#roots(begun, spans())
    return events.map(({ leaf }) => {
      const index = indexes.get(toBase64(leaf)) as number
      return { index, path: inclusionSpans(index, { from: 0, to: size }).map(roots) }
    })
  }

  /** Proof that the tree of the last checkpoint begins with this one. Throws ProofUnavailable, LogDiffers. */
  async consistency(old: Checkpoint): Promise<Uint8Array[]> {
    const { size } = this.latest
    if (old.size > size) {
      throw new ProofUnavailable(`The last checkpoint covers ${size} leaves, the one since which to prove ${old.size}.`)
    }
    if (old.size === 0) return []
    const spans = consistencySpans(old.size, size)
    const before = wholesOf({ from: 0, to: old.size })
    const roots = await this.#roots(this.#rangeWith(old.size), [...spans, ...before])
    const node = nodeHasher(this.#sha256)
    const own = before.map(roots).reduceRight((right, left) => node(left, right))
    if (!sameBytes(own, old.root)) throw new LogDiffers(`The first ${old.size} leaves are not those of the checkpoint.`)
    return spans.map(roots)
  }

  /** What a manifest says of the checkpoint; with a note from before, also that it grew out of that. Throws as `consistency`, NoteUnreadable. */
  async seal(since: string | undefined): Promise<Pick<Manifest, 'origin' | 'checkpoint' | 'consistency'>> {
    const { note } = this.latest
    const sealed = { origin: parseCheckpoint(parseNote(note)).origin, checkpoint: note }
    if (since === undefined) return sealed
    const proof = await this.consistency(parseCheckpoint(parseNote(since)))
    return { ...sealed, consistency: { from: since, proof: proof.map(toBase64) } }
  }

  /** The kept leaves, of those checkpoints that end after a position; which is the first, and what position is before it. */
  keptAfter(position: Position): { index: number; after: Position; leaves: AsyncGenerator<Uint8Array> } {
    const before = this.#signed.findLastIndex(({ end }) => end <= position)
    const { size: index = 0, end: after = START } = this.#signed[before] ?? {}
    return { index, after, leaves: keptLeaves(this.#log, this.#signed.slice(before + 1)) }
  }

  /** Roots around a slice of leaves, which with them make the root of the last checkpoint. */
  async outside(slice: Span): Promise<Uint8Array[]> {
    const spans = outsideSpans(slice, this.latest.size)
    const roots = await this.#roots(this.#rangeWith(slice.from), spans)
    return spans.map(roots)
  }

  /** The checkpoint from whose tree a tree of `size` leaves can be grown. */
  #rangeWith(size: number): number {
    const after = this.#signed.findIndex((each) => each.size > size)
    return after === -1 ? this.#signed.length : after
  }

  /** Roots of parts of the tree, as far as they are before the checkpoint `begun`, whole subtrees of it, or behind it. */
  async #roots(begun: number, spans: readonly Span[]): Promise<(span: Span) => Uint8Array> {
    const wanted = new Set(spans.flatMap(wholesOf).map(({ from, to }) => `${from}+${to - from}`))
    const found = new Map<string, Uint8Array>()
    const tree = grown(this.#signed[begun - 1], this.#sha256, (from, leaves, root) => {
      const key = `${from}+${leaves}`
      if (wanted.has(key)) found.set(key, root)
    })
    await this.#eachLeaf(begun, (leaf) => tree.push(leaf))
    if (toBase64(tree.root()) !== this.latest.root) {
      throw new LogDiffers(
        'The leaf hashes that were kept do not make the root that was signed: audit.verify tells more.',
      )
    }
    const node = nodeHasher(this.#sha256)
    const subtree = (from: number, leaves: number): Uint8Array => {
      const root = found.get(`${from}+${leaves}`)
      if (root === undefined) throw new TypeError(`Expected a root for ${leaves} leaves from ${from}.`)
      return root
    }
    return (span) => spanRoot(node, span, subtree)
  }

  async #eachLeaf(begun: number, call: (leaf: Uint8Array, index: number) => void): Promise<void> {
    let index = this.#signed[begun - 1]?.size ?? 0
    for await (const leaves of keptLeaves(this.#log, this.#signed.slice(begun))) {
      for (let at = 0; at < leaves.length; at += HASH_BYTES) {
        call(leaves.subarray(at, at + HASH_BYTES), index)
        index += 1
      }
    }
  }
}
