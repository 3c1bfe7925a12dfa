/** The deeds of a whole ledger, newest first. The log is read in spans of time, from its end, until there are enough. */
import { InvalidOption } from '../../domain/errors.js'
import type { Position, RecordedEvent } from '../../domain/event.js'
import { START } from '../../domain/event.js'
import type { Instant } from '../../domain/instant.js'
import { toInstant } from '../../domain/instant.js'
import { upcast } from '../../domain/upcast.js'
import type { DeedEntry } from '../../projections/deeds.js'
import { DEED_TYPES, deedEntryOf } from '../../projections/deeds.js'
import { checkKeys, toCount, toName } from '../checks.js'
import type { Clock } from '../ports/clock.js'
import type { LogReader } from '../ports/event-store.js'

export interface DeedFilter {
  /** From this instant on. */
  readonly from?: Instant
  /** Up to this instant. */
  readonly until?: Instant
  /** Who did it, as `ledger.as` was told. */
  readonly actor?: string
  /** 1 to 1,000, default 50. */
  readonly limit?: number
  /** `cursor` of the page before. */
  readonly cursor?: string
}

export interface DeedPage {
  readonly deeds: readonly DeedEntry[]
  /** Give it to the next call for older ones; absent on the last page. */
  readonly cursor?: string
}

/** The first span that is looked at (ms); each one is so many times as long as the one after it. */
const SPAN = 3_600_000
const GROWTH = 8
const FILTER_KEYS = new Set(['from', 'until', 'actor', 'limit', 'cursor'])
const CURSOR = /^.{1,64}$/

interface Wanted {
  readonly from: number
  readonly until: number | undefined
  readonly actor: string | undefined
  readonly limit: number
  readonly cursor: string | undefined
}

/** Throws InvalidOption. */
export async function deedsIn(
  { log, clock }: { readonly log: LogReader; readonly clock: Clock },
  filter: DeedFilter = {},
): Promise<DeedPage> {
  const wanted = toWanted(filter)
  const found: Found[] = []
  const head = await log.head()
  const { cursor = head } = wanted
  if (cursor > head || cursor.length !== head.length)
    throw new InvalidOption('deeds.cursor', 'the cursor of a page of this log', cursor)
  let end = wanted.cursor ?? (wanted.until === undefined ? head : await log.positionAt(wanted.until))
  // One more than is wanted: only then is there a next page.
  for (let span = SPAN; found.length <= wanted.limit && end !== START; span *= GROWTH) {
    const begin = (wanted.until ?? clock.now()) - span
    const start = begin <= wanted.from ? await startOf(log, wanted.from) : await log.positionAt(begin)
    if (start < end) found.push(...(await between(log, start, end, wanted)).reverse())
    if (begin <= wanted.from) break
    if (start < end) end = start
  }
  const page = found.slice(0, wanted.limit)
  const last = page.at(-1)
  const deeds = page.map(({ entry }) => entry)
  return found.length > page.length && last !== undefined ? { deeds, cursor: last.position } : { deeds }
}

const startOf = async (log: LogReader, from: number): Promise<Position> =>
  from <= 0 ? START : log.positionAt(from - 1)

interface Found {
  readonly position: Position
  readonly entry: DeedEntry
}

/** Oldest first; `end` itself only where no page has ended there. */
async function between(log: LogReader, start: Position, end: Position, wanted: Wanted): Promise<Found[]> {
  const found: Found[] = []
  for await (const page of log.readAll({ after: start, until: end, types: DEED_TYPES })) {
    for (const event of page) {
      if (event.position === wanted.cursor) continue
      const entry = deedEntryOf(upcast(event))
      if (entry !== undefined && isWanted(entry, event, wanted)) found.push({ position: event.position, entry })
    }
  }
  return found
}

const isWanted = ({ actor }: DeedEntry, { at }: RecordedEvent, wanted: Wanted): boolean =>
  (wanted.actor === undefined || wanted.actor === actor) &&
  at >= wanted.from &&
  (wanted.until === undefined || at <= wanted.until)

function toWanted(filter: DeedFilter): Wanted {
  checkKeys(filter, FILTER_KEYS, 'deeds')
  const { from, until, actor, limit = 50, cursor } = filter
  if (cursor !== undefined && !(typeof cursor === 'string' && CURSOR.test(cursor)))
    throw new InvalidOption('deeds.cursor', 'the cursor of a page', cursor)
  const wanted = {
    from: from === undefined ? 0 : toInstant(from, 'deeds.from'),
    until: until === undefined ? undefined : toInstant(until, 'deeds.until'),
    actor: actor === undefined ? undefined : toName(actor, 'deeds.actor'),
    limit: toCount(limit, 'deeds.limit', 1, 1_000),
    cursor,
  }
  if (wanted.until !== undefined && wanted.until < wanted.from)
    throw new InvalidOption('deeds.until', 'an instant that is not before `from`', until)
  return wanted
}
