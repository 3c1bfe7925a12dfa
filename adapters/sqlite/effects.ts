/** The caller's own writes in the middle of an append: whatever they do, their group is stored whole or not at all. */
import { types } from 'node:util'
import type { AppendGroup } from '../../runtime/ports/event-store.js'
import { StoreRefused } from '../../runtime/ports/event-store.js'
import type { Database, Statement } from './driver.js'
import { isForeignKey } from './errors.js'

/**
 * While the one row is there, its deferred foreign key makes every COMMIT fail: otherwise effects that commit would store
 * half of the call for good. When it is gone though nobody here has taken it away, the transaction is another one.
 */
const LOCK = `
  PRAGMA foreign_keys = ON;
  CREATE TEMP TABLE IF NOT EXISTS jobledger_key (one INTEGER PRIMARY KEY);
  CREATE TEMP TABLE IF NOT EXISTS jobledger_lock (
    one INTEGER PRIMARY KEY REFERENCES jobledger_key (one) DEFERRABLE INITIALLY DEFERRED
  );`

/** Effects have ended or spoilt the transaction they were called in: all of it has to be taken back. */
export class TransactionLost extends Error {
  /** What to tell of the group whose effects it was. */
  readonly reason: Error
  /** Whose they were, if that is known. */
  readonly culprit: AppendGroup | undefined

  constructor(reason: Error, culprit?: AppendGroup) {
    super('The transaction is lost.')
    this.reason = reason
    this.culprit = culprit
  }
}

interface Statements {
  readonly savepoint: Statement
  readonly release: Statement
  readonly rollback: Statement
  readonly lock: Statement
  readonly unlock: Statement
  readonly changes: Statement
}

export class Effects {
  readonly #db: Database
  #statements: Statements | undefined
  #running = false

  constructor(db: Database) {
    this.#db = db
  }

  /** Whether the caller's function is being called just now. */
  get running(): boolean {
    return this.#running
  }

  /** To be called before the transaction of a call that has effects. */
  prepare(): Statements {
    this.#statements ??= prepareAll(this.#db)
    return this.#statements
  }

  /** To be called before the group's events are written. */
  begin(): void {
    this.prepare().savepoint.run()
  }

  /**
   * Calls them when the group's events are written. Undefined when all is well; else what went wrong, and nothing is left of
   * what was written since `begin`. Throws TransactionLost when that much cannot be promised.
   */
  run(group: AppendGroup): Error | undefined {
    const { lock, rollback, release } = this.prepare()
    lock.run()
    const failure = this.#call(group)
    try {
      if (!this.#unlock()) throw lost()
      if (failure !== undefined) rollback.run()
      release.run()
    } catch (cause) {
      throw new TransactionLost(failure ?? (cause instanceof StoreRefused ? cause : lost(cause)), group)
    }
    return failure
  }

  #call({ effects }: AppendGroup): Error | undefined {
    this.#running = true
    try {
      return refusePromise(effects?.(this.#db))
    } catch (thrown) {
      return this.#isCommit(thrown) ? committing(thrown) : asError(thrown)
    } finally {
      this.#running = false
    }
  }

  #unlock(): boolean {
    return this.#db.inTransaction && this.prepare().unlock.run().changes === 1
  }

  /**
   * Whether the error is that of a COMMIT at our lock, and not of a row of the caller's with a foreign key of its own: a row
   * that is refused leaves no changes, a COMMIT those of the statement before it. It matters for the wording only.
   */
  #isCommit(thrown: unknown): boolean {
    return isForeignKey(thrown) && this.#db.inTransaction && Number(this.prepare().changes.get()) > 0
  }
}

function prepareAll(db: Database): Statements {
  db.exec(LOCK)
  return {
    savepoint: db.prepare('SAVEPOINT jobledger_effects'),
    release: db.prepare('RELEASE jobledger_effects'),
    rollback: db.prepare('ROLLBACK TO jobledger_effects'),
    lock: db.prepare('INSERT INTO temp.jobledger_lock (one) VALUES (1)'),
    unlock: db.prepare('DELETE FROM temp.jobledger_lock'),
    changes: db.prepare('SELECT changes()').pluck(true),
  }
}

function refusePromise(result: unknown): StoreRefused | undefined {
  if (typeof result !== 'object' || result === null || !('then' in result) || typeof result.then !== 'function') return
  // Nobody is going to wait for it: were it to fail, it would take the process down. What is no promise but can be waited
  // for is left alone: query builders begin to work only then.
  if (types.isPromise(result)) result.catch(() => {})
  return new StoreRefused(
    'Expected what is given to `finishWith` to be synchronous on this store, got a promise: none of its writes are kept.',
  )
}

function lost(cause?: unknown): StoreRefused {
  return new StoreRefused(
    'Expected `effects` to leave the transaction open and as it is: no COMMIT, no ROLLBACK, no iterator left open.',
    { cause },
  )
}

function committing(cause: unknown): StoreRefused {
  return new StoreRefused('Expected `effects` to leave the COMMIT to the store.', { cause })
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown })
}
