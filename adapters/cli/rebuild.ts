/** rebuild: every projection once more from the log. */
import type { Command } from 'commander'
import type { RebuildProgress, RebuiltProjection } from '../../runtime/history/rebuild.js'
import { EXIT } from './exit-codes.js'
import { type Output, plural } from './output.js'
import { Session } from './session.js'
import { untilStopped } from './wait.js'

interface RebuildFlags {
  readonly apply?: boolean
  readonly tables?: boolean
}

/** How often the line of a terminal changes, in ms. */
const BEAT = 200

export function addRebuild(program: Command): void {
  program
    .command('rebuild')
    .summary('check what is kept beside the log against the log')
    .description(
      'Reads the whole log, archived events included, builds every projection anew beside those in use, and compares the two by the hash of a canonical form. What hangs on jobs that were removed from the log cannot be compared, and is told apart. Others may go on using the ledger.',
    )
    .option('--tables', 'also the tables for SQL')
    .option('--apply', 'then replace what is kept beside the log by what was rebuilt')
    .addHelpText('after', REBUILD_HELP)
    .action(async ({ apply = false, tables = false }: RebuildFlags, command: Command) => {
      const session = new Session(command)
      const { output } = session
      const rebuilt = await rebuild(session, { apply, tables })
      output.data({ projections: rebuilt, applied: apply }, () => tableOf(output, rebuilt))
      for (const { name, apart } of rebuilt) if (apart !== undefined) output.talk(`${name}: not compared: ${apart}.`)
      if (rebuilt.every(({ identical }) => identical)) return
      output.complain(
        apply
          ? 'Not identical: replaced. Processes that have the ledger open take it up when they are started anew.'
          : 'Not identical: --apply replaces what is kept by what the log says.',
      )
      process.exitCode = EXIT.integrity
    })
}

const REBUILD_HELP = `
Exit codes:
  0  identical
  5  something is not, also when --apply has put it right

Examples:
  $ jobledger rebuild
  $ jobledger rebuild --apply --json`

async function rebuild(session: Session, asked: Required<RebuildFlags>): Promise<RebuiltProjection[]> {
  const { output } = session
  let toldAt = Number.NEGATIVE_INFINITY
  const onProgress = ({ events, share }: RebuildProgress): void => {
    if (performance.now() - toldAt < BEAT) return
    toldAt = performance.now()
    output.progress(`${plural(events, 'event')}, ${Math.floor(share * 100)} %`)
  }
  try {
    return await untilStopped('nothing was changed', (signal) =>
      session.read((ledger) => ledger.rebuild({ ...asked, signal, onProgress })),
    )
  } finally {
    output.progress('')
  }
}

function tableOf(output: Output, rebuilt: readonly RebuiltProjection[]): string {
  const rows = rebuilt.map(({ name, version, events, identical, live, rebuilt: anew }) => [
    name,
    String(version),
    String(events),
    identical ? output.style('green', 'identical') : output.style('red', 'differs'),
    identical ? anew.slice(0, 16) : `${live.slice(0, 16)}, rebuilt ${anew.slice(0, 16)}`,
  ])
  return output.table(['PROJECTION', 'VERSION', 'EVENTS', 'LIVE', 'HASH'], rows)
}
