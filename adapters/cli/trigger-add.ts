/** triggers add, preview: a rule that makes jobs, and when it would. */
import { Argument, type Command, Option } from 'commander'
import type { Combine, Misfire } from '../../domain/trigger/events.js'
import { TRIGGER_KINDS, type TriggerKind } from '../../domain/trigger/schedule.js'
import type { TriggerInfo } from '../../runtime/trigger/info.js'
import type { TriggerOptions, TriggerTimes } from '../../runtime/trigger/options.js'
import type { AddedTrigger, Triggers } from '../../runtime/triggers.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { withConfig } from './enqueue.js'
import { addPlaceFlags, addRunFlags, type JobFlags, toJobOptions } from './enqueue-flags.js'
import { CliError, codeOf } from './exit-codes.js'
import { duration, integer, label, name, orWord, readPayload, span } from './flags.js'
import { type Output, printable, when } from './output.js'
import { Session, withLedger } from './session.js'

interface PayloadFlags {
  readonly payload?: string
  readonly file?: string
}

interface AddFlags extends PayloadFlags, JobFlags {
  readonly type: string
  readonly id?: string
  readonly config?: string
  readonly timezone?: string
  readonly late?: number | 'always'
  readonly misfire?: Misfire
  readonly debounce?: number
  readonly combine?: Combine
}

export function addTriggerAdd(triggers: Command): void {
  const command = triggers
    .command('add')
    .summary('add one, or say anew what it is; prints its id')
    .description(
      'Adds a trigger and prints its id. With an --id it may be said again at each deploy: the same definition changes nothing, another one takes its place, one that was removed is there again. It fires in processes that stay: `work`, and your own.',
    )
  addTimes(command)
    .requiredOption('--type <type>', 'type of its jobs, as the worker defines it', name('--type'))
    .option('--id <id>', 'your own id', name('--id'))
  addPayload(command, '{}; webhook: none')
    .option('-c, --config <file>', "take the type's schema and defaults from a worker config")
    .option(
      '--late <duration>',
      'how late an at or in still fires, or always (default: 24h)',
      orWord('always', duration('--late')),
    )
    .addOption(
      new Option('--misfire <what>', 'firings for which nobody was there: one for all, each, or none').choices([
        'coalesce',
        'all',
        'skip',
      ]),
    )
    .option('--debounce <duration>', 'requests so close together make one job', span('--debounce'))
    .addOption(new Option('--combine <what>', 'what that job is given').choices(['drop', 'append', 'first']))
  addRunFlags(
    addPlaceFlags(command)
      .option('--delay <duration>', 'run its jobs so long after it has fired', duration('--delay'))
      .option('--held', 'its jobs wait until they are promoted'),
    'nobody',
  )
    .addHelpText('after', ADD_HELP)
    .action((kind: TriggerKind, text: string | undefined, flags: AddFlags, command: Command) =>
      add(kind, text, flags, command),
    )
}

function addTimes(command: Command): Command {
  return command
    .addArgument(new Argument('<kind>', 'what makes it fire').choices(TRIGGER_KINDS))
    .addArgument(new Argument('[when]', 'when, or on what'))
    .option('--timezone <name>', 'of cron and the spread kinds, like Europe/Berlin (default: UTC)')
}

export function addPayload(command: Command, otherwise: string): Command {
  return command
    .option('--payload <json>', `JSON text, or - to read it from stdin (default: ${otherwise})`)
    .option('-f, --file <file>', 'read the payload from a JSON file')
}

const WHEN_HELP = `
When:
  cron     5 fields, or 6 with seconds first: '0 3 * * 1-5'; or @daily and such
  every    a duration: 15m
  at, in   once, at an instant (2030-01-01T09:00:00Z) or after a duration
  hourly, daily, weekly, monthly
           a slot of its own, which spreads triggers over the time that a phrase
           leaves: 'between 1am and 5am', 'on mon-fri before 6am', 'on the 1,15'
  event    rules type:VERB,VERB:value,value:selector on published documents, or
           on jobs of this ledger: 'job/import:UPDATED:failed:state'
  webhook, client
           none: fired through the library, by a post or a client of yours`

const ADD_HELP = `${WHEN_HELP}

Examples:
  $ jobledger triggers add cron '0 3 * * *' --type report --id nightly
  $ jobledger triggers add daily 'before 5am' --type cleanup --unique
  $ jobledger triggers add in 2h --type remind --payload '{"to":"ada"}' --as ada
  $ jobledger triggers add event orders:CREATED --type index --debounce 30s`

async function add(kind: TriggerKind, text: string | undefined, flags: AddFlags, command: Command): Promise<void> {
  const session = new Session(command)
  session.checkActor()
  const { type, id, config, payload, file, timezone, late, misfire, debounce, combine, ...job } = flags
  const options = toJobOptions(job)
  const rest = {
    ...toTimes(kind, text, timezone),
    ...(late !== undefined && { late }),
    ...(misfire !== undefined && { misfire }),
    ...toDebounce(flags),
    ...(Object.keys(options).length > 0 && { options }),
    ...(await toPayload(kind, flags)),
  }
  const { job: definition, target } = await withConfig(session, type, config)
  await withLedger(target, async (ledger) => {
    const { triggers } = session.speaking(ledger)
    const added = await triggers.add({ ...(id !== undefined && { id }), ...rest, job: definition })
    report(session.output, added, await look(triggers, added.id))
  })
}

/** A bare number is ms, as everywhere on the command line. */
function toTimes(kind: TriggerKind, text: string | undefined, timezone: string | undefined): TriggerTimes {
  const isMs = text !== undefined && MS_KINDS.has(kind) && /^\d+$/.test(text)
  return {
    kind,
    ...(text !== undefined && { when: isMs ? Number(text) : text }),
    ...(timezone !== undefined && { timezone }),
  }
}

const MS_KINDS: ReadonlySet<TriggerKind> = new Set(['every', 'at', 'in'])

/** Throws USAGE. */
function toDebounce({ debounce: window, combine }: AddFlags): Pick<TriggerOptions, 'debounce'> {
  if (window !== undefined) return { debounce: combine === undefined ? window : { window, combine } }
  if (combine === undefined) return {}
  throw new CliError('USAGE', '--combine needs --debounce.')
}

/** The jobs of a webhook are given what was posted. */
async function toPayload(kind: TriggerKind, { payload, file }: PayloadFlags): Promise<{ readonly payload?: unknown }> {
  if (kind === 'webhook' && payload === undefined && file === undefined) return {}
  return { payload: await readPayload(payload, file) }
}

/** undefined: it has fired for the last time. */
async function look(triggers: Triggers, id: string): Promise<TriggerInfo | undefined> {
  try {
    return await triggers.get(id)
  } catch (error) {
    if (codeOf(error) === 'TRIGGER_UNKNOWN') return undefined
    throw error
  }
}

const OUTCOMES = { created: 'is added', updated: 'is changed', unchanged: 'is as it was' } as const

function report(output: Output, { id, outcome }: AddedTrigger, info: TriggerInfo | undefined): void {
  const nextAt = info?.status === 'active' ? info.nextAt : undefined
  output.data({ id, outcome, ...(nextAt !== undefined && { nextAt }) }, () => id)
  output.talk(`Trigger ${printable(id)} ${OUTCOMES[outcome]}${info === undefined ? ', and done' : fires(info)}.`)
}

function fires({ status, kind, nextAt, lateMs }: TriggerInfo): string {
  if (status === 'paused') return ', and paused'
  const late = Date.now() - (nextAt ?? Number.POSITIVE_INFINITY)
  if (late > 0 && lateMs !== undefined)
    return lateMs === null || late <= lateMs ? ': it fires at once' : ': it is too late to fire, and counts as missed'
  if (nextAt !== undefined) return `: it fires ${when(nextAt)}`
  return kind === 'event' ? ': it fires on events' : ': it fires when it is called'
}

interface PreviewFlags extends PayloadFlags {
  readonly timezone?: string
  readonly type?: string
  readonly channel?: string
  readonly count?: number
}

export function addTriggerPreview(triggers: Command): void {
  const command = triggers
    .command('preview')
    .summary('when one would fire that is not added')
    .description(
      'Prints when a trigger would fire that were added now. Nothing is recorded, and no ledger is needed. The slot of a spread kind follows from type, channel and payload.',
    )
  addCount(addTimes(command))
    .option('--type <type>', 'type of its jobs', name('--type'))
    .option('--channel <name>', 'their channel', label('--channel'))
  addPayload(command, '{}')
    .addHelpText('after', PREVIEW_HELP)
    .action(async (kind: TriggerKind, text: string | undefined, flags: PreviewFlags, command: Command) => {
      const { output, log } = new Session(command)
      const { type, channel, timezone, count } = flags
      const given = {
        ...toTimes(kind, text, timezone),
        ...(type !== undefined && { job: defineJob({ type }) }),
        ...(channel !== undefined && { options: { channel } }),
        payload: await readPayload(flags.payload, flags.file),
      }
      await withLedger({ url: 'memory:', logger: log }, async (ledger) => {
        tellTimes(output, { next: ledger.triggers.preview(given, count) })
      })
    })
}

const PREVIEW_HELP = `${WHEN_HELP}

Examples:
  $ jobledger triggers preview cron '0 3 * * *' --timezone Europe/Berlin
  $ jobledger triggers preview weekly 'on weekday before 6am' --type report -n 3`

export function addCount(command: Command): Command {
  return command.option('-n, --count <n>', 'how many, at most 1000 (default: 5)', integer('--count', 1))
}

/** `none`: what is said where there are none. */
export function tellTimes(
  output: Output,
  document: { readonly id?: string; readonly next: readonly number[] },
  none: string = 'It does not fire by time.',
): void {
  const { next } = document
  output.data(document, () => next.map((at) => when(at)).join('\n'))
  if (next.length === 0) output.talk(none)
}
