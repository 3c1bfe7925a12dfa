import type { Position, RecordedEvent } from '../../domain/event.js'
import type { LogReader } from '../ports/event-store.js'

/** Events of a page at most, and what one is meant to weigh: bodies may have a MiB each. */
const MOST = 1_000
const FIRST = 100
const WEIGHT = 4 * 1024 ** 2

export interface Range {
  readonly after?: Position
  readonly until?: Position
}

/** The log with its bodies, from after one position to another. A page is read while the one before it is used. */
export async function* pagesOf(
  store: Pick<LogReader, 'readAll'>,
  range: Range,
): AsyncGenerator<readonly RecordedEvent[], void, undefined> {
  const { after = '', until } = range
  if (until === '') return
  let coming = read(store, after, until, FIRST)
  for (;;) {
    const page = await coming
    const last = page.at(-1)
    if (last === undefined) return
    coming = read(store, last.position, until, lengthAfter(page))
    // Whoever has no use for it is not to be killed by it.
    coming.catch(() => {})
    yield page
  }
}

async function read(
  store: Pick<LogReader, 'readAll'>,
  after: Position,
  until: Position | undefined,
  limit: number,
): Promise<RecordedEvent[]> {
  const found: RecordedEvent[] = []
  const options = { after, limit, bodies: true, ...(until !== undefined && { until }) }
  for await (const page of store.readAll(options)) found.push(...page)
  return found
}

/** How many events like these are a page. */
function lengthAfter(page: readonly RecordedEvent[]): number {
  const weight = page.reduce((sum, event) => sum + weightOf(event), 0)
  const fitting = Math.floor((page.length * WEIGHT) / Math.max(weight, 1))
  return Math.max(1, Math.min(fitting, MOST, page.length * 10))
}

/** Roughly, in bytes: facts are small. */
function weightOf({ body }: RecordedEvent): number {
  return 300 + (body !== undefined && 'content' in body ? body.content.length : 0)
}
