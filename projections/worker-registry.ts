import type { RecordedEvent } from '../domain/event.js'
import type { Failed } from '../domain/job/events.js'
import type { WorkerEvent } from '../domain/worker/events.js'
import { isWorkerStream, workerIdOf } from '../domain/worker/events.js'
import type { WorkerState } from '../domain/worker/evolve.js'
import { evolveWorker } from '../domain/worker/evolve.js'
import type { JobChange } from './job-board.js'

/** A worker that has said nothing for longer than this (ms) is not counted on. Idle ones beat three times as often. */
export const LIVE_MS = 30_000

/** Workers that have neither stopped nor been lost, by id, and when each last gave a sign of life. */
export class WorkerRegistry {
  readonly #workers = new Map<string, WorkerState>()
  /** Apart from the states, and written in place: a drain has several of these for each job. */
  readonly #signs = new Map<string, { at: number }>()

  get(id: string): WorkerState | undefined {
    return this.#workers.get(id)
  }

  get workers(): ReadonlyMap<string, WorkerState> {
    return this.#workers
  }

  /** Time of the last event that the worker itself wrote, of its own or of a job it holds (ms); 0 if it is not known. */
  lastSeenAt(id: string): number {
    return this.#signs.get(id)?.at ?? 0
  }

  /** Those that have given a sign of life within `LIVE_MS`, paused and draining ones too. */
  live(now: number): WorkerState[] {
    return [...this.#workers.values()].filter(({ id }) => now - this.lastSeenAt(id) <= LIVE_MS)
  }

  /** Folds one event of a worker; other streams are not its business. Throws IllegalEvent and is then unchanged. */
  apply(event: RecordedEvent): void {
    if (!isWorkerStream(event.stream)) return
    const id = workerIdOf(event.stream)
    const state = evolveWorker(this.#workers.get(id), event as RecordedEvent & WorkerEvent)
    if (state.status === 'stopped' || state.status === 'lost') {
      this.#workers.delete(id)
      this.#signs.delete(id)
    } else this.#keep(state)
  }

  #keep(state: WorkerState): void {
    this.#workers.set(state.id, state)
    const sign = this.#signs.get(state.id)
    if (sign === undefined) this.#signs.set(state.id, { at: state.lastSeenAt })
    else sign.at = Math.max(sign.at, state.lastSeenAt)
  }

  /** What a worker has done with a job is a sign of its life. Hot path: once per event of a job, budget 50 ns. */
  follow({ event, before, after }: JobChange): void {
    const lease = before === undefined ? undefined : (before.lease ?? after.lease)
    if (lease === undefined || !isByHolder(event)) return
    const sign = this.#signs.get(lease.workerId)
    if (sign !== undefined && sign.at < event.at) sign.at = event.at
  }

  /** For a checkpoint. */
  toJSON(): readonly WorkerState[] {
    return [...this.#workers.values()].map((worker) => ({ ...worker, lastSeenAt: this.lastSeenAt(worker.id) }))
  }

  /** Takes up what `toJSON` gave. */
  restore(saved: readonly WorkerState[]): void {
    for (const worker of saved) this.#keep(worker)
  }
}

/** A lease may also be ended by others: a cancel, the reaper. */
export function isByHolder({ type, data }: RecordedEvent): boolean {
  return type !== 'Cancelled' && !(type === 'Failed' && (data as Failed).cause === 'lease-lost')
}
