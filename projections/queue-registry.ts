import type { RecordedEvent } from '../domain/event.js'
import type { QueueEvent } from '../domain/queue/events.js'
import { isQueueStream, queueOf } from '../domain/queue/events.js'
import type { QueueState } from '../domain/queue/evolve.js'
import { evolveQueue } from '../domain/queue/evolve.js'

/** Queues that were ever paused or limited, by name. */
export class QueueRegistry {
  readonly #queues = new Map<string, QueueState>()
  readonly #paused = new Set<string>()
  #limited = 0
  #changes = 0

  /** Grows with each pause, each end of one and each limit: what was made of them may be kept until then. */
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

  /** Those that are paused or limited now. */
  notable(): QueueState[] {
    return [...this.#queues.values()].filter(({ pause, limit }) => pause !== undefined || limit !== undefined)
  }

  /** How many have a limit now. */
  get limited(): number {
    return this.#limited
  }

  /** Runs at once in each runtime that this queue is limited to; undefined: nobody has set a limit. */
  limitOf(name: string): number | undefined {
    return this.#queues.get(name)?.limit
  }

  /** Folds one event of a queue; other streams are not its business. Throws IllegalEvent and is then unchanged. */
  apply(event: RecordedEvent): void {
    if (!isQueueStream(event.stream)) return
    const name = queueOf(event.stream)
    this.#keep(evolveQueue(this.#queues.get(name), event as RecordedEvent & QueueEvent))
  }

  #keep(state: QueueState): void {
    this.#limited += Number(state.limit !== undefined) - Number(this.limitOf(state.name) !== undefined)
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
