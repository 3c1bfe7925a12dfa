/** What `enqueue` and `triggers add` may be told of a job, and what it comes to. */
import { type Command, Option } from 'commander'
import type { BackoffOptions } from '../../domain/backoff.js'
import type { DependencyOption, EnqueueOptions, UniqueOptions } from '../../runtime/write/contract.js'
import { CliError } from './exit-codes.js'
import {
  addRunTime,
  backoff,
  dependency,
  duration,
  integer,
  label,
  name,
  orWord,
  priority,
  repeated,
  span,
  traceparent,
} from './flags.js'

interface UniqueFlags {
  readonly unique?: true
  readonly uniqueKey?: string
  readonly uniqueScope?: NonNullable<UniqueOptions['scope']>
  readonly uniqueWindow?: number
  readonly onDuplicate?: NonNullable<UniqueOptions['onDuplicate']>
}

/** Of a job, whoever makes it. */
export interface JobFlags extends UniqueFlags {
  readonly queue?: string
  readonly channel?: string
  readonly name?: string
  readonly priority?: number
  readonly delay?: number
  readonly held?: true
  readonly maxAttempts?: number | 'unlimited'
  readonly timeout?: number | 'none'
  readonly backoff?: BackoffOptions
  readonly retain?: number | 'forever'
  readonly concurrencyKey?: string
  readonly concurrencyLimit?: number
  readonly user?: string
  readonly traceparent?: string
}

export interface EnqueueFlags extends JobFlags {
  readonly file?: string
  readonly config?: string
  readonly id?: string
  readonly runAt?: number
  readonly dependsOn?: readonly DependencyOption[]
  readonly manual?: true
  /** true: for as long as it takes. */
  readonly wait?: number | true
}

export function addEnqueueFlags(command: Command): Command {
  command
    .option('-f, --file <file>', 'read the payload from a JSON file')
    .option('-c, --config <file>', "take the type's schema and defaults from a worker config")
    .option('--id <id>', 'your own id: the same job twice is recorded once', name('--id'))
  addRunTime(addPlaceFlags(command))
    .option('--held', 'wait until it is promoted')
    .option(
      '--depends-on <job>',
      'id[:succeeded|:finished][:block|:cancel|:run]; may be repeated',
      repeated(dependency),
    )
  return addRunFlags(command, 'the user of --as')
    .option('--manual', 'started by a person, not by the course of things')
    .option('--wait [duration]', 'wait for the result and print it, at most so long', duration('--wait'))
}

/** Where it waits, and how it is shown there. */
export function addPlaceFlags(command: Command): Command {
  return command
    .option('--queue <name>', 'queue it waits in (default: default)', label('--queue'))
    .option('--channel <name>', 'channel within the queue', label('--channel'))
    .option('--name <text>', 'shown to people', name('--name'))
    .option('--priority <n>', 'lower runs first; or critical, high, medium, low', priority('--priority'))
}

/** How it runs. `user`: on whose behalf, where nothing is said. */
export function addRunFlags(command: Command, user: string): Command {
  command
    .option(
      '--max-attempts <n>',
      'attempts in all, or unlimited (default: 20)',
      orWord('unlimited', integer('--max-attempts', 1)),
    )
    .option('--timeout <duration>', 'of one run, or none (default: 15m)', orWord('none', span('--timeout')))
    .option('--backoff <policy>', 'wait between attempts, like min=1s,max=5m', backoff)
  return addUniqueFlags(command)
    .option(
      '--retain <duration>',
      'keep it so long after its end, whatever retention says; or forever',
      orWord('forever', span('--retain')),
    )
    .option('--concurrency-key <key>', 'jobs with this key run only so many at once', name('--concurrency-key'))
    .option('--concurrency-limit <n>', 'how many (default: 1)', integer('--concurrency-limit', 1))
    .option('--user <user>', `on whose behalf (default: ${user})`, name('--user'))
    .option('--traceparent <text>', 'W3C trace context, handed on to the handler', traceparent)
}

function addUniqueFlags(command: Command): Command {
  return command
    .addOption(new Option('--unique', 'at most one with this payload at a time').conflicts('uniqueKey'))
    .option('--unique-key <key>', 'at most one with this key at a time', name('--unique-key'))
    .addOption(
      new Option('--unique-scope <scope>', 'among jobs of what (default: type)').choices([
        'type',
        'queue',
        'channel',
        'ledger',
      ]),
    )
    .option('--unique-window <duration>', 'for so long from now (default: until the job ends)', span('--unique-window'))
    .addOption(
      new Option(
        '--on-duplicate <what>',
        'keep the job that is there, or replace its payload while it waits (default: keep)',
      ).choices(['keep', 'replace']),
    )
}

export const ENQUEUE_HELP = `
Dependencies: a job waits until each job it depends on has succeeded. After the
id may follow
  :finished        a failure of it will do, too; a cancel never does
  :cancel, :run    when the dependency can no longer meet that, cancel this job,
                   or run it all the same (default: it stays blocked)

Backoff: min=1s,max=1h,factor=2,jitter=full, any of them. jitter is full (from 0
to the delay), min (from min to it), none, or a fraction. limit=5 and
expiration=1h end the attempts early, by their number or by their age.

Examples:
  $ jobledger enqueue send-mail '{"to":"ada@example.com"}'
  $ jobledger enqueue report --file order.json --delay 1h --max-attempts 3
  $ cat order.json | jobledger enqueue report - --id order-17 --wait 5m
  $ jobledger enqueue cleanup --depends-on order-17:finished:run
  $ jobledger enqueue import --backoff min=10s,factor=3,limit=5 --timeout none
  $ jobledger enqueue index --unique-key repo-7 --on-duplicate replace
  $ jobledger enqueue deploy --held --priority high --as ada`

/** Throws USAGE. */
export function toOptions({ file, config, wait, ...given }: EnqueueFlags): EnqueueOptions {
  return toJobOptions(given)
}

/** Throws USAGE. */
export function toJobOptions(flags: Omit<EnqueueFlags, 'file' | 'config' | 'wait'>): EnqueueOptions {
  const { maxAttempts, timeout, retain, traceparent, ...rest } = flags
  const { unique, uniqueKey, uniqueScope, uniqueWindow, onDuplicate, ...options } = rest
  const claim = toUnique(flags)
  return {
    ...options,
    ...(maxAttempts !== undefined && { maxAttempts: maxAttempts === 'unlimited' ? null : maxAttempts }),
    ...(timeout !== undefined && { timeout: timeout === 'none' ? null : timeout }),
    ...(retain !== undefined && { retain: retain === 'forever' ? null : retain }),
    ...(traceparent !== undefined && { trace: { traceparent } }),
    ...(claim !== undefined && { unique: claim }),
  }
}

function toUnique(flags: UniqueFlags): UniqueOptions | undefined {
  const { unique, uniqueKey: key, uniqueScope: scope, uniqueWindow: window, onDuplicate } = flags
  if (unique === undefined && key === undefined) {
    const idle = (['uniqueScope', 'uniqueWindow', 'onDuplicate'] as const).find((flag) => flags[flag] !== undefined)
    if (idle === undefined) return undefined
    throw new CliError('USAGE', `${NAMES[idle]} needs --unique or --unique-key.`)
  }
  return {
    ...(key !== undefined && { key }),
    ...(scope !== undefined && { scope }),
    ...(window !== undefined && { window }),
    ...(onDuplicate !== undefined && { onDuplicate }),
  }
}

const NAMES = {
  uniqueScope: '--unique-scope',
  uniqueWindow: '--unique-window',
  onDuplicate: '--on-duplicate',
} as const
