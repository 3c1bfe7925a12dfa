/** What one save writes, in the transaction of the save. */
import type { JobRow, Tombstone, Views } from '../../runtime/ports/views.js'
import { arrayText } from './arrays.js'
import { run } from './connections.js'
import type { Client, Value } from './driver.js'
import { toText } from './rows.js'
import { quoted } from './schema.js'
import { setJobs, toColumns } from './view-rows.js'

type Changes = Parameters<Views['save']>[0]

/** Rows of one statement: some milliseconds of the server, and of this process's time for their parameters. */
const SLICE = 500
/** Rows that one statement drops. */
const DROP_SLICE = 20_000

export class ViewsWriter {
  readonly #client: Client
  readonly #schema: string
  readonly #s: string

  constructor(client: Client, schema: string) {
    this.#client = client
    this.#schema = schema
    this.#s = quoted(schema)
  }

  async write({ checkpoint, since, rows, texts, removed, expunged }: Changes): Promise<void> {
    if (since === 'all') await this.#dropAll()
    await this.#put(rows)
    await this.#bury([...removed])
    for (const table of ['view_jobs', 'view_archived']) {
      await this.#inSlices(expunged.map(toText), (places) => [
        `UPDATE ${this.#s}.${table} SET expunged = true WHERE place = ANY ($1::text[])`,
        [places],
      ])
    }
    await this.#inSlices([...texts], (pairs) => [
      `INSERT INTO ${this.#s}.view_texts (name, text) SELECT * FROM unnest($1::text[], $2::text[])
       ON CONFLICT (name) DO UPDATE SET text = excluded.text`,
      [pairs.map(([name]) => toText(name)), pairs.map(([, text]) => toText(text))],
    ])
    const { logId, position, stream, revision, eventId, version } = checkpoint
    await run(
      this.#client,
      `UPDATE ${this.#s}.view_state SET log_id = $1, position = $2, stream = $3, revision = $4, event_id = $5, projection = $6`,
      [logId, position, toText(stream), revision, toText(eventId), version],
    )
  }

  /** The server writes a slice while the next one is made. */
  async #put(rows: Changes['rows']): Promise<void> {
    const sql = setJobs(this.#schema)
    let slice = new Map<string, JobRow>()
    let writing: Promise<unknown> = Promise.resolve()
    const flush = async (): Promise<void> => {
      await writing
      writing = run(this.#client, sql, toColumns(slice.values()))
      // Whoever waits for it next is told.
      writing.catch(() => {})
      slice = new Map()
    }
    for await (const row of rows) {
      // Of a row that comes several times the last one counts.
      slice.set(row.place, row)
      if (slice.size >= SLICE) await flush()
    }
    if (slice.size > 0) await flush()
    await writing
  }

  async #bury(removed: readonly (readonly [id: string, Tombstone])[]): Promise<void> {
    await this.#inSlices(removed, (slice) => [
      `INSERT INTO ${this.#s}.view_tombstones (id, outcome, place, segment) SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
       ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome, place = excluded.place, segment = excluded.segment`,
      [
        slice.map(([id]) => toText(id)),
        slice.map(([, { outcome }]) => outcome),
        slice.map(([, { place }]) => toText(place)),
        slice.map(([, { segment }]) => segment ?? null),
      ],
    ])
    for (const table of ['view_jobs', 'view_archived']) {
      await this.#inSlices(removed, (slice) => [
        `DELETE FROM ${this.#s}.${table} WHERE place = ANY ($1::text[])`,
        [slice.map(([, { place }]) => toText(place))],
      ])
    }
    await this.#inSlices(removed.flatMap(toArchived), (slice) => [
      `INSERT INTO ${this.#s}.view_archived (${ARCHIVED.join(', ')})
       SELECT ${ARCHIVED.slice(0, -2).join(', ')}, depends_on::text[], expunged::boolean
       FROM unnest(${ARCHIVED.map((_, index) => `$${index + 1}::text[]`).join(', ')}) AS r(${ARCHIVED.join(', ')})`,
      ARCHIVED.map((_, index) => slice.map((cells) => cells[index] ?? '')),
    ])
  }

  /** Row by row, not by TRUNCATE: that would wait for every reader, and show those at an earlier moment nothing. */
  async #dropAll(): Promise<void> {
    await this.#drop('view_jobs', 'place')
    await this.#drop('view_tombstones', 'id')
    await this.#drop('view_archived', 'place')
    await run(this.#client, `DELETE FROM ${this.#s}.view_texts`)
  }

  async #drop(table: string, key: string): Promise<void> {
    const rows = `${this.#s}.${table} WHERE ${key} > $1`
    const end = `SELECT max(${key}) FROM (SELECT ${key} FROM ${rows} ORDER BY ${key} LIMIT ${DROP_SLICE}) s`
    for (let after = ''; ; ) {
      const last = (await run(this.#client, end, [after]))[0]?.[0]
      if (typeof last !== 'string') return
      await run(this.#client, `DELETE FROM ${rows} AND ${key} <= $2`, [after, last])
      after = last
    }
  }

  async #inSlices<Item>(
    items: readonly Item[],
    statement: (slice: readonly Item[]) => readonly [sql: string, values: readonly Value[]],
  ): Promise<void> {
    for (let next = 0; next < items.length; next += SLICE) {
      await run(this.#client, ...statement(items.slice(next, next + SLICE)))
    }
  }
}

const ARCHIVED = 'place, id, type, queue, channel, phase, end_place, segment, depends_on, expunged'.split(', ')

/** As many cells as columns; nothing where a tombstone is all there is. */
function toArchived([id, tombstone]: readonly [id: string, Tombstone]): string[][] {
  const { outcome, place, segment, archived } = tombstone
  if (segment === undefined || archived === undefined) return []
  const { type, queue, channel, endPlace, dependsOn, expunged } = archived
  const texts = [place, id, type, queue, channel].map(toText)
  return [[...texts, outcome, toText(endPlace), segment, arrayText(dependsOn.map(toText)), String(expunged)]]
}
