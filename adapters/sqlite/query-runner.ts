/**
 * The program of the process that answers queries: see `query-process.ts`. One thread of it works; the other one hears that
 * whoever has asked is gone, and then ends them both, in the middle of a statement, too.
 */
import { statSync } from 'node:fs'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { Cell } from '../../projections/read-models/tables.js'
import type { Database } from './driver.js'
import type { Question, Reply, Statement } from './query-process.js'
import { findRows } from './read-models-query.js'
import { connectReader } from './read-models-schema.js'

/** Of one reply: rows, and units of text in them. */
const ROWS = 500
const TEXT = 250_000

function relay(path: string): void {
  const worker = new Worker(new URL(import.meta.url), { workerData: path })
  process.on('message', (question) => worker.postMessage(question))
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  // For whoever has asked to end by itself: Ctrl-C goes to the whole group.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
  worker.on('message', (reply: Reply) => process.send?.(reply))
}

function* answers(db: Database, { sql, params, limit }: Statement): Generator<Reply, void, undefined> {
  const { columns, rows: found } = findRows(db, sql, params)
  let [rows, text, left]: [(readonly Cell[])[], number, number] = [[], 0, limit]
  for (const cells of found) {
    rows.push(cells)
    left -= 1
    for (const cell of cells) if (typeof cell === 'string') text += cell.length
    if (left === 0) break
    if (rows.length < ROWS && text < TEXT) continue
    yield { columns, rows, isLast: false }
    rows = []
    text = 0
  }
  yield { columns, rows, isLast: true }
}

/** Somebody may have deleted the file or made it anew. */
class Reader {
  readonly #path: string
  #db: Database | undefined
  #inode = 0

  constructor(path: string) {
    this.#path = path
  }

  db(): Database {
    const inode = statSync(this.#path, { throwIfNoEntry: false })?.ino ?? 0
    if (this.#db === undefined || inode !== this.#inode) {
      this.#db?.close()
      this.#db = connectReader(this.#path)
      this.#inode = inode
    }
    return this.#db
  }
}

function work(path: string): void {
  const reader = new Reader(path)
  let answering: Generator<Reply, void, undefined> | undefined
  parentPort?.on('message', (question: Question) => {
    try {
      if (question !== 'more') answering = answers(reader.db(), question)
      parentPort?.postMessage(answering?.next().value)
    } catch (error) {
      const { code, message } = error as { code?: unknown; message?: unknown }
      parentPort?.postMessage({ code: String(code), message: String(message) } satisfies Reply)
    }
  })
}

if (isMainThread) relay(process.argv[2] ?? '')
else work(workerData as string)
