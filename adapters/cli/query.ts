/** query: the tables for SQL. */
import type { Command } from 'commander'
import type { QueryRow } from '../../runtime/ports/read-models.js'
import type { QueryParameter } from '../../runtime/report/models.js'
import { csv } from './csv.js'
import { CliError } from './exit-codes.js'
import { integer } from './flags.js'
import { type Output, plural, printable } from './output.js'
import { Session } from './session.js'

interface Flags {
  readonly limit?: number
  readonly csv?: true
}

const LIMIT = 10_000

export function addQuery(program: Command): void {
  program
    .command('query')
    .summary('ask with SQL')
    .description(
      'Reads the tables jobs, attempts, triggers, workers, queue_minutes and payload_paths (see docs/read-models.md) with one SQL statement that only reads. Parameters are $1, $2 ...; one that is a JSON number, true, false or null is taken for that, one in double quotes for a text.',
    )
    .argument('<sql>', 'SELECT, WITH or VALUES')
    .argument('[parameters...]', 'values for $1, $2 ...')
    .option('--limit <n>', `rows at most (default ${LIMIT})`, integer('--limit', 1))
    .option('--csv', 'comma-separated values')
    .addHelpText('after', HELP)
    .action(async (sql: string, parameters: readonly string[], flags: Flags, command: Command) => {
      const session = new Session(command)
      const { output } = session
      if (flags.csv && output.isJson) throw new CliError('USAGE', '--csv and --json: give one of them.')
      const { limit = LIMIT } = flags
      const rows = await session.read((ledger) => ledger.query(sql, parameters.map(toParameter), { limit }))
      output.data({ rows }, () => textOf(output, rows, flags.csv === true))
      if (rows.length === limit) output.talk(`${plural(limit, 'row')}, and perhaps more: see --limit.`)
    })
}

const HELP = `
Examples:
  $ jobledger query 'SELECT type, state, count(*) AS n FROM jobs GROUP BY 1, 2'
  $ jobledger query --csv 'SELECT * FROM queue_minutes WHERE queue = $1' mail > mail.csv
  $ jobledger query --json 'SELECT id FROM jobs WHERE run_ms > $1' 60000 | jq -r '.rows[].id'`

function textOf(output: Output, rows: readonly QueryRow[], asCsv: boolean): string {
  const [first] = rows
  if (first === undefined) return ''
  const columns = Object.keys(first)
  if (asCsv)
    return csv(
      columns,
      rows.map((row) => columns.map((column) => row[column])),
    )
  const cells = rows.map((row) => columns.map((column) => printable(String(row[column] ?? ''))))
  return output.table(columns.map(printable), cells)
}

function toParameter(text: string): QueryParameter {
  const value = scalarIn(text)
  return value === undefined ? text : value
}

function scalarIn(text: string): QueryParameter | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return value === null || typeof value !== 'object' ? (value as QueryParameter) : undefined
  } catch {
    return undefined
  }
}
