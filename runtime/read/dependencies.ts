/** What became of the jobs that a job depends on. */
import type { RecordedEvent } from '../../domain/event.js'
import type { Cancelled, Finished } from '../../domain/job/events.js'
import { jobStream } from '../../domain/job/events.js'
import type { JobState, Outcome } from '../../domain/job/evolve.js'
import { JobRemoved } from '../../domain/rejection.js'
import { upcast } from '../../domain/upcast.js'
import type { LogReader } from '../ports/event-store.js'
import { decode, messageOf } from '../write/codec.js'
import type { Queries } from './queries.js'

/** How one dependency of a job ended. */
export interface DependencyResult {
  readonly id: string
  /** Absent while it has not ended (an edge that lets the job run all the same). */
  readonly outcome?: Outcome
  /** What its handler returned, or what was given when it was failed unstarted; absent once it was erased or removed. */
  readonly result?: unknown
  /** Of one that failed. */
  readonly error?: { readonly name: string; readonly message: string }
}

/** A dependency that failed or was cancelled, with those of its own dependencies that did. */
export interface DependencyError {
  readonly id: string
  readonly type?: string
  readonly outcome: Outcome
  readonly error?: { readonly name: string; readonly message: string }
  /** Why it was cancelled. */
  readonly reason?: string
  readonly dependencies: readonly DependencyError[]
}

/** By id; undefined: neither failed nor cancelled. */
type Known = Map<string, DependencyError | undefined>

/** Recorded after the end, and no news of it. */
const AFTERWARDS = new Set(['Expunged', 'Condemned'])

export class Dependencies {
  readonly #log: LogReader
  readonly #queries: Queries

  /** `log`: with its archive. */
  constructor(log: LogReader, queries: Queries) {
    this.#log = log
    this.#queries = queries
  }

  /** In the order in which the job names them. */
  results(job: JobState): Promise<DependencyResult[]> {
    return Promise.all(job.dependsOn.map((edge) => this.#result(edge.id)))
  }

  /** Those that failed or were cancelled, each with what failed before it. */
  errors(job: JobState): Promise<DependencyError[]> {
    return this.#errors(job, new Set([job.id]), new Map())
  }

  /** `known`: what was found out on another way down. Ways may be more than anybody could go: jobs are looked at once. */
  async #errors(job: JobState, above: ReadonlySet<string>, known: Known): Promise<DependencyError[]> {
    const errors: DependencyError[] = []
    for (const { id } of job.dependsOn) {
      if (!known.has(id)) known.set(id, await this.#error(id, above, known))
      const error = known.get(id)
      if (error !== undefined) errors.push(error)
    }
    return errors
  }

  async #error(id: string, above: ReadonlySet<string>, known: Known): Promise<DependencyError | undefined> {
    const { outcome, error } = await this.#result(id)
    if (outcome === undefined || outcome === 'succeeded') return undefined
    return { id, outcome, ...(error !== undefined && { error }), ...(await this.#background(id, above, known)) }
  }

  async #result(id: string): Promise<DependencyResult> {
    const events = await this.#tail(id)
    const [end] = events
    if (end?.type === 'Cancelled') return { id, outcome: 'cancelled' }
    if (end?.type === 'Finished') {
      const { outcome, error } = end.data as Finished
      if (outcome === 'succeeded') return { id, outcome, result: decode(end.body) }
      const failure = events.find((event) => event.type === 'Failed')
      // Of one that was failed before it started: what was given then.
      const kept = end.body !== undefined && 'content' in end.body ? { result: decode(end.body) } : undefined
      return { id, outcome, ...kept, error: { name: error ?? 'Error', message: messageOf(failure?.body) } }
    }
    if (end !== undefined) return { id }
    const outcome = (await this.#queries.removed([id])).get(id)
    return outcome === undefined ? { id } : { id, outcome }
  }

  /** The events of the last decision, newest first; those that say only what became of its bodies are left out. */
  async #tail(id: string): Promise<RecordedEvent[]> {
    const events: RecordedEvent[] = []
    for await (const page of this.#log.readStream(jobStream(id), { backwards: true, limit: 5, bodies: true })) {
      for (const event of page) if (!AFTERWARDS.has(event.type)) events.push(upcast(event))
    }
    return events
  }

  async #background(
    id: string,
    above: ReadonlySet<string>,
    known: Known,
  ): Promise<Pick<DependencyError, 'type' | 'reason' | 'dependencies'>> {
    try {
      const { state, events } = await this.#queries.read(id)
      const cancelled = events.findLast((event) => event.type === 'Cancelled')
      const reason = (cancelled?.data as Cancelled | undefined)?.reason
      // Ids are unique and edges go back in time: a cycle cannot be, but a log that was tampered with must not hang us.
      const dependencies = above.has(id) ? [] : await this.#errors(state, new Set([...above, id]), known)
      return { type: state.type, ...(reason !== undefined && { reason }), dependencies }
    } catch (error) {
      if (error instanceof JobRemoved) return { dependencies: [] }
      throw error
    }
  }
}
