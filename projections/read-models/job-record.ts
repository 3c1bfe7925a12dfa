import type { RecordedEvent } from '../../domain/event.js'
import type { Cancelled, JobEvent, Queued } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import type { AttemptRecord } from '../attempts.js'
import { AttemptHistory } from '../attempts.js'
import { placeAt } from '../job-row.js'
import type { Row } from './tables.js'

/** Of an error's message so much is kept (UTF-16 units). */
const MESSAGE_LENGTH = 4_000

/** What one event did to a job, beside its rows. Times in ms. */
export interface JobStep {
  readonly before: JobState | undefined
  readonly after: JobState
  /** A run began: how long it had been waited for. */
  readonly waited?: number
  /** A run ended: whose it was, and how long it took. */
  readonly ran?: number
  readonly workerId?: string | undefined
}

/** One job as its rows tell of it: its own events, in order. */
export class JobRecord {
  #state: JobState | undefined
  readonly #runs = new AttemptHistory()
  /** By place in `#runs`: how long each was waited for. */
  readonly #waits: (number | undefined)[] = []
  /** Since when it could run, if its run time did not say later. */
  #floor = 0
  #user: string | undefined
  #correlationId: string | undefined
  #codeVersion: string | undefined
  #reason: string | undefined
  #expunged = false

  get state(): JobState | undefined {
    return this.#state
  }

  /** Throws IllegalEvent and is then unchanged. */
  apply(event: RecordedEvent & JobEvent): JobStep {
    const before = this.#state
    const after = evolve(before, event)
    this.#state = after
    const open = this.#open
    this.#runs.apply(event)
    this.#note(event, before)
    const waited = event.type === 'Leased' ? this.#begin(event.at) : undefined
    const hasEnded = open?.endedAt !== undefined
    return {
      before,
      after,
      ...(waited !== undefined && { waited, workerId: event.type === 'Leased' ? event.data.workerId : undefined }),
      ...(hasEnded && { ran: ranFor(open) ?? 0, workerId: open.workerId }),
    }
  }

  /** Messages of its errors are forgotten. */
  expunge(): void {
    this.#expunged = true
  }

  get #open(): AttemptRecord | undefined {
    const last = this.#runs.records.at(-1)
    return last?.endedAt === undefined ? last : undefined
  }

  #begin(at: number): number {
    const waited = Math.max(0, at - Math.max(this.#floor, this.#state?.since ?? 0))
    this.#waits[this.#runs.records.length - 1] = waited
    return waited
  }

  #note(event: RecordedEvent & JobEvent, before: JobState | undefined): void {
    const { type, data, at, metadata } = event
    if (type === 'Queued') this.#queued(data, metadata)
    if (type === 'Cancelled') this.#reason = (data as Cancelled).reason ?? metadata?.reason
    else if (before?.phase === 'ended' && type === 'Retried') this.#reason = undefined
    const wasLetGo = type === 'Rescheduled' && before?.held === true && data.held === false
    if (wasLetGo || FREE.has(type)) this.#floor = at
  }

  #queued({ context, codeVersion }: Queued, metadata: RecordedEvent['metadata']): void {
    this.#user = context?.user
    this.#codeVersion = codeVersion
    this.#correlationId = metadata?.$correlationId
  }

  /** As `JOBS` has it. */
  row(): Row {
    const job = this.#state as JobState
    const { records } = this.#runs
    const last = records.at(-1)
    const run = last?.run === 0 ? undefined : last
    return [
      job.id,
      placeAt(job.queuedAt, job.id),
      job.type,
      job.queue,
      job.channel,
      job.name ?? null,
      job.priority,
      stateOf(job),
      job.error ?? null,
      job.error === undefined ? null : this.#messageOf(lastFailed(records)),
      this.#reason ?? null,
      this.#user ?? null,
      job.rare?.trigger?.id ?? null,
      job.rare?.manual ? 1 : 0,
      job.queuedAt,
      job.runAt || null,
      job.roundAt || null,
      job.endedAt || null,
      this.#waits[records.length - 1] ?? null,
      run === undefined ? null : (ranFor(run) ?? null),
      job.run,
      job.lease?.attempt ?? job.attempt,
      job.maxAttempts,
      run?.workerId ?? null,
      job.progress ?? null,
      this.#correlationId ?? null,
      this.#codeVersion ?? null,
    ]
  }

  /** Of its last run, as `ATTEMPTS` has it: no event changes an earlier one. */
  lastAttempt(): Row | undefined {
    const { records } = this.#runs
    return records.length === 0 ? undefined : this.#attemptRow(records.length - 1)
  }

  #attemptRow(index: number): Row {
    const { id, type, queue, channel } = this.#state as JobState
    const attempt = this.#runs.records[index] as AttemptRecord
    return [
      id,
      attempt.run,
      attempt.attempt,
      attempt.round,
      type,
      queue,
      channel,
      attempt.workerId ?? null,
      attempt.startedAt,
      attempt.endedAt ?? null,
      this.#waits[index] ?? null,
      attempt.run === 0 ? null : (ranFor(attempt) ?? null),
      attempt.outcome ?? null,
      attempt.cause ?? null,
      attempt.error?.name ?? null,
      attempt.error === undefined ? null : this.#messageOf(attempt),
      attempt.retryAt ?? null,
      attempt.codeVersion ?? null,
    ]
  }

  #messageOf(attempt: AttemptRecord | undefined): string {
    return this.#expunged ? '' : (attempt?.error?.message ?? '').slice(0, MESSAGE_LENGTH)
  }
}

/** After these a job waits anew. */
const FREE: ReadonlySet<string> = new Set(['Queued', 'Retried', 'Released'])

const lastFailed = (records: readonly AttemptRecord[]): AttemptRecord | undefined =>
  records.findLast(({ error }) => error !== undefined)

/** Clocks of two hosts may differ. */
function ranFor({ startedAt, endedAt }: AttemptRecord): number | undefined {
  return endedAt === undefined ? undefined : Math.max(0, endedAt - startedAt)
}

function stateOf({ phase, held, outcome }: JobState): string {
  if (phase === 'leased') return 'running'
  return outcome ?? (held ? 'held' : 'waiting')
}
