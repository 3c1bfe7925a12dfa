import { isOpen, judgeEdge } from '../domain/job/edges.js'
import type { DependencyEdge } from '../domain/job/events.js'
import type { JobState, Outcome } from '../domain/job/evolve.js'

/** What the end of a job does to one that depends on it. */
export interface EdgeChange {
  readonly id: string
  /** `free`: no open edge is left. `doomed`: the edge failed and asks for a cancel. `waits`: still blocked. */
  readonly now: 'free' | 'doomed' | 'waits'
}

/**
 * Which waiting jobs wait for which. An edge is met once and for all. One that failed acts at once under `cancel` and
 * `run`; under `block` it stays open, so that a retry of the dependency can still meet it.
 */
export class DependencyGraph {
  /** Job -> its open edges by dependency. Edges that failed stay here, marked. */
  readonly #open = new Map<string, Map<string, DependencyEdge>>()
  /** Dependency -> jobs with an open edge to it. */
  readonly #dependents = new Map<string, Set<string>>()
  /** Dependency -> jobs that have not ended and name it, met or not: they may still ask for its result. */
  readonly #needed = new Map<string, Set<string>>()

  /** Takes up a job's edges. */
  add(job: JobState): void {
    for (const { id } of job.dependsOn) addTo(this.#needed, id, job.id)
    const open = job.dependsOn.filter(isOpen)
    if (open.length === 0) return
    this.#open.set(job.id, new Map(open.map((edge) => [edge.id, edge])))
    for (const edge of open) addTo(this.#dependents, edge.id, job.id)
  }

  isBlocked(id: string): boolean {
    return this.#open.has(id)
  }

  /** Open edges of a job, those that failed included. */
  openEdges(id: string): readonly DependencyEdge[] {
    return [...(this.#open.get(id)?.values() ?? [])]
  }

  /** Jobs that wait for this one. */
  dependents(id: string): readonly string[] {
    return [...(this.#dependents.get(id) ?? [])]
  }

  /** Jobs that have not ended and name this one, whether it has met their edge or not. */
  neededBy(id: string): readonly string[] {
    return [...(this.#needed.get(id) ?? [])]
  }

  /** The job's edges as they stand now, for a checkpoint. */
  edgesNow(job: JobState): readonly DependencyEdge[] {
    const open = this.#open.get(job.id)
    return job.dependsOn.map((edge) => open?.get(edge.id) ?? (isOpen(edge) ? { ...edge, now: 'met' } : edge))
  }

  /** A dependency had ended before this job came. undefined: it does not wait for it. */
  hadEnded(dependent: string, id: string, outcome: Outcome): EdgeChange | undefined {
    return this.#open.get(dependent)?.has(id) ? { id: dependent, now: this.#settle(dependent, id, outcome) } : undefined
  }

  /** A dependency has ended. */
  ended(id: string, outcome: Outcome): EdgeChange[] {
    return this.dependents(id).map((dependent) => ({ id: dependent, now: this.#settle(dependent, id, outcome) }))
  }

  #settle(dependent: string, id: string, outcome: Outcome): EdgeChange['now'] {
    const open = this.#open.get(dependent) as Map<string, DependencyEdge>
    const edge = open.get(id) as DependencyEdge
    // It has acted already: the job is as good as cancelled, whatever a later round of the dependency brings.
    if (edge.now === 'failed' && edge.otherwise === 'cancel') return 'doomed'
    const now = judgeEdge(edge, outcome)
    if (isOpen({ ...edge, now })) {
      open.set(id, { ...edge, now })
      return edge.otherwise === 'cancel' ? 'doomed' : 'waits'
    }
    open.delete(id)
    dropFrom(this.#dependents, id, dependent)
    if (open.size > 0) return 'waits'
    this.#open.delete(dependent)
    return 'free'
  }

  /** The job runs: what it waited for has come, also where the log has lost how. */
  began(id: string): void {
    for (const dependency of this.openEdges(id)) dropFrom(this.#dependents, dependency.id, id)
    this.#open.delete(id)
  }

  /** The job has ended itself: its edges do not matter any more. */
  drop(job: JobState): void {
    for (const dependency of this.#open.get(job.id)?.keys() ?? []) dropFrom(this.#dependents, dependency, job.id)
    for (const { id } of job.dependsOn) dropFrom(this.#needed, id, job.id)
    this.#open.delete(job.id)
  }
}

function addTo(index: Map<string, Set<string>>, key: string, value: string): void {
  const known = index.get(key)
  if (known === undefined) index.set(key, new Set([value]))
  else known.add(value)
}

function dropFrom(index: Map<string, Set<string>>, key: string, value: string): void {
  const known = index.get(key)
  known?.delete(value)
  if (known?.size === 0) index.delete(key)
}
