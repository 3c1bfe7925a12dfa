/** Where streams stand, remembered between appends, so that most of them need no read. */

/** The number of a stream that is removed for ever has this head. */
export const HEAD_REMOVED = -1

const UNKNOWN = -2

export interface Head {
  /** Position of the stream's first event. True for ever, since names and numbers are never used again. */
  readonly number: number
  /** Revision of its last event, or HEAD_REMOVED. */
  revision: number
  /** True only while nobody else writes: see `invalidate`. */
  epoch: number
  /** When it was last seen to be there, whatever its revision. */
  seen: number
}

/** Streams per generation; two generations of about 150 bytes a stream are kept. */
const GENERATION = 32_768

export class Heads {
  #young = new Map<string, Head>()
  #old = new Map<string, Head>()
  #epoch = 0
  /** The last question and its answer: a stream is asked for twice in a row when it is checked and then written. */
  #lastName: string | undefined
  #lastHead: Head | undefined
  #generation = 0

  /** Grows when streams may have been pushed out. */
  get generation(): number {
    return this.#generation
  }

  /** Where a stream surely stands, or undefined: then the caller must look. */
  get(name: string): Head | undefined {
    const head = this.#find(name)
    return head !== undefined && head.epoch === this.#epoch ? head : undefined
  }

  /** The stream's number, or undefined: then the caller must look. */
  number(name: string): number | undefined {
    return this.#find(name)?.number
  }

  set(name: string, number: number, revision: number): Head {
    const head = { number, revision, epoch: this.#epoch, seen: this.#epoch }
    this.#remember(name, head)
    return head
  }

  /** A stream was seen to be there. */
  setNumber(name: string, number: number): void {
    const head = this.#find(name)
    if (head === undefined) this.#remember(name, { number, revision: UNKNOWN, epoch: UNKNOWN, seen: this.#epoch })
    else head.seen = this.#epoch
  }

  /**
   * For a stream that is hoped to have one event only: it has been seen, and since then nobody else has written, so it was
   * not removed. Whether it has moved on is left to the index.
   */
  startedAt0(name: string): Head | undefined {
    const head = this.#find(name)
    if (head === undefined || head.epoch === this.#epoch) return head
    return head.seen === this.#epoch ? this.set(name, head.number, 0) : undefined
  }

  /** Streams whose creation was rolled back. */
  forget(names: Iterable<string>): void {
    for (const name of names) {
      this.#young.delete(name)
      this.#old.delete(name)
    }
    this.#lastName = undefined
  }

  /** Nothing that was learnt can be relied on. */
  clear(): void {
    this.#young.clear()
    this.#old.clear()
    this.#lastName = undefined
  }

  /** Somebody else has written: numbers stay, revisions do not. */
  invalidate(): void {
    this.#epoch += 1
  }

  #find(name: string): Head | undefined {
    if (name !== this.#lastName) {
      this.#lastHead = this.#young.get(name) ?? this.#revive(name)
      this.#lastName = name
    }
    return this.#lastHead
  }

  #revive(name: string): Head | undefined {
    const head = this.#old.get(name)
    if (head !== undefined) this.#remember(name, head)
    return head
  }

  #remember(name: string, head: Head): void {
    if (this.#young.size >= GENERATION) {
      this.#old = this.#young
      this.#young = new Map()
      this.#generation += 1
    }
    this.#young.set(name, head)
    this.#lastName = name
    this.#lastHead = head
  }
}
