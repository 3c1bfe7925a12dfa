/** The SQL of writing, for one schema. Each takes a connection, and its errors are the driver's. */
import type { AppendGroup, EventRef } from '../../runtime/ports/event-store.js'
import { type Row, run } from './connections.js'
import type { Queryable } from './driver.js'
import { type Plan, revisionsOf } from './plan.js'
import { type Columns, toText } from './rows.js'
import { ACTUAL, headOf, quoted, REMOVED } from './schema.js'

/** `full`, `normal`; '' leaves the transaction's settings alone. */
export type Durability = 'full' | 'normal' | ''

/** What an `append` statement has done. `wrong`: index of an expectation, and where its stream is. */
export interface Answer {
  readonly previous: number
  readonly last: number
  readonly wrong: readonly (readonly [index: number, actual: number])[] | null
}

export class Statements {
  readonly #schema: string
  readonly #s: string

  constructor(schema: string) {
    this.#schema = schema
    this.#s = quoted(schema)
  }

  async append(on: Queryable, plan: Plan, durability: Durability): Promise<Answer> {
    const { columns, beliefs, whole } = plan
    const lists = [...beliefs, ...columns.lists]
    const given = lists.map((list, index) => list.expression(index + 3)).join(', ')
    const sql = `SELECT ${this.#s}.append($1, $2, ${given})`
    const [row] = await run(on, sql, [durability, whole, ...lists.map(({ value }) => value)])
    return JSON.parse(textOf(row)) as Answer
  }

  /** Waits until nobody else appends, until the end of the transaction. Gives back the last position in use. */
  async takeTurn(on: Queryable, durability: Durability): Promise<number> {
    return Number(textOf((await run(on, `SELECT ${this.#s}.take_turn($1)`, [durability]))[0]))
  }

  /** Where streams stand. */
  async heads(on: Queryable, streams: readonly string[]): Promise<number[]> {
    const sql = `SELECT ${ACTUAL} FROM unnest($1::text[]) WITH ORDINALITY r(stream, n) LEFT JOIN ${headOf(this.#schema)} ON true ORDER BY r.n`
    return (await run(on, sql, [streams.map(toText)])).map((row) => Number(textOf(row)))
  }

  /** Gives back the last position then in use. */
  async write(on: Queryable, previous: number, columns: Columns): Promise<number> {
    const { lists } = columns
    const sql = `SELECT ${this.#s}.write($1, NULL, ${lists.map((list, index) => list.expression(index + 2)).join(', ')})`
    return Number(textOf((await run(on, sql, [previous, ...lists.map(({ value }) => value)]))[0]))
  }

  /** For each group the position of its last event, if all its events are stored just where it would put them. */
  async stored(on: Queryable, groups: readonly AppendGroup[]): Promise<(number | undefined)[]> {
    const events = groups.flatMap((group) => group.events)
    const sql = `
      SELECT e.id, e.position FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY r(stream, revision, n)
      LEFT JOIN ${this.#s}.events e ON e.stream = r.stream AND e.revision = r.revision ORDER BY r.n`
    const rows = await run(on, sql, [events.map(({ stream }) => toText(stream)), groups.flatMap(revisionsOf)])
    let next = 0
    return groups.map((group) => {
      const mine = rows.slice(next, next + group.events.length)
      next += group.events.length
      const whole = group.events.every(({ id }, index) => mine[index]?.[0] === toText(id))
      return whole ? Number(mine.at(-1)?.[1]) : undefined
    })
  }

  async erase(on: Queryable, events: readonly EventRef[]): Promise<void> {
    const sql = `
      UPDATE ${this.#s}.events e
      SET seal = sha256(e.seal || coalesce(e.bytes, convert_to(e.body, 'UTF8'))), body = NULL, bytes = NULL
      FROM unnest($1::text[], $2::bigint[]) r(stream, revision)
      WHERE e.stream = r.stream AND e.revision = r.revision AND (e.body IS NOT NULL OR e.bytes IS NOT NULL)`
    await run(on, sql, [events.map(({ stream }) => toText(stream)), events.map(({ revision }) => revision)])
  }

  /** The last row of a stream stays, stripped: its name is burnt, and its position will not be given out again. */
  async remove(on: Queryable, streams: readonly string[]): Promise<void> {
    const sql = `
      WITH gone AS (SELECT stream, max(revision) AS last FROM ${this.#s}.events WHERE stream = ANY ($1::text[]) GROUP BY stream),
      cut AS (DELETE FROM ${this.#s}.events e USING gone g WHERE e.stream = g.stream AND e.revision < g.last)
      UPDATE ${this.#s}.events e
      SET type = '${REMOVED}', at = 0, id = '', data = '{}', metadata = NULL, seal = NULL, body = NULL, bytes = NULL
      FROM gone g WHERE e.stream = g.stream AND e.revision = g.last`
    await run(on, sql, [streams.map(toText)])
  }

  async truncate(on: Queryable, stream: string, before: number): Promise<void> {
    const sql = `
      DELETE FROM ${this.#s}.events e WHERE e.stream = $1 AND e.revision < $2::bigint
      AND e.revision < (SELECT max(l.revision) FROM ${this.#s}.events l WHERE l.stream = $1)`
    await run(on, sql, [toText(stream), before])
  }
}

function textOf(row: Row | undefined): string {
  return row?.[0] ?? ''
}
