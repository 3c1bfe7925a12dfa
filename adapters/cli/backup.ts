/** backup: a copy of the log in a file, while others go on. */
import type { Command } from 'commander'
import { StoreRefused } from '../../runtime/ports/event-store.js'
import type { Backup, BackupOptions } from '../../runtime/ports/maintenance.js'
import { bytes } from '../shared/bytes.js'
import { plural } from './output.js'
import { requireLedger, Session, shown } from './session.js'
import { untilStopped } from './wait.js'

export function addBackup(program: Command): void {
  program
    .command('backup')
    .summary('copy the log of a SQLite ledger into a file, while it is in use')
    .description(
      'Writes the log as it is at one moment into a file, while others go on, opens that file and checks it. It has a name of its own until it is whole. Views are not part of it: they are built again. For PostgreSQL and EventStoreDB it says what their own tool is, and exits with 1.',
    )
    .requiredOption('--to <file>', 'where to')
    .option('--force', 'take the place of a file that is there')
    .addHelpText('after', BACKUP_HELP)
    .action(async ({ to, force = false }: { to: string; force?: boolean }, command: Command) => {
      const session = new Session(command)
      const url = session.url()
      requireLedger(url)
      const made = await backup(session, url, { to, force })
      session.output.data({ ledger: shown(url), ...made }, () => {
        return `${made.file}: ${plural(made.events, 'event')}, ${bytes(made.bytes)}, opened and checked`
      })
    })
}

const BACKUP_HELP = `
To restore, stop every worker and put the file in the place of the ledger,
without the files -wal, -shm and -views* that lie beside the old one.

Exit codes:
  1  this store has a tool of its own, the disk is full, ...
  4  the file is there already, without --force

Examples:
  $ jobledger backup --to /var/backups/jobs-$(date +%F).db
  $ jobledger backup --ledger jobs.db --to jobs.bak --force --json`

async function backup({ output }: Session, url: string, where: Pick<BackupOptions, 'to' | 'force'>): Promise<Backup> {
  const { openMaintenance } = await import('../open-maintenance.js')
  const maintenance = await openMaintenance(url)
  if (maintenance === undefined) {
    throw new StoreRefused(`${shown(url)}: back up the server's own files. A copy in a file: jobledger copy.`)
  }
  try {
    return await untilStopped('there is no backup', (signal) =>
      maintenance.backup({
        ...where,
        signal,
        onProgress: ({ done, total }) =>
          output.progress(`${done} of ${total} pages, ${Math.floor((100 * done) / total)} %`),
      }),
    )
  } finally {
    output.progress('')
  }
}
