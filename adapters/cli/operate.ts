/** cancel, retry, promote and reschedule: an operator's hand on jobs. */
import { type Command, Option } from 'commander'
import { each, report } from './each.js'
import { CliError } from './exit-codes.js'
import { addRunTime, priority } from './flags.js'
import { Session } from './session.js'

interface CancelFlags {
  readonly ifIdle?: true
  readonly ifEnded?: 'ignore'
  readonly ignoreEnded?: true
}

export function addCancel(program: Command): void {
  program
    .command('cancel')
    .summary('end jobs that have not ended')
    .description(
      'Ends jobs that have not ended. A running one is told to stop, and its result is refused. Each id is tried; the exit code is that of the first refusal. --reason is recorded with the cancel itself, also without --as.',
    )
    .argument('<id...>', 'job ids')
    .option('--if-idle', 'leave it alone if it runs (exit 4)')
    .addOption(new Option('--if-ended <what>', 'ignore: a job that has ended already is no error').choices(['ignore']))
    .addOption(new Option('--ignore-ended', 'the same as --if-ended ignore').hideHelp())
    .addHelpText('after', CANCEL_HELP)
    .action(async (ids: string[], { ifIdle, ifEnded, ignoreEnded }: CancelFlags, command: Command) => {
      const session = new Session(command)
      const { reason } = session
      const options = {
        ...(reason !== undefined && { reason }),
        ...(ifIdle && { ifIdle }),
        ...((ifEnded ?? ignoreEnded) && { ifEnded: 'ignore' as const }),
      }
      const jobs = await session.read((ledger) => {
        const speaking = session.speaking(ledger)
        return each(ids, { cancelled: false }, async (id) => ({ cancelled: await speaking.cancel(id, options) }))
      })
      report(session.output, jobs, ({ id, cancelled }) =>
        cancelled ? `Job ${id} is cancelled.` : `Job ${id} had ended already.`,
      )
    })
}

const CANCEL_HELP = `
Examples:
  $ jobledger cancel order-17 --reason "customer changed their mind"
  $ jobledger cancel order-17 order-18 --if-idle --if-ended ignore --as ada`

export function addRetry(program: Command): void {
  program
    .command('retry')
    .summary('send ended jobs round again')
    .description(
      'Sends ended jobs round again, whatever they ended as: attempts start afresh, the history stays. Each id is tried; the exit code is that of the first refusal. For all dead letters at once: jobledger dead retry.',
    )
    .argument('<id...>', 'job ids')
    .addHelpText('after', RETRY_HELP)
    .action(async (ids: string[], _flags: object, command: Command) => {
      const session = new Session(command)
      const jobs = await session.act((ledger) =>
        each(ids, { retried: false }, async (id) => {
          await ledger.retry(id)
          return { retried: true }
        }),
      )
      report(session.output, jobs, ({ id }) => `Job ${id} is queued again.`)
    })
}

const RETRY_HELP = `
Examples:
  $ jobledger retry order-17
  $ jobledger list --state cancelled --json | jq -r '.jobs[].id' |
      xargs jobledger retry --as ada --reason "cancelled by mistake"`

export function addPromote(program: Command): void {
  program
    .command('promote')
    .summary('let held or scheduled jobs run')
    .description(
      'Lets held or scheduled jobs run as soon as their dependencies allow. One that might run already is left as it is. Each id is tried; the exit code is that of the first refusal.',
    )
    .argument('<id...>', 'job ids')
    .addHelpText('after', '\nExamples:\n  $ jobledger promote order-17\n  $ jobledger promote order-17 --as ada')
    .action(async (ids: string[], _flags: object, command: Command) => {
      const session = new Session(command)
      const jobs = await session.act((ledger) =>
        each(ids, { promoted: false }, async (id) => {
          await ledger.promote(id)
          return { promoted: true }
        }),
      )
      report(session.output, jobs, ({ id }) => `Job ${id} is let go.`)
    })
}

interface RescheduleFlags {
  readonly runAt?: number
  readonly delay?: number
  readonly priority?: number
  readonly hold?: true
  readonly release?: true
}

export function addReschedule(program: Command): void {
  const command = program
    .command('reschedule')
    .summary('change when waiting jobs run')
    .description(
      'Changes when waiting jobs run, or their priority; what is not named stays. Each id is tried; the exit code is that of the first refusal.',
    )
    .argument('<id...>', 'job ids')
  addRunTime(command)
    .option('--priority <n>', 'lower runs first; or critical, high, medium, low', priority('--priority'))
    .addOption(new Option('--hold', 'wait until promoted').conflicts('release'))
    .option('--release', 'a held one waits no longer for that; its time stays')
    .addHelpText('after', RESCHEDULE_HELP)
    .action(async (ids: string[], flags: RescheduleFlags, command: Command) => {
      const session = new Session(command)
      const change = toChange(flags)
      const jobs = await session.act((ledger) =>
        each(ids, { rescheduled: false }, async (id) => {
          await ledger.reschedule(id, change)
          return { rescheduled: true }
        }),
      )
      report(session.output, jobs, ({ id }) => `Job ${id} is rescheduled.`)
    })
}

const RESCHEDULE_HELP = `
Examples:
  $ jobledger reschedule order-17 --delay 2h
  $ jobledger reschedule order-17 order-18 --priority critical
  $ jobledger reschedule order-17 --hold --as ada --reason "asks the customer"`

function toChange({ hold, release, ...times }: RescheduleFlags): Omit<RescheduleFlags, 'hold' | 'release'> & {
  readonly held?: boolean
} {
  const change = { ...times, ...(hold && { held: true }), ...(release && { held: false }) }
  if (Object.keys(change).length > 0) return change
  throw new CliError('USAGE', 'Say what is to change: --run-at, --delay, --priority, --hold or --release.')
}
