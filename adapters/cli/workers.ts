/** workers and leases: who works, and who has fallen silent. */
import type { Command } from 'commander'
import { formatMs } from '../../domain/duration.js'
import type { StaleLease } from '../../runtime/work/lease-protocol.js'
import type { WorkerInfo } from '../../runtime/work/worker-desk.js'
import { duration } from './flags.js'
import { age, type Output, printable, when } from './output.js'
import { Session } from './session.js'

interface AgeFlags {
  readonly olderThan?: number
}

export function addWorkers(program: Command): void {
  program
    .command('workers')
    .summary('who works')
    .description(
      'Lists workers that have neither stopped nor been lost, the longest silent first: processes of `work` or of your own, and workers that have registered through the lease protocol.',
    )
    .option('--older-than <duration>', 'only those silent for longer than this', duration('--older-than'))
    .addHelpText('after', '\nExamples:\n  $ jobledger workers\n  $ jobledger workers --older-than 5m --json')
    .action(async (flags: AgeFlags, command: Command) => {
      const session = new Session(command)
      const workers = await session.read((ledger) => ledger.workers.list(flags))
      session.output.data({ workers }, () => workersText(session.output, workers))
      if (workers.length === 0) session.output.talk('No workers.')
    })
}

function workersText(output: Output, workers: readonly WorkerInfo[]): string {
  if (workers.length === 0) return ''
  const heading = ['ID', 'STATUS', 'SLOTS', 'SINCE', 'LAST SEEN', 'QUEUES', 'TYPES', 'NAME']
  const rows = workers.map((worker) => [
    worker.id,
    worker.status,
    String(worker.concurrency),
    age(worker.registeredAt),
    age(worker.lastSeenAt),
    several(worker.queues),
    several(worker.types),
    printable(worker.name ?? ''),
  ])
  return output.table(heading, rows)
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
