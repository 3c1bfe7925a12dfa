/** expunge and remove: what is not to be kept. */
import type { Command } from 'commander'
import type { RemoveOptions } from '../../runtime/upkeep/removal.js'
import { each, report } from './each.js'
import { Session } from './session.js'

export function addExpunge(program: Command): void {
  program
    .command('expunge')
    .summary('erase payloads, results and errors')
    .description(
      'Erases payloads, results and error messages of ended jobs for good. What happened when stays, with a hash of what was erased. Such a job cannot be sent round again. Each id is tried; the exit code is that of the first refusal.',
    )
    .argument('<id...>', 'job ids')
    .addHelpText('after', EXPUNGE_HELP)
    .action(async (ids: string[], _flags: object, command: Command) => {
      const session = new Session(command)
      const jobs = await session.act((ledger) =>
        each(ids, { expunged: false }, async (id) => ({ expunged: await ledger.expunge(id) })),
      )
      report(session.output, jobs, ({ id, expunged }) =>
        expunged ? `The contents of job ${id} are erased.` : `Job ${id} had nothing left to erase.`,
      )
    })
}

const EXPUNGE_HELP = `
Examples:
  $ jobledger expunge order-17 --as ada --reason "asked to be forgotten"`

/** What stands in the way, and the flag that takes it out of it. */
const HINTS = {
  JOB_RUNNING: '--force cancels it first.',
  JOB_NEEDED: '--force takes it from them.',
}

interface Taken {
  readonly removed: boolean
  /** All that went, beginning with the job itself. */
  readonly ids?: readonly string[]
}

export function addRemove(program: Command): void {
  program
    .command('remove')
    .alias('delete')
    .summary('take jobs out of the ledger')
    .description(
      'Takes jobs out of the ledger for good; one that waits is cancelled first. What is left is how it ended, and its id stays used. Nothing is asked: it is done. Each id is tried; the exit code is that of the first refusal.',
    )
    .argument('<id...>', 'job ids')
    .option('--force', 'also one that runs, or that jobs which have not ended depend on')
    .option('--cascade', 'also the jobs it depends on that no other job does, and theirs')
    .addHelpText('after', REMOVE_HELP)
    .action(async (ids: string[], { force, cascade }: RemoveOptions, command: Command) => {
      const session = new Session(command)
      const options = { ...(force && { force }), ...(cascade && { cascade }) }
      const jobs = await session.act((ledger) =>
        each<Taken>(
          ids,
          { removed: false },
          async (id) => ({ removed: true, ids: await ledger.remove(id, options) }),
          force ? {} : HINTS,
        ),
      )
      report(session.output, jobs, toldOf)
    })
}

const REMOVE_HELP = `
Examples:
  $ jobledger remove order-17
  $ jobledger remove report-3 --cascade
  $ jobledger remove stuck-5 --force --as ada --reason "never ends"`

function toldOf({ id, ids = [] }: { readonly id: string } & Taken): string {
  const others = ids.filter((other) => other !== id)
  return `Job ${id} is removed${others.length > 0 ? `, and with it ${others.join(', ')}` : ''}.`
}
