/** Many values as one parameter of a statement. */
import type { Value } from './driver.js'

/** Between the values, and in place of one that is not there: nothing that we write has such characters, as a rule. */
const SEPARATOR = '\u001e'
const ABSENT = '\u001d'

type Cell = string | number | null

/**
 * One text that the server splits: to write, and to read, an array in PostgreSQL's own notation takes each side many times as
 * long. Values that would be split at the wrong places go as such an array.
 */
export class List {
  readonly #type: string
  readonly #cells: Cell[] = []
  #isEmpty = true
  #isPlain = true

  /** Of this type of PostgreSQL. */
  constructor(type: string, cells: Iterable<Cell> = []) {
    this.#type = type
    for (const cell of cells) this.push(cell)
  }

  get length(): number {
    return this.#cells.length
  }

  push(cell: Cell): void {
    this.#cells.push(cell)
    if (cell === null) return
    this.#isEmpty = false
    if (typeof cell === 'string' && (cell.includes(SEPARATOR) || cell === ABSENT)) this.#isPlain = false
  }

  /** Bytes, of a list of `bytea`. */
  pushBytes(bytes: Uint8Array): void {
    this.push(`\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`)
  }

  /** The array, in terms of the parameter with this number. Of nothing but absent values: null, for `unnest` the same. */
  expression(parameter: number): string {
    if (this.#isEmpty || !this.#isSplit) return `$${parameter}::${this.#type}[]`
    const split = `string_to_array($${parameter}, E'\\x1e', E'\\x1d')`
    return this.#type === 'text' ? split : `${split}::${this.#type}[]`
  }

  get value(): Value {
    if (this.#isEmpty) return this.#cells.length === 0 ? [] : null
    return this.#isSplit ? this.#cells.map((cell) => cell ?? ABSENT).join(SEPARATOR) : this.#cells
  }

  /** An empty text is split into no values at all, not into one. */
  get #isSplit(): boolean {
    return this.#isPlain && !(this.#cells.length === 1 && this.#cells[0] === '')
  }
}
