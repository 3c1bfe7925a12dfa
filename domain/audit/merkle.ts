/** The hash tree of RFC 6962 and RFC 9162: roots, what proves that a leaf is in one, and that one tree grew out of another. */
import { sameBytes } from './encoding.js'
import type { Sha256 } from './leaf.js'

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
  readonly #node: NodeHash
  readonly #onSubtree: OnSubtree | undefined
  readonly #roots: Uint8Array[]
  #size: number

  /** `begun`: a tree of so many leaves, by what `roots` has given. Throws TypeError where that is no such tree. */
  constructor(sha256: Sha256, begun: { size: number; roots: readonly Uint8Array[] } = EMPTY, onSubtree?: OnSubtree) {
    const wholes = wholesOf({ from: 0, to: begun.size })
    if (wholes.length !== begun.roots.length) {
      throw new TypeError(`Expected ${wholes.length} roots for ${begun.size} leaves, got ${begun.roots.length}.`)
    }
    this.#sha256 = sha256
    this.#node = nodeHasher(sha256)
    this.#onSubtree = onSubtree
    this.#roots = [...begun.roots]
    this.#size = begun.size
    for (const [index, { from, to }] of wholes.entries()) onSubtree?.(from, to - from, begun.roots[index] as Uint8Array)
  }

  get size(): number {
    return this.#size
  }

  get roots(): readonly Uint8Array[] {
    return [...this.#roots]
  }

  push(leaf: Uint8Array): void {
    let root = leaf
    let leaves = 1
    this.#onSubtree?.(this.#size, leaves, root)
    for (let rest = this.#size; rest % 2 === 1; rest = (rest - 1) / 2) {
      root = this.#node(this.#roots.pop() as Uint8Array, root)
      leaves *= 2
      this.#onSubtree?.(this.#size + 1 - leaves, leaves, root)
    }
    this.#roots.push(root)
    this.#size += 1
  }

  root(): Uint8Array {
    return (
      this.#roots.reduceRight<Uint8Array | undefined>(
        (right, left) => (right === undefined ? left : this.#node(left, right)),
        undefined,
      ) ?? this.#sha256(new Uint8Array(0))
    )
  }
}

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
