/** The verb `enqueue`: jobs, their claims to unique keys, and what they depend on, decided as one. */
import { claim, isTaken } from '../../domain/claim/claim.js'
import type { Claimed } from '../../domain/claim/events.js'
import type { JobledgerError } from '../../domain/errors.js'
import type { Draft } from '../../domain/event.js'
import type { EnqueueCommand } from '../../domain/job/decide.js'
import * as decide from '../../domain/job/decide.js'
import { findCycle } from '../../domain/job/edges.js'
import type { DependencyEdge, JobEvent, Queued } from '../../domain/job/events.js'
import { jobStream } from '../../domain/job/events.js'
import type { JobState, Outcome } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import type { RateLimited } from '../../domain/rejection.js'
import { DependencyUnknown, JobExists } from '../../domain/rejection.js'
import { sameContent } from './codec.js'
import type { Command, Seen, Verdict } from './command.js'
import type { Limited, Rate } from './rate.js'
import { count } from './rate.js'
import type { Holders, UniqueClaim } from './unique.js'
import { holderOf, streamsOf } from './unique.js'

/**
 * What became of one job of an enqueue; `duplicate` and `replaced`: `id` is the job that was there before; `skipped`: its type
 * did not want it, and nothing of it was decided here.
 */
export interface Enqueued {
  readonly id: string
  readonly outcome: 'created' | 'duplicate' | 'replaced' | 'skipped'
}

/** Of each job, in their order; or a refusal that had to be recorded. */
export type EnqueueAnswer = Enqueued[] | RateLimited

export interface NewJob extends EnqueueCommand {
  /** Its payload alone, where what is stored holds more. */
  readonly bare?: string | Uint8Array | undefined
  readonly unique?: UniqueClaim
  /** What it counts against. */
  readonly rate?: Rate
}

/** What the enqueuer has found out by trying. */
export interface Findings {
  readonly holders: Holders
  /** How dependencies ended that were removed since. */
  readonly removed: ReadonlyMap<string, Outcome>
}

export const NOTHING_FOUND: Findings = { holders: new Map(), removed: new Map() }

type See = (stream: string) => Seen

/** All or none. Ids that the caller made up itself in this moment cannot be taken: `fresh` saves looking. */
export function enqueue(jobs: readonly NewJob[], found: Findings = NOTHING_FOUND): Command<EnqueueAnswer> {
  const streams = new Set(jobs.map((job) => jobStream(job.id)))
  const fresh = new Set(streams)
  for (const { facts, unique, rate } of jobs) {
    for (const { id } of facts.dependsOn ?? []) if (!found.removed.has(id)) streams.add(jobStream(id))
    if (unique !== undefined) for (const stream of streamsOf(unique.stream, found.holders)) streams.add(stream)
    if (rate !== undefined) streams.add(rate.stream)
  }
  return {
    streams: [...streams],
    fresh,
    bodies: true,
    decide: (seen, now) => new Batch(jobs, found, seen, now).decide(),
  }
}

class Batch {
  readonly #jobs: readonly NewJob[]
  readonly #found: Findings
  readonly #seen: See
  readonly #now: number
  readonly #ids: Set<string>
  readonly #drafts: Draft[] = []
  readonly #answer: Enqueued[] = []
  /** New jobs that count against a limit. */
  readonly #limited: Limited[] = []
  /** Jobs of this batch whose state others of it must know: those that hold a claim, those cancelled as they are queued. */
  readonly #made = new Map<string, JobState>()
  /** Claims made in this batch, by their stream. */
  readonly #claimed = new Map<string, Claimed>()

  constructor(jobs: readonly NewJob[], found: Findings, seen: See, now: number) {
    this.#jobs = jobs
    this.#found = found
    this.#seen = seen
    this.#now = now
    this.#ids = new Set(jobs.map((job) => job.id))
  }

  decide(): Verdict<EnqueueAnswer> {
    const cycle = findCycle(edgesOf(this.#jobs))
    if (cycle !== undefined) return cycle
    for (const job of this.#jobs) {
      const refusal = this.#one(job)
      if (refusal !== undefined) return refusal
    }
    return this.#lost() ?? this.#counted()
  }

  /** With the facts that count them, unless a limit refuses them all. */
  #counted(): Verdict<EnqueueAnswer> {
    if (this.#limited.length > 0) {
      const counts = count(this.#limited, this.#seen, this.#now)
      if (!Array.isArray(counts)) return counts
      this.#drafts.push(...counts)
    }
    return { drafts: this.#drafts, answer: this.#answer }
  }

  #one(job: NewJob): JobledgerError | undefined {
    const { id, unique } = job
    // A job that is there already makes no claim: the same enqueue may be sent twice.
    if (unique !== undefined && this.#job(id) === undefined) {
      const holder = this.#holder(unique)
      if (holder instanceof Error) return holder
      if (holder !== undefined) return this.#duplicate(job, unique, holder)
    }
    const decision = decide.enqueue(job, (other) => this.#known(other), this.#ids)
    if (decision instanceof JobExists) {
      const difference = differs(job, this.#seen(jobStream(id)))
      if (difference !== undefined) return new JobExists(id, difference)
      this.#answer.push({ id, outcome: 'duplicate' })
      return undefined
    }
    if (decision instanceof Error) return decision
    for (const draft of decision) this.#drafts.push(draft)
    if (unique !== undefined) this.#claim(id, unique)
    if (job.rate !== undefined) this.#limited.push({ facts: job.facts, rate: job.rate })
    // The projections meet its end before those that come after it: these must know of it from the start.
    if (unique !== undefined || decision.at(-1)?.type === 'Cancelled') this.#made.set(id, fold(decision, this.#now))
    this.#answer.push({ id, outcome: 'created' })
    return undefined
  }

  #job(id: string): JobState | undefined {
    return this.#made.get(id) ?? (this.#seen(jobStream(id))?.state as JobState | undefined)
  }

  #known(id: string): Pick<JobState, 'outcome'> | undefined {
    const outcome = this.#found.removed.get(id)
    return outcome === undefined ? this.#job(id) : { outcome }
  }

  #claim(jobId: string, { stream, windowMs }: UniqueClaim): void {
    const claimed = { jobId, ...(windowMs !== undefined && { until: this.#now + windowMs }) }
    this.#drafts.push(claim(stream, claimed))
    this.#claimed.set(stream, claimed)
  }

  #holder({ stream, replace }: UniqueClaim): ReturnType<typeof holderOf> {
    const claimed = this.#claimed.get(stream)
    if (claimed === undefined) {
      return holderOf(stream, this.#seen, this.#found.holders, this.#now, replace !== undefined)
    }
    return isTaken(claimed, this.#made.get(claimed.jobId), this.#now) ? claimed.jobId : undefined
  }

  #duplicate(job: NewJob, { replace }: UniqueClaim, holder: string): undefined {
    const state = this.#job(holder)
    const isReplaced = replace !== undefined && state?.phase === 'waiting' && state.type === job.facts.type
    if (isReplaced) for (const draft of replacement(job, replace, state)) this.#drafts.push(draft)
    this.#answer.push({ id: holder, outcome: isReplaced ? 'replaced' : 'duplicate' })
    this.#ids.delete(job.id)
    return undefined
  }

  /** A job that waits for one of this batch that was not made after all. */
  #lost(): DependencyUnknown | undefined {
    if (this.#ids.size === this.#jobs.length) return undefined
    const given = new Set(this.#jobs.map((job) => job.id))
    for (const { id, facts } of this.#jobs) {
      if (!this.#ids.has(id)) continue
      const lost = facts.dependsOn?.find((edge) => given.has(edge.id) && !this.#ids.has(edge.id))
      if (lost !== undefined) return new DependencyUnknown(id, lost.id)
    }
    return undefined
  }
}

/** Payload always; time and priority where the newcomer says something of them. */
function replacement(
  { facts, payload, bare = payload }: NewJob,
  said: NonNullable<UniqueClaim['replace']>,
  holder: JobState,
): readonly Draft[] {
  const { payloadVersion } = facts
  const change = payloadVersion === undefined ? said : { ...said, payloadVersion }
  return decide.reschedule(holder.id, holder, change, bare) as readonly Draft[]
}

/** A new job after its first events. */
const fold = (drafts: readonly Draft[], at: number): JobState =>
  drafts.reduce<JobState | undefined>(
    (state, draft) => evolve(state, { ...draft, at } as JobEvent),
    undefined,
  ) as JobState

function edgesOf(jobs: readonly EnqueueCommand[]): Map<string, string[]> {
  const edges = new Map<string, string[]>()
  for (const { id, facts } of jobs)
    if (facts.dependsOn)
      edges.set(
        id,
        facts.dependsOn.map((edge) => edge.id),
      )
  return edges
}

/** The first part of a job's content that is not what the stored job of that id has; undefined if it is the same job. */
function differs(job: EnqueueCommand, stored: Seen): string | undefined {
  const first = stored.events?.[0]
  // Out of memory, not read: the journal looks before it tells, and decides again.
  if (first === undefined) return 'content'
  const facts = first.data as Queued
  for (const field of ['type', 'queue', 'channel', 'name', 'priority'] as const) {
    if ((facts[field] || undefined) !== (job.facts[field] || undefined)) return field
  }
  if (edgeKey(facts.dependsOn) !== edgeKey(job.facts.dependsOn)) return 'dependsOn'
  // Erased since: what can still be compared is the same.
  if (first.body !== undefined && 'hash' in first.body) return undefined
  const content = first.body?.content
  return sameContent(content, job.payload) ? undefined : 'payload'
}

const edgeKey = (edges: readonly DependencyEdge[] = []): string =>
  JSON.stringify(edges.map(({ id, on, otherwise }) => [id, on, otherwise]))
