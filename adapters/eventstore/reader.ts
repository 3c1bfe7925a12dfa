/** Reads of the ledger's streams and of its part of the server's log. */
import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js'
import type { Position, RecordedEvent } from '../../domain/event.js'
import type { ReadAllOptions, ReadStreamOptions } from '../../runtime/ports/event-store.js'
import { StoreUnavailable } from '../../runtime/ports/event-store.js'
import { PAGE_SIZE } from '../shared/pages.js'
import type { Connection } from './connection.js'
import { kindOf } from './errors.js'
import { fromPosition, type LogPosition } from './positions.js'
import { type Decoded, decode, type Recorded, streamOf } from './records.js'
import { logRead, streamRead } from './requests.js'
import { LOG_STREAM } from './schema.js'

export type OnUnreadable = (position: string, error: Error) => void

/** Where a stream ends. */
export type Ending = { readonly revision: number; readonly position: Position } | 'none' | 'removed'

export interface ReaderOptions {
  readonly connection: Connection
  readonly prefix: string
  readonly origin: LogPosition
}

export class Reader {
  readonly prefix: string
  readonly #connection: Connection
  readonly #origin: LogPosition
  readonly #onUnreadable: OnUnreadable
  /** The furthest event of the ledger that anybody has seen or written here, and up to where it is the last one. */
  #last: Position = ''
  #through: Position = ''

  constructor({ connection, prefix, origin }: ReaderOptions, onUnreadable: OnUnreadable) {
    this.prefix = prefix
    this.#connection = connection
    this.#origin = origin
    this.#onUnreadable = onUnreadable
  }

  /** Where to begin in the server's log: what was there before the ledger need not be looked through. */
  startAt(after: Position): LogPosition {
    return fromPosition(after) ?? this.#origin
  }

  /** Pages of one stream. */
  async *stream(stream: string, options: ReadStreamOptions): AsyncGenerator<RecordedEvent[], void, undefined> {
    this.#connection.checkOpen()
    const { from, limit, backwards, bodies = false } = options
    if (limit === 0 || stream === '') return
    const request = streamRead({ name: this.prefix + stream, from, limit, backwards })
    for await (const page of pagesOf(this.decoded(request, bodies, stream))) yield page
  }

  /** Pages of the log as it is when the end is reached. */
  async *all(options: ReadAllOptions): AsyncGenerator<RecordedEvent[], void, undefined> {
    this.#connection.checkOpen()
    const { after = '', until, streams, types, limit = Number.POSITIVE_INFINITY, bodies = false } = options
    const from = this.startAt(after)
    if (until !== undefined) fromPosition(until)
    if (streams?.length === 0 || types?.length === 0 || limit === 0) return
    const wanted = types === undefined ? undefined : new Set(types)
    let left = limit
    const events = this.decoded(logRead({ prefix: this.prefix, streams }, from), bodies)
    for await (const page of pagesOf(events)) {
      const taken = page.filter(
        ({ position, type }) =>
          position > after && (until === undefined || position <= until) && (wanted?.has(type) ?? true),
      )
      const given = taken.slice(0, left)
      left -= given.length
      if (given.length > 0) yield given
      if (left <= 0 || (until !== undefined && (page.at(-1)?.position ?? '') >= until)) return
    }
  }

  /** An event of the ledger at `last` is known, and that up to `through` none comes after it. */
  saw(last: Position, through: Position = last): void {
    if (last === '' || through <= this.#through) return
    this.#last = last > this.#last ? last : this.#last
    this.#through = through
  }

  /** Of the last event of the ledger. Others may have written much since: it is looked for from where somebody last was. */
  async head(): Promise<Position> {
    if (this.#last !== '') {
      const from = fromPosition(this.#through)
      for await (const page of this.decoded(logRead({ prefix: this.prefix }, from), false))
        for (const { event } of page) this.saw(event.position)
      return this.#last
    }
    for await (const [last] of this.decoded(logRead({ prefix: this.prefix }, undefined, true), false))
      if (last !== undefined) return last.event.position
    return ''
  }

  /** Where the event of a stream at a revision lies. */
  async positionOf(stream: string, revision: number): Promise<Position> {
    for await (const [event] of this.stream(stream, { from: revision, limit: 1 }))
      if (event?.revision === revision) return event.position
    // Hidden by a truncation: what is left of the stream is as near as anybody can get.
    const ending = await this.ending(stream)
    if (typeof ending === 'object') return ending.position
    throw new StoreUnavailable(`${this.#connection.place}: revision ${revision} of '${stream}' cannot be found.`)
  }

  async ending(stream: string): Promise<Ending> {
    const name = this.prefix + stream
    try {
      for await (const records of this.records(streamRead({ name, backwards: true, limit: 1 })))
        for (const record of records) {
          const position = decode(record, 0, false)?.event.position ?? ''
          return { revision: Number(record.getStreamRevision()), position }
        }
    } catch (error) {
      if (isRemoved(error)) return 'removed'
      throw error
    }
    return 'none'
  }

  /** Events of the ledger among those that a read brings. With `stream`, nothing for one that was removed. */
  async *decoded(request: ReadReq, bodies: boolean, stream?: string): AsyncGenerator<Decoded[], void, undefined> {
    try {
      for await (const records of this.records(request)) {
        const found = records.flatMap((record) => this.decode(record, bodies) ?? [])
        if (found.length > 0) yield found
      }
    } catch (error) {
      if (stream === undefined || !isRemoved(error)) throw error
    }
  }

  /** undefined for what is none of the ledger's events, or cannot be read. */
  decode(record: Recorded, bodies: boolean): Decoded | undefined {
    try {
      const decoded = decode(record, this.prefix.length, bodies)
      return decoded?.event.stream === LOG_STREAM ? undefined : decoded
    } catch (error) {
      const position = `${streamOf(record)}@${record.getStreamRevision()}`
      this.#onUnreadable(position, error as Error)
      return undefined
    }
  }

  /** Everything that a read brings, the server's own events too. */
  async *records(request: ReadReq): AsyncGenerator<Recorded[], void, undefined> {
    for await (const messages of this.#connection.read(request)) yield messages.flatMap(recordIn)
  }
}

export function recordIn(message: ReadResp): Recorded | [] {
  return message.getEvent()?.getEvent() ?? []
}

export function isRemoved(error: unknown): boolean {
  return kindOf(error instanceof Error && error.cause !== undefined ? error.cause : error) === 'stream-deleted'
}

/** What comes in dribs and drabs, in pages. */
async function* pagesOf(parts: AsyncIterable<Decoded[]>): AsyncGenerator<RecordedEvent[], void, undefined> {
  let page: RecordedEvent[] = []
  for await (const part of parts) {
    for (const { event } of part) {
      page.push(event)
      if (page.length < PAGE_SIZE) continue
      yield page
      page = []
    }
  }
  if (page.length > 0) yield page
}
