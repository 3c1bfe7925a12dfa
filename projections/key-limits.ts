import type { JobState } from '../domain/job/evolve.js'

/** How many runs of each limited key are going on. Follows from the jobs: a checkpoint need not hold it. */
export class KeyLimits {
  readonly #running = new Map<string, number>()

  /** Of this key, by all processes, as far as the log was read. */
  running(key: string): number {
    return this.#running.get(key) ?? 0
  }

  began({ rare }: JobState): void {
    const key = rare?.concurrency?.key
    if (key !== undefined) this.#running.set(key, this.running(key) + 1)
  }

  ended({ rare }: JobState): void {
    const key = rare?.concurrency?.key
    if (key === undefined) return
    const left = this.running(key) - 1
    if (left > 0) this.#running.set(key, left)
    else this.#running.delete(key)
  }
}
