/** One statement of a user's, in a transaction that only reads and is taken back. */
import type { Cell } from '../../projections/read-models/tables.js'
import type { Answer, QueryOptions, QueryRow } from '../../runtime/ports/read-models.js'
import { QueryInvalid, QueryWrites } from '../../runtime/ports/read-models.js'
import { ask, type Row, run } from './connections.js'
import type { Client } from './driver.js'
import { sqlState } from './errors.js'
import type { Log } from './open.js'
import { fromText, toText } from './rows.js'
import { quoted } from './schema.js'

/** Numbers, as the server names their types: int8, int2, int4, float4, float8, numeric. */
const NUMBERS: ReadonlySet<number> = new Set([20, 21, 23, 700, 701, 1700])
const BOOLEAN = 16

type Column = Awaited<ReturnType<typeof ask>>['columns'][number]

/** A cursor takes nothing but a query, and gives no more rows than are asked for. */
export async function answerTo(
  { connections, schema }: Log,
  sql: string,
  params: readonly Cell[],
  { signal, limit }: QueryOptions,
): Promise<Answer> {
  signal?.throwIfAborted()
  return connections.lend(async (client) => {
    await run(client, `BEGIN READ ONLY; SET LOCAL search_path = ${quoted(schema)}, pg_catalog`)
    try {
      const cancel = await cancelled(client, connections, signal)
      try {
        await ask(client, `DECLARE answer NO SCROLL CURSOR FOR ${sql}`, params.map(toParameter))
        const { columns, rows } = await ask(client, `FETCH FORWARD ${limit} FROM answer`, [])
        return { columns: columns.map(({ name }) => name), rows: rows.map((row) => toRow(columns, row)) }
      } finally {
        signal?.removeEventListener('abort', cancel)
      }
    } catch (error) {
      signal?.throwIfAborted()
      throw toQueryError(error)
    } finally {
      await run(client, 'ROLLBACK')
    }
  })
}

async function cancelled(
  client: Client,
  connections: Log['connections'],
  signal: AbortSignal | undefined,
): Promise<() => void> {
  if (signal === undefined) return () => {}
  const [pid] = (await run(client, 'SELECT pg_backend_pid()'))[0] as Row
  const cancel = (): void => {
    // Whoever has asked is told by what it cancels.
    connections.query('SELECT pg_cancel_backend($1::integer)', [pid ?? null]).catch(() => {})
  }
  signal.addEventListener('abort', cancel, { once: true })
  return cancel
}

const toParameter = (value: Cell): Cell => (typeof value === 'string' ? toText(value) : value)

function toRow(columns: readonly Column[], row: Row): QueryRow {
  return Object.fromEntries(
    columns.map(({ name, dataTypeID }, index) => [name, toCell(dataTypeID, row[index] ?? null)]),
  )
}

function toCell(type: number, text: string | null): Cell {
  if (text === null) return null
  if (NUMBERS.has(type)) return Number(text)
  return type === BOOLEAN ? Number(text === 't') : fromText(text)
}

const NOT_READING: ReadonlySet<string> = new Set(['25006', '0A000', '25001'])

/** What is wrong with the statement, and not with the server, is told as the caller's. */
function toQueryError(error: unknown): unknown {
  const state = sqlState(error)
  const reason = error instanceof Error ? error.message : String(error)
  if (
    NOT_READING.has(state) ||
    (state === '42601' &&
      /^(?:syntax error at or near "(?:insert|update|delete|truncate|drop|create|alter|set|begin|commit|copy|call|do|lock|grant)")/i.test(
        reason,
      ))
  ) {
    return new QueryWrites(`Expected one statement that reads (SELECT, WITH or VALUES): ${reason}`, { cause: error })
  }
  if (state === '57014') return new QueryInvalid(`The query took too long: ${reason}`, { cause: error })
  const isServers = state === '' || /^(?:08|53|57|58|XX|28|3D|40)/.test(state)
  return isServers ? error : new QueryInvalid(`The query cannot be answered: ${reason}`, { cause: error })
}
