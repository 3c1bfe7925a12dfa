/** enqueue and result: a job goes in, and what comes of it. */
import type { Command } from 'commander'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { JobHandle } from '../../runtime/write/contract.js'
import type { OpenLedgerOptions } from '../open-ledger.js'
import { ledgerPart, loadConfig, type WorkerConfig } from './config.js'
import { addEnqueueFlags, ENQUEUE_HELP, type EnqueueFlags, toOptions } from './enqueue-flags.js'
import { CliError } from './exit-codes.js'
import { duration, readPayload } from './flags.js'
import { bytesAsText, type Output } from './output.js'
import { Session, withLedger } from './session.js'
import { waitFor } from './wait.js'

export function addEnqueue(program: Command): void {
  const command = program
    .command('enqueue')
    .summary('record a new job; prints its id')
    .description(
      'Records a new job and prints its id, or that of the job which is there already. It is durable when the command returns. The type is enough: the handler lives with the worker. Without --config its defaults (attempts, queue ...) are not known here, and the general ones are recorded.',
    )
    .argument('<type>', 'job type, as the worker defines it')
    .argument('[payload]', 'JSON text, or - to read it from stdin (default: {})')
  addEnqueueFlags(command)
    .addHelpText('after', ENQUEUE_HELP)
    .action(async (type: string, payload: string | undefined, flags: EnqueueFlags, command: Command) => {
      const session = new Session(command)
      session.checkActor()
      const options = toOptions(flags)
      const given = await readPayload(payload, flags.file)
      const { job, target } = await withConfig(session, type, flags.config)
      await withLedger(target, async (ledger) => {
        const handle = await session.speaking(ledger).enqueue(job, given, options)
        await report(session.output, handle, flags)
      })
    })
}

/** A type, and the ledger for its jobs: as the config says, or without one. */
export async function withConfig(
  session: Session,
  type: string,
  file: string | undefined,
): Promise<{ readonly job: JobDefinition; readonly target: OpenLedgerOptions }> {
  const config = file === undefined ? undefined : await loadConfig(file)
  const job = config === undefined ? defineJob({ type }) : definitionOf(config, type, file)
  return {
    job,
    target: {
      url: session.url(config?.url),
      logger: session.log,
      ...(config && storageOf(config)),
      ...session.storage,
    },
  }
}

function definitionOf({ jobs }: WorkerConfig, type: string, file: string | undefined): JobDefinition {
  const found = jobs.find((job) => job.type === type)
  if (found !== undefined) return found
  throw new CliError('USAGE', `${file} defines no job type "${type}", only: ${jobs.map((job) => job.type).join(', ')}.`)
}

export function storageOf(config: WorkerConfig): Omit<OpenLedgerOptions, 'url' | 'logger'> {
  const { durability, archive } = config
  return {
    ...ledgerPart(config),
    ...(durability !== undefined && { durability }),
    ...(archive !== undefined && { archive }),
  }
}

async function report(output: Output, handle: JobHandle, flags: EnqueueFlags): Promise<void> {
  const { id, outcome } = handle
  const { wait } = flags
  const told = toldOf(handle, flags)
  if (wait === undefined) {
    output.data({ id, outcome }, () => (outcome === 'skipped' ? '' : id))
    output.talk(told)
    return
  }
  const result = await waitFor(id, wait === true ? undefined : wait, (signal) => {
    output.talk(told)
    return handle.result({ signal })
  })
  output.data({ id, outcome, result }, () => resultText(result))
}

/** Of a duplicate: by what it is one. */
function toldOf({ id, outcome }: JobHandle, flags: EnqueueFlags): string {
  if (outcome === 'skipped') return `Its type wants no such job: nothing was enqueued.`
  if (outcome === 'created') return flags.held ? `Job ${id} is held until it is promoted.` : `Job ${id} is queued.`
  const held = flags.uniqueKey === undefined ? 'has this payload' : `holds the key ${flags.uniqueKey}`
  if (outcome === 'replaced') return `Job ${id} ${held} already and waits: it has taken over what is new.`
  if (id === flags.id) return `Job ${id} was there already, with the same content.`
  return `Job ${id} ${held} already: nothing was enqueued.`
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
