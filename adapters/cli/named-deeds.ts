/** Verbs that pause, resume or remove what has a name: triggers, workers. */
import type { Command } from 'commander'
import type { Ledger } from '../../runtime/ledger.js'
import { each, report } from './each.js'
import { printable } from './output.js'
import { Session } from './session.js'

export interface NamedDeed {
  readonly verb: 'pause' | 'resume' | 'remove'
  /** What is true of one afterwards. */
  readonly done: 'paused' | 'resumed' | 'removed'
  readonly summary: string
  readonly description: string
}

export interface Named {
  readonly noun: string
  readonly plural: 'triggers' | 'workers'
  /** What the argument is called in the help, and one for its example. */
  readonly ids: string
  readonly example: string
  /** Their family of calls. */
  of(ledger: Ledger): {
    pause(id: string, options: { readonly reason?: string }): Promise<unknown>
    resume(id: string): Promise<unknown>
    remove(id: string): Promise<unknown>
  }
}

const EACH = 'Each id is tried; the exit code is that of the first refusal.'

export function addNamedDeed(parent: Command, named: Named, { verb, done, summary, description }: NamedDeed): void {
  const { noun, plural, ids, example } = named
  parent
    .command(verb)
    .summary(summary)
    .description(`${description} ${EACH}`)
    .argument('<id...>', ids)
    .addHelpText('after', `\nExamples:\n  $ jobledger ${plural} ${verb} ${example} --as ada`)
    .action(async (given: string[], _flags: object, command: Command) => {
      const session = new Session(command)
      const { reason } = session
      if (verb !== 'pause') session.checkActor()
      const told = await session.read((ledger) => {
        const family = named.of(session.speaking(ledger))
        return each(given, { [done]: false }, async (id) => {
          await (verb === 'pause' ? family.pause(id, reason === undefined ? {} : { reason }) : family[verb](id))
          return { [done]: true }
        })
      })
      report(session.output, told, ({ id }) => `${noun} ${printable(id)} is ${done}.`, plural)
    })
}
