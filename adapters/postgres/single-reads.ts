/**
 * Single events, asked for by many at once: every lease reads its payload. What is asked for in one turn of the event loop, or
 * while an answer is awaited, is one statement; a statement for each would cost more than all else that a job costs.
 */
import type { RecordedEvent } from '../../domain/event.js'
import { List } from './lists.js'
import type { RunQuery } from './reader.js'
import { NARROW, type OnUnreadable, toEvents, toText, WIDE } from './rows.js'
import { quoted, REMOVED } from './schema.js'

/** Events of one statement: with bodies of the usual limit, 1 MiB, still an answer that memory can hold. */
const BATCH = 200

interface Asked {
  readonly stream: string
  readonly from: number
  readonly resolve: (event: RecordedEvent | undefined) => void
  readonly reject: (error: unknown) => void
}

export class SingleReads {
  readonly #query: RunQuery
  readonly #select: string
  readonly #rest: string
  readonly #onUnreadable: OnUnreadable
  #asked: Asked[] = []
  #going = false

  constructor(query: RunQuery, schema: string, bodies: boolean, onUnreadable: OnUnreadable) {
    this.#query = query
    this.#onUnreadable = onUnreadable
    this.#select = `SELECT ${bodies ? WIDE : NARROW}`
    this.#rest = ` WITH ORDINALITY r(stream, from_revision, n)
      LEFT JOIN LATERAL (
        SELECT * FROM ${quoted(schema)}.events v
        WHERE v.stream = r.stream AND v.revision >= r.from_revision AND v.type <> '${REMOVED}' ORDER BY v.revision LIMIT 1
      ) e ON true ORDER BY r.n`
  }

  /** A page of the first event of a stream from a revision on, if there is one. */
  read(stream: string, from: number): AsyncIterable<RecordedEvent[]> {
    return { [Symbol.asyncIterator]: () => new SingleRead(() => this.#first(stream, from)) }
  }

  #first(stream: string, from: number): Promise<RecordedEvent | undefined> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ stream, from, resolve, reject })
      if (this.#going) return
      this.#going = true
      setImmediate(() => void this.#answer())
    })
  }

  async #answer(): Promise<void> {
    while (this.#asked.length > 0) await this.#batch(this.#asked.splice(0, BATCH))
    this.#going = false
  }

  async #batch(asked: readonly Asked[]): Promise<void> {
    try {
      const streams = new List('text')
      const revisions = new List('bigint')
      for (const { stream, from } of asked) {
        streams.push(toText(stream))
        revisions.push(from)
      }
      const sql = `${this.#select} FROM unnest(${streams.expression(1)}, ${revisions.expression(2)})${this.#rest}`
      const rows = await this.#query(sql, [streams.value, revisions.value])
      for (const [index, { resolve }] of asked.entries()) {
        const row = rows[index]
        resolve(row === undefined || row[0] === null ? undefined : toEvents([row], this.#onUnreadable)[0])
      }
    } catch (error) {
      for (const { reject } of asked) reject(error)
    }
  }
}

/** By hand: a generator that is asked for one thing costs more than it. */
class SingleRead implements AsyncIterator<RecordedEvent[]> {
  #read: (() => Promise<RecordedEvent | undefined>) | undefined

  constructor(read: () => Promise<RecordedEvent | undefined>) {
    this.#read = read
  }

  async next(): Promise<IteratorResult<RecordedEvent[]>> {
    const event = await this.#read?.()
    this.#read = undefined
    return event === undefined ? { done: true, value: undefined } : { done: false, value: [event] }
  }
}
