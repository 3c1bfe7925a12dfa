/**
 * Disposable storage for projections: rows plus the checkpoint up to which they are true. Anything here can be thrown away
 * and rebuilt from the log. Several processes may share one: the one that is further ahead wins, a slower one does not
 * pull it back.
 */
import type { Position } from '../../domain/event.js'
import type { Outcome } from '../../domain/job/evolve.js'
import type { JobRow } from '../../projections/job-row.js'

export type { JobRow }

/** What rows are true of. A mismatch of any part with the log means: rebuild. */
export interface Checkpoint {
  readonly logId: string
  readonly position: Position
  /** The event at `position`: tells a log restored from a backup beside newer views. */
  readonly stream: string
  readonly revision: number
  readonly eventId: string
  /** Version of the projection's code; raise it when the rows' meaning changes. */
  readonly version: number
}

/** Exact match on each field given. `before` is the `place` of the last row of the page before. Newest first. Of `triggers`, '' is none. */
export interface JobRowFilter {
  readonly types?: readonly string[]
  readonly queues?: readonly string[]
  readonly channels?: readonly string[]
  readonly phases?: readonly string[]
  readonly triggers?: readonly string[]
  readonly before?: string
  readonly limit: number
}

/**
 * Exact match on each field given. `before` is an `endPlace`, exclusive. Latest end first; jobs that have not ended never.
 * `keep`: `rules` are those without a `keepUntil` of their own; an instant (ms) are those whose own is before it.
 * `bodies`: only those that were not expunged.
 */
export interface EndedFilter {
  readonly keep: 'rules' | number
  readonly bodies?: true
  readonly types?: readonly string[]
  readonly queues?: readonly string[]
  readonly channels?: readonly string[]
  readonly phases?: readonly string[]
  readonly before?: string
  readonly limit: number
}

/** As `EndedFilter`, of jobs that were archived. `segment`: only of those whose tombstones name it. */
export interface ArchivedFilter extends Omit<EndedFilter, 'keep'> {
  readonly segment?: string
}

/** A job that was archived. */
export interface ArchivedRow {
  readonly id: string
  readonly endPlace: string
  readonly segment: string
}

/** What is left of a job that was removed. */
export interface Tombstone {
  readonly outcome: Outcome
  /** `place` of its row. */
  readonly place: string
  /** The archived segment that its events are in; absent: they are nowhere. */
  readonly segment?: string
  /** What its row is found by as long as they are there; absent: only by its id. */
  readonly archived?: Pick<JobRow, 'type' | 'queue' | 'channel' | 'endPlace' | 'dependsOn'> & {
    readonly expunged: boolean
  }
}

/** What a runtime starts from. */
export interface Kept {
  /** The checkpoint of the rows kept, if any. */
  checkpoint(): Promise<Checkpoint | undefined>
  /** Pages of the `state` texts of jobs that have not ended (waiting or leased), in order of `place`. */
  live(): AsyncIterable<string[]>
  /** Small texts kept beside the rows (totals, worker registry), by name. */
  texts(): Promise<ReadonlyMap<string, string>>
}

/** A whole state as it was at an earlier position, from which readers of the past start. Discardable, as all rows are. */
export interface KeptCheckpoint {
  readonly checkpoint: Checkpoint
  /** Time of the event at its position (ms), and how many events had been folded by then. */
  readonly at: number
  readonly events: number
  /** How much room it takes up. */
  readonly bytes: number
}

/** What `Kept` has of the present: `state` texts of jobs that had not ended, and the texts beside them, all of them. */
export interface KeptContent<Rows> {
  readonly rows: Rows
  readonly texts: ReadonlyMap<string, string>
}

export interface KeptCheckpoints {
  /** In order of their positions. */
  list(): Promise<KeptCheckpoint[]>
  /** In one step, or not at all; over one of the same position. `rows` is read in slices, with the event loop let go in between. */
  keep(kept: Omit<KeptCheckpoint, 'bytes'>, content: KeptContent<Iterable<string>>): Promise<void>
  /** Undefined: there is none at this position, not any more. `rows` in pages. */
  content(position: Position): Promise<KeptContent<AsyncIterable<string[]>> | undefined>
  /** Unknown positions are ignored. */
  drop(positions: readonly Position[]): Promise<void>
}

export interface Views extends Kept {
  /** Absent: readers of the past start at the beginning of the log. */
  readonly past?: KeptCheckpoints
  /** All that `read` is shown belongs together, whatever others save meanwhile: rows and the very checkpoint they are true of. */
  atOneMoment<Result>(read: (kept: Kept) => Promise<Result>): Promise<Result>
  /**
   * Rows (by `place`), texts and checkpoint in one step, or not at all.
   * `since` is the position up to which the caller believes the kept rows are complete: if what is kept is at an earlier
   * position (another process rebuilt it), nothing is written and `false` comes back; the caller then saves everything
   * with `since: 'all'`, which replaces all rows, tombstones and texts; else a text that is not given stays. If what is kept is
   * at `checkpoint.position` or later, nothing is written and `true` comes back. `rows` is read in slices, with the event loop let go in between.
   */
  save(changes: {
    readonly checkpoint: Checkpoint
    readonly since: Position | 'all'
    readonly rows: Iterable<JobRow> | AsyncIterable<JobRow>
    readonly texts: ReadonlyMap<string, string>
    /** By job id. Their rows are dropped, after `rows` was written; what became of them is kept for good, the latest word of it. */
    readonly removed: ReadonlyMap<string, Tombstone>
    /** `place` of ended jobs whose bodies were erased: marked in their rows, and archived rows, after all was written. */
    readonly expunged: readonly string[]
  }): Promise<boolean>
  list(filter: JobRowFilter): Promise<JobRow[]>
  ended(filter: EndedFilter): Promise<JobRow[]>
  /** Those that were archived, and were not removed since. */
  archived(filter: ArchivedFilter): Promise<ArchivedRow[]>
  /** Ids of all jobs, ended and archived ones too, whose `dependsOn` names this one; in no order. */
  dependents(id: string): Promise<string[]>
  /** How those of these jobs ended that were removed. */
  removed(ids: readonly string[]): Promise<ReadonlyMap<string, Outcome>>
  /** The segments of those of these jobs that were archived. */
  segments(ids: readonly string[]): Promise<ReadonlyMap<string, string>>
  close(): Promise<void>
}
