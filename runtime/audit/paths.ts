/**
 * Paths of many leaves, which come in their order. The tree is gone through twice: first for the roots of its large subtrees,
 * then block by block, so that of a tree of any size only one block is in memory.
 */
import { sameBytes, toBase64 } from '../../domain/audit/encoding.js'
import { HASH_BYTES, type Sha256 } from '../../domain/audit/leaf.js'
import type { NodeHash } from '../../domain/audit/merkle.js'
import { Frontier, inclusionSpans, nodeHasher, spanRoot, wholesOf } from '../../domain/audit/merkle.js'
import type { EventTexts } from '../../domain/event.js'
import { LogDiffers } from './errors.js'
import { wordsOf } from './findings.js'
import type { Prover } from './prover.js'

/** Leaves of a block, a power of two: 2 MiB, and as much again for what is above them. */
const BLOCK = 65_536

/** Roots of subtrees of a block and more, and of what is left at the end of the tree. */
export type Subtrees = ReadonlyMap<string, Uint8Array>

const keyOf = (from: number, leaves: number): string => `${from}+${leaves}`

export class Survey {
  readonly #prover: Prover
  readonly #leaves: AsyncIterator<Uint8Array>
  readonly #tree: Frontier
  readonly #found = new Map<string, Uint8Array>()
  #page: Uint8Array = new Uint8Array(0)
  #at = 0

  constructor(prover: Prover, sha256: Sha256) {
    const { size } = prover.latest
    const wanted = new Set(wholesOf({ from: 0, to: size }).map(({ from, to }) => keyOf(from, to - from)))
    this.#prover = prover
    this.#leaves = prover.keptAfter('').leaves
    this.#tree = new Frontier(sha256, undefined, (from, leaves, root) => {
      if (leaves >= BLOCK || (size - from < BLOCK && wanted.has(keyOf(from, leaves))))
        this.#found.set(keyOf(from, leaves), root)
    })
  }

  get subtrees(): Subtrees {
    return this.#found
  }

  /** Its index; it stands behind the one that was found before. Throws LogDiffers. */
  async find(leaf: Uint8Array, event: EventTexts): Promise<number> {
    for (let next = await this.#next(); next !== undefined; next = await this.#next())
      if (sameBytes(next, leaf)) return this.#tree.size - 1
    throw new LogDiffers(`${wordsOf(event)} is not what was signed, or stands elsewhere: audit.verify tells more.`)
  }

  /** Throws LogDiffers. */
  async finish(): Promise<void> {
    while ((await this.#next()) !== undefined);
    if (toBase64(this.#tree.root()) === this.#prover.latest.root) return
    throw new LogDiffers(
      'The leaf hashes that were kept do not make the root that was signed: audit.verify tells more.',
    )
  }

  async #next(): Promise<Uint8Array | undefined> {
    while (this.#at === this.#page.length) {
      const { value, done } = await this.#leaves.next()
      if (done === true) return undefined
      this.#page = value
      this.#at = 0
    }
    this.#at += HASH_BYTES
    const leaf = this.#page.subarray(this.#at - HASH_BYTES, this.#at)
    this.#tree.push(leaf)
    return leaf
  }
}

export class Paths {
  readonly #size: number
  readonly #node: NodeHash
  readonly #subtrees: Subtrees
  readonly #leaves: AsyncGenerator<Uint8Array>
  #from = 0
  /** The block from there on: its leaves, above them the nodes of each two, and so on. */
  #levels: Uint8Array[] = []
  /** What was read of the next one. */
  #rest: Uint8Array = new Uint8Array(0)

  constructor(prover: Prover, sha256: Sha256, subtrees: Subtrees) {
    this.#size = prover.latest.size
    this.#node = nodeHasher(sha256)
    this.#subtrees = subtrees
    this.#leaves = prover.keptAfter('').leaves
  }

  /** `index`: not before the block of the one that was asked for last. */
  async of(index: number): Promise<Uint8Array[]> {
    while (this.#levels.length === 0 || index >= this.#from + BLOCK) await this.#readBlock()
    if (this.#levels.length === 1) this.#build()
    return inclusionSpans(index, { from: 0, to: this.#size }).map((span) => spanRoot(this.#node, span, this.#subtree))
  }

  async close(): Promise<void> {
    await this.#leaves.return(undefined)
  }

  readonly #subtree = (from: number, leaves: number): Uint8Array => {
    const known = this.#subtrees.get(keyOf(from, leaves))
    if (known !== undefined) return known
    const at = ((from - this.#from) / leaves) * HASH_BYTES
    const root = this.#levels[Math.log2(leaves)]?.subarray(at, at + HASH_BYTES)
    if (root?.length !== HASH_BYTES) throw new TypeError(`Expected a root for ${leaves} leaves from ${from}.`)
    return root
  }

  async #readBlock(): Promise<void> {
    if (this.#levels.length > 0) this.#from += BLOCK
    const block = new Uint8Array(Math.min(BLOCK, this.#size - this.#from) * HASH_BYTES)
    for (let filled = 0; filled < block.length; ) {
      if (this.#rest.length === 0) this.#rest = await this.#nextPage()
      const some = this.#rest.subarray(0, block.length - filled)
      block.set(some, filled)
      filled += some.length
      this.#rest = this.#rest.subarray(some.length)
    }
    this.#levels = [block]
  }

  async #nextPage(): Promise<Uint8Array> {
    const { value, done } = await this.#leaves.next()
    if (done !== true) return value
    throw new LogDiffers(`Kept leaf hashes are gone: audit.verify tells more.`)
  }

  #build(): void {
    for (let below = this.#levels[0] as Uint8Array; below.length >= 2 * HASH_BYTES; ) {
      const level = new Uint8Array(Math.floor(below.length / (2 * HASH_BYTES)) * HASH_BYTES)
      for (let at = 0; at < level.length; at += HASH_BYTES) {
        const [left, right] = [2 * at, 2 * at + HASH_BYTES]
        level.set(this.#node(below.subarray(left, right), below.subarray(right, right + HASH_BYTES)), at)
      }
      this.#levels.push(level)
      below = level
    }
  }
}
