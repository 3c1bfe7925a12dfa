/** history, list: looking, without touching. */
import { type Command, Option } from 'commander'
import { JOB_STATUS_NAMES, type JobStatusName } from '../../projections/job-status.js'
import type { ListFilter } from '../../runtime/read/listing.js'
import type { JobSummary } from '../../runtime/read/queries.js'
import { addFilter, addPage, type FilterFlags, oneOf, type PageFlags, repeated } from './flags.js'
import { age, iso, type Output, printable } from './output.js'
import { type AsOfFlags, addAsOf, pastOf } from './past.js'
import { Session } from './session.js'
import { attempts, bodyPreview, inWords, stateIn } from './words.js'

export function addHistory(program: Command): void {
  const command = program
    .command('history')
    .summary("every event of a job's life")
    .description(
      "Shows every event of a job's life, oldest first: when, what, in words (with who did it and why, where that was given), and the beginning of its body. --json has everything.",
    )
    .argument('<id>', 'job id')
  addAsOf(command)
    .addHelpText('after', '\nExamples:\n  $ jobledger history order-17')
    .action(async (id: string, { asOf }: AsOfFlags, command: Command) => {
      const session = new Session(command)
      const events = await session.read((ledger) => (pastOf(ledger, asOf) ?? ledger).history(id))
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

interface ListFlags extends FilterFlags, PageFlags, AsOfFlags {
  readonly trigger?: string[]
  readonly state?: JobStatusName[]
}

export function addList(program: Command): void {
  const command = program
    .command('list')
    .summary('jobs, newest first')
    .description(
      'Lists jobs, newest first, a page at a time. Filters may be repeated: any of the values given will do.',
    )
    .addOption(
      new Option('--state <state>', `one of ${JOB_STATUS_NAMES.join(', ')}`).argParser(
        repeated(oneOf('--state', JOB_STATUS_NAMES)),
      ),
    )
  addAsOf(command)
  addPage(addFilter(command).option('--trigger <id>', 'made by this trigger; may be repeated', repeated(String)))
    .addHelpText('after', LIST_HELP)
    .action(async ({ asOf, ...filter }: ListFlags, command: Command) => {
      const session = new Session(command)
      const page = await session.read((ledger) => (pastOf(ledger, asOf) ?? ledger).list(filter satisfies ListFilter))
      session.output.data(page, () => jobsText(session.output, page.jobs))
      if (page.jobs.length === 0) session.output.talk('No jobs.')
      if (page.cursor !== undefined) session.output.talk(`There are more: --cursor '${page.cursor}'`)
    })
}

const LIST_HELP = `
Examples:
  $ jobledger list --state failed --limit 20
  $ jobledger list --type send-mail --queue mail --json | jq -r '.jobs[].id'`

export function jobsText(output: Output, jobs: readonly JobSummary[]): string {
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
