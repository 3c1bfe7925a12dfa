/** cancel and retry: an operator's hand on a job. */
import type { Command } from 'commander'
import type { Ledger } from '../../runtime/ledger.js'
import { codeOf, exitCodeOf, messageOf } from './exit-codes.js'
import { Session } from './session.js'

interface CancelFlags {
  readonly reason?: string
  readonly ifIdle?: true
  readonly ignoreEnded?: true
}

export function addCancel(program: Command): void {
  program
    .command('cancel')
    .summary('end a job that has not ended')
    .description('Ends a job that has not ended. A running one is told to stop, and its result is refused.')
    .argument('<id>', 'job id')
    .option('--reason <text>', 'recorded with the cancel')
    .option('--if-idle', 'leave it alone if it runs (exit 4)')
    .option('--ignore-ended', 'a job that has ended already is no error')
    .addHelpText('after', '\nExamples:\n  $ jobledger cancel order-17 --reason "customer changed their mind"')
    .action(async (id: string, { reason, ifIdle, ignoreEnded }: CancelFlags, command: Command) => {
      const session = new Session(command)
      const options = {
        ...(reason !== undefined && { reason }),
        ...(ifIdle && { ifIdle }),
        ...(ignoreEnded && { ifEnded: 'ignore' as const }),
      }
      const cancelled = await session.read((ledger) => ledger.cancel(id, options))
      session.output.data({ id, cancelled }, () => '')
      session.output.talk(cancelled ? `Job ${id} is cancelled.` : `Job ${id} had ended already.`)
    })
}

interface Retried {
  readonly id: string
  readonly retried: boolean
  readonly error?: { readonly code: string | undefined; readonly message: string }
}

export function addRetry(program: Command): void {
  program
    .command('retry')
    .summary('send ended jobs round again')
    .description(
      'Sends ended jobs round again, whatever they ended as: attempts start afresh, the history stays. Each id is tried; the exit code is that of the first refusal.',
    )
    .argument('<id...>', 'job ids')
    .addHelpText('after', RETRY_HELP)
    .action(async (ids: string[], _flags: object, command: Command) => {
      const session = new Session(command)
      const jobs: Retried[] = []
      await session.read(async (ledger) => {
        for (const id of ids) jobs.push(await retry(ledger, id))
      })
      session.output.data({ jobs }, () => '')
      for (const { id, error } of jobs) {
        if (error === undefined) session.output.talk(`Job ${id} is queued again.`)
        else session.output.complain(error.message)
      }
    })
}

const RETRY_HELP = `
Examples:
  $ jobledger retry order-17
  $ jobledger list --state failed --json | jq -r '.jobs[].id' |
      xargs jobledger retry`

/** A refusal is that job's own; a ledger that does not work is everybody's. */
async function retry(ledger: Ledger, id: string): Promise<Retried> {
  try {
    await ledger.retry(id)
    return { id, retried: true }
  } catch (error) {
    const exitCode = exitCodeOf(error)
    if (exitCode === 1) throw error
    process.exitCode ??= exitCode
    return { id, retried: false, error: { code: codeOf(error), message: messageOf(error) } }
  }
}
