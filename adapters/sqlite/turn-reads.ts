import type { Database, Statement } from './driver.js'

/**
 * Reads of one turn share a read transaction: taking and giving back SQLite's lock costs more than the look itself, and a
 * runtime reads a payload for each job it leases. Ends with the turn, or when somebody wants to write.
 */
export class TurnReads {
  readonly #db: Database
  readonly #begin: Statement
  readonly #commit: Statement
  readonly #end = (): void => this.end()
  #open = false

  constructor(db: Database) {
    this.#db = db
    this.#begin = db.prepare('BEGIN')
    this.#commit = db.prepare('COMMIT')
  }

  /** To be called before a read. */
  share(): void {
    if (this.#open || this.#db.inTransaction) return
    this.#begin.run()
    this.#open = true
    queueMicrotask(this.#end)
  }

  /** To be called before a write. */
  end(): void {
    if (!this.#open) return
    this.#open = false
    if (!this.#db.inTransaction) return
    try {
      this.#commit.run()
    } catch {
      // A damaged file: the read that met it has said so, and a transaction of reads has nothing to lose.
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
    }
  }
}
