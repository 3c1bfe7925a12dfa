/** The part of pg that we use, and the careful loading of it. */
import type { Socket } from 'node:net'
import { StoreUnusable } from '../../runtime/ports/event-store.js'

export type Value = string | number | boolean | null | Uint8Array | readonly (string | number | Uint8Array | null)[]

export interface Query {
  readonly text: string
  readonly values?: readonly Value[]
  readonly rowMode: 'array'
  /** Given, it is one statement, also without values. */
  readonly queryMode?: 'extended'
  /** Milliseconds after which the client gives up on an answer. */
  readonly query_timeout: number
  readonly types: { getTypeParser(): (text: string) => string }
}

export interface Queryable {
  /** `command`: the tag of what the server has done. */
  query(query: Query): Promise<{
    readonly rows: unknown[]
    readonly command?: string
    readonly fields?: readonly { readonly name: string; readonly dataTypeID: number }[]
  }>
}

export interface Client extends Queryable {
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'end', listener: () => void): unknown
  on(event: 'notification', listener: (message: { readonly payload?: string | undefined }) => void): unknown
  removeListener(event: string, listener: (...all: unknown[]) => void): unknown
  /** With an error, or true, the connection is closed instead of being used again. */
  release(error?: Error | boolean): void
}

export interface Pool {
  /** As it was made. */
  readonly options?: { readonly max?: number | undefined }
  connect(): Promise<Client>
  end(): Promise<void>
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'connect', listener: (client: Client) => void): unknown
  removeListener(event: 'connect', listener: (client: Client) => void): unknown
}

export interface PoolOptions extends ServerLimits {
  readonly connectionString: string
  readonly connectionTimeoutMillis: number
  readonly max: number
  readonly keepAlive: boolean
  readonly application_name: string
  readonly stream: () => Socket
}

/** What the server keeps to: time limits in ms, and settings of its own (`-c name=value`). They go with the first message. */
export interface ServerLimits {
  readonly options?: string
  readonly statement_timeout?: number
  readonly lock_timeout?: number
  readonly idle_in_transaction_session_timeout?: number
}

export type PoolConstructor = new (options: PoolOptions) => Pool

/**
 * Loads pg when the first database is opened, so that who uses another store need not have it.
 * Throws StoreUnusable when it is missing.
 */
export async function loadDriver(load = (): Promise<unknown> => import('pg')): Promise<PoolConstructor> {
  try {
    const { default: pg } = (await load()) as typeof import('pg')
    return pg.Pool as unknown as PoolConstructor
  } catch (cause) {
    throw new StoreUnusable('A postgres: ledger needs the package pg. Run: npm install pg', { cause })
  }
}
