import type { JobsRemoved } from '../../domain/audit/events.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import type { Position } from '../../domain/event.js'
import { START } from '../../domain/event.js'
import { isJobStream, jobIdOf } from '../../domain/job/events.js'
import { JOB_BOARD_VERSION } from '../../projections/job-board.js'
import { LedgerState } from '../../projections/ledger-state.js'
import type { LogReader } from '../ports/event-store.js'
import type { Logger } from '../ports/logger.js'
import type { Checkpoint, KeptCheckpoint, KeptCheckpoints } from '../ports/views.js'
import type { Queries } from '../read/queries.js'
import { foldLog } from './fold-log.js'

/** Whole states of days long past, from the nearest checkpoint that was kept. */
export class Past {
  readonly #log: LogReader
  readonly #logId: string
  readonly #kept: KeptCheckpoints | undefined
  readonly #queries: Pick<Queries, 'removed'>
  readonly #logger: Logger

  constructor(options: {
    readonly log: LogReader
    readonly logId: string
    readonly kept: KeptCheckpoints | undefined
    readonly queries: Pick<Queries, 'removed'>
    readonly logger: Logger
  }) {
    this.#log = options.log
    this.#logId = options.logId
    this.#kept = options.kept
    this.#queries = options.queries
    this.#logger = options.logger
  }

  /** Of what the log still knows: jobs that were removed since are not in it. Throws the signal's reason. */
  async stateAt(position: Position, signal?: AbortSignal): Promise<LedgerState> {
    const { state, at } = await this.#startFor(position)
    await foldLog(this.#log, state, { after: at, until: position }, { signal })
    if (at !== START) await this.#forgetRemoved(state, position)
    return state
  }

  async #startFor(position: Position): Promise<{ state: LedgerState; at: Position }> {
    const kept = (await this.#kept?.list()) ?? []
    const before = kept.filter(({ checkpoint }) => checkpoint.position <= position)
    for (const each of before.reverse()) {
      const state = await this.#restored(each)
      if (state !== undefined) return { state, at: each.checkpoint.position }
      await this.#kept?.drop([each.checkpoint.position])
    }
    return { state: new LedgerState(), at: START }
  }

  /** Undefined for one that is not of this log, or cannot be read. */
  async #restored({ checkpoint, at }: KeptCheckpoint): Promise<LedgerState | undefined> {
    try {
      if (!(await this.#fits(checkpoint))) return undefined
      const content = await this.#kept?.content(checkpoint.position)
      if (content === undefined) return undefined
      const state = new LedgerState()
      for await (const page of content.rows) state.restoreJobs(page, at)
      state.restore(content.texts)
      return state
    } catch (error) {
      this.#logger.warn({ err: error, position: checkpoint.position }, 'checkpoint of the past cannot be read')
      return undefined
    }
  }

  async #fits({ logId, version, stream, revision, eventId, position }: Checkpoint): Promise<boolean> {
    if (logId !== this.#logId || version !== JOB_BOARD_VERSION) return false
    for await (const [event] of this.#log.readStream(stream, { from: revision, limit: 1 })) {
      return event?.id === eventId && event.position === position
    }
    // Its job may have been removed since: that it was here is on record.
    return isJobStream(stream) && (await this.#queries.removed([jobIdOf(stream)])).size > 0
  }

  /** What a checkpoint had, and the log has no more. */
  async #forgetRemoved(state: LedgerState, position: Position): Promise<void> {
    for await (const page of this.#log.readStream(AUDIT_STREAM, { backwards: true })) {
      for (const event of page) {
        if (event.position <= position) return
        // Those that were archived are still to be read.
        if (event.type !== 'JobsRemoved' || 'segment' in event.data) continue
        for (const { id } of (event.data as JobsRemoved).jobs) state.board.forget(id)
      }
    }
  }
}
