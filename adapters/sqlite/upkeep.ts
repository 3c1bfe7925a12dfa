/** Taking things out of the log for good, each call in one transaction. */
import type { EventRef } from '../../runtime/ports/event-store.js'
import type { Database } from './driver.js'
import { HEAD_REMOVED } from './heads.js'
import { emptyWal, leaveNoBytes, Removals } from './removals.js'
import { WriterStatements } from './writer-statements.js'

export class Upkeep {
  readonly #db: Database
  readonly #lookup: WriterStatements
  readonly #removals: Removals

  constructor(db: Database) {
    this.#db = db
    this.#lookup = new WriterStatements(db, 1)
    this.#removals = new Removals(db)
  }

  erase(events: readonly EventRef[]): void {
    this.#transaction(() => {
      for (const { stream, revision } of events) {
        const head = this.#lookup.head(stream)
        const place = head && this.#lookup.eventAt(head.number, revision)
        if (place !== undefined) this.#removals.erase(place.position)
      }
    })
  }

  remove(streams: readonly string[]): void {
    this.#transaction(() => {
      const last = this.#lookup.lastPosition()
      for (const stream of streams) {
        const head = this.#lookup.head(stream)
        if (head !== undefined) this.#removals.remove(head.number, last)
      }
    })
  }

  truncate(stream: string, before: number): void {
    this.#transaction(() => {
      const head = this.#lookup.head(stream)
      if (head === undefined || head.revision === HEAD_REMOVED) return
      const first = Math.min(before, head.revision)
      if (first > 0) this.#removals.cut(head.number, first, this.#lookup.lastPosition())
    })
  }

  #transaction(work: () => void): void {
    leaveNoBytes(this.#db, true)
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      work()
      this.#db.exec('COMMIT')
    } catch (error) {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
      throw error
    } finally {
      leaveNoBytes(this.#db, false)
    }
    emptyWal(this.#db)
  }
}
