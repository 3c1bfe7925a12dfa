/** Which events of an export are not as they were, by the leaf hashes that a log keeps, and so the file has: its root cannot say. */
import type { BundleLine } from '../../domain/audit/bundle.js'
import { sameBytes } from '../../domain/audit/encoding.js'
import type { LeavesHashed } from '../../domain/audit/events.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import { HASH_BYTES, isLeaf, LeafHasher, type Sha256 } from '../../domain/audit/leaf.js'
import type { Span } from '../../domain/audit/merkle.js'
import type { EventTexts } from '../../domain/event.js'
import { contentOf, factsOf } from './facts.js'
import type { AuditFinding } from './findings.js'
import { about } from './findings.js'

/** Leaf hashes that stand together, and which the first of them is. */
export interface KeptPage {
  readonly from: number
  readonly leaves: Uint8Array
}

export function keptIn(event: EventTexts): KeptPage | undefined {
  if (event.stream !== AUDIT_STREAM || event.type !== 'LeavesHashed') return undefined
  const [from, leaves] = [factsOf<LeavesHashed>(event)?.from, contentOf(event)]
  return Number.isSafeInteger(from) && leaves !== undefined ? { from: from as number, leaves } : undefined
}

/** More of them say nothing more. */
const MOST = 100

/** Takes the lines of the file once more. */
export class SliceLocator {
  readonly #hasher: LeafHasher
  readonly #slice: Span
  /** Those of the slice; nothing where the file has none. */
  readonly #kept: (Uint8Array | undefined)[] = []
  readonly #findings: AuditFinding[] = []
  #next: number
  /** Not what is kept of leaf `next`: what comes behind it says whether it was changed or came in. */
  #strange: { readonly event: EventTexts | undefined } | undefined

  constructor(sha256: Sha256, kept: readonly KeptPage[], slice: Span) {
    this.#hasher = new LeafHasher(sha256)
    this.#slice = slice
    this.#next = slice.from
    // Of several attempts at the same leaves the last is the one that was signed.
    for (const { from, leaves } of kept) {
      for (let at = 0; at < leaves.length; at += HASH_BYTES) {
        const index = from + at / HASH_BYTES
        if (index >= slice.from && index < slice.to)
          this.#kept[index - slice.from] = leaves.subarray(at, at + HASH_BYTES)
      }
    }
  }

  line(read: BundleLine): void {
    if (this.#next >= this.#slice.to || this.#findings.length >= MOST) return
    if (read.kind === 'leaf') this.#meet(read.leaf, undefined)
    else if (read.kind === 'event' && isLeaf(read.event)) this.#meet(this.#hasher.hash(read.event), read.event)
  }

  /** After the last line. */
  get findings(): readonly AuditFinding[] {
    if (this.#strange !== undefined) this.#tellChanged(this.#strange)
    this.#strange = undefined
    return this.#findings
  }

  #meet(leaf: Uint8Array, event: EventTexts | undefined): void {
    const strange = this.#strange
    this.#strange = undefined
    if (this.#isAt(this.#next, leaf)) {
      if (strange !== undefined) this.#tell('inserted', strange, 'was not in the log there')
      this.#next += 1
    } else if (this.#kept[this.#next + 1 - this.#slice.from] !== undefined && this.#isAt(this.#next + 1, leaf)) {
      if (strange !== undefined) this.#tellChanged(strange)
      else {
        this.#tell('dropped', { event }, 'stands where another one did, which is gone')
        this.#next += 1
      }
      this.#next += 1
    } else {
      if (strange !== undefined) this.#tellChanged(strange)
      this.#strange = { event }
    }
  }

  /** Also where nothing is kept. */
  #isAt(index: number, leaf: Uint8Array): boolean {
    const kept = this.#kept[index - this.#slice.from]
    return kept === undefined || sameBytes(kept, leaf)
  }

  #tellChanged(strange: { readonly event: EventTexts | undefined }): void {
    this.#tell('changed', strange, 'is not what the log kept of it')
    this.#next += 1
  }

  #tell(kind: AuditFinding['kind'], { event }: { readonly event: EventTexts | undefined }, what: string): void {
    const leaf = this.#next
    if (event !== undefined) this.#findings.push(about(kind, event, leaf, `(leaf ${leaf}) ${what}`))
    else this.#findings.push({ kind, message: `the bare leaf ${leaf} ${what}`, leaves: { from: leaf, to: leaf } })
  }
}
