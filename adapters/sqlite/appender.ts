/** One append call: one transaction, the outcome of each group, and word to the subscribers. */
import type { AppendGroup, AppendOutcome } from '../../runtime/ports/event-store.js'
import type { Statement } from './driver.js'
import { isBusy, isTaken, sqliteCode, toStoreError } from './errors.js'
import type { Heads } from './heads.js'
import type { LogFile } from './open.js'
import type { Subscriptions } from './subscriptions.js'
import { Writer, type Written } from './writer.js'

export class Appender {
  readonly #file: LogFile
  readonly #subscriptions: Subscriptions
  readonly #begin: Statement
  readonly #commit: Statement
  readonly #rollback: Statement
  readonly #writer: Writer
  /** First ids of groups whose fate was left open: a later failure does not tell what became of an earlier try. */
  readonly #doubtful = new Set<string>()

  constructor(file: LogFile, heads: Heads, subscriptions: Subscriptions) {
    this.#file = file
    this.#subscriptions = subscriptions
    this.#begin = file.db.prepare('BEGIN IMMEDIATE')
    this.#commit = file.db.prepare('COMMIT')
    this.#rollback = file.db.prepare('ROLLBACK')
    this.#writer = new Writer(file.db, heads)
  }

  /** Throws TypeError for an event that cannot be stored at all. */
  append(groups: readonly AppendGroup[]): AppendOutcome[] {
    let written: Written
    try {
      written = this.#write(groups)
    } catch (error) {
      this.#takeBack()
      return this.#failed(groups, error, 'rejected')
    }
    try {
      this.#commit.run()
    } catch (error) {
      this.#takeBack()
      return this.#failed(groups, error, isSurelyUndone(error) ? 'rejected' : 'unknown')
    }
    if (this.#doubtful.size > 0) for (const group of groups) this.#doubtful.delete(idOf(group))
    const { previous, last, recorded } = written
    if (recorded.length > 0) this.#subscriptions.publish({ previous, last, events: recorded })
    return written.outcomes
  }

  #write(groups: readonly AppendGroup[]): Written {
    const record = this.#subscriptions.listening
    this.#begin.run()
    try {
      return this.#writer.write(groups, { careful: false, record })
    } catch (error) {
      if (!isTaken(error)) throw error
      this.#takeBack()
    }
    this.#begin.run()
    return this.#writer.write(groups, { careful: true, record })
  }

  #takeBack(): void {
    // After some errors SQLite has rolled back by itself.
    if (this.#file.db.inTransaction) this.#rollback.run()
    this.#writer.undo()
  }

  #failed(groups: readonly AppendGroup[], cause: unknown, kind: 'rejected' | 'unknown'): AppendOutcome[] {
    const error = toStoreError(cause, this.#file.path)
    if (sqliteCode(cause) === '' || error instanceof TypeError) throw error
    return groups.map((group) => {
      if (kind === 'rejected' && !this.#doubtful.has(idOf(group))) return { kind, error }
      this.#doubtful.add(idOf(group))
      return { kind: 'unknown', error }
    })
  }
}

function idOf(group: AppendGroup): string {
  return group.events[0]?.id ?? ''
}

/** A commit that found no room or no permission has written no end of its transaction; after other errors it may have. */
function isSurelyUndone(error: unknown): boolean {
  const code = sqliteCode(error)
  return isBusy(error) || code === 'SQLITE_FULL' || code.startsWith('SQLITE_READONLY')
}
