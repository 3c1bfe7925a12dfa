/**
 * Tables for SQL (projections/read-models/tables.ts), with the checkpoint up to which they are true. All of it can be made
 * again from the log, but for the minutes of jobs that were removed. Several processes may keep one: each slice of the log
 * comes into it once, whoever brings it.
 */
import { JobledgerError } from '../../domain/errors.js'
import type { Position } from '../../domain/event.js'
import type { SearchPaths } from '../../projections/read-models/payload-paths.js'
import type { Cell, RowChanges } from '../../projections/read-models/tables.js'
import type { Logger } from './logger.js'
import type { Checkpoint } from './views.js'

export type SqlDialect = 'sqlite' | 'postgres'

/** A row of an answer, by the names of its columns. */
export type QueryRow = Readonly<Record<string, Cell>>

export interface QueryOptions {
  /** Stops waiting; where the store can (SQLite: with `mayLast`), it also stops working. */
  readonly signal?: AbortSignal | undefined
  /** Rows at most. */
  readonly limit: number
  /** Whose statement it is, we do not know, or it looks at much: where the store can, it does not hold up this thread. */
  readonly mayLast?: true
}

export interface Answer {
  readonly columns: readonly string[]
  readonly rows: QueryRow[]
}

/** What is kept of a projection of the user's. */
export interface KeptProjection {
  readonly checkpoint: Checkpoint
  /** Why it does not go on from there; JSON text. */
  readonly failure?: string | undefined
}

/** Rows of users' projections, JSON texts by key. */
export interface ProjectionRows {
  of(name: string): Promise<KeptProjection | undefined>
  /** Of those of these keys that are there; without `keys`, `limit` of them after the key `after`, in order of their keys. */
  rows(
    name: string,
    which: { readonly keys: readonly string[] } | { readonly after: string; readonly limit: number },
  ): Promise<ReadonlyMap<string, string>>
  /** Rows, null where one goes, and checkpoint in one step, or nothing and false where what is kept is not at `since` any more. */
  save(
    name: string,
    slice: KeptProjection & { readonly since: Position; readonly rows: ReadonlyMap<string, string | null> },
  ): Promise<boolean>
  /** Takes it out with all its rows. */
  drop(name: string): Promise<void>
  /** Puts the one named `by` in the place of another one, in one step. */
  replace(name: string, by: string): Promise<void>
}

export interface Replacement {
  readonly checkpoint: Checkpoint
  /** Rows that come in one after the other. */
  readonly changes: AsyncIterable<RowChanges>
  /** Those that are kept stay: they cannot be made again. */
  readonly keepMinutes: boolean
}

export interface ReadModels {
  readonly dialect: SqlDialect
  readonly projections: ProjectionRows
  /** Undefined before the first save, and whenever what was kept has been made anew. */
  checkpoint(): Promise<Checkpoint | undefined>
  /** `RowChanges.folds` as they are kept, of those of these streams that have one. */
  folds(streams: readonly string[]): Promise<ReadonlyMap<string, string>>
  /**
   * Rows, folds and checkpoint in one step, or nothing and false where what is kept is not at `since` any more (`''`: nothing
   * is kept yet). Lets the event loop go in between.
   */
  save(slice: {
    readonly since: Position
    readonly checkpoint: Checkpoint
    readonly changes: RowChanges
  }): Promise<boolean>
  /**
   * Drops all rows, and puts others in their place if there are any, in one step. False, and nothing is done, where the
   * checkpoint is not `found` any more.
   */
  startOver(found: Checkpoint, by?: Replacement): Promise<boolean>
  /** Empty ones of the same kind, which nobody else sees, and which go when they are closed. */
  fresh(): Promise<ReadModels>
  /**
   * One statement that reads, with parameters `$1`, `$2` ... Throws QueryInvalid, QueryWrites, StoreUnavailable, StoreClosed,
   * or the signal's reason.
   */
  query(sql: string, params: readonly Cell[], options: QueryOptions): Promise<Answer>
  /**
   * Where the store lets somebody beside this thread follow the log. Undefined: it cannot be done here and now. `isNew`: the log
   * has nothing yet.
   */
  beside?(world: BesideWorld): Beside | undefined
  close(): Promise<void>
}

export interface BesideWorld {
  readonly search: () => SearchPaths
  readonly logger: Logger
  readonly isNew: boolean
}

/** Brings the log into the tables without taking this thread's time. */
export interface Beside {
  /**
   * All that is in the log up to `until`. Answers with how often another process was faster. Rejects with ReadModelsUnfit where
   * what is kept cannot be gone on from.
   */
  catchUp(until: Position): Promise<number>
  close(): Promise<void>
}

/** What is kept is not of this log, or nothing is kept: it has to be built from the beginning. */
export class ReadModelsUnfit extends JobledgerError {
  readonly code = 'READ_MODELS_UNFIT'
  readonly family = 'ledger'
  constructor() {
    super('The read models have to be built from the beginning.')
  }
}

abstract class QueryError extends JobledgerError {
  readonly family = 'ledger'
}

/** A statement that the database does not understand, or that does not go with its parameters, or that takes too long. */
export class QueryInvalid extends QueryError {
  readonly code = 'QUERY_INVALID'
}

/** A statement that is not only for reading. Nothing was changed. */
export class QueryWrites extends QueryError {
  readonly code = 'QUERY_WRITES'
}
