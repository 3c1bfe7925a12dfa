/** Processes for queries on a file: started when they are needed, kept for a while for the next query. */
import { StoreClosed } from '../../runtime/ports/event-store.js'
import type { Answer } from '../../runtime/ports/read-models.js'
import { QueryProcess, type Statement } from './query-process.js'

/** Queries at once; others wait for one of these to end. */
const AT_ONCE = 4
/** How long a process is kept without a query (ms). */
const IDLE = 30_000

interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class QueryPool {
  readonly #path: string
  readonly #processes = new Set<QueryProcess>()
  readonly #free: QueryProcess[] = []
  readonly #waiting = new Set<Waiting>()
  #underWay = 0
  #resting: NodeJS.Timeout | undefined
  #closed = false

  constructor(path: string) {
    this.#path = path
  }

  /** Rejects with QueryInvalid, QueryWrites, StoreUnavailable, StoreClosed or the reason of the signal. */
  async answer(statement: Statement, signal?: AbortSignal): Promise<Answer> {
    await this.#turn(signal)
    try {
      return await this.#ask(statement, signal)
    } finally {
      this.#endTurn()
    }
  }

  /** What is under way ends. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#resting)
    for (const { reject } of this.#waiting) reject(new StoreClosed())
    for (const process of this.#processes) process.close()
    await Promise.all([...this.#processes].map(({ exited }) => exited))
  }

  async #ask(statement: Statement, signal?: AbortSignal): Promise<Answer> {
    signal?.throwIfAborted()
    if (this.#closed) throw new StoreClosed()
    const process = this.#take()
    try {
      return await process.answer(statement, signal)
    } finally {
      if (process.isFit) this.#keep(process)
    }
  }

  #take(): QueryProcess {
    for (let free = this.#free.pop(); free !== undefined; free = this.#free.pop()) if (free.isFit) return free
    const process = new QueryProcess(this.#path)
    this.#processes.add(process)
    void process.exited.then(() => this.#processes.delete(process))
    return process
  }

  #keep(process: QueryProcess): void {
    this.#free.push(process)
    this.#resting ??= setTimeout(() => this.#rest(), IDLE).unref()
    this.#resting.refresh()
  }

  #rest(): void {
    for (const process of this.#free.splice(0)) process.close()
  }

  async #turn(signal?: AbortSignal): Promise<void> {
    if (this.#underWay < AT_ONCE) {
      this.#underWay += 1
      return
    }
    let stop = (): void => {}
    const waiting = new Promise<void>((resolve, reject) => {
      const place = { resolve, reject }
      const abort = (): void => reject(signal?.reason)
      this.#waiting.add(place)
      signal?.addEventListener('abort', abort, { once: true })
      stop = () => {
        this.#waiting.delete(place)
        signal?.removeEventListener('abort', abort)
      }
    })
    return waiting.finally(() => stop())
  }

  /** Goes to whoever has waited for longest. */
  #endTurn(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#underWay -= 1
      return
    }
    this.#waiting.delete(next)
    next.resolve()
  }
}
