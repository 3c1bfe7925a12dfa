import type { RecordedEvent } from '../domain/event.js'

/**
 * A projection of the user's: a pure fold from events to rows. A step answers with the row as it is from now on, with
 * nothing where the event changes nothing, or with null where the row goes. It must not change the row it is given.
 */
export interface Projection<Row = unknown> {
  readonly name: string
  /** Raise it when the meaning of the rows changes: they are then built again. */
  readonly version: number
  /** The row that an event belongs to; undefined: to none. Default: one row for all, whose key is ''. */
  readonly key?: ((event: RecordedEvent) => string | undefined) | undefined
  /** A row before its first event. */
  readonly init: () => Row
  /** By event type. */
  readonly on: Readonly<Record<string, Step<Row>>>
}

export type Step<Row> = (row: Row, event: RecordedEvent) => Row | null | undefined

/** One row after an event, null where it has gone. */
export interface RowChange<Row> {
  readonly key: string
  readonly row: Row | null
}

/** The row that an event, upcast already, is to change; undefined: none. Throws what the projection throws, TypeError. */
export function keyOf<Row>({ key, on }: Projection<Row>, event: RecordedEvent): string | undefined {
  if (!Object.hasOwn(on, event.type)) return undefined
  const found: unknown = key === undefined ? '' : key(event)
  if (found === undefined || typeof found === 'string') return found
  throw new TypeError(`Expected the key to be a text or undefined, got ${found === null ? 'null' : typeof found}.`)
}

/** `row` is the one behind the event's key, undefined where there is none yet. Throws what the projection throws, TypeError. */
export function step<Row>({ init, on }: Projection<Row>, row: Row | undefined, event: RecordedEvent): Row | null {
  const before = row === undefined ? init() : row
  const after = (on[event.type] as Step<Row>)(before, event)
  if (typeof (after as { readonly then?: unknown } | null | undefined)?.then === 'function')
    throw new TypeError('Expected a row, got a promise of one: projections are synchronous.')
  return after === undefined ? before : after
}

/** The rows of one projection, in memory. */
export class Fold<Row> {
  readonly projection: Projection<Row>
  readonly #rows = new Map<string, Row>()

  constructor(projection: Projection<Row>) {
    this.projection = projection
  }

  get rows(): ReadonlyMap<string, Row> {
    return this.#rows
  }

  /** Folds one event; undefined: it is not the projection's business. Throws what the projection throws. */
  apply(event: RecordedEvent): RowChange<Row> | undefined {
    const key = keyOf(this.projection, event)
    if (key === undefined) return undefined
    const row = step(this.projection, this.#rows.get(key), event)
    if (row === null) this.#rows.delete(key)
    else this.#rows.set(key, row)
    return { key, row }
  }
}
