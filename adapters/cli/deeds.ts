/** deeds: what operators have done, over the whole ledger. */
import type { Command } from 'commander'
import type { DeedEntry } from '../../projections/deeds.js'
import type { DeedFilter } from '../../runtime/read/deeds.js'
import { addPage, instant, name } from './flags.js'
import { age, iso, type Output, preview, printable } from './output.js'
import { Session } from './session.js'

export function addDeeds(program: Command): void {
  const command = program
    .command('deeds')
    .summary('what operators have done')
    .description(
      'Lists what was done to jobs, queues, workers and triggers by operators and by the rules of retention, newest first, with who did it and why. What was done to a job that was removed left with it: the removal itself stays.',
    )
    .option('--from <instant>', 'from then on: ISO 8601 with a zone, or ms since the epoch', instant('--from'))
    .option('--until <instant>', 'up to then', instant('--until'))
    .option('--actor <user>', 'only deeds of this user', name('--actor'))
  addPage(command)
    .addHelpText(
      'after',
      '\nExamples:\n  $ jobledger deeds\n  $ jobledger deeds --actor ada --from 2026-11-01T00:00:00Z --json',
    )
    .action(async (flags: DeedFilter, command: Command) => {
      const session = new Session(command)
      const page = await session.read((ledger) => ledger.deeds(flags))
      session.output.data(page, () => deedsText(session.output, page.deeds))
      if (page.deeds.length === 0) session.output.talk('No deeds.')
      if (page.cursor !== undefined) session.output.talk(`There are more: --cursor '${page.cursor}'`)
    })
}

function deedsText(output: Output, deeds: readonly DeedEntry[]): string {
  if (deeds.length === 0) return ''
  const rows = deeds.map((entry) => [
    iso(entry.at),
    age(entry.at),
    printable(entry.actor ?? (entry.rule === undefined ? '' : `rule ${entry.rule}`)),
    `${entry.deed} ${entry.subject}`,
    printable(someOf(entry.ids)),
    printable(entry.reason ?? ''),
    SAYS_NOTHING.has(entry.deed) ? '' : preview(entry.data),
  ])
  return output.table(['TIME', 'AGE', 'WHO', 'DEED', 'WHAT', 'WHY', 'FACTS'], rows)
}

/** Their facts say no more than the columns. */
const SAYS_NOTHING: ReadonlySet<string> = new Set(['cancel', 'remove', 'archive', 'pause', 'resume', 'fail-unstarted'])

const someOf = (ids: readonly string[]): string =>
  ids.length <= 3 ? ids.join(', ') || '""' : `${ids.slice(0, 2).join(', ')} and ${ids.length - 2} more`
