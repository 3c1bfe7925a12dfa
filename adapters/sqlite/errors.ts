/** Errors of the driver, told apart by their code. None of them crosses the port. */
import { StoreUnavailable } from '../../runtime/ports/event-store.js'

/** The driver's code (SQLITE_BUSY, SQLITE_IOERR_WRITE ...), or '' for any other error. */
export function sqliteCode(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && code.startsWith('SQLITE_') ? code : ''
}

/** Two rows for one place: a stream name or a (stream, revision) that somebody else has taken. */
export function isTaken(error: unknown): boolean {
  const code = sqliteCode(error)
  return code === 'SQLITE_CONSTRAINT_UNIQUE' || code === 'SQLITE_CONSTRAINT_PRIMARYKEY'
}

/** A row without the one it refers to, found at the row itself or at the COMMIT. The log's own tables refer to nothing. */
export function isForeignKey(error: unknown): boolean {
  return sqliteCode(error) === 'SQLITE_CONSTRAINT_FOREIGNKEY'
}

/** A file that is no database, or no longer one. */
export function isDamage(error: unknown): boolean {
  const code = sqliteCode(error)
  return code.startsWith('SQLITE_CORRUPT') || code.startsWith('SQLITE_NOTADB')
}

export function isBusy(error: unknown): boolean {
  return sqliteCode(error).startsWith('SQLITE_BUSY')
}

const ADVICE: readonly (readonly [prefix: string, advice: string])[] = [
  ['SQLITE_BUSY_SNAPSHOT', 'another writer was faster than this transaction; begin it with BEGIN IMMEDIATE'],
  ['SQLITE_BUSY', 'another program holds the write lock'],
  ['SQLITE_FULL', 'the disk is full'],
  ['SQLITE_READONLY', 'the file cannot be written'],
  ['SQLITE_IOERR', 'the disk reports an error'],
  ['SQLITE_CANTOPEN', 'the file cannot be opened'],
  ['SQLITE_CORRUPT', 'the file is damaged'],
]

/** A driver's error as StoreUnavailable; any other error (a mistake of the caller) as it is. */
export function toStoreError(error: unknown, path: string): Error {
  const code = sqliteCode(error)
  if (code.startsWith('SQLITE_CONSTRAINT'))
    return new TypeError('An event has a field of the wrong kind.', { cause: error })
  if (code === '') return error instanceof Error ? error : new Error(String(error))
  const advice = ADVICE.find(([prefix]) => code.startsWith(prefix))?.[1]
  const reason = error instanceof Error ? error.message : ''
  return new StoreUnavailable(`${path}: ${advice ?? 'SQLite refuses'} (${code}: ${reason}).`, { cause: error })
}
