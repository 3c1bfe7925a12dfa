/** explain: why a job is not running, why there is none. */
import { type Command, Option } from 'commander'
import type { Explanation } from '../../projections/explanation.js'
import type { TriggerExplanation } from '../../projections/why-refused.js'
import type { UniqueQuestion } from '../../runtime/read/explainer.js'
import { CliError } from './exit-codes.js'
import { label, name } from './flags.js'
import { age, iso, type Output, printable } from './output.js'
import { Session } from './session.js'
import { stateIn } from './words.js'

const SCOPES = ['type', 'queue', 'channel', 'ledger'] as const

interface Flags {
  readonly unique?: string
  readonly scope?: (typeof SCOPES)[number]
  readonly type?: string
  readonly queue?: string
  readonly channel?: string
  readonly trigger?: string
}

export function addExplain(program: Command): void {
  program
    .command('explain')
    .summary('why a job is not running, or how it ended')
    .description(
      'Says what keeps a job from running, with who did it and why, or where it runs, or how it ended; and why it was tried again after each run, or was not. With --unique: which job holds a key, so that an enqueue is a duplicate. With --trigger: why a trigger has made no job. A job that was removed, or that never was, is answered too.',
    )
    .argument('[id]', 'job id')
    .option('--unique <key>', 'who holds this key; with what the scope asks for', name('--unique'))
    .addOption(new Option('--scope <scope>', 'within what the key is unique (default: type)').choices(SCOPES))
    .option('--type <type>', 'of the jobs with the key', name('--type'))
    .option('--queue <name>', 'of the jobs with the key', label('--queue'))
    .option('--channel <name>', 'of the jobs with the key', label('--channel'))
    .option('--trigger <id>', 'why it has made no job', name('--trigger'))
    .addHelpText('after', HELP)
    .action(async (id: string | undefined, flags: Flags, command: Command) => {
      const session = new Session(command)
      const { output } = session
      if ([id, flags.unique, flags.trigger].filter((each) => each !== undefined).length !== 1)
        throw new CliError('USAGE', 'Give one of <id>, --unique <key> and --trigger <id>.')
      if (id !== undefined) {
        const job = await session.read((ledger) => ledger.explain(id))
        return output.data(job, () => jobText(output, job))
      }
      if (flags.trigger !== undefined) {
        const asked = { trigger: flags.trigger }
        const trigger = await session.read((ledger) => ledger.explain(asked))
        return output.data(trigger, () => triggerText(output, trigger))
      }
      const key = await session.read((ledger) => ledger.explain(questionOf(flags)))
      output.data(key, () => printable(key.says))
    })
}

const HELP = `
Examples:
  $ jobledger explain order-17
  $ jobledger explain --unique order-17 --type send-mail
  $ jobledger explain --trigger nightly --json | jq '.skipped[0].reason'`

function questionOf({ unique, scope = 'type', type, queue, channel }: Flags): UniqueQuestion {
  const within = { type, queue, channel, ledger: '' }
  if (within[scope] === undefined) throw new CliError('USAGE', `--scope ${scope} needs --${scope}.`)
  return {
    unique: { key: unique as string, scope },
    ...(type !== undefined && { type }),
    ...(queue !== undefined && { queue }),
    ...(channel !== undefined && { channel }),
  }
}

function jobText(output: Output, { state, reasons, course }: Explanation): string {
  const name = state === 'removed' || state === 'unknown' ? state : stateIn(output, state)
  const lines = reasons.map(({ says }, index) => `${index === 0 ? `${name}: ` : '  also: '}${printable(says)}`)
  if (course.length === 0) return lines.join('\n')
  const rows = course.map(({ at, run, code, says }) => [iso(at), age(at), String(run), code, printable(says)])
  return [...lines, '', output.table(['TIME', 'AGE', 'RUN', 'CODE', 'WHAT CAME OF IT'], rows)].join('\n')
}

function triggerText(output: Output, { code, says, skipped }: TriggerExplanation): string {
  const rows = skipped.map(({ at, reason, says }) => [iso(at), age(at), reason, printable(says)])
  const line = `${code}: ${printable(says)}`
  return rows.length === 0
    ? line
    : [line, '', output.table(['TIME', 'AGE', 'REASON', 'WHAT WAS SKIPPED'], rows)].join('\n')
}
