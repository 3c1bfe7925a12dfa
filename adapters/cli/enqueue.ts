/** enqueue and result: a job goes in, and what comes of it. */
import { type Command, Option } from 'commander'
import type { BackoffOptions } from '../../domain/backoff.js'
import type { JobHandle } from '../../runtime/ledger.js'
import type { JobDefinition } from '../../runtime/work/definition.js'
import { defineJob } from '../../runtime/work/definition.js'
import type { DependencyOption, EnqueueOptions } from '../../runtime/write/enqueue-options.js'
import type { OpenLedgerOptions } from '../open-ledger.js'
import { ledgerPart, loadConfig, type WorkerConfig } from './config.js'
import { CliError } from './exit-codes.js'
import { backoff, dependency, duration, instant, integer, orWord, readPayload, repeated } from './flags.js'
import { bytesAsText, type Output } from './output.js'
import { Session, withLedger } from './session.js'
import { waitFor } from './wait.js'

interface EnqueueFlags {
  readonly file?: string
  readonly config?: string
  readonly id?: string
  readonly queue?: string
  readonly channel?: string
  readonly name?: string
  readonly priority?: number
  readonly runAt?: number
  readonly delay?: number
  readonly dependsOn?: readonly DependencyOption[]
  readonly maxAttempts?: number | 'unlimited'
  readonly timeout?: number | 'none'
  readonly backoff?: BackoffOptions
  /** true: for as long as it takes. */
  readonly wait?: number | true
}

export function addEnqueue(program: Command): void {
  program
    .command('enqueue')
    .summary('record a new job; prints its id')
    .description(
      'Records a new job and prints its id. It is durable when the command returns. The type is enough: the handler lives with the worker. Without --config its defaults (attempts, queue ...) are not known here, and the general ones are recorded.',
    )
    .argument('<type>', 'job type, as the worker defines it')
    .argument('[payload]', 'JSON text, or - to read it from stdin (default: {})')
    .option('-f, --file <file>', 'read the payload from a JSON file')
    .option('-c, --config <file>', "take the type's schema and defaults from a worker config")
    .option('--id <id>', 'your own id: the same job twice is recorded once')
    .option('--queue <name>', 'queue it waits in (default: default)')
    .option('--channel <name>', 'channel within the queue')
    .option('--name <text>', 'shown to people')
    .option('--priority <n>', 'lower runs first (default: 0)', integer('--priority'))
    .option('--run-at <instant>', 'not before: ISO 8601 with a zone, or ms since the epoch', instant('--run-at'))
    .addOption(
      new Option('--delay <duration>', 'not before this long from now: 90s, 1h30m')
        .argParser(duration('--delay'))
        .conflicts('runAt'),
    )
    .option(
      '--depends-on <job>',
      'id[:succeeded|:finished][:block|:cancel|:run]; may be repeated',
      repeated(dependency),
    )
    .option(
      '--max-attempts <n>',
      'attempts in all, or unlimited (default: 20)',
      orWord('unlimited', integer('--max-attempts', 1)),
    )
    .option('--timeout <duration>', 'of one run, or none (default: 15m)', orWord('none', duration('--timeout')))
    .option('--backoff <policy>', 'like min=1s,max=5m,factor=2,jitter=full, any of them', backoff)
    .option('--wait [duration]', 'wait for the result and print it, at most so long', duration('--wait'))
    .addHelpText('after', ENQUEUE_HELP)
    .action(async (type: string, payload: string | undefined, flags: EnqueueFlags, command: Command) => {
      const session = new Session(command)
      const given = await readPayload(payload, flags.file)
      const config = flags.config === undefined ? undefined : await loadConfig(flags.config)
      const job = config === undefined ? defineJob({ type, handle() {} }) : definitionOf(config, type, flags.config)
      const target = { url: session.url(config?.url), logger: session.log, ...(config && storageOf(config)) }
      await withLedger(target, async (ledger) => {
        const handle = await ledger.enqueue(job, given, toOptions(flags))
        await report(session.output, handle, flags)
      })
    })
}

const ENQUEUE_HELP = `
Dependencies: a job waits until each job it depends on has succeeded. After the
id may follow
  :finished        a failure of it will do, too; a cancel never does
  :cancel, :run    when the dependency can no longer meet that, cancel this job,
                   or run it all the same (default: it stays blocked)

Examples:
  $ jobledger enqueue send-mail '{"to":"ada@example.com"}'
  $ jobledger enqueue report --file order.json --delay 1h --max-attempts 3
  $ cat order.json | jobledger enqueue report - --id order-17 --wait 5m
  $ jobledger enqueue cleanup --depends-on order-17:finished:run
  $ jobledger enqueue import --backoff min=10s,factor=3 --timeout none`

function definitionOf({ jobs }: WorkerConfig, type: string, file: string | undefined): JobDefinition {
  const found = jobs.find((job) => job.type === type)
  if (found !== undefined) return found
  throw new CliError('USAGE', `${file} defines no job type "${type}", only: ${jobs.map((job) => job.type).join(', ')}.`)
}

export function storageOf(config: WorkerConfig): Omit<OpenLedgerOptions, 'url' | 'logger'> {
  return { ...ledgerPart(config), ...(config.durability !== undefined && { durability: config.durability }) }
}

function toOptions({ file, config, wait, maxAttempts, timeout, ...options }: EnqueueFlags): EnqueueOptions {
  return {
    ...options,
    ...(maxAttempts !== undefined && { maxAttempts: maxAttempts === 'unlimited' ? null : maxAttempts }),
    ...(timeout !== undefined && { timeout: timeout === 'none' ? null : timeout }),
  }
}

async function report(output: Output, handle: JobHandle, { wait }: EnqueueFlags): Promise<void> {
  const { id, outcome } = handle
  const told = outcome === 'created' ? `Job ${id} is queued.` : `Job ${id} was there already, with the same content.`
  if (wait === undefined) {
    output.data({ id, outcome }, () => id)
    output.talk(told)
    return
  }
  const result = await waitFor(id, wait === true ? undefined : wait, (signal) => {
    output.talk(told)
    return handle.result({ signal })
  })
  output.data({ id, outcome, result }, () => resultText(result))
}

export function addResult(program: Command): void {
  program
    .command('result')
    .summary("wait for a job's end and print its result")
    .description(
      'Waits until the job has ended, in whichever process, and prints what its handler returned as JSON. Exits with 1 if it failed or was cancelled.',
    )
    .argument('<id>', 'job id')
    .option('--timeout <duration>', 'wait at most so long, then exit with 6; 0 does not wait', duration('--timeout'))
    .addHelpText('after', '\nExamples:\n  $ jobledger result order-17 --timeout 30s')
    .action(async (id: string, { timeout }: { timeout?: number }, command: Command) => {
      const session = new Session(command)
      await session.read(async (ledger) => {
        const result = await waitFor(id, timeout, (signal) => ledger.result(id, { signal }))
        session.output.data({ id, result }, () => resultText(result))
      })
    })
}

/** '' for a handler that returned nothing. */
const resultText = (result: unknown): string => JSON.stringify(result, bytesAsText, 2) ?? ''
