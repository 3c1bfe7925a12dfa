/** The hook `before`: what the types of new jobs have to say about them. */
import { InvalidOption } from '../../domain/errors.js'
import { DependencyUnknown } from '../../domain/rejection.js'
import { EnqueueRefused } from '../errors.js'
import type { JobDefinition } from '../work/run/definition.js'
import type { EnqueueFacts } from '../work/run/hooks.js'
import type { Steps } from './drive.js'
import type { Enqueued, NewJob } from './enqueue-command.js'

/** A job that its type is to be asked about. */
export interface Candidate {
  readonly job: NewJob
  readonly before: JobDefinition['before']
  /** As its schema makes it. */
  readonly payload: unknown
  /** Names it in errors. */
  readonly path: string
}

/** Ids of those that are not wanted. One is asked after the other. Throws EnqueueRefused, InvalidOption. */
export function* unwanted(candidates: readonly Candidate[], isSync: boolean): Steps<ReadonlySet<string>> {
  const skipped = new Set<string>()
  for (const candidate of candidates) {
    if (candidate.before === undefined) continue
    const answer = ask(candidate)
    const isLate = typeof answer === 'object' && answer !== null
    if (isLate && isSync) throw notSynchronous(candidate, answer)
    const verdict = isLate ? yield settled(candidate, answer) : answer
    if (verdict === false) skipped.add(candidate.job.id)
    else if (verdict !== undefined && verdict !== true) {
      throw new InvalidOption('defineJob.before()', 'true, false or undefined', verdict)
    }
  }
  return skipped
}

function ask({ before, payload, job, path }: Candidate): unknown {
  try {
    return before?.(payload as never, factsOf(job))
  } catch (error) {
    throw new EnqueueRefused(path, job.facts.type, error)
  }
}

async function settled({ job, path }: Candidate, answer: object): Promise<unknown> {
  try {
    return await answer
  } catch (error) {
    throw new EnqueueRefused(path, job.facts.type, error)
  }
}

function notSynchronous({ job, path }: Candidate, answer: object): InvalidOption {
  Promise.resolve(answer).catch(() => {})
  return new InvalidOption(`${path}.job`, 'of a type whose `before` is synchronous', job.facts.type)
}

function factsOf({ id, facts }: NewJob): EnqueueFacts {
  const { type, queue, channel = '', name, priority = 0, runAt, context, manual = false } = facts
  return { id, type, queue, channel, name, priority, runAt, user: context?.user, manual }
}

/** Those that are left. Throws DependencyUnknown if one of them waits for one that is not. */
export function without(jobs: readonly NewJob[], skipped: ReadonlySet<string>): readonly NewJob[] {
  if (skipped.size === 0) return jobs
  const kept = jobs.filter(({ id }) => !skipped.has(id))
  for (const { id, facts } of kept) {
    const lost = facts.dependsOn?.find((edge) => skipped.has(edge.id))
    if (lost !== undefined) throw new DependencyUnknown(id, lost.id)
  }
  return kept
}

/** The answer for all, in the order in which they were given. */
export function withSkipped(
  jobs: readonly NewJob[],
  skipped: ReadonlySet<string>,
  enqueued: readonly Enqueued[],
): readonly Enqueued[] {
  if (skipped.size === 0) return enqueued
  const rest = enqueued.values()
  return jobs.map(({ id }) => (skipped.has(id) ? { id, outcome: 'skipped' } : (rest.next().value as Enqueued)))
}
