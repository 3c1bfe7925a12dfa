import { InvalidOption } from '../../domain/errors.js'
import { type Position, START } from '../../domain/event.js'
import type { SearchPaths } from '../../projections/read-models/payload-paths.js'
import type { Cell } from '../../projections/read-models/tables.js'
import { checkKeys, toCount, toSignal, toText } from '../checks.js'
import type { Clock } from '../ports/clock.js'
import { delay } from '../ports/clock.js'
import type { Digest } from '../ports/digest.js'
import type { EventStore, LogReader } from '../ports/event-store.js'
import { StoreUnavailable, StoreUnusable } from '../ports/event-store.js'
import type { Logger } from '../ports/logger.js'
import type { Answer, Beside, QueryRow, ReadModels, SqlDialect } from '../ports/read-models.js'
import { ReadModelsUnfit } from '../ports/read-models.js'
import { Follower } from './follower.js'
import type { RebuiltTable } from './rebuild.js'
import { compare, hasRemoved, replaceBy } from './rebuild.js'
import { mergedPaths, SEARCH_FOLD } from './search-paths.js'

export interface QueryCall {
  readonly signal?: AbortSignal
  /** Rows at most, from 1 to 1,000,000; default 10,000. */
  readonly limit?: number
}

/** What a query may be given for its parameters; true and false are 1 and 0. */
export type QueryParameter = string | number | boolean | null

const QUERY_KEYS = new Set(['signal', 'limit'])
const LIMIT = 10_000
const LIMIT_MAX = 1_000_000

/** How long changes are collected before they are brought in, while this process does so, and while another one does (ms). */
const BEAT = 150
const BEHIND = 700

export interface TablesRebuild {
  readonly signal?: AbortSignal | undefined
  /** Called with so many events after each slice. */
  readonly onEvents?: (count: number) => void
  readonly apply?: boolean
}

interface Opened {
  readonly models: ReadModels
  readonly follower: Follower
  /** While they are kept up, if the store can. */
  beside?: Beside | undefined
}

export interface ModelsOptions {
  /** Opens them; called when they are first needed. */
  readonly open: (() => Promise<ReadModels>) | undefined
  readonly store: EventStore
  readonly log: LogReader
  readonly search: () => SearchPaths
  readonly digest: Digest
  readonly clock: Clock
  readonly logger: Logger
}

/** The tables for SQL, brought up to the end of the log before they are read. */
export class Models {
  readonly #options: ModelsOptions
  #opened: Promise<Opened> | undefined
  /** One at a time. */
  #following: Promise<unknown> = Promise.resolve()

  constructor(options: ModelsOptions) {
    this.#options = options
  }

  /** Throws InvalidOption, QueryInvalid, QueryWrites, StoreUnusable, StoreUnavailable, or the signal's reason. */
  async query(sql: string, params: readonly QueryParameter[] = [], call: QueryCall = {}): Promise<QueryRow[]> {
    return (await this.answer(sql, params, call)).rows
  }

  /** With the names of the columns. */
  async answer(sql: string, params: readonly QueryParameter[] = [], call: QueryCall = {}): Promise<Answer> {
    checkKeys(call, QUERY_KEYS, 'query')
    toText(sql, 'query.sql')
    const signal = toSignal(call.signal, 'query.signal')
    const limit = toCount(call.limit ?? LIMIT, 'query.limit', 1, LIMIT_MAX)
    const cells = toCells(params)
    const models = await this.caughtUp(signal)
    return models.query(sql, cells, { signal, limit, mayLast: true })
  }

  /** Whose SQL it is. Opens them. */
  async dialect(): Promise<SqlDialect> {
    return (await this.#open()).models.dialect
  }

  /** As they are. Throws StoreUnusable, StoreUnavailable. */
  async opened(): Promise<ReadModels> {
    return (await this.#open()).models
  }

  /** The tables, with all that was in the log when this was called. */
  async caughtUp(signal?: AbortSignal): Promise<ReadModels> {
    const opened = await this.#open()
    const head = await this.#options.store.head()
    await this.#inTurn(() => this.#catchUp(opened, head, signal))
    return opened.models
  }

  /** Answers with how often another process was faster, in all. */
  async #catchUp(opened: Opened, head: Position, signal?: AbortSignal): Promise<number> {
    const { follower, beside } = opened
    if (beside !== undefined) {
      try {
        return await beside.catchUp(head)
      } catch (error) {
        if (!(error instanceof ReadModelsUnfit)) {
          this.#options.logger.warn({ err: error }, 'read models are followed by the thread of the engine itself')
          opened.beside = undefined
          await beside.close()
        }
      }
    }
    await follower.catchUp(head, signal)
    return follower.lost
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#following.then(work)
    this.#following = done.catch(() => {})
    return done
  }

  #open(): Promise<Opened> {
    this.#opened ??= this.#tryOpen().catch((error) => {
      this.#opened = undefined
      throw error
    })
    return this.#opened
  }

  async #tryOpen(): Promise<Opened> {
    const { open, store, log, search, logger } = this.#options
    if (open === undefined) throw new StoreUnusable('This ledger was opened without read models.')
    const models = await open()
    return { models, follower: new Follower({ log, logId: store.logId, models, search, logger }) }
  }

  /** Keeps them up until `signal` aborts. Who finds that others are faster leaves it to them, and looks less often. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, store, search, logger } = this.#options
    await this.caughtUp(signal)
    const opened = await this.#open()
    const isNew = opened.follower.position === START
    opened.beside ??= opened.models.beside?.({ search, logger, isNew })
    try {
      for (let lost = 0; ; ) {
        const head = await store.head()
        const now = await this.#inTurn(() => this.#catchUp(opened, head, signal))
        await delay(clock, now > lost ? BEHIND : BEAT, signal)
        lost = now
      }
    } finally {
      await opened.beside?.close()
      opened.beside = undefined
    }
  }

  /**
   * Builds the tables once more beside those that serve, and says of each whether the two are the same. `apply`: puts the
   * new ones in their place, but for minutes of jobs that were removed. Throws StoreUnavailable where others keep changing them.
   */
  async rebuild({ signal, onEvents, apply = false }: TablesRebuild = {}): Promise<RebuiltTable[]> {
    const { store, log, search, logger, digest } = this.#options
    const live = await this.caughtUp(signal)
    const opened = await this.#open()
    const { paths } = mergedPaths((await live.folds([SEARCH_FOLD])).get(SEARCH_FOLD), search())
    const fresh = await live.fresh()
    try {
      const world = { log, logId: store.logId, models: fresh, search: () => paths, logger }
      const follower = new Follower({ ...world, ...(onEvents && { onEvents }) })
      await follower.catchUp(await store.head(), signal)
      const removed = await hasRemoved(log)
      return await this.#inTurn(async () => {
        await this.#catchUp(opened, await store.head(), signal)
        const at = await live.checkpoint()
        if (at === undefined) return []
        await follower.catchUp(at.position, signal)
        const told = await compare(live, fresh, { digest, removed, position: at.position })
        if (apply && !(await replaceBy(live, fresh, { at, keepMinutes: removed }))) {
          throw new StoreUnavailable('The tables have changed meanwhile.')
        }
        return told
      })
    } finally {
      await fresh.close()
    }
  }

  async close(): Promise<void> {
    await this.#following
    const opened = await this.#opened?.catch(() => undefined)
    await opened?.beside?.close()
    await opened?.models.close()
  }
}

function toCells(params: readonly QueryParameter[]): Cell[] {
  if (!Array.isArray(params)) throw new InvalidOption('query.params', 'an array', params)
  return params.map((value: unknown, index) => {
    if (typeof value === 'boolean') return value ? 1 : 0
    if (value === null || typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value)))
      return value
    throw new InvalidOption(`query.params[${index}]`, 'a text, a finite number, true, false or null', value)
  })
}
