/** status, history, list, stats: looking, without touching. */
import { type Command, Option } from 'commander'
import type { DependencyEdge } from '../../domain/job/events.js'
import { JOB_STATUS_NAMES, type JobStatusName } from '../../projections/job-status.js'
import type { JobPage, JobStatus, JobSummary, ListFilter, QueueCounts } from '../../runtime/read/queries.js'
import { integer, repeated } from './flags.js'
import { age, iso, type Output, preview, printable, when } from './output.js'
import { Session } from './session.js'
import { bodyPreview, edgeInWords, inWords } from './words.js'

const COLORS = { succeeded: 'green', failed: 'red', cancelled: 'yellow', running: 'cyan', blocked: 'yellow' } as const

function stateIn(output: Output, state: JobStatusName): string {
  const color = COLORS[state as keyof typeof COLORS]
  return color === undefined ? state : output.style(color, state)
}

export function addStatus(program: Command): void {
  program
    .command('status')
    .summary('how a job stands')
    .description('Shows how a job stands, read from the log itself. Times are UTC.')
    .argument('<id>', 'job id')
    .addHelpText('after', '\nExamples:\n  $ jobledger status order-17\n  $ jobledger status order-17 --json')
    .action(async (id: string, _flags: object, command: Command) => {
      const session = new Session(command)
      const status = await session.read((ledger) => ledger.status(id))
      session.output.data(status, () => session.output.facts(statusFacts(session.output, status)))
    })
}

function statusFacts(output: Output, job: JobStatus): Record<string, string | undefined> {
  const at = (instant: number | undefined): string | undefined => (instant === undefined ? undefined : when(instant))
  const { lease, error, errorMessage, reason, progress, dependsOn } = job
  return {
    id: printable(job.id),
    state: stateIn(output, job.state),
    type: printable(job.type),
    name: job.name && printable(job.name),
    queue: printable(job.queue),
    channel: printable(job.channel) || undefined,
    priority: job.priority === 0 ? undefined : String(job.priority),
    attempts: `${attempts(job)} spent, ${job.run} ${job.run === 1 ? 'run' : 'runs'} so far`,
    queued: at(job.queuedAt),
    'runs at': at(job.runAt),
    started: at(job.startedAt),
    ended: at(job.endedAt),
    lease: lease && `worker ${lease.workerId}, until ${when(lease.expiresAt)}`,
    progress: progress === undefined ? undefined : String(progress),
    'depends on':
      dependsOn.length === 0 ? undefined : dependsOn.map((edge) => edgeStands(edge, job.blockedBy)).join(', '),
    error: error && printable(errorMessage ? `${error}: ${errorMessage}` : error),
    reason: reason && printable(reason),
    payload: preview(job.payload, 2_000),
    result: preview(job.result, 2_000) || undefined,
  }
}

function edgeStands(edge: DependencyEdge, blockedBy: readonly string[]): string {
  return `${printable(edgeInWords(edge))}${blockedBy.includes(edge.id) ? ' [still open]' : ''}`
}

const attempts = ({ attempt, maxAttempts }: JobSummary): string => `${attempt}/${maxAttempts ?? 'unlimited'}`

export function addHistory(program: Command): void {
  program
    .command('history')
    .summary("every event of a job's life")
    .description(
      "Shows every event of a job's life, oldest first: when, what, in words, and the beginning of its body. --json has everything.",
    )
    .argument('<id>', 'job id')
    .addHelpText('after', '\nExamples:\n  $ jobledger history order-17')
    .action(async (id: string, _flags: object, command: Command) => {
      const session = new Session(command)
      const events = await session.read((ledger) => ledger.history(id))
      const { output } = session
      const heading = ['TIME', 'AGE', 'EVENT', 'WHAT IT SAYS', 'BODY']
      output.data({ id, events }, () =>
        output.table(
          heading,
          events.map((entry) => [
            iso(entry.at),
            age(entry.at),
            printable(entry.type),
            inWords(entry),
            bodyPreview(entry),
          ]),
        ),
      )
    })
}

interface ListFlags {
  readonly state?: JobStatusName[]
  readonly type?: string[]
  readonly queue?: string[]
  readonly channel?: string[]
  readonly limit?: number
  readonly cursor?: string
}

export function addList(program: Command): void {
  program
    .command('list')
    .summary('jobs, newest first')
    .description(
      'Lists jobs, newest first, a page at a time. Filters may be repeated: any of the values given will do.',
    )
    .addOption(new Option('--state <state>', `one of ${JOB_STATUS_NAMES.join(', ')}`).argParser(repeated(String)))
    .option('--type <type>', 'job type', repeated(String))
    .option('--queue <name>', 'queue', repeated(String))
    .option('--channel <name>', 'channel', repeated(String))
    .option('--limit <n>', 'jobs on a page, at most 1000 (default: 50)', integer('--limit', 1))
    .option('--cursor <cursor>', 'the page after the one that gave this cursor')
    .addHelpText('after', LIST_HELP)
    .action(async (flags: ListFlags, command: Command) => {
      const session = new Session(command)
      const page = await session.read((ledger) => ledger.list(flags satisfies ListFilter))
      session.output.data(page, () => listText(session.output, page))
      if (page.jobs.length === 0) session.output.talk('No jobs.')
      if (page.cursor !== undefined) session.output.talk(`There are more: --cursor ${page.cursor}`)
    })
}

const LIST_HELP = `
Examples:
  $ jobledger list --state failed --limit 20
  $ jobledger list --type send-mail --queue mail --json | jq -r '.jobs[].id'`

function listText(output: Output, { jobs }: JobPage): string {
  if (jobs.length === 0) return ''
  const heading = ['ID', 'STATE', 'TYPE', 'QUEUE', 'ATTEMPTS', 'QUEUED', 'ABOUT']
  const row = (job: JobSummary): string[] => [
    printable(job.id),
    stateIn(output, job.state),
    printable(job.type),
    printable(job.channel === '' ? job.queue : `${job.queue}/${job.channel}`),
    attempts(job),
    age(job.queuedAt),
    about(job),
  ]
  return output.table(heading, jobs.map(row))
}

/** What is worth a word beyond the columns. */
function about({ name, error, runAt, progress, priority }: JobSummary): string {
  const parts = [
    name && printable(name),
    error && `error ${printable(error)}`,
    runAt !== undefined && `runs ${age(runAt)}`,
    progress !== undefined && `progress ${progress}`,
    priority !== 0 && `priority ${priority}`,
  ]
  return parts.filter(Boolean).join(', ')
}

export function addStats(program: Command): void {
  program
    .command('stats')
    .summary('jobs per queue and state')
    .description('Counts jobs per queue and state. Ended ones are counted over the life of the ledger.')
    .addHelpText('after', '\nExamples:\n  $ jobledger stats\n  $ jobledger stats --json | jq .queues.default.failed')
    .action(async (_flags: object, command: Command) => {
      const session = new Session(command)
      const queues = await session.read((ledger) => ledger.queues.stats())
      session.output.data({ queues }, () => statsText(session.output, queues))
      if (Object.keys(queues).length === 0) session.output.talk('No jobs yet.')
    })
}

function statsText(output: Output, queues: Readonly<Record<string, QueueCounts>>): string {
  const names = Object.keys(queues).sort()
  if (names.length === 0) return ''
  const row = (name: string, of: (state: JobStatusName) => number): string[] => [
    name,
    ...JOB_STATUS_NAMES.map((state) => String(of(state))),
  ]
  const rows = names.map((name) => row(printable(name) || '""', (state) => queues[name]?.[state] ?? 0))
  const total = row('all', (state) => names.reduce((sum, name) => sum + (queues[name]?.[state] ?? 0), 0))
  return output.table(
    ['QUEUE', ...JOB_STATUS_NAMES.map((state) => state.toUpperCase())],
    names.length > 1 ? [...rows, total] : rows,
  )
}
