/**
 * A process that answers queries on a file, one at a time. A thread would cost less, and cannot be stopped in the middle of a
 * statement; a process can.
 */
import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Cell } from '../../projections/read-models/tables.js'
import { StoreClosed, StoreUnavailable } from '../../runtime/ports/event-store.js'
import type { Answer, QueryRow } from '../../runtime/ports/read-models.js'
import { QueryInvalid, QueryWrites } from '../../runtime/ports/read-models.js'
import { childEnvironment } from '../shared/environment.js'
import { toRow } from './read-models-query.js'

export interface Statement {
  readonly sql: string
  readonly params: readonly Cell[]
  /** Rows at most. */
  readonly limit: number
}

/** `more`: the next rows of the answer, of which the process holds few at a time. */
export type Question = Statement | 'more'

export type Reply =
  | { readonly columns: readonly string[]; readonly rows: readonly (readonly Cell[])[]; readonly isLast: boolean }
  | { readonly code: string; readonly message: string }

/** A process is JavaScript: from sources it runs what was built. */
const FOLDER = import.meta.url.endsWith('.ts') ? '../../dist/adapters/sqlite/' : './'
const PROGRAM = fileURLToPath(new URL(`${FOLDER}query-runner.js`, import.meta.url))

export const hasProgram = (): boolean => existsSync(PROGRAM)

export class QueryProcess {
  readonly exited: Promise<void>
  readonly #process: ChildProcess
  #hear: { readonly resolve: (reply: Reply) => void; readonly reject: (error: Error) => void } | undefined
  #gone: Error | undefined

  /** Throws StoreUnavailable where processes may not be started. */
  constructor(path: string) {
    this.#process = start(path)
    this.#process.on('message', (reply: Reply) => this.#hear?.resolve(reply))
    this.exited = new Promise((resolve) => {
      const end = (why: string): void => {
        this.#end(new StoreUnavailable(`The process that answers queries has ended (${why}).`))
        resolve()
      }
      this.#process.once('exit', (code, signal) => end(String(signal ?? code)))
      this.#process.once('error', ({ message }) => end(message))
    })
    this.#hold(false)
  }

  get isFit(): boolean {
    return this.#gone === undefined
  }

  /** Rejects with QueryInvalid, QueryWrites, StoreUnavailable, StoreClosed or the reason of the signal, which ends the process. */
  async answer(statement: Statement, signal?: AbortSignal): Promise<Answer> {
    const abort = (): void => this.#kill(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    this.#hold(true)
    try {
      const rows: QueryRow[] = []
      for (let next: Question = statement; ; next = 'more') {
        const reply = await this.#ask(next)
        if ('code' in reply) throw toError(reply)
        for (const cells of reply.rows) rows.push(toRow(reply.columns, cells))
        if (reply.isLast) return { columns: reply.columns, rows }
      }
    } finally {
      signal?.removeEventListener('abort', abort)
      this.#hear = undefined
      if (this.isFit) this.#hold(false)
    }
  }

  #ask(question: Question): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#gone !== undefined) return reject(this.#gone)
      this.#hear = { resolve, reject }
      this.#process.send(question, (error) => {
        if (error !== null) reject(new StoreUnavailable(`The process that answers queries: ${error.message}.`))
      })
    })
  }

  /** Whatever it does ends with it. */
  close(): void {
    this.#kill(new StoreClosed())
  }

  #kill(why: Error): void {
    this.#end(why)
    // Whoever closes waits for its end.
    this.#hold(true)
    this.#process.kill('SIGKILL')
  }

  #end(why: Error): void {
    this.#gone ??= why
    this.#hear?.reject(this.#gone)
  }

  /** Whether this process waits for it, or may end while it has nothing to do. */
  #hold(on: boolean): void {
    const [child, channel] = [this.#process, this.#process.channel]
    if (on) {
      child.ref()
      channel?.ref()
    } else {
      child.unref()
      channel?.unref()
    }
  }
}

function start(path: string): ChildProcess {
  try {
    return fork(PROGRAM, [path], {
      execArgv: [],
      env: childEnvironment(),
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new StoreUnavailable(`The process that answers queries cannot be started: ${reason}.`, { cause })
  }
}

function toError({ code, message }: Extract<Reply, { readonly code: string }>): Error {
  if (code === 'QUERY_WRITES') return new QueryWrites(message)
  if (code === 'QUERY_INVALID') return new QueryInvalid(message)
  return new StoreUnavailable(message)
}
