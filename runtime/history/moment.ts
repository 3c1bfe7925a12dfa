/** A moment of the past: an instant, or a position in the log. */
import { InvalidOption } from '../../domain/errors.js'
import type { Position } from '../../domain/event.js'
import type { Instant } from '../../domain/instant.js'
import { toInstant } from '../../domain/instant.js'
import { checkObject } from '../checks.js'
import type { LogReader } from '../ports/event-store.js'

/** A recorded event is one: right after it. `at` (ms) saves looking for it. */
export type Moment = Instant | { readonly position: Position; readonly at?: number }

/** As it was asked for, checked. */
export type Asked = { readonly instant: number } | { readonly position: Position; readonly at: number | undefined }

/** Where in the log it is, and what time it was (ms). Position '' is before everything. */
export interface Place {
  readonly position: Position
  readonly at: number
}

/** Throws InvalidOption. */
export function toAsked(given: Moment, option: string): Asked {
  if (typeof given !== 'object' || given instanceof Date) return { instant: toInstant(given, option) }
  checkObject(given, option)
  const { position, at } = given
  if (typeof position !== 'string') throw new InvalidOption(`${option}.position`, 'the position of an event', position)
  return { position, at: at === undefined ? undefined : toInstant(at, `${option}.at`) }
}

/** Throws InvalidOption for a moment that has not come. */
export async function locate(log: LogReader, asked: Asked, now: number, option: string): Promise<Place> {
  if ('instant' in asked) {
    const { instant } = asked
    if (instant > now) throw new InvalidOption(option, 'an instant that has come', new Date(instant).toISOString())
    return { position: await log.positionAt(instant), at: instant }
  }
  const { position } = asked
  const head = await log.head()
  if (position > head || (position !== '' && position.length !== head.length)) {
    throw new InvalidOption(`${option}.position`, `a position of this log, at most ${head}`, position)
  }
  return { position, at: asked.at ?? (await instantOf(log, position, now)) }
}

/** The first instant by which the log had got there: stores answer which position an instant has, not the other way round. */
async function instantOf(log: LogReader, position: Position, now: number): Promise<number> {
  let [from, to] = [0, now]
  while (from < to) {
    const middle = Math.floor((from + to) / 2)
    if ((await log.positionAt(middle)) >= position) to = middle
    else from = middle + 1
  }
  return to
}
