/** What a ledger tells: nothing here changes anything. */
import type { RecordedEvent } from '../domain/event.js'
import type { AttemptRecord } from '../projections/attempts.js'
import type { Difference } from '../projections/diff/difference.js'
import type { Projection } from '../projections/fold.js'
import type { Engine } from './engine.js'
import type { Exported, ExportOptions } from './export/export.js'
import { exportLog } from './export/export.js'
import { AsOf } from './history/as-of.js'
import type { ReplayOptions } from './history/checks.js'
import type { DiffOptions } from './history/diff.js'
import { diff } from './history/diff.js'
import type { Moment } from './history/moment.js'
import type { RebuildOptions, RebuiltProjection } from './history/rebuild.js'
import { rebuild } from './history/rebuild.js'
import type { ReplayStep } from './history/replay.js'
import { replay } from './history/replay.js'
import type { QueryRow } from './ports/read-models.js'
import type { DeedFilter, DeedPage } from './read/deeds.js'
import { deedsIn } from './read/deeds.js'
import type { DependencyError } from './read/dependencies.js'
import type { Explain } from './read/explainer.js'
import type { ListFilter } from './read/listing.js'
import type { HistoryEntry, JobPage, JobStatus } from './read/queries.js'
import type { QueryCall, QueryParameter } from './report/models.js'
import type { ProjectionView } from './report/projections.js'
import { Reports } from './report/reports.js'
import type { Newest, SearchPage } from './report/search.js'
import { newest, search } from './report/search.js'
import type { SearchFilter } from './report/search-options.js'

export class LedgerReads {
  readonly #engine: () => Engine

  /** `engine` throws LedgerClosed. */
  constructor(engine: () => Engine) {
    this.#engine = engine
  }

  /** Throws JobUnknown, JobRemoved. */
  async status(id: string): Promise<JobStatus> {
    return this.#engine().queries.status(id)
  }

  /** Every event of a job's life, oldest first. Throws JobUnknown, JobRemoved, which says who removed it and why. */
  async history(id: string): Promise<HistoryEntry[]> {
    const { explainer, queries } = this.#engine()
    return explainer.withRemoval(id, queries.history(id))
  }

  /** What operators and their rules have done, newest first. Throws InvalidOption. */
  async deeds(filter?: DeedFilter): Promise<DeedPage> {
    const { wholeLog, ports } = this.#engine()
    return deedsIn({ log: wholeLog, clock: ports.clock }, filter)
  }

  /** Why it stands as it does: a job, a unique key, a trigger. */
  readonly explain: Explain = (async (asked: unknown) => this.#engine().explainer.explain(asked)) as Explain

  /** What each run of a job came to, oldest first. Throws JobUnknown, JobRemoved. */
  async attempts(id: string): Promise<AttemptRecord[]> {
    return this.#engine().queries.attempts(id)
  }

  /** Its dependencies that failed or were cancelled, each with what failed before it. Throws JobUnknown, JobRemoved. */
  async dependencyErrors(id: string): Promise<DependencyError[]> {
    const { queries, dependencies } = this.#engine()
    const { state } = await queries.read(id)
    return dependencies.errors(state)
  }

  /** The ledger as it was at an instant, or right after an event: read-only, asked when its methods are called. Throws InvalidOption. */
  asOf(moment: Moment): AsOf {
    return new AsOf(this.#engine, moment)
  }

  /**
   * Recorded events once more, in order; `through`: the rows of a projection after each event that it takes up. `speed` waits
   * as long between them as they were apart, or so many times less. Throws InvalidOption, or the signal's reason.
   */
  replay(options?: ReplayOptions): AsyncIterable<RecordedEvent>
  replay<Row>(options: ReplayOptions & { readonly through: Projection<Row> }): AsyncIterable<ReplayStep<Row>>
  replay<Row>(options: ReplayOptions & { readonly through?: Projection<Row> } = {}): AsyncIterable<unknown> {
    return replay(this.#engine(), options)
  }

  /**
   * Builds every projection once more from the log, while the live ones serve, and says of each whether the two are identical.
   * Throws InvalidOption, or the signal's reason.
   */
  async rebuild(options?: RebuildOptions): Promise<RebuiltProjection[]> {
    return rebuild(this.#engine(), options)
  }

  /**
   * Writes the log, or a part of it, into a file of its own: JSON by lines (docs/audit-format.md), compressed where the name ends in
   * `.gz`. All of a log can be imported into an empty ledger. Throws InvalidOption, JobUnknown,
   * JobRemoved, ExportExists, StoreUnavailable, or the signal's reason.
   */
  export(options: ExportOptions): Promise<Exported> {
    return exportLog(this.#engine(), options)
  }

  /**
   * The same history under two projections, under another lifecycle of jobs, or under other retry policies: what would differ,
   * as it is found. Throws InvalidOption, or the signal's reason.
   */
  diff(options: DiffOptions): AsyncIterable<Difference> {
    return diff(this.#engine(), options)
  }

  /** Jobs, newest first. Throws InvalidOption. */
  async list(filter?: ListFilter): Promise<JobPage> {
    return this.#engine().queries.list(filter)
  }

  /**
   * Jobs, ended ones too, that fit all that is asked for, newest first. Throws InvalidOption, StoreUnusable,
   * StoreUnavailable, LedgerClosed.
   */
  async search(filter?: SearchFilter): Promise<SearchPage> {
    return search(this.#engine().models, filter)
  }

  /** The newest jobs (`limit`, default 5) of each type in each state that it has jobs in. Throws as `search`. */
  async newest(options?: { readonly limit?: number }): Promise<Newest[]> {
    return newest(this.#engine().models, options)
  }

  /** Of a span of time, and of how things stand now. */
  readonly reports: Reports = new Reports(() => this.#engine())

  /**
   * Reads the tables of docs/read-models.md, with all that is in the log by now. One statement, in the SQL of the store, with
   * parameters `$1`, `$2` ... Throws QueryInvalid, QueryWrites, InvalidOption, StoreUnusable, StoreUnavailable, LedgerClosed.
   */
  async query(sql: string, params: readonly QueryParameter[] = [], options: QueryCall = {}): Promise<QueryRow[]> {
    return this.#engine().models.query(sql, params, options)
  }

  /** The rows of one of `openLedger({ projections })`. Throws InvalidOption. */
  projection<Row = unknown>(name: string | Projection<Row>): ProjectionView<Row> {
    const view = this.#engine().projections.view(typeof name === 'object' && name !== null ? name.name : name)
    return view as ProjectionView<Row>
  }
}
