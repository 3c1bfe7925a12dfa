/** search: jobs by what they are, what has happened to them, and what they say. */
import { type Command, Option } from 'commander'
import { formatMs } from '../../domain/duration.js'
import { InvalidOption } from '../../domain/errors.js'
import type { FoundJob, Newest } from '../../runtime/report/search.js'
import type { FoundState, SearchFilter } from '../../runtime/report/search-options.js'
import { STATES } from '../../runtime/report/search-options.js'
import { CliError } from './exit-codes.js'
import { addPage, duration, instant, integer, label, name, type PageFlags } from './flags.js'
import { age, type Output, printable } from './output.js'
import { Session } from './session.js'
import { stateIn } from './words.js'

interface Flags extends PageFlags {
  readonly id?: string
  readonly type?: string
  readonly queue?: string
  readonly channel?: string
  readonly state?: FoundState
  readonly queued?: Span
  readonly started?: Span
  readonly ended?: Span
  readonly error?: string
  readonly payload?: Record<string, string>
  readonly newest?: number
}

type Span = NonNullable<SearchFilter['queued']>

export function addSearch(program: Command): void {
  const command = program
    .command('search')
    .summary('jobs by time, error and payload')
    .description(
      'Finds jobs, ended ones too, that fit all that is given, newest first: latest end or start where that is asked for. Spans are <from>..<until>, either of them may be left out, or a duration: the last 24h. The first search on a ledger reads all of its log. For blocked, scheduled and ready jobs: jobledger list.',
    )
    .option('--id <id>', 'the job of this id', name('--id'))
    .option('--type <type>', 'job type', name('--type'))
    .option('--queue <name>', 'queue', label('--queue'))
    .option('--channel <name>', 'channel; "" are jobs without one', label('--channel'))
    .addOption(new Option('--state <state>', 'where it stands').choices(STATES))
    .option('--queued <span>', 'when it was queued', span('--queued'))
    .option('--started <span>', 'when its first run began', span('--started'))
    .option('--ended <span>', 'when it ended', span('--ended'))
    .option('--error <words>', 'words that are all in its last error', name('--error'))
    .option('--payload <path=value>', 'what its payload says at a declared path; may be repeated', pair)
    .option('--newest <n>', 'in place of all that: the newest n of each type and state', integer('--newest', 1))
  addPage(command)
    .addHelpText('after', HELP)
    .action(async ({ newest, ...filter }: Flags, command: Command) => {
      const session = new Session(command)
      if (newest !== undefined) return showNewest(session, newest, filter)
      const page = await session.read((ledger) => ledger.search(filter))
      session.output.data(page, () => foundText(session.output, page.jobs))
      if (page.jobs.length === 0) session.output.talk('No jobs.')
      if (page.cursor !== undefined) session.output.talk(`There are more: --cursor '${page.cursor}'`)
    })
}

const HELP = `
Examples:
  $ jobledger search --state failed --error "connection refused" --ended 24h
  $ jobledger search --type send-mail --payload customer.id=4711
  $ jobledger search --queued 2026-11-01T00:00:00Z..2026-11-02T00:00:00Z --json
  $ jobledger search --newest 5`

async function showNewest(session: Session, limit: number, filter: SearchFilter): Promise<void> {
  const [other] = Object.keys(filter)
  if (other !== undefined)
    throw new CliError('USAGE', `--newest shows each type and state: it does not go with --${other}.`)
  const groups = await session.read((ledger) => ledger.newest({ limit }))
  const jobs = groups.flatMap((group: Newest) => group.jobs)
  session.output.data({ groups }, () => foundText(session.output, jobs))
  if (jobs.length === 0) session.output.talk('No jobs.')
}

function span(flag: string): (text: string) => Span {
  return (text) => {
    const [, from, until] = /^(.*?)\.\.(.*)$/.exec(text) ?? []
    if (from === undefined || until === undefined) return { from: Date.now() - duration(flag)(text) }
    return {
      ...(from !== '' && { from: instant(flag)(from) }),
      ...(until !== '' && { until: instant(flag)(until) }),
    }
  }
}

function pair(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [, path, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (path === undefined || value === undefined) throw new InvalidOption('--payload', '<path>=<value>', text)
  return { ...before, [path]: value }
}

function foundText(output: Output, jobs: readonly FoundJob[]): string {
  if (jobs.length === 0) return ''
  const rows = jobs.map((job) => [
    printable(job.id),
    stateIn(output, job.state),
    printable(job.type),
    printable(job.channel === '' ? job.queue : `${job.queue}/${job.channel}`),
    age(job.queuedAt),
    job.endedAt === undefined ? '' : age(job.endedAt),
    job.runMs === undefined ? '' : formatMs(job.runMs),
    about(job),
  ])
  return output.table(['ID', 'STATE', 'TYPE', 'QUEUE', 'QUEUED', 'ENDED', 'TOOK', 'ABOUT'], rows)
}

function about({ name, error, errorMessage, reason, archived }: FoundJob): string {
  const failure = error === undefined ? undefined : errorMessage ? `${error}: ${errorMessage}` : error
  const parts = [name, failure, reason, archived !== undefined && `archived in ${archived}`]
  return parts
    .filter((part) => typeof part === 'string' && part !== '')
    .map((part) => printable(part as string))
    .join(', ')
}
