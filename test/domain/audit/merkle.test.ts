import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeDigest } from '../../../adapters/node/digest.js'
import { fromHex, toHex } from '../../../domain/audit/encoding.js'
import type { Span } from '../../../domain/audit/merkle.js'
import {
  consistencySpans,
  Frontier,
  inclusionSpans,
  isConsistent,
  nodeHasher,
  outsideSpans,
  rootByInclusion,
  rootOf,
  SliceTree,
  spanRoot,
  wholesOf,
} from '../../../domain/audit/merkle.js'

const { hash } = nodeDigest
const node = nodeHasher(hash)
const leafOf = (hex: string): Uint8Array => hash(Uint8Array.of(0, ...(fromHex(hex) ?? [])))
const leaves = (count: number): Uint8Array[] => Array.from({ length: count }, (_, index) => leafOf(`0${index % 10}`))

/** RFC 6962 §2.1, word for word: slow, and plainly right. */
function byDefinition(all: readonly Uint8Array[]): Uint8Array {
  if (all.length === 0) return hash(new Uint8Array(0))
  if (all.length === 1) return all[0] as Uint8Array
  let half = 1
  while (half * 2 < all.length) half *= 2
  return hash(Uint8Array.of(1, ...byDefinition(all.slice(0, half)), ...byDefinition(all.slice(half))))
}

const rootsOf = (all: readonly Uint8Array[], spans: readonly Span[]): Uint8Array[] =>
  spans.map(({ from, to }) => byDefinition(all.slice(from, to)))

describe('the tree that certificate-transparency implementations agree on', () => {
  const inputs = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
  const roots = [
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
    '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
    'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
    '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
  ]

  test.each(roots.map((root, size) => [size, root] as const))('of %i leaves', (size, root) => {
    expect(toHex(rootOf(hash, inputs.slice(0, size).map(leafOf)))).toBe(root)
  })
})

const size = fc.integer({ min: 1, max: 70 })

describe('every tree', () => {
  test('has the root of the definition, however it was grown', () => {
    fc.assert(
      fc.property(size, fc.nat(70), (count, at) => {
        const all = leaves(count)
        const begun = new Frontier(hash)
        for (const leaf of all.slice(0, at)) begun.push(leaf)
        const resumed = new Frontier(hash, begun)
        for (const leaf of all.slice(at)) resumed.push(leaf)
        expect(resumed.size).toBe(count)
        expect(toHex(resumed.root())).toBe(toHex(byDefinition(all)))
      }),
    )
  })

  test('proves each leaf, and no other in its place', () => {
    fc.assert(
      fc.property(size, fc.nat(), (count, pick) => {
        const all = leaves(count)
        const index = pick % count
        const path = rootsOf(all, inclusionSpans(index, { from: 0, to: count }))
        const leaf = all[index] as Uint8Array
        const root = toHex(byDefinition(all))
        const by = (change: Partial<Parameters<typeof rootByInclusion>[1]>): string | undefined => {
          const found = rootByInclusion(node, { leaf, index, size: count, path, ...change })
          return found && toHex(found)
        }
        expect(by({})).toBe(root)
        expect(by({ leaf: leafOf('ff') })).not.toBe(root)
        expect(by({ path: [...path, leaf] })).toBeUndefined()
        expect(by({ index: count })).toBeUndefined()
      }),
    )
  })

  test('proves that it grew out of each smaller one, and out of no other', () => {
    fc.assert(
      fc.property(size, fc.nat(), (count, pick) => {
        const all = leaves(count)
        const old = pick % (count + 1)
        const proof = rootsOf(all, consistencySpans(old, count))
        const trees = { old, oldRoot: byDefinition(all.slice(0, old)), size: count, root: byDefinition(all), proof }
        expect(isConsistent(node, trees)).toBe(true)
        if (old > 0) expect(isConsistent(node, { ...trees, oldRoot: leafOf('ff') })).toBe(false)
        if (old > 0) expect(isConsistent(node, { ...trees, root: leafOf('ff') })).toBe(false)
        expect(isConsistent(node, { ...trees, proof: [...proof, leafOf('ff')] })).toBe(false)
      }),
    )
  })

  test('proves any slice by what is around it', () => {
    fc.assert(
      fc.property(size, fc.nat(), fc.nat(), (count, first, last) => {
        const all = leaves(count)
        const from = first % count
        const to = from + (last % (count - from + 1))
        const tree = new SliceTree(hash, from)
        for (const leaf of all.slice(from, to)) tree.push(leaf)
        const outside = rootsOf(all, outsideSpans({ from, to }, count))
        if (from === to) expect(tree.root(count, outside)).toBeUndefined()
        else expect(tree.root(count, outside)).toEqual(byDefinition(all))
        expect(tree.root(count, [...outside, leafOf('ff')])).toBeUndefined()
      }),
    )
  })

  test('gives away its whole subtrees as it grows, of which any part of it is put together', () => {
    fc.assert(
      fc.property(size, fc.nat(), (count, pick) => {
        const all = leaves(count)
        const subtrees = new Map<string, Uint8Array>()
        const tree = new Frontier(hash, undefined, (from, many, root) => subtrees.set(`${from}+${many}`, root))
        for (const leaf of all) tree.push(leaf)
        const subtree = (from: number, many: number): Uint8Array => subtrees.get(`${from}+${many}`) as Uint8Array
        for (const span of inclusionSpans(pick % count, { from: 0, to: count })) {
          expect(spanRoot(node, span, subtree)).toEqual(byDefinition(all.slice(span.from, span.to)))
        }
        expect(tree.roots).toEqual(wholesOf({ from: 0, to: count }).map(({ from, to }) => subtree(from, to - from)))
      }),
    )
  })
})

test('a frontier that fits no tree of its size is refused', () => {
  expect(() => new Frontier(hash, { size: 3, roots: [leafOf('')] })).toThrow(TypeError)
})
