/** No job runs before what it waits for has come about, and none is cancelled for a dependency that has not failed. */
import type { DependencyEdge } from '../../../domain/job/events.js'
import type { JobRecord, Law } from './law.js'

/** Every way in which a job has ended so far: an edge that was met once stays met. */
type Ends = ReadonlySet<string>

export class Dependencies implements Law {
  readonly #edges = new Map<string, readonly DependencyEdge[]>()
  readonly #ends = new Map<string, Set<string>>()
  readonly #queued = new Set<string>()
  /** What was said of the past of jobs that come later in the log. */
  readonly #toShow: { readonly id: string; readonly edge: DependencyEdge }[] = []

  see(id: string, { type, data }: JobRecord): string[] {
    switch (type) {
      case 'Queued':
        this.#queued.add(id)
        if (data.dependsOn !== undefined) this.#edges.set(id, data.dependsOn)
        return (data.dependsOn ?? []).flatMap((edge) => this.#remembered(id, edge))
      case 'Leased':
        return this.#unmet(id, (edge, ends) => isMet(edge, ends) || (edge.otherwise === 'run' && hasFailed(edge, ends)))
      case 'Finished':
        this.#ended(id, data.outcome)
        return []
      case 'Cancelled': {
        this.#ended(id, 'cancelled')
        const edges = this.#edges.get(id) ?? []
        // What an edge says of the past is looked into by itself.
        const failed = (edge: DependencyEdge): boolean => edge.now === 'failed' || hasFailed(edge, this.#of(edge))
        const due = edges.some((edge) => edge.otherwise === 'cancel' && failed(edge))
        return data.by !== 'dependency' || due ? [] : ['is cancelled, but no dependency of it has failed']
      }
      default:
        return []
    }
  }

  #of({ id }: DependencyEdge): Ends {
    return this.#ends.get(id) ?? new Set()
  }

  #ended(id: string, outcome: string): void {
    this.#ends.set(id, (this.#ends.get(id) ?? new Set()).add(outcome))
  }

  #unmet(id: string, holds: (edge: DependencyEdge, ends: Ends) => boolean): string[] {
    const open = (this.#edges.get(id) ?? []).filter((edge) => !holds(edge, this.#of(edge)))
    return open.map((edge) => `runs before its dependency ${edge.id} has ${edge.on}`)
  }

  /**
   * What an edge says of the past must be so. Where a store appends to one stream at a time, a job of a batch comes before those of it
   * that it waits for; one of these may be cancelled as it is made.
   */
  #remembered(id: string, edge: DependencyEdge): string[] {
    if (this.#isTrue(edge)) return []
    if (this.#queued.has(edge.id)) return [`takes its dependency ${edge.id} for ${edge.now}`]
    this.#toShow.push({ id, edge })
    return []
  }

  #isTrue(edge: DependencyEdge): boolean {
    if (edge.now === undefined) return true
    return edge.now === 'met' ? isMet(edge, this.#of(edge)) : hasFailed(edge, this.#of(edge))
  }

  end(): string[] {
    return this.#toShow
      .filter(({ edge }) => !this.#isTrue(edge))
      .map(({ id, edge }) => `job ${id}: takes its dependency ${edge.id} for ${edge.now}`)
  }
}

const isMet = ({ on }: DependencyEdge, ends: Ends): boolean =>
  ends.has('succeeded') || (on === 'finished' && ends.has('failed'))

const hasFailed = ({ on }: DependencyEdge, ends: Ends): boolean =>
  ends.has('cancelled') || (on === 'succeeded' && ends.has('failed'))
