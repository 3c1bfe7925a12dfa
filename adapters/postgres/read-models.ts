/** Tables for SQL beside the log. */
import { type Cell, QUEUE_MINUTES } from '../../projections/read-models/tables.js'
import { StoreClosed } from '../../runtime/ports/event-store.js'
import type { Answer, QueryOptions, ReadModels, Replacement } from '../../runtime/ports/read-models.js'
import type { Checkpoint } from '../../runtime/ports/views.js'
import { type Row, run } from './connections.js'
import type { Client, Value } from './driver.js'
import { sqlState } from './errors.js'
import type { Log } from './open.js'
import { PostgresProjectionRows } from './projection-rows.js'
import { answerTo } from './read-models-query.js'
import { prepareReadModels, TABLE_NAMES } from './read-models-schema.js'
import { ReadModelsWriter } from './read-models-writer.js'
import { fromText, toText } from './rows.js'
import { quoted } from './schema.js'

type Slice = Parameters<ReadModels['save']>[0]

/** Whoever saves waits for who saves, no longer than this. What is lost with the server is made again. */
const SAVING = `
  SET LOCAL lock_timeout = '20s'; SET LOCAL statement_timeout = '25s'; SET LOCAL synchronous_commit = off;
  SET LOCAL idle_in_transaction_session_timeout = '60s'`

const CHECKPOINT = 'log_id, position, stream, revision, event_id, version'

/** Makes the tables that are not there, or of another version. Rejects with StoreUnusable for another program's tables. */
export async function openPostgresReadModels(log: Log): Promise<PostgresReadModels> {
  await prepareReadModels(log.connections, log.schema)
  return new PostgresReadModels(log)
}

/** On the connections of the log, which stay open when these are closed. */
export class PostgresReadModels implements ReadModels {
  readonly dialect = 'postgres'
  readonly projections: PostgresProjectionRows
  readonly #log: Log
  readonly #s: string
  #closed = false

  constructor(log: Log) {
    this.#log = log
    this.#s = quoted(log.schema)
    this.projections = new PostgresProjectionRows({
      schema: log.schema,
      read: (sql, values) => this.#query(sql, values),
      write: (work) => this.#saving(work),
    })
  }

  async checkpoint(): Promise<Checkpoint | undefined> {
    return toCheckpoint((await this.#query(`SELECT ${CHECKPOINT} FROM ${this.#s}.report_state`))[0])
  }

  async folds(streams: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const sql = `SELECT stream, text FROM ${this.#s}.report_folds WHERE stream = ANY ($1::text[])`
    const rows = await this.#query(sql, [streams.map(toText)])
    return new Map(rows.map(([stream, text]) => [fromText(stream ?? ''), fromText(text ?? '')]))
  }

  async save({ since, checkpoint, changes }: Slice): Promise<boolean> {
    return this.#saving(async (client) => {
      const kept = await this.#hold(client)
      if ((kept?.position ?? '') !== since || (kept !== undefined && kept.logId !== checkpoint.logId)) return false
      await new ReadModelsWriter(client, this.#log.schema).write(changes, checkpoint)
      return true
    })
  }

  async startOver(found: Checkpoint, by?: Replacement): Promise<boolean> {
    return this.#saving(async (client) => {
      const kept = await this.#hold(client)
      if (kept?.position !== found.position || kept.eventId !== found.eventId) return false
      for (const table of TABLE_NAMES) {
        if (KEPT.has(table) || (by?.keepMinutes && table === QUEUE_MINUTES.name)) continue
        await run(client, `DELETE FROM ${this.#s}.${table}`)
      }
      const none = CHECKPOINT.split(', ').map((column) => `${column} = NULL`)
      await run(client, `UPDATE ${this.#s}.report_state SET ${none.join(', ')}`)
      if (by === undefined) return true
      const writer = new ReadModelsWriter(client, this.#log.schema)
      for await (const changes of by.changes) await writer.write(changes, by.checkpoint)
      return true
    })
  }

  /** In a schema of their own, which the ledger's user must be allowed to make. */
  async fresh(): Promise<ReadModels> {
    const { connections } = this.#log
    const log = { ...this.#log, schema: `${this.#log.schema}_rebuild` }
    const drop = `DROP SCHEMA IF EXISTS ${quoted(log.schema)} CASCADE`
    await connections.lend(async (client) => {
      await run(client, drop)
      await run(client, `CREATE SCHEMA ${quoted(log.schema)}`)
    })
    const models = await openPostgresReadModels(log)
    models.close = async () => {
      await connections.query(drop)
    }
    return models
  }

  async query(sql: string, params: readonly Cell[], options: QueryOptions): Promise<Answer> {
    if (this.#closed) throw new StoreClosed()
    return answerTo(this.#log, sql, params, options)
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #hold(client: Client): Promise<Checkpoint | undefined> {
    return run(client, `SELECT ${CHECKPOINT} FROM ${this.#s}.report_state FOR UPDATE`).then(([row]) =>
      toCheckpoint(row),
    )
  }

  /** False also where the tables were not there: they are then made, and are empty. */
  async #saving(work: (client: Client) => Promise<boolean>): Promise<boolean> {
    if (this.#closed) throw new StoreClosed()
    try {
      return await this.#log.connections.transaction(async (client) => {
        await run(client, SAVING)
        return work(client)
      })
    } catch (error) {
      if (!isMissing(error)) throw error
      await prepareReadModels(this.#log.connections, this.#log.schema)
      return false
    }
  }

  async #query(sql: string, values: readonly Value[] = []): Promise<Row[]> {
    if (this.#closed) throw new StoreClosed()
    try {
      return await this.#log.connections.query(sql, values)
    } catch (error) {
      if (!isMissing(error)) throw error
      await prepareReadModels(this.#log.connections, this.#log.schema)
      return this.#log.connections.query(sql, values)
    }
  }
}

/** What users' projections have is not of the log's own tables. */
const KEPT: ReadonlySet<string> = new Set(['report_state', 'projections', 'projection_rows'])

function toCheckpoint(row: Row | undefined): Checkpoint | undefined {
  const [logId, position, stream, revision, eventId, version] = row ?? []
  if (typeof logId !== 'string') return undefined
  return {
    logId,
    position: position ?? '',
    stream: fromText(stream ?? ''),
    revision: Number(revision),
    eventId: fromText(eventId ?? ''),
    version: Number(version),
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && sqlState(error.cause) === '42P01'
}
