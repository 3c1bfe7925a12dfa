import { InvalidOption } from '../../domain/errors.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { Projection } from '../../projections/fold.js'
import { checkKeys, checkObject, toCount, toName } from '../checks.js'

const KEYS = new Set(['name', 'version', 'key', 'init', 'on'])
const NAME = /^[A-Za-z][\w.-]*$/

export interface ProjectionOptions<Row> {
  /** Letters, digits, `.`, `-` and `_`. */
  readonly name: string
  /** Counts from 1. Raise it when the meaning of the rows changes: they are then built again from the log. */
  readonly version: number
  /** Which row an event is about; undefined: none. Default: there is one row for all, whose key is `''`. */
  readonly key?: (event: RecordedEvent) => string | undefined
  /** A row before its first event. Rows are JSON. */
  readonly init: () => Row
  /**
   * By event type: the row after the event; undefined leaves it as it is, null takes it out. Pure and synchronous. Events come
   * without their bodies: what is expunged must not live on elsewhere.
   */
  readonly on: Readonly<Record<string, (row: Row, event: RecordedEvent) => Row | null | undefined>>
}

/** Whatever its rows are. */
export interface AnyProjection extends Pick<Projection, 'name' | 'version' | 'key'> {
  readonly init: () => unknown
  readonly on: Readonly<Record<string, (row: never, event: RecordedEvent) => unknown>>
}

/** Declares a projection, for `openLedger({ projections })`, `replay` and `diff`. Throws InvalidOption that names what is wrong. */
export function defineProjection<Row>(options: ProjectionOptions<Row>): Projection<Row> {
  return checkProjection(options, 'defineProjection') as Projection<Row>
}

/** Throws InvalidOption for what is no projection. */
export function checkProjection(given: unknown, path: string): Projection {
  checkKeys(given, KEYS, path)
  const { name, version, key, init, on } = given as Record<string, unknown>
  const known = toName(name, `${path}.name`)
  if (!NAME.test(known)) throw new InvalidOption(`${path}.name`, 'a letter, then letters, digits, ., - and _', name)
  checkFunction(init, `${path}.init`)
  if (key !== undefined) checkFunction(key, `${path}.key`)
  checkObject(on, `${path}.on`)
  const steps = Object.entries(on)
  if (steps.length === 0) throw new InvalidOption(`${path}.on`, 'an object with a function for an event type', on)
  for (const [type, step] of steps) checkFunction(step, `${path}.on.${type}`)
  return { name: known, version: toCount(version, `${path}.version`, 1, 2 ** 31 - 1), key, init, on } as Projection
}

function checkFunction(value: unknown, path: string): void {
  if (typeof value !== 'function') throw new InvalidOption(path, 'a function', value)
}

/** Each name once. Throws InvalidOption. */
export function toProjections(given: unknown, path: string): readonly Projection[] {
  if (given === undefined) return []
  if (!Array.isArray(given)) throw new InvalidOption(path, 'an array of projections', given)
  const projections = given.map((each: unknown, index) => checkProjection(each, `${path}[${index}]`))
  const names = projections.map(({ name }) => name)
  const twice = names.findIndex((name, index) => names.indexOf(name) !== index)
  if (twice !== -1) throw new InvalidOption(`${path}[${twice}].name`, 'a name that no other has', names[twice])
  return projections
}
