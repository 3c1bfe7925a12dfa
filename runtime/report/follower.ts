import type { Position, RecordedEvent } from '../../domain/event.js'
import { START } from '../../domain/event.js'
import { jobStream } from '../../domain/job/events.js'
import type { SearchPaths } from '../../projections/read-models/payload-paths.js'
import { Projector, READ_STREAMS } from '../../projections/read-models/projector.js'
import type { RowChanges } from '../../projections/read-models/tables.js'
import { READ_MODELS_VERSION } from '../../projections/read-models/tables.js'
import type { LogReader } from '../ports/event-store.js'
import type { Logger } from '../ports/logger.js'
import type { ReadModels } from '../ports/read-models.js'
import { ReadModelsUnfit } from '../ports/read-models.js'
import type { Checkpoint } from '../ports/views.js'
import { fits, isSame } from './fits.js'
import { mergedPaths, SEARCH_FOLD } from './search-paths.js'

/** Events that are brought into one save: the more, the fewer rows are written twice. */
const SLICE = 4_000

export interface FollowerOptions {
  readonly log: LogReader
  readonly logId: string
  readonly models: ReadModels
  /** What the job types of this process declare. */
  readonly search: () => SearchPaths
  readonly logger: Logger
  /** Whether tables may be built from the beginning of the log here. Default: they may. */
  readonly mayBegin?: () => boolean
  /** Called after each slice. */
  readonly onEvents?: (count: number) => void
}

/**
 * Brings the log into the tables, slice by slice, each with the checkpoint it leads to: a slice is in them wholly and once,
 * whatever happens to this process. Where another process was faster, its rows are taken as they are.
 */
export class Follower {
  readonly #options: FollowerOptions
  #projector: Projector
  #at: Checkpoint | undefined
  /** Whether what is kept was found to be of this log. */
  #known = false
  #lost = 0
  /** Declared by anybody, to be kept where that is not the case yet. */
  #search: string | undefined

  constructor(options: FollowerOptions) {
    this.#options = options
    this.#projector = this.#fresh(new Map())
  }

  get position(): Position {
    return this.#at?.position ?? START
  }

  /** How often another process was faster. */
  get lost(): number {
    return this.#lost
  }

  #fresh(search: SearchPaths): Projector {
    const { logger } = this.#options
    return new Projector(search, ({ stream, revision, position, type }, error) =>
      logger.warn({ err: error, stream, revision, position, type }, 'event is in no table: it does not fit its stream'),
    )
  }

  /** Brings in all that is in the log up to `until`. One call at a time. Throws StoreUnavailable. */
  async catchUp(until: Position, signal?: AbortSignal): Promise<void> {
    await this.#look()
    while (this.position < until) {
      signal?.throwIfAborted()
      if (await this.#through(until, signal)) return
      this.#lost += 1
      this.#known = false
      await this.#look()
    }
  }

  /** Where what is kept stands. Whoever has written it, its rows are good if they are of this log. */
  async #look(): Promise<void> {
    const { models, logger, log, logId, mayBegin = () => true } = this.#options
    const version = READ_MODELS_VERSION
    for (;;) {
      const kept = await models.checkpoint()
      if (this.#known && isSame(kept, this.#at)) return
      const isGood = kept === undefined ? mayBegin() : await fits(log, { logId, version }, kept)
      if (isGood) {
        this.#at = kept
        await this.#begin()
        return
      }
      if (kept === undefined || !mayBegin()) throw new ReadModelsUnfit()
      logger.info({ checkpoint: kept }, 'read models do not fit the log: they are built again')
      await models.startOver(kept)
    }
  }

  async #begin(): Promise<void> {
    const { models, search } = this.#options
    const { paths, text } = mergedPaths((await models.folds([SEARCH_FOLD])).get(SEARCH_FOLD), search())
    this.#search = text
    this.#projector = this.#fresh(paths)
    this.#known = true
  }

  /** False: somebody else was faster, and what this projector knows is of no use any more. */
  async #through(until: Position, signal: AbortSignal | undefined): Promise<boolean> {
    const after = this.position
    let slice: RecordedEvent[] = []
    for await (const page of this.#options.log.readAll({ after, until, streams: READ_STREAMS, bodies: true })) {
      signal?.throwIfAborted()
      slice.push(...page)
      if (slice.length < SLICE) continue
      if (!(await this.#bring(slice))) return false
      slice = []
    }
    return slice.length === 0 || this.#bring(slice)
  }

  async #bring(slice: readonly RecordedEvent[]): Promise<boolean> {
    const { models, logId } = this.#options
    const since = this.position
    await this.#restore(slice, since)
    for (const event of slice) this.#projector.apply(event)
    const { stream, revision, id: eventId, position } = slice.at(-1) as RecordedEvent
    const checkpoint = { logId, position, stream, revision, eventId, version: READ_MODELS_VERSION }
    try {
      if (!(await models.save({ since, checkpoint, changes: this.#changes() }))) return false
    } catch (error) {
      // What was folded is not kept.
      this.#known = false
      throw error
    }
    this.#at = checkpoint
    this.#search = undefined
    this.#options.onEvents?.(slice.length)
    return true
  }

  #changes(): RowChanges {
    const changes = this.#projector.take()
    if (this.#search === undefined) return changes
    return { ...changes, folds: new Map([...changes.folds, [SEARCH_FOLD, this.#search]]) }
  }

  /** What the projector does not remember: of jobs their streams tell, of triggers and workers what was kept. */
  async #restore(slice: readonly RecordedEvent[], since: Position): Promise<void> {
    for (const [id, limit] of this.#projector.missingJobs(slice)) {
      const events: RecordedEvent[] = []
      // What has come since is in the slice, or in one to come: of a job that has run that is most of it.
      for await (const page of this.#options.log.readStream(jobStream(id), { limit, bodies: true })) {
        events.push(...page.filter(({ position }) => position <= since))
      }
      this.#projector.restoreJob(id, events)
    }
    const streams = this.#projector.missingFolds(slice)
    if (streams.length === 0) return
    for (const [stream, text] of await this.#options.models.folds(streams)) this.#projector.restoreFold(stream, text)
  }
}
