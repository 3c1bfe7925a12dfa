import { JobledgerError } from '../../domain/errors.js'
import type { JobBoard } from '../../projections/job-board.js'
import * as commands from '../write/commands.js'
import type { Journal } from '../write/journal.js'
import type { Bell } from './bell.js'

/**
 * Cancels the jobs whose dependency failed them with `otherwise: 'cancel'`. What is doomed is derived from the log, so a
 * process that dies in between leaves nothing behind: the next one finds the same jobs.
 */
export class Cascade {
  readonly #board: JobBoard
  readonly #journal: Journal
  readonly #bell: Bell
  readonly #under = new Set<string>()

  constructor(board: JobBoard, journal: Journal, bell: Bell) {
    this.#board = board
    this.#journal = journal
    this.#bell = bell
  }

  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      const doomed = [...this.#board.doomed].filter(([id]) => !this.#under.has(id))
      await Promise.all(doomed.map(([id, dependency]) => this.#cancel(id, dependency)))
      await this.#bell.wait(signal)
    }
  }

  async #cancel(id: string, dependency: string): Promise<void> {
    this.#under.add(id)
    try {
      await this.#journal.submit(
        commands.cancel(id, { by: 'dependency', reason: `dependency ${dependency} failed` }, true),
      )
    } catch (error) {
      if (!(error instanceof JobledgerError && error.family === 'job')) throw error
    } finally {
      this.#under.delete(id)
    }
  }
}
