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
}

/** Streams per generation; two generations of about 150 bytes a stream are kept. */
const GENERATION = 32_768

export class Heads {
  #young = new Map<string, Head>()
  #old = new Map<string, Head>()
  #epoch = 0

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
    const head = { number, revision, epoch: this.#epoch }
    this.#remember(name, head)
    return head
  }

  setNumber(name: string, number: number): void {
    if (this.#find(name) === undefined) this.#remember(name, { number, revision: UNKNOWN, epoch: -1 })
  }

  /** Streams whose creation was rolled back. */
  forget(names: Iterable<string>): void {
    for (const name of names) {
      this.#young.delete(name)
      this.#old.delete(name)
    }
  }

  /** Nothing that was learnt can be relied on. */
  clear(): void {
    this.#young.clear()
    this.#old.clear()
  }

  /** Somebody else has written: numbers stay, revisions do not. */
  invalidate(): void {
    this.#epoch += 1
  }

  #find(name: string): Head | undefined {
    const young = this.#young.get(name)
    if (young !== undefined) return young
    const old = this.#old.get(name)
    if (old !== undefined) this.#remember(name, old)
    return old
  }

  #remember(name: string, head: Head): void {
    if (this.#young.size >= GENERATION) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(name, head)
  }
}
