/** triggers: the rules that make jobs; what they are, what they have come to, and an operator's hand on them. */
import { type Command, Option } from 'commander'
import { TRIGGER_KINDS, type TriggerKind } from '../../domain/trigger/schedule.js'
import type { TriggerInfo, TriggerReport } from '../../runtime/trigger/info.js'
import { codeOf } from './exit-codes.js'
import { integer, oneOf, readPayload, repeated } from './flags.js'
import { addNamedDeed, type Named, type NamedDeed } from './named-deeds.js'
import { type Output, printable, when } from './output.js'
import { type AsOfFlags, addAsOf, pastOf } from './past.js'
import { Session } from './session.js'
import { addCount, addPayload, addTriggerAdd, addTriggerPreview, tellTimes } from './trigger-add.js'
import { showText, timesOf } from './trigger-show.js'
import { stateIn } from './words.js'

export function addTriggers(program: Command): void {
  const triggers = program
    .command('triggers')
    .summary('rules that make jobs: by time, on events, for callers')
    .description(
      'Triggers make jobs: by time, when a document changes, or when somebody calls. These verbs look at them and act on them. None fires by itself here: that is for processes that stay, as `work`.',
    )
    .addHelpText('after', TRIGGERS_HELP)
  addTriggerAdd(triggers)
  addTriggerPreview(triggers)
  addTriggerList(triggers)
  addTriggerShow(triggers)
  addTriggerNext(triggers)
  addTriggerFire(triggers)
  for (const deed of DEEDS) addNamedDeed(triggers, NAMED, deed)
}

const TRIGGERS_HELP = `
Examples:
  $ jobledger triggers add cron '0 3 * * *' --type report --id nightly
  $ jobledger triggers list
  $ jobledger triggers fire nightly --as ada`

interface ListFlags extends AsOfFlags {
  readonly kind?: TriggerKind[]
  readonly type?: string[]
  readonly channel?: string[]
  readonly status?: TriggerInfo['status']
}

/** What it is, and what it has come to. */
export type Listed = TriggerInfo & { readonly state: TriggerReport }

function addTriggerList(triggers: Command): void {
  const command = triggers
    .command('list')
    .summary('all of them, when they fire, and how their last job stands')
    .description(
      'Lists triggers in the order in which they were added. One that has fired for the last time is off the list.',
    )
    .option('--kind <kind>', 'may be repeated, as the next two', repeated(oneOf('--kind', TRIGGER_KINDS)))
    .option('--type <type>', 'type of their jobs', repeated(String))
    .option('--channel <name>', 'channel of their jobs', repeated(String))
    .addOption(new Option('--status <status>').choices(['active', 'paused']))
  addAsOf(command)
    .addHelpText('after', LIST_HELP)
    .action(async ({ asOf, ...filter }: ListFlags, command: Command) => {
      const session = new Session(command)
      const listed = await session.read(async (ledger) => {
        const past = pastOf(ledger, asOf)
        const infos = await (past?.triggers(filter) ?? ledger.triggers.list(filter))
        const state = (id: string): Promise<TriggerReport> => past?.trigger(id) ?? ledger.triggers.state(id)
        return (await Promise.all(infos.map((info) => withState(state, info)))).filter((each) => each !== undefined)
      })
      session.output.data({ triggers: listed }, () => listText(session.output, listed))
      if (listed.length === 0) session.output.talk('No triggers.')
    })
}

const LIST_HELP = `
Examples:
  $ jobledger triggers list --status paused
  $ jobledger triggers list --kind cron --kind every --json`

/** undefined: it was removed just now. */
async function withState(
  state: (id: string) => Promise<TriggerReport>,
  info: TriggerInfo,
): Promise<Listed | undefined> {
  try {
    return { ...info, state: await state(info.id) }
  } catch (error) {
    if (codeOf(error) === 'TRIGGER_UNKNOWN') return undefined
    throw error
  }
}

function listText(output: Output, listed: readonly Listed[]): string {
  if (listed.length === 0) return ''
  const rows = listed.map((trigger) => [
    printable(trigger.id),
    trigger.kind,
    printable(trigger.type),
    trigger.status === 'paused' ? output.style('yellow', 'paused') : trigger.status,
    trigger.state.status === 'none' ? '' : stateIn(output, trigger.state.status),
    trigger.state.next[0] === undefined ? '' : when(trigger.state.next[0]),
    timesOf(trigger),
  ])
  return output.table(['ID', 'KIND', 'TYPE', 'STATUS', 'LAST JOB', 'NEXT', 'WHEN'], rows)
}

function addTriggerShow(triggers: Command): void {
  triggers
    .command('show')
    .summary('what one is, what it has come to, its newest jobs')
    .description(
      'Shows a trigger: what it is, what it and its jobs have come to, when it fires next, and its newest jobs. Times are UTC.',
    )
    .argument('<id>', 'id of the trigger')
    .option('--jobs <n>', 'newest jobs to show, at most 1000 (default: 5)', integer('--jobs', 1))
    .addHelpText(
      'after',
      '\nExamples:\n  $ jobledger triggers show nightly\n  $ jobledger triggers show nightly --jobs 50',
    )
    .action(async (id: string, { jobs: limit = 5 }: { readonly jobs?: number }, command: Command) => {
      const session = new Session(command)
      const shown = await session.read(async ({ triggers }) => ({
        ...(await triggers.get(id)),
        state: await triggers.state(id),
        jobs: await triggers.jobs(id, limit),
      }))
      session.output.data(shown, () => showText(session.output, shown))
    })
}

function addTriggerNext(triggers: Command): void {
  const command = triggers
    .command('next')
    .summary('when one fires next')
    .description(
      'Prints when a trigger fires next, and after that. For one that is not added: jobledger triggers preview.',
    )
    .argument('<id>', 'id of the trigger')
  addCount(command)
    .addHelpText(
      'after',
      '\nExamples:\n  $ jobledger triggers next nightly\n  $ jobledger triggers next nightly -n 20 --json',
    )
    .action(async (id: string, { count }: { readonly count?: number }, command: Command) => {
      const session = new Session(command)
      const [next, { status }] = await session.read(({ triggers }) =>
        Promise.all([triggers.next(id, count), triggers.get(id)]),
      )
      const none = status === 'paused' ? `Trigger ${printable(id)} is paused.` : undefined
      tellTimes(session.output, { id, next }, none)
    })
}

interface FireFlags {
  readonly payload?: string
  readonly file?: string
}

function addTriggerFire(triggers: Command): void {
  const command = triggers
    .command('fire')
    .summary('make its job now; prints the id of that')
    .description(
      'Makes the job of a trigger now, of whatever kind it is, also while it is paused, and prints its id. When it fires next by itself stays as it is. Exits with 4 where there is to be no job: its unique key is held, its type has had enough of them.',
    )
    .argument('<id>', 'id of the trigger')
  addPayload(command, "the trigger's own")
    .addHelpText('after', FIRE_HELP)
    .action(async (id: string, { payload, file }: FireFlags, command: Command) => {
      const session = new Session(command)
      const isGiven = payload !== undefined || file !== undefined
      const options = isGiven ? { payload: await readPayload(payload, file) } : {}
      const { jobId } = await session.act(({ triggers }) => triggers.fire(id, options))
      session.output.data({ id, jobId }, () => jobId)
      session.output.talk(`Trigger ${printable(id)} has made job ${jobId}.`)
    })
}

const FIRE_HELP = `
Examples:
  $ jobledger triggers fire nightly --as ada --reason "last night's failed"
  $ jobledger triggers fire nightly --payload '{"day":"2030-01-01"}'`

const NAMED: Named = {
  ...{ noun: 'Trigger', plural: 'triggers', ids: 'ids of triggers', example: 'nightly' },
  of: (ledger) => ledger.triggers,
}
const DEEDS: readonly NamedDeed[] = [
  {
    ...{ verb: 'pause', done: 'paused', summary: 'they fire only by hand' },
    description: `Pauses triggers: until they are resumed they fire only by hand, and what falls into that time is not made up for. --reason is recorded, also without --as.`,
  },
  {
    ...{ verb: 'resume', done: 'resumed', summary: 'they fire again' },
    description: `Resumes triggers. One that is not paused is left as it is.`,
  },
  {
    ...{ verb: 'remove', done: 'removed', summary: 'they fire no more' },
    description: `Removes triggers. Jobs that they have made stay. A service that declares one at its start has it again then.`,
  },
]
