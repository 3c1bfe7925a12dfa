import type { RecordedEvent } from '../domain/event.js'
import type { QueueEvent } from '../domain/queue/events.js'
import { isQueueStream, queueOf } from '../domain/queue/events.js'
import type { QueueState } from '../domain/queue/evolve.js'
import { evolveQueue } from '../domain/queue/evolve.js'

/** Queues that were ever paused, by name. */
export class QueueRegistry {
  readonly #queues = new Map<string, QueueState>()
  readonly #paused = new Set<string>()
  #changes = 0

  /** Grows with each pause and each end of one: what was made of them may be kept until then. */
  get changes(): number {
    return this.#changes
  }

  get(name: string): QueueState | undefined {
    return this.#queues.get(name)
  }

  /** Names of those that are paused now. */
  get paused(): ReadonlySet<string> {
    return this.#paused
  }

  isPaused(name: string): boolean {
    return this.#paused.size > 0 && this.#paused.has(name)
  }

  /** Folds one event of a queue; other streams are not its business. Throws IllegalEvent and is then unchanged. */
  apply(event: RecordedEvent): void {
    if (!isQueueStream(event.stream)) return
    const name = queueOf(event.stream)
    this.#keep(evolveQueue(this.#queues.get(name), event as RecordedEvent & QueueEvent))
  }

  #keep(state: QueueState): void {
    this.#queues.set(state.name, state)
    this.#changes += 1
    if (state.status === 'paused') this.#paused.add(state.name)
    else this.#paused.delete(state.name)
  }

  /** For a checkpoint. */
  toJSON(): readonly QueueState[] {
    return [...this.#queues.values()]
  }

  /** Takes up what `toJSON` gave. */
  restore(saved: readonly QueueState[]): void {
    for (const queue of saved) this.#keep(queue)
  }
}
