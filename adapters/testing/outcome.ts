/** The end of a given-when-then: what happened, and whether that is what was expected. */
import { AssertionError, deepStrictEqual } from 'node:assert'

/** What came of a command: events, or a refusal and none. */
export interface Outcome<Event = unknown> {
  readonly events: readonly Event[]
  readonly refusal?: Error
  /** What the call answered with. */
  readonly answer?: unknown
}

/** The type of an event, or an event with the fields that matter; those that are left out may have any value. */
export type ExpectedEvent = string | object

/** For `.then`: these events and no others, in this order. Throws an AssertionError that shows the difference. */
export function happened(...expected: readonly ExpectedEvent[]): <Event>(outcome: Outcome<Event>) => Outcome<Event> {
  return (outcome) => {
    const { events, refusal } = outcome
    if (refusal !== undefined) throw unexpected(`it was refused: ${refusal.message}`, refusal, expected)
    const seen = events.map((event, index) => asFarAs(expected[index], event))
    const wanted = expected.map((event) => (typeof event === 'string' ? { type: event } : event))
    deepStrictEqual(seen, wanted)
    return outcome
  }
}

/** For `.then`: refused with an error of this class or `code`, and nothing has happened. Throws an AssertionError. */
export function refused(
  by: string | (new (...given: never[]) => Error),
): <Event>(outcome: Outcome<Event>) => Outcome<Event> {
  return (outcome) => {
    const { events, refusal } = outcome
    const name = typeof by === 'string' ? by : by.name
    if (refusal === undefined) throw unexpected('it was not refused', events, name)
    const fits = typeof by === 'string' ? (refusal as { code?: unknown }).code === by : refusal instanceof by
    if (!fits) throw unexpected(`it was refused, but with ${refusal.name}: ${refusal.message}`, refusal, name)
    if (events.length > 0) throw unexpected('it was refused, and yet something has happened', events, [])
    return outcome
  }
}

function unexpected(message: string, actual: unknown, expected: unknown): AssertionError {
  return new AssertionError({ message, actual, expected, operator: 'then' })
}

/** The fields of `actual` that `expected` speaks of; so a difference shows nothing else. */
function asFarAs(expected: unknown, actual: unknown): unknown {
  if (typeof expected === 'string' || expected === undefined)
    return { type: (actual as { type?: unknown } | null)?.type }
  if (!isRecord(expected) || !isRecord(actual)) return actual
  const fields = Object.keys(expected).filter((key) => Object.hasOwn(actual, key))
  return Object.fromEntries(fields.map((key) => [key, asFarAsValue(expected[key], actual[key])]))
}

const asFarAsValue = (expected: unknown, actual: unknown): unknown =>
  isRecord(expected) ? asFarAs(expected, actual) : actual

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
