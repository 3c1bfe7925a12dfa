/** Rows of users' projections, beside the read models. */
import type { KeptProjection, ProjectionRows } from '../../runtime/ports/read-models.js'
import type { Checkpoint } from '../../runtime/ports/views.js'
import { type Row, run } from './connections.js'
import type { Client, Value } from './driver.js'
import { fromText, toText } from './rows.js'
import { quoted } from './schema.js'

/** Rows of one statement. */
const SLICE = 500

export interface Access {
  readonly schema: string
  read(sql: string, values: readonly Value[]): Promise<Row[]>
  /** In a transaction. */
  write(work: (client: Client) => Promise<boolean>): Promise<boolean>
}

export class PostgresProjectionRows implements ProjectionRows {
  readonly #access: Access
  readonly #s: string

  constructor(access: Access) {
    this.#access = access
    this.#s = quoted(access.schema)
  }

  get #of(): string {
    return `SELECT log_id, position, stream, revision, event_id, version, failure FROM ${this.#s}.projections WHERE name = $1`
  }

  async of(name: string): Promise<KeptProjection | undefined> {
    return toKept((await this.#access.read(this.#of, [toText(name)]))[0])
  }

  async rows(name: string, which: Parameters<ProjectionRows['rows']>[1]): Promise<ReadonlyMap<string, string>> {
    const from = `SELECT key, row FROM ${this.#s}.projection_rows WHERE projection = $1`
    const found =
      'keys' in which
        ? await this.#access.read(`${from} AND key = ANY ($2::text[])`, [toText(name), which.keys.map(toText)])
        : await this.#access.read(`${from} AND key ${which.after === '' ? '>=' : '>'} $2 ORDER BY key LIMIT $3`, [
            toText(name),
            toText(which.after),
            which.limit,
          ])
    return new Map(found.map(([key, row]) => [fromText(key ?? ''), fromText(row ?? '')]))
  }

  async save(name: string, slice: Parameters<ProjectionRows['save']>[1]): Promise<boolean> {
    const { since, checkpoint, failure, rows } = slice
    return this.#access.write(async (client) => {
      await this.#lock(client)
      const kept = toKept((await run(client, this.#of, [toText(name)]))[0])
      if ((kept?.checkpoint.position ?? '') !== since) return false
      await this.#put(client, name, [...rows])
      const { logId, position, stream, revision, eventId, version } = checkpoint
      await run(
        client,
        `INSERT INTO ${this.#s}.projections (name, version, log_id, position, stream, revision, event_id, failure)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO UPDATE SET version = excluded.version,
         log_id = excluded.log_id, position = excluded.position, stream = excluded.stream, revision = excluded.revision,
         event_id = excluded.event_id, failure = excluded.failure`,
        [
          toText(name),
          version,
          logId,
          position,
          toText(stream),
          revision,
          toText(eventId),
          failure === undefined ? null : toText(failure),
        ],
      )
      return true
    })
  }

  async drop(name: string): Promise<void> {
    await this.#access.write(async (client) => {
      await this.#lock(client)
      await this.#drop(client, name)
      return true
    })
  }

  async replace(name: string, by: string): Promise<void> {
    await this.#access.write(async (client) => {
      await this.#lock(client)
      await this.#drop(client, name)
      const names = [toText(name), toText(by)]
      await run(client, `UPDATE ${this.#s}.projection_rows SET projection = $1 WHERE projection = $2`, names)
      await run(client, `UPDATE ${this.#s}.projections SET name = $1 WHERE name = $2`, names)
      return true
    })
  }

  /** One writer after another: a row that is not there yet cannot be held. */
  #lock(client: Client): Promise<unknown> {
    return run(
      client,
      `SELECT pg_advisory_xact_lock('${this.#s.replaceAll("'", "''")}.projections'::regclass::oid::bigint)`,
    )
  }

  async #drop(client: Client, name: string): Promise<void> {
    await run(client, `DELETE FROM ${this.#s}.projection_rows WHERE projection = $1`, [toText(name)])
    await run(client, `DELETE FROM ${this.#s}.projections WHERE name = $1`, [toText(name)])
  }

  async #put(client: Client, name: string, rows: readonly (readonly [string, string | null])[]): Promise<void> {
    for (let next = 0; next < rows.length; next += SLICE) {
      const slice = rows.slice(next, next + SLICE)
      const gone = slice.filter(([, row]) => row === null).map(([key]) => toText(key))
      const there = slice.filter(([, row]) => row !== null)
      await run(client, `DELETE FROM ${this.#s}.projection_rows WHERE projection = $1 AND key = ANY ($2::text[])`, [
        toText(name),
        gone,
      ])
      await run(
        client,
        `INSERT INTO ${this.#s}.projection_rows (projection, key, row) SELECT $1, * FROM unnest($2::text[], $3::text[])
         ON CONFLICT (projection, key) DO UPDATE SET row = excluded.row`,
        [toText(name), there.map(([key]) => toText(key)), there.map(([, row]) => toText(row as string))],
      )
    }
  }
}

function toKept(row: Row | undefined): KeptProjection | undefined {
  if (row === undefined) return undefined
  const [logId, position, stream, revision, eventId, version, failure] = row.map((cell) => cell ?? '')
  const checkpoint: Checkpoint = {
    logId: logId ?? '',
    position: position ?? '',
    stream: fromText(stream ?? ''),
    revision: Number(revision),
    eventId: fromText(eventId ?? ''),
    version: Number(version),
  }
  return { checkpoint, failure: row[6] === null || failure === undefined ? undefined : fromText(failure) }
}
