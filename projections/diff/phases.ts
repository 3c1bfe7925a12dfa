import type { RecordedEvent } from '../../domain/event.js'
import type { JobEventType } from '../../domain/job/events.js'
import { isJobStream, jobIdOf } from '../../domain/job/events.js'
import type { Phase } from '../../domain/job/lifecycle.js'
import { nextPhase } from '../../domain/job/lifecycle.js'
import type { Candidate } from '../../domain/lifecycle.js'
import type { Comparison, Difference } from './difference.js'

interface Standing {
  readonly recorded: Phase
  readonly candidate: string
  readonly isRefused: boolean
}

/** Jobs under the machine of today and under a candidate. */
export class PhaseComparison implements Comparison {
  readonly #candidate: Candidate
  readonly #jobs = new Map<string, Standing>()

  constructor(candidate: Candidate) {
    this.#candidate = candidate
  }

  knows(stream: string): boolean {
    return this.#jobs.has(stream)
  }

  learn(event: RecordedEvent): void {
    this.#step(event)
  }

  *apply(event: RecordedEvent): Iterable<Difference> {
    if (!isJobStream(event.stream)) return
    const wasRefused = this.#jobs.get(event.stream)?.isRefused ?? false
    const { recorded, candidate, isRefused } = this.#step(event)
    // Where both agree that it is over there is nothing to remember: should it go on, its events are learnt again.
    if (recorded === 'ended' && candidate === 'ended' && !isRefused) this.#jobs.delete(event.stream)
    if (wasRefused || !isRefused) return
    const { stream, revision, position, at, type } = event
    yield { kind: 'refused', job: jobIdOf(stream), revision, position, at, event: type, phase: candidate }
  }

  *end(): Iterable<Difference> {
    for (const [stream, { recorded, candidate }] of this.#jobs) {
      if (recorded !== candidate) yield { kind: 'phase', job: jobIdOf(stream), recorded, candidate }
    }
  }

  #step({ stream, type }: RecordedEvent): Standing {
    const { initial, table } = this.#candidate
    const before = this.#jobs.get(stream) ?? { recorded: 'absent', candidate: initial, isRefused: false }
    const recorded = nextPhase(before.recorded, type as JobEventType) ?? before.recorded
    const next = before.isRefused ? undefined : table[before.candidate]?.[type]
    const after = { recorded, candidate: next ?? before.candidate, isRefused: next === undefined }
    this.#jobs.set(stream, after)
    return after
  }
}
