/**
 * Disposable storage for projections: rows plus the checkpoint up to which they are true. Anything here can be thrown away
 * and rebuilt from the log. Several processes may share one: the one that is further ahead wins, a slower one does not
 * pull it back.
 */
import type { Position } from '../../domain/event.js'
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

/** Exact match on each field given. `before` is the `place` of the last row of the page before. Newest first. */
export interface JobRowFilter {
  readonly types?: readonly string[]
  readonly queues?: readonly string[]
  readonly channels?: readonly string[]
  readonly phases?: readonly string[]
  readonly before?: string
  readonly limit: number
}

export interface Views {
  /** The checkpoint of the rows kept, if any. */
  checkpoint(): Promise<Checkpoint | undefined>
  /** Pages of the `state` texts of jobs that have not ended (waiting or leased), in order of `place`. */
  live(): AsyncIterable<string[]>
  /** Small texts kept beside the rows (totals, worker registry), by name. */
  texts(): Promise<ReadonlyMap<string, string>>
  /**
   * Rows (by `place`), texts and checkpoint in one step, or not at all.
   * `since` is the position up to which the caller believes the kept rows are complete: if what is kept is at an earlier
   * position (another process rebuilt it), nothing is written and `false` comes back; the caller then saves everything
   * with `since: 'all'`, which replaces all rows. If what is kept is at `checkpoint.position` or later, nothing is
   * written and `true` comes back. `rows` is read in slices, with the event loop let go in between.
   */
  save(changes: {
    readonly checkpoint: Checkpoint
    readonly since: Position | 'all'
    readonly rows: Iterable<JobRow> | AsyncIterable<JobRow>
    readonly texts: ReadonlyMap<string, string>
  }): Promise<boolean>
  list(filter: JobRowFilter): Promise<JobRow[]>
  close(): Promise<void>
}
