/** report: what was done in a while, and how things stand. */
import { type Command, Option } from 'commander'
import type { Ledger } from '../../runtime/ledger.js'
import type { ReportOptions } from '../../runtime/report/report-options.js'
import { csv } from './csv.js'
import { CliError } from './exit-codes.js'
import { instant, integer, label, name, span } from './flags.js'
import type { Output } from './output.js'
import { addAsOf, pastOf } from './past.js'
import type { Line } from './report-lines.js'
import * as lines from './report-lines.js'
import { Session } from './session.js'

interface Flags {
  readonly last?: number
  readonly from?: number
  readonly until?: number
  readonly step?: number
  readonly by?: 'queue' | 'type' | 'channel'
  readonly queue?: string
  readonly type?: string
  readonly channel?: string
  readonly limit?: number
  readonly asOf?: number
  readonly csv?: true
}

type Flag = keyof Flags

/** What a report says: the document of the library, and lines of it. */
interface Said {
  readonly document: object
  readonly lines: readonly Line[]
}

interface Report {
  readonly flags: readonly Flag[]
  ask(ledger: Ledger, flags: Flags): Promise<Said>
}

const LANE: readonly Flag[] = ['queue', 'type', 'channel']
const WINDOW: readonly Flag[] = ['last', 'from', 'until']

async function say<Document extends object>(
  asked: Promise<Document>,
  linesOf: (document: Document) => readonly Line[],
): Promise<Said> {
  const document = await asked
  return { document, lines: linesOf(document) }
}

const REPORTS: Readonly<Record<string, Report>> = {
  kpis: {
    flags: [...LANE, 'asOf'],
    ask: (ledger, flags) => {
      const past = pastOf(ledger, flags.asOf)
      if (past === undefined) return say(ledger.reports.kpis(pick(flags, LANE)), lines.ofKpis)
      if (LANE.some((flag) => flags[flag] !== undefined))
        throw new CliError('USAGE', 'With --as-of the report kpis is of all queues, types and channels.')
      return say(past.report(), lines.ofKpis)
    },
  },
  throughput: {
    flags: [...LANE, ...WINDOW, 'step'],
    ask: ({ reports }, flags) =>
      say(reports.throughput({ ...windowed(flags), ...pick(flags, [...LANE, 'step']) }), lines.ofThroughput),
  },
  times: {
    flags: [...LANE, ...WINDOW, 'by'],
    ask: ({ reports }, flags) =>
      say(reports.times({ ...windowed(flags), ...pick(flags, [...LANE, 'by']) }), lines.ofTimes),
  },
  failures: {
    flags: [...LANE, ...WINDOW],
    ask: ({ reports }, flags) => say(reports.failures({ ...windowed(flags), ...pick(flags, LANE) }), lines.ofFailures),
  },
  retries: {
    flags: [...LANE, ...WINDOW],
    ask: ({ reports }, flags) => say(reports.retries({ ...windowed(flags), ...pick(flags, LANE) }), lines.ofRetries),
  },
  oldest: {
    flags: [...LANE, 'limit'],
    ask: ({ reports }, flags) => say(reports.oldest(pick(flags, [...LANE, 'limit'])), lines.ofOldest),
  },
  workers: { flags: WINDOW, ask: ({ reports }, flags) => say(reports.workers(windowed(flags)), lines.ofWorkers) },
  triggers: { flags: LANE, ask: ({ reports }, flags) => say(reports.triggers(pick(flags, LANE)), lines.ofTriggers) },
}

export function addReport(program: Command): void {
  const names = Object.keys(REPORTS).join(', ')
  const command = program
    .command('report')
    .summary('throughput, times, failures, how things stand')
    .description(
      `Says what was done in a while (default: the last hour), or how things stand now. Reports: ${names}. Without a name: kpis. The first report on a ledger reads all of its log.`,
    )
    .argument('[name]', `one of ${names}`, 'kpis')
    .option('--last <duration>', 'the last while: 15m, 24h, 7d (default: 1h)', span('--last'))
    .option(
      '--from <instant>',
      'in place of it: from then on, ISO 8601 with a zone or ms since the epoch',
      instant('--from'),
    )
    .option('--until <instant>', 'and up to then (default: now)', instant('--until'))
    .option('--step <duration>', 'throughput: length of a step, in whole minutes', span('--step'))
    .addOption(new Option('--by <what>', 'times: a line for each').choices(['queue', 'type', 'channel']))
    .option('--queue <name>', 'only this queue', label('--queue'))
    .option('--type <type>', 'only this job type', name('--type'))
    .option('--channel <name>', 'only this channel', label('--channel'))
    .option('--limit <n>', 'oldest: how many (default: 10)', integer('--limit', 1))
    .option('--csv', 'comma-separated values, all times in ms')
  addAsOf(command)
    .addHelpText('after', HELP)
    .action(async (asked: string, flags: Flags, command: Command) => {
      const session = new Session(command)
      if (flags.csv && session.output.isJson) throw new CliError('USAGE', 'Give --csv or --json, not both.')
      const report = Object.hasOwn(REPORTS, asked) ? REPORTS[asked] : undefined
      if (report === undefined) throw new CliError('USAGE', `There is no report ${asked}. Reports: ${names}.`)
      refuseOthers(asked, report, flags)
      const said = await session.read((ledger) => report.ask(ledger, flags))
      print(session.output, said, flags)
      if (said.lines.length === 0) session.output.talk('Nothing to report.')
    })
}

const HELP = `
Examples:
  $ jobledger report
  $ jobledger report --as-of 2026-11-27T02:00:00Z
  $ jobledger report throughput --last 24h --step 1h --queue mail
  $ jobledger report times --by type --last 7d --csv > times.csv`

/** A flag that a report does not know would be taken for one that it obeys. */
function refuseOthers(asked: string, report: Report, flags: Flags): void {
  const odd = (Object.keys(flags) as Flag[]).find((flag) => flag !== 'csv' && !report.flags.includes(flag))
  if (odd === undefined) return
  const spelt = (flag: Flag): string => `--${flag.replace('asOf', 'as-of')}`
  const known = report.flags.map(spelt).join(', ')
  throw new CliError('USAGE', `The report ${asked} has no ${spelt(odd)}. It takes ${known}.`)
}

const pick = <Key extends Flag>(flags: Flags, keys: readonly Key[]): Pick<Flags, Key> =>
  Object.fromEntries(keys.filter((key) => flags[key] !== undefined).map((key) => [key, flags[key]])) as Pick<Flags, Key>

function windowed(flags: Flags): Pick<ReportOptions, 'window' | 'last'> {
  const window = pick(flags, ['from', 'until'])
  return { ...pick(flags, ['last']), ...(Object.keys(window).length > 0 && { window }) }
}

function print(output: Output, { document, lines }: Said, flags: Flags): void {
  if (flags.csv) {
    if (lines.length === 0) return
    const heading = Object.keys(lines[0] ?? {})
    process.stdout.write(
      `${csv(
        heading,
        lines.map((line) => heading.map((key) => line[key]?.value)),
      )}\r\n`,
    )
    return
  }
  output.data(document, () => {
    if (lines.length === 0) return ''
    const heading = Object.keys(lines[0] as Line)
    const rows = lines.map((line) => heading.map((key) => line[key]?.text ?? ''))
    return output.table(
      heading.map((key) => key.replaceAll('_', ' ').toUpperCase()),
      rows,
    )
  })
}
