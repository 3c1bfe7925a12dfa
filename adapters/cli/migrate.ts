/** migrate: the tables of a ledger, ahead of the programs that use it. */
import type { Command } from 'commander'
import { Session, shown } from './session.js'

export function addMigrate(program: Command): void {
  program
    .command('migrate')
    .summary('make the tables of the ledger, or bring them up to date')
    .description(
      'Makes what is missing of the ledger: the log and its views. Every process that opens a ledger does the same; this verb is for a deployment in which the workers may not make tables. Doing it again, or many at the same time, changes nothing.',
    )
    .addHelpText('after', MIGRATE_HELP)
    .action(async (_: object, command: Command) => {
      const session = new Session(command)
      const url = session.url()
      const { openMaintenance } = await import('../open-maintenance.js')
      const done = await (await openMaintenance(url))?.migrate()
      session.output.data({ ledger: shown(url), ...(done ?? { made: false }) }, () => {
        if (done === undefined) return `${shown(url)}: this store has no tables, there is nothing to do`
        const what = done.made ? 'made' : 'up to date'
        return `${shown(url)}: ${what}, schema version ${done.version}, views version ${done.viewsVersion}`
      })
    })
}

const MIGRATE_HELP = `
Examples:
  $ jobledger migrate --ledger postgres://owner@db.internal/app
  $ jobledger migrate --json`
