/** workers and leases: who works, and who has fallen silent. */
import { type Command, Option } from 'commander'
import { formatMs } from '../../domain/duration.js'
import type { StaleLease } from '../../runtime/work/desk/lease-protocol.js'
import type { WorkerInfo } from '../../runtime/work/desk/worker-desk.js'
import { duration } from './flags.js'
import { addNamedDeed, type Named, type NamedDeed } from './named-deeds.js'
import { age, type Output, printable, when } from './output.js'
import { type AsOfFlags, addAsOf, pastOf } from './past.js'
import { Session } from './session.js'

interface AgeFlags extends AsOfFlags {
  readonly olderThan?: number
}

export function addWorkers(program: Command): void {
  const workers = program
    .command('workers')
    .summary('who works; pause, resume and remove workers')
    .description(
      'Lists workers that have neither stopped nor been lost, the longest silent first: processes of `work` or of your own, and workers that have registered through the lease protocol. SLOTS: in use, of all.',
    )
    .allowExcessArguments(false)
    .addOption(
      new Option('--older-than <duration>', 'only those silent for longer than this')
        .argParser(duration('--older-than'))
        .conflicts('asOf'),
    )
  addAsOf(workers)
    .addHelpText('after', WORKERS_HELP)
    .action(async ({ asOf, ...flags }: AgeFlags, command: Command) => {
      const session = new Session(command)
      const workers = await session.read((ledger) => pastOf(ledger, asOf)?.workers() ?? ledger.workers.list(flags))
      session.output.data({ workers }, () => workersText(session.output, workers))
      if (workers.length === 0) session.output.talk('No workers.')
    })
  for (const deed of DEEDS) addNamedDeed(workers, NAMED, deed)
}

const WORKERS_HELP = `
Examples:
  $ jobledger workers
  $ jobledger workers --older-than 5m --json
  $ jobledger workers pause 01a2189a-6c00-7a11-8c3e-51d2f0a1b010`

const NAMED: Named = {
  ...{ noun: 'Worker', plural: 'workers', ids: 'worker ids', example: '01a2189a-6c00-7a11-8c3e-51d2f0a1b010' },
  of: (ledger) => ledger.workers,
}
const DEEDS: readonly NamedDeed[] = [
  {
    ...{ verb: 'pause', done: 'paused', summary: 'they take no more jobs' },
    description: `Pauses workers: they take no more jobs until they are resumed, and finish what they hold. --reason is recorded, also without --as.`,
  },
  {
    ...{ verb: 'resume', done: 'resumed', summary: 'they take jobs again' },
    description: `Resumes workers. One that is not paused is left as it is.`,
  },
  {
    ...{ verb: 'remove', done: 'removed', summary: 'off the list, those that hold no jobs' },
    description: `Takes workers off the list for good. One that holds jobs is refused (exit 4); a process that goes on working signs on anew.`,
  },
]

function workersText(output: Output, workers: readonly WorkerInfo[]): string {
  if (workers.length === 0) return ''
  const heading = ['ID', 'STATUS', 'SLOTS', 'SINCE', 'LAST SEEN', 'POOL', 'WHERE', 'QUEUES', 'TYPES', 'ABOUT']
  const rows = workers.map((worker) => [
    worker.id,
    worker.status,
    `${worker.slotsInUse}/${worker.concurrency}`,
    age(worker.registeredAt),
    age(worker.lastSeenAt),
    printable(worker.pool ?? ''),
    whereabouts(worker),
    several(worker.queues),
    several(worker.types),
    about(worker),
  ])
  return output.table(heading, rows)
}

/** `host/pid`; one that lives elsewhere is known by its word alone. */
const whereabouts = ({ host, pid }: WorkerInfo): string =>
  host === undefined ? 'elsewhere' : `${printable(host)}/${pid}`

function about({ name, reason, arch, codeVersion, channels }: WorkerInfo): string {
  const parts = [
    name,
    reason && `paused: ${reason}`,
    channels && `channels ${several(channels)}`,
    arch,
    codeVersion && `version ${codeVersion}`,
  ]
  return parts
    .filter(Boolean)
    .map((part) => printable(part as string))
    .join(', ')
}

/** Worth a line each in --json; here it is about the look of it. */
const SHOWN = 3

function several(names: readonly string[] | undefined): string {
  if (names === undefined || names.length === 0) return 'any'
  const shown = names.slice(0, SHOWN).map((name) => printable(name) || '""')
  return names.length > SHOWN ? `${shown.join(', ')} and ${names.length - SHOWN} more` : shown.join(', ')
}

export function addLeases(program: Command): void {
  program
    .command('leases')
    .summary('jobs under a lease, and for how long it has been silent')
    .description(
      'Lists leases, the longest silent first. A job is taken back by itself when its process is gone or its lease has expired; this is to see it coming. Tokens are in --json.',
    )
    .option('--older-than <duration>', 'only those silent for longer than this', duration('--older-than'))
    .addHelpText('after', '\nExamples:\n  $ jobledger leases --older-than 1m\n  $ jobledger leases --json')
    .action(async ({ olderThan = 0 }: AgeFlags, command: Command) => {
      const session = new Session(command)
      const leases = await session.read((ledger) => ledger.staleLeases(olderThan))
      session.output.data({ leases }, () => leasesText(session.output, leases))
      if (leases.length === 0) {
        session.output.talk(olderThan === 0 ? 'No leases.' : `No lease has been silent for ${formatMs(olderThan)}.`)
      }
    })
}

function leasesText(output: Output, leases: readonly StaleLease[]): string {
  if (leases.length === 0) return ''
  const rows = leases.map((lease) => [printable(lease.id), lease.workerId, age(lease.seenAt), when(lease.expiresAt)])
  return output.table(['JOB', 'WORKER', 'LAST SIGN', 'EXPIRES'], rows)
}
