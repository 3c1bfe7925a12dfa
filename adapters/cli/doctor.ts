/** doctor: is this ledger sound, and does anything ask for an operator? */
import type { Command } from 'commander'
import type { Ledger } from '../../runtime/ledger.js'
import type { Logger } from '../../runtime/ports/logger.js'
import type { Finding } from '../../runtime/ports/maintenance.js'
import { sqlitePath } from '../shared/urls.js'
import { EXIT, exitCodeOf, messageOf } from './exit-codes.js'
import { JsonLogger } from './logger.js'
import { type Output, oneLine, plural, printable } from './output.js'
import { requireLedger, Session, shown, withLedger } from './session.js'
import type { Survey } from './survey.js'

interface DoctorFlags {
  readonly quick?: true
  readonly strict?: true
}

const PINGS = 9
/** A commit of a disk far away. */
const SLOW_MS = 50
/** Dead letters, after which it does not matter any more how many there are. */
const MANY = 10_000

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .summary('check that the ledger is sound')
    .description(
      'Opens the ledger, reads every job again and compares it with the views. Nothing is repaired, but as with every verb, jobs of workers that have died are taken back.',
    )
    .option('--quick', 'do not read every job: seconds even for a large ledger')
    .option('--strict', 'warnings make it exit with 1')
    .addHelpText('after', DOCTOR_HELP)
    .action(async ({ quick, strict }: DoctorFlags, command: Command) => {
      const session = new Session(command)
      const url = session.url()
      requireLedger(url)
      const checks = await examine(url, session, quick === true)
      const worst = (['problem', 'warning'] as const).find((status) => checks.some((check) => check.status === status))
      session.output.data({ ledger: shown(url), verdict: worst ?? 'ok', checks }, () =>
        reportText(session.output, checks),
      )
      if (worst === 'problem') process.exitCode = EXIT.integrity
      else if (worst === 'warning' && strict) process.exitCode = EXIT.failure
    })
}

const DOCTOR_HELP = `
Exit codes:
  0  sound, warnings included
  1  warnings, with --strict
  5  a problem was found

Examples:
  $ jobledger doctor
  $ jobledger doctor --quick --strict --json`

async function examine(url: string, { log, storage }: Session, quick: boolean): Promise<Finding[]> {
  const noted = new Notes(log)
  const checks: Finding[] = []
  try {
    await withLedger({ url, logger: noted.logger, ...storage }, async (ledger) => {
      await ledger.ping()
      checks.push({ name: 'open', status: 'ok', message: `${shown(url)} opens, is of a schema we know, and answers` })
      checks.push(await answering(ledger), ...(await storeFindings(url, quick)), await deadLetters(ledger))
      if (quick) return
      const { survey } = await import('./survey.js')
      checks.push(...judge(await survey(ledger), url))
    })
  } catch (error) {
    if (exitCodeOf(error) !== EXIT.integrity) throw error
    const name = checks.length === 0 ? 'open' : 'read'
    return [...checks, { name, status: 'problem', message: oneLine(messageOf(error)) }]
  }
  // Last: closing waits for what the upkeep of this process has found on its way.
  return [...checks, noted.skipped(), noted.lost()]
}

/** What the store knows of itself. */
async function storeFindings(url: string, quick: boolean): Promise<Finding[]> {
  const { openMaintenance } = await import('../open-maintenance.js')
  return (await openMaintenance(url))?.examine({ quick }) ?? []
}

/** The median of a few: one may meet a pause of anybody's. */
async function answering(ledger: Ledger): Promise<Finding> {
  const times: number[] = []
  for (let ping = 0; ping < PINGS; ping += 1) {
    const began = performance.now()
    await ledger.ping()
    times.push(performance.now() - began)
  }
  const ms = times.sort((one, other) => one - other)[Math.floor(PINGS / 2)] ?? 0
  const message = `the store answers within ${ms.toFixed(1)} ms`
  if (ms <= SLOW_MS) return { name: 'ping', status: 'ok', message, details: { ms } }
  return { name: 'ping', status: 'warning', message: `${message}: each lease waits as long`, details: { ms } }
}

/** Counted one by one: the totals per queue know also those that were removed since. */
async function deadLetters(ledger: Ledger): Promise<Finding> {
  const queues: Record<string, number> = {}
  let total = 0
  let cursor: string | undefined
  do {
    const page = await ledger.deadLetters.list({ limit: 1_000, ...(cursor !== undefined && { cursor }) })
    for (const { queue } of page.jobs) queues[queue] = (queues[queue] ?? 0) + 1
    total += page.jobs.length
    cursor = page.cursor
  } while (cursor !== undefined && total < MANY)
  if (total === 0) return { name: 'dead letters', status: 'ok', message: 'no job has failed for good' }
  const where = Object.entries(queues).map(([queue, count]) => `${count} in ${printable(queue) || '""'}`)
  const count = `${cursor === undefined ? '' : 'at least '}${plural(total, 'job')}`
  const message = `${count} failed for good (${where.join(', ')}). See: jobledger dead list`
  return { name: 'dead letters', status: 'warning', message, details: { queues } }
}

function judge({ jobs, events, unreadable, different, unlisted }: Survey, url: string): Finding[] {
  const read = `${plural(jobs, 'job')} with ${plural(events, 'event')} read`
  return [
    unreadable.length === 0
      ? { name: 'histories', status: 'ok', message: `${read}: each follows the lifecycle`, details: { jobs, events } }
      : {
          name: 'histories',
          status: 'problem',
          message: `${read}: ${unreadable.length} cannot be read or break the lifecycle, first: ${oneLine(unreadable[0]?.why ?? '')}`,
          details: { jobs, events, unreadable },
        },
    different.length === 0
      ? {
          name: 'views',
          status: 'ok',
          message: `they say what the log says${unlistedInWords(unlisted)}`,
          details: { unlisted },
        }
      : {
          name: 'views',
          status: 'problem',
          message: `wrong about ${plural(different.length, 'job')}, first: ${printable(different[0] ?? '')}. Stop all workers and ${viewsOf(url)}: they are built again`,
          details: { different, unlisted },
        },
  ]
}

function viewsOf(url: string): string {
  const path = sqlitePath(url)
  return path === undefined ? 'drop the tables view_* of its schema' : `delete ${path}-views*`
}

function unlistedInWords(unlisted: number): string {
  return unlisted === 0
    ? ''
    : `; ${plural(unlisted, 'job')} of those counted ${unlisted === 1 ? 'was' : 'were'} removed`
}

/** Listens to what the engine says of its own while it is open. */
class Notes {
  readonly logger: Logger
  readonly #said = new Map<string, number>()

  constructor(log: Logger) {
    const listen = (line: string): void => {
      const { msg } = JSON.parse(line) as { msg: string }
      this.#said.set(msg, (this.#said.get(msg) ?? 0) + 1)
    }
    this.logger = both(log, new JsonLogger('warn', {}, listen))
  }

  #count(start: string): number {
    return [...this.#said].reduce((sum, [message, count]) => sum + (message.startsWith(start) ? count : 0), 0)
  }

  skipped(): Finding {
    const skipped = this.#count('event skipped')
    if (skipped === 0)
      return { name: 'feed', status: 'ok', message: 'every event since the checkpoint of the views could be folded' }
    return {
      name: 'feed',
      status: 'problem',
      message: `${plural(skipped, 'event')} do not fit their streams and were left out`,
      details: { skipped },
    }
  }

  lost(): Finding {
    const [leases, workers] = [this.#count('lease lost'), this.#count('worker lost')]
    if (leases + workers === 0) return { name: 'workers', status: 'ok', message: 'none was found dead' }
    const message = `${plural(workers, 'worker')} found dead, ${plural(leases, 'lease')} taken back just now`
    return { name: 'workers', status: 'warning', message, details: { workers, leases } }
  }
}

function both(one: Logger, other: Logger): Logger {
  const say =
    (level: Exclude<keyof Logger, 'child'>) =>
    (facts: object, message: string): void => {
      one[level](facts, message)
      other[level](facts, message)
    }
  const child = (bindings: object): Logger => both(one.child(bindings), other.child(bindings))
  return {
    trace: say('trace'),
    debug: say('debug'),
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
    fatal: say('fatal'),
    child,
  }
}

const MARKS = { ok: 'green', warning: 'yellow', problem: 'red' } as const

function reportText(output: Output, checks: readonly Finding[]): string {
  const rows = checks.map(({ name, status, message }) => [output.style(MARKS[status], status), name, message])
  return output.table(['STATUS', 'CHECK', 'FOUND'], rows)
}
