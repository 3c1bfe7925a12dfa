/** stats and queues: how much waits where, a stop to it, and a limit. */
import type { Command } from 'commander'
import { JOB_STATUS_NAMES, type JobStatusName } from '../../projections/job-status.js'
import type { QueueCounts } from '../../runtime/read/queries.js'
import { duration, integer, label, name, orWord } from './flags.js'
import { type Output, printable } from './output.js'
import { type AsOfFlags, addAsOf, pastOf } from './past.js'
import { Session } from './session.js'

type Lengths = Readonly<Record<string, QueueCounts>>

interface StatsFlags extends AsOfFlags {
  readonly type?: string
}

export function addStats(program: Command): void {
  const command = program
    .command('stats')
    .summary('jobs per queue and state')
    .description(
      'Counts jobs per queue and state, and says which queues are paused or limited. Ended jobs are counted over the life of the ledger, those that were removed since included.',
    )
    .option('--type <type>', 'only jobs of this type', name('--type'))
  addAsOf(command)
    .addHelpText('after', '\nExamples:\n  $ jobledger stats\n  $ jobledger stats --json | jq .queues.default.failed')
    .action(async ({ asOf, ...flags }: StatsFlags, command: Command) => {
      const session = new Session(command)
      const queues = await session.read((ledger) => pastOf(ledger, asOf)?.queues(flags) ?? ledger.queues.stats(flags))
      session.output.data({ queues }, () => statsText(session.output, queues))
      if (Object.keys(queues).length > 0) return
      session.output.talk(flags.type === undefined ? 'No jobs yet.' : `No jobs of type ${printable(flags.type)} yet.`)
    })
}

function statsText(output: Output, queues: Lengths): string {
  const names = Object.keys(queues).sort()
  if (names.length === 0) return ''
  const notes = new Map(names.map((name) => [name, noteOn(queues[name])]))
  const hasNotes = names.some((name) => notes.get(name) !== '')
  const row = (name: string, of: (state: JobStatusName) => number, note = ''): string[] => [
    name,
    ...JOB_STATUS_NAMES.map((state) => String(of(state))),
    ...(hasNotes ? [note] : []),
  ]
  const rows = names.map((name) => row(printable(name) || '""', (state) => queues[name]?.[state] ?? 0, notes.get(name)))
  const total = row('all', (state) => names.reduce((sum, name) => sum + (queues[name]?.[state] ?? 0), 0))
  return output.table(
    ['QUEUE', ...JOB_STATUS_NAMES.map((state) => state.toUpperCase()), ...(hasNotes ? ['NOTE'] : [])],
    names.length > 1 ? [...rows, total] : rows,
  )
}

function noteOn(queue: QueueCounts | undefined): string {
  const { paused, reason, limit } = queue ?? {}
  const pause = paused && (reason === undefined ? 'paused' : `paused: ${printable(reason)}`)
  return [limit !== undefined && `at most ${limit} at once in a process`, pause].filter(Boolean).join(', ')
}

export function addQueues(program: Command): void {
  const queues = program
    .command('queues')
    .summary('pause, resume and limit queues')
    .description(
      'Pauses queues, resumes them, limits their runs. How long they are, and which are paused or limited: jobledger stats.',
    )
    .addHelpText('after', QUEUES_HELP)
  addPause(queues)
  addResume(queues)
  addLimit(queues)
}

const QUEUES_HELP = `
Examples:
  $ jobledger queues pause mail --reason "the mail server is down"
  $ jobledger queues resume mail
  $ jobledger queues limit mail 5 --as ada --reason "the mail server is slow"`

interface PauseFlags {
  readonly timeout?: number
}

function addPause(queues: Command): void {
  queues
    .command('pause')
    .summary('no job of the queue is leased')
    .description(
      'Pauses a queue: none of its jobs is leased until it is resumed; those that run go on, and jobs may be enqueued. Ends once every worker that is alive acts on it; with --timeout, after that time at the latest (exit 6, and the queue is paused all the same). --reason is recorded, also without --as.',
    )
    .argument('<queue>', 'name of the queue; "" is one', label('<queue>'))
    .option('--timeout <duration>', 'how long to wait for the workers', duration('--timeout'))
    .addHelpText('after', '\nExamples:\n  $ jobledger queues pause mail --as ada --reason "the mail server is down"')
    .action(async (queue: string, flags: PauseFlags, command: Command) => {
      const session = new Session(command)
      const { reason } = session
      const options = { ...flags, ...(reason !== undefined && { reason }) }
      await session.read((ledger) => session.speaking(ledger).queues.pause(queue, options))
      session.output.data({ queue, paused: true }, () => '')
      session.output.talk(`Queue ${printable(queue) || '""'} is paused.`)
    })
}

function addResume(queues: Command): void {
  queues
    .command('resume')
    .summary('its jobs are leased again')
    .description('Resumes a queue. One that is not paused is left as it is.')
    .argument('<queue>', 'name of the queue; "" is one', label('<queue>'))
    .addHelpText('after', '\nExamples:\n  $ jobledger queues resume mail --as ada')
    .action(async (queue: string, _flags: object, command: Command) => {
      const session = new Session(command)
      await session.act((ledger) => ledger.queues.resume(queue))
      session.output.data({ queue, paused: false }, () => '')
      session.output.talk(`Queue ${printable(queue) || '""'} is open.`)
    })
}

function addLimit(queues: Command): void {
  queues
    .command('limit')
    .summary('how many of its jobs run at once')
    .description(
      'Limits how many jobs of a queue each process runs at once in its pools, from now on and wherever it lives. Where a process was configured to fewer, that holds. What runs goes on.',
    )
    .argument('<queue>', 'name of the queue; "" is one', label('<queue>'))
    .argument('<n>', 'runs at once in a process, or none for no limit', orWord('none', integer('<n>', 1)))
    .addHelpText(
      'after',
      '\nExamples:\n  $ jobledger queues limit mail 5 --as ada --reason "the mail server is slow"\n  $ jobledger queues limit mail none --as ada',
    )
    .action(async (queue: string, given: number | 'none', _flags: object, command: Command) => {
      const session = new Session(command)
      const concurrency = given === 'none' ? null : given
      await session.act((ledger) => ledger.queues.limit(queue, { concurrency }))
      session.output.data({ queue, concurrency }, () => '')
      const said = concurrency === null ? 'has no limit' : `runs at most ${concurrency} at once in each process`
      session.output.talk(`Queue ${printable(queue) || '""'} ${said}.`)
    })
}
