/** What came of it, in words and a table. */
import { posix } from 'node:path'
import type { HistoryEntry, Ledger } from '../../index.js'
import type { ReadManifest, Totals } from './jobs.js'
import { show } from './progress.js'
import type { Tally } from './tally.js'

/** Skipped entries that are listed unless all are asked for. */
const FIRST = 10

/** An entry that is not in the checksum file, and why. */
interface Missing {
  readonly kind: 'failed' | 'skipped'
  readonly path: string
  readonly why: string
}

export interface ListOptions {
  /** The `manifest` job of the whole tree. */
  readonly top: string
  readonly totals: Totals
  readonly listAll: boolean
  say(line: string): void
}

/** Lists what is not in the checksum file: all that failed, and the first of what was skipped. */
export async function listMissing(ledger: Ledger, read: ReadManifest, options: ListOptions): Promise<void> {
  const { top, totals, listAll, say } = options
  let left = listAll ? totals.skipped : FIRST
  for await (const { kind, path, why } of missingFrom(ledger, read, top)) {
    if (kind === 'skipped' && --left < 0) continue
    say(`${kind}: ${JSON.stringify(path)}: ${why}`)
  }
  if (left < 0) say(`skipped: ${show(-left)} more (--list-all shows them)`)
}

async function* missingFrom(ledger: Ledger, read: ReadManifest, id: string): AsyncGenerator<Missing> {
  const { path: parent, lines } = await read(id)
  for (const line of lines) {
    const path = posix.join(parent, line.name)
    if ('skipped' in line) yield { kind: 'skipped', path, why: line.skipped }
    else if ('failed' in line) yield { kind: 'failed', path, why: await whyFailed(ledger, line.failed) }
    else if ('manifest' in line && line.troubled) yield* missingFrom(ledger, read, line.manifest)
  }
}

async function whyFailed(ledger: Ledger, id: string): Promise<string> {
  const { state, errorMessage = state, run } = await ledger.status(id)
  return `${errorMessage} (job ${id}, ${run} runs)`
}

export function summary(totals: Totals, { ended, digested, runs, failures, lost, rate, seconds }: Tally): string {
  const unchanged = Math.max(0, totals.files - digested)
  const withProcess = lost === 0 ? '' : `, ${show(lost)} of them with their process`
  return [
    `files     ${show(totals.files)} (${show(totals.bytes)} bytes): ${show(digested)} digested, ${show(unchanged)} unchanged`,
    `missing   ${show(totals.failed)} failed, ${show(totals.skipped)} skipped`,
    `jobs      ${show(ended)} in ${show(seconds)} s: ${show(rate)} jobs/s`,
    `attempts  ${show(runs)}: ${show(failures)} failed${withProcess}`,
  ].join('\n')
}

/** The life of one job, an event a row. */
export async function historyTable(ledger: Ledger, id: string, width: number): Promise<string> {
  const rows = [['at', 'event', 'what']]
  for (const entry of await ledger.history(id)) {
    rows.push([new Date(entry.at).toISOString(), entry.type, whatHappened(entry)])
  }
  return rows
    .map(([at = '', event = '', what]) => `${at.padEnd(26)}${event.padEnd(11)}${what}`.slice(0, width))
    .join('\n')
}

function whatHappened({ type, data, body }: HistoryEntry): string {
  if (type === 'Failed') return (body as { message: string }).message
  if (body !== undefined) return JSON.stringify(body)
  const { attempt, runAt, by } = data as { attempt?: number; runAt?: number; by?: string }
  if (attempt !== undefined) return `attempt ${attempt}`
  return runAt === undefined ? '' : `by ${by}, not before ${new Date(runAt).toISOString()}`
}
