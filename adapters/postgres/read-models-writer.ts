/** What one slice writes, in the transaction of the save. */
import {
  ATTEMPTS,
  JOBS,
  QUEUE_MINUTES,
  type Row,
  type RowChanges,
  type Table,
  TRIGGERS,
  WORKERS,
} from '../../projections/read-models/tables.js'
import type { Checkpoint } from '../../runtime/ports/views.js'
import { ArrayText } from './arrays.js'
import { run } from './connections.js'
import type { Client, Value } from './driver.js'
import { ARRAY_TYPES } from './read-models-schema.js'
import { toText } from './rows.js'
import { quoted } from './schema.js'

/** Rows of one statement. */
const SLICE = 500

const FOLDS: Table = {
  name: 'report_folds',
  columns: [
    ['stream', 'text'],
    ['text', 'text'],
  ],
  key: ['stream'],
}

export class ReadModelsWriter {
  readonly #client: Client
  readonly #s: string

  constructor(client: Client, schema: string) {
    this.#client = client
    this.#s = quoted(schema)
  }

  async write(changes: RowChanges, checkpoint: Checkpoint): Promise<void> {
    const { jobs, attempts, triggers, workers, minutes, paths, folds } = changes
    await this.#put(JOBS, jobs.values())
    await this.#put(ATTEMPTS, attempts)
    await this.#put(TRIGGERS, triggers)
    await this.#put(WORKERS, workers)
    await this.#put(QUEUE_MINUTES, minutes, true)
    await this.#putPaths(paths)
    await this.#put(FOLDS, folds)
    await this.#drop(changes)
    const { logId, position, stream, revision, eventId, version } = checkpoint
    await run(
      this.#client,
      `UPDATE ${this.#s}.report_state SET log_id = $1, position = $2, stream = $3, revision = $4, event_id = $5, version = $6`,
      [logId, position, toText(stream), revision, toText(eventId), version],
    )
  }

  /** A kept row of the same key is written over, or, of minutes, added to. */
  async #put(table: Table, rows: Iterable<Row>, adds = false): Promise<void> {
    const { name, columns, key } = table
    const names = columns.map(([column]) => column)
    const others = names.filter((column) => !key.includes(column))
    const sets = others.map((column) => `${column} = ${adds ? `t.${column} + ` : ''}excluded.${column}`)
    const arrays = columns.map(([, type], index) => `$${index + 1}::${ARRAY_TYPES[type]}`)
    const sql = `
      INSERT INTO ${this.#s}.${name} AS t (${names.join(', ')})
      SELECT ${names.map((column) => `r.${column}`).join(', ')}
      FROM unnest(${arrays.join(', ')}) WITH ORDINALITY AS r(${names.join(', ')}, nth) ORDER BY nth
      ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${sets.join(', ')}`
    for (const slice of slicesOf(rows)) await run(this.#client, sql, columnsOf(table, slice))
  }

  async #putPaths(paths: RowChanges['paths']): Promise<void> {
    await this.#dropPaths([...paths.keys()])
    const values = [...paths].flatMap(([id, all]) => all.map(({ path, value }) => [path, value, id]))
    const sql = `
      INSERT INTO ${this.#s}.payload_paths (path, value, seq, place, job_id)
      SELECT u.path, u.value, j.seq, j.place, j.id FROM unnest($1::text[], $2::text[], $3::text[]) AS u(path, value, id)
      JOIN ${this.#s}.jobs j ON j.id = u.id ON CONFLICT DO NOTHING`
    for (const slice of slicesOf(values)) {
      const columns = [0, 1, 2].map((index) => slice.map((row) => toText(row[index] as string)))
      await run(this.#client, sql, columns)
    }
  }

  async #drop({ expunged, archived, removed }: RowChanges): Promise<void> {
    const s = this.#s
    await this.#each(
      expunged,
      `UPDATE ${s}.jobs SET error_message = '' WHERE id = ANY ($1::text[]) AND error_message <> ''`,
    )
    await this.#each(
      expunged,
      `UPDATE ${s}.attempts SET error_message = '' WHERE job_id = ANY ($1::text[]) AND error_message <> ''`,
    )
    await this.#dropPaths(expunged)
    for (const slice of slicesOf(archived)) {
      await run(
        this.#client,
        `UPDATE ${s}.jobs j SET archived = a.segment FROM unnest($1::text[], $2::text[]) AS a(id, segment) WHERE j.id = a.id`,
        [slice.map(([id]) => toText(id)), slice.map(([, segment]) => toText(segment))],
      )
    }
    await this.#dropPaths(removed)
    await this.#each(removed, `DELETE FROM ${s}.attempts WHERE job_id = ANY ($1::text[])`)
    await this.#each(removed, `DELETE FROM ${s}.jobs WHERE id = ANY ($1::text[])`)
  }

  #dropPaths(ids: readonly string[]): Promise<void> {
    return this.#each(ids, `DELETE FROM ${this.#s}.payload_paths WHERE job_id = ANY ($1::text[])`)
  }

  async #each(ids: readonly string[], sql: string): Promise<void> {
    for (const slice of slicesOf(ids)) await run(this.#client, sql, [slice.map(toText)])
  }
}

function* slicesOf<Item>(items: Iterable<Item>): Iterable<Item[]> {
  let slice: Item[] = []
  for (const item of items) {
    slice.push(item)
    if (slice.length < SLICE) continue
    yield slice
    slice = []
  }
  if (slice.length > 0) yield slice
}

function columnsOf({ columns }: Table, rows: readonly Row[]): Value[] {
  return columns.map((_, index) => {
    const cells = new ArrayText()
    for (const row of rows) {
      const cell = row[index] ?? null
      if (typeof cell === 'string') cells.add(toText(cell))
      else cells.addNumber(cell)
    }
    return String(cells)
  })
}
