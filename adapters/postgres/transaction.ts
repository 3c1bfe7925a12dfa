/** Appending inside a transaction of the caller's own, on the caller's own connection to the same database. */
import type { RecordedEvent } from '../../domain/event.js'
import type {
  AppendGroup,
  AppendOutcome,
  ReadStreamOptions,
  TransactionalAppend,
} from '../../runtime/ports/event-store.js'
import { StoreRefused } from '../../runtime/ports/event-store.js'
import { checkGroups } from '../shared/groups.js'
import { run } from './connections.js'
import type { Queryable } from './driver.js'
import { sqlState, toStoreError } from './errors.js'
import type { Log } from './open.js'
import { Reader } from './reader.js'
import type { OnUnreadable } from './rows.js'
import { quoted } from './schema.js'
import { Statements } from './statements.js'
import { Turn } from './turn.js'

export interface PostgresTransaction extends TransactionalAppend {
  append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]>
  readStream(stream: string, options?: ReadStreamOptions): Promise<RecordedEvent[]>
}

const NOT_OURS = 'Expected a Client of pg that is connected to the database of the ledger.'

/** In what a client is that can do nothing for us, by SQLSTATE. */
const STATES: Readonly<Record<string, string>> = {
  '25P01': 'none',
  '25P02': 'one in which a statement has failed: roll it back first',
}

/** Throws StoreRefused for a handle that is no Client of pg. What it is connected to shows when it is used. */
export function joinTransaction(handle: unknown, log: Log, onUnreadable: OnUnreadable): PostgresTransaction {
  // A Pool has `query` too, but gives each call a connection of its own.
  if (!isQueryable(handle) || 'totalCount' in handle) throw new StoreRefused(NOT_OURS)
  return new ClientTransaction(handle, log, onUnreadable)
}

function isQueryable(handle: unknown): handle is Queryable {
  return typeof handle === 'object' && handle !== null && 'query' in handle && typeof handle.query === 'function'
}

class ClientTransaction implements PostgresTransaction {
  readonly #client: Queryable
  readonly #log: Log
  readonly #statements: Statements
  readonly #reader: Reader

  constructor(client: Queryable, log: Log, onUnreadable: OnUnreadable) {
    this.#client = client
    this.#log = log
    this.#statements = new Statements(log.schema)
    this.#reader = new Reader((text, values) => run(client, text, values), log.schema, onUnreadable)
  }

  async append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    checkGroups(groups)
    await this.#begin()
    try {
      const outcomes = await new Turn(this.#statements, this.#client, false).take(groups, '')
      await run(this.#client, 'RELEASE SAVEPOINT jobledger')
      return outcomes
    } catch (cause) {
      await run(this.#client, 'ROLLBACK TO SAVEPOINT jobledger; RELEASE SAVEPOINT jobledger').catch(() => {})
      const error = toStoreError(cause, this.#log.connections.place)
      if (error instanceof TypeError) throw error
      return groups.map(() => ({ kind: 'rejected', error }))
    }
  }

  async readStream(stream: string, options: ReadStreamOptions = {}): Promise<RecordedEvent[]> {
    const events: RecordedEvent[] = []
    try {
      for await (const page of this.#reader.stream(stream, options)) events.push(...page)
    } catch (error) {
      throw toStoreError(error, this.#log.connections.place)
    }
    return events
  }

  async #begin(): Promise<void> {
    try {
      await run(this.#client, 'SAVEPOINT jobledger')
    } catch (cause) {
      const expected = STATES[sqlState(cause)]
      if (expected === undefined) throw toStoreError(cause, this.#log.connections.place)
      throw new StoreRefused(`Expected the client to be in a transaction, it is in ${expected}.`, { cause })
    }
    const objection = await this.#objection()
    if (objection === undefined) return
    await run(this.#client, 'ROLLBACK TO SAVEPOINT jobledger; RELEASE SAVEPOINT jobledger')
    throw objection
  }

  async #objection(): Promise<StoreRefused | undefined> {
    try {
      const sql = `SELECT log_id, current_setting('transaction_isolation') FROM ${quoted(this.#log.schema)}.log`
      const [logId, isolation] = (await run(this.#client, sql))[0] ?? []
      if (logId !== this.#log.logId) return new StoreRefused(NOT_OURS)
      if (isolation === 'read committed') return undefined
      // It does not see what was committed while it waited for its turn.
      return new StoreRefused(
        `Expected a transaction that is READ COMMITTED, got one that is ${isolation?.toUpperCase()}.`,
      )
    } catch (cause) {
      return new StoreRefused(NOT_OURS, { cause })
    }
  }
}
