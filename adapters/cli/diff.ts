/** diff: history under something else than what it was made with. */
import type { Command } from 'commander'
import type { Difference, Next } from '../../projections/diff/difference.js'
import type { DiffOptions } from '../../runtime/history/diff.js'
import { CANDIDATE_KEYS } from '../../runtime/history/diff.js'
import { loadDefault } from './config.js'
import { CliError, EXIT } from './exit-codes.js'
import { iso, plural, preview, printable } from './output.js'
import { addRange, type RangeFlags, rangeOf } from './past.js'
import { Session } from './session.js'
import { untilStopped } from './wait.js'

interface DiffFlags extends RangeFlags {
  readonly module: string
}

export function addDiff(program: Command): void {
  const command = program
    .command('diff')
    .summary('try a change on recorded history')
    .description(
      'Replays history under what a module exports, and lists what would differ, job by job: two projections, a lifecycle of jobs (a machine of XState or its config), retry policies by job type. Nothing is changed.',
    )
    .requiredOption('--module <file>', `its default export is an object with ${CANDIDATE_KEYS.join(', ')}, one or more`)
  addRange(command)
    .addHelpText('after', DIFF_HELP)
    .action(async ({ module, ...range }: DiffFlags, command: Command) => {
      const session = new Session(command)
      const candidates = await loadCandidates(module)
      const found = await untilStopped('the comparison ends here', (signal) =>
        session.read((ledger) =>
          session.output.series('differences', ledger.diff({ ...candidates, ...rangeOf(range), signal }), inWords),
        ),
      )
      if (found === 0) session.output.talk('Nothing differs.')
      else {
        session.output.talk(plural(found, 'difference'))
        process.exitCode = EXIT.failure
      }
    })
}

const DIFF_HELP = `
The module may be JavaScript or TypeScript:
  export default { retry: { 'send-mail': { maxAttempts: 5, backoff: { min: '1m' } } } }

Exit codes:
  0  nothing differs
  1  something does

Examples:
  $ jobledger diff --module next-policy.ts --from 2026-10-01T00:00:00Z
  $ jobledger diff --module lifecycle.ts --queue mail --json`

async function loadCandidates(file: string): Promise<DiffOptions> {
  const exported = await loadDefault(file)
  if (typeof exported === 'object' && exported !== null && !Array.isArray(exported)) {
    const odd = Object.keys(exported).find((key) => !CANDIDATE_KEYS.includes(key))
    if (odd === undefined) return exported as DiffOptions
    throw new CliError('USAGE', `${file}: expected one of ${CANDIDATE_KEYS.join(', ')}, got ${odd}.`)
  }
  throw new CliError('USAGE', `${file}: expected the default export to be an object with ${CANDIDATE_KEYS.join(', ')}.`)
}

function inWords(found: Difference): string {
  switch (found.kind) {
    case 'row':
      return `row ${printable(found.key) || '""'}: ${rowIn(found.before)} -> ${rowIn(found.after)}`
    case 'refused': {
      const { event, revision, phase, at } = found
      return `${jobOf(found)}: ${printable(event)} (revision ${revision}, ${iso(at)}) is refused in ${printable(phase)}`
    }
    case 'phase':
      return `${jobOf(found)}: is ${found.recorded} -> ${printable(found.candidate)}`
    case 'decision': {
      const { attempt, error, at, recorded, candidate } = found
      const failed = `attempt ${attempt} (${printable(error ?? 'failed')}, ${iso(at)})`
      return `${jobOf(found)}: after ${failed}: ${nextIn(recorded)} -> ${nextIn(candidate)}`
    }
    case 'outcome':
      return `${jobOf(found)}: ${found.recorded} -> ${found.candidate}`
  }
}

const jobOf = (found: { readonly job: string; readonly type?: string }): string =>
  `job ${printable(found.job)}${found.type === undefined ? '' : ` (${printable(found.type)})`}`

const rowIn = (row: unknown): string => (row === null ? 'none' : preview(row, 200))

function nextIn(next: Next): string {
  if (next.what === 'end') return 'the end'
  const from = iso(next.from)
  return next.to === next.from ? `again at ${from}` : `again from ${from} to ${iso(next.to)}`
}
