/** attempts: the runs of a job, one by one. */
import type { Command } from 'commander'
import { formatMs } from '../../domain/duration.js'
import type { AttemptRecord, RunOutcome } from '../../projections/attempts.js'
import { iso, type Output, oneLine } from './output.js'
import { Session } from './session.js'

const COLORS = { succeeded: 'green', failed: 'red', lost: 'red', released: 'yellow', cancelled: 'yellow' } as const

export function addAttempts(program: Command): void {
  program
    .command('attempts')
    .summary('the runs of a job')
    .description(
      'Shows the runs of a job, oldest first: who ran it, for how long, and what came of it. A run that was lost or given back has spent no attempt. --json has everything, error messages and stacks included.',
    )
    .argument('<id>', 'job id')
    .addHelpText('after', '\nExamples:\n  $ jobledger attempts order-17\n  $ jobledger attempts order-17 --json')
    .action(async (id: string, _flags: object, command: Command) => {
      const session = new Session(command)
      const attempts = await session.read((ledger) => ledger.attempts(id))
      session.output.data({ id, attempts }, () => attemptsText(session.output, attempts))
      if (attempts.length === 0) session.output.talk(`Job ${id} has not run yet.`)
    })
}

function attemptsText(output: Output, records: readonly AttemptRecord[]): string {
  if (records.length === 0) return ''
  // Most jobs have one round only.
  const hasRounds = records.some((record) => record.round > 1)
  const heading = ['RUN', ...(hasRounds ? ['ROUND'] : []), 'ATTEMPT', 'WORKER', 'STARTED', 'TOOK', 'OUTCOME', 'ERROR']
  const rows = records.map((record) => [
    String(record.run),
    ...(hasRounds ? [String(record.round)] : []),
    String(record.attempt),
    record.workerId ?? '',
    record.run === 0 ? 'never' : iso(record.startedAt),
    took(record),
    outcomeIn(output, record.outcome),
    errorText(record),
  ])
  return output.table(heading, rows)
}

function took({ run, startedAt, endedAt }: AttemptRecord): string {
  return run === 0 || endedAt === undefined ? '' : formatMs(endedAt - startedAt)
}

function outcomeIn(output: Output, outcome: RunOutcome | undefined): string {
  return outcome === undefined ? output.style('cyan', 'running') : output.style(COLORS[outcome], outcome)
}

function errorText({ error, cause }: AttemptRecord): string {
  if (error === undefined) return ''
  const text = [error.name || cause, error.message].filter(Boolean).join(': ')
  return oneLine(text)
}
