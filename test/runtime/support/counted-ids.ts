import type { Ids } from '../../../runtime/ports/ids.js'

/** Ids and draws that are the same in every run of a test. */
export class CountedIds implements Ids {
  readonly #prefix: string
  #count = 0

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  uuid(): string {
    return `${this.#prefix}-${String(++this.#count).padStart(6, '0')}`
  }

  draw(): number {
    return (++this.#count * 0.618) % 1
  }

  salt(): Uint8Array {
    const salt = new Uint8Array(16)
    new DataView(salt.buffer).setUint32(0, ++this.#count)
    return salt
  }
}
