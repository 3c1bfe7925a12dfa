import type { Metadata } from '../../domain/event.js'
import type { Queued } from '../../domain/job/events.js'
import type { Outcome } from '../../domain/job/evolve.js'
import { DependencyUnknown } from '../../domain/rejection.js'
import type { Queries } from '../read/queries.js'
import * as commands from './commands.js'
import type { Journal } from './journal.js'
import type { Holder } from './unique.js'
import { HolderUnseen } from './unique.js'

/** Sends ended jobs round again. What such a decision must look at is found out by reading, then by trying. */
export class Retrier {
  readonly #journal: Journal
  readonly #queries: Queries

  constructor(journal: Journal, queries: Queries) {
    this.#journal = journal
    this.#queries = queries
  }

  /** Throws JobUnknown, JobArchived, JobNotEnded, JobExpunged, JobNotUnique. */
  async retry(id: string, metadata: Metadata | undefined): Promise<void> {
    const { state, queued } = await this.#queries.readLive(id)
    const dependencies = state.dependsOn.map((edge) => edge.id)
    const find = async () => (dependencies.length > 0 ? this.#queries.removed(dependencies) : new Map())
    let removed: ReadonlyMap<string, Outcome> = await find()
    const { unique } = queued.data as Queued
    const holders = new Map<string, Holder>()
    for (;;) {
      try {
        return await this.#journal.submit(commands.retry(id, { dependencies, removed, unique, holders }), metadata)
      } catch (error) {
        if (error instanceof HolderUnseen) holders.set(error.stream, error.holder)
        else if (error instanceof DependencyUnknown && !removed.has(error.dependency)) {
          removed = await find()
          if (!removed.has(error.dependency)) throw error
        } else throw error
      }
    }
  }
}
