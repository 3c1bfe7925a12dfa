import type { Json, RecordedEvent } from '../../domain/event.js'
import { canonicalText } from '../../domain/json.js'
import type { Projection } from '../fold.js'
import { Fold } from '../fold.js'
import type { Comparison, Difference } from './difference.js'

const NOTHING: readonly Difference[] = []

/** The rows of two projections, or of two versions of one. */
export class RowComparison implements Comparison {
  readonly #before: Fold<unknown>
  readonly #after: Fold<unknown>

  constructor(before: Projection, after: Projection) {
    this.#before = new Fold(before)
    this.#after = new Fold(after)
  }

  knows(): boolean {
    return true
  }

  learn(): void {}

  apply(event: RecordedEvent): Iterable<Difference> {
    this.#before.apply(event)
    this.#after.apply(event)
    return NOTHING
  }

  *end(): Iterable<Difference> {
    const keys = new Set([...this.#before.rows.keys(), ...this.#after.rows.keys()])
    for (const key of [...keys].sort()) {
      const [before, after] = [this.#before.rows.get(key) ?? null, this.#after.rows.get(key) ?? null]
      if (textOf(before) !== textOf(after)) yield { kind: 'row', key, before, after }
    }
  }
}

/** As it would be kept. */
const textOf = (row: unknown): string => canonicalText(JSON.parse(JSON.stringify(row)) as Json)
