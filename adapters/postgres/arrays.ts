/** Arrays as PostgreSQL writes them. The driver would make them element by element, at several times the cost. */

const SPECIAL = /["\\]/
const ALL_SPECIAL = /["\\]/g

/** One column of many rows, for a parameter. Most columns of a page have the same value in every row: it is quoted once. */
export class ArrayText {
  #text = ''
  #last: string | undefined
  #quoted = ''

  /** Whatever text it is, without NUL. */
  add(value: string): void {
    if (value !== this.#last) {
      this.#last = value
      this.#quoted = quotedElement(value)
    }
    this.#append(this.#quoted)
  }

  /** A text that is JSON: it has no control characters that PostgreSQL and JSON would write differently. */
  addJson(json: string): void {
    this.#append(JSON.stringify(json))
  }

  addNumber(value: number | null): void {
    this.#append(value === null ? 'NULL' : String(value))
  }

  toString(): string {
    return `{${this.#text}}`
  }

  #append(element: string): void {
    this.#text += this.#text === '' ? element : `,${element}`
  }
}

export function arrayText(values: readonly string[]): string {
  return values.length === 0 ? '{}' : `{${values.map(quotedElement).join(',')}}`
}

function quotedElement(value: string): string {
  return SPECIAL.test(value) ? `"${value.replaceAll(ALL_SPECIAL, '\\$&')}"` : `"${value}"`
}
