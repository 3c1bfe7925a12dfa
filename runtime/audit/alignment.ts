/** The events of the log beside the leaf hashes that were kept of them, in the same order. */
import { HASH_BYTES } from '../../domain/audit/leaf.js'
import type { LeafSet } from './leaf-set.js'

const NOTHING = new Uint8Array(0)

export class Alignment {
  readonly #pages: AsyncIterator<Uint8Array>
  readonly #removed: LeafSet
  readonly #onGone: (index: number, leaf: Uint8Array) => void
  #page: Uint8Array = NOTHING
  #at = 0
  /** Of the next kept leaf. */
  index = 0
  /** Leaves of events that were removed on record. */
  gone = 0

  /** `onGone`: told of each leaf of an event that was removed on record. */
  constructor(
    pages: AsyncIterator<Uint8Array>,
    removed: LeafSet,
    onGone: (index: number, leaf: Uint8Array) => void = () => {},
  ) {
    this.#pages = pages
    this.#removed = removed
    this.#onGone = onGone
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
      const isSame = isAt(this.#page, this.#at, leaf)
      if (!isSame && !this.#removed.has(this.#page, this.#at)) return 'other'
      this.#at += HASH_BYTES
      this.index += 1
      if (isSame) return 'same'
      this.gone += 1
      this.#onGone(this.index - 1, this.#page.subarray(this.#at - HASH_BYTES, this.#at))
    }
    return 'spent'
  }

  /** As `take`, with as many leaves as it takes. */
  async find(leaf: Uint8Array): Promise<'same' | 'spent' | 'other'> {
    for (;;) {
      const found = this.take(leaf)
      if (found !== 'spent' || !(await this.next())) return found
    }
  }

  /** What is left, as far as it was removed on record. True: that is all. */
  async takeRest(): Promise<boolean> {
    for (;;) {
      if (this.take(NOTHING) === 'other') return false
      if (!(await this.next())) return true
    }
  }
}

/** Of no bytes: never. */
function isAt(page: Uint8Array, at: number, leaf: Uint8Array): boolean {
  for (let index = 0; index < HASH_BYTES; index += 1) if (page[at + index] !== leaf[index]) return false
  return true
}
