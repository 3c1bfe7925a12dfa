/** One append call: one transaction, the outcome of each group, and word to the subscribers. */
import type { AppendGroup, AppendOutcome } from '../../runtime/ports/event-store.js'
import { StoreRefused } from '../../runtime/ports/event-store.js'
import type { Statement } from './driver.js'
import { Effects, TransactionLost } from './effects.js'
import { isBusy, isForeignKey, isTaken, sqliteCode, toStoreError } from './errors.js'
import type { Heads } from './heads.js'
import type { LogFile } from './open.js'
import { emptyWal, leaveNoBytes } from './removals.js'
import type { Subscriptions } from './subscriptions.js'
import { Writer, type Written } from './writer.js'

export class Appender {
  readonly #file: LogFile
  readonly #subscriptions: Subscriptions
  readonly #begin: Statement
  readonly #commit: Statement
  readonly #rollback: Statement
  readonly #effects: Effects
  readonly #writer: Writer
  /** First ids of groups whose fate was left open: a later failure does not tell what became of an earlier try. */
  readonly #doubtful = new Set<string>()

  constructor(file: LogFile, heads: Heads, subscriptions: Subscriptions) {
    this.#file = file
    this.#subscriptions = subscriptions
    this.#begin = file.db.prepare('BEGIN IMMEDIATE')
    this.#commit = file.db.prepare('COMMIT')
    this.#rollback = file.db.prepare('ROLLBACK')
    this.#effects = new Effects(file.db)
    this.#writer = new Writer(file.db, heads, this.#effects)
  }

  /** Whether a group's effects are being called just now. */
  get busy(): boolean {
    return this.#effects.running
  }

  /** Throws TypeError for an event that cannot be stored at all. */
  append(groups: readonly AppendGroup[]): AppendOutcome[] {
    if (!groups.some(takesOut)) return this.#append(groups)
    try {
      const outcomes = this.#append(groups)
      if (groups.some((group, index) => takesOut(group) && outcomes[index]?.kind === 'ok')) this.#emptyWal()
      return outcomes
    } finally {
      if (this.#file.db.open) leaveNoBytes(this.#file.db, false)
    }
  }

  /** Closes the handle; where effects have left an iterator open, only the end of the process does that. */
  letGo(): void {
    try {
      this.#file.db.close()
    } catch (error) {
      if (sqliteCode(error) !== '') throw error
    }
  }

  #append(groups: readonly AppendGroup[]): AppendOutcome[] {
    try {
      return this.#together(groups)
    } catch (error) {
      if (!(error instanceof TransactionLost)) throw error
      const { reason, culprit } = error
      const isIt = (group: AppendGroup): boolean => group === culprit || groups.length === 1
      return groups.map((group) => (isIt(group) ? this.#rejected(group, reason) : this.#alone(group)))
    }
  }

  /**
   * For groups whose transaction was spoilt by the effects of one of them: nothing of it is stored, and nobody but that one
   * is to notice. Effects that had been called are called again, since what they had written is gone.
   */
  #alone(group: AppendGroup): AppendOutcome {
    try {
      return this.#append([group])[0] as AppendOutcome
    } catch (cause) {
      // Other groups of the call are stored by now, so that the call as a whole can no longer fail.
      return this.#rejected(group, cause instanceof Error ? cause : new Error(String(cause)))
    }
  }

  #together(groups: readonly AppendGroup[]): AppendOutcome[] {
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
      if (isForeignKey(error)) throw new TransactionLost(unmet(error))
      return this.#failed(groups, error, isSurelyUndone(error) ? 'rejected' : 'unknown')
    }
    if (this.#doubtful.size > 0) for (const group of groups) this.#doubtful.delete(idOf(group))
    this.#tell(written)
    return written.outcomes
  }

  #tell({ previous, last, recorded, whole }: Written): void {
    if (!whole) this.#subscriptions.wake()
    else if (recorded.length > 0) this.#subscriptions.publish({ previous, last, events: recorded })
  }

  #write(groups: readonly AppendGroup[]): Written {
    const record = this.#subscriptions.listening
    const careful = groups.some(({ effects }) => effects !== undefined)
    if (careful) this.#effects.prepare()
    if (groups.some(takesOut)) leaveNoBytes(this.#file.db, true)
    this.#begin.run()
    try {
      return this.#writer.write(groups, { careful, record })
    } catch (error) {
      if (careful || !isTaken(error)) throw error
      this.#takeBack()
    }
    this.#begin.run()
    return this.#writer.write(groups, { careful: true, record })
  }

  #takeBack(): void {
    // After some errors SQLite has rolled back by itself.
    if (this.#file.db.inTransaction) this.#rollBack()
    this.#writer.undo()
  }

  #rollBack(): void {
    try {
      this.#rollback.run()
    } catch (error) {
      if (sqliteCode(error) !== '') throw error
      // Effects have left an iterator open: the driver refuses every statement until it is closed, which nobody can do. The
      // write lock must not stay with us for that.
      this.#file.db.unsafeMode(true)
      this.#rollback.run()
    }
  }

  /** What is committed stays committed, whether or not the WAL file can be emptied now: the next removal tries again. */
  #emptyWal(): void {
    try {
      emptyWal(this.#file.db)
    } catch (error) {
      if (sqliteCode(error) === '') throw error
    }
  }

  #failed(groups: readonly AppendGroup[], cause: unknown, kind: 'rejected' | 'unknown'): AppendOutcome[] {
    const error = toStoreError(cause, this.#file.path)
    if (sqliteCode(cause) === '' || error instanceof TypeError) throw error
    return groups.map((group) => (kind === 'rejected' ? this.#rejected(group, error) : this.#unknown(group, error)))
  }

  #rejected(group: AppendGroup, error: Error): AppendOutcome {
    return this.#doubtful.has(idOf(group)) ? { kind: 'unknown', error } : { kind: 'rejected', error }
  }

  #unknown(group: AppendGroup, error: Error): AppendOutcome {
    this.#doubtful.add(idOf(group))
    return { kind: 'unknown', error }
  }
}

function takesOut({ erase, remove }: AppendGroup): boolean {
  return erase !== undefined || remove !== undefined
}

function unmet(cause: unknown): StoreRefused {
  const message = 'Expected `effects` to leave no row without the one it refers to: a deferred foreign key is not met.'
  return new StoreRefused(message, { cause })
}

function idOf(group: AppendGroup): string {
  return group.events[0]?.id ?? ''
}

/** A commit that found no room or no permission has written no end of its transaction; after other errors it may have. */
function isSurelyUndone(error: unknown): boolean {
  const code = sqliteCode(error)
  return isBusy(error) || code === 'SQLITE_FULL' || code.startsWith('SQLITE_READONLY')
}
