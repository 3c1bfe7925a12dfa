/** status: all there is to say of one job as it stands. */
import type { Command } from 'commander'
import type { DependencyEdge } from '../../domain/job/events.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { DependencyError } from '../../runtime/read/dependencies.js'
import type { JobStatus } from '../../runtime/read/queries.js'
import { iso, type Output, oneLine, preview, printable, when } from './output.js'
import { type AsOfFlags, addAsOf, pastOf } from './past.js'
import { Session } from './session.js'
import { attempts, edgeInWords, stateIn } from './words.js'

export function addStatus(program: Command): void {
  const command = program
    .command('status')
    .summary('how a job stands')
    .description(
      'Shows how a job stands, read from the log itself, and below it which of its dependencies went wrong, and why. Times are UTC.',
    )
    .argument('<id>', 'job id')
  addAsOf(command)
    .addHelpText(
      'after',
      '\nExamples:\n  $ jobledger status order-17\n  $ jobledger status order-17 --as-of 2026-11-27T02:00:00Z --json',
    )
    .action(async (id: string, { asOf }: AsOfFlags, command: Command) => {
      const session = new Session(command)
      const { output } = session
      const { status, errors } = await session.read((ledger) => look(ledger, id, asOf))
      const document = errors.length === 0 ? status : { ...status, dependencyErrors: errors }
      output.data(document, () => [output.facts(statusFacts(output, status)), ...chainText(output, errors)].join('\n'))
    })
}

async function look(
  ledger: Ledger,
  id: string,
  asOf: number | undefined,
): Promise<{ status: JobStatus; errors: readonly DependencyError[] }> {
  const past = pastOf(ledger, asOf)
  if (past !== undefined) return { status: await past.job(id), errors: [] }
  const status = await ledger.status(id)
  return { status, errors: status.dependsOn.length === 0 ? [] : await ledger.dependencyErrors(id) }
}

function statusFacts(output: Output, job: JobStatus): Record<string, string | undefined> {
  const at = (instant: number | undefined): string | undefined => (instant === undefined ? undefined : when(instant))
  const { lease, error, errorMessage, reason, progress, dependsOn, concurrency } = job
  return {
    id: printable(job.id),
    state: stateIn(output, job.state),
    type: printable(job.type),
    name: job.name && printable(job.name),
    queue: printable(job.queue),
    channel: printable(job.channel) || undefined,
    priority: job.priority === 0 ? undefined : String(job.priority),
    concurrency: concurrency && `${printable(concurrency.key)}, ${concurrency.limit} at once`,
    attempts: `${attempts(job)} spent, ${job.run} ${job.run === 1 ? 'run' : 'runs'} so far`,
    user: job.user && printable(job.user),
    correlation: job.correlationId === job.id ? undefined : job.correlationId && printable(job.correlationId),
    trigger: job.trigger && inTriggerWords(job.trigger, job.debounced),
    code: job.codeVersion && printable(job.codeVersion),
    queued: at(job.queuedAt),
    'runs at': at(job.runAt),
    started: at(job.startedAt),
    ended: at(job.endedAt),
    archived: job.archived && `in ${printable(job.archived)}`,
    'attempted by': someOf(job.attemptedBy),
    lease: lease && `worker ${lease.workerId}, until ${when(lease.expiresAt)}`,
    progress: progress === undefined ? undefined : String(progress),
    'depends on':
      dependsOn.length === 0 ? undefined : dependsOn.map((edge) => edgeStands(edge, job.blockedBy)).join(', '),
    dependents: someOf(job.dependents),
    error: error && printable(errorMessage ? `${error}: ${errorMessage}` : error),
    reason: reason && printable(reason),
    payload: preview(job.payload, 2_000),
    partial: preview(job.partial, 2_000) || undefined,
    result: preview(job.result, 2_000) || undefined,
  }
}

function inTriggerWords({ id, occurrence }: NonNullable<JobStatus['trigger']>, isDebounced = false): string {
  return `${printable(id)}, for ${iso(occurrence)}${isDebounced ? ', debounced' : ''}`
}

function edgeStands(edge: DependencyEdge, blockedBy: readonly string[]): string {
  return `${printable(edgeInWords(edge))}${blockedBy.includes(edge.id) ? ' [still open]' : ''}`
}

/** --json has them all. */
const SHOWN = 20

function someOf(ids: readonly string[]): string | undefined {
  if (ids.length === 0) return undefined
  const shown = ids.slice(0, SHOWN).map(printable).join(', ')
  return ids.length > SHOWN ? `${shown} and ${ids.length - SHOWN} more` : shown
}

/** What went wrong before it, each beneath what it kept from succeeding. */
function chainText(output: Output, errors: readonly DependencyError[]): string[] {
  if (errors.length === 0) return []
  return ['', output.style('dim', 'went wrong before it'), ...linesOf(errors, '  ')]
}

function linesOf(errors: readonly DependencyError[], indent: string): string[] {
  return errors.flatMap((error) => [indent + inWords(error), ...linesOf(error.dependencies, `${indent}  `)])
}

function inWords({ id, type, outcome, error, reason }: DependencyError): string {
  const what = type === undefined ? printable(id) : `${printable(id)} (${printable(type)})`
  const why = outcome === 'failed' ? error && [error.name, error.message].filter(Boolean).join(': ') : reason
  return `${what} ${outcome === 'cancelled' ? 'was cancelled' : outcome}${why ? `: ${oneLine(why)}` : ''}`
}
