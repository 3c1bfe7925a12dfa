/**
 * Taking streams, and the beginnings of streams, out. A tombstone burns a name for ever, `$tb` hides what is before a revision:
 * from reads of the stream at once, from the log when an operator scavenges it.
 */
import { StoreUnavailable } from '../../runtime/ports/event-store.js'
import { appendOf } from './appender.js'
import type { Connection } from './connection.js'
import { isTooBusy } from './errors.js'
import type { Pipeline } from './pipeline.js'
import { isRemoved, type Reader } from './reader.js'
import { proposal, textOf } from './records.js'
import { streamRead } from './requests.js'
import { truncatedBefore } from './sizes.js'

/** Whoever else sets metadata of the same stream at the same time is waited for so often. */
const TRIES = 5

/** Streams taken out at once: of thousands the server does not get through all within the time it gives each. */
const AT_ONCE = 16

interface Own {
  readonly text: string
  readonly revision: number | 'none'
}

export class Removals {
  readonly #connection: Connection
  readonly #reader: Reader
  readonly #pipeline: Pipeline

  constructor(connection: Connection, reader: Reader, pipeline: Pipeline) {
    this.#connection = connection
    this.#reader = reader
    this.#pipeline = pipeline
  }

  /** A name that was never written stays free. */
  async remove(streams: readonly string[]): Promise<void> {
    this.#connection.checkOpen()
    const left = new Set(streams).values()
    await Promise.all(Array.from({ length: AT_ONCE }, () => this.#removeEach(left)))
  }

  /** The last event stays. */
  async truncate(stream: string, before: number): Promise<void> {
    this.#connection.checkOpen()
    const ending = await this.#reader.ending(stream)
    if (typeof ending === 'string') return
    const wanted = Math.min(before, ending.revision)
    for (let tries = 0; tries < TRIES; tries += 1) {
      const own = await this.#metadata(stream)
      if (wanted <= truncatedBefore(own.text)) return
      if (await this.#setMetadata(stream, own, wanted)) return
    }
    throw new StoreUnavailable(`${this.#connection.place}: others keep changing the metadata of '${stream}'.`)
  }

  async #removeEach(left: Iterable<string>): Promise<void> {
    for (const stream of left) await this.#removeOne(stream)
  }

  async #removeOne(stream: string): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      if (stream === '' || typeof (await this.#reader.ending(stream)) === 'string') return
      try {
        return await this.#connection.call((client) => client.bury(this.#reader.prefix + stream))
      } catch (error) {
        // Somebody else was faster.
        if (isRemoved(error)) return
        if (!(error instanceof StoreUnavailable) || !isTooBusy(error.cause) || tries === TRIES) throw error
      }
    }
  }

  /** What an operator has set there stays. */
  async #metadata(stream: string): Promise<Own> {
    const request = streamRead({ name: `$$${this.#reader.prefix}${stream}`, backwards: true, limit: 1 })
    for await (const [record] of this.#reader.records(request)) {
      if (record === undefined) continue
      return { text: textOf(record.getData_asU8()) || '{}', revision: Number(record.getStreamRevision()) }
    }
    return { text: '{}', revision: 'none' }
  }

  async #setMetadata(stream: string, { text, revision }: Own, before: number): Promise<boolean> {
    const data = JSON.stringify({ ...(JSON.parse(text) as object), $tb: before })
    const event = proposal(crypto.randomUUID(), '$metadata', data, '')
    const answer = await this.#pipeline.send(appendOf(`$$${this.#reader.prefix}${stream}`, revision, [event]))
    return answer.kind === 'answered' && answer.answer.hasSuccess()
  }
}
