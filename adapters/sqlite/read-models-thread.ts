/** A thread that follows the log into the tables for SQL: the engine's own has no time to lose. */
import { existsSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { Position } from '../../domain/event.js'
import type { SearchPaths } from '../../projections/read-models/payload-paths.js'
import { StoreUnavailable } from '../../runtime/ports/event-store.js'
import type { Logger } from '../../runtime/ports/logger.js'
import { type Beside, type BesideWorld, ReadModelsUnfit } from '../../runtime/ports/read-models.js'

export interface ThreadData {
  readonly log: string
  readonly reports: string
  /** The log has nothing yet: there is nothing that is not to be found in it. */
  readonly isNew: boolean
}

export interface ThreadRequest {
  readonly until: Position
  readonly search: readonly (readonly [type: string, paths: readonly string[]])[]
}

export type ThreadAnswer =
  | { readonly lost: number }
  | { readonly error: string; readonly unfit: boolean }
  | { readonly level: 'info' | 'warn'; readonly facts: object; readonly message: string }

/** A thread is JavaScript: from sources it runs what was built. */
const FOLDER = import.meta.url.endsWith('.ts') ? '../../dist/adapters/sqlite/' : './'
const MODULE = new URL(`${FOLDER}read-models-worker.js`, import.meta.url)

export class ReadModelsThread implements Beside {
  readonly #worker: Worker
  readonly #search: () => SearchPaths
  readonly #logger: Logger
  /** What is asked of it now: one thing at a time. */
  #asked: { readonly resolve: (lost: number) => void; readonly reject: (error: Error) => void } | undefined
  #gone: Error | undefined

  private constructor(data: ThreadData, { search, logger }: BesideWorld) {
    this.#search = search
    this.#logger = logger
    this.#worker = new Worker(MODULE, { workerData: data })
    this.#worker.unref()
    this.#worker.on('message', (answer: ThreadAnswer) => this.#hear(answer))
    this.#worker.on('error', (error) => this.#end(error))
    this.#worker.on('exit', () => this.#end(new Error('it has ended')))
  }

  /** Undefined where its program is not there. */
  static start(log: string, reports: string, world: BesideWorld): ReadModelsThread | undefined {
    if (!existsSync(MODULE)) return undefined
    return new ReadModelsThread({ log, reports, isNew: world.isNew }, world)
  }

  catchUp(until: Position): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#gone !== undefined) return reject(this.#gone)
      this.#asked = { resolve, reject }
      const request: ThreadRequest = { until, search: [...this.#search()] }
      this.#worker.postMessage(request)
    })
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }

  #hear(answer: ThreadAnswer): void {
    if ('level' in answer) return this.#logger[answer.level](answer.facts, answer.message)
    const asked = this.#asked
    this.#asked = undefined
    if ('lost' in answer) asked?.resolve(answer.lost)
    else asked?.reject(answer.unfit ? new ReadModelsUnfit() : new StoreUnavailable(answer.error))
  }

  #end(cause: Error): void {
    this.#gone ??= new StoreUnavailable(`The thread of the read models is gone: ${cause.message}.`, { cause })
    this.#asked?.reject(this.#gone)
    this.#asked = undefined
  }
}
