import type { Backoff } from '../../domain/backoff.js'
import { backoffDelay, expiresAt, tries } from '../../domain/backoff.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { Failed, Finished, JobEvent, Retried } from '../../domain/job/events.js'
import { isJobStream } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import type { Comparison, Difference, Next } from './difference.js'

/** Of one job type; what is left out is as the job has it. */
export interface RetryPolicy {
  readonly maxAttempts?: number | null
  readonly backoff?: (own: Backoff) => Backoff
  /** By the name of the error: a handler's own classes are not in the log. */
  readonly retryOn?: 'any' | 'recoverable-only'
}

/** Names of the errors that say themselves whether another attempt is of use. */
const RECOVERABLE = new Set(['Recoverable', 'RetryAt'])
const FINAL = new Set(['Fatal', 'BadTrigger'])

/** The last possible draw. */
const ALMOST_ONE = 1 - Number.EPSILON

interface Standing {
  readonly state: JobState
  /** A failed attempt of which what follows is not known yet. */
  readonly failed?: RecordedEvent<'Failed', Failed> | undefined
  readonly before?: JobState | undefined
  /** Under the candidate this round is over, or has gone where nobody has been. */
  readonly parted?: 'failed' | undefined
}

/** Failed attempts under the policies that jobs had, and under candidates by type. */
export class RetryComparison implements Comparison {
  readonly #policies: ReadonlyMap<string, RetryPolicy>
  readonly #jobs = new Map<string, Standing>()
  /** Streams of jobs under way of other types: their earlier events need not be read. */
  readonly #others = new Set<string>()

  constructor(policies: ReadonlyMap<string, RetryPolicy>) {
    this.#policies = policies
  }

  knows(stream: string): boolean {
    return this.#jobs.has(stream) || this.#others.has(stream)
  }

  learn(event: RecordedEvent): void {
    for (const _ of this.apply(event)) {
      // Differences before the range are not asked for, but a round that has parted has parted.
    }
  }

  *apply(event: RecordedEvent): Iterable<Difference> {
    const { stream } = event
    if (!isJobStream(stream) || this.#isOther(event)) return
    const before = this.#jobs.get(stream)
    const state = evolved(before?.state, event as RecordedEvent & JobEvent)
    if (state === undefined) return
    if (!this.#policies.has(state.type)) return void this.#others.add(stream)
    const parted = yield* this.#judge(event, before, state)
    if (state.phase === 'ended') this.#jobs.delete(stream)
    else this.#jobs.set(stream, { state, parted, ...pendingAfter(event, before, state) })
  }

  *end(): Iterable<Difference> {}

  /** Known to be, until it ends. */
  #isOther({ stream, type }: RecordedEvent): boolean {
    if (!this.#others.has(stream)) return false
    if (type === 'Finished' || type === 'Cancelled') this.#others.delete(stream)
    return true
  }

  /** What the round has come to under the candidate. */
  *#judge(
    event: RecordedEvent,
    before: Standing | undefined,
    state: JobState,
  ): Generator<Difference, Standing['parted'], undefined> {
    const { parted, failed, before: running } = before ?? {}
    // A new round: all begins anew.
    if (event.type === 'Retried' && (event.data as Retried).by === 'operator') return undefined
    if (parted !== undefined) {
      if (state.outcome !== undefined && state.outcome !== parted) yield outcome(event, state, parted)
      return parted
    }
    if (failed === undefined || running === undefined) return undefined
    const recorded = nextBy(event)
    const candidate = recorded && this.#decide(failed, running, recorded)
    if (recorded === undefined || candidate === undefined || isSame(recorded, candidate)) return undefined
    yield decision(failed, state, recorded, candidate)
    if (recorded.what === 'end') yield outcome(event, state, 'open')
    return candidate.what === 'end' ? 'failed' : undefined
  }

  #decide({ data, at }: RecordedEvent<'Failed', Failed>, job: JobState, recorded: Next): Next | undefined {
    const policy = this.#policies.get(job.type)
    // These are not for a policy to decide.
    if (policy === undefined || data.cause === 'lease-lost' || data.cause === 'not-started') return undefined
    // Nor is it what the pool allows in which the job ran.
    if (data.ceiling !== undefined) return { what: 'end' }
    const backoff = policy.backoff?.(job.backoff) ?? job.backoff
    const limit = tries(backoff, policy.maxAttempts === undefined ? job.maxAttempts : policy.maxAttempts)
    const isOwn = policy.backoff === undefined || isSpoken(job.backoff, data, at, recorded)
    const { from, to } = isOwn && recorded.what === 'retry' ? recorded : timeOf(backoff, data.attempt, at)
    const might = isRetryable(data, policy) && (limit === null || data.attempt < limit)
    return might && from <= expiresAt(backoff, job.roundAt) ? { what: 'retry', from, to } : { what: 'end' }
  }
}

/** Undefined for what does not fit its stream, or comes after the end: no round hangs on it. */
function evolved(state: JobState | undefined, event: RecordedEvent & JobEvent): JobState | undefined {
  try {
    return evolve(state, event)
  } catch {
    return undefined
  }
}

function pendingAfter(
  event: RecordedEvent,
  before: Standing | undefined,
  state: JobState,
): Pick<Standing, 'failed' | 'before'> {
  if (event.type !== 'Failed' || state.phase !== 'failing') return {}
  return { failed: event as RecordedEvent<'Failed', Failed>, before: before?.state }
}

/** The time was set by the handler's own word, or by its type's: no backoff has given it. */
function isSpoken(own: Backoff, { attempt, error }: Failed, at: number, recorded: Next): boolean {
  if (recorded.what === 'end') return false
  const { from, to } = timeOf(own, attempt, at)
  return error === 'RetryAt' || recorded.from < from || recorded.to > to
}

function timeOf(backoff: Backoff, attempt: number, at: number): { readonly from: number; readonly to: number } {
  const times = [0, ALMOST_ONE].map((draw) => at + backoffDelay(backoff, attempt, draw))
  return { from: Math.min(...times), to: Math.max(...times) }
}

function isRetryable({ retryable, error = '', cause }: Failed, { retryOn }: RetryPolicy): boolean {
  if (retryOn === undefined || cause !== 'error') return retryable
  return retryOn === 'recoverable-only' ? RECOVERABLE.has(error) : retryable || !FINAL.has(error)
}

function nextBy({ type, data }: RecordedEvent): Next | undefined {
  if (type === 'Finished') return (data as Finished).outcome === 'failed' ? { what: 'end' } : undefined
  if (type !== 'Retried') return undefined
  const { runAt } = data as Retried
  return { what: 'retry', from: runAt, to: runAt }
}

function isSame(recorded: Next, candidate: Next): boolean {
  if (recorded.what === 'end' || candidate.what === 'end') return recorded.what === candidate.what
  return recorded.from >= candidate.from && recorded.to <= candidate.to
}

function decision(
  { revision, position, at, data }: RecordedEvent<'Failed', Failed>,
  { id, type }: JobState,
  recorded: Next,
  candidate: Next,
): Difference {
  const { run, attempt, error } = data
  const about = { kind: 'decision', job: id, type, revision, position, at, run, attempt } as const
  return { ...about, ...(error !== undefined && { error }), recorded, candidate }
}

function outcome({ revision, position, at }: RecordedEvent, job: JobState, candidate: 'failed' | 'open'): Difference {
  const { id, type, outcome: recorded = 'failed' } = job
  return { kind: 'outcome', job: id, type, revision, position, at, recorded, candidate }
}
