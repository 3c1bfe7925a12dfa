/** Many leaf hashes, of which only is asked whether one is among them: eight bytes of each are kept. */
export class LeafSet {
  #values = new Float64Array(1_024)
  #count = 0

  /** Hashes one after the other. */
  add(hashes: Uint8Array): void {
    for (let at = 0; at < hashes.length; at += 32) {
      if (this.#count === this.#values.length) this.#enlarge()
      this.#values[this.#count] = numberAt(hashes, at)
      this.#count += 1
    }
  }

  /** No more come; from now on it may be asked. */
  close(): void {
    this.#values = this.#values.slice(0, this.#count).sort()
  }

  get size(): number {
    return this.#count
  }

  /** The hash that begins at `at`. */
  has(hashes: Uint8Array, at = 0): boolean {
    return this.indexOf(hashes, at) !== -1
  }

  /** Where it stands among all; -1: it is not there. */
  indexOf(hashes: Uint8Array, at = 0): number {
    const wanted = numberAt(hashes, at)
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#values[middle] as number) < wanted) low = middle + 1
      else high = middle
    }
    return low < this.#count && this.#values[low] === wanted ? low : -1
  }

  /** How many of these are not among those. Both are closed. */
  countBeyond(others: LeafSet): number {
    let [count, next] = [0, 0]
    for (let at = 0; at < this.#count; at += 1) {
      const value = this.#values[at] as number
      while (next < others.#count && (others.#values[next] as number) < value) next += 1
      if (next === others.#count || others.#values[next] !== value) count += 1
    }
    return count
  }

  #enlarge(): void {
    const more = new Float64Array(this.#values.length * 2)
    more.set(this.#values)
    this.#values = more
  }
}

/** The first 52 bits: two of a billion hashes have the same once in some thousands of logs. */
function numberAt(hashes: Uint8Array, at: number): number {
  let high = 0
  for (let index = 0; index < 3; index += 1) high = high * 256 + (hashes[at + index] as number)
  let low = 0
  for (let index = 3; index < 6; index += 1) low = low * 256 + (hashes[at + index] as number)
  return (high * 2 ** 24 + low) * 16 + ((hashes[at + 6] as number) >> 4)
}
