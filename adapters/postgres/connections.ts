/** Statements on a pool of connections: each with a time limit, its answers as text, its errors as the port's. */
import { JobledgerError } from '../../domain/errors.js'
import { StoreClosed } from '../../runtime/ports/event-store.js'
import type { Client, Pool, Query, Queryable, Value } from './driver.js'
import { isSurelyUndone, toStoreError } from './errors.js'

/** How long the client waits for the answer to one statement, in ms. Longer than the wait for other writers. */
const ANSWER_MS = 30_000

/** As the server sent it: the caller's own parsers of numbers or dates do not matter. */
const AS_TEXT = { getTypeParser: () => (text: string) => text }

export type Row = readonly (string | null)[]

/** One statement on a connection; errors are the driver's. */
export async function run(on: Queryable, text: string, values: readonly Value[] = []): Promise<Row[]> {
  const query: Query = { text, rowMode: 'array', query_timeout: ANSWER_MS, types: AS_TEXT }
  // Without values it may be several statements, whose rows nobody asks for.
  const { rows } = await on.query(values.length > 0 ? { ...query, values } : query)
  return rows as Row[]
}

/** A connection that was lost says so to nobody in particular: the statement under way, or the next one, fails of it. */
const ignore = (): void => {}

function isUsableAfter(error: unknown): boolean {
  return error instanceof JobledgerError || isSurelyUndone(error)
}

export class Connections {
  /** Where the database is, for messages: neither user nor password. */
  readonly place: string
  readonly #pool: Pool
  readonly #own: boolean
  readonly #active = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined

  /** `own`: the pool ends with the store. */
  constructor(pool: Pool, place: string, own: boolean) {
    this.#pool = pool
    this.place = place
    this.#own = own
    // Connections that lie idle when the server goes away; without a listener that would end the process.
    if (own) pool.on('error', ignore)
  }

  get closed(): boolean {
    return this.#closing !== undefined
  }

  /** Rejects with StoreClosed after `close`, with StoreUnavailable for whatever driver or server say. */
  query(text: string, values: readonly Value[] = []): Promise<Row[]> {
    return this.lend((client) => run(client, text, values))
  }

  /** Lends a connection in a transaction, which is committed unless `work` throws. */
  transaction<Result>(work: (client: Client) => Promise<Result>): Promise<Result> {
    return this.lend(async (client) => {
      await run(client, 'BEGIN')
      try {
        const result = await work(client)
        await run(client, 'COMMIT')
        return result
      } catch (error) {
        // Else the connection is closed, and the server takes back by itself.
        if (isUsableAfter(error)) await run(client, 'ROLLBACK')
        throw error
      }
    })
  }

  /** Lends a connection for some work. After an error that is not one of the server's own it is not used again. */
  async lend<Result>(work: (client: Client) => Promise<Result>): Promise<Result> {
    if (this.closed) throw new StoreClosed()
    try {
      return await this.track(this.#lend(work))
    } catch (error) {
      throw toStoreError(error, this.place)
    }
  }

  /** `close` waits for it. */
  async track<Result>(work: Promise<Result>): Promise<Result> {
    this.#active.add(work)
    try {
      return await work
    } finally {
      this.#active.delete(work)
    }
  }

  /** A connection to keep; its owner releases it. Errors are the driver's. */
  async borrow(): Promise<Client> {
    const client = await this.#pool.connect()
    client.on('error', ignore)
    return client
  }

  giveBack(client: Client, error?: unknown): void {
    const keep = error === undefined || isUsableAfter(error)
    // The listener stays on a connection that is thrown away: it may say more.
    if (keep) client.removeListener('error', ignore)
    client.release(!keep)
  }

  /** Waits for what is under way. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    // A pool that is ending never answers who waits for a connection.
    while (this.#active.size > 0) await Promise.allSettled(this.#active)
    if (this.#own) await this.#pool.end()
  }

  async #lend<Result>(work: (client: Client) => Promise<Result>): Promise<Result> {
    const client = await this.borrow()
    try {
      const result = await work(client)
      this.giveBack(client)
      return result
    } catch (error) {
      this.giveBack(client, error)
      throw error
    }
  }
}
