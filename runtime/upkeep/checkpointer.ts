import type { ArchivedJob, JobsRemoved, SegmentSealed } from '../../domain/audit/events.js'
import { AUDIT_STREAM, archivedIn } from '../../domain/audit/events.js'
import type { Position, RecordedEvent } from '../../domain/event.js'
import type { Expunged } from '../../domain/job/events.js'
import { jobIdOf, jobStream } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { upcast } from '../../domain/upcast.js'
import { JOB_BOARD_VERSION, JobBoard } from '../../projections/job-board.js'
import type { JobRow } from '../../projections/job-row.js'
import { placeAt, toRow } from '../../projections/job-row.js'
import type { LedgerState } from '../../projections/ledger-state.js'
import { TRIGGERS } from '../../projections/ledger-state.js'
import type { Clock } from '../ports/clock.js'
import { delay } from '../ports/clock.js'
import type { EventStore } from '../ports/event-store.js'
import type { Logger } from '../ports/logger.js'
import type { Checkpoint, Kept, Tombstone, Views } from '../ports/views.js'
import type { Feed } from '../read/feed.js'
import { CheckpointKeeper } from './checkpoint-keeper.js'

/**
 * Changed rows are written when nothing has happened for a moment, at the latest after `LATEST` (ms), or when there are
 * many of them: that many jobs are what a restart after a crash has to fold again, about a second's work.
 */
const LOOK = 1_000
const LATEST = 30_000
const MANY = 100_000

/**
 * Keeps the projections' rows in the views, so that opening does not replay all history and `list` can ask for jobs that
 * have ended. Nothing here is truth: on any doubt the rows are built again from the log.
 */
export class Checkpointer {
  readonly #store: EventStore
  readonly #views: Views
  readonly #feed: Feed
  readonly #clock: Clock
  readonly #log: Logger
  readonly #keeper: CheckpointKeeper
  /** Position up to which the kept rows are known to be complete. */
  #since: Position | 'all' = 'all'
  /** `writes` of the triggers as they are kept. They are many: written only when they have changed. */
  #keptTriggers = 0
  #saving: Promise<void> | undefined
  #savedAt = 0

  constructor(options: {
    readonly store: EventStore
    readonly views: Views
    readonly feed: Feed
    readonly clock: Clock
    readonly logger: Logger
  }) {
    const { store, views, logger } = options
    this.#keeper = new CheckpointKeeper({ past: views.past, logId: store.logId, logger })
    this.#store = options.store
    this.#views = options.views
    this.#feed = options.feed
    this.#clock = options.clock
    this.#log = options.logger
  }

  /** Restores the projections, if what is kept is of this log; else the feed starts from the beginning. */
  async load(): Promise<void> {
    await this.#views.atOneMoment((kept) => this.#loadFrom(kept))
    await this.#keeper.load()
  }

  /** Nothing that was restored is of use. */
  startOver(): void {
    this.#log.info({ since: this.#since }, 'views are older than what was archived: they are built again')
    this.#since = 'all'
    this.#feed.startOver()
  }

  async #loadFrom(kept: Kept): Promise<void> {
    const checkpoint = await kept.checkpoint()
    if (checkpoint === undefined) return
    if (!(await this.#fits(checkpoint))) {
      this.#log.info({ checkpoint }, 'views do not fit the log: they are built again')
      await this.#keeper.dropAll()
      return
    }
    try {
      await this.#restore(kept, checkpoint)
    } catch (error) {
      this.#log.warn({ err: error }, 'views cannot be read: they are built again')
      this.#feed.startOver()
    }
  }

  async #restore(kept: Kept, { position }: Checkpoint): Promise<void> {
    const { state } = this.#feed
    const now = this.#clock.now()
    for await (const page of kept.live()) state.restoreJobs(page, now)
    state.restore(await kept.texts())
    this.#since = position
    this.#feed.resumeAfter(position)
  }

  async #fits({ logId, version, stream, revision, eventId, position }: Checkpoint): Promise<boolean> {
    if (logId !== this.#store.logId || version !== JOB_BOARD_VERSION) return false
    for await (const [event] of this.#store.readStream(stream, { from: revision, limit: 1 })) {
      return event?.id === eventId && event.position === position
    }
    return false
  }

  async run(signal: AbortSignal): Promise<void> {
    let seen: Position | undefined
    // What was restored is as good as saved now: a burst right after opening is not held up by a save.
    this.#savedAt = this.#clock.now()
    for (;;) {
      await delay(this.#clock, LOOK, signal)
      const { position, board } = this.#feed
      const isDue = position === seen || this.#clock.now() - this.#savedAt >= LATEST || board.dirtyCount > MANY
      seen = position
      if (isDue) await this.save()
      this.#offer()
    }
  }

  #offer(): void {
    const { state, last } = this.#feed
    if (last !== undefined) this.#keeper.offer(state, last)
  }

  /** Holds the feed up while it catches up on a long history, so that changed rows do not pile up in memory. */
  afterCatchUpPage(): Promise<void> | undefined {
    this.#offer()
    return this.#feed.board.dirtyCount > MANY ? this.save() : undefined
  }

  /** Writes what has changed, or answers with the rows that could not be written: a full disk must not stop `list`. */
  async rowsLeft(): Promise<ReadonlyMap<string, JobRow>> {
    try {
      await this.#saveWhere(() => this.#feed.board.dirtyCount > 0)
    } catch (error) {
      this.#log.warn({ err: error }, 'views not saved')
    }
    return new Map([...this.#rows(this.#feed.board.dirty)].map((row) => [row.id, row]))
  }

  /** Writes what has changed. One at a time: who comes while one is under way waits, then writes the rest. */
  save(): Promise<void> {
    const { board, triggers } = this.#feed
    return this.#saveWhere(() => board.dirtyCount > 0 || triggers.writes !== this.#keptTriggers)
  }

  /** At the end, whatever becomes of it. */
  async end(): Promise<void> {
    await this.save().catch((error) => this.#log.warn({ err: error }, 'views not saved'))
    await this.#keeper.idle()
  }

  async #saveWhere(isDue: () => boolean): Promise<void> {
    while (this.#saving !== undefined) await this.#saving
    const { last } = this.#feed
    if (last === undefined || !isDue()) return
    this.#saving = this.#write(last).finally(() => {
      this.#saving = undefined
    })
    await this.#saving
  }

  async #write(last: NonNullable<Feed['last']>): Promise<void> {
    const { board, triggers, state } = this.#feed
    const { position } = last
    const checkpoint = this.#checkpointAt(last)
    const texts = state.toTexts()
    const { writes } = triggers
    const triggersText = state.triggersText()
    const withTriggers = (): Map<string, string> => new Map([...texts, [TRIGGERS, triggersText()]])
    const isChanged = this.#since === 'all' || writes !== this.#keptTriggers
    this.#savedAt = this.#clock.now()
    const dirty = board.takeDirty()
    const gone = board.takeRemoved()
    const expunged = board.takeExpunged()
    try {
      const removed = tombstones(gone.values())
      const rows = this.#rows(dirty)
      const kept = await this.#views.save({
        checkpoint,
        since: this.#since,
        rows,
        texts: isChanged ? withTriggers() : texts,
        removed,
        expunged: placesOf(expunged),
      })
      // Somebody deleted them, or replaced them by some that end before ours begin.
      if (!kept) await this.#saveAll(checkpoint, withTriggers())
      this.#since = position
      this.#keptTriggers = writes
    } catch (error) {
      board.markDirty(dirty)
      board.markRemoved(gone)
      board.markExpunged(expunged)
      throw error
    }
  }

  #checkpointAt({ position, stream, revision, id }: RecordedEvent): Checkpoint {
    return { logId: this.#store.logId, position, stream, revision, eventId: id, version: JOB_BOARD_VERSION }
  }

  /** Replaces all that is kept by what the log says: `state` after `last`, and the rows of all jobs. */
  async replaceAll(state: LedgerState, last: RecordedEvent): Promise<void> {
    while (this.#saving !== undefined) await this.#saving
    // What is kept is known, and may be replaced whatever it says.
    await this.#views.checkpoint()
    const texts = state.toTexts().set(TRIGGERS, state.triggersText()())
    this.#saving = this.#saveAll(this.#checkpointAt(last), texts).finally(() => {
      this.#saving = undefined
    })
    await this.#saving
  }

  async #saveAll(checkpoint: Checkpoint, texts: ReadonlyMap<string, string>): Promise<void> {
    const { position: until } = checkpoint
    const removed = new Map<string, Tombstone>()
    const expunged: string[] = []
    for await (const page of this.#store.readAll({ until, types: ['JobsRemoved', 'Expunged', 'SegmentSealed'] })) {
      for (const { type, data, stream } of page.filter(isKnown)) {
        if (type === 'JobsRemoved') {
          for (const [id, tombstone] of tombstones(archivedIn(data as JobsRemoved))) removed.set(id, tombstone)
        } else if (type === 'Expunged') expunged.push(placeAt((data as Expunged).queuedAt ?? 0, jobIdOf(stream)))
        else expunged.push(...erasedIn(data as SegmentSealed))
      }
    }
    await this.#views.save({ checkpoint, since: 'all', rows: this.#allRows(until), texts, removed, expunged })
  }

  /** Of every job there ever was, as of `until`: ended ones are not in memory. A job comes each time a page has changed it. */
  async *#allRows(until: Position): AsyncIterable<JobRow> {
    const board = new JobBoard()
    for await (const page of this.#store.readAll({ until, streams: [jobStream(''), AUDIT_STREAM] })) {
      for (const recorded of page) {
        try {
          const event = upcast(recorded)
          // What was removed by force may still be waited for.
          if (event.stream === AUDIT_STREAM) board.applyRemoved(event as RecordedEvent<'JobsRemoved', JobsRemoved>)
          else board.apply(event, event.at)
        } catch {
          // The feed has said so.
        }
      }
      for (const job of board.takeDirty().values()) yield toRow(job, board.graph)
    }
  }

  *#rows(jobs: ReadonlyMap<string, JobState>): Iterable<JobRow> {
    for (const job of jobs.values()) yield toRow(job, this.#feed.board.graph)
  }
}

function tombstones(jobs: Iterable<ArchivedJob>): Map<string, Tombstone> {
  const found = new Map<string, Tombstone>()
  for (const job of jobs) {
    const { id, outcome, queuedAt, segment } = job
    const tombstone = { outcome, place: placeAt(queuedAt, id) }
    found.set(id, segment === undefined ? tombstone : { ...tombstone, segment, ...archivedOf(job) })
  }
  return found
}

/** As far as it is on record. */
function archivedOf({ id, queue, endedAt, ...job }: ArchivedJob): Pick<Tombstone, 'archived'> {
  if (endedAt === undefined) return {}
  const { type = '', channel = '', dependsOn = [], expunged = false } = job
  return { archived: { type, queue, channel, endPlace: placeAt(endedAt, id), dependsOn, expunged } }
}

/** Of a version that this program can read; the feed has told of the others. */
function isKnown(event: RecordedEvent): boolean {
  try {
    return upcast(event) !== undefined
  } catch {
    return false
  }
}

const erasedIn = ({ expunged }: SegmentSealed): string[] =>
  (expunged?.jobs ?? []).map(({ id, queuedAt }) => placeAt(queuedAt, id))

const placesOf = (expunged: ReadonlyMap<string, number>): string[] =>
  [...expunged].map(([id, queuedAt]) => placeAt(queuedAt, id))
