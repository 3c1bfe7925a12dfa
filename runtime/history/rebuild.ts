/** Every projection once more from the log, beside the live one; and whether the two say the same. */
import type { ArchivedJob } from '../../domain/audit/events.js'
import { InvalidOption } from '../../domain/errors.js'
import type { Position, RecordedEvent } from '../../domain/event.js'
import type { Apart, ProjectionName } from '../../projections/canonical.js'
import { canonicalLines, PROJECTIONS, recordsOf } from '../../projections/canonical.js'
import { JOB_BOARD_VERSION } from '../../projections/job-board.js'
import { LedgerState } from '../../projections/ledger-state.js'
import { checkKeys, toFlag, toSignal } from '../checks.js'
import type { Clock } from '../ports/clock.js'
import type { Digest } from '../ports/digest.js'
import type { LogReader } from '../ports/event-store.js'
import type { Feed } from '../read/feed.js'
import type { Queries } from '../read/queries.js'
import type { Models, TablesRebuild } from '../report/models.js'
import type { Projections } from '../report/projections.js'
import type { Checkpointer } from '../upkeep/checkpointer.js'
import { EndedJobs } from './ended-jobs.js'
import { foldLog } from './fold-log.js'

export interface RebuildProgress {
  readonly events: number
  /** Of the events that there are to fold, 0 to 1. */
  readonly share: number
}

export interface RebuildOptions {
  readonly signal?: AbortSignal
  /** Called after each page. */
  readonly onProgress?: (progress: RebuildProgress) => void
  /** Replace what the views keep by what was rebuilt, also where it is the same. Processes that run take it up when they next open. Default false. */
  readonly apply?: boolean
  /** Also the tables for SQL and the projections of `openLedger({ projections })`. Default false. */
  readonly tables?: boolean
}

/** Of one projection: what the live one says at this position, and what the log says. Hashes are of a canonical form. */
export interface RebuiltProjection {
  readonly name: string
  readonly version: number
  readonly position: Position
  /** Folded for it. */
  readonly events: number
  readonly identical: boolean
  readonly live: string
  readonly rebuilt: string
  /** What was not compared, since jobs that it hangs on were removed from the log. */
  readonly apart?: string
}

export interface RebuildWorld {
  readonly wholeLog: LogReader
  readonly feed: Feed
  readonly queries: Queries
  readonly checkpointer: Checkpointer
  readonly models: Models
  readonly projections: Projections
  readonly ports: { readonly clock: Clock; readonly digest: Digest }
}

const KEYS = new Set(['signal', 'onProgress', 'apply', 'tables'])
/** Lines hashed, jobs restored, before the event loop is let go. */
const SLICE = 500

/** Throws InvalidOption, or the signal's reason. */
export async function rebuild(world: RebuildWorld, given: RebuildOptions = {}): Promise<RebuiltProjection[]> {
  checkKeys(given, KEYS, 'rebuild')
  const signal = toSignal(given.signal, 'rebuild.signal')
  const apply = given.apply === undefined ? false : toFlag(given.apply, 'rebuild.apply')
  const { onProgress = () => {} } = given
  if (typeof onProgress !== 'function') throw new InvalidOption('rebuild.onProgress', 'a function', onProgress)
  const tables = given.tables === undefined ? false : toFlag(given.tables, 'rebuild.tables')
  const told = await new Rebuild(world, signal, onProgress).run(apply)
  return tables ? [...told, ...(await rebuildTables(world, { signal, onProgress, apply }))] : told
}

/** Those that are kept for SQL, and those of the user. */
async function rebuildTables(
  { models, projections, feed }: RebuildWorld,
  { signal, onProgress, apply }: Required<Pick<RebuildOptions, 'onProgress' | 'apply'>> & Pick<TablesRebuild, 'signal'>,
): Promise<RebuiltProjection[]> {
  let events = 0
  const counted = {
    ...{ signal, apply },
    onEvents: (count: number): void => {
      events += count
      onProgress({ events, share: Math.min(1, events / Math.max(1, feed.state.folded)) })
    },
  }
  const told = (await models.rebuild(counted)).map((table) => ({ ...table, events }))
  for (const { name } of projections.definitions) {
    events = 0
    told.push({ ...(await projections.rebuild(name, counted)), events })
  }
  return told
}

class Rebuild {
  readonly #world: RebuildWorld
  readonly #signal: AbortSignal | undefined
  readonly #onProgress: (progress: RebuildProgress) => void
  readonly #rebuilt = new LedgerState()
  readonly #ended: EndedJobs
  #events = 0
  #last: RecordedEvent | undefined

  constructor(world: RebuildWorld, signal: AbortSignal | undefined, onProgress: (progress: RebuildProgress) => void) {
    this.#world = world
    this.#ended = new EndedJobs({ digest: world.ports.digest, queries: world.queries, log: world.wholeLog })
    this.#signal = signal
    this.#onProgress = onProgress
  }

  async run(apply: boolean): Promise<RebuiltProjection[]> {
    const { wholeLog, queries, feed, checkpointer } = this.#world
    const head = await wholeLog.head()
    await this.#fold('', head)
    // The live one has gone on meanwhile: what is left is short, so that the two can be brought to one position.
    await queries.catchUp()
    const { position } = feed
    const captured = feed.state.capture()
    await this.#fold(head, position)
    const live = await this.#copyOf(captured)
    const told = await this.#compared(live, position)
    if (apply && this.#last !== undefined) await checkpointer.replaceAll(this.#rebuilt, this.#last)
    return told
  }

  async #fold(after: Position, until: Position): Promise<void> {
    if (until <= after) return
    const before = this.#events
    const { last } = await foldLog(
      this.#world.wholeLog,
      this.#rebuilt,
      { after, until },
      {
        signal: this.#signal,
        onPage: ({ events }) => this.#tell(before + events),
        onChanged: (jobs) => this.#ended.take(jobs, this.#rebuilt.board.graph),
      },
    )
    this.#last = last ?? this.#last
  }

  #tell(events: number): void {
    this.#events = events
    const all = Math.max(events, this.#world.feed.state.folded)
    this.#onProgress({ events, share: all === 0 ? 1 : events / all })
  }

  /** The live state as it was when it was captured. */
  async #copyOf({ rows, texts }: ReturnType<LedgerState['capture']>): Promise<LedgerState> {
    const copy = new LedgerState()
    for await (const slice of this.#slices(rows)) copy.restoreJobs(slice, 0)
    copy.restore(texts)
    return copy
  }

  async #compared(live: LedgerState, position: Position): Promise<RebuiltProjection[]> {
    const now = this.#world.ports.clock.now()
    const gone = this.#rebuilt.board.takeRemoved()
    this.#ended.forget(gone.keys())
    const removed = new Map([...gone].filter(([, { segment }]) => segment === undefined))
    const apart = apartOf([live], removed)
    // Views that were built anew have not read the archive either.
    const more = gone.size === removed.size ? undefined : apartOf([live, this.#rebuilt], gone)
    const entry = (name: string, { live, rebuilt, apart }: Hashes): RebuiltProjection => ({
      ...{ name, version: JOB_BOARD_VERSION, position, events: this.#events },
      ...{ identical: live === rebuilt, live, rebuilt, ...(apart !== undefined && { apart }) },
    })
    const told: RebuiltProjection[] = []
    for (const name of PROJECTIONS) {
      const strict = entry(name, await this.#hashes(name, live, now, apart))
      const lax =
        strict.identical || more === undefined ? strict : entry(name, await this.#hashes(name, live, now, more))
      told.push(lax.identical ? lax : strict)
    }
    return [...told, entry('ended', await this.#ended.compare(position, this.#signal))]
  }

  async #hashes(name: ProjectionName, live: LedgerState, now: number, apart: Apart): Promise<Hashes> {
    return {
      live: await this.#hash(canonicalLines(live, name, now, apart)),
      rebuilt: await this.#hash(canonicalLines(this.#rebuilt, name, now, apart)),
      apart: apartIn(name, apart),
    }
  }

  async #hash(lines: Iterable<string>): Promise<string> {
    const { digest } = this.#world.ports
    let hash = digest.sha256('')
    for await (const slice of this.#slices(lines)) hash = digest.sha256(hash, slice.join('\n'))
    return hash
  }

  async *#slices(texts: Iterable<string>): AsyncGenerator<string[], void, undefined> {
    let slice: string[] = []
    for (const text of texts) {
      slice.push(text)
      if (slice.length < SLICE) continue
      yield slice
      slice = []
      this.#signal?.throwIfAborted()
      await new Promise<void>((resolve) => this.#world.ports.clock.soon(resolve))
    }
    if (slice.length > 0) yield slice
  }
}

interface Hashes {
  readonly live: string
  readonly rebuilt: string
  readonly apart?: string | undefined
}

/** Jobs that were removed took their events with them; those that were archived only from who does not read the archive. */
function apartOf(states: readonly LedgerState[], gone: ReadonlyMap<string, ArchivedJob>): Apart {
  return {
    records: new Set(states.flatMap((state) => [...recordsOf(state, (id) => gone.has(id))])),
    signs: gone.size > 0,
    types: [...gone.values()].some(({ type }) => type === undefined),
  }
}

function apartIn(name: ProjectionName, { records, signs, types }: Apart): string | undefined {
  if (name === 'triggers' && records.size > 0)
    return `what jobs that have left the log had come to, of ${records.size} triggers`
  if (name === 'workers' && signs) return 'when workers were last seen: it may have been at a job that has left the log'
  return name === 'totals' && types ? 'types: some jobs were removed before their types were recorded' : undefined
}
