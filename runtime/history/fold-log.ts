import type { RecordedEvent } from '../../domain/event.js'
import { NAME_TAKEN } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { upcast } from '../../domain/upcast.js'
import type { LedgerState } from '../../projections/ledger-state.js'
import type { LogReader, ReadAllOptions } from '../ports/event-store.js'

/** What became of a stretch of a log. */
export interface Folded {
  readonly events: number
  /** Left out, since they do not fit their streams: as the engine itself leaves them out. */
  readonly skipped: number
  readonly last: RecordedEvent | undefined
}

export interface FoldOptions {
  readonly signal?: AbortSignal | undefined
  /** Called after each page. */
  readonly onPage?: (folded: Folded) => void
  /** Called with the jobs that a page has changed, before `onPage`. */
  readonly onChanged?: (jobs: Iterable<JobState>) => void
}

/** Throws the signal's reason. */
export async function foldLog(
  log: LogReader,
  state: LedgerState,
  range: Pick<ReadAllOptions, 'after' | 'until'>,
  { signal, onPage, onChanged }: FoldOptions = {},
): Promise<Folded> {
  let folded: Folded = { events: 0, skipped: 0, last: undefined }
  for await (const page of log.readAll(range)) {
    signal?.throwIfAborted()
    let { events, skipped } = folded
    for (const event of page) {
      if (event.type === NAME_TAKEN) continue
      if (foldOne(state, event)) events += 1
      else skipped += 1
    }
    // Nobody saves rows of these: they must not pile up.
    const changed = state.board.takeDirty()
    onChanged?.(changed.values())
    folded = { events, skipped, last: page.at(-1) ?? folded.last }
    onPage?.(folded)
  }
  return folded
}

function foldOne(state: LedgerState, recorded: RecordedEvent): boolean {
  try {
    const event = upcast(recorded)
    state.apply(event, event.at)
    return true
  } catch {
    return false
  }
}
