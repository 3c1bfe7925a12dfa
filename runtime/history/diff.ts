/** The same history under something else than what it was made with: what would differ, job by job. */

import type { BackoffOptions } from '../../domain/backoff.js'
import { toBackoff } from '../../domain/backoff.js'
import { InvalidOption } from '../../domain/errors.js'
import type { RecordedEvent } from '../../domain/event.js'
import { isJobStream, JOB_EVENT_TYPES } from '../../domain/job/events.js'
import { compileCandidate } from '../../domain/lifecycle.js'
import { upcast } from '../../domain/upcast.js'
import type { Comparison, Difference } from '../../projections/diff/difference.js'
import { PhaseComparison } from '../../projections/diff/phases.js'
import type { RetryPolicy } from '../../projections/diff/retries.js'
import { RetryComparison } from '../../projections/diff/retries.js'
import { RowComparison } from '../../projections/diff/rows.js'
import type { Projection } from '../../projections/fold.js'
import { checkKeys, checkObject, toMaxAttempts, toName } from '../checks.js'
import { checkProjection } from '../report/definition.js'
import type { RangeOptions } from './checks.js'
import { RANGE_KEYS, toRange } from './checks.js'
import type { ReplayWorld } from './replay.js'
import { eventsIn } from './replay.js'

/** As in `defineJob`. What is left out is as each job has it. */
export interface CandidatePolicy {
  readonly maxAttempts?: number | null
  readonly backoff?: BackoffOptions
  /** Judged by the name of the recorded error. */
  readonly retryOn?: 'any' | 'recoverable-only'
}

/** What history is to be tried on: one of these, or several at once. */
export interface Candidates {
  /** Two projections, or two versions of one. */
  readonly projections?: readonly [before: Projection, after: Projection]
  /** A lifecycle of jobs: a machine of XState, or its config, with flat states. */
  readonly machine?: object
  /** By job type. */
  readonly retry?: Readonly<Record<string, CandidatePolicy>>
}

export interface DiffOptions extends RangeOptions, Candidates {}

export const CANDIDATE_KEYS: readonly string[] = ['projections', 'machine', 'retry']
const KEYS = new Set([...RANGE_KEYS, ...CANDIDATE_KEYS])
const POLICY_KEYS = new Set(['maxAttempts', 'backoff', 'retryOn'])

/** Throws InvalidOption at once; where a moment has not come, when the first difference is asked for. */
export function diff(world: ReplayWorld, given: DiffOptions): AsyncIterable<Difference> {
  checkKeys(given, KEYS, 'diff')
  const range = toRange(given, 'diff')
  const comparisons = comparisonsOf(given)
  if (range.filter.types !== undefined && comparisons.length > (given.projections === undefined ? 0 : 1)) {
    throw new InvalidOption('diff.filter.types', 'left out: jobs are followed event by event', given.filter?.types)
  }
  const events = eventsIn(world, range, { option: 'diff', bodies: false })
  return differences(world, events, comparisons)
}

/** Throws InvalidOption. */
function comparisonsOf({ projections, machine, retry }: Candidates): Comparison[] {
  const comparisons: Comparison[] = []
  if (projections !== undefined) comparisons.push(toRows(projections))
  if (machine !== undefined)
    comparisons.push(new PhaseComparison(compileCandidate(machine, JOB_EVENT_TYPES, 'diff.machine')))
  if (retry !== undefined) comparisons.push(new RetryComparison(toPolicies(retry)))
  if (comparisons.length > 0) return comparisons
  throw new InvalidOption('diff', `an object with one of ${CANDIDATE_KEYS.join(', ')}`, {})
}

function toRows(given: unknown): RowComparison {
  if (!Array.isArray(given) || given.length !== 2) {
    throw new InvalidOption('diff.projections', 'two projections: before and after', given)
  }
  const [before, after] = given as [unknown, unknown]
  return new RowComparison(
    checkProjection(before, 'diff.projections[0]'),
    checkProjection(after, 'diff.projections[1]'),
  )
}

function toPolicies(given: unknown): Map<string, RetryPolicy> {
  checkObject(given, 'diff.retry')
  return new Map(
    Object.entries(given).map(([type, policy]) => [toName(type, 'diff.retry'), toPolicy(policy, `diff.retry.${type}`)]),
  )
}

function toPolicy(given: unknown, path: string): RetryPolicy {
  checkKeys(given, POLICY_KEYS, path)
  const { maxAttempts, backoff, retryOn } = given as CandidatePolicy
  if (retryOn !== undefined && retryOn !== 'any' && retryOn !== 'recoverable-only') {
    throw new InvalidOption(`${path}.retryOn`, '"any" or "recoverable-only"', retryOn)
  }
  // At once: a wrong option is not to show at the first failure that it is tried on.
  toBackoff(backoff, `${path}.backoff`)
  return {
    ...(maxAttempts !== undefined && { maxAttempts: toMaxAttempts(maxAttempts, `${path}.maxAttempts`) }),
    ...(backoff !== undefined && { backoff: (own) => toBackoff(backoff, `${path}.backoff`, own) }),
    ...(retryOn !== undefined && { retryOn }),
  }
}

async function* differences(
  world: ReplayWorld,
  events: AsyncIterable<RecordedEvent>,
  comparisons: readonly Comparison[],
): AsyncGenerator<Difference, void, undefined> {
  for await (const event of events) {
    const strangers = comparisons.filter((comparison) => !comparison.knows(event.stream))
    if (strangers.length > 0 && event.revision > 0 && isJobStream(event.stream)) {
      await teach(world, event, strangers)
    }
    for (const comparison of comparisons) yield* comparison.apply(event)
  }
  for (const comparison of comparisons) yield* comparison.end()
}

/** A job that began before the range, or has come back from its end. */
async function teach({ wholeLog }: ReplayWorld, event: RecordedEvent, strangers: readonly Comparison[]): Promise<void> {
  for await (const page of wholeLog.readStream(event.stream, { limit: event.revision })) {
    for (const earlier of page) {
      if (earlier.revision >= event.revision) return
      for (const comparison of strangers) comparison.learn(upcast(earlier))
    }
  }
}
