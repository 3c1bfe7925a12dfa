/**
 * Old shapes of recorded events, brought into the present one when they are read. An event's version is
 * `metadata.schemaVersion`, a decimal number as text; absent: 1. Most changes need none of this: an optional field more is
 * the same version, and a new meaning is a new type.
 */
import { JobledgerError, show } from './errors.js'
import type { RecordedEvent } from './event.js'

/**
 * Takes an event of version n to n + 1, without touching the one given. It may give other `data`, `metadata` or `body`; who and
 * where the event is (stream, revision, position, id, type, at) stays. The version itself is stamped by `upcast`.
 */
export type Upcaster = (event: RecordedEvent) => RecordedEvent

/** By event type: at index 0 the step from version 1 to 2, at index 1 from 2 to 3, and so on without a gap. */
export interface Upcasters {
  readonly [type: string]: readonly Upcaster[]
}

/** Every event type still has its first shape. */
export const UPCASTERS: Upcasters = Object.freeze({})

/** An event of a version that this program does not know: a newer one wrote it, or the record is damaged. */
export class UnknownVersion extends JobledgerError {
  readonly code = 'UNKNOWN_EVENT_VERSION'
  readonly family = 'job'
  readonly stream: string
  readonly revision: number
  readonly type: string
  /** As it stands in the metadata. */
  readonly found: string
  /** The newest version of this type that this program knows. */
  readonly newest: number
  constructor({ stream, revision, type }: RecordedEvent, found: string, newest: number) {
    const where = `${type} at revision ${revision} of stream ${stream}`
    const known = newest === 1 ? '1' : `1 to ${newest}`
    const received = `got ${show(found)}: a newer program may have written it`
    super(`Expected the version of ${where} to be ${known}, ${received}.`)
    this.stream = stream
    this.revision = revision
    this.type = type
    this.found = found
    this.newest = newest
  }
}

/**
 * The event in its present shape, its version stamped; the very same object when it has that shape already.
 * Hot path, once per event read: 10 ns and no allocation then. Throws UnknownVersion for a version that is newer than known,
 * or that is no whole number from 1 up.
 */
export function upcast(event: RecordedEvent, table: Upcasters = UPCASTERS): RecordedEvent {
  const written = event.metadata?.schemaVersion
  return written === undefined && !hasOldShapes(event.type, table) ? event : lift(event, written, table)
}

/** The version in which events of this type are written now; above 1 the writer stamps it as `metadata.schemaVersion`. */
export function versionOf(type: string, table: Upcasters = UPCASTERS): number {
  return 1 + stepsOf(type, table).length
}

/** Asking an object for a key that it does not have takes three times as long as looking through a few names. */
const OLD_TYPES: readonly string[] = Object.keys(UPCASTERS)

/** A type called `constructor` is no type. */
const hasOldShapes = (type: string, table: Upcasters): boolean =>
  table === UPCASTERS ? OLD_TYPES.includes(type) : Object.hasOwn(table, type)

const NO_STEPS: readonly Upcaster[] = []
const stepsOf = (type: string, table: Upcasters): readonly Upcaster[] =>
  hasOldShapes(type, table) ? (table[type] as readonly Upcaster[]) : NO_STEPS

function lift(event: RecordedEvent, written: unknown, table: Upcasters): RecordedEvent {
  const steps = stepsOf(event.type, table)
  const newest = 1 + steps.length
  const version = written === undefined ? 1 : toVersion(written)
  if (!(version <= newest)) throw new UnknownVersion(event, String(written), newest)
  if (version === newest) return event
  let lifted = event
  for (const step of steps.slice(version - 1)) lifted = step(lifted)
  // Read twice, it must not be taken for the old shape again.
  return { ...lifted, metadata: { ...lifted.metadata, schemaVersion: String(newest) } }
}

const WHOLE = /^[1-9]\d*$/
/** One spelling for each version: `02` was not written by us. NaN for anything else. */
const toVersion = (written: unknown): number =>
  typeof written === 'string' && WHOLE.test(written) ? Number(written) : Number.NaN
