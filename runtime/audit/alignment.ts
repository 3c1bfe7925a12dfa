/** The events of the log beside the leaf hashes that were kept of them, in the same order. */
import { sameBytes } from '../../domain/audit/encoding.js'
import { HASH_BYTES } from '../../domain/audit/leaf.js'
import type { LeafSet } from './leaf-set.js'

const NOTHING = new Uint8Array(0)

export class Alignment {
  readonly #pages: AsyncIterator<Uint8Array>
  readonly #removed: LeafSet
  #page: Uint8Array = NOTHING
  #at = 0
  /** Of the next kept leaf. */
  index = 0
  /** Leaves of events that were removed on record. */
  gone = 0

  constructor(pages: AsyncIterator<Uint8Array>, removed: LeafSet) {
    this.#pages = pages
    this.#removed = removed
  }

  /** No kept leaf is at hand: `next` gets some. */
  get isSpent(): boolean {
    return this.#at === this.#page.length
  }

  /** False: there are no more. */
  async next(): Promise<boolean> {
    const { value, done } = await this.#pages.next()
    this.#page = done === true ? NOTHING : value
    this.#at = 0
    return !this.isSpent
  }

  /** Whether the next kept leaf is this one. Those of removed events are passed over, as far as they are at hand. */
  take(leaf: Uint8Array): 'same' | 'spent' | 'other' {
    while (!this.isSpent) {
      const kept = this.#page.subarray(this.#at, this.#at + HASH_BYTES)
      const isSame = sameBytes(kept, leaf)
      if (!isSame && !this.#removed.has(kept)) return 'other'
      this.#at += HASH_BYTES
      this.index += 1
      if (isSame) return 'same'
      this.gone += 1
    }
    return 'spent'
  }

  /** What is left, as far as it was removed on record. True: that is all. */
  async takeRest(): Promise<boolean> {
    for (;;) {
      if (this.take(NOTHING) === 'other') return false
      if (!(await this.next())) return true
    }
  }
}
