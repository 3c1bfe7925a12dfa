/** Taking things out of the log for good: the SQL of it, inside a transaction that somebody else begins and ends. */
import { createHash } from 'node:crypto'
import type { Database, Statement } from './driver.js'
import { REMOVED } from './schema.js'

const BODY = 'SELECT seal, body FROM jobledger_events WHERE position = ? AND body IS NOT NULL'
const SEAL = 'UPDATE jobledger_events SET seal = ?, body = NULL WHERE position = ?'
// The row itself stays: its name is burnt, and its position is the stream's number.
const STRIP = `
  UPDATE jobledger_events SET type = '${REMOVED}', at = 0, id = '', data = '{}', metadata = NULL, seal = NULL, body = NULL WHERE position = ?`
const CUT = 'DELETE FROM jobledger_events WHERE stream = ? AND revision > 0 AND revision < ?'
// The greatest position ever used, for the day when its event is gone.
const FLOOR = `
  INSERT INTO jobledger_meta (key, value) VALUES ('floor', ?) ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)`

const CHECKPOINT_PATIENCE_MS = 100

export class Removals {
  readonly #body: Statement
  readonly #seal: Statement
  readonly #strip: Statement
  readonly #cut: Statement
  readonly #floor: Statement

  constructor(db: Database) {
    this.#body = db.prepare(BODY).raw(true)
    this.#seal = db.prepare(SEAL)
    this.#strip = db.prepare(STRIP)
    this.#cut = db.prepare(CUT)
    this.#floor = db.prepare(FLOOR)
  }

  /** Puts its hash in the place of a body, if the event there has one. */
  erase(position: number): void {
    const row = this.#body.get(position) as [Uint8Array, string | Uint8Array] | undefined
    if (row === undefined) return
    const [salt, content] = row
    this.#seal.run(createHash('sha256').update(salt).update(content).digest(), position)
  }

  /** Takes out the events of a stream before a revision. `last`: the greatest position ever used. */
  cut(number: number, before: number, last: number): void {
    this.#floor.run(last)
    this.#cut.run(number, before)
    this.#strip.run(number)
  }

  /** All of a stream. */
  remove(number: number, last: number): void {
    this.cut(number, Number.MAX_SAFE_INTEGER, last)
  }
}

/** Until it is told otherwise, what is taken out leaves no bytes behind in the file, not in pages that become free either. */
export function leaveNoBytes(db: Database, on: boolean): void {
  db.pragma(`secure_delete = ${on ? 'ON' : 'FAST'}`)
}

/**
 * The pages as they were are still in the WAL file until it is emptied. A long read of another process may hold that back;
 * standing still for it would stop this process, so it then waits for the next call, or for the last handle to close. False: so it is.
 */
export function emptyWal(db: Database): boolean {
  const patience = db.pragma('busy_timeout', { simple: true })
  db.pragma(`busy_timeout = ${CHECKPOINT_PATIENCE_MS}`)
  try {
    const busy = db.pragma('wal_checkpoint(TRUNCATE)', { simple: true })
    return busy === 0
  } finally {
    db.pragma(`busy_timeout = ${patience}`)
  }
}
