/** What the port demands of groups before any store looks at them. */
import type { NewEvent } from '../../domain/event.js'
import type { AppendGroup, ExpectedRevision } from '../../runtime/ports/event-store.js'

const DOLLAR = 36

/** Throws TypeError for a group that no store could keep as it is. */
export function checkGroups(groups: readonly AppendGroup[]): void {
  for (const group of groups) {
    if (group.events.length === 0) throw new TypeError('Expected a group to have at least one event, got none.')
    for (const [stream, expected] of group.expect) checkExpectation(stream, expected)
    for (const event of group.events) checkEvent(event, group)
    if (group.remove !== undefined) checkRemovals(group.remove, group)
  }
}

/** Whether a group brings its events and nothing else. */
export function isPlain({ erase, remove, effects }: AppendGroup): boolean {
  return effects === undefined && remove === undefined && erase === undefined
}

function checkExpectation(stream: string, expected: ExpectedRevision): void {
  if (stream === '') throw new TypeError("Expected a stream to have a name, got ''.")
  // Stored as UTF-8, two names with different lone surrogates would become one.
  if (!stream.isWellFormed()) {
    throw new TypeError(`Expected a stream name of well-formed Unicode, got ${JSON.stringify(stream)}.`)
  }
  if (expected !== 'none' && !(Number.isSafeInteger(expected) && expected >= 0)) {
    throw new TypeError(`Expected a revision of '${stream}' to be 'none' or a whole number from 0, got ${expected}.`)
  }
}

function checkRemovals(streams: readonly string[], { expect, events }: AppendGroup): void {
  for (const stream of streams) {
    if (!expect.has(stream)) {
      throw new TypeError(`Expected \`expect\` to name every stream to remove, got '${stream}' outside it.`)
    }
    // Its fence would be passed by the group's own event, and nobody could ever read what that says.
    if (events.some((event) => event.stream === stream)) {
      throw new TypeError(`Expected a group not to append to a stream that it removes, got an event of '${stream}'.`)
    }
  }
}

function checkEvent(event: NewEvent, group: AppendGroup): void {
  if (!group.expect.has(event.stream)) {
    throw new TypeError(
      `Expected \`expect\` to name the stream of every event, got an event of '${event.stream}' outside it.`,
    )
  }
  if (!Number.isSafeInteger(event.at)) {
    throw new TypeError(`Expected \`at\` to be whole milliseconds since the epoch, got ${event.at}.`)
  }
  // Stores mark their own rows so.
  if (event.type.charCodeAt(0) === DOLLAR) {
    throw new TypeError(`Expected an event type that does not begin with '$', got '${event.type}'.`)
  }
}
