import type { RecordedEvent } from '../../domain/event.js'
import type { Leased } from '../../domain/job/events.js'
import { isJobStream, jobIdOf } from '../../domain/job/events.js'
import type { WorkerRegistered } from '../../domain/worker/events.js'
import { isWorkerStream, workerIdOf } from '../../domain/worker/events.js'

const ENDS = new Set(['Released', 'Failed', 'Finished', 'Cancelled'])

/**
 * The runs of handlers that are in progress, by job, as the events tell. Leases of workers that speak the lease protocol are
 * none: those workers are the test itself.
 */
export class Runs {
  readonly #workers = new Set<string>()
  readonly #running = new Set<string>()
  /** Those that have ended and whose hook `commit` goes on. */
  readonly #committing = new Set<string>()
  /** Those that have been silent for longer than anybody would wait for them. */
  readonly #silent = new Set<string>()
  /** Timers of the virtual clock that each has set. */
  readonly #sleeping = new Map<string, number>()
  #begun = 0
  #last = ''

  follow({ stream, type, data }: RecordedEvent): void {
    if (isWorkerStream(stream)) {
      if (type === 'WorkerRegistered' && (data as WorkerRegistered).process !== undefined)
        this.#workers.add(workerIdOf(stream))
    } else if (isJobStream(stream)) this.#followJob(jobIdOf(stream), type, data)
  }

  #followJob(id: string, type: string, data: object): void {
    if (type === 'Leased' && this.#workers.has((data as Leased).workerId)) {
      this.#begun += 1
      this.#last = id
      this.#running.add(id)
      this.#silent.delete(id)
    } else if (ENDS.has(type)) this.#running.delete(id)
  }

  /** How many have begun so far. */
  get begun(): number {
    return this.#begun
  }

  /** The job of the one that began last. */
  get last(): string {
    return this.#last
  }

  get ids(): string[] {
    return [...this.#running]
  }

  get areNone(): boolean {
    return this.#running.size + this.#committing.size === 0
  }

  /** Whether one goes on that waits for the world outside, as far as anybody can tell. */
  get isAnyBusy(): boolean {
    return this.#isAnyBusy(this.#running) || this.#isAnyBusy(this.#committing)
  }

  #isAnyBusy(ids: ReadonlySet<string>): boolean {
    for (const id of ids) if (!this.#silent.has(id) && !this.#sleeping.has(id)) return true
    return false
  }

  /** Nobody waits for those in progress any more, until they show signs of life. */
  giveUp(): void {
    for (const id of [...this.#running, ...this.#committing]) this.#silent.add(id)
  }

  /** What the events do not tell: after its end a run may have something to do yet. */
  async duringCommit<Answer>(id: string, commit: () => Answer): Promise<Awaited<Answer>> {
    this.#silent.delete(id)
    this.#committing.add(id)
    try {
      return await commit()
    } finally {
      this.#committing.delete(id)
    }
  }

  /** It has set a timer of the virtual clock: it waits for that, not for the world. */
  sleep(id: string): void {
    this.#sleeping.set(id, (this.#sleeping.get(id) ?? 0) + 1)
  }

  wake(id: string): void {
    const left = (this.#sleeping.get(id) ?? 0) - 1
    if (left > 0) this.#sleeping.set(id, left)
    else this.#sleeping.delete(id)
    this.#silent.delete(id)
  }
}
