/** dead: jobs that have failed for good, and what becomes of them. */
import type { Command } from 'commander'
import type { DeadLetterChoice } from '../../runtime/dead-letters.js'
import type { JobPage } from '../../runtime/read/queries.js'
import { refusalOf } from './each.js'
import { CliError, EXIT } from './exit-codes.js'
import { addFilter, addPage, type FilterFlags, filterOf, type PageFlags } from './flags.js'
import { age, type Output, printable } from './output.js'
import { Session } from './session.js'
import { attempts } from './words.js'

export function addDead(program: Command): void {
  const dead = program
    .command('dead')
    .summary('dead letters: list them, retry them, clean them up')
    .description('Dead letters are jobs that have failed for good. They stay until somebody decides.')
    .addHelpText('after', DEAD_HELP)
  addDeadList(dead)
  addDeadRetry(dead)
  addDeadClean(dead)
}

const DEAD_HELP = `
Examples:
  $ jobledger dead list --queue mail
  $ jobledger dead retry --type send-mail
  $ jobledger dead clean --all`

function addDeadList(dead: Command): void {
  const command = dead
    .command('list')
    .summary('jobs that have failed for good, newest first')
    .description('Lists jobs that have failed for good, newest first, a page at a time.')
  addPage(addFilter(command))
    .addHelpText('after', '\nExamples:\n  $ jobledger dead list --type send-mail --limit 20')
    .action(async (flags: FilterFlags & PageFlags, command: Command) => {
      const session = new Session(command)
      const page = await session.read((ledger) => ledger.deadLetters.list(flags))
      session.output.data(page, () => listText(session.output, page))
      if (page.jobs.length === 0) session.output.talk('No dead letters.')
      if (page.cursor !== undefined) session.output.talk(`There are more: --cursor '${page.cursor}'`)
    })
}

function listText(output: Output, { jobs }: JobPage): string {
  if (jobs.length === 0) return ''
  const heading = ['ID', 'TYPE', 'QUEUE', 'ATTEMPTS', 'FAILED', 'ERROR']
  const rows = jobs.map((job) => [
    printable(job.id),
    printable(job.type),
    printable(job.channel === '' ? job.queue : `${job.queue}/${job.channel}`),
    attempts(job),
    job.endedAt === undefined ? '' : age(job.endedAt),
    printable(job.error ?? ''),
  ])
  return output.table(heading, rows)
}

interface ChoiceFlags extends FilterFlags {
  readonly all?: true
}

function addDeadRetry(dead: Command): void {
  const command = dead
    .command('retry')
    .summary('send them round again')
    .description(
      'Sends dead letters round again: attempts start afresh, the history stays. Those that cannot run again are told with the reason; the exit code is that of the first.',
    )
  addChoice(command)
    .addHelpText('after', RETRY_HELP)
    .action(async (ids: string[], flags: ChoiceFlags, command: Command) => {
      const session = new Session(command)
      const choice = toChoice(ids, flags)
      const { retried, refused } = await session.act((ledger) => ledger.deadLetters.retry(choice))
      const refusals = refused.map(({ id, error }) => ({ id, error: refusalOf(error) }))
      const { output } = session
      output.data({ retried, refused: refusals }, () =>
        output.facts({ retried: String(retried), refused: String(refusals.length) }),
      )
      for (const { error } of refusals) output.complain(error.message)
    })
}

const RETRY_HELP = `
Examples:
  $ jobledger dead retry order-17 order-18
  $ jobledger dead retry --type send-mail --as ada --reason "mail is back"
  $ jobledger dead retry --all --json`

function addDeadClean(dead: Command): void {
  const command = dead
    .command('clean')
    .summary('take them out of the ledger')
    .description(
      'Takes dead letters out of the ledger for good. Kept are those that a job which has not ended depends on, and jobs that have not failed. Exits with 3 if one of the ids is not there.',
    )
  addChoice(command)
    .addHelpText('after', CLEAN_HELP)
    .action(async (ids: string[], flags: ChoiceFlags, command: Command) => {
      const session = new Session(command)
      const choice = toChoice(ids, flags)
      const report = await session.act((ledger) => ledger.deadLetters.clean(choice))
      const { output } = session
      output.data(report, () => output.facts({ removed: String(report.removed), kept: String(report.kept) }))
      const missing = new Set(ids).size - report.removed - report.kept
      if (ids.length === 0 || missing <= 0) return
      output.complain(`${missing} of these ids ${missing === 1 ? 'is' : 'are'} not there.`)
      process.exitCode = EXIT.notFound
    })
}

const CLEAN_HELP = `
Examples:
  $ jobledger dead clean order-17
  $ jobledger dead clean --queue mail --as ada --reason "customer has left"
  $ jobledger dead clean --all`

function addChoice(command: Command): Command {
  return addFilter(command.argument('[id...]', 'job ids')).option('--all', 'every dead letter there is')
}

/** Nobody empties a ledger by a word forgotten. Throws USAGE. */
function toChoice(ids: readonly string[], { all, ...flags }: ChoiceFlags): readonly string[] | DeadLetterChoice {
  const filter = filterOf(flags)
  const isFiltered = Object.keys(filter).length > 0
  const given = [ids.length > 0, isFiltered, all === true].filter(Boolean).length
  if (given === 1) return ids.length > 0 ? [...new Set(ids)] : filter
  if (given > 1) throw new CliError('USAGE', 'Give ids, or --type, --queue or --channel, or --all: only one of these.')
  throw new CliError('USAGE', 'Say which: ids, or --type, --queue or --channel, or --all for every dead letter.')
}
