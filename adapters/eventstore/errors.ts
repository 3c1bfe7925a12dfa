/** Errors of the client and of the server, told apart by code and kind. None of them crosses the port. */
import { JobledgerError } from '../../domain/errors.js'
import { StoreUnavailable, StoreUnusable } from '../../runtime/ports/event-store.js'

/** Codes of gRPC. */
const CODE = {
  cancelled: 1,
  invalidArgument: 3,
  deadline: 4,
  notFound: 5,
  permission: 7,
  precondition: 9,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const

/** Nothing was heard for too long. */
export class Silence extends Error {
  constructor() {
    super('no answer')
  }
}

/** A stream that the server has ended, though more was to come. */
export class Ended extends Error {
  constructor() {
    super('the server has ended the call')
  }
}

function codeOf(error: unknown): number | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'number' ? code : undefined
}

/** What kind of error the server says it is: a word in the trailers, or the type that the client has made of it. */
export function kindOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if ('type' in error && typeof error.type === 'string') return error.type
  const metadata = 'metadata' in error ? (error.metadata as { get?: (key: string) => unknown[] }) : undefined
  return metadata?.get?.('exception')[0]?.toString()
}

/** No node of the cluster was found. */
export function isUndiscovered(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('Failed to discover')
}

/** No connection came about, so nothing was sent on it. */
export function isSurelyUnsent(error: unknown): boolean {
  const text = error instanceof Error ? error.message : ''
  if (isUndiscovered(error)) return true
  return codeOf(error) === CODE.unavailable && /No connection established|Name resolution failed/.test(text)
}

/** Whether the server was away, or as good as away, rather than of another opinion. */
export function isOutage(error: unknown): boolean {
  if (error instanceof Silence || error instanceof Ended || isSurelyUnsent(error)) return true
  const code = codeOf(error)
  return code === CODE.unavailable || code === CODE.deadline || code === CODE.internal
}

/** The server has not got through it in the time that it gives itself; it may be done all the same. */
export function isTooBusy(error: unknown): boolean {
  return codeOf(error) === CODE.aborted
}

/** Whether the same call may well succeed a moment later. */
export function isPassing(error: unknown): boolean {
  if (kindOf(error) === 'not-leader') return true
  if (kindOf(error) === 'access-denied') return false
  const lasting: readonly (number | undefined)[] = [
    CODE.invalidArgument,
    CODE.notFound,
    CODE.permission,
    CODE.precondition,
    CODE.unimplemented,
    CODE.unauthenticated,
  ]
  return !(error instanceof JobledgerError) && !lasting.includes(codeOf(error))
}

/** An error of client or server as the port's. `place` says where, without user or password. */
export function toStoreError(error: unknown, place: string): Error {
  if (error instanceof JobledgerError || error instanceof TypeError) return error
  const reason = error instanceof Error ? error.message : String(error)
  const message = `${place}: ${adviceFor(error, reason)} (${reason}).`
  if (codeOf(error) === CODE.unimplemented) return new StoreUnusable(message, { cause: error })
  return new StoreUnavailable(message, { cause: error })
}

function adviceFor(error: unknown, reason: string): string {
  const kind = kindOf(error)
  if (kind === 'not-leader') return 'this node is not the leader'
  if (kind === 'access-denied' && codeOf(error) !== CODE.unauthenticated) return 'the user lacks a permission'
  switch (codeOf(error)) {
    case CODE.unauthenticated:
      return 'the server refuses this user or password'
    case CODE.permission:
      return 'the user lacks a permission'
    case CODE.deadline:
      return 'the server does not answer'
    case CODE.unimplemented:
      return 'this is no EventStoreDB, or one that is too old'
    case CODE.unavailable:
      return connectionAdvice(reason)
    default:
      if (error instanceof Silence) return 'the server does not answer'
      return /discover/.test(reason) ? 'no node of the cluster can be found' : 'the call failed'
  }
}

function connectionAdvice(reason: string): string {
  if (/ECONNREFUSED/.test(reason)) return 'nobody listens there'
  if (/ENOTFOUND|EAI_AGAIN|Name resolution/.test(reason)) return 'there is no such host'
  if (/wrong version number|packet length too long/i.test(reason)) return 'the server does not speak TLS; say tls=false'
  if (/certificate|altnames|self.signed/i.test(reason))
    return 'the certificate of the server is not trusted; name its CA with tlsCAFile'
  if (/not ready/i.test(reason)) return 'the server is not ready yet'
  return 'the connection failed'
}
