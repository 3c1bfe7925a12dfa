/** Errors of the driver and of the server, told apart by their code. None of them crosses the port. */
import { JobledgerError } from '../../domain/errors.js'
import { StoreUnavailable } from '../../runtime/ports/event-store.js'

/** The SQLSTATE of an error that the server has sent, or '' for any other error. */
export function sqlState(error: unknown): string {
  const code = error instanceof Error && 'code' in error && 'severity' in error ? error.code : undefined
  return typeof code === 'string' && code.length === 5 ? code : ''
}

/**
 * Whether the server has told that it has taken the statement back. FATAL ends the connection, and may come when the commit
 * is made already; an error without a SQLSTATE is one of the network.
 */
export function isSurelyUndone(error: unknown): boolean {
  return sqlState(error) !== '' && error instanceof Error && 'severity' in error && error.severity === 'ERROR'
}

/** A transaction that was not ended, whatever state it is in: its connection is not used again. */
export class Unfinished extends Error {
  constructor(cause: unknown) {
    super('The transaction is not ended.', { cause })
  }
}

/** A COMMIT that was answered ROLLBACK: a statement had failed before it, and nobody had looked. */
export class RolledBack extends Error {
  constructor() {
    super('The server has taken the transaction back instead of committing it.')
  }
}

/** Whether an error of the driver, or of the server, says that the database cannot be reached now. */
export function isOutage(error: unknown): boolean {
  if (error instanceof Unfinished) return isOutage(error.cause)
  if (!(error instanceof Error) || error instanceof JobledgerError) return false
  if (error instanceof TypeError || error instanceof RolledBack) return false
  const state = sqlState(error)
  return state === '' || OUTAGES.some((prefix) => state.startsWith(prefix))
}

export function isLockTimeout(error: unknown): boolean {
  return sqlState(error instanceof Unfinished ? error.cause : error) === '55P03'
}

/** Connections refused or cut, a server that is starting up or shutting down, or has too many connections. */
const OUTAGES = ['08', '57P', '53300']

const ADVICE: readonly (readonly [prefix: string, advice: string])[] = [
  ['28', 'the server refuses this user or password'],
  ['3D000', 'there is no such database'],
  ['42501', 'the user lacks a permission'],
  ['53100', 'the disk is full'],
  ['53300', 'the server has too many connections'],
  ['25006', 'the server is read-only'],
  ['55P03', 'another writer holds the log for too long'],
  ['57P01', 'the server is shutting down, or has cut the connection'],
  ['57P0', 'the server is shutting down or starting up'],
  ['57014', 'the statement took too long, or was cancelled'],
  ['25P03', 'a transaction was left idle for too long'],
  ['42P01', 'a table of the ledger is missing'],
  ['40', 'another transaction stands in the way'],
]

const UNTRUSTED = "the server's certificate is not trusted: name who signed it in the URL (`sslrootcert=`)"

const NETWORK: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ENOENT: 'nobody listens there',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the name of the host cannot be looked up',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the host cannot be reached',
  ETIMEDOUT: 'the host does not answer',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  CERT_HAS_EXPIRED: "the server's certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "the server's certificate is for another host",
}

/** An error of driver or server as StoreUnavailable; of a value that no column takes as TypeError. `place` says where, without user or password. */
export function toStoreError(error: unknown, place: string): Error {
  if (error instanceof JobledgerError || error instanceof TypeError) return error
  const state = sqlState(error)
  if (state.startsWith('22') || state === '23502') {
    return new TypeError('An event has a field of the wrong kind.', { cause: error })
  }
  const reason = error instanceof Error ? error.message : String(error)
  if (state === '') return new StoreUnavailable(`${place}: ${networkAdvice(error)} (${reason}).`, { cause: error })
  const advice = ADVICE.find(([prefix]) => state.startsWith(prefix))?.[1] ?? 'PostgreSQL refuses'
  return new StoreUnavailable(`${place}: ${advice} (${state}: ${reason}).`, { cause: error })
}

function networkAdvice(error: unknown): string {
  if (!(error instanceof Error)) return 'the connection failed'
  if (error.message.includes('client password must be')) return 'the server wants a password'
  if ('syscall' in error && error.syscall === 'open') return 'a file that the URL names cannot be read'
  return NETWORK['code' in error ? String(error.code) : ''] ?? 'the connection failed'
}
