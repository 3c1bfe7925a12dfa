/** The hash tree of RFC 6962 and RFC 9162: roots, what proves that a leaf is in one, and that one tree grew out of another. */
import { sameBytes } from './encoding.js'
import { HASH_BYTES, type Sha256 } from './leaf.js'

const NODE = 0x01

/** sha256(0x01 || left || right). */
export function nodeHasher(sha256: Sha256): (left: Uint8Array, right: Uint8Array) => Uint8Array {
  const room = new Uint8Array(65)
  room[0] = NODE
  return (left, right) => {
    room.set(left, 1)
    room.set(right, 33)
    return sha256(room)
  }
}

export type NodeHash = ReturnType<typeof nodeHasher>

/** Leaves from `from` up to and without `to`. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** Told of each whole subtree (as many leaves as a power of two, from a multiple of that on) once its last leaf is there. */
export type OnSubtree = (from: number, leaves: number, root: Uint8Array) => void

/**
 * A tree that grows: all it keeps are the roots of its largest whole subtrees, from left to right. What is proven of it is
 * collected on the way, with `onSubtree`.
 */
export class Frontier {
  readonly #sha256: Sha256
  readonly #onSubtree: OnSubtree | undefined
  /** One after the other, behind a byte that is lent to the first of them: see `push`. */
  readonly #roots = new Uint8Array(1 + MOST_ROOTS * HASH_BYTES)
  /** Of two roots with the byte before them: a node as it is hashed. */
  readonly #nodes: readonly Uint8Array[] = Array.from({ length: MOST_ROOTS - 1 }, (_, index) =>
    this.#roots.subarray(index * HASH_BYTES, index * HASH_BYTES + 1 + 2 * HASH_BYTES),
  )
  #count: number
  #size: number

  /** `begun`: a tree of so many leaves, by what `roots` has given. Throws TypeError where that is no such tree. */
  constructor(sha256: Sha256, begun: { size: number; roots: readonly Uint8Array[] } = EMPTY, onSubtree?: OnSubtree) {
    const wholes = wholesOf({ from: 0, to: begun.size })
    const { length } = begun.roots
    if (wholes.length !== length || begun.roots.some((root) => root.length !== HASH_BYTES)) {
      throw new TypeError(`Expected ${wholes.length} roots for ${begun.size} leaves, got ${length}.`)
    }
    this.#sha256 = sha256
    this.#onSubtree = onSubtree
    for (const [index, root] of begun.roots.entries()) this.#roots.set(root, 1 + index * HASH_BYTES)
    this.#count = length
    this.#size = begun.size
    for (const [index, { from, to }] of wholes.entries()) onSubtree?.(from, to - from, begun.roots[index] as Uint8Array)
  }

  get size(): number {
    return this.#size
  }

  get roots(): readonly Uint8Array[] {
    return Array.from({ length: this.#count }, (_, index) => this.#root(index))
  }

  #root(index: number): Uint8Array {
    return this.#roots.slice(1 + index * HASH_BYTES, 1 + (index + 1) * HASH_BYTES)
  }

  /** The 32 bytes of `leaf` from `at` on. Costs one hash, and makes nothing that has to be cleared away. */
  push(leaf: Uint8Array, at = 0): void {
    const roots = this.#roots
    const end = 1 + this.#count * HASH_BYTES
    for (let index = 0; index < HASH_BYTES; index += 1) roots[end + index] = leaf[at + index] as number
    let leaves = 1
    this.#tell(leaves)
    for (let rest = this.#size; rest % 2 === 1; rest = (rest - 1) / 2) {
      this.#count -= 1
      const before = this.#count * HASH_BYTES
      const lent = roots[before] as number
      roots[before] = NODE
      this.#sha256(this.#nodes[this.#count] as Uint8Array, roots, before + 1)
      roots[before] = lent
      leaves *= 2
      this.#tell(leaves)
    }
    this.#count += 1
    this.#size += 1
  }

  #tell(leaves: number): void {
    this.#onSubtree?.(this.#size + 1 - leaves, leaves, this.#root(this.#count))
  }

  root(): Uint8Array {
    const node = nodeHasher(this.#sha256)
    const { roots } = this
    return roots.length === 0 ? this.#sha256(new Uint8Array(0)) : roots.reduceRight((right, left) => node(left, right))
  }
}

/** Of a tree of any size that a number can count. */
const MOST_ROOTS = 54

const EMPTY = { size: 0, roots: [] }

export function rootOf(sha256: Sha256, leaves: Iterable<Uint8Array>): Uint8Array {
  const tree = new Frontier(sha256)
  for (const leaf of leaves) tree.push(leaf)
  return tree.root()
}

/** Where a tree over these leaves is divided: after the greatest power of two of them that is less than all. */
function middle({ from, to }: Span): number {
  let half = 1
  while (half * 2 < to - from) half *= 2
  return from + half
}

const isWhole = (span: Span): boolean =>
  span.to - span.from === 1 || (middle(span) - span.from) * 2 === span.to - span.from

/** The whole subtrees that a part of a tree is put together of, from left to right. */
export function wholesOf(span: Span): Span[] {
  if (span.from === span.to) return []
  if (isWhole(span)) return [span]
  const at = middle(span)
  return [{ from: span.from, to: at }, ...wholesOf({ from: at, to: span.to })]
}

/** The subtrees whose roots are the audit path of a leaf, the leaf's own neighbour first (RFC 9162 §2.1.3.1). */
export function inclusionSpans(index: number, span: Span): Span[] {
  if (span.to - span.from <= 1) return []
  const at = middle(span)
  const [left, right] = [
    { from: span.from, to: at },
    { from: at, to: span.to },
  ]
  return index < at ? [...inclusionSpans(index, left), right] : [...inclusionSpans(index, right), left]
}

/** The subtrees whose roots prove that the tree of `size` leaves begins with that of the first `old` (RFC 9162 §2.1.4.1). */
export function consistencySpans(old: number, size: number): Span[] {
  if (old === 0 || old === size) return []
  const prove = (span: Span, isOld: boolean): Span[] => {
    if (old === span.to) return isOld ? [] : [span]
    const at = middle(span)
    const [left, right] = [
      { from: span.from, to: at },
      { from: at, to: span.to },
    ]
    return old <= at ? [...prove(left, isOld), right] : [...prove(right, false), left]
  }
  return prove({ from: 0, to: size }, true)
}

/** The largest subtrees of a tree of `size` leaves outside a slice of it, from left to right: with its leaves they make the root. */
export function outsideSpans(slice: Span, size: number): Span[] {
  const outside = (span: Span): Span[] => {
    if (span.from >= slice.from && span.to <= slice.to) return []
    if (span.to <= slice.from || span.from >= slice.to) return [span]
    const at = middle(span)
    return [...outside({ from: span.from, to: at }), ...outside({ from: at, to: span.to })]
  }
  return size === 0 ? [] : outside({ from: 0, to: size })
}

/** The root over part of a tree, out of the roots of its whole subtrees. */
export function spanRoot(
  node: NodeHash,
  span: Span,
  subtree: (from: number, leaves: number) => Uint8Array,
): Uint8Array {
  if (isWhole(span)) return subtree(span.from, span.to - span.from)
  const at = middle(span)
  return node(spanRoot(node, { from: span.from, to: at }, subtree), spanRoot(node, { from: at, to: span.to }, subtree))
}

/** The root that a leaf and its path lead to; undefined for a path that fits no such leaf of such a tree. */
export function rootByInclusion(
  node: NodeHash,
  { leaf, index, size, path }: { leaf: Uint8Array; index: number; size: number; path: readonly Uint8Array[] },
): Uint8Array | undefined {
  const spans = index < size ? inclusionSpans(index, { from: 0, to: size }) : undefined
  if (spans?.length !== path.length) return undefined
  return path.reduce(
    (root, other, step) => ((spans[step] as Span).from > index ? node(root, other) : node(other, root)),
    leaf,
  )
}

/** Whether the tree of `size` leaves begins with that of `old` leaves, by the roots of both. */
export function isConsistent(
  node: NodeHash,
  trees: { old: number; oldRoot: Uint8Array; size: number; root: Uint8Array; proof: readonly Uint8Array[] },
): boolean {
  const { old, oldRoot, size, root, proof } = trees
  if (old > size) return false
  if (old === size) return proof.length === 0 && sameBytes(oldRoot, root)
  if (old === 0) return proof.length === 0
  const spans = consistencySpans(old, size)
  if (spans.length !== proof.length) return false
  const given = new Map(spans.map(({ from, to }, index) => [`${from}-${to}`, proof[index] as Uint8Array]))
  const rebuild = (span: Span, end: number): Uint8Array | undefined => {
    const known = given.get(`${span.from}-${span.to}`)
    if (known !== undefined) return known
    if (span.from === 0 && span.to === old) return oldRoot
    if (span.to - span.from <= 1) return undefined
    const at = middle(span)
    const left = rebuild({ from: span.from, to: at }, end)
    // Of the old tree only what lies before its end.
    if (at >= end) return left
    const right = rebuild({ from: at, to: span.to }, end)
    return left && right && node(left, right)
  }
  const [first, whole] = [rebuild({ from: 0, to: size }, old), rebuild({ from: 0, to: size }, size)]
  return first !== undefined && whole !== undefined && sameBytes(first, oldRoot) && sameBytes(whole, root)
}

/** Leaves of a tree from one on, without a gap: all it keeps are the roots of the largest whole subtrees that they make. */
export class SliceTree {
  readonly from: number
  readonly #node: NodeHash
  readonly #parts: { readonly from: number; readonly leaves: number; readonly root: Uint8Array }[] = []
  #to: number

  /** `from`: the first leaf. */
  constructor(sha256: Sha256, from: number) {
    this.#node = nodeHasher(sha256)
    this.from = from
    this.#to = from
  }

  /** Without this one. */
  get to(): number {
    return this.#to
  }

  push(leaf: Uint8Array): void {
    let part = { from: this.#to, leaves: 1, root: leaf }
    for (let left = this.#parts.at(-1); left?.leaves === part.leaves; left = this.#parts.at(-1)) {
      if (left.from % (2 * part.leaves) !== 0) break
      part = { from: left.from, leaves: 2 * part.leaves, root: this.#node(left.root, part.root) }
      this.#parts.pop()
    }
    this.#parts.push(part)
    this.#to += 1
  }

  /** Of a tree of `size` leaves, with the roots of what is outside of these, from left to right; undefined where their number does not fit. */
  root(size: number, outside: readonly Uint8Array[]): Uint8Array | undefined {
    const slice = { from: this.from, to: this.#to }
    if (slice.from === slice.to || slice.to > size || outsideSpans(slice, size).length !== outside.length)
      return undefined
    const [others, parts] = [outside.values(), this.#parts.values()]
    const root = (span: Span): Uint8Array => {
      if (span.to <= slice.from || span.from >= slice.to) return others.next().value as Uint8Array
      // Whole subtrees inside come as they were pushed.
      if (span.from >= slice.from && span.to <= slice.to && isWhole(span)) return parts.next().value?.root as Uint8Array
      const at = middle(span)
      const left = root({ from: span.from, to: at })
      return this.#node(left, root({ from: at, to: span.to }))
    }
    return root({ from: 0, to: size })
  }
}
