import type { RecordedEvent } from '../domain/event.js'
import type { WorkerEvent } from '../domain/worker/events.js'
import { isWorkerStream, workerIdOf } from '../domain/worker/events.js'
import type { WorkerState } from '../domain/worker/evolve.js'
import { evolveWorker } from '../domain/worker/evolve.js'

/** Workers that have neither stopped nor been lost, by id. */
export class WorkerRegistry {
  readonly #workers = new Map<string, WorkerState>()

  get(id: string): WorkerState | undefined {
    return this.#workers.get(id)
  }

  get workers(): ReadonlyMap<string, WorkerState> {
    return this.#workers
  }

  /** Folds one event of a worker; other streams are not its business. Throws IllegalEvent and is then unchanged. */
  apply(event: RecordedEvent): void {
    if (!isWorkerStream(event.stream)) return
    const id = workerIdOf(event.stream)
    const state = evolveWorker(this.#workers.get(id), event as RecordedEvent & WorkerEvent)
    if (state.status === 'stopped' || state.status === 'lost') this.#workers.delete(id)
    else this.#workers.set(id, state)
  }

  toJSON(): readonly WorkerState[] {
    return [...this.#workers.values()]
  }

  restore(saved: readonly WorkerState[]): void {
    for (const worker of saved) this.#workers.set(worker.id, worker)
  }
}
