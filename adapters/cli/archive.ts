/** archive: what is old leaves the log for sealed files. */
import type { Command } from 'commander'
import { InvalidOption } from '../../domain/errors.js'
import type { ArchiveReport, ArchiveRun } from '../../runtime/archive/archiver.js'
import type { Compacted } from '../../runtime/ports/maintenance.js'
import { bytes } from '../shared/bytes.js'
import { duration } from './flags.js'
import { plural } from './output.js'
import { requireLedger, Session, shown, withLedger } from './session.js'
import { untilStopped } from './wait.js'

interface ArchiveFlags {
  readonly before: number
  readonly dryRun?: boolean
  readonly vacuum?: boolean
}

export function addArchive(program: Command): void {
  program
    .command('archive')
    .summary('move what is old out of the log into sealed files')
    .description(
      'Moves jobs that ended longer ago than --before, and events of triggers, workers and the audit stream that are older, into sealed, compressed files in the folder --archive. There they can be read as before (history, status, result), and nothing else can be done to them. A job that one which has not ended depends on stays, and so does one with a time of its own (enqueue --retain). May be interrupted and run again.',
    )
    .requiredOption('--before <duration>', 'what is older than this: 90d', duration('--before'))
    .option('--dry-run', 'count what is due, and leave it')
    .option('--vacuum', 'then give the room in the file back to the disk (SQLite)')
    .addHelpText('after', ARCHIVE_HELP)
    .action(async ({ before, dryRun = false, vacuum = false }: ArchiveFlags, command: Command) => {
      const session = new Session(command)
      session.checkActor()
      const url = session.url()
      requireLedger(url)
      const report = await archived(session, url, { before, dryRun })
      const compacted = vacuum && !dryRun ? await compact(url) : undefined
      session.output.data({ ledger: shown(url), ...report, dryRun, ...(compacted && { compacted }) }, () =>
        session.output.facts(inWords(report, compacted)),
      )
      if (dryRun) session.output.talk('Nothing was done: these are due.')
    })
}

const ARCHIVE_HELP = `
A SQLite ledger keeps its archive in <path>-archive, unless --archive says where.
For another store say it each time, or in $JOBLEDGER_ARCHIVE. The folder belongs
to the ledger: back it up with it.

--vacuum writes the whole file anew; who writes waits meanwhile. Without it, the
room is used again by what comes next.

Exit codes:
  2  no folder is known
  5  a file of the archive is missing, or not as it was sealed

Examples:
  $ jobledger archive --before 90d --dry-run
  $ jobledger archive --before 90d --vacuum
  $ jobledger archive --before 1y --ledger postgres://app@db/app --archive /srv/jobs-archive --json`

function archived(session: Session, url: string, run: Pick<ArchiveRun, 'before' | 'dryRun'>): Promise<ArchiveReport> {
  const { output } = session
  return untilStopped('what was archived until now stays archived', (signal) =>
    withLedger({ url, logger: session.log, ...session.storage }, async (ledger) => {
      const onProgress = (so: ArchiveReport): void => output.progress(progressOf(so))
      try {
        return await session.speaking(ledger).archive.run({ ...run, signal, onProgress })
      } finally {
        output.progress('')
      }
    }),
  )
}

async function compact(url: string): Promise<Compacted> {
  const { openMaintenance } = await import('../open-maintenance.js')
  const maintenance = await openMaintenance(url)
  if (maintenance?.compact === undefined) {
    throw new InvalidOption('--vacuum', 'left out: this store gives room back by itself', shown(url))
  }
  return maintenance.compact()
}

const progressOf = ({ jobs, events, cut, segments }: ArchiveReport): string =>
  `${plural(segments, 'segment')}, ${plural(jobs, 'job')}, ${plural(events + cut, 'event')}`

function inWords(
  { jobs, kept, events, cut, segments, bytes: size }: ArchiveReport,
  compacted: Compacted | undefined,
): Record<string, string | undefined> {
  return {
    jobs: `${plural(jobs, 'job')} with ${plural(events, 'event')}`,
    kept: kept > 0 ? `${plural(kept, 'job')} that others need, or that run again` : undefined,
    'other streams': cut > 0 ? plural(cut, 'event') : undefined,
    segments: segments > 0 ? `${segments}, ${bytes(size)}` : undefined,
    'log file': compacted && `${bytes(compacted.before)} before, ${bytes(compacted.after)} now`,
  }
}
