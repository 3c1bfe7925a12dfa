/** Reads every job of a ledger again, from the log, and compares it with what the views say of it. */
import { setTimeout as pause } from 'node:timers/promises'
import { IllegalEvent } from '../../domain/errors.js'
import type { JobEvent } from '../../domain/job/events.js'
import { jobStream } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import { JobRemoved, JobUnknown } from '../../domain/rejection.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { ListFilter } from '../../runtime/read/listing.js'
import type { HistoryEntry, JobSummary } from '../../runtime/read/queries.js'
import { isDamage } from './exit-codes.js'

export interface Survey {
  jobs: number
  events: number
  /** Jobs whose history cannot be read or does not follow the lifecycle. */
  readonly unreadable: { readonly id: string; readonly why: string }[]
  /** Jobs of which the views say something else than the log. */
  readonly different: string[]
  /** Jobs that are counted but not listed: removed since, as far as can be told. */
  unlisted: number
}

const PAGE = 1_000
/** Faults after which reading on tells nothing new. */
const ENOUGH = 20
/** Views follow the log within a moment. What still differs then differs for good. */
const GRACE_MS = 2_000

export async function survey(ledger: Ledger): Promise<Survey> {
  const found: Survey = { jobs: 0, events: 0, unreadable: [], different: [], unlisted: 0 }
  const counted = await count(ledger)
  let cursor: string | undefined
  do {
    const filter: ListFilter = { limit: PAGE, ...(cursor !== undefined && { cursor }) }
    const page = await ledger.list(filter)
    const odd = await differing(ledger, page.jobs, found)
    if (odd.size > 0) found.different.push(...(await stillDiffering(ledger, filter, odd)))
    if (found.unreadable.length + found.different.length > ENOUGH) return found
    cursor = page.cursor
  } while (cursor !== undefined)
  found.unlisted = Math.max(0, counted - found.jobs)
  return found
}

/** Those that were removed are counted, too. */
async function count(ledger: Ledger): Promise<number> {
  const queues = Object.values(await ledger.queues.stats())
  return queues.flatMap((counts) => Object.values(counts)).reduce((sum, jobs) => sum + jobs, 0)
}

/** Ids whose summary is not what their history adds up to. */
async function differing(ledger: Ledger, jobs: readonly JobSummary[], found?: Survey): Promise<Set<string>> {
  const odd = new Set<string>()
  for (const job of jobs) {
    try {
      if (found !== undefined) found.jobs += 1
      const history = await ledger.history(job.id)
      if (found !== undefined) found.events += history.length
      if (differs(job, fold(job.id, history))) odd.add(job.id)
    } catch (error) {
      // A job that the log does not know any more, or not yet again, is for the second look.
      if (error instanceof JobUnknown || error instanceof JobRemoved) odd.add(job.id)
      else if (found !== undefined && isUnreadable(error)) found.unreadable.push({ id: job.id, why: error.message })
      else if (!isUnreadable(error)) throw error
    }
  }
  return odd
}

/** A running system moves on between two reads: only what is odd twice is odd. */
async function stillDiffering(ledger: Ledger, filter: ListFilter, odd: ReadonlySet<string>): Promise<Set<string>> {
  await pause(GRACE_MS)
  const { jobs } = await ledger.list(filter)
  return differing(
    ledger,
    jobs.filter((job) => odd.has(job.id)),
  )
}

function fold(id: string, history: readonly HistoryEntry[]): JobState | undefined {
  const stream = jobStream(id)
  return history.reduce<JobState | undefined>(
    (state, { type, at, data, revision }) => evolve(state, { stream, type, at, data, revision } as JobEvent),
    undefined,
  )
}

function differs(job: JobSummary, state: JobState | undefined): boolean {
  if (state === undefined) return true
  const ended = ['succeeded', 'failed', 'cancelled'].includes(job.state) ? job.state : undefined
  const leased = state.phase === 'leased'
  return (
    ended !== state.outcome ||
    (job.state === 'running') !== leased ||
    job.run !== state.run ||
    job.attempt !== state.attempt
  )
}

/** The record itself is at fault: its place in the lifecycle, its JSON, or the page of the file that it is on. */
function isUnreadable(error: unknown): error is Error {
  return error instanceof IllegalEvent || error instanceof SyntaxError || isDamage(error)
}
