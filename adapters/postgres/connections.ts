/** Statements on a pool of connections: each with a time limit, its answers as text, its errors as the port's. */
import { setTimeout as pause } from 'node:timers/promises'
import { JobledgerError } from '../../domain/errors.js'
import { StoreClosed } from '../../runtime/ports/event-store.js'
import { type Logger, silentLogger } from '../../runtime/ports/logger.js'
import { Outage } from '../shared/outage.js'
import { within } from '../shared/time-limit.js'
import type { Client, Pool, Query, Queryable, Value } from './driver.js'
import { isLockTimeout, isOutage, isSurelyUndone, RolledBack, toStoreError } from './errors.js'
import { holderOf } from './holder.js'
import type { Sockets } from './sockets.js'

/** How long the client waits for the answer to one statement, in ms. Longer than the wait for other writers. */
const ANSWER_MS = 30_000
/** How long for a connection, in ms. */
export const CONNECT_MS = 8000
/** How long `close` waits for what is under way before it cuts the connections, in ms. */
const CLOSE_MS = 10_000

/** As the server sent it: the caller's own parsers of numbers or dates do not matter. */
const AS_TEXT = { getTypeParser: () => (text: string) => text }

export type Row = readonly (string | null)[]

const toQuery = (text: string): Query => ({ text, rowMode: 'array', query_timeout: ANSWER_MS, types: AS_TEXT })

/** Throws RolledBack, too: after a statement that failed the server takes all back and calls that no error. */
export async function commit(on: Queryable): Promise<void> {
  const { command } = await on.query(toQuery('COMMIT'))
  if (command === 'ROLLBACK') throw new RolledBack()
}

/** One statement on a connection; errors are the driver's. */
export async function run(on: Queryable, text: string, values: readonly Value[] = []): Promise<Row[]> {
  const query = toQuery(text)
  // Without values it may be several statements, whose rows nobody asks for.
  const { rows } = await on.query(values.length > 0 ? { ...query, values } : query)
  return rows as Row[]
}

/** One statement, whatever it says, with the columns of its answer; errors are the driver's. */
export async function ask(
  on: Queryable,
  text: string,
  values: readonly Value[],
): Promise<{
  readonly columns: readonly { readonly name: string; readonly dataTypeID: number }[]
  readonly rows: Row[]
}> {
  const { rows, fields = [] } = await on.query({ ...toQuery(text), values, queryMode: 'extended' })
  return { columns: fields, rows: rows as Row[] }
}

/** A connection that was lost says so to nobody in particular: the statement under way, or the next one, fails of it. */
const ignore = (): void => {}
/** From its first moment on: what cuts it may come in one piece with the word that it is there. */
const protect = (client: Client): unknown => client.on('error', ignore)

function isUsableAfter(error: unknown): boolean {
  return error instanceof JobledgerError || isSurelyUndone(error)
}

export interface ConnectionsOptions {
  readonly pool: Pool
  readonly schema: string
  /** Where the database is, for messages: neither user nor password. */
  readonly place: string
  /** Of a pool of our own, which ends with the store. */
  readonly sockets?: Sockets | undefined
}

export class Connections {
  readonly place: string
  readonly #pool: Pool
  readonly #schema: string
  readonly #sockets: Sockets | undefined
  logger: Logger = silentLogger
  #outage: Outage | undefined
  readonly #active = new Set<Promise<unknown>>()
  readonly #ending = new AbortController()
  #pausing: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor({ pool, schema, place, sockets }: ConnectionsOptions) {
    this.#pool = pool
    this.#schema = schema
    this.#sockets = sockets
    this.place = place
    // Connections that lie idle when the server goes away; without a listener that would end the process.
    if (sockets !== undefined) pool.on('error', ignore)
    pool.on('connect', protect)
  }

  /** From now on `logger` is told when the database cannot be reached, or written to, and when it can be again. */
  attend(logger: Logger): void {
    this.logger = logger
    this.#outage = new Outage({ logger, place: this.place })
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
        await commit(client)
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

  /** A connection to keep; its owner gives it back. Errors are the driver's. While the server is away each try waits a little. */
  async borrow(): Promise<Client> {
    const wait = this.#outage?.pause ?? 0
    if (wait > 0) await this.#pause(wait)
    try {
      const client = await this.#connect()
      client.on('error', ignore)
      return client
    } catch (error) {
      if (!this.closed) this.#outage?.failed(error)
      throw error
    }
  }

  giveBack(client: Client, error?: unknown): void {
    const keep = error === undefined || isUsableAfter(error)
    // The listener stays on a connection that is thrown away: it may say more.
    if (keep) client.removeListener('error', ignore)
    client.release(!keep)
    this.#judge(error)
  }

  /** Whatever is under way fails; of a pool that is not our own nothing is cut. */
  cut(): void {
    this.#sockets?.cut()
  }

  /** All who want a connection meanwhile wait together. */
  #pause(ms: number): Promise<void> {
    this.#pausing ??= pause(ms, undefined, { signal: this.#ending.signal })
      .catch(() => {})
      .finally(() => {
        this.#pausing = undefined
      })
    return this.#pausing
  }

  #connect(): Promise<Client> {
    const coming = this.#pool.connect()
    if (this.#sockets !== undefined) return coming
    // The caller's pool may have no time limit.
    return within(CONNECT_MS, coming, () => {
      coming.then((client) => client.release()).catch(() => {})
      return new Error(`no connection within ${CONNECT_MS / 1000} s`)
    })
  }

  /** What a call has shown of the server. */
  #judge(error: unknown): void {
    if (this.closed) return
    if (isOutage(error)) this.#outage?.failed(error)
    else if (error === undefined || isSurelyUndone(error)) this.#outage?.works()
    if (isLockTimeout(error)) void this.#tellHolder()
  }

  async #tellHolder(): Promise<void> {
    const holder = await holderOf(this.#schema, (text, values) => this.query(text, values)).catch(() => undefined)
    const facts = { store: this.place, ...holder }
    this.logger.warn(facts, 'another transaction holds the log: nobody else can write until it ends')
  }

  /** Waits for what is under way, for as long as a server that answers may take. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#ending.abort()
    const impatience = setTimeout(() => this.cut(), CLOSE_MS)
    // A pool that is ending never answers who waits for a connection.
    while (this.#active.size > 0) await Promise.allSettled(this.#active)
    this.#pool.removeListener('connect', protect)
    if (this.#sockets !== undefined) await this.#pool.end()
    clearTimeout(impatience)
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
