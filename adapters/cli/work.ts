/** work: the worker process. Runs jobs until it is told to stop, or until nothing is left to run. */
import { type Command, Option } from 'commander'
import { formatMs, toMs } from '../../domain/duration.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { CloseOptions } from '../../runtime/options.js'
import { checkCloseOptions } from '../../runtime/options.js'
import type { Logger } from '../../runtime/ports/logger.js'
import type { ListFilter } from '../../runtime/read/listing.js'
import type { PoolSettings, StartOptions } from '../../runtime/start-options.js'
import { isRunnable } from '../../runtime/work/run/definition.js'
import { closePart, loadConfig, startPart, type WorkerConfig } from './config.js'
import { storageOf } from './enqueue.js'
import { CliError, exitCodeOf } from './exit-codes.js'
import { duration, integer, repeated } from './flags.js'
import { Runs } from './runs.js'
import { open, Session, shown } from './session.js'
import { onStopSignal, type StopSignal } from './wait.js'

interface WorkFlags {
  readonly config: string
  readonly concurrency?: number
  readonly queue?: string[]
  readonly lease?: number
  readonly drain?: number
  readonly timeout?: number
  readonly untilEmpty?: true
  readonly once?: true
}

interface Plan {
  readonly config: WorkerConfig
  readonly start: StartOptions
  readonly close: CloseOptions
  readonly untilEmpty: boolean
}

export function addWork(program: Command): void {
  program
    .command('work')
    .summary('run jobs')
    .description(
      'Runs jobs, and fires the triggers that make them, until SIGTERM or SIGINT. The first signal drains: no new job is begun, running ones may end. The second one ends the process at once.',
    )
    .requiredOption('-c, --config <file>', 'what to run: a .js, .mjs, .ts or .mts file')
    .option('--concurrency <n>', 'runs at once (default: 10)', integer('--concurrency', 1))
    .option('--queue <name>', 'serve only this queue; may be repeated', repeated(String))
    .option('--lease <duration>', 'how long a run lives without a sign of life (default: 30s)', duration('--lease'))
    .option('--drain <duration>', 'at the end, let running jobs go on for so long (default: 20s)', duration('--drain'))
    .option(
      '--timeout <duration>',
      'then abort them, and give back after so long in all (default: 30s)',
      duration('--timeout'),
    )
    .option('--until-empty', 'end when none of these jobs is ready or running; later ones are left')
    .addOption(new Option('--once', 'the same as --until-empty'))
    .addHelpText('after', WORK_HELP)
    .action(async (flags: WorkFlags, command: Command) => {
      const session = new Session(command, 'info')
      const plan = await toPlan(flags)
      const url = session.url(plan.config.url)
      const runs = await work(url, plan, session)
      session.output.data({ ...named(runs), runs: runs.counts }, () => '')
    })
}

const WORK_HELP = `
The config file:
  import { defineJob } from 'jobledger'

  export default {
    jobs: [defineJob({ type: 'send-mail', async handle({ to }, ctx) { } })],
    concurrency: 20,
  }
  Other keys: url, durability, queues, types, channels, perType, batch, poll,
  strategy, ceilings, lease, report, pools, drain, timeout, overrides,
  maxPayloadBytes, codeVersion, strict, conceal, retention, scheduler. queues:
  ['mail'] serves only these; queues: { mail: { maxAttempts: 3 } } says what
  holds for the jobs of each. pools: [{ name: 'mail', queues: ['mail'] }, ...]
  are several pools. A flag wins over the file; for the ledger --ledger, then
  JOBLEDGER_URL, then url.

How it ends:
  0        drained after one signal, or nothing left to run
  130/143  at once, after a second SIGINT or SIGTERM
  A job that did not end in time is given back and has not spent an attempt.
  Logs are JSON lines on stderr.

Examples:
  $ jobledger work --config jobs.config.ts
  $ jobledger work -c jobs.config.js --queue mail --concurrency 50 --drain 1m
  $ jobledger work -c jobs.config.js --until-empty`

/** Flags over file. Whatever is wrong is said before the first job runs. */
async function toPlan(flags: WorkFlags): Promise<Plan> {
  const config = await loadConfig(flags.config)
  if (typesOf(config).length === 0) throw new CliError('USAGE', `${flags.config}: none of its jobs has a handler.`)
  const { concurrency, queue, lease, drain, timeout } = flags
  if (config.pools !== undefined && (concurrency ?? queue ?? lease) !== undefined) {
    throw new CliError(
      'USAGE',
      `--concurrency, --queue and --lease are of one pool, and ${flags.config} has \`pools\`.`,
    )
  }
  const start = {
    ...startPart(config),
    ...(concurrency !== undefined && { concurrency }),
    ...(queue !== undefined && { queues: queue }),
    ...(lease !== undefined && { lease }),
  }
  const close = withRoom({
    ...closePart(config),
    ...(drain !== undefined && { drain }),
    ...(timeout !== undefined && { timeout }),
  })
  checkCloseOptions(close)
  return { config, start, close, untilEmpty: flags.untilEmpty === true || flags.once === true }
}

/** Who asks for a long drain alone wants the deadline to follow. */
function withRoom(close: CloseOptions): CloseOptions {
  const { drain, timeout } = close
  return drain === undefined || timeout !== undefined ? close : { drain, timeout: toMs(drain, 'drain') + 10_000 }
}

async function work(url: string, plan: Plan, { log, storage }: Session): Promise<Runs> {
  const stop = new StopRequest(log)
  const ledger = await open({ url, logger: log, ...storageOf(plan.config), ...storage })
  const runs = new Runs(ledger, log)
  try {
    await ledger.start(plan.start)
    log.info({ url: shown(url), ...named(runs), types: typesOf(plan.config), ...plan.start }, 'worker started')
    await Promise.race([stop.requested, ...(plan.untilEmpty ? [emptied(ledger, runs, plan)] : [])])
  } finally {
    await close(ledger, runs, plan, log)
    stop.forget()
  }
  return runs
}

async function close(ledger: Ledger, runs: Runs, { close }: Plan, log: Logger): Promise<void> {
  const { drainMs, timeoutMs } = checkCloseOptions(close)
  if (runs.running > 0) {
    log.info({ running: runs.running, drain: formatMs(drainMs), timeout: formatMs(timeoutMs) }, 'draining')
  }
  await ledger.close(close)
  runs.stop()
  log.info({ ...named(runs), ...runs.counts }, 'worker stopped')
}

/** One worker, or those of several pools. */
function named({ workerIds }: Runs): object {
  return workerIds.length === 1 ? { workerId: workerIds[0] } : { workerIds }
}

/** Resolves when none of our jobs is ready, none runs, here or elsewhere, and no trigger is about to make one. */
function emptied(ledger: Ledger, runs: Runs, plan: Plan): Promise<void> {
  const filters = servedBy(plan)
  const isEmpty = async (): Promise<boolean> => {
    // First: what fires after this look is seen by the next one.
    if (plan.config.scheduler !== false && (await isAnyDue(ledger))) return false
    const pages = await Promise.all(filters.map((filter) => ledger.list(filter)))
    return pages.every(({ jobs }) => jobs.length === 0)
  }
  return new Promise((resolve, reject) => {
    runs.onIdle(() => {
      isEmpty().then((yes) => {
        if (yes) resolve()
      }, reject)
    })
  })
}

async function isAnyDue(ledger: Ledger): Promise<boolean> {
  const now = Date.now()
  const triggers = await ledger.triggers.list({ status: 'active' })
  return triggers.some(({ nextAt = now + 1, window }) => Math.min(nextAt, window?.until ?? nextAt) <= now)
}

/** Jobs that one of the pools is for. */
function servedBy({ config, start }: Plan): ListFilter[] {
  const pools: readonly PoolSettings[] = start.pools ?? [start]
  return pools
    .map(({ types = typesOf(config), queues, channels, perType = {} }): ListFilter => {
      const isRun = (type: string): boolean => perType[type] !== 0 && config.overrides?.[type]?.concurrency !== 0
      return {
        ...{ state: ['ready', 'running'], type: types.filter(isRun), limit: 1 },
        ...(queues && { queue: queues }),
        ...(channels && { channel: channels }),
      }
    })
    .filter(({ type }) => type?.length !== 0)
}

/** A type without a handler is only enqueued. */
const typesOf = ({ jobs }: WorkerConfig): string[] => jobs.filter(isRunnable).map((job) => job.type)

/** The first signal asks, the second one ends the process: the leases it leaves behind are taken back by the next one. */
class StopRequest {
  readonly requested: Promise<void>
  readonly forget: () => void

  constructor(log: Logger) {
    let ask = (): void => {}
    this.requested = new Promise((resolve) => {
      ask = resolve
    })
    let asked = false
    this.forget = onStopSignal((signal) => {
      if (asked) return endNow(signal, log)
      asked = true
      log.info({ signal }, 'asked to stop')
      ask()
    })
  }
}

function endNow(signal: StopSignal, log: Logger): void {
  log.warn({ signal }, 'stopped at once')
  process.exit(exitCodeOf(new CliError(signal, '')))
}
